#include "services/apigateway/open_api.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <set>

#include "base/encoding.h"
#include "base/ids.h"
#include "services/documents.h"

namespace mayfly::apigateway {
namespace {

using services::resolved;
using services::text_of;

constexpr std::size_t kImportedIdLength = 6;

// A number may stand as text and the other way round: "200", 200.
std::optional<std::string> scalar_of(const json::value& document, std::string_view name) {
  const auto* value = find(document, name);
  if (value == nullptr || value->is_null() || value->is_object() || value->is_array()) return std::nullopt;
  return value->is_string() ? std::string(value->get_string()) : to_json(*value);
}

std::optional<Pairs> pairs_of(const json::value& document, std::string_view name) {
  const auto* value = find(document, name);
  if (value == nullptr || !value->is_object()) return std::nullopt;
  Pairs out;
  for (const auto& [key, text] : value->get_object())
    out.emplace_back(std::string(key), text.is_string() ? std::string(text.get_string()) : to_json(text));
  return out;
}

class Reader {
 public:
  Reader(const json::value& document, Configuration base) : document_(document) {
    out_.configuration = std::move(base);
  }

  aws::ApiResult<OpenApi> read() {
    const bool known = get_string(document_, "openapi").starts_with("3.") || scalar_of(document_, "swagger") == "2.0";
    if (!known) return refuse_input("Invalid OpenAPI input.");
    const auto* info = find(document_, "info");
    if (info == nullptr || get_string(*info, "title").empty())
      return refuse_input("Invalid OpenAPI input: info.title is required");
    out_.title = get_string(*info, "title");
    out_.description = text_of(*info, "description");
    out_.version = scalar_of(*info, "version");
    for (const auto step :
         {&Reader::read_settings, &Reader::read_answers, &Reader::read_schemes, &Reader::read_paths}) {
      if (auto done = (this->*step)(); !done) return std::unexpected(std::move(done.error()));
    }
    return std::move(out_);
  }

 private:
  aws::ApiResult<void> read_settings() {
    auto& configuration = out_.configuration;
    if (const auto* policy = find(document_, "x-amazon-apigateway-policy")) configuration.policy = to_json(*policy);
    if (const auto source = text_of(document_, "x-amazon-apigateway-api-key-source")) {
      configuration.key_source = to_upper(*source);
      if (configuration.key_source != "HEADER" && configuration.key_source != "AUTHORIZER")
        return refuse_input("Invalid API key source: it must be HEADER or AUTHORIZER");
    }
    if (const auto* types = find(document_, "x-amazon-apigateway-binary-media-types");
        types != nullptr && types->is_array()) {
      configuration.binary_types.clear();
      for (const auto& type : types->get_array()) {
        if (type.is_string()) configuration.binary_types.emplace_back(type.get_string());
      }
    }
    if (find(document_, "x-amazon-apigateway-minimum-compression-size") != nullptr)
      return refuse_unsupported("x-amazon-apigateway-minimum-compression-size",
                                "answers go out as the integration made them");
    if (find(document_, "x-amazon-apigateway-request-validator") != nullptr)
      return refuse_unsupported("x-amazon-apigateway-request-validator", "requests are not validated against models");
    const auto* endpoint = find(document_, "x-amazon-apigateway-endpoint-configuration");
    if (endpoint != nullptr) {
      if (find(*endpoint, "vpcEndpointIds") != nullptr)
        return refuse_unsupported("vpcEndpointIds", "there are no VPC endpoints");
      if (find(*endpoint, "disableExecuteApiEndpoint") != nullptr)
        out_.own_address_disabled = get_bool(*endpoint, "disableExecuteApiEndpoint", false);
    }
    if (find(document_, "x-amazon-apigateway-documentation") != nullptr)
      out_.warnings.emplace_back("x-amazon-apigateway-documentation is not kept");
    return {};
  }

