#include "services/events/input.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>

namespace mayfly::events {
namespace {

constexpr std::size_t kMostSteps = 100;
constexpr std::string_view kRuleArn = "aws.events.rule-arn";
constexpr std::string_view kRuleName = "aws.events.rule-name";
constexpr std::string_view kEvent = "aws.events.event";
constexpr std::string_view kEventJson = "aws.events.event.json";
constexpr std::string_view kIngestionTime = "aws.events.event.ingestion-time";

bool is_reserved(std::string_view name) {
  return name == kRuleArn || name == kRuleName || name == kEvent || name == kEventJson || name == kIngestionTime;
}

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
}

// A template as its pieces: texts, and names between angle brackets.
struct Piece {
  std::string text;
  bool name = false;
  bool quoted = false;  // the name stands within a JSON string
};

std::vector<Piece> pieces_of(std::string_view text) {
  std::vector<Piece> pieces(1);
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\\' && i + 1 < text.size()) {
      pieces.back().text += c;
      pieces.back().text += text[++i];
      continue;
    }
    if (c == '<') {
      std::size_t end = i + 1;
      while (end < text.size() && is_name_character(text[end])) ++end;
      if (end < text.size() && text[end] == '>' && end > i + 1) {
        pieces.push_back(Piece{.text = std::string(text.substr(i + 1, end - i - 1)), .name = true, .quoted = quoted});
        pieces.emplace_back();
        i = end;
        continue;
      }
    }
    if (c == '"') quoted = !quoted;
    pieces.back().text += c;
  }
  return pieces;
}

std::string without_quotes(std::string text) {
  std::erase(text, '"');
  return text;
}

// As it stands in a JSON string, without its quotes.
std::string inside_of_string(const json::value& value) {
  if (value.is_string()) {
    const auto text = to_json(value);
    return text.substr(1, text.size() - 2);
  }
  return without_quotes(to_json(value));
}

// The event without its detail, by the names that the service gives its members here.
json::value envelope_of(const BusEvent& event) {
  json::object out;
  for (const auto& member : event.document.get_object()) {
    if (member.key() == "detail") continue;
    out[member.key() == "detail-type" ? json::string_view("detailType") : member.key()] = member.value();
  }
  return out;
}

std::optional<json::value> reserved_value(std::string_view name, const BusEvent& event, const InputContext& context) {
  if (name == kRuleArn) return json::value(context.rule_arn);
  if (name == kRuleName) return json::value(context.rule_name);
  if (name == kIngestionTime) return json::value(event_time(context.ingested));
  if (name == kEvent) return envelope_of(event);
  if (name == kEventJson) return event.document;
  return std::nullopt;
}

using PathsMap = std::vector<std::pair<std::string, std::string>>;

std::string fill_template(std::string_view text, const PathsMap& paths, const BusEvent& event,
                          const InputContext& context) {
  std::string out;
  for (const auto& piece : pieces_of(text)) {
    if (!piece.name) {
      out += piece.text;
      continue;
    }
    const auto path =
        std::find_if(paths.begin(), paths.end(), [&](const auto& item) { return item.first == piece.text; });
    std::optional<json::value> value;
    if (path != paths.end()) {
      if (const auto parsed = JsonPath::parse(path->second)) value = parsed->find(event.document);
    } else {
      value = reserved_value(piece.text, event, context);
    }
    if (piece.quoted) {
      if (value) out += inside_of_string(*value);
    } else {
      out += value ? to_json(*value) : "null";
    }
  }
  const auto parsed = parse_json(out);
  return parsed && !parsed->is_string() ? compact_json(out) : out;
}

// Whether a template is JSON once its names are filled in.
bool is_template(std::string_view text) {
  std::string filled;
  for (const auto& piece : pieces_of(text)) filled += piece.name ? (piece.quoted ? "x" : "null") : piece.text;
  if (parse_json(filled)) return true;
  // Several lines may each be a JSON text of their own.
  std::size_t start = 0;
  while (start <= filled.size()) {
    const auto end = std::min(filled.find('\n', start), filled.size());
    const auto line = std::string_view(filled).substr(start, end - start);
    if (line.find_first_not_of(" \t\r") != std::string_view::npos && !parse_json(line)) return false;
    start = end + 1;
  }
  return true;
}

}  // namespace

