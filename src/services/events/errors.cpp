#include "services/events/errors.h"

#include <fmt/core.h>

namespace mayfly::events {

aws::ApiError error_of(const aws::ErrorModel& model, std::string message) {
  return services::refuse(model, std::move(message)).error();
}

std::unexpected<aws::ApiError> refuse_validation(std::string message) {
  return refuse(aws::common_errors::ValidationException, std::move(message));
}

std::unexpected<aws::ApiError> refuse_unsupported(std::string_view setting, std::string_view why) {
  return refuse_validation(fmt::format("{} is not supported: {}", setting, why));
}

aws::ApiError bus_missing(std::string_view name) {
  return error_of(wire::errors::ResourceNotFoundException, fmt::format("Event bus {} does not exist.", name));
}

aws::ApiError rule_missing(std::string_view rule, std::string_view bus) {
  return error_of(wire::errors::ResourceNotFoundException,
                  fmt::format("Rule {} does not exist on EventBus {}.", rule, bus));
}

}  // namespace mayfly::events
