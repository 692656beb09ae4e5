#include "gateway/web_socket_mapping.h"

#include <fmt/core.h>

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "gateway/mapping.h"
#include "gateway/rest_mapping.h"

namespace mayfly::gateway {
namespace {

struct Form {
  std::string_view start;
  std::string_view ours;
};
constexpr auto kIdentityForms = std::to_array<Form>({{"route.request.header.", "$request.header."},
                                                     {"route.request.querystring.", "$request.querystring."},
                                                     {"context.", "$context."},
                                                     {"stageVariables.", "$stageVariables."}});

Result<Template> parse_form(std::string_view text, const Form& form, std::string_view rest) {
  const auto variable = std::string(form.ours) + std::string(rest);
  auto parsed =
      Template::parse(variable, Template::kRequest | Template::kContext | Template::kStage | Template::kSocket);
  if (parsed && parsed->is_one_variable()) return parsed;
  return fail(ErrorCode::kInvalid, fmt::format("Invalid mapping expression specified: {}", text));
}

// One character of a pattern for a status, taken off its front.
struct Digit {
  bool valid = false;
  bool any = false;
  char digit = '0';
};
Digit take_digit(std::string_view& pattern) {
  Digit out;
  if (pattern.starts_with("\\d")) {
    out.valid = out.any = true;
    pattern.remove_prefix(2);
  } else if (!pattern.empty()) {
    out.any = pattern.front() == '.';
    out.digit = pattern.front();
    out.valid = out.any || (out.digit >= '0' && out.digit <= '9');
    pattern.remove_prefix(1);
  }
  return out;
}

constexpr std::size_t kDigits = 3;
std::optional<std::array<Digit, kDigits>> pattern_of(std::string_view key) {
  if (key.size() < 2 || !key.starts_with('/') || !key.ends_with('/')) return std::nullopt;
  auto pattern = key.substr(1, key.size() - 2);
  std::array<Digit, kDigits> out;
  for (auto& digit : out) {
    digit = take_digit(pattern);
    if (!digit.valid) return std::nullopt;
  }
  return pattern.empty() ? std::optional(out) : std::nullopt;
}

}  // namespace

Result<Template> parse_route_selection(std::string_view text) {
  auto parsed = Template::parse(text, Template::kRequest);
  if (!parsed) return parsed;
  // Headers and queries are a handshake's, not a message's.
  const bool handshake = text.find("request.header.") != std::string_view::npos ||
                         text.find("request.querystring.") != std::string_view::npos ||
                         text.find("request.path") != std::string_view::npos;
  if (handshake || text.find("request.body") == std::string_view::npos)
    return fail(ErrorCode::kInvalid, "it selects by variables of $request.body");
  return parsed;
}

Result<Template> parse_identity_source(std::string_view text) {
  for (const auto& form : kIdentityForms) {
    if (text.starts_with(form.start)) return parse_form(text, form, text.substr(form.start.size()));
  }
  return fail(ErrorCode::kInvalid, fmt::format("Invalid mapping expression specified: {}", text));
}

Result<Mapping> parse_integration_parameter(std::string_view key, std::string_view value) {
  constexpr std::string_view kStart = "integration.request.";
  if (!key.starts_with(kStart)) {
    return fail(ErrorCode::kInvalid,
                fmt::format("Invalid mapping expression specified: {} is no integration.request parameter", key));
  }
  // The checks of a name are those of HTTP APIs' mappings.
  auto mapping = parse_mapping("overwrite:" + std::string(key.substr(kStart.size())), "", MappingSide::kRequest);
  if (!mapping) return mapping;
  constexpr Form kBody{.start = "route.request.body", .ours = "$request.body"};
  Result<Template> parsed = Template();
  if (value.size() >= 2 && value.front() == '\'' && value.back() == '\'') {
    parsed = Template::literal(std::string(value.substr(1, value.size() - 2)));
  } else if (value.starts_with(kBody.start)) {
    parsed = parse_form(value, kBody, value.substr(kBody.start.size()));
  } else {
    parsed = parse_identity_source(value);
  }
  if (!parsed) return std::unexpected(std::move(parsed.error()));
  mapping->value = std::move(*parsed);
  return mapping;
}

Result<Template> parse_answer_template(std::string_view text) {
  return parse_rest_body(text, Template::kContext | Template::kStage | Template::kSocket);
}

std::optional<std::string> fixed_selection(std::string_view expression) {
  std::string out;
  for (std::size_t i = 0; i < expression.size(); ++i) {
    const bool escaped = expression[i] == '\\' && i + 1 < expression.size() && expression[i + 1] == '$';
    if (escaped) ++i;
    const bool is_default = expression.substr(i) == "$default";
    if (expression[i] == '$' && !escaped && !is_default) return std::nullopt;
    out += expression[i];
  }
  return out;
}

bool is_response_key(std::string_view key) { return key == "$default" || pattern_of(key).has_value(); }

bool takes_status(std::string_view response_key, int status) {
  const auto pattern = pattern_of(response_key);
  if (!pattern) return false;
  const auto text = std::to_string(status);
  for (std::size_t i = 0; i < kDigits; ++i) {
    if (!(*pattern)[i].any && (i >= text.size() || (*pattern)[i].digit != text[i])) return false;
  }
  return text.size() == kDigits;
}

}  // namespace mayfly::gateway
