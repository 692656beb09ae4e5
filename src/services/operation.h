// What the operations of every service share: how they are bound, and how they refuse.
#pragma once

#include <string>
#include <utility>

#include "aws/api.h"
#include "base/async.h"

namespace mayfly::services {

// An operation is a free coroutine; a service's files bind theirs by name.
template <typename Op, typename Core>
void bind(aws::Service& service, Core& core,
          Awaitable<aws::ApiResult<typename Op::Response>> (*operation)(Core&, const aws::CallContext&,
                                                                        typename Op::Request)) {
  // No coroutine itself, so that nothing captured has to outlive the call.
  service.bind<Op>([&core, operation](const aws::CallContext& context, typename Op::Request request) {
    return operation(core, context, std::move(request));
  });
}

[[nodiscard]] inline std::unexpected<aws::ApiError> refuse(const aws::ErrorModel& model, std::string message) {
  aws::ApiError error;
  error.model = &model;
  error.message = std::move(message);
  return std::unexpected(std::move(error));
}

}  // namespace mayfly::services
