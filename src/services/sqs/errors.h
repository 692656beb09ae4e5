// SQS's errors as this folder makes them: the modelled ones, and the ones that the service answers without modelling
// them.
#pragma once

#include <string>
#include <string_view>

#include "aws/gen/sqs.h"
#include "base/error.h"
#include "services/operation.h"

namespace mayfly::sqs {

namespace wire = aws::sqs;

// Not in the model, but recorded: QueryErrorCode InvalidParameterValueException, code InvalidParameterValue.
extern const aws::ErrorModel kInvalidParameterValue;
extern const aws::ErrorModel kMissingParameter;
// As the modelled QueueDoesNotExist, with the text of the Query protocol (recorded).
extern const aws::ErrorModel kNoQueue;
extern const aws::ErrorModel kInternalFailure;

using services::refuse;
[[nodiscard]] std::unexpected<aws::ApiError> refuse_value(std::string message);  // InvalidParameterValue
// "Value <value> for parameter <parameter> is invalid. Reason: <reason>"
[[nodiscard]] std::unexpected<aws::ApiError> refuse_parameter(std::string_view value, std::string_view parameter,
                                                              std::string_view reason);
[[nodiscard]] std::unexpected<aws::ApiError> refuse_missing(std::string_view parameter);
[[nodiscard]] std::unexpected<aws::ApiError> refuse_queue();  // there is none
// What the store says, in the service's words; the cause of a failure goes to the log and not to the client.
[[nodiscard]] std::unexpected<aws::ApiError> refuse_store(const Error& error);

// An error's code as clients of the query protocol and the entries of batches see it.
[[nodiscard]] std::string batch_code(const aws::ErrorModel& model);
// An API error as one of this process, for callers that do not come over the wire.
[[nodiscard]] Error plain_error(const aws::ApiError& error);

}  // namespace mayfly::sqs
