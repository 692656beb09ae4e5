#include "services/apigatewayv2/compile.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/log.h"
#include "gateway/mapping.h"
#include "gateway/plan_parts.h"

namespace mayfly::apigatewayv2 {
namespace {

using gateway::Template;
using Strings = std::vector<std::string>;

gateway::Cors cors_of(const wire::Cors& cors) {
  gateway::Cors out;
  out.credentials = cors.AllowCredentials.value_or(false);
  out.origins = cors.AllowOrigins.value_or(Strings());
  out.methods = cors.AllowMethods.value_or(Strings());
  out.headers = cors.AllowHeaders.value_or(Strings());
  out.exposed = cors.ExposeHeaders.value_or(Strings());
  out.max_age = cors.MaxAge;
  return out;
}

void add_mappings(const gateway::Pairs& parameters, gateway::MappingSide side, std::vector<gateway::Mapping>& out) {
  for (const auto& [key, value] : parameters) {
    auto mapping = gateway::parse_mapping(key, value, side);
    if (mapping) out.push_back(std::move(*mapping));
  }
}

std::shared_ptr<const gateway::Integration> integration_of(const wire::Integration& integration,
                                                           const gateway::Pairs& variables) {
  auto out = std::make_shared<gateway::Integration>();
  out->id = integration.IntegrationId.value_or("");
  const auto uri = gateway::with_stage_variables(integration.IntegrationUri.value_or(""), variables);
  const bool function = integration.IntegrationType == "AWS_PROXY";
  out->kind = function ? gateway::Integration::Kind::kFunction : gateway::Integration::Kind::kHttp;
  out->function_arn = function ? function_of(uri) : std::string();
  out->uri = uri;
  out->method = integration.IntegrationMethod.value_or("ANY");
  out->credentials_arn = integration.CredentialsArn.value_or("");
  out->format_v1 = integration.PayloadFormatVersion == "1.0";
  out->timeout = std::chrono::milliseconds(integration.TimeoutInMillis.value_or(kLongestTimeout));
  add_mappings(integration.RequestParameters.value_or(gateway::Pairs()), gateway::MappingSide::kRequest, out->request);
  if (integration.ResponseParameters) {
    for (const auto& [status, parameters] : *integration.ResponseParameters) {
      add_mappings(parameters, gateway::MappingSide::kResponse, out->response[std::stoi(status)]);
    }
  }
  return out;
}

std::shared_ptr<const gateway::Authorizer> authorizer_of(const wire::Authorizer& authorizer, std::uint64_t generation,
                                                         const gateway::Pairs& variables) {
  auto out = std::make_shared<gateway::Authorizer>();
  out->id = authorizer.AuthorizerId.value_or("");
  out->generation = generation;
  for (const auto& source : authorizer.IdentitySource.value_or(Strings())) {
    auto parsed = Template::parse(source, Template::kRequest | Template::kContext | Template::kStage);
    if (parsed) out->sources.push_back(std::move(*parsed));
  }
  if (authorizer.AuthorizerType == "JWT") {
    out->kind = gateway::Authorizer::Kind::kJwt;
    const auto jwt = authorizer.JwtConfiguration.value_or(wire::JWTConfiguration());
    out->issuer = jwt.Issuer.value_or("");
    out->audience = jwt.Audience.value_or(Strings());
    return out;
  }
  out->kind = gateway::Authorizer::Kind::kFunction;
  out->function_arn = function_of(gateway::with_stage_variables(authorizer.AuthorizerUri.value_or(""), variables));
  out->credentials_arn = authorizer.AuthorizerCredentialsArn.value_or("");
  out->format_v1 = authorizer.AuthorizerPayloadFormatVersion == "1.0";
  out->simple = authorizer.EnableSimpleResponses.value_or(false);
  out->ttl = std::chrono::seconds(authorizer.AuthorizerResultTtlInSeconds.value_or(0));
  return out;
}

std::optional<RateLimits> limits_of(const std::optional<wire::RouteSettings>& settings) {
  if (!settings) return std::nullopt;
  return gateway::limits_from(settings->ThrottlingRateLimit, settings->ThrottlingBurstLimit);
}

struct Built {
  std::map<std::string, std::shared_ptr<const gateway::Integration>> integrations;
  std::map<std::string, std::shared_ptr<const gateway::Authorizer>> authorizers;
};

gateway::Route route_of(const wire::Route& route, const Built& built) {
  using Access = gateway::Route::Access;
  gateway::Route out;
  out.text = route.RouteKey.value_or("");
  auto key = gateway::parse_route_key(out.text);
  if (key) out.key = std::move(*key);
  const auto type = route.AuthorizationType.value_or("NONE");
  if (type == "NONE") out.access = Access::kOpen;
  if (type == "AWS_IAM") out.access = Access::kIam;
  const auto authorizer = built.authorizers.find(route.AuthorizerId.value_or(""));
  // Without its authorizer it stays closed.
  if ((type == "JWT" || type == "CUSTOM") && authorizer != built.authorizers.end()) {
    out.access = Access::kAuthorizer;
    out.authorizer = authorizer->second;
  }
  out.scopes = route.AuthorizationScopes.value_or(Strings());
  constexpr std::string_view kTarget = "integrations/";
  const auto target = route.Target.value_or("");
  if (target.starts_with(kTarget)) {
    const auto integration = built.integrations.find(target.substr(kTarget.size()));
    if (integration != built.integrations.end()) out.integration = integration->second;
  }
  return out;
}

gateway::StagePtr stage_of(Core& core, const ApiRecord& record, const wire::Stage& stage,
                           const Configuration& configuration) {
  auto out = std::make_shared<gateway::Stage>();
  out->name = stage.StageName.value_or("");
  out->variables = stage.StageVariables.value_or(gateway::Pairs());
  const auto name = record.id() + "/" + out->name;
  out->bucket = core.gateway.bucket(name, limits_of(stage.DefaultRouteSettings));
  if (stage.AccessLogSettings && stage.AccessLogSettings->DestinationArn) {
    gateway::set_access_log(*out, *stage.AccessLogSettings->DestinationArn,
                            stage.AccessLogSettings->Format.value_or(""));
  }
  if (record.is_web_socket()) {
    add_web_socket_routes(core, record, stage, configuration, *out);
    return out;
  }
  Built built;
  for (const auto& [id, one] : configuration.integrations) built.integrations[id] = integration_of(one, out->variables);
  for (const auto& [id, one] : configuration.authorizers)
    built.authorizers[id] = authorizer_of(one, record.generation, out->variables);
  for (const auto& [id, one] : configuration.routes) {
    auto route = route_of(one, built);
    route.bucket = route_bucket(core, record, stage, route.text);
    const auto added = out->table.add(route.key, out->routes.size());
    if (added) out->routes.push_back(std::move(route));
  }
  if (configuration.cors) out->cors = cors_of(*configuration.cors);
  return out;
}

}  // namespace

std::string function_of(std::string_view uri) {
  return gateway::is_function_arn(uri) ? std::string(uri) : gateway::function_of_path(uri);
}

std::shared_ptr<TokenBucket> route_bucket(Core& core, const ApiRecord& record, const wire::Stage& stage,
                                          const std::string& route_key) {
  if (!stage.RouteSettings) return nullptr;
  const auto settings = std::ranges::find(*stage.RouteSettings, route_key, [](const auto& pair) { return pair.first; });
  if (settings == stage.RouteSettings->end()) return nullptr;
  const auto name = fmt::format("{}/{}/{}", record.id(), stage.StageName.value_or(""), route_key);
  return core.gateway.bucket(name, limits_of(settings->second));
}

gateway::ApiPtr compile(Core& core, const ApiRecord& record) {
  auto out = std::make_shared<gateway::Api>();
  out->id = record.id();
  out->account = record.account;
  out->region = record.region;
  out->is_web_socket = record.is_web_socket();
  out->own_address_disabled = record.api.DisableExecuteApiEndpoint.value_or(false);
  const Configuration nothing;
  for (const auto& [name, stage] : record.stages) {
    const Configuration* configuration = &nothing;
    std::shared_ptr<const DeploymentRecord> deployed;
    if (stage.AutoDeploy.value_or(false)) {
      configuration = &record.now;
    } else if (stage.DeploymentId) {
      deployed = core.deployments.find(deployment_key(record.id(), *stage.DeploymentId));
      if (deployed) configuration = &deployed->configuration;
    }
    out->stages[name] = stage_of(core, record, stage, *configuration);
  }
  return out;
}

gateway::DomainPtr compile(const DomainRecord& record) {
  auto out = std::make_shared<gateway::Domain>();
  out->name = record.domain.DomainName.value_or("");
  for (const auto& [id, mapping] : record.mappings) {
    out->targets.push_back({.key = mapping.ApiMappingKey.value_or(""),
                            .api_id = mapping.ApiId.value_or(""),
                            .stage = mapping.Stage.value_or("")});
  }
  std::ranges::sort(out->targets, [](const auto& a, const auto& b) { return a.key.size() > b.key.size(); });
  return out;
}

}  // namespace mayfly::apigatewayv2
