// Route responses and integration responses of WebSocket APIs: whether a route answers, and what a MOCK integration
// answers.
#include <fmt/core.h>

#include <algorithm>

#include "gateway/web_socket_mapping.h"
#include "services/apigatewayv2/core.h"

namespace mayfly::apigatewayv2 {
namespace {

constexpr std::size_t kMostResponses = 20;  // of an integration

// The parts of a map that lie below "parent/".
template <typename T>
std::vector<T> below(const std::map<std::string, T>& all, const std::string& parent) {
  std::vector<T> out;
  for (const auto& [place, one] : entries_below(all, parent)) out.push_back(one);
  return out;
}

std::string place_of(const std::optional<std::string>& parent, const std::optional<std::string>& id) {
  return parent.value_or("") + "/" + id.value_or("");
}

aws::ApiResult<void> check_route_response(const wire::RouteResponse& response) {
  if (response.ModelSelectionExpression)
    return refuse_unsupported("ModelSelectionExpression", "models are not implemented");
  if (response.ResponseModels && !response.ResponseModels->empty())
    return refuse_unsupported("ResponseModels", "models are not implemented");
  if (response.ResponseParameters && !response.ResponseParameters->empty())
    return refuse_unsupported("ResponseParameters", "a frame has no headers");
  // "You can only define the $default route response for WebSocket APIs."
  if (response.RouteResponseKey != "$default")
    return refuse_input("Only $default is supported as RouteResponseKey for WebSocket APIs");
  return {};
}

aws::ApiResult<void> check_integration_response(const wire::IntegrationResponse& response) {
  if (response.ContentHandlingStrategy)
    return refuse_unsupported("ContentHandlingStrategy", "messages are text on both sides");
  if (response.ResponseParameters && !response.ResponseParameters->empty())
    return refuse_unsupported("ResponseParameters", "a frame has no headers");
  if (!gateway::is_response_key(response.IntegrationResponseKey.value_or("")))
    return refuse_unsupported("IntegrationResponseKey",
                              "implemented are $default and three digits or \\d between slashes: /200/, /4\\d\\d/");
  if (!gateway::fixed_selection(response.TemplateSelectionExpression.value_or("")))
    return refuse_unsupported("TemplateSelectionExpression", "an expression with variables is not implemented");
  for (const auto& [key, text] : response.ResponseTemplates.value_or(gateway::Pairs())) {
    if (const auto parsed = gateway::parse_answer_template(text); !parsed)
      return refuse_unsupported("ResponseTemplates " + key, parsed.error().message);
  }
  return {};
}

Awaitable<aws::ApiResult<wire::CreateRouteResponseResponse>> create_route_response(
    Core& core, const aws::CallContext& context, wire::CreateRouteResponseRequest request) {
  wire::RouteResponse response;
  services::merge(response, request, {"ApiId", "RouteId"});
  response.RouteResponseId = new_id(7);
  if (auto checked = check_route_response(response); !checked) co_return std::unexpected(std::move(checked.error()));
  ApiEdit edit = [request, response](ApiRecord& record) -> aws::ApiResult<void> {
    const auto route = request.RouteId.value_or("");
    if (!record.is_web_socket()) return refuse_input("Route responses are for WebSocket APIs");
    if (!record.now.routes.contains(route)) return refuse_missing("Route");
    if (!below(record.now.route_responses, route).empty())
      return refuse(wire::errors::ConflictException, "Route response with key $default already exists for this route");
    record.now.route_responses[place_of(route, response.RouteResponseId)] = response;
    return {};
  };
  auto changed = co_await change_configuration(core, context, request.ApiId.value_or(""), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return converted<wire::CreateRouteResponseResponse>(response);
}

Awaitable<aws::ApiResult<wire::GetRouteResponseResponse>> get_route_response(Core& core,
                                                                             const aws::CallContext& context,
                                                                             wire::GetRouteResponseRequest request) {
  auto found = core.api(context, request.ApiId);
  if (!found) co_return std::unexpected(std::move(found.error()));
  const auto& all = (*found)->now.route_responses;
  const auto response = all.find(place_of(request.RouteId, request.RouteResponseId));
  if (response == all.end()) co_return refuse_missing("RouteResponse");
  co_return converted<wire::GetRouteResponseResponse>(response->second);
}

Awaitable<aws::ApiResult<wire::GetRouteResponsesResponse>> get_route_responses(Core& core,
                                                                               const aws::CallContext& context,
                                                                               wire::GetRouteResponsesRequest request) {
  auto found = core.api(context, request.ApiId);
  if (!found) co_return std::unexpected(std::move(found.error()));
  const auto route = request.RouteId.value_or("");
  if (!(*found)->now.routes.contains(route)) co_return refuse_missing("Route");
  wire::GetRouteResponsesResponse out;
  const auto key_of = [](const wire::RouteResponse& one) { return one.RouteResponseId.value_or(""); };
  auto paged = page(out, below((*found)->now.route_responses, route), key_of, request);
  if (!paged) co_return std::unexpected(std::move(paged.error()));
  co_return out;
}

Awaitable<aws::ApiResult<wire::UpdateRouteResponseResponse>> update_route_response(
    Core& core, const aws::CallContext& context, wire::UpdateRouteResponseRequest request) {
  const auto place = place_of(request.RouteId, request.RouteResponseId);
  ApiEdit edit = [request, place](ApiRecord& record) -> aws::ApiResult<void> {
    const auto response = record.now.route_responses.find(place);
    if (response == record.now.route_responses.end()) return refuse_missing("RouteResponse");
    services::merge(response->second, request, {"ApiId", "RouteId", "RouteResponseId"});
    return check_route_response(response->second);
  };
  auto changed = co_await change_configuration(core, context, request.ApiId.value_or(""), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return converted<wire::UpdateRouteResponseResponse>((*changed)->now.route_responses.at(place));
}

Awaitable<aws::ApiResult<wire::DeleteRouteResponse::Response>> delete_route_response(
    Core& core, const aws::CallContext& context, wire::DeleteRouteResponseRequest request) {
  ApiEdit edit = [place =
                      place_of(request.RouteId, request.RouteResponseId)](ApiRecord& record) -> aws::ApiResult<void> {
    if (record.now.route_responses.erase(place) == 0) return refuse_missing("RouteResponse");
    return {};
  };
  auto changed = co_await change_configuration(core, context, request.ApiId.value_or(""), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return wire::DeleteRouteResponse::Response();
}

// Responses of one integration have keys of their own.
aws::ApiResult<void> check_unique_key(const Configuration& configuration, const std::string& integration,
                                      const wire::IntegrationResponse& response) {
  const auto all = below(configuration.integration_responses, integration);
  const auto same = [&](const wire::IntegrationResponse& one) {
    return one.IntegrationResponseId != response.IntegrationResponseId &&
           one.IntegrationResponseKey == response.IntegrationResponseKey;
  };
  if (std::ranges::none_of(all, same)) return {};
  return refuse(wire::errors::ConflictException,
                fmt::format("Integration response with key {} already exists for this integration",
                            response.IntegrationResponseKey.value_or("")));
}

Awaitable<aws::ApiResult<wire::CreateIntegrationResponseResponse>> create_integration_response(
    Core& core, const aws::CallContext& context, wire::CreateIntegrationResponseRequest request) {
  wire::IntegrationResponse response;
  services::merge(response, request, {"ApiId", "IntegrationId"});
  response.IntegrationResponseId = new_id(7);
  auto checked = check_integration_response(response);
  if (!checked) co_return std::unexpected(std::move(checked.error()));
  ApiEdit edit = [request, response](ApiRecord& record) -> aws::ApiResult<void> {
    const auto id = request.IntegrationId.value_or("");
    const auto integration = record.now.integrations.find(id);
    if (integration == record.now.integrations.end()) return refuse_missing("Integration");
    // "For proxy integrations, API Gateway automatically passes the backend output to the caller."
    if (integration->second.IntegrationType != "MOCK")
      return refuse_input("Integration responses are not for proxy integrations");
    if (below(record.now.integration_responses, id).size() >= kMostResponses)
      return refuse_limit("IntegrationResponsesPerIntegration", kMostResponses);
    if (auto unique = check_unique_key(record.now, id, response); !unique) return unique;
    record.now.integration_responses[place_of(id, response.IntegrationResponseId)] = response;
    return {};
  };
  auto changed = co_await change_configuration(core, context, request.ApiId.value_or(""), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return converted<wire::CreateIntegrationResponseResponse>(response);
}

Awaitable<aws::ApiResult<wire::GetIntegrationResponseResponse>> get_integration_response(
    Core& core, const aws::CallContext& context, wire::GetIntegrationResponseRequest request) {
  auto found = core.api(context, request.ApiId);
  if (!found) co_return std::unexpected(std::move(found.error()));
  const auto& all = (*found)->now.integration_responses;
  const auto response = all.find(place_of(request.IntegrationId, request.IntegrationResponseId));
  if (response == all.end()) co_return refuse_missing("IntegrationResponse");
  co_return converted<wire::GetIntegrationResponseResponse>(response->second);
}

Awaitable<aws::ApiResult<wire::GetIntegrationResponsesResponse>> get_integration_responses(
    Core& core, const aws::CallContext& context, wire::GetIntegrationResponsesRequest request) {
  auto found = core.api(context, request.ApiId);
  if (!found) co_return std::unexpected(std::move(found.error()));
  const auto integration = request.IntegrationId.value_or("");
  if (!(*found)->now.integrations.contains(integration)) co_return refuse_missing("Integration");
  wire::GetIntegrationResponsesResponse out;
  const auto key_of = [](const wire::IntegrationResponse& one) { return one.IntegrationResponseId.value_or(""); };
  auto paged = page(out, below((*found)->now.integration_responses, integration), key_of, request);
  if (!paged) co_return std::unexpected(std::move(paged.error()));
  co_return out;
}

Awaitable<aws::ApiResult<wire::UpdateIntegrationResponseResponse>> update_integration_response(
    Core& core, const aws::CallContext& context, wire::UpdateIntegrationResponseRequest request) {
  const auto place = place_of(request.IntegrationId, request.IntegrationResponseId);
  ApiEdit edit = [request, place](ApiRecord& record) -> aws::ApiResult<void> {
    const auto response = record.now.integration_responses.find(place);
    if (response == record.now.integration_responses.end()) return refuse_missing("IntegrationResponse");
    auto copy = response->second;
    services::merge(copy, request, {"ApiId", "IntegrationId", "IntegrationResponseId"});
    if (auto checked = check_integration_response(copy); !checked) return checked;
    if (auto unique = check_unique_key(record.now, request.IntegrationId.value_or(""), copy); !unique) return unique;
    response->second = std::move(copy);
    return {};
  };
  auto changed = co_await change_configuration(core, context, request.ApiId.value_or(""), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return converted<wire::UpdateIntegrationResponseResponse>((*changed)->now.integration_responses.at(place));
}

Awaitable<aws::ApiResult<wire::DeleteIntegrationResponse::Response>> delete_integration_response(
    Core& core, const aws::CallContext& context, wire::DeleteIntegrationResponseRequest request) {
  ApiEdit edit = [place = place_of(request.IntegrationId, request.IntegrationResponseId)](
                     ApiRecord& record) -> aws::ApiResult<void> {
    if (record.now.integration_responses.erase(place) == 0) return refuse_missing("IntegrationResponse");
    return {};
  };
  auto changed = co_await change_configuration(core, context, request.ApiId.value_or(""), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return wire::DeleteIntegrationResponse::Response();
}

}  // namespace

void bind_route_responses(aws::Service& service, Core& core) {
  bind<wire::CreateRouteResponse>(service, core, create_route_response);
  bind<wire::GetRouteResponse>(service, core, get_route_response);
  bind<wire::GetRouteResponses>(service, core, get_route_responses);
  bind<wire::UpdateRouteResponse>(service, core, update_route_response);
  bind<wire::DeleteRouteResponse>(service, core, delete_route_response);
}

void bind_integration_responses(aws::Service& service, Core& core) {
  bind<wire::CreateIntegrationResponse>(service, core, create_integration_response);
  bind<wire::GetIntegrationResponse>(service, core, get_integration_response);
  bind<wire::GetIntegrationResponses>(service, core, get_integration_responses);
  bind<wire::UpdateIntegrationResponse>(service, core, update_integration_response);
  bind<wire::DeleteIntegrationResponse>(service, core, delete_integration_response);
}

}  // namespace mayfly::apigatewayv2
