// Deployments: an API's configuration as it was when it was deployed.
#include <fmt/core.h>

#include <algorithm>

#include "services/apigatewayv2/core.h"

namespace mayfly::apigatewayv2 {
namespace {

Awaitable<aws::ApiResult<wire::CreateDeploymentResponse>> create_deployment(Core& core, const aws::CallContext& context,
                                                                            wire::CreateDeploymentRequest request) {
  auto found = core.api(context, request.ApiId);
  if (!found) co_return std::unexpected(std::move(found.error()));
  if ((*found)->now.routes.empty()) co_return refuse_input("At least one route is required before deploying the Api.");
  if ((*found)->deployments.size() >= kMostDeployments) co_return refuse_limit("DeploymentsPerApi", kMostDeployments);
  DeploymentRecord record;
  record.api_id = (*found)->id();
  record.id = new_id(6);
  record.configuration = (*found)->now;
  const auto id = record.id;
  // First what it holds, then its name: a crash between the two leaves a record that nobody sees.
  auto kept = co_await core.deployments.create(std::move(record));
  if (!kept) co_return services::refuse_internal(kept.error());
  ApiEdit edit = [request, id, now = core.now()](ApiRecord& api) -> aws::ApiResult<void> {
    if (api.deployments.size() >= kMostDeployments) return refuse_limit("DeploymentsPerApi", kMostDeployments);
    wire::Deployment deployment;
    deployment.DeploymentId = id;
    deployment.AutoDeployed = false;
    deployment.CreatedDate = now;
    deployment.DeploymentStatus = "DEPLOYED";
    deployment.Description = request.Description;
    api.deployments[id] = std::move(deployment);
    if (!request.StageName) return {};
    const auto stage = api.stages.find(*request.StageName);
    if (stage == api.stages.end()) return refuse_missing("stage");
    if (stage->second.AutoDeploy.value_or(false))
      return refuse_input("Deployment ID cannot be set on stages with AutoDeploy enabled");
    stage->second.DeploymentId = id;
    stage->second.LastUpdatedDate = now;
    return {};
  };
  auto changed = co_await change_api(core, context, request.ApiId.value_or(""), std::move(edit));
  if (!changed) {
    auto erased = co_await core.deployments.erase(deployment_key(request.ApiId.value_or(""), id));
    if (!erased) co_return services::refuse_internal(erased.error());
    co_return std::unexpected(std::move(changed.error()));
  }
  co_return converted<wire::CreateDeploymentResponse>((*changed)->deployments.at(id));
}

Awaitable<aws::ApiResult<wire::GetDeploymentResponse>> get_deployment(Core& core, const aws::CallContext& context,
                                                                      wire::GetDeploymentRequest request) {
  auto found = core.api(context, request.ApiId);
  if (!found) co_return std::unexpected(std::move(found.error()));
  const auto deployment = (*found)->deployments.find(request.DeploymentId.value_or(""));
  if (deployment == (*found)->deployments.end()) co_return refuse_missing("deployment");
  co_return converted<wire::GetDeploymentResponse>(deployment->second);
}

Awaitable<aws::ApiResult<wire::GetDeploymentsResponse>> get_deployments(Core& core, const aws::CallContext& context,
                                                                        wire::GetDeploymentsRequest request) {
  auto found = core.api(context, request.ApiId);
  if (!found) co_return std::unexpected(std::move(found.error()));
  std::vector<wire::Deployment> all;
  for (const auto& [id, deployment] : (*found)->deployments) all.push_back(deployment);
  wire::GetDeploymentsResponse out;
  const auto key_of = [](const wire::Deployment& one) { return one.DeploymentId.value_or(""); };
  auto paged = page(out, std::move(all), key_of, request);
  if (!paged) co_return std::unexpected(std::move(paged.error()));
  co_return out;
}

Awaitable<aws::ApiResult<wire::UpdateDeploymentResponse>> update_deployment(Core& core, const aws::CallContext& context,
                                                                            wire::UpdateDeploymentRequest request) {
  const auto id = request.DeploymentId.value_or("");
  ApiEdit edit = [request, id](ApiRecord& record) -> aws::ApiResult<void> {
    const auto deployment = record.deployments.find(id);
    if (deployment == record.deployments.end()) return refuse_missing("deployment");
    if (request.Description) deployment->second.Description = request.Description;
    return {};
  };
  auto changed = co_await change_api(core, context, request.ApiId.value_or(""), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return converted<wire::UpdateDeploymentResponse>((*changed)->deployments.at(id));
}

Awaitable<aws::ApiResult<wire::DeleteDeployment::Response>> delete_deployment(Core& core,
                                                                              const aws::CallContext& context,
                                                                              wire::DeleteDeploymentRequest request) {
  const auto id = request.DeploymentId.value_or("");
  ApiEdit edit = [id](ApiRecord& record) -> aws::ApiResult<void> {
    const auto serves = [&](const auto& stage) { return stage.second.DeploymentId == id; };
    if (std::ranges::any_of(record.stages, serves))
      return refuse_input("Active stages pointing to this deployment must be moved or deleted");
    if (record.deployments.erase(id) == 0) return refuse_missing("deployment");
    return {};
  };
  auto changed = co_await change_api(core, context, request.ApiId.value_or(""), std::move(edit));
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

}  // namespace mayfly::apigatewayv2
