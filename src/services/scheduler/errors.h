// Scheduler's modelled errors as this folder makes them.
#pragma once

#include <string>
#include <string_view>

#include "aws/gen/scheduler.h"
#include "services/operation.h"

namespace mayfly::scheduler {

namespace wire = aws::scheduler;

using services::refuse;
[[nodiscard]] std::unexpected<aws::ApiError> refuse_value(std::string message);  // ValidationException
// A setting that this server would not carry out: refused by name instead of accepted in silence.
[[nodiscard]] std::unexpected<aws::ApiError> refuse_unsupported(std::string_view setting, std::string_view why);
[[nodiscard]] std::unexpected<aws::ApiError> refuse_no_schedule(std::string_view name);
[[nodiscard]] std::unexpected<aws::ApiError> refuse_no_group(std::string_view name);
// A failure of the store: the cause goes to the server's log and not to the client.
[[nodiscard]] std::unexpected<aws::ApiError> refuse_store(const Error& error);

}  // namespace mayfly::scheduler
