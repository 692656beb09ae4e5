#include "services/apigatewayv2/core.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/ids.h"
#include "base/time_format.h"
#include "services/apigatewayv2/compile.h"

namespace mayfly::apigatewayv2 {

Core::Core(store::KeyValue& store, Clock& clock_in, gateway::Gateway& gateway_in)
    : clock(clock_in), gateway(gateway_in), apis(store), deployments(store), domains(store) {
  apis.on_change([this](const std::string& key) { publish_api(key); });
  domains.on_change([this](const std::string& key) { publish_domain(key); });
}

double Core::now() const { return static_cast<double>(static_cast<std::int64_t>(epoch_seconds(clock.now()))); }

void Core::publish_api(const std::string& key) {
  if (!loaded) return;
  const std::lock_guard lock(publishing_);
  const auto record = apis.find(key);
  if (record) {
    gateway.publish(compile(*this, *record));
  } else {
    gateway.withdraw(key.substr(key.rfind('/') + 1));
  }
}

void Core::publish_domain(const std::string& key) {
  if (!loaded) return;
  const std::lock_guard lock(publishing_);
  const auto record = domains.find(key);
  if (record) {
    gateway.publish_domain(compile(*record));
  } else {
    gateway.withdraw_domain(key.substr(DomainRecord::kPrefix.size()));
  }
}

aws::ApiResult<ApiPtr> Core::api(const aws::CallContext& context, const std::optional<std::string>& id) const {
  auto found = apis.find(api_key(context.principal.account, context.region, id.value_or("")));
  if (!found) return refuse_missing("API");
  return found;
}

void deploy_automatically(ApiRecord& record, double now) {
  ++record.generation;
  for (auto& [name, stage] : record.stages) {
    if (!stage.AutoDeploy.value_or(false)) continue;
    const auto before = stage.DeploymentId.value_or("");
    const auto old = record.deployments.find(before);
    // What it held is the API as it was; only the last one is kept of these.
    if (old != record.deployments.end() && old->second.AutoDeployed.value_or(false)) record.deployments.erase(old);
    wire::Deployment deployment;
    deployment.DeploymentId = new_id(6);
    deployment.AutoDeployed = true;
    deployment.CreatedDate = now;
    deployment.DeploymentStatus = "DEPLOYED";
    deployment.Description = "Automatic deployment triggered by changes to the Api configuration";
    stage.DeploymentId = deployment.DeploymentId;
    stage.LastUpdatedDate = now;
    stage.LastDeploymentStatusMessage =
        fmt::format("Successfully deployed stage with deployment ID '{}'", *deployment.DeploymentId);
    record.deployments[*deployment.DeploymentId] = std::move(deployment);
  }
}

Awaitable<aws::ApiResult<ApiPtr>> change_api(Core& core, const aws::CallContext& context, std::string api_id,
                                             ApiEdit edit) {
  auto missing = refuse_missing("API").error();
  auto key = api_key(context.principal.account, context.region, api_id);
  co_return co_await core.apis.change(std::move(key), std::move(missing), std::move(edit));
}

Awaitable<aws::ApiResult<ApiPtr>> change_configuration(Core& core, const aws::CallContext& context, std::string api_id,
                                                       ApiEdit edit) {
  const auto now = core.now();
  ApiEdit whole = [edit = std::move(edit), now](ApiRecord& record) -> aws::ApiResult<void> {
    if (auto edited = edit(record); !edited) return edited;
    deploy_automatically(record, now);
    return {};
  };
  co_return co_await change_api(core, context, std::move(api_id), std::move(whole));
}

std::unexpected<aws::ApiError> refuse_input(std::string message) {
  return refuse(wire::errors::BadRequestException, std::move(message));
}

std::unexpected<aws::ApiError> refuse_unsupported(std::string_view setting, std::string_view why) {
  return refuse_input(fmt::format("{} is not supported: {}", setting, why));
}

std::unexpected<aws::ApiError> refuse_missing(std::string_view kind) {
  return refuse(wire::errors::NotFoundException, fmt::format("Invalid {} identifier specified", kind));
}

std::unexpected<aws::ApiError> refuse_limit(std::string_view quota, std::size_t limit) {
  return refuse_input(fmt::format("Cannot exceed quota for {}: {}", quota, limit));
}

std::string new_id(std::size_t length) { return random_alphanumeric(length); }

void merge_pairs(std::optional<gateway::Pairs>& to, const std::optional<gateway::Pairs>& changes) {
  if (!changes) return;
  auto out = to.value_or(gateway::Pairs());
  for (const auto& [name, value] : *changes) {
    const auto present = std::ranges::find(out, name, [](const auto& pair) { return pair.first; });
    if (value.empty()) {
      if (present != out.end()) out.erase(present);
    } else if (present != out.end()) {
      present->second = value;
    } else {
      out.emplace_back(name, value);
    }
  }
  to = std::move(out);
}

}  // namespace mayfly::apigatewayv2
