// CreateSecret, PutSecretValue, UpdateSecret: new values and descriptions.
#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "base/crypto.h"
#include "base/ids.h"
#include "services/secrets/core.h"

namespace mayfly::secrets {
namespace {

constexpr std::size_t kMostStages = 20;
constexpr std::string_view kDefaultKey = "alias/aws/secretsmanager";

// Six characters as the service ends its ARNs, from the kernel's generator.
std::string new_suffix() {
  constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  std::string out;
  while (out.size() < 6) {
    for (const char c : random_bytes(16)) {
      const auto byte = static_cast<unsigned char>(c);
      if (byte < 4 * kLetters.size() && out.size() < 6) out += kLetters[byte % kLetters.size()];
    }
  }
  return out;
}

aws::ApiResult<void> check_key(const std::optional<std::string>& key) {
  if (!key || key->empty() || *key == kDefaultKey) return {};
  return refuse_unsupported("KmsKeyId");
}

std::unexpected<aws::ApiError> refuse_used_token(const std::string& token, const Secret& secret) {
  return refuse(wire::errors::ResourceExistsException,
                fmt::format("You can't use ClientRequestToken {} because that value is already in use for a version "
                            "of secret {}.",
                            token, secret.arn()));
}

Awaitable<aws::ApiResult<wire::CreateSecretResponse>> create_secret(Core& core, const aws::CallContext& context,
                                                                    wire::CreateSecretRequest request) {
  Secret secret;
  secret.place = core.place(context);
  secret.name = request.Name.value_or("");
  if (auto valid = check_name(secret.name); !valid) co_return std::unexpected(std::move(valid.error()));
  if (is_of_a_service(secret.name)) co_return refuse_parameter("Names that begin so are for secrets of services.");
  if (auto valid = check_key(request.KmsKeyId); !valid) co_return std::unexpected(std::move(valid.error()));
  if (request.AddReplicaRegions && !request.AddReplicaRegions->empty())
    co_return refuse_unsupported("AddReplicaRegions");
  if (request.Type) co_return refuse_unsupported("Type");
  auto value = new_value(request.SecretString, request.SecretBinary);
  if (!value) co_return std::unexpected(std::move(value.error()));
  const auto version_id = new_version_id(request.ClientRequestToken);
  wire::CreateSecretResponse out;
  out.Name = secret.name;
  if (value->any()) out.VersionId = version_id;

  if (const auto present = core.secrets.find(secret.key())) {
    if (present->deleted != 0) {
      co_return refuse_request(
          "You can't create this secret because a secret with this name is already scheduled for deletion.");
    }
    const auto* version = present->version(version_id);
    if (request.ClientRequestToken && version != nullptr && same_value(core, *present, *version, *value)) {
      out.ARN = present->arn();
      co_return out;
    }
    co_return refuse(wire::errors::ResourceExistsException,
                     fmt::format("The operation failed because the secret {} already exists.", secret.name));
  }
  secret.suffix = new_suffix();
  secret.description = some(request.Description.value_or(""));
  secret.created = secret.changed = core.now();
  if (request.Tags && !request.Tags->empty()) {
    if (auto tagged = set_tags(secret, *request.Tags); !tagged) co_return std::unexpected(std::move(tagged.error()));
  }
  if (value->any()) {
    secret.versions.push_back(make_version(core, secret, version_id, *value));
    secret.move_stage(kCurrent, version_id);
  }
  out.ARN = secret.arn();
  const auto name = secret.name;
  auto created = co_await core.secrets.create(std::move(secret));
  if (!created && created.error().code == ErrorCode::kExists) {
    co_return refuse(wire::errors::ResourceExistsException,
                     fmt::format("The operation failed because the secret {} already exists.", name));
  }
  if (!created) co_return services::refuse_internal(created.error());
  co_return out;
}

Awaitable<aws::ApiResult<wire::PutSecretValueResponse>> put_secret_value(Core& core, const aws::CallContext& context,
                                                                         wire::PutSecretValueRequest request) {
  auto found = find_live(core, context, request.SecretId);
  if (!found) co_return std::unexpected(std::move(found.error()));
  const auto secret = *found;
  if (auto same = check_same_account(*secret, context); !same) co_return std::unexpected(std::move(same.error()));
  auto value = new_value(request.SecretString, request.SecretBinary);
  if (!value) co_return std::unexpected(std::move(value.error()));
  if (!value->any()) co_return refuse_request("You must provide either SecretString or SecretBinary.");
  if (request.RotationToken) co_return refuse_unsupported("RotationToken");
  std::vector<std::string> stages{std::string(kCurrent)};
  if (request.VersionStages) stages = *request.VersionStages;
  wire::PutSecretValueResponse out;
  out.ARN = secret->arn();
  out.Name = secret->name;
  out.VersionId = new_version_id(request.ClientRequestToken);
  const auto* present = secret->version(*out.VersionId);
  if (present != nullptr && present->kind != ValueKind::kNone) {
    if (!same_value(core, *secret, *present, *value)) co_return refuse_used_token(*out.VersionId, *secret);
    out.VersionStages = present->stages;
    co_return out;
  }
  const auto version = make_version(core, *secret, *out.VersionId, *value);
  const std::string suffix = secret->suffix;
  Edit edit = [version, stages, suffix](Secret& record) -> aws::ApiResult<void> {
    if (record.suffix != suffix) return std::unexpected(secret_missing());  // made again meanwhile
    return put_version(record, version, stages);
  };
  auto changed = co_await change_live(core, secret->key(), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  if (const auto* stored = (*changed)->version(version.id)) out.VersionStages = stored->stages;
  co_return out;
}

Awaitable<aws::ApiResult<wire::UpdateSecretResponse>> update_secret(Core& core, const aws::CallContext& context,
                                                                    wire::UpdateSecretRequest request) {
  auto found = find_live(core, context, request.SecretId);
  if (!found) co_return std::unexpected(std::move(found.error()));
  const auto secret = *found;
  if (auto valid = check_key(request.KmsKeyId); !valid) co_return std::unexpected(std::move(valid.error()));
  if (request.Type) co_return refuse_unsupported("Type");
  auto value = new_value(request.SecretString, request.SecretBinary);
  if (!value) co_return std::unexpected(std::move(value.error()));
  wire::UpdateSecretResponse out;
  out.ARN = secret->arn();
  out.Name = secret->name;
  std::optional<Version> version;
  if (value->any()) {
    if (auto same = check_same_account(*secret, context); !same) co_return std::unexpected(std::move(same.error()));
    out.VersionId = new_version_id(request.ClientRequestToken);
    const auto* present = secret->version(*out.VersionId);
    if (present != nullptr && present->kind != ValueKind::kNone) {
      if (!same_value(core, *secret, *present, *value)) co_return refuse_used_token(*out.VersionId, *secret);
    } else {
      version = make_version(core, *secret, *out.VersionId, *value);
    }
  }
  const auto description = request.Description;
  const auto now = core.now();
  const std::string suffix = secret->suffix;
  Edit edit = [version, description, now, suffix](Secret& record) -> aws::ApiResult<void> {
    if (record.suffix != suffix) return std::unexpected(secret_missing());
    if (description) record.description = some(*description);
    record.changed = now;
    if (!version) return {};
    const std::vector<std::string> stages{std::string(kCurrent)};
    return put_version(record, *version, stages);
  };
  auto changed = co_await change_live(core, secret->key(), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return out;
}

}  // namespace

bool same_value(const Core& core, const Secret& secret, const Version& version, const NewValue& value) {
  if (version.kind != value.kind) return false;
  const auto opened = core.vault.open(secret.context(version.id), version.sealed);
  return opened && constant_time_equal(opened->view(), value.bytes);
}

aws::ApiResult<void> put_version(Secret& secret, const Version& version, const std::vector<std::string>& stages) {
  if (auto* present = secret.version(version.id)) {
    if (present->kind != ValueKind::kNone) return refuse_used_token(version.id, secret);
    present->kind = version.kind;
    present->sealed = version.sealed;
  } else {
    secret.versions.push_back(version);
  }
  const bool first = secret.staged(kCurrent) == nullptr;
  if (first) secret.move_stage(kCurrent, version.id);
  for (const auto& stage : stages) secret.move_stage(stage, version.id);
  if (secret.version(version.id)->stages.size() > kMostStages) {
    return refuse(wire::errors::LimitExceededException,
                  fmt::format("A version can have at most {} staging labels.", kMostStages));
  }
  secret.forget_old_versions();
  secret.changed = version.created;
  return {};
}

Version make_version(const Core& core, const Secret& secret, std::string id, const NewValue& value) {
  Version version;
  version.created = core.now();
  version.kind = value.kind;
  version.sealed = core.vault.seal(secret.context(id), value.bytes);
  version.id = std::move(id);
  return version;
}

void bind_changes(aws::Service& service, Core& core) {
  bind<wire::CreateSecret>(service, core, create_secret);
  bind<wire::PutSecretValue>(service, core, put_secret_value);
  bind<wire::UpdateSecret>(service, core, update_secret);
}

}  // namespace mayfly::secrets
