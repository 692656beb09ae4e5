// APIs and their cross-origin configuration, quick create among them.
#include <fmt/core.h>

#include <algorithm>

#include "services/apigatewayv2/core.h"

namespace mayfly::apigatewayv2 {
namespace {

constexpr std::string_view kRouteSelection = "$request.method $request.path";
constexpr std::string_view kKeySelection = "$request.header.x-api-key";

// Where clients reach it: the scheme and port of this request, because it came through them.
std::string endpoint_of(std::string_view scheme, const std::string& id, const aws::CallContext& context) {
  const std::string_view host = context.host;
  const auto colon = host.rfind(':');
  const bool has_port = colon != std::string_view::npos && host.find(']', colon) == std::string_view::npos;
  return fmt::format("{}{}://{}.execute-api.localhost{}", scheme, context.tls ? "s" : "", id,
                     has_port ? host.substr(colon) : std::string_view());
}

// Settings of WebSocket APIs, which an HTTP API has in one form alone.
template <typename Request>
aws::ApiResult<void> check_common(const Request& request) {
  if (request.DisableSchemaValidation.value_or(false))
    return refuse_unsupported("DisableSchemaValidation", "it is for WebSocket APIs");
  if (request.ApiKeySelectionExpression && request.ApiKeySelectionExpression != kKeySelection)
    return refuse_unsupported("ApiKeySelectionExpression", "it is for WebSocket APIs");
  const auto selection = request.RouteSelectionExpression.value_or(std::string(kRouteSelection));
  if (selection != kRouteSelection && selection != "${request.method} ${request.path}")
    return refuse_input("Route selection expression must be \"${request.method} ${request.path}\" for HTTP APIs");
  if (request.IpAddressType && request.IpAddressType != "ipv4")
    return refuse_unsupported("IpAddressType", "what the server listens on is its own setting");
  if (request.CorsConfiguration) return check_cors(*request.CorsConfiguration);
  return {};
}

// What only HTTP APIs have.
template <typename Request>
aws::ApiResult<void> check_web_socket_request(const Request& request) {
  if (request.CorsConfiguration) return refuse_unsupported("CorsConfiguration", "it is for HTTP APIs");
  if (request.Target || request.RouteKey || request.CredentialsArn)
    return refuse_unsupported("Target", "quick create is for HTTP APIs");
  if (request.IpAddressType && request.IpAddressType != "ipv4")
    return refuse_unsupported("IpAddressType", "what the server listens on is its own setting");
  return {};
}

aws::ApiResult<void> update_web_socket(ApiRecord& record, const wire::UpdateApiRequest& request) {
  if (auto checked = check_web_socket_request(request); !checked) return checked;
  merge(record.api, request, {"ApiId"});
  record.now.route_selection = record.api.RouteSelectionExpression.value_or("");
  return check_web_socket_api(record.api);
}

aws::ApiResult<void> quick_create(const wire::CreateApiRequest& request, ApiRecord& record, double now) {
  if (!request.Target) {
    if (request.RouteKey || request.CredentialsArn)
      return refuse_input("RouteKey and CredentialsArn need a Target for quick create");
    return {};
  }
  wire::Integration integration;
  integration.IntegrationId = new_id(7);
  integration.ApiGatewayManaged = true;
  const bool function = request.Target->starts_with("arn:");
  integration.IntegrationType = function ? "AWS_PROXY" : "HTTP_PROXY";
  integration.IntegrationUri = *request.Target;
  integration.PayloadFormatVersion = function ? "2.0" : "1.0";
  integration.CredentialsArn = request.CredentialsArn;
  if (!function) integration.IntegrationMethod = "ANY";
  if (auto checked = check_integration(integration); !checked) return checked;
  wire::Route route;
  route.RouteId = new_id(7);
  route.ApiGatewayManaged = true;
  route.RouteKey = request.RouteKey.value_or("$default");
  route.Target = "integrations/" + *integration.IntegrationId;
  record.now.integrations[*integration.IntegrationId] = std::move(integration);
  if (auto checked = check_route(record.now, route); !checked) return checked;
  record.now.routes[*route.RouteId] = std::move(route);
  wire::Stage stage;
  stage.StageName = "$default";
  stage.ApiGatewayManaged = true;
  stage.AutoDeploy = true;
  stage.CreatedDate = stage.LastUpdatedDate = now;
  stage.DefaultRouteSettings = wire::RouteSettings();
  stage.RouteSettings.emplace();
  record.stages["$default"] = std::move(stage);
  deploy_automatically(record, now);
  return {};
}

Awaitable<aws::ApiResult<wire::CreateApiResponse>> create_api(Core& core, const aws::CallContext& context,
                                                              wire::CreateApiRequest request) {
  const bool web_socket = request.ProtocolType == "WEBSOCKET";
  auto common = web_socket ? check_web_socket_request(request) : check_common(request);
  if (!common) co_return std::unexpected(std::move(common.error()));
  if (auto checked = check_tags(request.Tags); !checked) co_return std::unexpected(std::move(checked.error()));
  const auto place = api_key(context.principal.account, context.region, "");
  if (core.apis.list(place).size() >= kMostApis) co_return refuse_limit("ApisPerRegion", kMostApis);
  ApiRecord record;
  record.account = context.principal.account;
  record.region = context.region;
  merge(record.api, request, {"Target", "RouteKey", "CredentialsArn", "CorsConfiguration"});
  record.api.ApiId = new_id(10);
  record.api.ApiKeySelectionExpression = kKeySelection;
  record.api.DisableExecuteApiEndpoint = request.DisableExecuteApiEndpoint.value_or(false);
  if (web_socket) {
    record.now.route_selection = request.RouteSelectionExpression.value_or("");
    if (auto checked = check_web_socket_api(record.api); !checked)
      co_return std::unexpected(std::move(checked.error()));
  } else {
    record.api.RouteSelectionExpression = kRouteSelection;
    record.api.DisableSchemaValidation.reset();
  }
  record.api.IpAddressType = "ipv4";
  record.api.CreatedDate = core.now();
  record.now.cors = request.CorsConfiguration;
  if (auto made = quick_create(request, record, core.now()); !made) co_return std::unexpected(std::move(made.error()));
  auto created = co_await core.apis.create(std::move(record));
  if (!created) co_return services::refuse_internal(created.error());
  co_return converted<wire::CreateApiResponse>(shown(**created, context));
}

Awaitable<aws::ApiResult<wire::GetApiResponse>> get_api(Core& core, const aws::CallContext& context,
                                                        wire::GetApiRequest request) {
  auto found = core.api(context, request.ApiId);
  if (!found) co_return std::unexpected(std::move(found.error()));
  co_return converted<wire::GetApiResponse>(shown(**found, context));
}

Awaitable<aws::ApiResult<wire::GetApisResponse>> get_apis(Core& core, const aws::CallContext& context,
                                                          wire::GetApisRequest request) {
  std::vector<wire::Api> all;
  for (const auto& record : core.apis.list(api_key(context.principal.account, context.region, "")))
    all.push_back(shown(*record, context));
  wire::GetApisResponse out;
  const auto key_of = [](const wire::Api& api) { return api.ApiId.value_or(""); };
  auto paged = page(out, std::move(all), key_of, request);
  if (!paged) co_return std::unexpected(std::move(paged.error()));
  co_return out;
}

Awaitable<aws::ApiResult<wire::UpdateApiResponse>> update_api(Core& core, const aws::CallContext& context,
                                                              wire::UpdateApiRequest request) {
  ApiEdit edit = [request](ApiRecord& record) -> aws::ApiResult<void> {
    if (record.is_web_socket()) return update_web_socket(record, request);
    if (auto checked = check_common(request); !checked) return checked;
    merge(record.api, request,
          {"ApiId", "Target", "RouteKey", "CredentialsArn", "CorsConfiguration", "RouteSelectionExpression",
           "DisableSchemaValidation"});
    if (request.CorsConfiguration) record.now.cors = request.CorsConfiguration;
    if (!request.Target && !request.RouteKey && !request.CredentialsArn) return {};
    // What quick create has made, and that alone.
    const auto is_managed = [](const auto& one) { return one.second.ApiGatewayManaged.value_or(false); };
    const auto route = std::ranges::find_if(record.now.routes, is_managed);
    const auto integration = std::ranges::find_if(record.now.integrations, is_managed);
    if (route == record.now.routes.end() || integration == record.now.integrations.end())
      return refuse_input("Target, RouteKey and CredentialsArn are for APIs made by quick create");
    if (request.CredentialsArn) integration->second.CredentialsArn = request.CredentialsArn;
    if (request.Target) {
      integration->second.IntegrationUri = request.Target;
      if (auto checked = check_integration(integration->second); !checked) return checked;
    }
    if (request.RouteKey) {
      route->second.RouteKey = request.RouteKey;
      if (auto checked = check_route(record.now, route->second); !checked) return checked;
      if (auto checked = check_unique(record.now, route->second); !checked) return checked;
    }
    return {};
  };
  auto changed = co_await change_configuration(core, context, request.ApiId.value_or(""), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return converted<wire::UpdateApiResponse>(shown(**changed, context));
}

Awaitable<aws::ApiResult<wire::DeleteApi::Response>> delete_api(Core& core, const aws::CallContext& context,
                                                                wire::DeleteApiRequest request) {
  auto found = core.api(context, request.ApiId);
  if (!found) co_return std::unexpected(std::move(found.error()));
  const auto id = (*found)->id();
  for (const auto& domain : core.domains.list(std::string(DomainRecord::kPrefix))) {
    for (const auto& [mapping_id, mapping] : domain->mappings) {
      if (mapping.ApiId == id) {
        co_return refuse_input(
            "Deleting API failed. Please remove all base path mappings related to the API in your "
            "domains before deleting the API.");
      }
    }
  }
  auto erased = co_await core.apis.erase((*found)->key());
  if (!erased) co_return services::refuse_internal(erased.error());
  core.gateway.forget_authorizations(id);
  for (const auto& deployment : core.deployments.list(deployment_key(id, ""))) {
    auto gone = co_await core.deployments.erase(deployment->key());
    if (!gone) co_return services::refuse_internal(gone.error());
  }
  co_return wire::DeleteApi::Response();
}

Awaitable<aws::ApiResult<wire::DeleteCorsConfiguration::Response>> delete_cors(
    Core& core, const aws::CallContext& context, wire::DeleteCorsConfigurationRequest request) {
  ApiEdit edit = [](ApiRecord& record) -> aws::ApiResult<void> {
    record.now.cors.reset();
    return {};
  };
  auto changed = co_await change_configuration(core, context, request.ApiId.value_or(""), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return wire::DeleteCorsConfiguration::Response();
}

}  // namespace

wire::Api shown(const ApiRecord& record, const aws::CallContext& context) {
  auto out = record.api;
  out.ApiEndpoint = endpoint_of(record.is_web_socket() ? "ws" : "http", record.id(), context);
  out.CorsConfiguration = record.now.cors;
  return out;
}

aws::ApiResult<void> check_cors(const wire::Cors& cors) {
  using Strings = std::vector<std::string>;
  const auto origins = cors.AllowOrigins.value_or(Strings());
  if (cors.AllowCredentials.value_or(false) && std::ranges::find(origins, "*") != origins.end())
    return refuse_input("Cannot specify allow-credentials with a wildcard allow-origin");
  for (const auto& origin : origins) {
    const bool url = origin.starts_with("http://") || origin.starts_with("https://");
    if (origin != "*" && !url && origin.find("://") == std::string::npos)
      return refuse_input(fmt::format("Invalid format for origin {}", origin));
  }
  constexpr std::array<std::string_view, 8> kMethods = {"*",     "GET",    "POST", "PUT",
                                                        "PATCH", "DELETE", "HEAD", "OPTIONS"};
  for (const auto& method : cors.AllowMethods.value_or(Strings())) {
    if (std::ranges::find(kMethods, method) == kMethods.end())
      return refuse_input(fmt::format("Invalid method {} in allow-methods", method));
  }
  return {};
}

void bind_apis(aws::Service& service, Core& core) {
  bind<wire::CreateApi>(service, core, create_api);
  bind<wire::GetApi>(service, core, get_api);
  bind<wire::GetApis>(service, core, get_apis);
  bind<wire::UpdateApi>(service, core, update_api);
  bind<wire::DeleteApi>(service, core, delete_api);
  bind<wire::DeleteCorsConfiguration>(service, core, delete_cors);
}

}  // namespace mayfly::apigatewayv2
