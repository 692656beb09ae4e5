// What the operations of every service share: how they are bound, and how they refuse.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "aws/api.h"
#include "base/async.h"
#include "base/json.h"

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

// Roles that a caller hands over by a document, which no member of its request names: may it pass them? The question is
// asked with them in `member` of `request`, as the action table has it.
[[nodiscard]] inline aws::ApiResult<void> check_passed_roles(const aws::CallContext& context,
                                                             const aws::ServiceModel& service,
                                                             const aws::OperationModel& operation, json::object request,
                                                             std::string_view member,
                                                             const std::vector<std::string>& roles) {
  if (roles.empty() || context.authorize == nullptr) return {};
  json::array passed;
  for (const auto& role : roles) {
    json::object one;
    one["RoleArn"] = role;
    passed.push_back(std::move(one));
  }
  request[member] = std::move(passed);
  if (auto refused = (*context.authorize)(context, service, operation, request)) {
    return std::unexpected(std::move(*refused));
  }
  return {};
}

[[nodiscard]] inline std::unexpected<aws::ApiError> refuse(const aws::ErrorModel& model, std::string message) {
  aws::ApiError error;
  error.model = &model;
  error.message = std::move(message);
  return std::unexpected(std::move(error));
}

}  // namespace mayfly::services
