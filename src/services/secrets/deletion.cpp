// DeleteSecret with its recovery window, and RestoreSecret.
#include <fmt/core.h>

#include "base/ids.h"
#include "services/secrets/core.h"

namespace mayfly::secrets {
namespace {

constexpr std::int64_t kDefaultWindow = 30;

Awaitable<aws::ApiResult<wire::DeleteSecretResponse>> delete_secret(Core& core, const aws::CallContext& context,
                                                                    wire::DeleteSecretRequest request) {
  const bool at_once = request.ForceDeleteWithoutRecovery.value_or(false);
  if (at_once && request.RecoveryWindowInDays) {
    co_return refuse_parameter("You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.");
  }
  const auto window = request.RecoveryWindowInDays.value_or(kDefaultWindow);
  if (window < 7 || window > 30) {
    co_return refuse_parameter("The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).");
  }
  auto found = find_secret(core, context, request.SecretId);
  wire::DeleteSecretResponse out;
  out.DeletionDate = core.now();
  if (!found) {
    // Forced deletions of what is not there succeed, so that they can be repeated.
    if (!at_once || found.error().model != &wire::errors::ResourceNotFoundException) {
      co_return std::unexpected(std::move(found.error()));
    }
    const auto place = core.place(context);
    out.Name = request.SecretId.value_or("");
    out.ARN = fmt::format("arn:aws:secretsmanager:{}:{}:secret:{}-{}", place.region, place.account, *out.Name,
                          random_alphanumeric(6));
    co_return out;
  }
  const auto secret = *found;
  out.ARN = secret->arn();
  out.Name = secret->name;
  if (auto free = check_not_owned(*secret); !free) co_return std::unexpected(std::move(free.error()));
  if (at_once) {
    auto erased = co_await core.secrets.erase(secret->key());
    if (!erased) co_return services::refuse_internal(erased.error());
    co_return out;
  }
  if (secret->deleted != 0) {
    co_return refuse_request(
        "You can't perform this operation on the secret because it was already scheduled for deletion.");
  }
  const auto now = core.now();
  const auto deleted_at = now + static_cast<double>(window) * kDay;
  Edit edit = [now, deleted_at](Secret& record) -> aws::ApiResult<void> {
    record.deleted = now;
    record.deleted_at = deleted_at;
    return {};
  };
  auto changed = co_await change_live(core, secret->key(), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  core.changed.notify();
  out.DeletionDate = deleted_at;
  co_return out;
}

Awaitable<aws::ApiResult<wire::RestoreSecretResponse>> restore_secret(Core& core, const aws::CallContext& context,
                                                                      wire::RestoreSecretRequest request) {
  auto found = find_secret(core, context, request.SecretId);
  if (!found) co_return std::unexpected(std::move(found.error()));
  Edit edit = [](Secret& record) -> aws::ApiResult<void> {
    record.deleted = 0;
    record.deleted_at = 0;
    return {};
  };
  auto changed = co_await core.secrets.change((*found)->key(), secret_missing(), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  core.changed.notify();
  wire::RestoreSecretResponse out;
  out.ARN = (*changed)->arn();
  out.Name = (*changed)->name;
  co_return out;
}

}  // namespace

void bind_deletion(aws::Service& service, Core& core) {
  bind<wire::DeleteSecret>(service, core, delete_secret);
  bind<wire::RestoreSecret>(service, core, restore_secret);
}

}  // namespace mayfly::secrets
