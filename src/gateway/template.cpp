#include "gateway/template.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "base/encoding.h"
#include "base/json.h"
#include "gateway/exchange.h"

namespace mayfly::gateway {
namespace {

constexpr std::array<std::string_view, 4> kFamilies = {"request.", "response.", "context.", "stageVariables."};

bool is_variable_start(std::string_view text) {
  return std::ranges::any_of(kFamilies, [&](std::string_view family) { return text.starts_with(family); });
}

bool is_name_character(char c, bool with_hyphen) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
         (with_hyphen && c == '-');
}

// Members of members: "order.id". Nothing of JSONPath beyond that.
std::optional<std::string> member_of(std::string_view body, std::string_view path) {
  if (path.empty()) return std::string(body);
  const auto document = parse_json(body);
  if (!document) return std::nullopt;
  const json::value* at = &*document;
  while (!path.empty()) {
    const auto dot = std::min(path.find('.'), path.size());
    at = find(*at, path.substr(0, dot));
    if (at == nullptr) return std::nullopt;
    path.remove_prefix(std::min(dot + 1, path.size()));
  }
  return at->is_string() ? std::string(at->get_string()) : to_json(*at);
}

std::string json_escaped(std::string_view text) {
  auto quoted = to_json(json::value(text));
  return quoted.substr(1, quoted.size() - 2);
}

// Keeps one request to one line of a log.
std::string one_line(std::string text) {
  std::ranges::replace_if(text, [](char c) { return c == '\n' || c == '\r' || c == '\0'; }, ' ');
  return text;
}

}  // namespace

std::optional<std::string> query_value(std::string_view query, std::string_view name) {
  const auto all = query_parameters(query);
  const auto* found = all.if_contains(name);
  if (found == nullptr) return std::nullopt;
  return std::string(found->get_string());
}

std::optional<Template::Part> Template::variable(std::string_view name, unsigned families) {
  struct Form {
    std::string_view start;
    Kind kind;
    unsigned family;
    bool named;
  };
  static constexpr std::array<Form, 9> kForms = {{
      {"request.header.", Kind::kHeader, kRequest, true},
      {"request.querystring.", Kind::kQuery, kRequest, true},
      {"request.path.", Kind::kPathVariable, kRequest, true},
      {"request.path", Kind::kPath, kRequest, false},
      {"request.body", Kind::kBody, kRequest, false},
      {"response.header.", Kind::kResponseHeader, kResponse, true},
      {"response.body", Kind::kResponseBody, kResponse, false},
      {"context.", Kind::kContext, kContext, true},
      {"stageVariables.", Kind::kStageVariable, kStage, true},
  }};
  for (const auto& form : kForms) {
    if (!name.starts_with(form.start)) continue;
    if ((families & form.family) == 0) return std::nullopt;
    auto rest = name.substr(form.start.size());
    if (form.named == rest.empty()) {
      if (form.named) return std::nullopt;
    }
    if (!form.named && !rest.empty()) {
      if (form.kind == Kind::kPath || !rest.starts_with('.')) return std::nullopt;
      rest.remove_prefix(1);
    }
    const bool is_known = is_context_variable(rest) || ((families & kSocket) != 0 && is_socket_variable(rest));
    if (form.kind == Kind::kContext && !is_known) return std::nullopt;
    return Part{.kind = form.kind, .text = std::string(rest)};
  }
  return std::nullopt;
}

Result<Template> Template::parse(std::string_view text, unsigned families) {
  Template out;
  out.text_ = text;
  std::string literal;
  const auto flush = [&] {
    if (!literal.empty()) out.parts_.push_back({.kind = Kind::kText, .text = std::exchange(literal, {})});
  };
  for (std::size_t i = 0; i < text.size();) {
    const bool braced = text.substr(i).starts_with("${");
    const auto start = i + (braced ? 2 : 1);
    if (text[i] != '$' || !is_variable_start(text.substr(std::min(start, text.size())))) {
      literal += text[i++];
      continue;
    }
    auto end = start;
    const bool hyphens = !text.substr(start).starts_with("context.");
    while (end < text.size() && (braced ? text[end] != '}' : is_name_character(text[end], hyphens))) ++end;
    if (braced && end == text.size()) return fail(ErrorCode::kInvalid, "a variable is not closed by }");
    auto name = text.substr(start, end - start);
    while (!braced && name.ends_with('.')) {
      name.remove_suffix(1);  // the end of a sentence
      --end;
    }
    auto part = variable(name, families);
    if (!part) return fail(ErrorCode::kInvalid, fmt::format("${} is not a variable that can be used here", name));
    flush();
    out.parts_.push_back(std::move(*part));
    i = end + (braced ? 1 : 0);
  }
  flush();
  return out;
}

Template Template::literal(std::string text) {
  Template out;
  out.text_ = text;
  if (!text.empty()) out.parts_.push_back({.kind = Kind::kText, .text = std::move(text)});
  return out;
}

std::optional<std::string> Template::value_of(const Part& part, const Exchange& exchange) {
  const auto& event = exchange.event;
  const auto pair_of = [&](const Pairs& pairs) -> std::optional<std::string> {
    for (const auto& [name, value] : pairs) {
      if (name == part.text) return value;
    }
    return std::nullopt;
  };
  const auto header_of = [&](const http::Headers& headers) -> std::optional<std::string> {
    std::optional<std::string> out;
    for (const auto& [name, value] : headers) {
      if (!iequals(name, part.text)) continue;
      out = out ? *out + "," + value : value;
    }
    return out;
  };
  switch (part.kind) {
    case Kind::kText:
      return part.text;
    case Kind::kHeader:
      return header_of(event.head.headers);
    case Kind::kQuery:
      return query_value(event.head.query(), part.text);
    case Kind::kPathVariable:
      return pair_of(event.path_parameters);
    case Kind::kPath:
      return event.path;
    case Kind::kBody:
      return member_of(event.body, part.text);
    case Kind::kResponseHeader:
      return header_of(exchange.response.head.headers);
    case Kind::kResponseBody:
      return member_of(exchange.response.body, part.text);
    case Kind::kContext:
      return exchange.context(part.text);
    case Kind::kStageVariable:
      return pair_of(event.stage_variables);
  }
  return std::nullopt;
}

std::string Template::fill(const Exchange& exchange, Escape escape) const {
  std::string out;
  for (const auto& part : parts_) {
    auto value = value_of(part, exchange).value_or("");
    if (part.kind == Kind::kText) {
      out += value;
    } else if (escape == Escape::kJson) {
      out += json_escaped(value);
    } else {
      out += one_line(std::move(value));
    }
  }
  return out;
}

std::optional<std::string> Template::complete(const Exchange& exchange) const {
  std::string out;
  for (const auto& part : parts_) {
    const auto value = value_of(part, exchange);
    if (!value) return std::nullopt;
    out += *value;
  }
  return out;
}

std::optional<std::string> Template::value(const Exchange& exchange) const {
  if (!is_one_variable()) return fill(exchange, Escape::kNone);
  return value_of(parts_[0], exchange);
}

}  // namespace mayfly::gateway
