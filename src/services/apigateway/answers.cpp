// Gateway responses: what a customer makes of the gateway's own answers.
#include <fmt/core.h>

#include <algorithm>

#include "gateway/rest_answers.h"
#include "gateway/rest_mapping.h"
#include "services/apigateway/core.h"

namespace mayfly::apigateway {
namespace {

constexpr std::string_view kUsualTemplate = "{\"message\":$context.error.messageString}";

wire::GatewayResponse usual(const std::string& type) {
  wire::GatewayResponse out;
  out.responseType = type;
  out.defaultResponse = true;
  out.responseParameters.emplace();
  out.responseTemplates = Pairs{{"application/json", std::string(kUsualTemplate)}};
  if (!type.starts_with("DEFAULT_")) out.statusCode = std::to_string(gateway::rest_answer(type).status);
  return out;
}

Awaitable<aws::ApiResult<wire::GatewayResponse>> put_own_answer(Core& core, const aws::CallContext& context,
                                                                wire::PutGatewayResponseRequest request) {
  wire::GatewayResponse answer;
  merge(answer, request, {"restApiId"});
  answer.defaultResponse = false;
  if (!answer.responseParameters) answer.responseParameters.emplace();
  if (!answer.responseTemplates) answer.responseTemplates = Pairs{{"application/json", std::string(kUsualTemplate)}};
  const auto type = answer.responseType.value_or("");
  if (!answer.statusCode && gateway::is_answer_type(type)) answer.statusCode = usual(type).statusCode;
  if (auto checked = check_answer(answer); !checked) co_return std::unexpected(std::move(checked.error()));
  ApiEdit edit = [answer, type](ApiRecord& record) -> aws::ApiResult<void> {
    record.now.answers[type] = answer;
    return {};
  };
  auto changed = co_await change_api(core, context, request.restApiId.value_or(""), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return answer;
}

Awaitable<aws::ApiResult<wire::GatewayResponse>> get_own_answer(Core& core, const aws::CallContext& context,
                                                                wire::GetGatewayResponseRequest request) {
  auto found = core.api(context, request.restApiId);
  if (!found) co_return std::unexpected(std::move(found.error()));
  const auto type = request.responseType.value_or("");
  if (!gateway::is_answer_type(type)) co_return refuse_missing("Gateway response type");
  const auto own = (*found)->now.answers.find(type);
  co_return own == (*found)->now.answers.end() ? usual(type) : own->second;
}

Awaitable<aws::ApiResult<wire::GatewayResponses>> get_answers(Core& core, const aws::CallContext& context,
                                                              wire::GetGatewayResponsesRequest request) {
  auto found = core.api(context, request.restApiId);
  if (!found) co_return std::unexpected(std::move(found.error()));
  std::vector<wire::GatewayResponse> all;
  for (const auto& type : gateway::answer_types()) {
    const auto own = (*found)->now.answers.find(type);
    all.push_back(own == (*found)->now.answers.end() ? usual(type) : own->second);
  }
  wire::GatewayResponses out;
  page(out, std::move(all), [](const wire::GatewayResponse& one) { return one.responseType.value_or(""); }, request);
  co_return out;
}

Awaitable<aws::ApiResult<wire::DeleteGatewayResponse::Response>> delete_own_answer(
    Core& core, const aws::CallContext& context, wire::DeleteGatewayResponseRequest request) {
  ApiEdit edit = [type = request.responseType.value_or("")](ApiRecord& record) -> aws::ApiResult<void> {
    if (record.now.answers.erase(type) == 0) return refuse_missing("Gateway response type");
    return {};
  };
  auto changed = co_await change_api(core, context, request.restApiId.value_or(""), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return wire::DeleteGatewayResponse::Response();
}

}  // namespace

aws::ApiResult<void> check_answer(const wire::GatewayResponse& answer) {
  const auto type = answer.responseType.value_or("");
  if (!gateway::is_answer_type(type)) return refuse_input(fmt::format("Invalid response type {}", type));
  if (answer.statusCode) {
    const auto status = int_of(*answer.statusCode);
    if (!status || *status < 100 || *status > 599)
      return refuse_input(fmt::format("Invalid status code {}", *answer.statusCode));
  }
  for (const auto& [name, source] : answer.responseParameters.value_or(Pairs())) {
    if (!name.starts_with("gatewayresponse.header."))
      return refuse_input(fmt::format("Invalid response parameter {}", name));
    if (const auto parsed = gateway::parse_rest_source(source); !parsed) return refuse_input(parsed.error().message);
  }
  for (const auto& [media, text] : answer.responseTemplates.value_or(Pairs())) {
    if (const auto parsed = gateway::parse_rest_body(text); !parsed)
      return refuse_unsupported(fmt::format("responseTemplates {}", media), parsed.error().message);
  }
  return {};
}

void bind_answers(aws::Service& service, Core& core) {
  bind<wire::PutGatewayResponse>(service, core, put_own_answer);
  bind<wire::GetGatewayResponse>(service, core, get_own_answer);
  bind<wire::GetGatewayResponses>(service, core, get_answers);
  bind<wire::DeleteGatewayResponse>(service, core, delete_own_answer);
}

}  // namespace mayfly::apigateway
