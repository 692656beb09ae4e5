#include "aws/validate.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/regex.hpp>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace mayfly::aws {

namespace {

constexpr std::size_t kMaxViolations = 20;
constexpr std::size_t kMaxMatched = 4096;  // what is too long anyway is not matched beyond this
constexpr std::size_t kMaxQuoted = 4096;   // a value is quoted whole, up to this

// The models' patterns are Java's, where a '-' in a set that cannot begin a range is itself ("[a-zA-Z0-9-_]"); here it
// must be escaped.
std::string portable(std::string_view pattern) {
  std::string out;
  bool in_set = false;
  bool after_unit = false;  // a whole range or a class such as \w has just ended
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    if (!in_set) {
      out += c;
      if (c == '\\' && i + 1 < pattern.size()) {
        out += pattern[++i];
      } else if (c == '[') {
        in_set = true;
        after_unit = false;
        if (i + 1 < pattern.size() && pattern[i + 1] == '^') out += pattern[++i];
      }
      continue;
    }
    if (c == ']') {
      in_set = false;
      out += c;
      continue;
    }
    if (c == '-' && (after_unit || out.back() == '[' || i + 1 >= pattern.size() || pattern[i + 1] == ']')) {
      out += "\\-";
      after_unit = false;
      continue;
    }
    const bool ends_range = c != '-' && i >= 1 && pattern[i - 1] == '-' && out.back() == '-';
    if (c == '[') out += '\\';
    out += c;
    after_unit = ends_range;
    if (c == '\\' && i + 1 < pattern.size()) {
      const char escaped = pattern[++i];
      out += escaped;
      after_unit = ends_range || std::string_view("wWdDsS").find(escaped) != std::string_view::npos;
    }
  }
  return out;
}

// Sets of characters beyond ASCII are written as \\u escapes and Unicode classes, which an engine of bytes does not
// know. Here they are what they leave out of ASCII; every byte of a longer character is taken.
std::string bytewise(std::string pattern) {
  constexpr std::string_view kNoControls = R"([^\x00-\x08\x0b\x0c\x0e-\x1f\x7f])";
  constexpr std::array<std::pair<std::string_view, std::string_view>, 8> kForms = {{
      {R"([\u0009\u000A\u000D\u0020-\u00FF])", R"([^\x00-\x08\x0b\x0c\x0e-\x1f])"},
      {R"([\u0009\u000A\u000D\u0020-\u007E\u00A1-\u00FF])", kNoControls},
      {R"([\u0009\u000A\u000D\u0020-\u007E\u0085\u00A0-\uD7FF\uE000-\uFFFD\u10000-\u10FFFF])", kNoControls},
      {R"([\u0020-\u00FF])", R"([^\x00-\x1f])"},
      {R"([\u0021-\u007E])", "[!-~]"},
      {R"([\u0021-\u007F])", R"([!-\x7f])"},
      {R"(\u002F)", "/"},
      {R"([\p{L}\p{Z}\p{N}_.:/=+\-@])", R"([^\x00-\x1f!-*,;<>?\[-^`{-\x7f])"},
  }};
  for (const auto& [published, here] : kForms) {
    for (auto at = pattern.find(published); at != std::string::npos; at = pattern.find(published, at + here.size())) {
      pattern.replace(at, published.size(), here);
    }
  }
  return pattern;
}

// Null where it cannot be compiled.
std::unique_ptr<const boost::regex> compile(std::string_view pattern) {
  try {
    // What has been rewritten has its sets in this engine's form already.
    const auto rewritten = bytewise(std::string(pattern));
    return std::make_unique<const boost::regex>(rewritten == pattern ? portable(pattern) : rewritten,
                                                boost::regex::perl);
  } catch (const boost::regex_error&) {
    return nullptr;
  }
}

// Compiled once for each pattern and kept: the set of patterns is that of the models. Keyed by content, as tests make
// models at run time.
const boost::regex* compile_once(std::string_view pattern) {
  static std::mutex mutex;
  static std::map<std::string, std::unique_ptr<const boost::regex>, std::less<>> cache;
  const std::lock_guard lock(mutex);
  const auto found = cache.find(pattern);
  if (found != cache.end()) return found->second.get();
  return cache.emplace(std::string(pattern), compile(pattern)).first->second.get();
}

// Each thread's own view of the set, so that requests do not meet at its lock. What is compiled is never freed.
const boost::regex* compiled(std::string_view pattern) {
  thread_local std::map<std::string, const boost::regex*, std::less<>> known;
  if (const auto found = known.find(pattern); found != known.end()) return found->second;
  const auto* regex = compile_once(pattern);
  known.emplace(std::string(pattern), regex);
  return regex;
}

