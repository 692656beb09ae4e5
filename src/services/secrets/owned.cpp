// Secrets that another service keeps for its users: those of the connections of buses.
#include "base/ids.h"
#include "services/secrets/core.h"

namespace mayfly::secrets {
namespace {

// "arn:aws:secretsmanager:<region>:<account>:secret:<name>-<suffix>"
std::optional<Secret> named_by(std::string_view arn) {
  constexpr std::size_t kRandom = 6;
  const auto named = parse_arn(arn);
  if (!named || named->name.size() < kRandom + 2) return std::nullopt;
  Secret out;
  out.place = named->place;
  out.name = named->name.substr(0, named->name.size() - kRandom - 1);
  out.suffix = named->name.substr(named->name.size() - kRandom);
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
  const auto present = core.secrets.find(key);
  if (present && present->owner != owner) co_return fail(ErrorCode::kExists, arn + " is a secret of somebody else");
  const auto* current = present ? present->staged(kCurrent) : nullptr;
  if (current != nullptr && same_value(core, *present, *current, given)) co_return Result<void>();
  const auto version = make_version(core, *secret, uuid4(), given);
  if (!present) {
    secret->owner = std::move(owner);
    secret->created = version.created;
    auto put = put_version(*secret, version, {});
    if (!put) co_return fail(ErrorCode::kInvalid, put.error().message);
    auto created = co_await core.secrets.create(std::move(*secret));
    if (!created) co_return std::unexpected(std::move(created.error()));
    co_return Result<void>();
  }
  Edit edit = [version](Secret& record) { return put_version(record, version, {std::string(kCurrent)}); };
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
