// Routes of WebSocket APIs as the gateway serves them.
#include <algorithm>

#include "gateway/plan_parts.h"
#include "gateway/rest_mapping.h"
#include "gateway/web_socket_mapping.h"
#include "services/apigatewayv2/compile.h"

namespace mayfly::apigatewayv2 {
namespace {

using gateway::Pairs;

std::string text_of(const std::optional<Pairs>& templates, const std::string& key) {
  for (const auto& [name, text] : templates.value_or(Pairs())) {
    if (name == key) return text;
  }
  return {};
}

// The most exact key that takes a status.
const wire::IntegrationResponse* response_for(const Configuration& configuration, const std::string& integration_id,
                                              int status) {
  const wire::IntegrationResponse* fallback = nullptr;
  for (const auto& [place, one] : entries_below(configuration.integration_responses, integration_id)) {
    const auto response_key = one.IntegrationResponseKey.value_or("");
    if (gateway::takes_status(response_key, status)) return &one;
    if (response_key == "$default") fallback = &one;
  }
  return fallback;
}

void set_mock(const Configuration& configuration, const wire::Integration& integration, gateway::Integration& out) {
  const auto chosen = gateway::fixed_selection(integration.TemplateSelectionExpression.value_or("$default"));
  out.mock_status = gateway::parse_mock_status(text_of(integration.RequestTemplates, chosen.value_or("")));
  if (!out.mock_status) return;
  auto& answer = out.mock_answer.emplace();
  answer.status = *out.mock_status;
  const auto* response = response_for(configuration, out.id, answer.status);
  if (response == nullptr) return;
  const auto selected = gateway::fixed_selection(response->TemplateSelectionExpression.value_or("$default"));
  auto body = gateway::parse_answer_template(text_of(response->ResponseTemplates, selected.value_or("")));
  if (body) answer.body = std::move(*body);
}

std::shared_ptr<const gateway::Integration> web_socket_integration(const Configuration& configuration,
                                                                   const wire::Integration& integration,
                                                                   const Pairs& variables) {
  using Kind = gateway::Integration::Kind;
  auto out = std::make_shared<gateway::Integration>();
  out->id = integration.IntegrationId.value_or("");
  out->uri = gateway::with_stage_variables(integration.IntegrationUri.value_or(""), variables);
  out->method = integration.IntegrationMethod.value_or("POST");
  out->credentials_arn = integration.CredentialsArn.value_or("");
  out->timeout = std::chrono::milliseconds(integration.TimeoutInMillis.value_or(kLongestWebSocketTimeout));
  if (integration.IntegrationType == "AWS_PROXY") {
    out->kind = Kind::kFunction;
    out->function_arn = function_of(out->uri);
    out->keeps_base64 = integration.ContentHandlingStrategy == "CONVERT_TO_TEXT";
  } else if (integration.IntegrationType == "MOCK") {
    out->kind = Kind::kMock;
    set_mock(configuration, integration, *out);
  } else {
    out->kind = Kind::kHttp;
    for (const auto& [key, value] : integration.RequestParameters.value_or(Pairs())) {
      auto mapping = gateway::parse_integration_parameter(key, value);
      if (mapping) out->request.push_back(std::move(*mapping));
    }
  }
  return out;
}

std::shared_ptr<const gateway::Authorizer> web_socket_authorizer(const wire::Authorizer& authorizer,
                                                                 std::uint64_t generation, const Pairs& variables) {
  auto out = std::make_shared<gateway::Authorizer>();
  out->id = authorizer.AuthorizerId.value_or("");
  out->generation = generation;
  out->kind = gateway::Authorizer::Kind::kFunction;
  out->function_arn = function_of(gateway::with_stage_variables(authorizer.AuthorizerUri.value_or(""), variables));
  out->credentials_arn = authorizer.AuthorizerCredentialsArn.value_or("");
  out->format_v1 = true;
  for (const auto& source : authorizer.IdentitySource.value_or(std::vector<std::string>())) {
    auto parsed = gateway::parse_identity_source(source);
    if (parsed) out->sources.push_back(std::move(*parsed));
  }
  return out;
}

// A route answers where it has both the expression and the response that it selects.
bool has_answer(const Configuration& configuration, const wire::Route& route) {
  if (route.RouteResponseSelectionExpression != "$default") return false;
  const auto responses = entries_below(configuration.route_responses, route.RouteId.value_or(""));
  return std::ranges::any_of(responses, [](const auto& one) { return one.second.RouteResponseKey == "$default"; });
}

}  // namespace

void add_web_socket_routes(Core& core, const ApiRecord& record, const wire::Stage& stage,
                           const Configuration& configuration, gateway::Stage& out) {
  using Access = gateway::Route::Access;
  auto routes = std::make_shared<gateway::WebSocketRoutes>();
  auto selection = gateway::parse_route_selection(configuration.route_selection);
  if (selection) routes->selection = std::move(*selection);
  for (const auto& [id, one] : configuration.routes) {
    gateway::Route route;
    route.text = one.RouteKey.value_or("");
    const auto type = one.AuthorizationType.value_or("NONE");
    if (type == "NONE") route.access = Access::kOpen;
    if (type == "AWS_IAM") route.access = Access::kIam;
    const auto authorizer = configuration.authorizers.find(one.AuthorizerId.value_or(""));
    // Without its authorizer it stays closed.
    if (type == "CUSTOM" && authorizer != configuration.authorizers.end()) {
      route.access = Access::kAuthorizer;
      route.authorizer = web_socket_authorizer(authorizer->second, record.generation, out.variables);
    }
    constexpr std::string_view kTarget = "integrations/";
    const auto target = one.Target.value_or("");
    const auto integration =
        configuration.integrations.find(target.starts_with(kTarget) ? target.substr(kTarget.size()) : std::string());
    if (integration != configuration.integrations.end())
      route.integration = web_socket_integration(configuration, integration->second, out.variables);
    route.bucket = route_bucket(core, record, stage, route.text);
    route.answers = has_answer(configuration, one);
    routes->by_key[route.text] = out.routes.size();
    out.routes.push_back(std::move(route));
  }
  out.web_socket = std::move(routes);
}

}  // namespace mayfly::apigatewayv2
