#include "app/gateway_ports.h"

#include <utility>

namespace mayfly::app {
namespace {

constexpr std::string_view kService = "apigateway.amazonaws.com";

constexpr std::string_view kAction = "lambda:InvokeFunction";

bool may_invoke(const Front& front, const gateway::FunctionCall& call) {
  if (!call.as_caller) {
    return front.authorizer().allows_service(std::string(kService), call.account, call.source_arn, std::string(kAction),
                                             call.function_arn, call.credentials_arn);
  }
  if (!call.caller) return false;
  identity::Question question;
  question.action = kAction;
  question.resource = call.function_arn;
  question.context.set("aws:ViaAWSService", "true");
  return front.authorizer().allows(*call.caller, std::move(question));
}

Awaitable<Result<gateway::FunctionResult>> invoke(lambda::Lambda& lambda, const Front* front,
                                                  gateway::FunctionCall call) {
  if (front == nullptr || !may_invoke(*front, call)) {
    co_return fail(ErrorCode::kForbidden, "no policy allows " + call.source_arn + " to invoke " + call.function_arn,
                   "lambda add-permission with principal apigateway.amazonaws.com and this source ARN");
  }
  auto outcome = co_await lambda.invoke(std::move(call.function_arn), std::move(call.payload),
                                        std::move(call.request_id), std::move(call.trace_id));
  if (!outcome) co_return std::unexpected(std::move(outcome.error()));
  gateway::FunctionResult out;
  out.payload = std::move(outcome->payload);
  out.function_error = std::move(outcome->function_error);
  out.served_on = outcome->served_on;
  co_return out;
}

}  // namespace

gateway::Ports gateway_ports(const GatewayParts& parts) {
  gateway::Ports ports;
  ports.invoke = [&lambda = parts.lambda, &front = parts.front](gateway::FunctionCall call) {
    return invoke(lambda, front.load(), std::move(call));
  };
  ports.check_signature = [&front = parts.front](const gateway::SignedRequest& request) {
    const auto* present = front.load();
    return present == nullptr ? gateway::SignedAnswer() : present->check_signed(request);
  };
  ports.fetch = [&clock = parts.clock, link_local = parts.link_local](const http::ClientRequest& request,
                                                                      std::size_t limit) {
    return gateway::fetch_outside(clock, request, limit, link_local);
  };
  ports.write_log = [&logs = parts.logs, &clock = parts.clock](std::string group, std::string stream,
                                                               std::string line) {
    logs.append(
        {.time = clock.now(), .group = std::move(group), .stream = std::move(stream), .message = std::move(line)});
  };
  return ports;
}

}  // namespace mayfly::app