  aws::ApiResult<void> read_answers() {
    const auto* answers = find(document_, "x-amazon-apigateway-gateway-responses");
    if (answers == nullptr || !answers->is_object()) return {};
    for (const auto& [type, given] : answers->get_object()) {
      wire::GatewayResponse answer;
      answer.responseType = std::string(type);
      answer.defaultResponse = false;
      answer.statusCode = scalar_of(given, "statusCode");
      answer.responseParameters = pairs_of(given, "responseParameters");
      answer.responseTemplates = pairs_of(given, "responseTemplates");
      if (auto checked = check_answer(answer); !checked) return checked;
      out_.configuration.answers[std::string(type)] = std::move(answer);
    }
    return {};
  }

  aws::ApiResult<void> read_schemes() {
    const auto* components = find(document_, "components");
    const auto* schemes = components == nullptr ? nullptr : find(*components, "securitySchemes");
    if (schemes == nullptr) schemes = find(document_, "securityDefinitions");
    if (schemes == nullptr || !schemes->is_object()) return {};
    for (const auto& [name, scheme] : schemes->get_object()) {
      const auto* authorizer = find(scheme, "x-amazon-apigateway-authorizer");
      if (authorizer != nullptr) {
        if (auto done = read_authorizer(std::string(name), scheme, *authorizer); !done) return done;
      } else if (get_string(scheme, "x-amazon-apigateway-authtype") == "awsSigv4") {
        signed_.insert(std::string(name));
      } else if (get_string(scheme, "type") == "apiKey" && iequals(get_string(scheme, "name"), "x-api-key")) {
        keyed_.insert(std::string(name));
      } else {
        out_.warnings.push_back(fmt::format(
            "The security scheme {} has no x-amazon-apigateway-authorizer and is left out", std::string_view(name)));
      }
    }
    return {};
  }

  aws::ApiResult<void> read_authorizer(const std::string& name, const json::value& scheme, const json::value& given) {
    wire::Authorizer authorizer;
    authorizer.name = name;
    authorizer.type = to_upper(get_string(given, "type"));
    authorizer.authType = text_of(scheme, "x-amazon-apigateway-authtype");
    authorizer.authorizerUri = text_of(given, "authorizerUri");
    authorizer.authorizerCredentials = text_of(given, "authorizerCredentials");
    authorizer.identitySource = text_of(given, "identitySource");
    authorizer.identityValidationExpression = text_of(given, "identityValidationExpression");
    if (const auto ttl = scalar_of(given, "authorizerResultTtlInSeconds")) {
      authorizer.authorizerResultTtlInSeconds = int_of(*ttl);
      if (!authorizer.authorizerResultTtlInSeconds) return refuse_input("Invalid authorizerResultTtlInSeconds");
    }
    if (authorizer.type == "TOKEN" && !authorizer.identitySource)
      authorizer.identitySource = fmt::format("method.request.header.{}", get_string(scheme, "name", "Authorization"));
    // A REQUEST authorizer without sources cannot be cached by them.
    if (authorizer.type == "REQUEST" && !authorizer.identitySource && !authorizer.authorizerResultTtlInSeconds)
      authorizer.authorizerResultTtlInSeconds = 0;
    if (auto checked = check_authorizer(authorizer); !checked) return checked;
    auto& all = out_.configuration.authorizers;
    const auto present = std::ranges::find_if(all, [&](const auto& one) { return one.second.name == name; });
    if (present == all.end() && all.size() >= kMostAuthorizers)
      return refuse_limit("Authorizers per API", kMostAuthorizers);
    authorizer.id = present == all.end() ? random_alphanumeric(kImportedIdLength) : present->first;
    authorizers_[name] = *authorizer.id;
    all[*authorizer.id] = std::move(authorizer);
    return {};
  }

  aws::ApiResult<void> read_paths() {
    static constexpr std::array<std::string_view, 8> kMethods = {
        "get", "put", "post", "delete", "options", "head", "patch", "x-amazon-apigateway-any-method"};
    const auto* paths = find(document_, "paths");
    if (paths == nullptr || !paths->is_object()) return refuse_input("Invalid OpenAPI input: paths is required");
    for (const auto& [path, item] : paths->get_object()) {
      auto id = resource_at(out_.configuration, path);
      if (!id) return std::unexpected(std::move(id.error()));
      if (!item.is_object()) continue;
      for (const auto& [name, operation] : item.get_object()) {
        if (std::ranges::find(kMethods, std::string_view(name)) == kMethods.end() || !operation.is_object()) continue;
        if (auto done = read_operation(*id, name, operation); !done) return done;
      }
    }
    return {};
  }

