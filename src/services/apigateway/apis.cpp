// REST APIs: create, read, patch, delete.
#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "base/ids.h"
#include "identity/policy_document.h"
#include "services/apigateway/compile.h"
#include "services/apigateway/core.h"

namespace mayfly::apigateway {
namespace {

aws::ApiResult<void> check_endpoint(const std::optional<wire::EndpointConfiguration>& endpoint) {
  if (!endpoint) return {};
  const auto types = endpoint->types.value_or(Strings());
  if (types.size() > 1) return refuse_input("Cannot create an api with multiple Endpoint Types.");
  if (endpoint->types && types.empty())
    return refuse_input("REGIONAL Configuration and EDGE Configuration cannot be both DISABLED.");
  if (!types.empty() && types.front() == "PRIVATE")
    return refuse_unsupported("Endpoint type PRIVATE", "there are no VPC endpoints");
  if (!endpoint->vpcEndpointIds.value_or(Strings()).empty())
    return refuse_unsupported("vpcEndpointIds", "there are no VPC endpoints");
  if (endpoint->ipAddressType.value_or("ipv4") != "ipv4")
    return refuse_unsupported("ipAddressType dualstack", "what the server listens on is its own setting");
  return {};
}

// What of an API lies in its configuration, so that deployments hold it.
void take_configuration(ApiRecord& record) {
  auto& api = record.api;
  if (api.policy) record.now.policy = api.policy->empty() ? std::nullopt : api.policy;
  if (api.binaryMediaTypes) record.now.binary_types = *api.binaryMediaTypes;
  if (api.apiKeySource) record.now.key_source = *api.apiKeySource;
  api.policy.reset();
  api.binaryMediaTypes.reset();
  api.apiKeySource.reset();
}

// The other way round.
wire::RestApi described(const ApiRecord& record) {
  auto out = record.api;
  out.policy = record.now.policy;
  if (!record.now.binary_types.empty()) out.binaryMediaTypes = record.now.binary_types;
  out.apiKeySource = record.now.key_source;
  return out;
}

Awaitable<aws::ApiResult<wire::RestApi>> create_api(Core& core, const aws::CallContext& context,
                                                    wire::CreateRestApiRequest request) {
  if (request.cloneFrom) co_return refuse_unsupported("cloneFrom", "an API is copied by its export and import");
  if (request.description && request.description->empty())
    co_return refuse_input("Description cannot be an empty string");
  if (auto checked = check_endpoint(request.endpointConfiguration); !checked)
    co_return std::unexpected(std::move(checked.error()));
  if (auto checked = check_tags(request.tags); !checked) co_return std::unexpected(std::move(checked.error()));
  const auto place = api_key(context.principal.account, context.region, "");
  if (core.apis.list(place).size() >= kMostApis) co_return refuse_limit("RestApis", kMostApis);
  ApiRecord record = new_api(context, core.now());
  merge(record.api, request, {"endpointConfiguration"});
  const auto given = request.endpointConfiguration.value_or(wire::EndpointConfiguration());
  if (given.types) record.api.endpointConfiguration->types = given.types;
  if (auto checked = check_api(record.api); !checked) co_return std::unexpected(std::move(checked.error()));
  if (request.policy && !request.policy->empty()) {
    if (auto checked = check_policy(record, *request.policy); !checked)
      co_return std::unexpected(std::move(checked.error()));
  }
  take_configuration(record);
  auto created = co_await core.apis.create(std::move(record));
  if (!created) co_return services::refuse_internal(created.error());
  co_return shown(**created);
}

Awaitable<aws::ApiResult<wire::RestApi>> get_api(Core& core, const aws::CallContext& context,
                                                 wire::GetRestApiRequest request) {
  auto found = core.api(context, request.restApiId);
  if (!found) co_return std::unexpected(std::move(found.error()));
  co_return shown(**found);
}

Awaitable<aws::ApiResult<wire::RestApis>> get_apis(Core& core, const aws::CallContext& context,
                                                   wire::GetRestApisRequest request) {
  std::vector<wire::RestApi> all;
  for (const auto& record : core.apis.list(api_key(context.principal.account, context.region, "")))
    all.push_back(shown(*record));
  wire::RestApis out;
  page(out, std::move(all), [](const wire::RestApi& api) { return api.id.value_or(""); }, request);
  co_return out;
}

// "/endpointConfiguration/types/EDGE" with another type as its value: the one that there is changes.
aws::ApiResult<bool> patch_endpoint(wire::RestApi& api, const wire::PatchOperation& patch) {
  constexpr std::string_view kTypes = "/endpointConfiguration/types";
  if (!patch.path.value_or("").starts_with(kTypes)) return false;
  if (patch.op != "replace") return refuse_input("Endpoint types are replaced, as an API has exactly one");
  auto endpoint = api.endpointConfiguration.value_or(wire::EndpointConfiguration());
  endpoint.types = Strings{patch.value.value_or("")};
  if (patch.value != "EDGE" && patch.value != "REGIONAL" && patch.value != "PRIVATE")
    return refuse_input("Invalid value for endpoint type: it must be EDGE or REGIONAL");
  if (auto checked = check_endpoint(endpoint); !checked) return std::unexpected(std::move(checked.error()));
  api.endpointConfiguration = std::move(endpoint);
  return true;
}

constexpr auto kApiRules = std::to_array<PatchRule>({
    {"/name"},
    {"/description"},
    {"/policy"},
    {"/apiKeySource"},
    {"/version"},
    {"/minimumCompressionSize", PatchRule::Form::kInt},
    {"/disableExecuteApiEndpoint", PatchRule::Form::kBool},
    {"/binaryMediaTypes", PatchRule::Form::kList},
});

Awaitable<aws::ApiResult<wire::RestApi>> update_api(Core& core, const aws::CallContext& context,
                                                    wire::UpdateRestApiRequest request) {
  ApiEdit edit = [request](ApiRecord& record) -> aws::ApiResult<void> {
    auto whole = described(record);
    Patches others;
    for (const auto& one : request.patchOperations.value_or(Patches())) {
      auto done = patch_endpoint(whole, one);
      if (!done) return std::unexpected(std::move(done.error()));
      if (!*done) others.push_back(one);
    }
    if (auto patched = patch(whole, others, kApiRules); !patched) return patched;
    if (auto checked = check_api(whole); !checked) return checked;
    if (whole.policy.value_or("").empty()) whole.policy = "";
    if (!whole.policy->empty()) {
      if (auto checked = check_policy(record, *whole.policy); !checked) return checked;
    }
    if (!whole.binaryMediaTypes) whole.binaryMediaTypes.emplace();
    record.api = std::move(whole);
    take_configuration(record);
    return {};
  };
  auto changed = co_await change_api(core, context, request.restApiId.value_or(""), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return shown(**changed);
}

Awaitable<aws::ApiResult<wire::DeleteRestApi::Response>> delete_api(Core& core, const aws::CallContext& context,
                                                                    wire::DeleteRestApiRequest request) {
  auto found = core.api(context, request.restApiId);
  if (!found) co_return std::unexpected(std::move(found.error()));
  const auto id = (*found)->id();
  auto erased = co_await core.apis.erase((*found)->key());
  if (!erased) co_return services::refuse_internal(erased.error());
  core.gateway.forget_authorizations(id);
  for (const auto& deployment : core.deployments.list(deployment_key(id, ""))) {
    auto gone = co_await core.deployments.erase(deployment->key());
    if (!gone) co_return services::refuse_internal(gone.error());
  }
  co_return wire::DeleteRestApi::Response();
}

}  // namespace

ApiRecord new_api(const aws::CallContext& context, double now) {
  constexpr std::size_t kIdLength = 10;
  ApiRecord record;
  record.account = context.principal.account;
  record.region = context.region;
  record.api.id = random_alphanumeric(kIdLength);
  record.api.createdDate = now;
  record.api.disableExecuteApiEndpoint = false;
  wire::EndpointConfiguration endpoint;
  endpoint.types = Strings{"EDGE"};
  endpoint.ipAddressType = "ipv4";
  record.api.endpointConfiguration = std::move(endpoint);
  wire::Resource root;
  root.id = random_alphanumeric(kIdLength);
  root.path = "/";
  record.now.resources[*root.id] = std::move(root);
  return record;
}

wire::RestApi shown(const ApiRecord& record) {
  auto out = described(record);
  out.rootResourceId = root_of(record.now).id;
  if (!out.policy) return out;
  // The service answers a policy as the inside of a JSON string, and clients take it for that.
  const auto quoted = to_json(json::value(*out.policy));
  out.policy = quoted.substr(1, quoted.size() - 2);
  return out;
}

aws::ApiResult<void> check_api(const wire::RestApi& api) {
  if (api.name.value_or("").empty()) return refuse_input("Rest API name cannot be blank");
  if (api.minimumCompressionSize)
    return refuse_unsupported("minimumCompressionSize", "answers go out as the integration made them");
  if (api.securityPolicy || api.endpointAccessMode)
    return refuse_unsupported("securityPolicy", "the server's TLS settings are its own");
  const auto source = api.apiKeySource.value_or("HEADER");
  if (source != "HEADER" && source != "AUTHORIZER")
    return refuse_input("Invalid API key source: it must be HEADER or AUTHORIZER");
  for (const auto& type : api.binaryMediaTypes.value_or(Strings())) {
    if (type.find('/') == std::string::npos)
      return refuse_input(fmt::format("Binary media type {} is not valid", type));
  }
  return {};
}

aws::ApiResult<void> check_policy(const ApiRecord& record, const std::string& policy) {
  const auto parsed =
      identity::Policy::parse(whole_policy(record, policy), identity::PolicyKind::kResource, kLongestPolicy);
  if (!parsed) return refuse_input("Invalid policy document. " + parsed.error().message);
  return {};
}

void bind_apis(aws::Service& service, Core& core) {
  bind<wire::CreateRestApi>(service, core, create_api);
  bind<wire::GetRestApi>(service, core, get_api);
  bind<wire::GetRestApis>(service, core, get_apis);
  bind<wire::UpdateRestApi>(service, core, update_api);
  bind<wire::DeleteRestApi>(service, core, delete_api);
}

}  // namespace mayfly::apigateway
