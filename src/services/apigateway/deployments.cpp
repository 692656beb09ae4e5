// Deployments: an API's configuration as it was when it was deployed.
#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "base/ids.h"
#include "services/apigateway/core.h"
#include "services/apigateway/stage_settings.h"

namespace mayfly::apigateway {
namespace {

constexpr std::size_t kDeploymentIdLength = 6;
constexpr auto kDeploymentRules = std::to_array<PatchRule>({{"/description"}});

aws::ApiResult<void> check_complete(const Configuration& configuration) {
  bool any = false;
  for (const auto& [id, resource] : configuration.resources) {
    if (!resource.resourceMethods) continue;
    for (const auto& [name, method] : *resource.resourceMethods) {
      any = true;
      if (!method.methodIntegration) return refuse_input("No integration defined for method");
    }
  }
  if (!any) return refuse_input("The REST API doesn't contain any methods");
  return {};
}

// The stage that a deployment is made for: there already, or made with it.
aws::ApiResult<void> deploy_to(ApiRecord& record, const wire::CreateDeploymentRequest& request, const std::string& id,
                               double now) {
  const auto name = request.stageName.value_or("");
  if (name.empty()) return {};
  const auto present = record.stages.find(name);
  auto stage = present == record.stages.end() ? new_stage(name, now) : present->second;
  if (present == record.stages.end() && record.stages.size() >= kMostStages)
    return refuse_limit("Stages per API", kMostStages);
  stage.deploymentId = id;
  stage.lastUpdatedDate = now;
  if (request.stageDescription) stage.description = request.stageDescription;
  if (request.variables) stage.variables = request.variables;
  if (request.cacheClusterEnabled) stage.cacheClusterEnabled = request.cacheClusterEnabled;
  if (request.cacheClusterSize) stage.cacheClusterSize = request.cacheClusterSize;
  if (request.tracingEnabled) stage.tracingEnabled = request.tracingEnabled;
  if (auto checked = check_stage(stage); !checked) return checked;
  settle_cache(stage);
  record.stages[name] = std::move(stage);
  return {};
}

Awaitable<aws::ApiResult<wire::Deployment>> create_deployment(Core& core, const aws::CallContext& context,
                                                              wire::CreateDeploymentRequest request) {
  if (request.canarySettings) co_return refuse_unsupported("canarySettings", "a stage has one deployment");
  auto found = core.api(context, request.restApiId);
  if (!found) co_return std::unexpected(std::move(found.error()));
  if (auto checked = check_complete((*found)->now); !checked) co_return std::unexpected(std::move(checked.error()));
  if ((*found)->deployments.size() >= kMostDeployments) co_return refuse_limit("Deployments per API", kMostDeployments);
  DeploymentRecord record;
  record.api_id = (*found)->id();
  record.id = random_alphanumeric(kDeploymentIdLength);
  record.configuration = (*found)->now;
  const auto id = record.id;
  // First what it holds, then its name: a crash between the two leaves a record that nobody sees.
  auto kept = co_await core.deployments.create(std::move(record));
  if (!kept) co_return services::refuse_internal(kept.error());
  ApiEdit edit = [request, id, now = core.now()](ApiRecord& api) -> aws::ApiResult<void> {
    if (api.deployments.size() >= kMostDeployments) return refuse_limit("Deployments per API", kMostDeployments);
    wire::Deployment deployment;
    deployment.id = id;
    deployment.createdDate = now;
    deployment.description = request.description;
    api.deployments[id] = std::move(deployment);
    return deploy_to(api, request, id, now);
  };
  auto changed = co_await change_api(core, context, request.restApiId.value_or(""), std::move(edit));
  if (!changed) {
    auto erased = co_await core.deployments.erase(deployment_key(request.restApiId.value_or(""), id));
    if (!erased) co_return services::refuse_internal(erased.error());
    co_return std::unexpected(std::move(changed.error()));
  }
  co_return (*changed)->deployments.at(id);
}

void add_summary(const Configuration& configuration, wire::Deployment& deployment) {
  deployment.apiSummary.emplace();
  for (const auto& [id, resource] : configuration.resources) {
    if (!resource.resourceMethods || resource.resourceMethods->empty()) continue;
    std::vector<std::pair<std::string, wire::MethodSnapshot>> methods;
    for (const auto& [name, method] : *resource.resourceMethods) {
      wire::MethodSnapshot snapshot;
      snapshot.authorizationType = method.authorizationType;
      snapshot.apiKeyRequired = method.apiKeyRequired;
      methods.emplace_back(name, std::move(snapshot));
    }
    deployment.apiSummary->emplace_back(resource.path.value_or(""), std::move(methods));
  }
}

Awaitable<aws::ApiResult<wire::Deployment>> get_deployment(Core& core, const aws::CallContext& context,
                                                           wire::GetDeploymentRequest request) {
  auto found = core.api(context, request.restApiId);
  if (!found) co_return std::unexpected(std::move(found.error()));
  const auto id = request.deploymentId.value_or("");
  const auto deployment = (*found)->deployments.find(id);
  if (deployment == (*found)->deployments.end()) co_return refuse_missing("Deployment identifier");
  auto out = deployment->second;
  const auto embed = request.embed.value_or(Strings());
  const auto held = core.deployments.find(deployment_key((*found)->id(), id));
  if (held && std::ranges::find(embed, "apisummary") != embed.end()) add_summary(held->configuration, out);
  co_return out;
}

Awaitable<aws::ApiResult<wire::Deployments>> get_deployments(Core& core, const aws::CallContext& context,
                                                             wire::GetDeploymentsRequest request) {
  auto found = core.api(context, request.restApiId);
  if (!found) co_return std::unexpected(std::move(found.error()));
  std::vector<wire::Deployment> all;
  for (const auto& [id, deployment] : (*found)->deployments) all.push_back(deployment);
  wire::Deployments out;
  page(out, std::move(all), [](const wire::Deployment& one) { return one.id.value_or(""); }, request);
  co_return out;
}

Awaitable<aws::ApiResult<wire::Deployment>> update_deployment(Core& core, const aws::CallContext& context,
                                                              wire::UpdateDeploymentRequest request) {
  const auto id = request.deploymentId.value_or("");
  ApiEdit edit = [request, id](ApiRecord& record) -> aws::ApiResult<void> {
    const auto deployment = record.deployments.find(id);
    if (deployment == record.deployments.end()) return refuse_missing("Deployment identifier");
    return patch(deployment->second, request.patchOperations, kDeploymentRules);
  };
  auto changed = co_await change_api(core, context, request.restApiId.value_or(""), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return (*changed)->deployments.at(id);
}

Awaitable<aws::ApiResult<wire::DeleteDeployment::Response>> delete_deployment(Core& core,
                                                                              const aws::CallContext& context,
                                                                              wire::DeleteDeploymentRequest request) {
  const auto id = request.deploymentId.value_or("");
  ApiEdit edit = [id](ApiRecord& record) -> aws::ApiResult<void> {
    const auto serves = [&](const auto& stage) { return stage.second.deploymentId == id; };
    if (std::ranges::any_of(record.stages, serves))
      return refuse_input("Active stages pointing to this deployment must be moved or deleted");
    if (record.deployments.erase(id) == 0) return refuse_missing("Deployment identifier");
    return {};
  };
  auto changed = co_await change_api(core, context, request.restApiId.value_or(""), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  auto erased = co_await core.deployments.erase(deployment_key((*changed)->id(), id));
  if (!erased) co_return services::refuse_internal(erased.error());
  co_return wire::DeleteDeployment::Response();
}

}  // namespace

void bind_deployments(aws::Service& service, Core& core) {
  bind<wire::CreateDeployment>(service, core, create_deployment);
  bind<wire::GetDeployment>(service, core, get_deployment);
  bind<wire::GetDeployments>(service, core, get_deployments);
  bind<wire::UpdateDeployment>(service, core, update_deployment);
  bind<wire::DeleteDeployment>(service, core, delete_deployment);
}

}  // namespace mayfly::apigateway
