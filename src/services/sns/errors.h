// SNS's modelled errors as this folder makes them.
#pragma once

#include <string>
#include <string_view>

#include "aws/gen/sns.h"
#include "services/operation.h"

namespace mayfly::sns {

namespace wire = aws::sns;

using services::refuse;
// InvalidParameter: "Invalid parameter: <what>".
[[nodiscard]] std::unexpected<aws::ApiError> refuse_parameter(std::string_view what);
// A setting of the API that this server would not carry out: refused by name instead of accepted in silence.
[[nodiscard]] std::unexpected<aws::ApiError> refuse_unsupported(std::string_view setting);
[[nodiscard]] std::unexpected<aws::ApiError> refuse_topic_missing();
[[nodiscard]] std::unexpected<aws::ApiError> refuse_subscription_missing();
// A failure of the store: 500, the cause goes to the server's log and not to the client.
[[nodiscard]] std::unexpected<aws::ApiError> refuse_internal(const Error& error);

}  // namespace mayfly::sns
