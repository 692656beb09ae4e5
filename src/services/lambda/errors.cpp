#include "services/lambda/errors.h"

#include <fmt/core.h>

#include "base/log.h"

namespace mayfly::lambda {

const aws::ErrorModel kRequestEntityTooLarge{
    .code = "RequestEntityTooLargeException", .status = 413, .sender_fault = true};

std::unexpected<aws::ApiError> refuse(const aws::ErrorModel& model, std::string message) {
  aws::ApiError error;
  error.model = &model;
  error.message = std::move(message);
  if (&model != &kRequestEntityTooLarge) error.members["Type"] = model.sender_fault ? "User" : "Service";
  return std::unexpected(std::move(error));
}

std::unexpected<aws::ApiError> refuse_other_account() {
  aws::ApiError error;
  error.model = &aws::common_errors::AccessDeniedException;
  return std::unexpected(std::move(error));
}

std::unexpected<aws::ApiError> refuse_parameter(std::string message) {
  return refuse(wire::errors::InvalidParameterValueException, std::move(message));
}

std::unexpected<aws::ApiError> refuse_unsupported(std::string_view setting, std::string_view why) {
  return refuse_parameter(fmt::format("{} is not supported: {}", setting, why));
}

std::unexpected<aws::ApiError> refuse_missing(std::string message) {
  return refuse(wire::errors::ResourceNotFoundException, std::move(message));
}

std::unexpected<aws::ApiError> refuse_revision() {
  return refuse(wire::errors::PreconditionFailedException,
                "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to "
                "retrieve the latest Revision Id");
}

std::unexpected<aws::ApiError> refuse_internal(const Error& error) {
  log(Level::kError, "a Lambda control-plane operation failed",
      {{"code", to_string(error.code)}, {"error", error.message}, {"hint", error.hint}});
  return refuse(wire::errors::ServiceException, "An error occurred and the request cannot be processed.");
}

}  // namespace mayfly::lambda
