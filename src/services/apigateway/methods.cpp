// Methods of resources, and the responses that they declare.
#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "base/encoding.h"
#include "services/apigateway/core.h"

namespace mayfly::apigateway {
namespace {

using Form = PatchRule::Form;

constexpr auto kMethodRules = std::to_array<PatchRule>({
    {"/authorizationType"},
    {"/authorizerId"},
    {"/apiKeyRequired", Form::kBool},
    {"/operationName"},
    {"/requestValidatorId"},
    {"/requestParameters", Form::kMapBool},
    {"/requestModels", Form::kMapText},
    {"/authorizationScopes", Form::kList},
});
constexpr auto kResponseRules = std::to_array<PatchRule>({
    {"/responseParameters", Form::kMapBool},
    {"/responseModels", Form::kMapText},
});

Awaitable<aws::ApiResult<wire::Method>> put_method(Core& core, const aws::CallContext& context,
                                                   wire::PutMethodRequest request) {
  const auto name = request.httpMethod.value_or("");
  ApiEdit edit = [request, name](ApiRecord& record) -> aws::ApiResult<void> {
    auto resource = resource_of(record.now, request.resourceId);
    if (!resource) return std::unexpected(std::move(resource.error()));
    if (find_pair((*resource)->resourceMethods, name) != nullptr)
      return refuse(wire::errors::ConflictException, "Method already exists for this resource");
    wire::Method method;
    merge(method, request, {"restApiId", "resourceId"});
    if (auto checked = check_method(record.now, method); !checked) return checked;
    set_pair((*resource)->resourceMethods, name, std::move(method));
    return {};
  };
  auto changed = co_await change_api(core, context, request.restApiId.value_or(""), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  auto now = (*changed)->now;
  co_return **method_of(now, request.resourceId, request.httpMethod);
}

Awaitable<aws::ApiResult<wire::Method>> get_method(Core& core, const aws::CallContext& context,
                                                   wire::GetMethodRequest request) {
  auto found = core.api(context, request.restApiId);
  if (!found) co_return std::unexpected(std::move(found.error()));
  auto now = (*found)->now;
  auto method = method_of(now, request.resourceId, request.httpMethod);
  if (!method) co_return std::unexpected(std::move(method.error()));
  co_return **method;
}

Awaitable<aws::ApiResult<wire::Method>> update_method(Core& core, const aws::CallContext& context,
                                                      wire::UpdateMethodRequest request) {
  ApiEdit edit = [request](ApiRecord& record) -> aws::ApiResult<void> {
    auto method = method_of(record.now, request.resourceId, request.httpMethod);
    if (!method) return std::unexpected(std::move(method.error()));
    if (auto patched = patch(**method, request.patchOperations, kMethodRules); !patched) return patched;
    return check_method(record.now, **method);
  };
  auto changed = co_await change_api(core, context, request.restApiId.value_or(""), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  auto now = (*changed)->now;
  co_return **method_of(now, request.resourceId, request.httpMethod);
}

Awaitable<aws::ApiResult<wire::DeleteMethod::Response>> delete_method(Core& core, const aws::CallContext& context,
                                                                      wire::DeleteMethodRequest request) {
  ApiEdit edit = [request](ApiRecord& record) -> aws::ApiResult<void> {
    auto method = method_of(record.now, request.resourceId, request.httpMethod);
    if (!method) return std::unexpected(std::move(method.error()));
    auto& methods = *record.now.resources.at(*request.resourceId).resourceMethods;
    std::erase_if(methods, [&](const auto& one) { return one.first == request.httpMethod; });
    return {};
  };
  auto changed = co_await change_api(core, context, request.restApiId.value_or(""), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return wire::DeleteMethod::Response();
}

aws::ApiResult<wire::MethodResponse*> response_of(Configuration& configuration, const auto& request) {
  auto method = method_of(configuration, request.resourceId, request.httpMethod);
  if (!method) return std::unexpected(std::move(method.error()));
  auto* response = find_pair((*method)->methodResponses, request.statusCode.value_or(""));
  if (response == nullptr) return refuse_missing("Response status code");
  return response;
}

Awaitable<aws::ApiResult<wire::MethodResponse>> put_response(Core& core, const aws::CallContext& context,
                                                             wire::PutMethodResponseRequest request) {
  ApiEdit edit = [request](ApiRecord& record) -> aws::ApiResult<void> {
    auto method = method_of(record.now, request.resourceId, request.httpMethod);
    if (!method) return std::unexpected(std::move(method.error()));
    const auto status = request.statusCode.value_or("");
    if (find_pair((*method)->methodResponses, status) != nullptr)
      return refuse(wire::errors::ConflictException, "Response already exists for this resource");
    wire::MethodResponse response;
    merge(response, request, {"restApiId", "resourceId", "httpMethod"});
    set_pair((*method)->methodResponses, status, std::move(response));
    return {};
  };
  auto changed = co_await change_api(core, context, request.restApiId.value_or(""), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  auto now = (*changed)->now;
  co_return **response_of(now, request);
}

Awaitable<aws::ApiResult<wire::MethodResponse>> get_response(Core& core, const aws::CallContext& context,
                                                             wire::GetMethodResponseRequest request) {
  auto found = core.api(context, request.restApiId);
  if (!found) co_return std::unexpected(std::move(found.error()));
  auto now = (*found)->now;
  auto response = response_of(now, request);
  if (!response) co_return std::unexpected(std::move(response.error()));
  co_return **response;
}

Awaitable<aws::ApiResult<wire::MethodResponse>> update_response(Core& core, const aws::CallContext& context,
                                                                wire::UpdateMethodResponseRequest request) {
  ApiEdit edit = [request](ApiRecord& record) -> aws::ApiResult<void> {
    auto response = response_of(record.now, request);
    if (!response) return std::unexpected(std::move(response.error()));
    return patch(**response, request.patchOperations, kResponseRules);
  };
  auto changed = co_await change_api(core, context, request.restApiId.value_or(""), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  auto now = (*changed)->now;
  co_return **response_of(now, request);
}

Awaitable<aws::ApiResult<wire::DeleteMethodResponse::Response>> delete_response(
    Core& core, const aws::CallContext& context, wire::DeleteMethodResponseRequest request) {
  ApiEdit edit = [request](ApiRecord& record) -> aws::ApiResult<void> {
    if (auto response = response_of(record.now, request); !response)
      return std::unexpected(std::move(response.error()));
    auto method = method_of(record.now, request.resourceId, request.httpMethod);
    if (!method) return std::unexpected(std::move(method.error()));
    std::erase_if(*(*method)->methodResponses, [&](const auto& one) { return one.first == request.statusCode; });
    return {};
  };
  auto changed = co_await change_api(core, context, request.restApiId.value_or(""), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return wire::DeleteMethodResponse::Response();
}

}  // namespace

aws::ApiResult<void> check_method(const Configuration& configuration, wire::Method& method) {
  constexpr std::array<std::string_view, 8> kMethods = {"ANY",     "DELETE", "GET",  "HEAD",
                                                        "OPTIONS", "PATCH",  "POST", "PUT"};
  if (std::ranges::find(kMethods, method.httpMethod.value_or("")) == kMethods.end())
    return refuse_input("Invalid HttpMethod specified. Valid options are GET,PUT,POST,DELETE,PATCH,OPTIONS,HEAD,ANY");
  if (!method.requestValidatorId.value_or("").empty())
    return refuse_unsupported("requestValidatorId", "requests are not validated against models");
  if (!method.authorizationScopes.value_or(Strings()).empty())
    return refuse_unsupported("authorizationScopes", "there are no Cognito user pools");
  if (!method.apiKeyRequired) method.apiKeyRequired = false;
  const auto type = to_upper(method.authorizationType.value_or(""));  // "none" is taken, too
  method.authorizationType = type;
  if (type == "COGNITO_USER_POOLS")
    return refuse_unsupported("authorizationType COGNITO_USER_POOLS", "there are no Cognito user pools");
  if (type != "NONE" && type != "AWS_IAM" && type != "CUSTOM")
    return refuse_input("Invalid authorization type: it must be NONE, AWS_IAM or CUSTOM");
  if (type != "CUSTOM") {
    method.authorizerId.reset();
    return {};
  }
  if (!configuration.authorizers.contains(method.authorizerId.value_or("")))
    return refuse_input(
        "Invalid authorizer ID specified. Setting the authorization type to CUSTOM or COGNITO_USER_POOLS "
        "requires a valid authorizer.");
  return {};
}

void bind_methods(aws::Service& service, Core& core) {
  bind<wire::PutMethod>(service, core, put_method);
  bind<wire::GetMethod>(service, core, get_method);
  bind<wire::UpdateMethod>(service, core, update_method);
  bind<wire::DeleteMethod>(service, core, delete_method);
  bind<wire::PutMethodResponse>(service, core, put_response);
  bind<wire::GetMethodResponse>(service, core, get_response);
  bind<wire::UpdateMethodResponse>(service, core, update_response);
  bind<wire::DeleteMethodResponse>(service, core, delete_response);
}

}  // namespace mayfly::apigateway
