// Parts of a request that settings name: what identifies a caller, and what tells cached answers apart.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "gateway/template.h"
#include "services/apigateway/records.h"

namespace mayfly::apigateway {

inline constexpr std::int32_t kUsualTtl = 300;  // seconds that an authorizer's answer is kept

// "method.request.header.A, method.request.querystring.b, context.c, stageVariables.d" of an authorizer. kInvalid with
// the reason.
Result<std::vector<gateway::Template>> identity_sources(std::string_view text);

// "method.request.querystring.a" of a method's cache keys, or "integration.request.header.b" as the integration maps
// it.
Result<gateway::Template> cache_parameter(const wire::Integration& integration, std::string_view name);

}  // namespace mayfly::apigateway
