// UpdateSecretVersionStage, and tags.
#include <fmt/core.h>

#include <algorithm>

#include "services/secrets/core.h"

namespace mayfly::secrets {
namespace {

aws::ApiResult<void> move(Secret& secret, const std::string& stage, const std::optional<std::string>& from,
                          const std::optional<std::string>& to) {
  const auto* holder = secret.staged(stage);
  if (to && secret.version(*to) == nullptr) {
    return refuse(wire::errors::ResourceNotFoundException,
                  fmt::format("Secrets Manager can't find the specified secret version: {}.", *to));
  }
  if (from && secret.version(*from) == nullptr) {
    return refuse(wire::errors::ResourceNotFoundException,
                  fmt::format("Secrets Manager can't find the specified secret version: {}.", *from));
  }
  if (from && (holder == nullptr || holder->id != *from)) {
    return refuse_parameter(fmt::format("The staging label {} isn't currently attached to version {}.", stage, *from));
  }
  if (to && !from && holder != nullptr && holder->id != *to) {
    return refuse_parameter(
        fmt::format("The parameter RemoveFromVersionId can't be empty. Staging label {} is currently attached to "
                    "version {}, so you must explicitly reference that version in RemoveFromVersionId.",
                    stage, holder->id));
  }
  if (to) {
    secret.move_stage(stage, *to);
    return {};
  }
  if (!from) return refuse_parameter("You must specify RemoveFromVersionId, MoveToVersionId, or both.");
  if (stage == kCurrent) {
    return refuse_parameter(
        "You can only move staging label AWSCURRENT to a different secret version. It can't be completely removed.");
  }
  secret.remove_stage(stage);
  return {};
}

Awaitable<aws::ApiResult<wire::UpdateSecretVersionStageResponse>> update_secret_version_stage(
    Core& core, const aws::CallContext& context, wire::UpdateSecretVersionStageRequest request) {
  auto found = find_live(core, context, request.SecretId);
  if (!found) co_return std::unexpected(std::move(found.error()));
  const auto now = core.now();
  Edit edit = [request, now](Secret& record) -> aws::ApiResult<void> {
    record.changed = now;
    return move(record, request.VersionStage.value_or(""), request.RemoveFromVersionId, request.MoveToVersionId);
  };
  auto changed = co_await change_live(core, (*found)->key(), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  wire::UpdateSecretVersionStageResponse out;
  out.ARN = (*changed)->arn();
  out.Name = (*changed)->name;
  co_return out;
}

Awaitable<aws::ApiResult<aws::Empty>> tag_resource(Core& core, const aws::CallContext& context,
                                                   wire::TagResourceRequest request) {
  auto found = find_live(core, context, request.SecretId);
  if (!found) co_return std::unexpected(std::move(found.error()));
  const auto tags = request.Tags.value_or(std::vector<wire::Tag>());
  Edit edit = [tags](Secret& record) { return set_tags(record, tags); };
  auto changed = co_await change_live(core, (*found)->key(), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return aws::Empty();
}

Awaitable<aws::ApiResult<aws::Empty>> untag_resource(Core& core, const aws::CallContext& context,
                                                     wire::UntagResourceRequest request) {
  auto found = find_live(core, context, request.SecretId);
  if (!found) co_return std::unexpected(std::move(found.error()));
  const auto names = request.TagKeys.value_or(std::vector<std::string>());
  Edit edit = [names](Secret& record) -> aws::ApiResult<void> {
    if (!record.tags) return {};
    std::erase_if(*record.tags, [&](const auto& tag) { return std::ranges::find(names, tag.first) != names.end(); });
    return {};
  };
  auto changed = co_await change_live(core, (*found)->key(), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return aws::Empty();
}

}  // namespace

void bind_stages(aws::Service& service, Core& core) {
  bind<wire::UpdateSecretVersionStage>(service, core, update_secret_version_stage);
}

void bind_tags(aws::Service& service, Core& core) {
  bind<wire::TagResource>(service, core, tag_resource);
  bind<wire::UntagResource>(service, core, untag_resource);
}

}  // namespace mayfly::secrets
