// What control planes make plans of: functions and variables of URIs, limits, access logs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "gateway/payload.h"
#include "gateway/plan.h"

namespace mayfly::gateway {

// "arn:aws:lambda:..." of ".../path/2015-03-31/functions/<arn>/invocations"; "" where it is no such path.
std::string function_of_path(std::string_view uri);
// Whether it is a function's ARN itself.
bool is_function_arn(std::string_view arn);
bool is_url(std::string_view text);
// A path's variable in the place of the host would let a request choose where it goes.
bool has_variable_host(std::string uri);
// "${stageVariables.name}" replaced, once: what a variable's value says of variables stays. What a stage does not have
// is empty.
std::string with_stage_variables(std::string text, const Pairs& variables);
// "{name}" and "{name+}" of a path's variables under their other names.
std::string with_names(std::string_view uri, const Pairs& names);

// nullopt where there is neither. One without the other: as many at once as in a second.
std::optional<RateLimits> limits_from(std::optional<double> rate, std::optional<std::int32_t> burst);
// Nothing where the format cannot be read.
void set_access_log(Stage& stage, std::string_view log_group_arn, const std::string& format);

}  // namespace mayfly::gateway
