// Secrets that another service keeps for its users: those of the connections of buses.
#include "base/ids.h"
#include "services/secrets/core.h"

namespace mayfly::secrets {
namespace {

// "arn:aws:secretsmanager:<region>:<account>:secret:<name>-<suffix>"
std::optional<Secret> named_by(std::string_view arn) {
  constexpr std::size_t kHead = 6;  // parts before the name
  constexpr std::size_t kRandom = 6;
  std::vector<std::string> parts;
  for (std::size_t i = 0; i < kHead; ++i) {
    const auto colon = arn.find(':');
    if (colon == std::string_view::npos) return std::nullopt;
    parts.emplace_back(arn.substr(0, colon));
    arn.remove_prefix(colon + 1);
  }
  if (arn.size() < kRandom + 2) return std::nullopt;
  Secret out;
  out.place = {.account = parts[4], .region = parts[3]};
  out.name = arn.substr(0, arn.size() - kRandom - 1);
  out.suffix = arn.substr(arn.size() - kRandom);
  return out;
}

}  // namespace

Awaitable<Result<void>> put_owned(Core& core, std::string owner, std::string arn, std::string value) {
  auto secret = named_by(arn);
  if (!secret) co_return fail(ErrorCode::kInvalid, arn + " is not the ARN of a secret");
  const auto key = secret->key();
  NewValue given;
  given.kind = ValueKind::kText;
  given.bytes = std::move(value);
  auto version = make_version(core, *secret, uuid4(), given);
  version.stages.emplace_back(kCurrent);
  const auto present = core.secrets.find(key);
  if (!present) {
    secret->owner = std::move(owner);
    secret->created = secret->changed = core.now();
    secret->versions.push_back(std::move(version));
    auto created = co_await core.secrets.create(std::move(*secret));
    if (!created) co_return std::unexpected(std::move(created.error()));
    co_return Result<void>();
  }
  if (present->owner != owner) co_return fail(ErrorCode::kExists, arn + " is a secret of somebody else");
  const auto* current = present->staged(kCurrent);
  if (current != nullptr && same_value(core, *present, *current, given)) co_return Result<void>();
  version.stages.clear();
  Edit edit = [version](Secret& record) -> aws::ApiResult<void> {
    record.versions.push_back(version);
    record.move_stage(kCurrent, version.id);
    record.forget_old_versions();
    record.changed = version.created;
    return {};
  };
  auto changed = co_await core.secrets.change(key, secret_missing(), std::move(edit));
  if (!changed) co_return fail(ErrorCode::kIo, changed.error().message);
  co_return Result<void>();
}

Awaitable<Result<void>> remove_owned(Core& core, std::string owner, std::string arn) {
  const auto secret = named_by(arn);
  const auto present = secret ? core.secrets.find(secret->key()) : nullptr;
  if (!present || present->owner != owner) co_return Result<void>();
  auto erased = co_await core.secrets.erase(present->key());
  if (!erased) co_return std::unexpected(std::move(erased.error()));
  co_return Result<void>();
}

}  // namespace mayfly::secrets
