// What settings of WebSocket APIs say of requests: "route.request.header.x", "integration.request.header.x", and which
// statuses an integration response is for.
#pragma once

#include <optional>
#include <string_view>

#include "base/error.h"
#include "gateway/plan.h"

namespace mayfly::gateway {

// "$request.body.action", "${request.body.a}-${request.body.b}": variables of the body and text. kInvalid.
Result<Template> parse_route_selection(std::string_view text);
// An authorizer's identity source: route.request.header.x, route.request.querystring.x, context.x, stageVariables.x.
Result<Template> parse_identity_source(std::string_view text);
// "integration.request.header.x" or "integration.request.querystring.x" with its value: route.request.header.x,
// route.request.querystring.x, route.request.body[.member...], context.x, stageVariables.x or 'text'.
Result<Mapping> parse_integration_parameter(std::string_view key, std::string_view value);
// The body of a MOCK integration's answer: text with variables of $context and $stageVariables.
Result<Template> parse_answer_template(std::string_view text);
// A selection expression without variables; nullopt for one that has some. "\$default" is "$default".
std::optional<std::string> fixed_selection(std::string_view expression);

// "/200/", "/2\d\d/", "/2../", "$default": nullopt for another key.
bool is_response_key(std::string_view key);
bool takes_status(std::string_view response_key, int status);

}  // namespace mayfly::gateway
