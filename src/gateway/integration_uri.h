// What integrations and authorizers name by their URI.
#pragma once

#include <string>
#include <string_view>

#include "gateway/plan.h"

namespace mayfly::gateway {

// "arn:aws:lambda:..." of ".../path/2015-03-31/functions/<arn>/invocations"; "" where it is no such path.
std::string function_of_path(std::string_view uri);
// Whether it is a function's ARN itself.
bool is_function_arn(std::string_view arn);
// "${stageVariables.name}" replaced; what a stage does not have is empty.
std::string with_stage_variables(std::string text, const Pairs& variables);

}  // namespace mayfly::gateway
