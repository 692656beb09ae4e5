#include "services/scheduler/errors.h"

#include <fmt/core.h>

#include "base/log.h"

namespace mayfly::scheduler {

std::unexpected<aws::ApiError> refuse_value(std::string message) {
  return refuse(wire::errors::ValidationException, std::move(message));
}

std::unexpected<aws::ApiError> refuse_unsupported(std::string_view setting, std::string_view why) {
  return refuse_value(fmt::format("{} is not supported: {}", setting, why));
}

std::unexpected<aws::ApiError> refuse_no_schedule(std::string_view name) {
  return refuse(wire::errors::ResourceNotFoundException, fmt::format("Schedule {} does not exist.", name));
}

std::unexpected<aws::ApiError> refuse_no_group(std::string_view name) {
  return refuse(wire::errors::ResourceNotFoundException, fmt::format("Schedule group {} does not exist.", name));
}

std::unexpected<aws::ApiError> refuse_store(const Error& error) {
  if (error.code == ErrorCode::kThrottled) {
    return refuse(wire::errors::ThrottlingException, "Rate exceeded");
  }
  if (error.code == ErrorCode::kConflict) {
    return refuse(wire::errors::ConflictException, "The resource is being changed by another request. Try again.");
  }
  log(Level::kError, "a Scheduler operation failed",
      {{"code", to_string(error.code)}, {"error", error.message}, {"hint", error.hint}});
  return refuse(wire::errors::InternalServerException, "The request could not be processed.");
}

}  // namespace mayfly::scheduler
