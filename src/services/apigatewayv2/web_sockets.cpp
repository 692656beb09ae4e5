// What WebSocket APIs take in their settings, and what is refused because it would not be carried out.
#include <fmt/core.h>

#include <algorithm>

#include "gateway/plan_parts.h"
#include "gateway/rest_mapping.h"
#include "gateway/web_socket_mapping.h"
#include "services/apigatewayv2/core.h"

namespace mayfly::apigatewayv2 {
namespace {

constexpr std::string_view kForHttp = "it is for HTTP APIs";
constexpr std::string_view kNoModels = "models are not implemented";
constexpr std::size_t kLongestRouteKey = 128;
constexpr std::size_t kLongestSelection = 512;  // each of its variables reads a message once

aws::ApiResult<void> check_function_integration(wire::Integration& integration) {
  const auto uri = integration.IntegrationUri.value_or("");
  if (function_of(uri).empty() && uri.find("${stageVariables.") == std::string::npos)
    return refuse_input("Invalid function specified as IntegrationUri: it must be the ARN of a Lambda function");
  if (integration.RequestParameters && !integration.RequestParameters->empty())
    return refuse_unsupported("RequestParameters", "an AWS_PROXY integration gets its event and nothing else");
  integration.IntegrationMethod = integration.IntegrationMethod.value_or("POST");
  return {};
}

aws::ApiResult<void> check_http_integration(const wire::Integration& integration) {
  const auto uri = integration.IntegrationUri.value_or("");
  const bool variable = uri.find("${stageVariables.") != std::string::npos;
  if (!gateway::is_url(uri) && !variable) return refuse_input("Invalid HTTP endpoint specified for URI");
  if (gateway::has_variable_host(uri))
    return refuse_input("Invalid HTTP endpoint specified for URI: its host has a variable");
  if (integration.CredentialsArn) return refuse_input("CredentialsArn is not for integrations of type HTTP_PROXY");
  if (!integration.IntegrationMethod)
    return refuse_input("HttpMethod must be specified for integrations of type HTTP_PROXY");
  for (const auto& [key, value] : integration.RequestParameters.value_or(gateway::Pairs())) {
    if (const auto parsed = gateway::parse_integration_parameter(key, value); !parsed)
      return refuse_input(parsed.error().message);
  }
  return {};
}

// A MOCK integration answers by its request template alone: {"statusCode": 200}.
aws::ApiResult<void> check_mock_integration(const wire::Integration& integration) {
  if (integration.RequestParameters && !integration.RequestParameters->empty())
    return refuse_unsupported("RequestParameters", "a MOCK integration asks nobody");
  if (!gateway::fixed_selection(integration.TemplateSelectionExpression.value_or("")))
    return refuse_unsupported("TemplateSelectionExpression", "an expression with variables is not implemented");
  for (const auto& [key, text] : integration.RequestTemplates.value_or(gateway::Pairs())) {
    if (!gateway::parse_mock_status(text))
      return refuse_unsupported("RequestTemplates " + key,
                                "of a MOCK integration only {\"statusCode\": number} is implemented");
  }
  return {};
}

aws::ApiResult<void> check_common_settings(const wire::Integration& integration) {
  const auto type = integration.IntegrationType.value_or("");
  if (integration.ConnectionType.value_or("INTERNET") != "INTERNET" || integration.ConnectionId)
    return refuse_unsupported("ConnectionType VPC_LINK", "there are no VPC links");
  // A message is text as it comes; an answer in base64 stays it.
  if (integration.ContentHandlingStrategy &&
      (type != "AWS_PROXY" || integration.ContentHandlingStrategy != "CONVERT_TO_TEXT"))
    return refuse_unsupported("ContentHandlingStrategy " + *integration.ContentHandlingStrategy,
                              "implemented is CONVERT_TO_TEXT of integrations of type AWS_PROXY");
  if (integration.PassthroughBehavior.value_or("WHEN_NO_MATCH") != "WHEN_NO_MATCH")
    return refuse_unsupported("PassthroughBehavior", "a proxy integration passes everything on");
  if (integration.TlsConfig) return refuse_unsupported("TlsConfig", "it is for private integrations");
  if (integration.IntegrationSubtype)
    return refuse_unsupported("IntegrationSubtype", "integrations with AWS services are not implemented");
  if (integration.ResponseParameters) return refuse_unsupported("ResponseParameters", kForHttp);
  if (integration.PayloadFormatVersion.value_or("1.0") != "1.0")
    return refuse_unsupported("PayloadFormatVersion 2.0", kForHttp);
  const bool templates = integration.RequestTemplates && !integration.RequestTemplates->empty();
  if (type != "MOCK" && templates)
    return refuse_unsupported("RequestTemplates", "they are implemented for integrations of type MOCK");
  if (type != "MOCK" && integration.TemplateSelectionExpression)
    return refuse_unsupported("TemplateSelectionExpression", "it is implemented for integrations of type MOCK");
  return {};
}

}  // namespace

aws::ApiResult<void> check_web_socket_api(const wire::Api& api) {
  const auto selection = api.RouteSelectionExpression.value_or("");
  if (selection.empty())
    return refuse_input("RouteSelectionExpression is a required parameter for APIs with protocol type WEBSOCKET");
  if (selection.size() > kLongestSelection)
    return refuse_input(fmt::format("RouteSelectionExpression is longer than {} characters", kLongestSelection));
  if (const auto parsed = gateway::parse_route_selection(selection); !parsed)
    return refuse_input("Invalid RouteSelectionExpression specified: " + parsed.error().message);
  if (api.ApiKeySelectionExpression.value_or("$request.header.x-api-key") != "$request.header.x-api-key")
    return refuse_unsupported("ApiKeySelectionExpression", "API keys of WebSocket APIs are not implemented");
  return {};
}

aws::ApiResult<void> check_web_socket_integration(wire::Integration& integration) {
  if (auto checked = check_common_settings(integration); !checked) return checked;
  const auto type = integration.IntegrationType.value_or("");
  aws::ApiResult<void> checked;
  if (type == "AWS_PROXY") {
    checked = check_function_integration(integration);
  } else if (type == "HTTP_PROXY") {
    checked = check_http_integration(integration);
  } else if (type == "MOCK") {
    checked = check_mock_integration(integration);
  } else {
    return refuse_unsupported("IntegrationType " + type,
                              "AWS_PROXY, HTTP_PROXY and MOCK are implemented: others need mapping templates");
  }
  if (!checked) return checked;
  if (integration.IntegrationUri.value_or("").find_first_of(" \r\n\t") != std::string::npos)
    return refuse_input("Invalid IntegrationUri specified");
  integration.ConnectionType = "INTERNET";
  integration.PassthroughBehavior = "WHEN_NO_MATCH";
  integration.PayloadFormatVersion = "1.0";
  if (type != "AWS_PROXY") integration.IntegrationResponseSelectionExpression = "${integration.response.statuscode}";
  const auto timeout = integration.TimeoutInMillis.value_or(kLongestWebSocketTimeout);
  if (timeout < kShortestTimeout || timeout > kLongestWebSocketTimeout)
    return refuse_input(
        fmt::format("Timeout should be between {} ms and {} ms", kShortestTimeout, kLongestWebSocketTimeout));
  integration.TimeoutInMillis = timeout;
  return {};
}

aws::ApiResult<void> check_web_socket_authorizer(wire::Authorizer& authorizer) {
  if (authorizer.AuthorizerType != "REQUEST")
    return refuse_input("Only REQUEST authorizers are supported for WebSocket APIs");
  if (authorizer.JwtConfiguration) return refuse_input("JwtConfiguration is for authorizers of type JWT");
  if (authorizer.AuthorizerPayloadFormatVersion) return refuse_unsupported("AuthorizerPayloadFormatVersion", kForHttp);
  if (authorizer.EnableSimpleResponses.value_or(false)) return refuse_unsupported("EnableSimpleResponses", kForHttp);
  if (authorizer.AuthorizerResultTtlInSeconds.value_or(0) != 0)
    return refuse_unsupported("AuthorizerResultTtlInSeconds", kForHttp);
  if (!authorizer.IdentityValidationExpression.value_or("").empty())
    return refuse_unsupported("IdentityValidationExpression", "it does not apply to REQUEST authorizers");
  const auto uri = authorizer.AuthorizerUri.value_or("");
  if (function_of(uri).empty() && uri.find("${stageVariables.") == std::string::npos)
    return refuse_input("Invalid Authorizer URI: it must be the invocation path of a Lambda function");
  for (const auto& source : authorizer.IdentitySource.value_or(std::vector<std::string>())) {
    if (!gateway::parse_identity_source(source))
      return refuse_input(fmt::format("Invalid identity source specified: {}", source));
  }
  return {};
}

namespace {

aws::ApiResult<void> check_connect_authorization(const Configuration& configuration, wire::Route& route) {
  const auto type = route.AuthorizationType.value_or("NONE");
  route.AuthorizationType = type;
  if (type == "JWT") return refuse_unsupported("AuthorizationType JWT", kForHttp);
  if (route.AuthorizationScopes && !route.AuthorizationScopes->empty())
    return refuse_unsupported("AuthorizationScopes", kForHttp);
  if (type != "NONE" && route.RouteKey != "$connect")
    return refuse_input("Currently, authorization is restricted to the $connect route only");
  if (type != "CUSTOM") {
    route.AuthorizerId.reset();
    return {};
  }
  if (!configuration.authorizers.contains(route.AuthorizerId.value_or("")))
    return refuse_input("Invalid authorizer ID specified");
  return {};
}

aws::ApiResult<void> check_route_key(const std::string& key) {
  const bool reserved = key == "$connect" || key == "$disconnect" || key == "$default";
  const auto visible = [](char c) { return c > ' ' && c <= '~'; };
  if (reserved ||
      (!key.empty() && key.size() <= kLongestRouteKey && key[0] != '$' && std::ranges::all_of(key, visible)))
    return {};
  return refuse_input(
      "The provided route key is not formatted properly for WEBSOCKET protocol. A key may be $connect, $disconnect, "
      "$default or any text without spaces that does not begin with $");
}

}  // namespace

aws::ApiResult<void> check_web_socket_route(const Configuration& configuration, wire::Route& route) {
  if (route.ApiKeyRequired.value_or(false))
    return refuse_unsupported("ApiKeyRequired", "API keys of WebSocket APIs are not implemented");
  if (route.ModelSelectionExpression) return refuse_unsupported("ModelSelectionExpression", kNoModels);
  if (route.RequestModels && !route.RequestModels->empty()) return refuse_unsupported("RequestModels", kNoModels);
  if (route.RequestParameters && !route.RequestParameters->empty())
    return refuse_unsupported("RequestParameters", "parameters of a handshake are not validated");
  if (route.RouteResponseSelectionExpression.value_or("$default") != "$default")
    return refuse_input("Only $default is supported as RouteResponseSelectionExpression");
  route.ApiKeyRequired = false;
  const auto key = route.RouteKey.value_or("");
  if (auto checked = check_route_key(key); !checked) return checked;
  for (const auto& [id, other] : configuration.routes) {
    if (id != route.RouteId && other.RouteKey == key) return refuse_duplicate(key);
  }
  if (auto checked = check_target(configuration, route); !checked) return checked;
  return check_connect_authorization(configuration, route);
}

}  // namespace mayfly::apigatewayv2
