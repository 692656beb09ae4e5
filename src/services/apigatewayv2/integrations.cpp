// Integrations of an API.
#include <fmt/core.h>

#include <algorithm>

#include "gateway/mapping.h"
#include "gateway/plan_parts.h"
#include "services/apigatewayv2/core.h"

namespace mayfly::apigatewayv2 {
namespace {

aws::ApiResult<void> check_kind(const wire::Integration& integration) {
  constexpr std::string_view kWhy = "it is for WebSocket APIs";
  if (integration.ConnectionType.value_or("INTERNET") != "INTERNET" || integration.ConnectionId)
    return refuse_unsupported("ConnectionType VPC_LINK", "there are no VPC links");
  if (integration.ContentHandlingStrategy) return refuse_unsupported("ContentHandlingStrategy", kWhy);
  if (integration.PassthroughBehavior) return refuse_unsupported("PassthroughBehavior", kWhy);
  if (integration.RequestTemplates && !integration.RequestTemplates->empty())
    return refuse_unsupported("RequestTemplates", kWhy);
  if (integration.TemplateSelectionExpression) return refuse_unsupported("TemplateSelectionExpression", kWhy);
  if (integration.TlsConfig) return refuse_unsupported("TlsConfig", "it is for private integrations");
  if (integration.IntegrationSubtype)
    return refuse_unsupported("IntegrationSubtype", "integrations with AWS services are not implemented");
  return {};
}

aws::ApiResult<void> check_new(const ApiRecord& record, wire::Integration& integration) {
  if (record.is_web_socket()) return check_web_socket_integration(integration);
  if (auto checked = check_kind(integration); !checked) return checked;
  return check_integration(integration);
}

Awaitable<aws::ApiResult<wire::CreateIntegrationResult>> create_integration(Core& core, const aws::CallContext& context,
                                                                            wire::CreateIntegrationRequest request) {
  const auto id = new_id(7);
  wire::Integration integration;
  merge(integration, request, {"ApiId"});
  integration.IntegrationId = id;
  ApiEdit edit = [integration, id](ApiRecord& record) -> aws::ApiResult<void> {
    if (record.now.integrations.size() >= kMostIntegrations)
      return refuse_limit("IntegrationsPerApi", kMostIntegrations);
    auto checked_one = integration;
    if (auto checked = check_new(record, checked_one); !checked) return checked;
    record.now.integrations[id] = std::move(checked_one);
    return {};
  };
  // An integration that no route uses changes nothing that is served.
  auto changed = co_await change_api(core, context, request.ApiId.value_or(""), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return converted<wire::CreateIntegrationResult>((*changed)->now.integrations.at(id));
}

Awaitable<aws::ApiResult<wire::GetIntegrationResult>> get_integration(Core& core, const aws::CallContext& context,
                                                                      wire::GetIntegrationRequest request) {
  auto found = core.api(context, request.ApiId);
  if (!found) co_return std::unexpected(std::move(found.error()));
  const auto& all = (*found)->now.integrations;
  const auto integration = all.find(request.IntegrationId.value_or(""));
  if (integration == all.end()) co_return refuse_missing("Integration");
  co_return converted<wire::GetIntegrationResult>(integration->second);
}

Awaitable<aws::ApiResult<wire::GetIntegrationsResponse>> get_integrations(Core& core, const aws::CallContext& context,
                                                                          wire::GetIntegrationsRequest request) {
  auto found = core.api(context, request.ApiId);
  if (!found) co_return std::unexpected(std::move(found.error()));
  std::vector<wire::Integration> all;
  for (const auto& [id, integration] : (*found)->now.integrations) all.push_back(integration);
  wire::GetIntegrationsResponse out;
  const auto key_of = [](const wire::Integration& one) { return one.IntegrationId.value_or(""); };
  auto paged = page(out, std::move(all), key_of, request);
  if (!paged) co_return std::unexpected(std::move(paged.error()));
  co_return out;
}

Awaitable<aws::ApiResult<wire::UpdateIntegrationResult>> update_integration(Core& core, const aws::CallContext& context,
                                                                            wire::UpdateIntegrationRequest request) {
  const auto id = request.IntegrationId.value_or("");
  ApiEdit edit = [request, id](ApiRecord& record) -> aws::ApiResult<void> {
    const auto integration = record.now.integrations.find(id);
    if (integration == record.now.integrations.end()) return refuse_missing("Integration");
    auto copy = integration->second;
    merge(copy, request, {"ApiId", "IntegrationId", "RequestParameters"});
    merge_pairs(copy.RequestParameters, request.RequestParameters);
    if (auto checked = check_new(record, copy); !checked) return checked;
    integration->second = std::move(copy);
    return {};
  };
  auto changed = co_await change_configuration(core, context, request.ApiId.value_or(""), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return converted<wire::UpdateIntegrationResult>((*changed)->now.integrations.at(id));
}

Awaitable<aws::ApiResult<wire::DeleteIntegration::Response>> delete_integration(
    Core& core, const aws::CallContext& context, wire::DeleteIntegrationRequest request) {
  ApiEdit edit = [id = request.IntegrationId.value_or("")](ApiRecord& record) -> aws::ApiResult<void> {
    for (const auto& [route_id, route] : record.now.routes) {
      if (route.Target == "integrations/" + id)
        return refuse(wire::errors::ConflictException,
                      fmt::format("Cannot delete Integration {} because it is referenced by a Route {}", id,
                                  route.RouteKey.value_or("")));
    }
    if (record.now.integrations.erase(id) == 0) return refuse_missing("Integration");
    std::erase_if(record.now.integration_responses, [&](const auto& one) { return one.first.starts_with(id + "/"); });
    return {};
  };
  auto changed = co_await change_configuration(core, context, request.ApiId.value_or(""), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return wire::DeleteIntegration::Response();
}

aws::ApiResult<void> check_parameters(const gateway::Pairs& parameters, gateway::MappingSide side) {
  for (const auto& [key, value] : parameters) {
    const auto mapping = gateway::parse_mapping(key, value, side);
    if (!mapping) return refuse_input(mapping.error().message);
  }
  return {};
}

}  // namespace

aws::ApiResult<void> check_integration(wire::Integration& integration) {
  const auto type = integration.IntegrationType.value_or("");
  const auto uri = integration.IntegrationUri.value_or("");
  const bool variable = uri.find("${stageVariables.") != std::string::npos;
  integration.ConnectionType = "INTERNET";
  if (type == "AWS_PROXY") {
    if (function_of(uri).empty() && !variable)
      return refuse_input("Invalid function specified as IntegrationUri: it must be the ARN of a Lambda function");
    if (!integration.PayloadFormatVersion)
      return refuse_input("PayloadFormatVersion is a required parameter for integration type AWS_PROXY");
    if (integration.PayloadFormatVersion != "1.0" && integration.PayloadFormatVersion != "2.0")
      return refuse_input("PayloadFormatVersion must be 1.0 or 2.0");
    integration.IntegrationMethod = integration.IntegrationMethod.value_or("POST");
  } else if (type == "HTTP_PROXY") {
    if (!gateway::is_url(uri) && !variable) return refuse_input("Invalid HTTP endpoint specified for URI");
    if (gateway::has_variable_host(uri))
      return refuse_input("Invalid HTTP endpoint specified for URI: its host has a variable");
    if (integration.CredentialsArn) return refuse_input("CredentialsArn is not for integrations of type HTTP_PROXY");
    if (integration.PayloadFormatVersion.value_or("1.0") != "1.0")
      return refuse_input("PayloadFormatVersion must be 1.0 for integrations of type HTTP_PROXY");
    integration.PayloadFormatVersion = "1.0";
    if (!integration.IntegrationMethod)
      return refuse_input("HttpMethod must be specified for integrations of type HTTP_PROXY");
  } else {
    return refuse_input(
        fmt::format("Integration type {} is not one of AWS_PROXY, HTTP_PROXY, which HTTP APIs have", type));
  }
  if (uri.find_first_of(" \r\n\t") != std::string::npos) return refuse_input("Invalid IntegrationUri specified");
  const auto timeout = integration.TimeoutInMillis.value_or(kLongestTimeout);
  if (timeout < kShortestTimeout || timeout > kLongestTimeout)
    return refuse_input(fmt::format("Timeout should be between {} ms and {} ms", kShortestTimeout, kLongestTimeout));
  integration.TimeoutInMillis = timeout;
  if (integration.RequestParameters) {
    auto checked = check_parameters(*integration.RequestParameters, gateway::MappingSide::kRequest);
    if (!checked) return checked;
  }
  if (!integration.ResponseParameters) return {};
  for (const auto& [status, parameters] : *integration.ResponseParameters) {
    const bool number = status.size() == 3 && status >= "200" && status <= "599" &&
                        std::ranges::all_of(status, [](char c) { return c >= '0' && c <= '9'; });
    if (!number) return refuse_input(fmt::format("Invalid status code {} in ResponseParameters", status));
    if (auto checked = check_parameters(parameters, gateway::MappingSide::kResponse); !checked) return checked;
  }
  return {};
}

void bind_integrations(aws::Service& service, Core& core) {
  bind<wire::CreateIntegration>(service, core, create_integration);
  bind<wire::GetIntegration>(service, core, get_integration);
  bind<wire::GetIntegrations>(service, core, get_integrations);
  bind<wire::UpdateIntegration>(service, core, update_integration);
  bind<wire::DeleteIntegration>(service, core, delete_integration);
}

}  // namespace mayfly::apigatewayv2
