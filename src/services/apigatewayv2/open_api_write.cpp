#include <fmt/core.h>

#include <algorithm>

#include "base/encoding.h"
#include "services/apigatewayv2/open_api_document.h"

namespace mayfly::apigatewayv2 {
namespace {

using Strings = std::vector<std::string>;

json::array array_of(const Strings& list) {
  json::array out;
  for (const auto& one : list) out.emplace_back(one);
  return out;
}

void put(json::object& out, std::string_view name, const std::optional<std::string>& value) {
  if (value) out[name] = *value;
}

json::object integration_of(const wire::Integration& integration) {
  json::object out;
  put(out, "payloadFormatVersion", integration.PayloadFormatVersion);
  put(out, "type", integration.IntegrationType);
  out["httpMethod"] = integration.IntegrationMethod == "ANY" ? "x-amazon-apigateway-any-method"
                                                             : integration.IntegrationMethod.value_or("POST");
  put(out, "uri", integration.IntegrationUri);
  put(out, "credentials", integration.CredentialsArn);
  put(out, "description", integration.Description);
  out["connectionType"] = "INTERNET";
  if (integration.TimeoutInMillis) out["timeoutInMillis"] = *integration.TimeoutInMillis;
  if (integration.RequestParameters) out["requestParameters"] = gateway::object_of(*integration.RequestParameters);
  if (integration.ResponseParameters) {
    json::object by_status;
    for (const auto& [status, parameters] : *integration.ResponseParameters)
      by_status[status] = gateway::object_of(parameters);
    out["responseParameters"] = std::move(by_status);
  }
  return out;
}

json::object scheme_of(const wire::Authorizer& authorizer) {
  const bool jwt = authorizer.AuthorizerType == "JWT";
  json::object inner;
  inner["type"] = jwt ? "jwt" : "request";
  std::string sources;
  for (const auto& source : authorizer.IdentitySource.value_or(Strings()))
    sources += (sources.empty() ? "" : ", ") + source;
  if (!sources.empty()) inner["identitySource"] = sources;
  if (authorizer.JwtConfiguration) {
    json::object configuration;
    put(configuration, "issuer", authorizer.JwtConfiguration->Issuer);
    configuration["audience"] = array_of(authorizer.JwtConfiguration->Audience.value_or(Strings()));
    inner["jwtConfiguration"] = std::move(configuration);
  }
  put(inner, "authorizerUri", authorizer.AuthorizerUri);
  put(inner, "authorizerCredentials", authorizer.AuthorizerCredentialsArn);
  put(inner, "authorizerPayloadFormatVersion", authorizer.AuthorizerPayloadFormatVersion);
  if (authorizer.AuthorizerResultTtlInSeconds && !jwt)
    inner["authorizerResultTtlInSeconds"] = *authorizer.AuthorizerResultTtlInSeconds;
  if (authorizer.EnableSimpleResponses) inner["enableSimpleResponses"] = *authorizer.EnableSimpleResponses;
  json::object out;
  out["type"] = jwt ? "oauth2" : "apiKey";
  if (!jwt) {
    out["name"] = "Unused";
    out["in"] = "header";
  }
  out["x-amazon-apigateway-authorizer"] = std::move(inner);
  return out;
}

json::object cors_of(const wire::Cors& cors) {
  json::object out;
  const auto list = [&](std::string_view name, const std::optional<Strings>& values) {
    if (values) out[name] = array_of(*values);
  };
  list("allowOrigins", cors.AllowOrigins);
  list("allowMethods", cors.AllowMethods);
  list("allowHeaders", cors.AllowHeaders);
  list("exposeHeaders", cors.ExposeHeaders);
  if (cors.AllowCredentials) out["allowCredentials"] = *cors.AllowCredentials;
  if (cors.MaxAge) out["maxAge"] = *cors.MaxAge;
  return out;
}

json::object operation_of(const wire::Route& route, const Configuration& configuration, bool with_extensions) {
  json::object answer;
  answer["description"] = "Default response for " + route.RouteKey.value_or("");
  json::object responses;
  responses["default"] = std::move(answer);
  json::object out;
  put(out, "operationId", route.OperationName);
  out["responses"] = std::move(responses);
  const auto authorizer = configuration.authorizers.find(route.AuthorizerId.value_or(""));
  std::string scheme;
  if (authorizer != configuration.authorizers.end()) scheme = authorizer->second.Name.value_or("");
  if (route.AuthorizationType == "AWS_IAM") scheme = "sigv4";
  if (!scheme.empty()) {
    json::object requirement;
    requirement[scheme] = array_of(route.AuthorizationScopes.value_or(Strings()));
    out["security"] = json::array{std::move(requirement)};
  }
  if (!with_extensions) return out;
  constexpr std::string_view kTarget = "integrations/";
  const auto target = route.Target.value_or("");
  const auto integration =
      configuration.integrations.find(target.starts_with(kTarget) ? target.substr(kTarget.size()) : "");
  if (integration != configuration.integrations.end())
    out["x-amazon-apigateway-integration"] = integration_of(integration->second);
  if (route.RouteKey == "$default") out["isDefaultRoute"] = true;
  return out;
}

}  // namespace

json::object write_open_api(const ApiRecord& record, const Configuration& configuration, const std::string& endpoint,
                            std::string_view stage, bool with_extensions) {
  json::object info;
  put(info, "title", record.api.Name);
  put(info, "description", record.api.Description);
  info["version"] = record.api.Version.value_or("1.0");
  json::object server;
  server["url"] = stage.empty() || stage == "$default" ? endpoint : fmt::format("{}/{}", endpoint, stage);
  json::object paths;
  bool has_signed = false;
  for (const auto& [id, route] : configuration.routes) {
    const auto key = route.RouteKey.value_or("");
    const auto space = key.find(' ');
    const auto path = space == std::string::npos ? "/" + key : key.substr(space + 1);
    const auto name = space == std::string::npos ? std::string("ANY") : key.substr(0, space);
    const auto method = name == "ANY" ? std::string("x-amazon-apigateway-any-method") : to_lower(name);
    auto& item = paths[path];
    if (!item.is_object()) item.emplace_object();
    item.get_object()[method] = operation_of(route, configuration, with_extensions);
    has_signed = has_signed || route.AuthorizationType == "AWS_IAM";
  }
  json::object schemes;
  for (const auto& [id, authorizer] : configuration.authorizers)
    schemes[authorizer.Name.value_or("")] = scheme_of(authorizer);
  if (has_signed) {
    json::object signature;
    signature["type"] = "apiKey";
    signature["name"] = "Authorization";
    signature["in"] = "header";
    signature["x-amazon-apigateway-authtype"] = "awsSigv4";
    schemes["sigv4"] = std::move(signature);
  }
  json::object out;
  out["openapi"] = "3.0.1";
  out["info"] = std::move(info);
  out["servers"] = json::array{std::move(server)};
  out["paths"] = std::move(paths);
  if (!schemes.empty()) {
    json::object components;
    components["securitySchemes"] = std::move(schemes);
    out["components"] = std::move(components);
  }
  if (!with_extensions) return out;
  if (configuration.cors) out["x-amazon-apigateway-cors"] = cors_of(*configuration.cors);
  out["x-amazon-apigateway-importexport-version"] = "1.0";
  return out;
}

}  // namespace mayfly::apigatewayv2
