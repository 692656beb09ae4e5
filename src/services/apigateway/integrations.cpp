// What stands behind methods, and what MOCK integrations answer.
#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "aws/validate.h"
#include "gateway/plan_parts.h"
#include "gateway/rest_mapping.h"
#include "services/apigateway/core.h"
#include "services/apigateway/identity_source.h"

namespace mayfly::apigateway {
namespace {

using Form = PatchRule::Form;

constexpr auto kIntegrationRules = std::to_array<PatchRule>({
    {"/type"},
    {"/httpMethod"},
    {"/uri"},
    {"/credentials"},
    {"/connectionType"},
    {"/connectionId"},
    {"/passthroughBehavior"},
    {"/contentHandling"},
    {"/timeoutInMillis", Form::kInt},
    {"/cacheNamespace"},
    {"/cacheKeyParameters", Form::kList},
    {"/requestParameters", Form::kMapText},
    {"/requestTemplates", Form::kMapText},
});
constexpr auto kAnswerRules = std::to_array<PatchRule>({
    {"/selectionPattern"},
    {"/contentHandling"},
    {"/responseParameters", Form::kMapText},
    {"/responseTemplates", Form::kMapText},
});

Awaitable<aws::ApiResult<wire::Integration>> put_integration(Core& core, const aws::CallContext& context,
                                                             wire::PutIntegrationRequest request) {
  wire::Integration integration;
  merge(integration, request, {"restApiId", "resourceId", "httpMethod", "integrationHttpMethod"});
  integration.httpMethod = request.integrationHttpMethod;
  if (!integration.cacheNamespace) integration.cacheNamespace = request.resourceId;
  if (auto checked = check_integration(integration); !checked) co_return std::unexpected(std::move(checked.error()));
  ApiEdit edit = [request, integration](ApiRecord& record) -> aws::ApiResult<void> {
    auto method = method_of(record.now, request.resourceId, request.httpMethod);
    if (!method) return std::unexpected(std::move(method.error()));
    (*method)->methodIntegration = integration;
    return {};
  };
  auto changed = co_await change_api(core, context, request.restApiId.value_or(""), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return integration;
}

Awaitable<aws::ApiResult<wire::Integration>> get_integration(Core& core, const aws::CallContext& context,
                                                             wire::GetIntegrationRequest request) {
  auto found = core.api(context, request.restApiId);
  if (!found) co_return std::unexpected(std::move(found.error()));
  auto now = (*found)->now;
  auto integration = integration_of(now, request.resourceId, request.httpMethod);
  if (!integration) co_return std::unexpected(std::move(integration.error()));
  co_return **integration;
}

Awaitable<aws::ApiResult<wire::Integration>> update_integration(Core& core, const aws::CallContext& context,
                                                                wire::UpdateIntegrationRequest request) {
  ApiEdit edit = [request](ApiRecord& record) -> aws::ApiResult<void> {
    auto integration = integration_of(record.now, request.resourceId, request.httpMethod);
    if (!integration) return std::unexpected(std::move(integration.error()));
    if (auto patched = patch(**integration, request.patchOperations, kIntegrationRules); !patched) return patched;
    return check_integration(**integration);
  };
  auto changed = co_await change_api(core, context, request.restApiId.value_or(""), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  auto now = (*changed)->now;
  co_return **integration_of(now, request.resourceId, request.httpMethod);
}

Awaitable<aws::ApiResult<wire::DeleteIntegration::Response>> delete_integration(
    Core& core, const aws::CallContext& context, wire::DeleteIntegrationRequest request) {
  ApiEdit edit = [request](ApiRecord& record) -> aws::ApiResult<void> {
    if (auto integration = integration_of(record.now, request.resourceId, request.httpMethod); !integration)
      return std::unexpected(std::move(integration.error()));
    auto method = method_of(record.now, request.resourceId, request.httpMethod);
    if (!method) return std::unexpected(std::move(method.error()));
    (*method)->methodIntegration.reset();
    return {};
  };
  auto changed = co_await change_api(core, context, request.restApiId.value_or(""), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return wire::DeleteIntegration::Response();
}

aws::ApiResult<wire::IntegrationResponse*> answer_of(Configuration& configuration, const auto& request) {
  auto integration = integration_of(configuration, request.resourceId, request.httpMethod);
  if (!integration) return std::unexpected(std::move(integration.error()));
  auto* response = find_pair((*integration)->integrationResponses, request.statusCode.value_or(""));
  if (response == nullptr) return refuse_missing("Response status code");
  return response;
}

Awaitable<aws::ApiResult<wire::IntegrationResponse>> put_mock_answer(Core& core, const aws::CallContext& context,
                                                                     wire::PutIntegrationResponseRequest request) {
  wire::IntegrationResponse response;
  merge(response, request, {"restApiId", "resourceId", "httpMethod"});
  if (auto checked = check_integration_response(response); !checked)
    co_return std::unexpected(std::move(checked.error()));
  ApiEdit edit = [request, response](ApiRecord& record) -> aws::ApiResult<void> {
    auto integration = integration_of(record.now, request.resourceId, request.httpMethod);
    if (!integration) return std::unexpected(std::move(integration.error()));
    set_pair((*integration)->integrationResponses, request.statusCode.value_or(""), response);
    return {};
  };
  auto changed = co_await change_api(core, context, request.restApiId.value_or(""), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return response;
}

Awaitable<aws::ApiResult<wire::IntegrationResponse>> get_mock_answer(Core& core, const aws::CallContext& context,
                                                                     wire::GetIntegrationResponseRequest request) {
  auto found = core.api(context, request.restApiId);
  if (!found) co_return std::unexpected(std::move(found.error()));
  auto now = (*found)->now;
  auto response = answer_of(now, request);
  if (!response) co_return std::unexpected(std::move(response.error()));
  co_return **response;
}

Awaitable<aws::ApiResult<wire::IntegrationResponse>> update_mock_answer(
    Core& core, const aws::CallContext& context, wire::UpdateIntegrationResponseRequest request) {
  ApiEdit edit = [request](ApiRecord& record) -> aws::ApiResult<void> {
    auto response = answer_of(record.now, request);
    if (!response) return std::unexpected(std::move(response.error()));
    if (auto patched = patch(**response, request.patchOperations, kAnswerRules); !patched) return patched;
    return check_integration_response(**response);
  };
  auto changed = co_await change_api(core, context, request.restApiId.value_or(""), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  auto now = (*changed)->now;
  co_return **answer_of(now, request);
}

Awaitable<aws::ApiResult<wire::DeleteIntegrationResponse::Response>> delete_mock_answer(
    Core& core, const aws::CallContext& context, wire::DeleteIntegrationResponseRequest request) {
  ApiEdit edit = [request](ApiRecord& record) -> aws::ApiResult<void> {
    if (auto response = answer_of(record.now, request); !response) return std::unexpected(std::move(response.error()));
    auto integration = integration_of(record.now, request.resourceId, request.httpMethod);
    if (!integration) return std::unexpected(std::move(integration.error()));
    std::erase_if(*(*integration)->integrationResponses,
                  [&](const auto& one) { return one.first == request.statusCode; });
    return {};
  };
  auto changed = co_await change_api(core, context, request.restApiId.value_or(""), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return wire::DeleteIntegrationResponse::Response();
}

aws::ApiResult<void> check_unsupported(const wire::Integration& integration) {
  if (integration.connectionType.value_or("INTERNET") != "INTERNET" || !integration.connectionId.value_or("").empty())
    return refuse_unsupported("connectionType VPC_LINK", "there are no VPC links");
  if (integration.tlsConfig && integration.tlsConfig->insecureSkipVerification.value_or(false))
    return refuse_unsupported("tlsConfig.insecureSkipVerification", "certificates are always verified");
  if (!integration.contentHandling.value_or("").empty())
    return refuse_unsupported("contentHandling", "bytes are passed on as they are");
  if (integration.responseTransferMode.value_or("BUFFERED") != "BUFFERED")
    return refuse_unsupported("responseTransferMode STREAM", "answers are passed on whole");
  if (integration.integrationTarget) return refuse_unsupported("integrationTarget", "there are no VPC links");
  return {};
}

// Proxies to functions give them the request as it is: a mapping may only say so.
aws::ApiResult<void> check_function(const wire::Integration& integration) {
  const auto uri = integration.uri.value_or("");
  if (!uri.starts_with("arn:")) return refuse_input("Invalid ARN specified in the request");
  if (gateway::function_of_path(uri).empty() && uri.find("${stageVariables.") == std::string::npos)
    return refuse_input(
        "Integrations of type 'AWS_PROXY' currently only supports Lambda function and Firehose stream "
        "invocations.");
  for (const auto& [name, source] : integration.requestParameters.value_or(Pairs())) {
    constexpr std::string_view kTo = "integration.request.";
    constexpr std::string_view kFrom = "method.request.";
    if (!name.starts_with(kTo) || !source.starts_with(kFrom) || name.substr(kTo.size()) != source.substr(kFrom.size()))
      return refuse_unsupported(fmt::format("requestParameters {}", name),
                                "a proxied function gets the request as it is");
  }
  const auto role = integration.credentials.value_or("");
  if (role == kCallerCredentials) return {};
  if (!role.empty() && (!role.starts_with("arn:aws:iam::") || role.find(":role/") == std::string::npos))
    return refuse_unsupported("credentials " + role, "it must be the ARN of a role");
  return {};
}

aws::ApiResult<void> check_http(const wire::Integration& integration) {
  const auto uri = integration.uri.value_or("");
  if (!gateway::is_url(uri)) return refuse_input("Invalid HTTP endpoint specified for URI");
  if (gateway::has_variable_host(uri))
    return refuse_input("Invalid HTTP endpoint specified for URI: its host has a variable");
  if (integration.credentials) return refuse_unsupported("credentials", "they are for functions");
  for (const auto& [name, source] : integration.requestParameters.value_or(Pairs())) {
    constexpr std::string_view kPath = "integration.request.path.";
    if (name.starts_with(kPath) && source.starts_with("method.request.path.")) continue;
    const bool known =
        name.starts_with("integration.request.header.") || name.starts_with("integration.request.querystring.");
    if (!known) return refuse_input(fmt::format("Invalid mapping expression specified: {} to {}", source, name));
    if (const auto parsed = gateway::parse_rest_source(source); !parsed) return refuse_input(parsed.error().message);
  }
  return {};
}

aws::ApiResult<void> check_mock(const wire::Integration& integration) {
  for (const auto& [type, text] : integration.requestTemplates.value_or(Pairs())) {
    if (!gateway::parse_mock_status(text))
      return refuse_unsupported(fmt::format("requestTemplates {}", type),
                                "of a MOCK integration it must be {\"statusCode\": <number>}");
  }
  return {};
}

}  // namespace

aws::ApiResult<void> check_integration(wire::Integration& integration) {
  constexpr std::int32_t kShortestTimeout = 50;
  if (auto checked = check_unsupported(integration); !checked) return checked;
  const auto type = integration.type.value_or("");
  if (type == "AWS" || type == "HTTP")
    return refuse_unsupported("Integration type " + type, "its mapping templates need the Velocity language");
  if (type != "MOCK" && integration.httpMethod.value_or("").empty())
    return refuse_input("Enumeration value for HttpMethod must be non-empty");
  aws::ApiResult<void> checked;
  if (type == "AWS_PROXY") {
    checked = check_function(integration);
  } else if (type == "HTTP_PROXY") {
    checked = check_http(integration);
  } else if (type == "MOCK") {
    checked = check_mock(integration);
  } else {
    return refuse_input(fmt::format("Integration type {} is not one of AWS_PROXY, HTTP_PROXY, MOCK", type));
  }
  if (!checked) return checked;
  if (integration.uri.value_or("").find_first_of(" \r\n\t") != std::string::npos)
    return refuse_input("Invalid integration URI specified");
  const auto timeout = integration.timeoutInMillis.value_or(kLongestTimeout);
  if (timeout < kShortestTimeout || timeout > kLongestTimeout)
    return refuse_input(fmt::format("Timeout should be between {} ms and {} ms", kShortestTimeout, kLongestTimeout));
  integration.timeoutInMillis = timeout;
  if (!integration.passthroughBehavior) integration.passthroughBehavior = "WHEN_NO_MATCH";
  if (!integration.cacheKeyParameters) integration.cacheKeyParameters.emplace();
  for (const auto& name : *integration.cacheKeyParameters) {
    if (const auto parsed = cache_parameter(integration, name); !parsed) return refuse_input(parsed.error().message);
  }
  return {};
}

aws::ApiResult<void> check_integration_response(const wire::IntegrationResponse& response) {
  const auto is_status = [](std::string_view text) {
    return text.size() == 3 && text >= "100" && text <= "599" &&
           std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
  };
  const auto status = response.statusCode.value_or("");
  if (!is_status(status)) return refuse_input(fmt::format("Invalid status code {}", status));
  const auto pattern = response.selectionPattern.value_or("");
  if (!pattern.empty() && !aws::matcher_of(pattern))
    return refuse_input(
        fmt::format("Invalid selectionPattern {}: it is no regular expression that is supported", pattern));
  if (!response.contentHandling.value_or("").empty())
    return refuse_unsupported("contentHandling", "bytes are passed on as they are");
  for (const auto& [name, source] : response.responseParameters.value_or(Pairs())) {
    if (!name.starts_with("method.response.header."))
      return refuse_input(fmt::format("Invalid mapping expression parameter specified: {}", name));
    if (const auto parsed = gateway::parse_rest_source(source); !parsed)
      return refuse_input(fmt::format("Invalid mapping expression specified: {}", source));
  }
  for (const auto& [type, text] : response.responseTemplates.value_or(Pairs())) {
    if (const auto parsed = gateway::parse_rest_body(text); !parsed)
      return refuse_unsupported(fmt::format("responseTemplates {}", type), parsed.error().message);
  }
  return {};
}

void bind_integrations(aws::Service& service, Core& core) {
  bind<wire::PutIntegration>(service, core, put_integration);
  bind<wire::GetIntegration>(service, core, get_integration);
  bind<wire::UpdateIntegration>(service, core, update_integration);
  bind<wire::DeleteIntegration>(service, core, delete_integration);
  bind<wire::PutIntegrationResponse>(service, core, put_mock_answer);
  bind<wire::GetIntegrationResponse>(service, core, get_mock_answer);
  bind<wire::UpdateIntegrationResponse>(service, core, update_mock_answer);
  bind<wire::DeleteIntegrationResponse>(service, core, delete_mock_answer);
}

}  // namespace mayfly::apigateway
