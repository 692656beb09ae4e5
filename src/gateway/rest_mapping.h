// The mapping language of REST APIs, as far as it needs no template engine: sources of values, bodies with $context and
// $stageVariables, and the status that a MOCK integration's request template names.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "gateway/template.h"

namespace mayfly::gateway {

// "'text'", "method.request.header.x", "method.request.querystring.x", "method.request.path.x",
// "integration.response.header.x", "context.x", "stageVariables.x". kInvalid with the reason.
Result<Template> parse_rest_source(std::string_view text);

// A body with variables of $context and $stageVariables. kInvalid where it needs the Velocity language.
Result<Template> parse_rest_body(std::string_view text, unsigned families = Template::kContext | Template::kStage);

// 200 of {"statusCode": 200}; keys and numbers may stand with or without quotes. nullopt for anything else.
std::optional<int> parse_mock_status(std::string_view text);

}  // namespace mayfly::gateway
