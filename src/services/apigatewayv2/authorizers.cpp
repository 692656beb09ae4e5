// Authorizers of an API: issuers of tokens, and functions.
#include <fmt/core.h>

#include "gateway/template.h"
#include "services/apigatewayv2/core.h"

namespace mayfly::apigatewayv2 {
namespace {

using Strings = std::vector<std::string>;

aws::ApiResult<void> check_new(const ApiRecord& record, wire::Authorizer& authorizer) {
  return record.is_web_socket() ? check_web_socket_authorizer(authorizer) : check_authorizer(authorizer);
}

Awaitable<aws::ApiResult<wire::CreateAuthorizerResponse>> create_authorizer(Core& core, const aws::CallContext& context,
                                                                            wire::CreateAuthorizerRequest request) {
  const auto id = new_id(6);
  wire::Authorizer authorizer;
  merge(authorizer, request, {"ApiId"});
  authorizer.AuthorizerId = id;
  ApiEdit edit = [authorizer, id](ApiRecord& record) -> aws::ApiResult<void> {
    auto checked_one = authorizer;
    if (auto checked = check_new(record, checked_one); !checked) return checked;
    if (record.now.authorizers.size() >= kMostAuthorizers) return refuse_limit("AuthorizersPerApi", kMostAuthorizers);
    for (const auto& [other_id, other] : record.now.authorizers) {
      if (other.Name == authorizer.Name)
        return refuse_input(fmt::format("Authorizer name must be unique. Authorizer {} already exists in this RestApi.",
                                        authorizer.Name.value_or("")));
    }
    record.now.authorizers[id] = std::move(checked_one);
    return {};
  };
  auto changed = co_await change_configuration(core, context, request.ApiId.value_or(""), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return converted<wire::CreateAuthorizerResponse>((*changed)->now.authorizers.at(id));
}

Awaitable<aws::ApiResult<wire::GetAuthorizerResponse>> get_authorizer(Core& core, const aws::CallContext& context,
                                                                      wire::GetAuthorizerRequest request) {
  auto found = core.api(context, request.ApiId);
  if (!found) co_return std::unexpected(std::move(found.error()));
  const auto& all = (*found)->now.authorizers;
  const auto authorizer = all.find(request.AuthorizerId.value_or(""));
  if (authorizer == all.end()) co_return refuse_missing("Authorizer");
  co_return converted<wire::GetAuthorizerResponse>(authorizer->second);
}

Awaitable<aws::ApiResult<wire::GetAuthorizersResponse>> get_authorizers(Core& core, const aws::CallContext& context,
                                                                        wire::GetAuthorizersRequest request) {
  auto found = core.api(context, request.ApiId);
  if (!found) co_return std::unexpected(std::move(found.error()));
  std::vector<wire::Authorizer> all;
  for (const auto& [id, authorizer] : (*found)->now.authorizers) all.push_back(authorizer);
  wire::GetAuthorizersResponse out;
  const auto key_of = [](const wire::Authorizer& one) { return one.AuthorizerId.value_or(""); };
  auto paged = page(out, std::move(all), key_of, request);
  if (!paged) co_return std::unexpected(std::move(paged.error()));
  co_return out;
}

Awaitable<aws::ApiResult<wire::UpdateAuthorizerResponse>> update_authorizer(Core& core, const aws::CallContext& context,
                                                                            wire::UpdateAuthorizerRequest request) {
  const auto id = request.AuthorizerId.value_or("");
  ApiEdit edit = [request, id](ApiRecord& record) -> aws::ApiResult<void> {
    const auto authorizer = record.now.authorizers.find(id);
    if (authorizer == record.now.authorizers.end()) return refuse_missing("Authorizer");
    auto copy = authorizer->second;
    merge(copy, request, {"ApiId", "AuthorizerId"});
    if (copy.AuthorizerType != authorizer->second.AuthorizerType)
      return refuse_input("The type of an authorizer cannot be changed");
    if (auto checked = check_new(record, copy); !checked) return checked;
    authorizer->second = std::move(copy);
    return {};
  };
  auto changed = co_await change_configuration(core, context, request.ApiId.value_or(""), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return converted<wire::UpdateAuthorizerResponse>((*changed)->now.authorizers.at(id));
}

Awaitable<aws::ApiResult<wire::DeleteAuthorizer::Response>> delete_authorizer(Core& core,
                                                                              const aws::CallContext& context,
                                                                              wire::DeleteAuthorizerRequest request) {
  ApiEdit edit = [id = request.AuthorizerId.value_or("")](ApiRecord& record) -> aws::ApiResult<void> {
    for (const auto& [route_id, route] : record.now.routes) {
      if (route.AuthorizerId == id)
        return refuse(
            wire::errors::ConflictException,
            fmt::format("Cannot delete authorizer '{}', is referenced in route: {}", id, route.RouteKey.value_or("")));
    }
    if (record.now.authorizers.erase(id) == 0) return refuse_missing("Authorizer");
    return {};
  };
  auto changed = co_await change_configuration(core, context, request.ApiId.value_or(""), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return wire::DeleteAuthorizer::Response();
}

Awaitable<aws::ApiResult<wire::ResetAuthorizersCache::Response>> reset_cache(
    Core& core, const aws::CallContext& context, wire::ResetAuthorizersCacheRequest request) {
  auto found = core.api(context, request.ApiId);
  if (!found) co_return std::unexpected(std::move(found.error()));
  if (!(*found)->stages.contains(request.StageName.value_or(""))) co_return refuse_missing("stage");
  core.gateway.forget_authorizations((*found)->id());
  co_return wire::ResetAuthorizersCache::Response();
}

aws::ApiResult<void> check_jwt(wire::Authorizer& authorizer) {
  const auto jwt = authorizer.JwtConfiguration.value_or(wire::JWTConfiguration());
  const auto issuer = jwt.Issuer.value_or("");
  // Plain HTTP is for an issuer on this machine: keys that come over it are anybody's on the way.
  const auto is_here = [&](std::string_view start) {
    return issuer.starts_with(start) &&
           (issuer.size() == start.size() || issuer[start.size()] == ':' || issuer[start.size()] == '/');
  };
  if (!issuer.starts_with("https://") && !is_here("http://127.0.0.1") && !is_here("http://localhost"))
    return refuse_input("Invalid issuer: Issuer must be an https URL");
  if (jwt.Audience.value_or(Strings()).empty())
    return refuse_input("Audience is a required parameter for JWT authorizers");
  if (authorizer.IdentitySource.value_or(Strings()).size() != 1)
    return refuse_input("JWT authorizers take exactly one IdentitySource");
  if (authorizer.AuthorizerUri || authorizer.AuthorizerCredentialsArn || authorizer.AuthorizerPayloadFormatVersion ||
      authorizer.AuthorizerResultTtlInSeconds.value_or(0) != 0 || authorizer.EnableSimpleResponses)
    return refuse_input(
        "AuthorizerUri, AuthorizerCredentialsArn, AuthorizerPayloadFormatVersion, "
        "AuthorizerResultTtlInSeconds and EnableSimpleResponses are for authorizers of type REQUEST");
  return {};
}

aws::ApiResult<void> check_function(wire::Authorizer& authorizer) {
  if (authorizer.JwtConfiguration) return refuse_input("JwtConfiguration is for authorizers of type JWT");
  const auto uri = authorizer.AuthorizerUri.value_or("");
  if (function_of(uri).empty() && uri.find("${stageVariables.") == std::string::npos)
    return refuse_input("Invalid Authorizer URI: it must be the invocation path of a Lambda function");
  const auto version = authorizer.AuthorizerPayloadFormatVersion.value_or("");
  if (version != "1.0" && version != "2.0")
    return refuse_input("AuthorizerPayloadFormatVersion is a required parameter for REQUEST authorizer: 1.0 or 2.0");
  if (version == "1.0" && authorizer.EnableSimpleResponses.value_or(false))
    return refuse_input("EnableSimpleResponses needs AuthorizerPayloadFormatVersion 2.0");
  const bool sources = !authorizer.IdentitySource.value_or(Strings()).empty();
  if (!authorizer.AuthorizerResultTtlInSeconds) authorizer.AuthorizerResultTtlInSeconds = sources ? 300 : 0;
  if (!sources && *authorizer.AuthorizerResultTtlInSeconds > 0)
    return refuse_input("IdentitySource is required where results are cached");
  return {};
}

}  // namespace

aws::ApiResult<void> check_authorizer(wire::Authorizer& authorizer) {
  using gateway::Template;
  if (!authorizer.IdentityValidationExpression.value_or("").empty())
    return refuse_unsupported("IdentityValidationExpression", "it is for WebSocket APIs");
  for (const auto& source : authorizer.IdentitySource.value_or(Strings())) {
    const auto parsed = Template::parse(source, Template::kRequest | Template::kContext | Template::kStage);
    const bool allowed = !source.starts_with("$request.body") && !source.starts_with("$request.path");
    if (!parsed || !parsed->is_one_variable() || !allowed)
      return refuse_input(fmt::format("Invalid identity source specified: {}", source));
  }
  return authorizer.AuthorizerType == "JWT" ? check_jwt(authorizer) : check_function(authorizer);
}

void bind_authorizers(aws::Service& service, Core& core) {
  bind<wire::CreateAuthorizer>(service, core, create_authorizer);
  bind<wire::GetAuthorizer>(service, core, get_authorizer);
  bind<wire::GetAuthorizers>(service, core, get_authorizers);
  bind<wire::UpdateAuthorizer>(service, core, update_authorizer);
  bind<wire::DeleteAuthorizer>(service, core, delete_authorizer);
  bind<wire::ResetAuthorizersCache>(service, core, reset_cache);
}

}  // namespace mayfly::apigatewayv2