std::optional<JsonPath> JsonPath::parse(std::string_view text) {
  JsonPath path;
  if (!text.starts_with('$')) return std::nullopt;
  text.remove_prefix(1);
  while (!text.empty()) {
    if (path.steps_.size() >= kMostSteps) return std::nullopt;
    if (text[0] == '.') {
      const auto end = std::min(text.find_first_of(".[", 1), text.size());
      if (end == 1) return std::nullopt;
      const auto name = text.substr(1, end - 1);
      path.steps_.emplace_back(name == "*" ? Step(All{}) : Step(std::string(name)));
      text.remove_prefix(end);
      continue;
    }
    const auto end = text.find(']');
    if (text[0] != '[' || end == std::string_view::npos || end < 2) return std::nullopt;
    const auto inside = text.substr(1, end - 1);
    if (inside == "*") {
      path.steps_.emplace_back(All{});
    } else if (inside.size() >= 2 && (inside[0] == '\'' || inside[0] == '"') && inside.back() == inside[0]) {
      path.steps_.emplace_back(std::string(inside.substr(1, inside.size() - 2)));
    } else {
      std::size_t index = 0;
      const auto parsed = std::from_chars(inside.data(), inside.data() + inside.size(), index);
      if (parsed.ec != std::errc() || parsed.ptr != inside.data() + inside.size()) return std::nullopt;
      path.steps_.emplace_back(index);
    }
    text.remove_prefix(end + 1);
  }
  return path;
}

std::optional<json::value> JsonPath::follow(const json::value& value, const std::vector<Step>& steps, std::size_t at) {
  if (at == steps.size()) return value;
  if (const auto* name = std::get_if<std::string>(&steps[at])) {
    const auto* member = mayfly::find(value, *name);
    return member == nullptr ? std::nullopt : follow(*member, steps, at + 1);
  }
  if (!value.is_array()) return std::nullopt;
  const auto& elements = value.get_array();
  if (const auto* index = std::get_if<std::size_t>(&steps[at]))
    return *index < elements.size() ? follow(elements[*index], steps, at + 1) : std::nullopt;
  json::array all;
  for (const auto& element : elements) {
    if (auto found = follow(element, steps, at + 1)) all.push_back(std::move(*found));
  }
  return json::value(std::move(all));
}

std::optional<json::value> JsonPath::find(const json::value& document) const { return follow(document, steps_, 0); }

std::string target_input(const wire::Target& target, const BusEvent& event, const InputContext& context) {
  if (target.Input) return *target.Input;
  if (target.InputPath) {
    if (*target.InputPath == "$") return event.text;
    const auto path = JsonPath::parse(*target.InputPath);
    const auto found = path ? path->find(event.document) : std::nullopt;
    return found ? to_json(*found) : "null";
  }
  if (target.InputTransformer)
    return fill_template(target.InputTransformer->InputTemplate.value_or(""),
                         target.InputTransformer->InputPathsMap.value_or(PathsMap()), event, context);
  return event.text;
}

aws::ApiResult<void> check_input(const wire::Target& target) {
  const auto id = target.Id.value_or("");
  const int given = (target.Input ? 1 : 0) + (target.InputPath ? 1 : 0) + (target.InputTransformer ? 1 : 0);
  if (given > 1)
    return refuse_validation(
        fmt::format("Only one of Input, InputPath, or InputTransformer must be provided for target {}.", id));
  if (target.Input && !parse_json(*target.Input))
    return refuse_validation(fmt::format("JSON syntax error in input for target {}.", id));
  if (target.InputPath && !JsonPath::parse(*target.InputPath))
    return refuse_validation(fmt::format("Invalid InputPath for target {}.", id));
  if (!target.InputTransformer) return {};
  const auto paths = target.InputTransformer->InputPathsMap.value_or(PathsMap());
  for (const auto& [name, path] : paths) {
    if (name.starts_with("AWS") || name.starts_with("aws"))
      return refuse_validation(fmt::format("Invalid InputPathsMap for target {}: {} is a reserved name.", id, name));
    if (!JsonPath::parse(path))
      return refuse_validation(fmt::format("Invalid InputPathsMap for target {}: {} is no path.", id, path));
  }
  const auto& text = target.InputTransformer->InputTemplate.value_or("");
  for (const auto& piece : pieces_of(text)) {
    const bool known =
        !piece.name || is_reserved(piece.text) ||
        std::any_of(paths.begin(), paths.end(), [&](const auto& item) { return item.first == piece.text; });
    if (!known)
      return refuse_validation(
          fmt::format("Invalid InputTemplate for target {} : [Unknown placeholder <{}>]", id, piece.text));
  }
  if (!is_template(text)) return refuse_validation(fmt::format("Invalid InputTemplate for target {} : [not JSON]", id));
  return {};
}

}  // namespace mayfly::events
