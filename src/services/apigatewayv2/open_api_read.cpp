#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <set>

#include "base/encoding.h"
#include "services/apigatewayv2/open_api_document.h"
#include "services/documents.h"

namespace mayfly::apigatewayv2 {
namespace {

using services::resolved;
using services::text_of;

using Strings = std::vector<std::string>;

std::string upper(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  return out;
}

Strings strings_of(const json::value* value) {
  Strings out;
  if (value == nullptr) return out;
  if (value->is_array()) {
    for (const auto& one : value->get_array()) {
      if (one.is_string()) out.emplace_back(one.get_string());
    }
    return out;
  }
  if (!value->is_string()) return out;
  // "a, b": several in one text.
  std::string_view rest = value->get_string();
  while (!rest.empty()) {
    const auto end = std::min(rest.find(','), rest.size());
    if (const auto one = trim(rest.substr(0, end)); !one.empty()) out.emplace_back(one);
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return out;
}

gateway::Pairs pairs_of(const json::value& value) {
  gateway::Pairs out;
  if (!value.is_object()) return out;
  for (const auto& [name, text] : value.get_object()) {
    if (text.is_string()) out.emplace_back(std::string(name), std::string(text.get_string()));
  }
  return out;
}

class Reader {
 public:
  explicit Reader(const json::value& document) : document_(document) {}

  aws::ApiResult<OpenApi> read() {
    if (!get_string(document_, "openapi").starts_with("3.")) return refuse_input("The document must be OpenAPI 3");
    const auto* info = find(document_, "info");
    if (info == nullptr || get_string(*info, "title").empty()) return refuse_input("info.title is required");
    out_.title = get_string(*info, "title");
    out_.description = text_of(*info, "description");
    out_.version = text_of(*info, "version");
    read_tags();
    if (auto done = read_cors(); !done) return std::unexpected(std::move(done.error()));
    if (auto done = read_schemes(); !done) return std::unexpected(std::move(done.error()));
    if (auto done = read_paths(); !done) return std::unexpected(std::move(done.error()));
    return std::move(out_);
  }

 private:
  void read_tags() {
    const auto* tags = find(document_, "tags");
    if (tags == nullptr || !tags->is_array()) return;
    for (const auto& tag : tags->get_array()) {
      const auto value = text_of(tag, "x-amazon-apigateway-tag-value");
      if (value) out_.tags.emplace_back(std::string(get_string(tag, "name")), *value);
    }
  }

  aws::ApiResult<void> read_cors() {
    const auto* given = find(document_, "x-amazon-apigateway-cors");
    if (given == nullptr) return {};
    wire::Cors cors;
    const auto list = [&](std::string_view name) -> std::optional<Strings> {
      const auto* value = find(*given, name);
      if (value == nullptr) return std::nullopt;
      return strings_of(value);
    };
    cors.AllowOrigins = list("allowOrigins");
    cors.AllowMethods = list("allowMethods");
    cors.AllowHeaders = list("allowHeaders");
    cors.ExposeHeaders = list("exposeHeaders");
    if (find(*given, "allowCredentials") != nullptr)
      cors.AllowCredentials = get_bool(*given, "allowCredentials", false);
    if (find(*given, "maxAge") != nullptr) cors.MaxAge = static_cast<std::int32_t>(get_int(*given, "maxAge"));
    if (auto checked = check_cors(cors); !checked) return checked;
    out_.configuration.cors = std::move(cors);
    return {};
  }

  aws::ApiResult<void> read_schemes() {
    const auto* components = find(document_, "components");
    const auto* schemes = components == nullptr ? nullptr : find(*components, "securitySchemes");
    if (schemes == nullptr || !schemes->is_object()) return {};
    for (const auto& [name, scheme] : schemes->get_object()) {
      if (get_string(scheme, "x-amazon-apigateway-authtype") == "awsSigv4") {
        signed_.emplace_back(name);
        continue;
      }
      const auto* given = find(scheme, "x-amazon-apigateway-authorizer");
      if (given == nullptr) {
        out_.warnings.push_back(fmt::format(
            "The security scheme {} has no x-amazon-apigateway-authorizer and is left out", std::string_view(name)));
        continue;
      }
      if (auto done = read_authorizer(std::string(name), *given); !done) return done;
    }
    return {};
  }

  aws::ApiResult<void> read_authorizer(std::string name, const json::value& given) {
    wire::Authorizer authorizer;
    authorizer.AuthorizerId = new_id(6);
    authorizer.Name = name;
    authorizer.AuthorizerType = upper(get_string(given, "type"));
    authorizer.IdentitySource = strings_of(find(given, "identitySource"));
    authorizer.AuthorizerUri = text_of(given, "authorizerUri");
    authorizer.AuthorizerCredentialsArn = text_of(given, "authorizerCredentials");
    authorizer.AuthorizerPayloadFormatVersion = text_of(given, "authorizerPayloadFormatVersion");
    if (find(given, "authorizerResultTtlInSeconds") != nullptr)
      authorizer.AuthorizerResultTtlInSeconds =
          static_cast<std::int32_t>(get_int(given, "authorizerResultTtlInSeconds"));
    if (find(given, "enableSimpleResponses") != nullptr)
      authorizer.EnableSimpleResponses = get_bool(given, "enableSimpleResponses", false);
    if (const auto* jwt = find(given, "jwtConfiguration")) {
      wire::JWTConfiguration configuration;
      configuration.Issuer = text_of(*jwt, "issuer");
      configuration.Audience = strings_of(find(*jwt, "audience"));
      authorizer.JwtConfiguration = std::move(configuration);
    }
    if (out_.configuration.authorizers.size() >= kMostAuthorizers)
      return refuse_limit("AuthorizersPerApi", kMostAuthorizers);
    if (auto checked = check_authorizer(authorizer); !checked) return checked;
    authorizers_[name] = *authorizer.AuthorizerId;
    out_.configuration.authorizers[*authorizer.AuthorizerId] = std::move(authorizer);
    return {};
  }

  aws::ApiResult<void> read_paths() {
    static constexpr std::array<std::string_view, 8> kMethods = {
        "get", "put", "post", "delete", "options", "head", "patch", "x-amazon-apigateway-any-method"};
    const auto* paths = find(document_, "paths");
    if (paths == nullptr || !paths->is_object()) return refuse_input("paths is required");
    for (const auto& [path, item] : paths->get_object()) {
      if (!item.is_object()) continue;
      for (const auto& [method, operation] : item.get_object()) {
        if (std::ranges::find(kMethods, std::string_view(method)) == kMethods.end()) continue;
        if (auto done = read_operation(std::string(path), std::string(method), operation); !done) return done;
      }
    }
    return {};
  }

  aws::ApiResult<void> read_operation(const std::string& path, const std::string& method,
                                      const json::value& operation) {
    wire::Route route;
    route.RouteId = new_id(7);
    const bool any = method.starts_with("x-");
    route.RouteKey = path == "/$default" ? "$default" : (any ? "ANY" : upper(method)) + " " + path;
    route.OperationName = text_of(operation, "operationId");
    const auto* given = resolved(document_, find(operation, "x-amazon-apigateway-integration"));
    if (given == nullptr) {
      out_.warnings.push_back(fmt::format("{} has no integration", *route.RouteKey));
    } else {
      auto id = read_integration(*given);
      if (!id) return std::unexpected(std::move(id.error()));
      route.Target = "integrations/" + *id;
    }
    const auto* security = find(operation, "security");
    if (security == nullptr) security = find(document_, "security");
    if (auto done = read_security(security, route); !done) return done;
    if (out_.configuration.routes.size() >= kMostRoutes) return refuse_limit("RoutesPerApi", kMostRoutes);
    if (auto checked = check_route(out_.configuration, route); !checked) return checked;
    if (!shapes_.insert(shape_of(*route.RouteKey)).second) return refuse_duplicate(*route.RouteKey);
    out_.configuration.routes[*route.RouteId] = std::move(route);
    return {};
  }

  aws::ApiResult<void> read_security(const json::value* security, wire::Route& route) {
    if (security == nullptr || !security->is_array()) return {};
    for (const auto& requirement : security->get_array()) {
      if (!requirement.is_object()) continue;
      for (const auto& [name, scopes] : requirement.get_object()) {
        if (std::ranges::find(signed_, std::string_view(name)) != signed_.end()) {
          route.AuthorizationType = "AWS_IAM";
          return {};
        }
        const auto authorizer = authorizers_.find(std::string(name));
        // A route must not stand open because its guard was not understood.
        if (authorizer == authorizers_.end())
          return refuse_input(fmt::format("{} needs the security scheme {}, which is no authorizer", *route.RouteKey,
                                          std::string_view(name)));
        route.AuthorizerId = authorizer->second;
        const bool jwt = out_.configuration.authorizers.at(authorizer->second).AuthorizerType == "JWT";
        route.AuthorizationType = jwt ? "JWT" : "CUSTOM";
        if (auto wanted = strings_of(&scopes); !wanted.empty()) route.AuthorizationScopes = std::move(wanted);
        return {};
      }
    }
    return {};
  }

  aws::ApiResult<std::string> read_integration(const json::value& given) {
    wire::Integration integration;
    integration.IntegrationId = new_id(7);
    integration.IntegrationType = upper(get_string(given, "type"));
    integration.IntegrationMethod = text_of(given, "httpMethod");
    if (integration.IntegrationMethod == "x-amazon-apigateway-any-method") integration.IntegrationMethod = "ANY";
    integration.IntegrationUri = text_of(given, "uri");
    integration.CredentialsArn = text_of(given, "credentials");
    integration.Description = text_of(given, "description");
    integration.PayloadFormatVersion = text_of(given, "payloadFormatVersion");
    if (upper(get_string(given, "connectionType", "INTERNET")) != "INTERNET")
      return refuse_unsupported("connectionType VPC_LINK", "there are no VPC links");
    if (find(given, "integrationSubtype") != nullptr)
      return refuse_unsupported("integrationSubtype", "integrations with AWS services are not implemented");
    if (find(given, "tlsConfig") != nullptr) return refuse_unsupported("tlsConfig", "it is for private integrations");
    if (find(given, "timeoutInMillis") != nullptr)
      integration.TimeoutInMillis = static_cast<std::int32_t>(get_int(given, "timeoutInMillis"));
    if (const auto* parameters = find(given, "requestParameters"))
      integration.RequestParameters = pairs_of(*parameters);
    if (const auto* parameters = find(given, "responseParameters"); parameters != nullptr && parameters->is_object()) {
      integration.ResponseParameters.emplace();
      for (const auto& [status, values] : parameters->get_object())
        integration.ResponseParameters->emplace_back(std::string(status), pairs_of(values));
    }
    if (auto checked = check_integration(integration); !checked) return std::unexpected(std::move(checked.error()));
    auto id = *integration.IntegrationId;
    out_.configuration.integrations[id] = std::move(integration);
    return id;
  }

  const json::value& document_;
  OpenApi out_;
  std::map<std::string, std::string> authorizers_;  // scheme to id
  std::set<std::string> shapes_;                    // of the routes so far
  std::vector<std::string> signed_;                 // schemes that are signatures
};

}  // namespace

aws::ApiResult<OpenApi> read_open_api(std::string_view text) {
  const auto document = parse_json(text);
  if (!document)
    return refuse_input("Unable to parse the document as JSON (YAML is not taken): " + document.error().message);
  return Reader(*document).read();
}

}  // namespace mayfly::apigatewayv2
