// PublishVersion and ListVersionsByFunction.
#include <fmt/core.h>

#include "base/ids.h"
#include "base/time_format.h"
#include "services/lambda/core.h"

namespace mayfly::lambda {

// Makes a version of $LATEST, or gives the newest one where nothing has changed since.
VersionRecord publish(FunctionRecord& function, const std::optional<std::string>& description, const Clock& clock) {
  if (!function.versions.empty()) {
    const auto& newest = function.versions.rbegin()->second;
    if (newest.content == function.latest.content) return newest;
  }
  auto version = function.latest;
  const auto id = ++function.last_version;
  version.config.Version = std::to_string(id);
  version.config.RevisionId = uuid4();
  version.config.LastModified = iso8601_millis_offset(clock.now());
  if (description) version.config.Description = description;
  auto& snap_start = version.config.SnapStart;
  if (snap_start && snap_start->ApplyOn == "PublishedVersions") snap_start->OptimizationStatus = "On";
  function.versions[id] = version;
  return version;
}

namespace {

Awaitable<aws::ApiResult<wire::FunctionConfiguration>> publish_version(Core& core, const aws::CallContext& context,
                                                                       wire::PublishVersionRequest request) {
  auto found = find_function(core, context, request.FunctionName, std::nullopt);
  if (!found) co_return std::unexpected(std::move(found.error()));
  if (request.PublishTo) co_return refuse_unsupported("PublishTo", "only numbered versions are published");
  const Clock& clock = core.clock;
  FunctionEdit edit = [request, &clock](FunctionRecord& function) -> aws::ApiResult<void> {
    const auto& config = function.latest.config;
    if (request.RevisionId && config.RevisionId != request.RevisionId) return refuse_revision();
    if (request.CodeSha256 && !request.CodeSha256->empty() && config.CodeSha256 != request.CodeSha256) {
      return refuse_parameter(
          fmt::format("CodeSHA256 ({}) is different from current CodeSHA256 in $LATEST ({}). Please try again with the "
                      "CodeSHA256 in $LATEST.",
                      *request.CodeSha256, config.CodeSha256.value_or("")));
    }
    publish(function, request.Description, clock);
    return {};
  };
  auto missing = function_missing(found->place, found->name.name, "");
  auto changed = co_await core.tables.change(found->place, found->name.name, std::move(missing), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  const auto& newest = *(*changed)->versions.rbegin();
  co_return shown_now(core, **changed, newest.second, std::to_string(newest.first));
}

Awaitable<aws::ApiResult<wire::ListVersionsByFunctionResponse>> list_versions(
    Core& core, const aws::CallContext& context, wire::ListVersionsByFunctionRequest request) {
  auto found = find_function(core, context, request.FunctionName, std::nullopt);
  if (!found) co_return std::unexpected(std::move(found.error()));
  const auto& function = *found->function;
  std::vector<wire::FunctionConfiguration> all;
  all.push_back(listed(function, function.latest, kLatest));
  for (const auto& [id, version] : function.versions) all.push_back(listed(function, version, std::to_string(id)));
  // "$LATEST" sorts before digits, and numbers by value.
  const auto key = [](const wire::FunctionConfiguration& config) {
    return config.Version == kLatest ? std::string(kLatest) : fmt::format("{:0>20}", config.Version.value_or(""));
  };
  auto [page, next] = page_of(std::move(all), key, request.Marker, request.MaxItems);
  wire::ListVersionsByFunctionResponse out;
  out.Versions = std::move(page);
  out.NextMarker = std::move(next);
  co_return out;
}

}  // namespace

void bind_versions(aws::Service& service, Core& core) {
  bind<wire::PublishVersion>(service, core, publish_version);
  bind<wire::ListVersionsByFunction>(service, core, list_versions);
}

}  // namespace mayfly::lambda
