#include "services/apigateway/identity_source.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/encoding.h"
#include "gateway/rest_mapping.h"

namespace mayfly::apigateway {

Result<std::vector<gateway::Template>> identity_sources(std::string_view text) {
  std::vector<gateway::Template> out;
  while (!text.empty()) {
    const auto end = std::min(text.find(','), text.size());
    const auto one = trim(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (one.empty()) continue;
    const bool allowed = one.starts_with("method.request.header.") || one.starts_with("method.request.querystring.") ||
                         one.starts_with("context.") || one.starts_with("stageVariables.");
    auto parsed = gateway::parse_rest_source(one);
    if (!allowed || !parsed)
      return fail(ErrorCode::kInvalid, fmt::format("Invalid identity source specified: {}", one));
    out.push_back(std::move(*parsed));
  }
  return out;
}

Result<gateway::Template> cache_parameter(const wire::Integration& integration, std::string_view name) {
  constexpr std::string_view kMapped = "integration.request.";
  std::string source(name);
  if (name.starts_with(kMapped) && integration.requestParameters) {
    for (const auto& [mapped, from] : *integration.requestParameters) {
      if (mapped == name) source = from;
    }
  }
  auto parsed = gateway::parse_rest_source(source);
  if (!source.starts_with("method.request.") || !parsed)
    return fail(ErrorCode::kInvalid, fmt::format("Invalid cache key parameter specified: {}", name));
  return parsed;
}

}  // namespace mayfly::apigateway
