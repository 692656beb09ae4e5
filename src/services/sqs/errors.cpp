#include "services/sqs/errors.h"

#include <fmt/core.h>

#include "base/log.h"

namespace mayfly::sqs {

const aws::ErrorModel kInvalidParameterValue{.code = "InvalidParameterValueException",
                                             .status = 400,
                                             .sender_fault = true,
                                             .query_code = "InvalidParameterValue"};
const aws::ErrorModel kMissingParameter{
    .code = "MissingRequiredParameterException", .status = 400, .sender_fault = true, .query_code = "MissingParameter"};
const aws::ErrorModel kNoQueue{.code = "QueueDoesNotExist",
                               .status = 400,
                               .sender_fault = true,
                               .query_code = "AWS.SimpleQueueService.NonExistentQueue",
                               .query_message = "The specified queue does not exist for this wsdl version."};
const aws::ErrorModel kInternalFailure{.code = "InternalFailure", .status = 500, .sender_fault = false};

std::unexpected<aws::ApiError> refuse_value(std::string message) {
  return refuse(kInvalidParameterValue, std::move(message));
}

std::unexpected<aws::ApiError> refuse_parameter(std::string_view value, std::string_view parameter,
                                                std::string_view reason) {
  return refuse_value(fmt::format("Value {} for parameter {} is invalid. Reason: {}", value, parameter, reason));
}

std::unexpected<aws::ApiError> refuse_missing(std::string_view parameter) {
  return refuse(kMissingParameter, fmt::format("The request must contain the parameter {}.", parameter));
}

std::unexpected<aws::ApiError> refuse_queue() { return refuse(kNoQueue, "The specified queue does not exist."); }

std::unexpected<aws::ApiError> refuse_store(const Error& error) {
  if (error.code == ErrorCode::kNotFound) return refuse_queue();
  if (error.code == ErrorCode::kThrottled) return refuse(wire::errors::RequestThrottled, "Rate exceeded");
  log(Level::kError, "an SQS operation failed",
      {{"code", to_string(error.code)}, {"error", error.message}, {"hint", error.hint}});
  return refuse(kInternalFailure, "We encountered an internal error. Please try again.");
}

std::string batch_code(const aws::ErrorModel& model) {
  return std::string(model.query_code.empty() ? model.code : model.query_code);
}

Error plain_error(const aws::ApiError& error) {
  ErrorCode code = ErrorCode::kInvalid;
  if (error.model == &kNoQueue) code = ErrorCode::kNotFound;
  if (error.model == &wire::errors::RequestThrottled || error.model == &wire::errors::OverLimit)
    code = ErrorCode::kThrottled;
  if (error.model == &kInternalFailure) code = ErrorCode::kIo;
  return {.code = code, .message = error.message, .hint = {}};
}

}  // namespace mayfly::sqs
