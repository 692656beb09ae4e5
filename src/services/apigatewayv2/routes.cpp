// Routes of an API.
#include <fmt/core.h>

#include <algorithm>

#include "gateway/route_table.h"
#include "services/apigatewayv2/core.h"

namespace mayfly::apigatewayv2 {
namespace {

// What only WebSocket APIs have.
aws::ApiResult<void> check_kind(const wire::Route& route) {
  constexpr std::string_view kWhy = "it is for WebSocket APIs";
  if (route.ApiKeyRequired.value_or(false)) return refuse_unsupported("ApiKeyRequired", kWhy);
  if (route.ModelSelectionExpression) return refuse_unsupported("ModelSelectionExpression", kWhy);
  if (route.RequestModels && !route.RequestModels->empty()) return refuse_unsupported("RequestModels", kWhy);
  if (route.RequestParameters && !route.RequestParameters->empty())
    return refuse_unsupported("RequestParameters", kWhy);
  if (route.RouteResponseSelectionExpression) return refuse_unsupported("RouteResponseSelectionExpression", kWhy);
  return {};
}

aws::ApiResult<void> check_new(const ApiRecord& record, wire::Route& route) {
  if (record.is_web_socket()) return check_web_socket_route(record.now, route);
  if (auto checked = check_kind(route); !checked) return checked;
  if (auto checked = check_route(record.now, route); !checked) return checked;
  return check_unique(record.now, route);
}

Awaitable<aws::ApiResult<wire::CreateRouteResult>> create_route(Core& core, const aws::CallContext& context,
                                                                wire::CreateRouteRequest request) {
  const auto id = new_id(7);
  ApiEdit edit = [request, id](ApiRecord& record) -> aws::ApiResult<void> {
    if (record.now.routes.size() >= kMostRoutes) return refuse_limit("RoutesPerApi", kMostRoutes);
    wire::Route route;
    merge(route, request, {"ApiId"});
    route.RouteId = id;
    if (auto checked = check_new(record, route); !checked) return checked;
    record.now.routes[id] = std::move(route);
    return {};
  };
  auto changed = co_await change_configuration(core, context, request.ApiId.value_or(""), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return converted<wire::CreateRouteResult>((*changed)->now.routes.at(id));
}

Awaitable<aws::ApiResult<wire::GetRouteResult>> get_route(Core& core, const aws::CallContext& context,
                                                          wire::GetRouteRequest request) {
  auto found = core.api(context, request.ApiId);
  if (!found) co_return std::unexpected(std::move(found.error()));
  const auto route = (*found)->now.routes.find(request.RouteId.value_or(""));
  if (route == (*found)->now.routes.end()) co_return refuse_missing("Route");
  co_return converted<wire::GetRouteResult>(route->second);
}

Awaitable<aws::ApiResult<wire::GetRoutesResponse>> get_routes(Core& core, const aws::CallContext& context,
                                                              wire::GetRoutesRequest request) {
  auto found = core.api(context, request.ApiId);
  if (!found) co_return std::unexpected(std::move(found.error()));
  std::vector<wire::Route> all;
  for (const auto& [id, route] : (*found)->now.routes) all.push_back(route);
  wire::GetRoutesResponse out;
  const auto key_of = [](const wire::Route& route) { return route.RouteId.value_or(""); };
  auto paged = page(out, std::move(all), key_of, request);
  if (!paged) co_return std::unexpected(std::move(paged.error()));
  co_return out;
}

Awaitable<aws::ApiResult<wire::UpdateRouteResult>> update_route(Core& core, const aws::CallContext& context,
                                                                wire::UpdateRouteRequest request) {
  const auto id = request.RouteId.value_or("");
  ApiEdit edit = [request, id](ApiRecord& record) -> aws::ApiResult<void> {
    const auto route = record.now.routes.find(id);
    if (route == record.now.routes.end()) return refuse_missing("Route");
    if (route->second.ApiGatewayManaged.value_or(false))
      return refuse_input("Quick create routes cannot be updated directly");
    auto copy = route->second;
    merge(copy, request, {"ApiId", "RouteId"});
    if (auto checked = check_new(record, copy); !checked) return checked;
    route->second = std::move(copy);
    return {};
  };
  auto changed = co_await change_configuration(core, context, request.ApiId.value_or(""), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return converted<wire::UpdateRouteResult>((*changed)->now.routes.at(id));
}

Awaitable<aws::ApiResult<wire::DeleteRoute::Response>> delete_route(Core& core, const aws::CallContext& context,
                                                                    wire::DeleteRouteRequest request) {
  ApiEdit edit = [id = request.RouteId.value_or("")](ApiRecord& record) -> aws::ApiResult<void> {
    if (record.now.routes.erase(id) == 0) return refuse_missing("Route");
    std::erase_if(record.now.route_responses, [&](const auto& one) { return one.first.starts_with(id + "/"); });
    return {};
  };
  auto changed = co_await change_configuration(core, context, request.ApiId.value_or(""), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return wire::DeleteRoute::Response();
}

aws::ApiResult<void> check_authorization(const Configuration& configuration, wire::Route& route) {
  const auto type = route.AuthorizationType.value_or("NONE");
  route.AuthorizationType = type;
  const auto authorizer = configuration.authorizers.find(route.AuthorizerId.value_or(""));
  const bool scopes = route.AuthorizationScopes && !route.AuthorizationScopes->empty();
  if (scopes && type != "JWT") return refuse_input("AuthorizationScopes are for authorizers of type JWT");
  if (type == "NONE" || type == "AWS_IAM") {
    route.AuthorizerId.reset();
    return {};
  }
  if (authorizer == configuration.authorizers.end()) return refuse_input("Invalid authorizer ID specified");
  const auto wanted = type == "JWT" ? "JWT" : "REQUEST";
  if (authorizer->second.AuthorizerType != wanted)
    return refuse_input(fmt::format("The authorizer is not of the type that AuthorizationType {} needs", type));
  return {};
}

}  // namespace

std::string shape_of(std::string_view route_key) {
  const auto key = gateway::parse_route_key(route_key);
  if (!key || key->is_default) return std::string(route_key);
  std::string out = key->method;
  for (const auto& segment : key->segments) {
    out += '/';
    const bool variable = segment.starts_with('{');
    out += !variable ? segment : segment.ends_with("+}") ? "{+}" : "{}";
  }
  return out;
}

std::unexpected<aws::ApiError> refuse_duplicate(std::string_view route_key) {
  return refuse(wire::errors::ConflictException,
                fmt::format("Route with key {} already exists for this API", route_key));
}

aws::ApiResult<void> check_unique(const Configuration& configuration, const wire::Route& route) {
  const auto text = route.RouteKey.value_or("");
  const auto shape = shape_of(text);
  for (const auto& [id, other] : configuration.routes) {
    if (id != route.RouteId && shape_of(other.RouteKey.value_or("")) == shape) return refuse_duplicate(text);
  }
  return {};
}

aws::ApiResult<void> check_target(const Configuration& configuration, const wire::Route& route) {
  constexpr std::string_view kTarget = "integrations/";
  if (!route.Target) return {};
  const bool known =
      route.Target->starts_with(kTarget) && configuration.integrations.contains(route.Target->substr(kTarget.size()));
  if (!known) return refuse_input("Invalid target specified: there is no such integration");
  return {};
}

aws::ApiResult<void> check_route(const Configuration& configuration, wire::Route& route) {
  route.ApiKeyRequired = false;
  const auto text = route.RouteKey.value_or("");
  const auto key = gateway::parse_route_key(text);
  if (!key)
    return refuse_input(
        fmt::format("The provided route key is not formatted properly for HTTP protocol: {}. Format "
                    "should be \"<HTTP METHOD> /<RESOURCE PATH>\" or \"$default\"",
                    key.error().message));
  if (auto checked = check_target(configuration, route); !checked) return checked;
  return check_authorization(configuration, route);
}

void bind_routes(aws::Service& service, Core& core) {
  bind<wire::CreateRoute>(service, core, create_route);
  bind<wire::GetRoute>(service, core, get_route);
  bind<wire::GetRoutes>(service, core, get_routes);
  bind<wire::UpdateRoute>(service, core, update_route);
  bind<wire::DeleteRoute>(service, core, delete_route);
}

}  // namespace mayfly::apigatewayv2
