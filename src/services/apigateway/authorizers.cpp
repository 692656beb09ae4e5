// Authorizers: functions that are asked who may.
#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "aws/validate.h"
#include "base/ids.h"
#include "gateway/plan_parts.h"
#include "services/apigateway/core.h"
#include "services/apigateway/identity_source.h"

namespace mayfly::apigateway {
namespace {

using Form = PatchRule::Form;
constexpr std::size_t kAuthorizerIdLength = 6;
constexpr std::int32_t kLongestTtl = 3'600;

constexpr auto kAuthorizerRules = std::to_array<PatchRule>({
    {"/name"},
    {"/authorizerUri"},
    {"/authorizerCredentials"},
    {"/authorizerResultTtlInSeconds", Form::kInt},
    {"/identitySource"},
    {"/identityValidationExpression"},
    {"/authType"},
});

Awaitable<aws::ApiResult<wire::Authorizer>> create_authorizer(Core& core, const aws::CallContext& context,
                                                              wire::CreateAuthorizerRequest request) {
  wire::Authorizer authorizer;
  merge(authorizer, request, {"restApiId"});
  authorizer.id = random_alphanumeric(kAuthorizerIdLength);
  if (auto checked = check_authorizer(authorizer); !checked) co_return std::unexpected(std::move(checked.error()));
  ApiEdit edit = [authorizer](ApiRecord& record) -> aws::ApiResult<void> {
    if (record.now.authorizers.size() >= kMostAuthorizers) return refuse_limit("Authorizers per API", kMostAuthorizers);
    for (const auto& [id, other] : record.now.authorizers) {
      if (other.name == authorizer.name)
        return refuse_input(fmt::format("Authorizer name must be unique. Authorizer {} already exists in this RestApi.",
                                        authorizer.name.value_or("")));
    }
    record.now.authorizers[*authorizer.id] = authorizer;
    return {};
  };
  auto changed = co_await change_api(core, context, request.restApiId.value_or(""), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return authorizer;
}

Awaitable<aws::ApiResult<wire::Authorizer>> get_authorizer(Core& core, const aws::CallContext& context,
                                                           wire::GetAuthorizerRequest request) {
  auto found = core.api(context, request.restApiId);
  if (!found) co_return std::unexpected(std::move(found.error()));
  const auto authorizer = (*found)->now.authorizers.find(request.authorizerId.value_or(""));
  if (authorizer == (*found)->now.authorizers.end()) co_return refuse_missing("Authorizer identifier");
  co_return authorizer->second;
}

Awaitable<aws::ApiResult<wire::Authorizers>> get_authorizers(Core& core, const aws::CallContext& context,
                                                             wire::GetAuthorizersRequest request) {
  auto found = core.api(context, request.restApiId);
  if (!found) co_return std::unexpected(std::move(found.error()));
  std::vector<wire::Authorizer> all;
  for (const auto& [id, authorizer] : (*found)->now.authorizers) all.push_back(authorizer);
  wire::Authorizers out;
  page(out, std::move(all), [](const wire::Authorizer& one) { return one.id.value_or(""); }, request);
  co_return out;
}

Awaitable<aws::ApiResult<wire::Authorizer>> update_authorizer(Core& core, const aws::CallContext& context,
                                                              wire::UpdateAuthorizerRequest request) {
  const auto id = request.authorizerId.value_or("");
  ApiEdit edit = [request, id](ApiRecord& record) -> aws::ApiResult<void> {
    const auto authorizer = record.now.authorizers.find(id);
    if (authorizer == record.now.authorizers.end()) return refuse_missing("Authorizer identifier");
    if (auto patched = patch(authorizer->second, request.patchOperations, kAuthorizerRules); !patched) return patched;
    return check_authorizer(authorizer->second);
  };
  auto changed = co_await change_api(core, context, request.restApiId.value_or(""), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return (*changed)->now.authorizers.at(id);
}

Awaitable<aws::ApiResult<wire::DeleteAuthorizer::Response>> delete_authorizer(Core& core,
                                                                              const aws::CallContext& context,
                                                                              wire::DeleteAuthorizerRequest request) {
  ApiEdit edit = [id = request.authorizerId.value_or("")](ApiRecord& record) -> aws::ApiResult<void> {
    for (const auto& [resource_id, resource] : record.now.resources) {
      if (!resource.resourceMethods) continue;
      for (const auto& [name, method] : *resource.resourceMethods) {
        if (method.authorizerId == id)
          return refuse(wire::errors::ConflictException,
                        fmt::format("Cannot delete authorizer '{}', is referenced in method: {}/{}", id,
                                    resource.path.value_or(""), name));
      }
    }
    if (record.now.authorizers.erase(id) == 0) return refuse_missing("Authorizer identifier");
    return {};
  };
  auto changed = co_await change_api(core, context, request.restApiId.value_or(""), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return wire::DeleteAuthorizer::Response();
}

Awaitable<aws::ApiResult<wire::FlushStageAuthorizersCache::Response>> flush(
    Core& core, const aws::CallContext& context, wire::FlushStageAuthorizersCacheRequest request) {
  auto found = core.api(context, request.restApiId);
  if (!found) co_return std::unexpected(std::move(found.error()));
  if (!(*found)->stages.contains(request.stageName.value_or(""))) co_return refuse_missing("stage identifier");
  core.gateway.forget_authorizations((*found)->id());
  co_return wire::FlushStageAuthorizersCache::Response();
}

}  // namespace

aws::ApiResult<void> check_authorizer(wire::Authorizer& authorizer) {
  const auto type = authorizer.type.value_or("");
  if (authorizer.name.value_or("").empty()) return refuse_input("Authorizer name cannot be empty");
  if (type == "COGNITO_USER_POOLS" || authorizer.providerARNs)
    return refuse_unsupported("Authorizer type COGNITO_USER_POOLS", "there are no Cognito user pools");
  if (type != "TOKEN" && type != "REQUEST") return refuse_input("Authorizer type must be TOKEN or REQUEST");
  const auto uri = authorizer.authorizerUri.value_or("");
  if (gateway::function_of_path(uri).empty() && uri.find("${stageVariables.") == std::string::npos)
    return refuse_input(
        fmt::format("Invalid Authorizer URI: {}. Authorizer URI should be a valid API Gateway ARN that "
                    "represents a Lambda function invocation.",
                    uri));
  const auto ttl = authorizer.authorizerResultTtlInSeconds.value_or(kUsualTtl);
  if (ttl < 0 || ttl > kLongestTtl)
    return refuse_input(fmt::format("Authorizer result TTL must be between 0 and {}", kLongestTtl));
  const auto sources = identity_sources(authorizer.identitySource.value_or(""));
  if (!sources) return refuse_input(sources.error().message);
  if (type == "TOKEN" && sources->size() != 1)
    return refuse_input("Invalid identity source: a TOKEN authorizer has one header");
  if (sources->empty() && ttl > 0) return refuse_input("Identity source is required where results are cached");
  const auto expression = authorizer.identityValidationExpression.value_or("");
  if (expression.empty()) return {};
  if (type != "TOKEN") return refuse_input("identityValidationExpression is for authorizers of type TOKEN");
  if (!aws::matcher_of(expression))
    return refuse_input("Invalid identityValidationExpression: it is no regular expression that is supported");
  return {};
}

void bind_authorizers(aws::Service& service, Core& core) {
  bind<wire::CreateAuthorizer>(service, core, create_authorizer);
  bind<wire::GetAuthorizer>(service, core, get_authorizer);
  bind<wire::GetAuthorizers>(service, core, get_authorizers);
  bind<wire::UpdateAuthorizer>(service, core, update_authorizer);
  bind<wire::DeleteAuthorizer>(service, core, delete_authorizer);
  bind<wire::FlushStageAuthorizersCache>(service, core, flush);
}

}  // namespace mayfly::apigateway