std::string lower_first(std::string_view name) {
  std::string out(name);
  if (!out.empty() && out[0] >= 'A' && out[0] <= 'Z') out[0] = static_cast<char>(out[0] - 'A' + 'a');
  return out;
}

// Lengths count characters, not bytes.
double text_length(std::string_view text) {
  return static_cast<double>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

std::string number_text(const ShapeModel& shape, double value) {
  return shape.kind == Kind::kDouble ? fmt::format("{}", value) : fmt::format("{}", static_cast<std::int64_t>(value));
}

std::string plain(const json::value& value) {
  if (const auto* text = value.if_string()) return std::string(text->data(), text->size());
  if (const auto* items = value.if_array()) {
    std::string out = "[";
    for (const auto& item : *items) {
      if (out.size() > 1) out += ", ";
      out += plain(item);
    }
    return out + "]";
  }
  if (const auto* object = value.if_object()) {
    std::string out = "{";
    for (const auto& entry : *object) {
      if (out.size() > 1) out += ", ";
      out.append(entry.key()).append("=").append(plain(entry.value()));
    }
    return out + "}";
  }
  return to_json(value);
}

class Check {
 public:
  void structure(const ShapeModel& shape, const json::object& object, const std::string& path, const Call* call) {
    for (std::size_t i = 0; i < shape.members.size(); ++i) {
      const auto& member = shape.members[i];
      if (call != nullptr && static_cast<int>(i) == shape.payload && call->payload) continue;
      const auto* value = object.if_contains(member.name);
      const bool missing = value == nullptr || value->is_null();
      if (missing && !member.required) continue;
      const auto name = path.empty() ? lower_first(member.name) : path + "." + lower_first(member.name);
      if (missing) {
        found_.push_back(fmt::format("Value null at '{}' failed to satisfy constraint: Member must not be null", name));
        continue;
      }
      check(*member.shape, *value, name);
    }
  }

  void check(const ShapeModel& shape, const json::value& value, const std::string& path) {
    if (found_.size() >= kMaxViolations) return;
    for (const auto& text : violations(shape, value)) {
      found_.push_back(
          fmt::format("Value{} at '{}' failed to satisfy constraint: {}", quoted(shape, value), path, text));
    }
    if (shape.kind == Kind::kStructure && value.is_object()) {
      structure(shape, value.get_object(), path, nullptr);
    } else if (shape.kind == Kind::kList && value.is_array()) {
      list(shape, value, path);
    } else if (shape.kind == Kind::kMap && value.is_object()) {
      map(shape, value, path);
    }
  }

  [[nodiscard]] std::vector<std::string>& found() { return found_; }

 private:
  static std::string quoted(const ShapeModel& shape, const json::value& value) {
    if (shape.sensitive || shape.kind == Kind::kBlob) return "";
    auto text = plain(value);
    if (text.size() > kMaxQuoted) text.resize(kMaxQuoted);
    return " '" + text + "'";
  }

  static bool scalar(const ShapeModel& shape) {
    return shape.kind != Kind::kStructure && shape.kind != Kind::kList && shape.kind != Kind::kMap;
  }

  // A list of scalars fails as one: all of its element's constraints are told, whichever failed.
  void list(const ShapeModel& shape, const json::value& value, const std::string& path) {
    const auto& element = *shape.members[0].shape;
    const auto& items = value.get_array();
    if (scalar(element)) {
      const bool good = std::ranges::all_of(
          items, [&](const auto& item) { return !item.is_null() && violations(element, item).empty(); });
      if (good) return;
      auto all = constraints(element);
      all.emplace_back("Member must not be null");
      found_.push_back(fmt::format("Value{} at '{}' failed to satisfy constraint: Member must satisfy constraint: [{}]",
                                   quoted(element, value), path, fmt::join(all, ", ")));
      return;
    }
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (!items[i].is_null()) check(element, items[i], fmt::format("{}.{}.member", path, i + 1));
    }
  }

  void map(const ShapeModel& shape, const json::value& value, const std::string& path) {
    const auto& key_shape = *shape.members[0].shape;
    const auto& value_shape = *shape.members[1].shape;
    const auto& object = value.get_object();
    bool keys_good = true;
    bool values_good = true;
    for (const auto& entry : object) {
      keys_good = keys_good && violations(key_shape, json::value(json::string(entry.key()))).empty();
      if (scalar(value_shape)) {
        values_good = values_good && violations(value_shape, entry.value()).empty();
      } else {
        check(value_shape, entry.value(), fmt::format("{}.{}.member", path, std::string_view(entry.key())));
      }
    }
    const bool secret = shape.sensitive || key_shape.sensitive || value_shape.sensitive;
    const auto shown = secret ? std::string() : quoted(shape, value);
    const auto say = [&](std::string_view what, const ShapeModel& part) {
      auto all = constraints(part);
      all.emplace_back("Member must not be null");
      found_.push_back(fmt::format("Value{} at '{}' failed to satisfy constraint: Map {} must satisfy constraint: [{}]",
                                   shown, path, what, fmt::join(all, ", ")));
    };
    if (!keys_good) say("keys", key_shape);
    if (!values_good) say("value", value_shape);
  }

  static std::string enum_text(const ShapeModel& shape) {
    return fmt::format("Member must satisfy enum value set: [{}]", fmt::join(shape.enum_values, ", "));
  }
  static std::string bound_text(const ShapeModel& shape, bool upper) {
    const auto bound = upper ? shape.max : shape.min;
    const bool number = shape.kind == Kind::kInteger || shape.kind == Kind::kLong || shape.kind == Kind::kDouble;
    return fmt::format("Member must have {} {} than or equal to {}", number ? "value" : "length",
                       upper ? "less" : "greater", number_text(shape, bound));
  }

  // What a value may violate, in the order in which AWS tells it.
  static std::vector<std::string> constraints(const ShapeModel& shape) {
    std::vector<std::string> out;
    if (shape.max != kUnbounded) out.push_back(bound_text(shape, true));
    if (shape.min != -kUnbounded) out.push_back(bound_text(shape, false));
    if (!shape.pattern.empty())
      out.push_back(fmt::format("Member must satisfy regular expression pattern: {}", shape.pattern));
    if (!shape.enum_values.empty()) out.push_back(enum_text(shape));
    return out;
  }

  static std::vector<std::string> violations(const ShapeModel& shape, const json::value& value) {
    std::vector<std::string> out;
    std::optional<double> measure;
    if (const auto* text = value.if_string()) {
      const std::string_view view(text->data(), text->size());
      measure = shape.kind == Kind::kBlob ? static_cast<double>(view.size()) : text_length(view);
      if (!shape.enum_values.empty() && std::ranges::find(shape.enum_values, view) == shape.enum_values.end()) {
        out.push_back(enum_text(shape));
        return out;
      }
      if (!shape.pattern.empty() && (*measure <= shape.max || view.size() <= kMaxMatched) &&
          !matches_pattern(shape.pattern, view)) {
        out.push_back(fmt::format("Member must satisfy regular expression pattern: {}", shape.pattern));
      }
    } else if (const auto* items = value.if_array()) {
      measure = static_cast<double>(items->size());
    } else if (const auto* object = value.if_object(); object != nullptr && shape.kind == Kind::kMap) {
      measure = static_cast<double>(object->size());
    } else if (const auto* number = value.if_int64()) {
      measure = static_cast<double>(*number);
    } else if (const auto* real = value.if_double(); real != nullptr && shape.kind == Kind::kDouble) {
      measure = *real;
    }
    if (measure && *measure > shape.max) out.push_back(bound_text(shape, true));
    if (measure && *measure < shape.min) out.push_back(bound_text(shape, false));
    return out;
  }

  std::vector<std::string> found_;
};

}  // namespace

bool is_supported_pattern(std::string_view pattern) { return compiled(pattern) != nullptr; }

bool matches_pattern(std::string_view pattern, std::string_view text) {
  const auto* regex = compiled(pattern);
  if (regex == nullptr) return true;
  try {
    return boost::regex_match(text.begin(), text.end(), *regex);
  } catch (const std::exception&) {
    // The engine gives up where backtracking would take too long.
    return true;
  }
}

std::function<bool(std::string_view)> matcher_of(std::string_view pattern) {
  const std::shared_ptr<const boost::regex> regex = compile(pattern);
  if (!regex) return nullptr;
  return [regex](std::string_view text) {
    try {
      return boost::regex_match(text.begin(), text.end(), *regex);
    } catch (const std::exception&) {
      return false;
    }
  };
}

std::optional<ApiError> validate(const ShapeModel& shape, const Call& call) {
  Check check;
  check.structure(shape, call.document, "", &call);
  const auto& found = check.found();
  if (found.empty()) return std::nullopt;
  ApiError error;
  error.model = &common_errors::ValidationException;
  error.message = fmt::format("{} validation error{} detected: {}", found.size(), found.size() == 1 ? "" : "s",
                              fmt::join(found, "; "));
  return error;
}

}  // namespace mayfly::aws
