// Stages of an API.
#include <fmt/core.h>

#include <algorithm>

#include "gateway/template.h"
#include "services/apigatewayv2/core.h"

namespace mayfly::apigatewayv2 {
namespace {

using Settings = std::vector<std::pair<std::string, wire::RouteSettings>>;

aws::ApiResult<void> check_settings(const wire::RouteSettings& settings) {
  if (settings.DataTraceEnabled.value_or(false))
    return refuse_unsupported("DataTraceEnabled", "there are no execution logs");
  if (settings.LoggingLevel.value_or("OFF") != "OFF")
    return refuse_unsupported("LoggingLevel", "there are no execution logs");
  if (settings.DetailedMetricsEnabled.value_or(false))
    return refuse_unsupported("DetailedMetricsEnabled", "there are no metrics for each route");
  if (settings.ThrottlingBurstLimit.value_or(0) < 0 || settings.ThrottlingRateLimit.value_or(0) < 0)
    return refuse_input("Throttling limits must not be negative");
  return {};
}

// A deployment to serve, unless the stage deploys by itself.
aws::ApiResult<void> check_deployment(const ApiRecord& record, const std::optional<std::string>& id) {
  if (!id) return {};
  const auto found = record.deployments.find(*id);
  if (found == record.deployments.end() || found->second.AutoDeployed.value_or(false))
    return refuse_missing("deployment");
  return {};
}

Awaitable<aws::ApiResult<wire::CreateStageResponse>> create_stage(Core& core, const aws::CallContext& context,
                                                                  wire::CreateStageRequest request) {
  if (request.ClientCertificateId)
    co_return refuse_unsupported("ClientCertificateId", "client certificates are not implemented");
  if (auto checked = check_tags(request.Tags); !checked) co_return std::unexpected(std::move(checked.error()));
  wire::Stage stage;
  merge(stage, request, {"ApiId"});
  stage.AutoDeploy = request.AutoDeploy.value_or(false);
  stage.CreatedDate = stage.LastUpdatedDate = core.now();
  if (!stage.DefaultRouteSettings) stage.DefaultRouteSettings = wire::RouteSettings();
  if (!stage.RouteSettings) stage.RouteSettings.emplace();
  if (!stage.StageVariables) stage.StageVariables.emplace();
  const auto name = request.StageName.value_or("");
  ApiEdit edit = [stage, name, now = core.now()](ApiRecord& record) -> aws::ApiResult<void> {
    if (auto checked = check_stage(record, stage); !checked) return checked;
    if (record.stages.contains(name)) return refuse(wire::errors::ConflictException, "Stage already exists");
    if (record.stages.size() >= kMostStages) return refuse_limit("StagesPerApi", kMostStages);
    if (stage.AutoDeploy.value_or(false) && stage.DeploymentId)
      return refuse_input("Deployment ID cannot be set on stages with AutoDeploy enabled");
    if (auto checked = check_deployment(record, stage.DeploymentId); !checked) return checked;
    record.stages[name] = stage;
    if (stage.AutoDeploy.value_or(false)) deploy_automatically(record, now);
    return {};
  };
  auto changed = co_await change_api(core, context, request.ApiId.value_or(""), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return converted<wire::CreateStageResponse>((*changed)->stages.at(name));
}

Awaitable<aws::ApiResult<wire::GetStageResponse>> get_stage(Core& core, const aws::CallContext& context,
                                                            wire::GetStageRequest request) {
  auto found = core.api(context, request.ApiId);
  if (!found) co_return std::unexpected(std::move(found.error()));
  const auto stage = (*found)->stages.find(request.StageName.value_or(""));
  if (stage == (*found)->stages.end()) co_return refuse_missing("stage");
  co_return converted<wire::GetStageResponse>(stage->second);
}

Awaitable<aws::ApiResult<wire::GetStagesResponse>> get_stages(Core& core, const aws::CallContext& context,
                                                              wire::GetStagesRequest request) {
  auto found = core.api(context, request.ApiId);
  if (!found) co_return std::unexpected(std::move(found.error()));
  std::vector<wire::Stage> all;
  for (const auto& [name, stage] : (*found)->stages) all.push_back(stage);
  wire::GetStagesResponse out;
  const auto key_of = [](const wire::Stage& one) { return one.StageName.value_or(""); };
  auto paged = page(out, std::move(all), key_of, request);
  if (!paged) co_return std::unexpected(std::move(paged.error()));
  co_return out;
}

void merge_settings(wire::Stage& stage, const std::optional<Settings>& changes) {
  if (!changes) return;
  auto all = stage.RouteSettings.value_or(Settings());
  for (const auto& [key, settings] : *changes) {
    const auto present = std::ranges::find(all, key, [](const auto& pair) { return pair.first; });
    if (present == all.end()) {
      all.emplace_back(key, settings);
    } else {
      merge(present->second, settings, {});
    }
  }
  stage.RouteSettings = std::move(all);
}

Awaitable<aws::ApiResult<wire::UpdateStageResponse>> update_stage(Core& core, const aws::CallContext& context,
                                                                  wire::UpdateStageRequest request) {
  if (request.ClientCertificateId)
    co_return refuse_unsupported("ClientCertificateId", "client certificates are not implemented");
  const auto name = request.StageName.value_or("");
  const auto now = core.now();
  auto found = core.api(context, request.ApiId);
  if (!found) co_return std::unexpected(std::move(found.error()));
  // A stage that no longer deploys by itself keeps what it serves at this moment.
  const auto before = (*found)->stages.find(name);
  const bool freezes = before != (*found)->stages.end() && before->second.AutoDeploy.value_or(false) &&
                       request.AutoDeploy.has_value() && !*request.AutoDeploy && !request.DeploymentId;
  DeploymentRecord frozen;
  if (freezes) {
    frozen.api_id = (*found)->id();
    frozen.id = new_id(6);
    frozen.configuration = (*found)->now;
    auto kept = co_await core.deployments.create(frozen);
    if (!kept) co_return services::refuse_internal(kept.error());
  }
  ApiEdit edit = [request, name, now, freezes, id = frozen.id](ApiRecord& record) -> aws::ApiResult<void> {
    const auto stage = record.stages.find(name);
    if (stage == record.stages.end()) return refuse_missing("stage");
    auto copy = stage->second;
    merge(copy, request, {"ApiId", "StageName", "RouteSettings", "StageVariables", "DefaultRouteSettings"});
    merge_settings(copy, request.RouteSettings);
    merge_pairs(copy.StageVariables, request.StageVariables);
    if (request.DefaultRouteSettings) {
      if (!copy.DefaultRouteSettings) copy.DefaultRouteSettings = wire::RouteSettings();
      merge(*copy.DefaultRouteSettings, *request.DefaultRouteSettings, {});
    }
    if (copy.AutoDeploy.value_or(false) && request.DeploymentId)
      return refuse_input("Deployment ID cannot be set on stages with AutoDeploy enabled");
    if (auto checked = check_deployment(record, request.DeploymentId); !checked) return checked;
    if (auto checked = check_stage(record, copy); !checked) return checked;
    copy.LastUpdatedDate = now;
    const bool begins = copy.AutoDeploy.value_or(false) && !stage->second.AutoDeploy.value_or(false);
    stage->second = std::move(copy);
    if (freezes) {
      wire::Deployment deployment;
      deployment.DeploymentId = id;
      deployment.AutoDeployed = false;
      deployment.CreatedDate = now;
      deployment.DeploymentStatus = "DEPLOYED";
      record.deployments[id] = std::move(deployment);
      stage->second.DeploymentId = id;
    }
    if (begins) deploy_automatically(record, now);
    return {};
  };
  auto changed = co_await change_api(core, context, request.ApiId.value_or(""), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return converted<wire::UpdateStageResponse>((*changed)->stages.at(name));
}

Awaitable<aws::ApiResult<wire::DeleteStage::Response>> delete_stage(Core& core, const aws::CallContext& context,
                                                                    wire::DeleteStageRequest request) {
  ApiEdit edit = [name = request.StageName.value_or("")](ApiRecord& record) -> aws::ApiResult<void> {
    if (record.stages.erase(name) == 0) return refuse_missing("stage");
    return {};
  };
  auto changed = co_await change_api(core, context, request.ApiId.value_or(""), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return wire::DeleteStage::Response();
}

Awaitable<aws::ApiResult<wire::DeleteAccessLogSettings::Response>> delete_log_settings(
    Core& core, const aws::CallContext& context, wire::DeleteAccessLogSettingsRequest request) {
  ApiEdit edit = [name = request.StageName.value_or("")](ApiRecord& record) -> aws::ApiResult<void> {
    const auto stage = record.stages.find(name);
    if (stage == record.stages.end()) return refuse_missing("stage");
    stage->second.AccessLogSettings.reset();
    return {};
  };
  auto changed = co_await change_api(core, context, request.ApiId.value_or(""), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return wire::DeleteAccessLogSettings::Response();
}

Awaitable<aws::ApiResult<wire::DeleteRouteSettings::Response>> delete_route_settings(
    Core& core, const aws::CallContext& context, wire::DeleteRouteSettingsRequest request) {
  ApiEdit edit = [request](ApiRecord& record) -> aws::ApiResult<void> {
    const auto stage = record.stages.find(request.StageName.value_or(""));
    if (stage == record.stages.end()) return refuse_missing("stage");
    if (!stage->second.RouteSettings) return refuse_missing("route settings");
    const auto key = request.RouteKey.value_or("");
    const auto erased = std::erase_if(*stage->second.RouteSettings, [&](const auto& one) { return one.first == key; });
    if (erased == 0) return refuse_missing("route settings");
    return {};
  };
  auto changed = co_await change_api(core, context, request.ApiId.value_or(""), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return wire::DeleteRouteSettings::Response();
}

}  // namespace

aws::ApiResult<void> check_stage(const ApiRecord& record, const wire::Stage& stage) {
  using gateway::Template;
  const auto name = stage.StageName.value_or("");
  const auto good = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  };
  if (name != "$default" && (name.empty() || !std::ranges::all_of(name, good)))
    return refuse_input("Stage name only allows a-zA-Z0-9_- and $default");
  if (name == "$default" && record.is_web_socket())
    return refuse_unsupported("StageName $default", "it is for HTTP APIs");
  if (stage.DefaultRouteSettings) {
    if (auto checked = check_settings(*stage.DefaultRouteSettings); !checked) return checked;
  }
  for (const auto& [key, settings] : stage.RouteSettings.value_or(Settings())) {
    if (auto checked = check_settings(settings); !checked) return checked;
  }
  if (!stage.AccessLogSettings) return {};
  const auto destination = stage.AccessLogSettings->DestinationArn.value_or("");
  if (!destination.starts_with("arn:aws:logs:") || destination.find(":log-group:") == std::string::npos)
    return refuse_unsupported("AccessLogSettings.DestinationArn", "it must be the ARN of a log group");
  const auto format = stage.AccessLogSettings->Format.value_or("");
  if (format.find("$context.requestId") == std::string::npos &&
      format.find("$context.extendedRequestId") == std::string::npos)
    return refuse_input("Invalid access log format: it must have $context.requestId or $context.extendedRequestId");
  const unsigned families = record.is_web_socket() ? Template::kContext | Template::kSocket : Template::kContext;
  const auto parsed = Template::parse(format, families);
  if (!parsed) return refuse_input("Invalid access log format: " + parsed.error().message);
  return {};
}

void bind_stages(aws::Service& service, Core& core) {
  bind<wire::CreateStage>(service, core, create_stage);
  bind<wire::GetStage>(service, core, get_stage);
  bind<wire::GetStages>(service, core, get_stages);
  bind<wire::UpdateStage>(service, core, update_stage);
  bind<wire::DeleteStage>(service, core, delete_stage);
  bind<wire::DeleteAccessLogSettings>(service, core, delete_log_settings);
  bind<wire::DeleteRouteSettings>(service, core, delete_route_settings);
}

}  // namespace mayfly::apigatewayv2
