// Lambda's modelled errors as this folder makes them: the model, the message, and the members every one of them has.
#pragma once

#include <string>
#include <utility>

#include "aws/gen/lambda.h"

namespace mayfly::lambda {

namespace wire = aws::lambda;

// The service answers oversized requests with this code, whatever the model calls the shape.
extern const aws::ErrorModel kRequestEntityTooLarge;
// Cross-account names are refused without a word about what exists there.
[[nodiscard]] std::unexpected<aws::ApiError> refuse_other_account();

[[nodiscard]] std::unexpected<aws::ApiError> refuse(const aws::ErrorModel& model, std::string message);
[[nodiscard]] std::unexpected<aws::ApiError> refuse_parameter(std::string message);
// A setting of the API that this server would not carry out: refused by name instead of accepted in silence.
[[nodiscard]] std::unexpected<aws::ApiError> refuse_unsupported(std::string_view setting, std::string_view why);
[[nodiscard]] std::unexpected<aws::ApiError> refuse_missing(std::string message);  // ResourceNotFoundException
[[nodiscard]] std::unexpected<aws::ApiError> refuse_revision();                    // of functions and aliases
// A failure of the store or the disk: 500, the cause goes to the server's log and not to the client.
[[nodiscard]] std::unexpected<aws::ApiError> refuse_internal(const Error& error);

}  // namespace mayfly::lambda