  aws::ApiResult<void> read_operation(const std::string& resource_id, std::string_view name,
                                      const json::value& operation) {
    wire::Method method;
    method.httpMethod = name.starts_with("x-") ? "ANY" : to_upper(name);
    method.operationName = text_of(operation, "operationId");
    method.authorizationType = "NONE";
    if (find(operation, "x-amazon-apigateway-request-validator") != nullptr)
      return refuse_unsupported("x-amazon-apigateway-request-validator", "requests are not validated against models");
    const auto* security = find(operation, "security");
    if (security == nullptr) security = find(document_, "security");
    if (auto done = read_security(security, method); !done) return done;
    if (const auto* auth = find(operation, "x-amazon-apigateway-auth")) {
      const auto type = to_upper(get_string(*auth, "type"));
      if (type == "AWS_IAM") method.authorizationType = "AWS_IAM";
      if (type != "AWS_IAM" && type != "NONE")
        return refuse_unsupported("x-amazon-apigateway-auth " + type, "it must be AWS_IAM or NONE");
    }
    if (auto checked = check_method(out_.configuration, method); !checked) return checked;
    read_responses(operation, method);
    if (const auto* given = resolved(document_, find(operation, "x-amazon-apigateway-integration"))) {
      auto integration = read_integration(resource_id, *given);
      if (!integration) return std::unexpected(std::move(integration.error()));
      method.methodIntegration = std::move(*integration);
    } else {
      out_.warnings.push_back(fmt::format("{} {} has no integration", *method.httpMethod,
                                          out_.configuration.resources.at(resource_id).path.value_or("")));
    }
    const auto key = *method.httpMethod;
    set_pair(out_.configuration.resources.at(resource_id).resourceMethods, key, std::move(method));
    return {};
  }

  static void read_responses(const json::value& operation, wire::Method& method) {
    const auto* responses = find(operation, "responses");
    if (responses == nullptr || !responses->is_object()) return;
    for (const auto& [status, given] : responses->get_object()) {
      constexpr std::size_t kDigits = 3;
      if (status.size() != kDigits || !int_of(status)) continue;  // "default" declares no status
      wire::MethodResponse response;
      response.statusCode = std::string(status);
      if (const auto* headers = find(given, "headers"); headers != nullptr && headers->is_object()) {
        response.responseParameters.emplace();
        for (const auto& [name, header] : headers->get_object())
          response.responseParameters->emplace_back(fmt::format("method.response.header.{}", std::string_view(name)),
                                                    false);
      }
      set_pair(method.methodResponses, std::string(status), std::move(response));
    }
  }

  aws::ApiResult<void> read_security(const json::value* security, wire::Method& method) {
    if (security == nullptr || !security->is_array()) return {};
    for (const auto& requirement : security->get_array()) {
      if (!requirement.is_object()) continue;
      for (const auto& [key, scopes] : requirement.get_object()) {
        const std::string name(key);
        if (name == "NONE") continue;
        if (scopes.is_array() && !scopes.get_array().empty())
          return refuse_unsupported("scopes of " + name, "there are no Cognito user pools");
        if (signed_.contains(name)) {
          method.authorizationType = "AWS_IAM";
        } else if (keyed_.contains(name)) {
          method.apiKeyRequired = true;
        } else if (const auto authorizer = authorizers_.find(name); authorizer != authorizers_.end()) {
          method.authorizationType = "CUSTOM";
          method.authorizerId = authorizer->second;
        } else {
          // A method must not stand open because its guard was not understood.
          return refuse_input(fmt::format("The security scheme {} is no authorizer, signature or API key", name));
        }
      }
    }
    return {};
  }

