#include "services/sns/errors.h"

#include <fmt/core.h>

#include "base/log.h"

namespace mayfly::sns {

std::unexpected<aws::ApiError> refuse_parameter(std::string_view what) {
  return refuse(wire::errors::InvalidParameterException, fmt::format("Invalid parameter: {}", what));
}

std::unexpected<aws::ApiError> refuse_unsupported(std::string_view setting) {
  return refuse_parameter(fmt::format("{} Reason: not implemented by this server", setting));
}

std::unexpected<aws::ApiError> refuse_topic_missing() {
  return refuse(wire::errors::NotFoundException, "Topic does not exist");
}

std::unexpected<aws::ApiError> refuse_subscription_missing() {
  return refuse(wire::errors::NotFoundException, "Subscription does not exist");
}

std::unexpected<aws::ApiError> refuse_internal(const Error& error) {
  log(Level::kError, "sns could not carry out a request", {{"error", error.message}});
  return refuse(wire::errors::InternalErrorException, "The service failed to handle the request.");
}

}  // namespace mayfly::sns
