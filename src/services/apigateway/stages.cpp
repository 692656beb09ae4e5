// Stages of an API.
#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "gateway/template.h"
#include "services/apigateway/core.h"
#include "services/apigateway/stage_settings.h"

namespace mayfly::apigateway {
namespace {

using Form = PatchRule::Form;

constexpr auto kStageRules = std::to_array<PatchRule>({
    {"/deploymentId"},
    {"/description"},
    {"/cacheClusterEnabled", Form::kBool},
    {"/cacheClusterSize"},
    {"/clientCertificateId"},
    {"/accessLogSettings"},
    {"/accessLogSettings/destinationArn", Form::kText, "accessLogSettings.destinationArn"},
    {"/accessLogSettings/format", Form::kText, "accessLogSettings.format"},
    {"/variables", Form::kMapText},
    {"/tracingEnabled", Form::kBool},
    {"/documentationVersion"},
    {"/webAclArn"},
});

aws::ApiResult<void> check_deployment(const ApiRecord& record, const std::optional<std::string>& id) {
  if (record.deployments.contains(id.value_or(""))) return {};
  return refuse_missing("Deployment identifier");
}

Awaitable<aws::ApiResult<wire::Stage>> create_stage(Core& core, const aws::CallContext& context,
                                                    wire::CreateStageRequest request) {
  if (request.canarySettings) co_return refuse_unsupported("canarySettings", "a stage has one deployment");
  if (auto checked = check_tags(request.tags); !checked) co_return std::unexpected(std::move(checked.error()));
  const auto name = request.stageName.value_or("");
  auto stage = new_stage(name, core.now());
  merge(stage, request, {"restApiId", "canarySettings"});
  if (auto checked = check_stage(stage); !checked) co_return std::unexpected(std::move(checked.error()));
  settle_cache(stage);
  ApiEdit edit = [stage, name](ApiRecord& record) -> aws::ApiResult<void> {
    if (record.stages.contains(name)) return refuse(wire::errors::ConflictException, "Stage already exists");
    if (record.stages.size() >= kMostStages) return refuse_limit("Stages per API", kMostStages);
    if (auto checked = check_deployment(record, stage.deploymentId); !checked) return checked;
    record.stages[name] = stage;
    return {};
  };
  auto changed = co_await change_api(core, context, request.restApiId.value_or(""), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return (*changed)->stages.at(name);
}

Awaitable<aws::ApiResult<wire::Stage>> get_stage(Core& core, const aws::CallContext& context,
                                                 wire::GetStageRequest request) {
  auto found = core.api(context, request.restApiId);
  if (!found) co_return std::unexpected(std::move(found.error()));
  const auto stage = (*found)->stages.find(request.stageName.value_or(""));
  if (stage == (*found)->stages.end()) co_return refuse_missing("stage identifier");
  co_return stage->second;
}

Awaitable<aws::ApiResult<wire::Stages>> get_stages(Core& core, const aws::CallContext& context,
                                                   wire::GetStagesRequest request) {
  auto found = core.api(context, request.restApiId);
  if (!found) co_return std::unexpected(std::move(found.error()));
  wire::Stages out;
  out.item.emplace();
  for (const auto& [name, stage] : (*found)->stages) {
    if (!request.deploymentId || stage.deploymentId == request.deploymentId) out.item->push_back(stage);
  }
  co_return out;
}

aws::ApiResult<void> check_log_patch(const wire::PatchOperation& patch) {
  constexpr std::string_view kLogs = "/accessLogSettings";
  const auto path = patch.path.value_or("");
  if (!path.starts_with(kLogs)) return {};
  const auto rest = path.substr(kLogs.size());
  const bool known = rest == "/destinationArn" || rest == "/format" || (rest.empty() && patch.op == "remove");
  if (!known)
    return refuse_input(
        "Invalid accessLogSettings path. Must be one of : [/accessLogSettings/destinationArn, "
        "/accessLogSettings/format]");
  if (patch.op != "remove" && patch.value.value_or("").empty())
    return refuse_input("Access Log value must not be empty");
  return {};
}

Awaitable<aws::ApiResult<wire::Stage>> update_stage(Core& core, const aws::CallContext& context,
                                                    wire::UpdateStageRequest request) {
  const auto name = request.stageName.value_or("");
  ApiEdit edit = [request, name, now = core.now()](ApiRecord& record) -> aws::ApiResult<void> {
    const auto stage = record.stages.find(name);
    if (stage == record.stages.end()) return refuse_missing("stage identifier");
    auto copy = stage->second;
    for (const auto& one : request.patchOperations.value_or(Patches())) {
      if (auto checked = check_log_patch(one); !checked) return checked;
      const auto path = one.path.value_or("");
      if (path.starts_with("/canarySettings"))
        return refuse_unsupported("canarySettings", "a stage has one deployment");
      if (is_method_setting(path)) {
        if (auto done = patch_method_setting(copy, one); !done) return done;
        continue;
      }
      const std::optional<Patches> alone = Patches{one};
      if (auto done = patch(copy, alone, kStageRules); !done) return done;
    }
    if (auto checked = check_deployment(record, copy.deploymentId); !checked) return checked;
    if (auto checked = check_stage(copy); !checked) return checked;
    settle_cache(copy);
    copy.lastUpdatedDate = now;
    stage->second = std::move(copy);
    return {};
  };
  auto changed = co_await change_api(core, context, request.restApiId.value_or(""), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return (*changed)->stages.at(name);
}

Awaitable<aws::ApiResult<wire::FlushStageCache::Response>> flush_stage_cache(Core& core,
                                                                             const aws::CallContext& context,
                                                                             wire::FlushStageCacheRequest request) {
  auto found = core.api(context, request.restApiId);
  if (!found) co_return std::unexpected(std::move(found.error()));
  const auto name = request.stageName.value_or("");
  if (!(*found)->stages.contains(name)) co_return refuse_missing("stage identifier");
  core.gateway.flush_cache((*found)->id(), name);
  co_return wire::FlushStageCache::Response();
}

Awaitable<aws::ApiResult<wire::DeleteStage::Response>> delete_stage(Core& core, const aws::CallContext& context,
                                                                    wire::DeleteStageRequest request) {
  ApiEdit edit = [name = request.stageName.value_or("")](ApiRecord& record) -> aws::ApiResult<void> {
    if (record.stages.erase(name) == 0) return refuse_missing("stage identifier");
    return {};
  };
  auto changed = co_await change_api(core, context, request.restApiId.value_or(""), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return wire::DeleteStage::Response();
}

aws::ApiResult<void> check_settings(const wire::MethodSetting& settings) {
  if (settings.metricsEnabled.value_or(false))
    return refuse_unsupported("metrics/enabled", "there are no metrics for each method");
  if (settings.loggingLevel.value_or("OFF") != "OFF")
    return refuse_unsupported("logging/loglevel", "access logs are what a stage writes");
  if (settings.dataTraceEnabled.value_or(false))
    return refuse_unsupported("logging/dataTrace", "requests and answers are not logged whole");
  constexpr std::int32_t kLongestTtl = 3'600;
  const auto ttl = settings.cacheTtlInSeconds.value_or(0);
  if (ttl < 0 || ttl > kLongestTtl)
    return refuse_input(fmt::format("Invalid cache TTL, should be between 0 and {}", kLongestTtl));
  if (settings.cacheDataEncrypted.value_or(false))
    return refuse_unsupported("caching/dataEncrypted", "what is cached is kept in memory alone");
  constexpr std::array<std::string_view, 3> kStrategies = {"FAIL_WITH_403", "SUCCEED_WITH_RESPONSE_HEADER",
                                                           "SUCCEED_WITHOUT_RESPONSE_HEADER"};
  const auto strategy = settings.unauthorizedCacheControlHeaderStrategy.value_or(std::string(kStrategies[1]));
  if (std::ranges::find(kStrategies, strategy) == kStrategies.end())
    return refuse_input("Invalid unauthorizedCacheControlHeaderStrategy");
  return {};
}

aws::ApiResult<void> check_logs(const wire::AccessLogSettings& logs) {
  using gateway::Template;
  const auto destination = logs.destinationArn.value_or("");
  if (!destination.empty() &&
      (!destination.starts_with("arn:aws:logs:") || destination.find(":log-group:") == std::string::npos))
    return refuse_unsupported("accessLogSettings/destinationArn", "it must be the ARN of a log group");
  const auto format = logs.format.value_or("");
  if (format.empty()) return {};
  if (format.find("$context.requestId") == std::string::npos &&
      format.find("$context.extendedRequestId") == std::string::npos)
    return refuse_input("Invalid access log format: it must have $context.requestId or $context.extendedRequestId");
  const auto parsed = Template::parse(format, Template::kContext);
  if (!parsed) return refuse_input("Invalid access log format: " + parsed.error().message);
  return {};
}

}  // namespace

aws::ApiResult<void> check_stage(const wire::Stage& stage) {
  const auto good = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  };
  constexpr std::size_t kLongestName = 128;
  const auto name = stage.stageName.value_or("");
  if (name.empty() || name.size() > kLongestName || !std::ranges::all_of(name, good))
    return refuse_input("Stage name only allows a-zA-Z0-9_-");
  constexpr std::array<std::string_view, 8> kSizes = {"0.5", "1.6", "6.1", "13.5", "28.4", "58.2", "118", "237"};
  if (stage.cacheClusterSize && std::ranges::find(kSizes, *stage.cacheClusterSize) == kSizes.end())
    return refuse_input("Invalid cache cluster size");
  if (stage.tracingEnabled.value_or(false)) return refuse_unsupported("tracingEnabled", "there is no X-Ray");
  if (!stage.clientCertificateId.value_or("").empty())
    return refuse_unsupported("clientCertificateId", "integrations are called without a client certificate");
  if (!stage.documentationVersion.value_or("").empty())
    return refuse_unsupported("documentationVersion", "documentation is not kept");
  if (!stage.webAclArn.value_or("").empty()) return refuse_unsupported("webAclArn", "there is no WAF");
  if (stage.methodSettings) {
    for (const auto& [key, settings] : *stage.methodSettings) {
      if (auto checked = check_settings(settings); !checked) return checked;
    }
  }
  return stage.accessLogSettings ? check_logs(*stage.accessLogSettings) : aws::ApiResult<void>();
}

void bind_stages(aws::Service& service, Core& core) {
  bind<wire::CreateStage>(service, core, create_stage);
  bind<wire::GetStage>(service, core, get_stage);
  bind<wire::GetStages>(service, core, get_stages);
  bind<wire::UpdateStage>(service, core, update_stage);
  bind<wire::DeleteStage>(service, core, delete_stage);
  bind<wire::FlushStageCache>(service, core, flush_stage_cache);
}

}  // namespace mayfly::apigateway