  static std::string constant_of(std::string_view text) {
    auto out = to_upper(text);
    std::ranges::replace(out, '-', '_');
    return out;
  }

  aws::ApiResult<wire::Integration> read_integration(const std::string& resource_id, const json::value& given) {
    wire::Integration integration;
    integration.type = constant_of(get_string(given, "type"));
    integration.httpMethod = text_of(given, "httpMethod");
    if (integration.httpMethod == "x-amazon-apigateway-any-method") integration.httpMethod = "ANY";
    integration.uri = text_of(given, "uri");
    integration.credentials = text_of(given, "credentials");
    integration.requestParameters = pairs_of(given, "requestParameters");
    integration.requestTemplates = pairs_of(given, "requestTemplates");
    if (const auto behaviour = text_of(given, "passthroughBehavior"))
      integration.passthroughBehavior = constant_of(*behaviour);
    integration.contentHandling = text_of(given, "contentHandling");
    integration.connectionId = text_of(given, "connectionId");
    if (const auto type = text_of(given, "connectionType")) integration.connectionType = constant_of(*type);
    integration.cacheNamespace = text_of(given, "cacheNamespace").value_or(resource_id);
    if (const auto* keys = find(given, "cacheKeyParameters"); keys != nullptr && keys->is_array()) {
      integration.cacheKeyParameters.emplace();
      for (const auto& key : keys->get_array()) {
        if (key.is_string()) integration.cacheKeyParameters->emplace_back(key.get_string());
      }
    }
    if (find(given, "tlsConfig") != nullptr) return refuse_unsupported("tlsConfig", "certificates are always verified");
    if (const auto timeout = scalar_of(given, "timeoutInMillis")) {
      integration.timeoutInMillis = int_of(*timeout);
      if (!integration.timeoutInMillis) return refuse_input("Invalid timeoutInMillis");
    }
    if (auto checked = check_integration(integration); !checked) return std::unexpected(std::move(checked.error()));
    const auto* responses = find(given, "responses");
    if (responses == nullptr || !responses->is_object()) return integration;
    for (const auto& [pattern, answer] : responses->get_object()) {
      wire::IntegrationResponse response;
      response.statusCode = scalar_of(answer, "statusCode");
      if (std::string_view(pattern) != "default") response.selectionPattern = std::string(pattern);
      response.responseParameters = pairs_of(answer, "responseParameters");
      response.responseTemplates = pairs_of(answer, "responseTemplates");
      response.contentHandling = text_of(answer, "contentHandling");
      if (auto checked = check_integration_response(response); !checked)
        return std::unexpected(std::move(checked.error()));
      const auto status = *response.statusCode;
      set_pair(integration.integrationResponses, status, std::move(response));
    }
    return integration;
  }

  const json::value& document_;
  OpenApi out_;
  std::map<std::string, std::string> authorizers_;  // scheme to id
  std::set<std::string> signed_;                    // schemes that are signatures
  std::set<std::string> keyed_;                     // schemes that are API keys
};

}  // namespace

aws::ApiResult<OpenApi> read_open_api(std::string_view text, Configuration base) {
  const auto document = parse_json(text);
  if (!document || !document->is_object()) return refuse_input("Invalid OpenAPI input.");
  return Reader(*document, std::move(base)).read();
}

Strings roles_of(const Configuration& configuration) {
  std::set<std::string> out;
  for (const auto& [id, authorizer] : configuration.authorizers) {
    if (!authorizer.authorizerCredentials.value_or("").empty()) out.insert(*authorizer.authorizerCredentials);
  }
  for (const auto& [id, resource] : configuration.resources) {
    if (!resource.resourceMethods) continue;
    for (const auto& [name, method] : *resource.resourceMethods) {
      if (!method.methodIntegration) continue;
      const auto role = method.methodIntegration->credentials.value_or("");
      if (!role.empty() && role != kCallerCredentials) out.insert(role);
    }
  }
  return {out.begin(), out.end()};
}

}  // namespace mayfly::apigateway
