#include "gateway/rest_mapping.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "base/encoding.h"

namespace mayfly::gateway {
namespace {

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// "#set", "##", "#*", "#{else}": what Velocity reads and others take for text.
bool has_directive(std::string_view text) {
  for (auto at = text.find('#'); at != std::string_view::npos; at = text.find('#', at + 1)) {
    const char next = at + 1 < text.size() ? text[at + 1] : ' ';
    if (is_letter(next) || next == '#' || next == '*' || next == '{' || next == '@' || next == '[') return true;
  }
  return false;
}

bool is_known_variable(std::string_view rest) {
  if (rest.starts_with('{')) rest.remove_prefix(1);
  return rest.starts_with("context.") || rest.starts_with("stageVariables.");
}

std::string_view skip_space(std::string_view text) {
  const auto at = text.find_first_not_of(" \t\r\n");
  return at == std::string_view::npos ? std::string_view() : text.substr(at);
}

// Takes one of ' or " where it stands; its pair is asked for by the caller.
char take_quote(std::string_view& text) {
  if (text.empty() || (text.front() != '"' && text.front() != '\'')) return '\0';
  const char quote = text.front();
  text.remove_prefix(1);
  return quote;
}

bool take(std::string_view& text, char wanted) {
  text = skip_space(text);
  if (text.empty() || text.front() != wanted) return false;
  text.remove_prefix(1);
  return true;
}

}  // namespace

Result<Template> parse_rest_source(std::string_view text) {
  if (text.size() >= 2 && text.front() == '\'' && text.back() == '\'')
    return Template::literal(std::string(text.substr(1, text.size() - 2)));
  struct Form {
    std::string_view start;
    std::string_view ours;
  };
  static constexpr std::array<Form, 6> kForms = {{{"method.request.header.", "$request.header."},
                                                  {"method.request.querystring.", "$request.querystring."},
                                                  {"method.request.path.", "$request.path."},
                                                  {"integration.response.header.", "$response.header."},
                                                  {"context.", "$context."},
                                                  {"stageVariables.", "$stageVariables."}}};
  for (const auto& form : kForms) {
    if (!text.starts_with(form.start)) continue;
    const auto variable = std::string(form.ours) + std::string(text.substr(form.start.size()));
    auto parsed =
        Template::parse(variable, Template::kRequest | Template::kResponse | Template::kContext | Template::kStage);
    if (!parsed || !parsed->is_one_variable()) break;
    return parsed;
  }
  return fail(ErrorCode::kInvalid, fmt::format("Invalid mapping expression specified: {}", text));
}

Result<Template> parse_rest_body(std::string_view text, unsigned families) {
  if (has_directive(text))
    return fail(ErrorCode::kInvalid, "templates with directives of the Velocity language are not supported");
  for (auto at = text.find('$'); at != std::string_view::npos; at = text.find('$', at + 1)) {
    if (!is_known_variable(text.substr(at + 1)))
      return fail(ErrorCode::kInvalid,
                  "templates with variables other than $context and $stageVariables are not supported");
  }
  return Template::parse(text, families);
}

std::optional<int> parse_mock_status(std::string_view text) {
  if (!take(text, '{')) return std::nullopt;
  text = skip_space(text);
  const char quote = take_quote(text);
  constexpr std::string_view kName = "statusCode";
  if (!text.starts_with(kName)) return std::nullopt;
  text.remove_prefix(kName.size());
  if (quote != '\0' && !take(text, quote)) return std::nullopt;
  if (!take(text, ':')) return std::nullopt;
  text = skip_space(text);
  const char around = take_quote(text);
  int status = 0;
  for (int digits = 0; digits < 3; ++digits) {
    if (text.empty() || text.front() < '0' || text.front() > '9') return std::nullopt;
    status = status * 10 + (text.front() - '0');
    text.remove_prefix(1);
  }
  if (around != '\0' && !take(text, around)) return std::nullopt;
  if (!take(text, '}') || !skip_space(text).empty()) return std::nullopt;
  if (status < 100 || status > 599) return std::nullopt;
  return status;
}

}  // namespace mayfly::gateway
