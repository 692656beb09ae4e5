// EventBridge's modelled errors as this folder makes them.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "aws/gen/events.h"
#include "services/operation.h"
#include "services/record_table.h"

namespace mayfly::events {

namespace wire = aws::events;
using services::refuse_internal;

[[nodiscard]] aws::ApiError error_of(const aws::ErrorModel& model, std::string message);
using services::refuse;
[[nodiscard]] std::unexpected<aws::ApiError> refuse_validation(std::string message);
// A setting of the API that this server would not carry out: refused by name instead of accepted in silence.
[[nodiscard]] std::unexpected<aws::ApiError> refuse_unsupported(std::string_view setting, std::string_view why);
[[nodiscard]] aws::ApiError bus_missing(std::string_view name);
[[nodiscard]] aws::ApiError rule_missing(std::string_view rule, std::string_view bus);

}  // namespace mayfly::events
