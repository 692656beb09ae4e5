// "method.request.header.A, method.request.querystring.b, context.c, stageVariables.d" of an authorizer.
#pragma once

#include <string_view>
#include <vector>

#include "base/error.h"
#include "gateway/template.h"

namespace mayfly::apigateway {

// kInvalid with the reason.
Result<std::vector<gateway::Template>> identity_sources(std::string_view text);

}  // namespace mayfly::apigateway
