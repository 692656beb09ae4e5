#include "services/apigateway/compile.h"

#include <fmt/core.h>

#include <algorithm>

#include "aws/validate.h"
#include "base/log.h"
#include "gateway/mapping.h"
#include "gateway/plan_parts.h"
#include "gateway/rest_mapping.h"
#include "services/apigateway/identity_source.h"
#include "services/apigateway/stage_settings.h"

namespace mayfly::apigateway {
namespace {

using gateway::Template;

// Headers as mappings name them: "method.response.header.X".
std::vector<std::pair<std::string, Template>> headers_of(const std::optional<Pairs>& parameters,
                                                         std::string_view prefix) {
  std::vector<std::pair<std::string, Template>> out;
  for (const auto& [name, source] : parameters.value_or(Pairs())) {
    auto parsed = gateway::parse_rest_source(source);
    if (name.starts_with(prefix) && parsed) out.emplace_back(name.substr(prefix.size()), std::move(*parsed));
  }
  return out;
}

// JSON's where there is one, else the first.
std::optional<std::pair<std::string, Template>> body_of(const std::optional<Pairs>& templates) {
  if (!templates || templates->empty()) return std::nullopt;
  const auto json = std::ranges::find(*templates, "application/json", [](const auto& pair) { return pair.first; });
  const auto& chosen = json == templates->end() ? templates->front() : *json;
  auto parsed = gateway::parse_rest_body(chosen.second);
  if (!parsed) return std::nullopt;
  return std::pair(chosen.first, std::move(*parsed));
}

gateway::MockAnswer mock_of(const wire::IntegrationResponse& response) {
  gateway::MockAnswer out;
  out.status = int_of(response.statusCode.value_or("")).value_or(500);
  out.headers = headers_of(response.responseParameters, "method.response.header.");
  if (auto body = body_of(response.responseTemplates)) {
    out.content_type = std::move(body->first);
    out.body = std::move(body->second);
  }
  return out;
}

void add_mock(const wire::Integration& integration, gateway::Integration& out) {
  if (integration.requestTemplates && !integration.requestTemplates->empty()) {
    const auto& templates = *integration.requestTemplates;
    const auto json = std::ranges::find(templates, "application/json", [](const auto& pair) { return pair.first; });
    out.mock_status = gateway::parse_mock_status(json == templates.end() ? templates.front().second : json->second);
  }
  if (!integration.integrationResponses || !out.mock_status) return;
  const wire::IntegrationResponse* chosen = nullptr;
  for (const auto& [status, response] : *integration.integrationResponses) {
    const auto pattern = response.selectionPattern.value_or("");
    if (pattern.empty() && chosen == nullptr) chosen = &response;  // the default one
    if (pattern.empty()) continue;
    const auto matches = aws::matcher_of(pattern);
    if (matches && matches(std::to_string(*out.mock_status))) {
      chosen = &response;
      break;
    }
  }
  if (chosen != nullptr) out.mock_answer = mock_of(*chosen);
}

// Of a proxy to an HTTP server.
void add_parameters(const wire::Integration& integration, gateway::Integration& out) {
  using gateway::Mapping;
  constexpr std::string_view kPath = "integration.request.path.";
  constexpr std::string_view kFromPath = "method.request.path.";
  Pairs names;  // a variable of the URI and the path's variable that fills it, where they differ
  for (const auto& [name, source] : integration.requestParameters.value_or(Pairs())) {
    if (name.starts_with(kPath) && source.starts_with(kFromPath)) {
      if (name.substr(kPath.size()) != source.substr(kFromPath.size()))
        names.emplace_back(name.substr(kPath.size()), source.substr(kFromPath.size()));
      continue;
    }
    auto parsed = gateway::parse_rest_source(source);
    if (!parsed) continue;
    constexpr std::string_view kRequest = "integration.request.";
    const auto key = name.substr(kRequest.size());
    auto mapping = gateway::parse_mapping("overwrite:" + key, "x", gateway::MappingSide::kRequest);
    if (!mapping) continue;
    mapping->value = std::move(*parsed);
    out.request.push_back(std::move(*mapping));
  }
  out.uri = gateway::with_names(out.uri, names);
}

std::shared_ptr<const gateway::Integration> compiled(const wire::Integration& integration, const std::string& id,
                                                     const Pairs& variables) {
  using Kind = gateway::Integration::Kind;
  auto out = std::make_shared<gateway::Integration>();
  out->id = id;
  const auto uri = gateway::with_stage_variables(integration.uri.value_or(""), variables);
  const auto type = integration.type.value_or("");
  out->kind = type == "AWS_PROXY" ? Kind::kFunction : type == "MOCK" ? Kind::kMock : Kind::kHttp;
  out->function_arn = out->kind == Kind::kFunction ? gateway::function_of_path(uri) : std::string();
  out->uri = uri;
  out->method = integration.httpMethod.value_or("ANY");
  out->as_caller = integration.credentials == kCallerCredentials;
  if (!out->as_caller) out->credentials_arn = integration.credentials.value_or("");
  out->format_v1 = true;
  out->timeout = std::chrono::milliseconds(integration.timeoutInMillis.value_or(kLongestTimeout));
  if (out->kind == Kind::kMock) add_mock(integration, *out);
  if (out->kind == Kind::kHttp) add_parameters(integration, *out);
  return out;
}

std::shared_ptr<const gateway::Authorizer> compiled(const wire::Authorizer& authorizer, std::uint64_t generation,
                                                    const Pairs& variables) {
  auto out = std::make_shared<gateway::Authorizer>();
  out->id = authorizer.id.value_or("");
  out->kind = gateway::Authorizer::Kind::kFunction;
  out->generation = generation;
  if (auto sources = identity_sources(authorizer.identitySource.value_or(""))) out->sources = std::move(*sources);
  out->function_arn =
      gateway::function_of_path(gateway::with_stage_variables(authorizer.authorizerUri.value_or(""), variables));
  out->credentials_arn = authorizer.authorizerCredentials.value_or("");
  out->format_v1 = true;
  out->is_token = authorizer.type == "TOKEN";
  if (const auto expression = authorizer.identityValidationExpression.value_or(""); !expression.empty()) {
    out->is_valid_token = aws::matcher_of(expression);
    // It was checked when it came; what cannot be decided is a denial.
    if (!out->is_valid_token) out->is_valid_token = [](std::string_view) { return false; };
  }
  out->ttl = std::chrono::seconds(authorizer.authorizerResultTtlInSeconds.value_or(kUsualTtl));
  return out;
}

std::optional<RateLimits> limits_of(const wire::MethodSetting* settings) {
  if (settings == nullptr) return std::nullopt;
  // -1 says that there is none.
  if (settings->throttlingRateLimit.value_or(0) < 0 || settings->throttlingBurstLimit.value_or(0) < 0)
    return std::nullopt;
  return gateway::limits_from(settings->throttlingRateLimit, settings->throttlingBurstLimit);
}

using Authorizers = std::map<std::string, std::shared_ptr<const gateway::Authorizer>>;

gateway::Route route_of(const wire::Resource& resource, const wire::Method& method, const Authorizers& authorizers,
                        const Pairs& variables) {
  using Access = gateway::Route::Access;
  gateway::Route out;
  out.text = method.httpMethod.value_or("") + " " + resource.path.value_or("/");
  if (auto key = gateway::parse_route_key(out.text)) out.key = std::move(*key);
  out.resource_id = resource.id.value_or("");
  out.operation_name = method.operationName.value_or("");
  out.needs_key = method.apiKeyRequired.value_or(false);
  const auto type = method.authorizationType.value_or("");
  if (type == "NONE") out.access = Access::kOpen;
  if (type == "AWS_IAM") out.access = Access::kIam;
  const auto authorizer = authorizers.find(method.authorizerId.value_or(""));
  // Without its authorizer it stays closed.
  if (type == "CUSTOM" && authorizer != authorizers.end()) {
    out.access = Access::kAuthorizer;
    out.authorizer = authorizer->second;
  }
  if (method.methodIntegration) out.integration = compiled(*method.methodIntegration, out.resource_id, variables);
  return out;
}

std::shared_ptr<const gateway::RestSettings> rest_of(const ApiRecord& record, const Configuration& configuration,
                                                     const std::string& deployment_id) {
  auto out = std::make_shared<gateway::RestSettings>();
  out->deployment_id = deployment_id;
  out->binary_types = configuration.binary_types;
  out->key_from_authorizer = configuration.key_source == "AUTHORIZER";
  if (configuration.policy) {
    auto parsed = identity::Policy::parse(whole_policy(record, *configuration.policy), identity::PolicyKind::kResource,
                                          identity::Policy::kLongest);
    out->policy_is_broken = !parsed;
    if (parsed) out->policy = std::move(*parsed);
  }
  for (const auto& [type, answer] : configuration.answers) {
    gateway::GatewayAnswer own;
    if (answer.statusCode) own.status = int_of(*answer.statusCode);
    own.headers = headers_of(answer.responseParameters, "gatewayresponse.header.");
    if (auto body = body_of(answer.responseTemplates)) {
      own.content_type = std::move(body->first);
      own.body = std::move(body->second);
    }
    out->answers[type] = std::move(own);
  }
  return out;
}

// A method's own setting, or the one of all methods, which is for GET alone, as documented.
std::shared_ptr<const gateway::CacheRule> cache_of(const wire::Stage& stage, const std::string& path,
                                                   const std::string& method_name, const wire::Method& method) {
  using Unauthorized = gateway::CacheRule::Unauthorized;
  if (!stage.cacheClusterEnabled.value_or(false) || !method.methodIntegration) return nullptr;
  const auto* all = settings_of_all(stage);
  const auto* settings = settings_of(stage, path, method_name);
  if (settings == nullptr || !settings->cachingEnabled) {
    if (all == nullptr || method_name != "GET" || !all->cachingEnabled.value_or(false)) return nullptr;
    settings = all;
  }
  if (!settings->cachingEnabled.value_or(false)) return nullptr;
  auto out = std::make_shared<gateway::CacheRule>();
  if (settings->cacheTtlInSeconds) out->ttl = std::chrono::seconds(*settings->cacheTtlInSeconds);
  if (out->ttl.count() == 0) return nullptr;
  out->invalidation_needs_right = settings->requireAuthorizationForCacheControl.value_or(true);
  const auto strategy = settings->unauthorizedCacheControlHeaderStrategy.value_or("");
  if (strategy == "FAIL_WITH_403") out->unauthorized = Unauthorized::kRefuse;
  if (strategy == "SUCCEED_WITHOUT_RESPONSE_HEADER") out->unauthorized = Unauthorized::kIgnore;
  for (const auto& name : method.methodIntegration->cacheKeyParameters.value_or(Strings())) {
    auto parameter = cache_parameter(*method.methodIntegration, name);
    if (!parameter) return nullptr;  // what cannot be told apart is not kept
    out->parameters.push_back(std::move(*parameter));
  }
  return out;
}

void add_routes(Core& core, const wire::Stage& stage, const std::string& name, const wire::Resource& resource,
                const Authorizers& authorizers, gateway::Stage& out) {
  if (!resource.resourceMethods || resource.resourceMethods->empty()) return;
  const auto add = [&](gateway::Route route) {
    const auto added = out.table.add(route.key, out.routes.size());
    if (added) out.routes.push_back(std::move(route));
  };
  bool any = false;
  for (const auto& [method_name, method] : *resource.resourceMethods) {
    auto route = route_of(resource, method, authorizers, out.variables);
    const auto limits = limits_of(settings_of(stage, resource.path.value_or("/"), method_name));
    route.bucket = core.gateway.bucket(name + "/" + route.text, limits);
    route.cache = cache_of(stage, resource.path.value_or("/"), method_name, method);
    any = any || method_name == "ANY";
    add(std::move(route));
  }
  if (any) return;
  // The resource is chosen before the method: what it has no method for is no other resource's.
  gateway::Route none;
  none.text = "ANY " + resource.path.value_or("/");
  if (auto key = gateway::parse_route_key(none.text)) none.key = std::move(*key);
  none.has_no_method = true;
  none.resource_id = resource.id.value_or("");
  add(std::move(none));
}

void add_logs(const wire::Stage& stage, gateway::Stage& out) {
  const auto& logs = stage.accessLogSettings;
  if (logs && logs->destinationArn && logs->format) gateway::set_access_log(out, *logs->destinationArn, *logs->format);
}

gateway::StagePtr stage_of(Core& core, const ApiRecord& record, const wire::Stage& stage,
                           const Configuration& configuration) {
  auto out = std::make_shared<gateway::Stage>();
  out->name = stage.stageName.value_or("");
  out->variables = stage.variables.value_or(Pairs());
  out->rest = rest_of(record, configuration, stage.deploymentId.value_or(""));
  Authorizers authorizers;
  for (const auto& [id, one] : configuration.authorizers)
    authorizers[id] = compiled(one, record.generation, out->variables);
  const auto name = record.id() + "/" + out->name;
  out->bucket = core.gateway.bucket(name, limits_of(settings_of_all(stage)));
  for (const auto& [id, resource] : configuration.resources) add_routes(core, stage, name, resource, authorizers, *out);
  add_logs(stage, *out);
  return out;
}

}  // namespace

std::string whole_policy(const ApiRecord& record, const std::string& policy) {
  auto document = parse_json(policy);
  if (!document || !document->is_object()) return policy;
  const auto start = fmt::format("arn:aws:execute-api:{}:{}:{}", record.region, record.account, record.id());
  const auto write_out = [&](json::value& resource) {
    constexpr std::string_view kShort = "execute-api:/";
    if (resource.is_string() && std::string_view(resource.get_string()).starts_with(kShort))
      resource = start + std::string(resource.get_string().subview(kShort.size() - 1));
  };
  const auto each = [&](json::value& statement) {
    if (!statement.is_object()) return;
    for (const auto* name : {"Resource", "NotResource"}) {
      auto* resource = statement.get_object().if_contains(name);
      if (resource == nullptr) continue;
      write_out(*resource);
      if (resource->is_array()) {
        for (auto& one : resource->get_array()) write_out(one);
      }
    }
  };
  if (auto* statements = document->get_object().if_contains("Statement")) {
    each(*statements);
    if (statements->is_array()) {
      for (auto& one : statements->get_array()) each(one);
    }
  }
  return to_json(*document);
}

gateway::ApiPtr compile(Core& core, const ApiRecord& record) {
  auto out = std::make_shared<gateway::Api>();
  out->id = record.id();
  out->account = record.account;
  out->region = record.region;
  out->is_rest = true;
  out->own_address_disabled = record.api.disableExecuteApiEndpoint.value_or(false);
  for (const auto& [name, stage] : record.stages) {
    const auto deployed = core.deployments.find(deployment_key(record.id(), stage.deploymentId.value_or("")));
    if (!deployed) continue;  // without what it serves it is no stage
    out->stages[name] = stage_of(core, record, stage, deployed->configuration);
  }
  return out;
}

}  // namespace mayfly::apigateway
