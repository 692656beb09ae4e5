#include "gateway/integration_uri.h"

#include <algorithm>

namespace mayfly::gateway {

bool is_function_arn(std::string_view arn) {
  return arn.starts_with("arn:aws:lambda:") && arn.find(":function:") != std::string_view::npos;
}

std::string function_of_path(std::string_view uri) {
  constexpr std::string_view kPath = ":lambda:path/2015-03-31/functions/";
  constexpr std::string_view kEnd = "/invocations";
  const auto at = uri.find(kPath);
  if (at == std::string_view::npos || !uri.ends_with(kEnd)) return {};
  uri.remove_prefix(at + kPath.size());
  uri.remove_suffix(std::min(kEnd.size(), uri.size()));
  return is_function_arn(uri) ? std::string(uri) : std::string();
}

std::string with_stage_variables(std::string text, const Pairs& variables) {
  constexpr std::string_view kStart = "${stageVariables.";
  for (;;) {
    const auto start = text.find(kStart);
    const auto end = start == std::string::npos ? start : text.find('}', start);
    if (end == std::string::npos) return text;
    const auto name = text.substr(start + kStart.size(), end - start - kStart.size());
    const auto found = std::ranges::find(variables, name, [](const auto& pair) { return pair.first; });
    text.replace(start, end - start + 1, found == variables.end() ? std::string() : found->second);
  }
}

}  // namespace mayfly::gateway
