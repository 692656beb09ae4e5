// GetSecretValue, BatchGetSecretValue, DescribeSecret, ListSecretVersionIds.
#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "base/encoding.h"
#include "services/secrets/core.h"

namespace mayfly::secrets {
namespace {

constexpr std::size_t kMostInBatch = 20;

std::unexpected<aws::ApiError> refuse_no_value(std::string_view what, std::string_view value) {
  return refuse(wire::errors::ResourceNotFoundException,
                fmt::format("Secrets Manager can't find the specified secret value for {}: {}", what, value));
}

// The version that a read means: an id, a stage, or what is current.
aws::ApiResult<const Version*> version_of(const Secret& secret, const wire::GetSecretValueRequest& request) {
  const auto stage = request.VersionStage.value_or(std::string(kCurrent));
  if (request.VersionId) {
    const auto* version = secret.version(*request.VersionId);
    if (version == nullptr || version->kind == ValueKind::kNone) {
      return refuse_no_value("VersionId", *request.VersionId);
    }
    if (request.VersionStage && !version->has_stage(stage)) {
      return refuse_request("You provided a VersionStage that is not associated to the provided VersionId.");
    }
    return version;
  }
  const auto* version = secret.staged(stage);
  if (version == nullptr || version->kind == ValueKind::kNone) return refuse_no_value("staging label", stage);
  return version;
}

// Notes the day of a read, once a day, so that reading does not mean writing. A failure takes nothing from the reader.
Awaitable<void> note_access(Core& core, std::string key, std::string version_id) {
  const double day = std::floor(core.now() / kDay) * kDay;
  const auto secret = core.secrets.find(key);
  const auto* version = secret ? secret->version(version_id) : nullptr;
  if (version == nullptr || (version->accessed >= day && secret->accessed >= day)) co_return;
  Edit edit = [day, version_id](Secret& record) -> aws::ApiResult<void> {
    record.accessed = day;
    if (auto* stored = record.version(version_id)) stored->accessed = day;
    return {};
  };
  std::ignore = co_await core.secrets.change(std::move(key), secret_missing(), std::move(edit));
}

Awaitable<aws::ApiResult<wire::GetSecretValueResponse>> get_secret_value(Core& core, const aws::CallContext& context,
                                                                         wire::GetSecretValueRequest request) {
  auto found = find_live(core, context, request.SecretId);
  if (!found) co_return std::unexpected(std::move(found.error()));
  const auto secret = *found;
  if (auto same = check_same_account(*secret, context); !same) co_return std::unexpected(std::move(same.error()));
  auto version = version_of(*secret, request);
  if (!version) co_return std::unexpected(std::move(version.error()));
  auto value = open_value(core, *secret, **version);
  if (!value) co_return std::unexpected(std::move(value.error()));
  wire::GetSecretValueResponse out;
  out.ARN = secret->arn();
  out.Name = secret->name;
  out.VersionId = (*version)->id;
  out.VersionStages = some((*version)->stages);
  out.CreatedDate = (*version)->created;
  ((*version)->kind == ValueKind::kText ? out.SecretString : out.SecretBinary) = std::string(value->view());
  co_await note_access(core, secret->key(), (*version)->id);
  co_return out;
}

// Reading many needs the right to read each.
Awaitable<aws::ApiResult<wire::GetSecretValueResponse>> get_one_of_batch(Core& core, const aws::CallContext& context,
                                                                         std::string secret_id) {
  if (context.authorize != nullptr && *context.authorize) {
    json::object document;
    document["SecretId"] = secret_id;
    auto refused = (*context.authorize)(context, wire::service(), wire::GetSecretValue::model(), document);
    if (refused) co_return std::unexpected(std::move(*refused));
  }
  wire::GetSecretValueRequest one;
  one.SecretId = std::move(secret_id);
  co_return co_await get_secret_value(core, context, std::move(one));
}

aws::ApiResult<std::vector<std::string>> batch_of(const Core& core, const aws::CallContext& context,
                                                  wire::BatchGetSecretValueRequest& request, std::string& next) {
  const bool listed = request.SecretIdList && !request.SecretIdList->empty();
  const bool filtered = request.Filters && !request.Filters->empty();
  if (listed == filtered) {
    return refuse_parameter("Either 'SecretIdList' or 'Filters' must be provided, but not both.");
  }
  if (listed) {
    if (request.MaxResults || request.NextToken) {
      return refuse_parameter(
          "'Filters' not specified. 'Filters' must also be specified when 'MaxResults' is provided.");
    }
    return std::move(*request.SecretIdList);
  }
  const auto place = core.place(context);
  const auto limit = static_cast<std::size_t>(request.MaxResults.value_or(static_cast<int>(kMostInBatch)));
  std::string after;
  if (request.NextToken) after = base64_decode(*request.NextToken).value_or("");
  std::vector<std::string> out;
  for (const auto& secret : core.secrets.list(secret_key(place, ""))) {
    if (secret->deleted != 0 || secret->key() <= after || !matches(*secret, *request.Filters)) continue;
    if (out.size() == limit) {
      next = base64_encode(secret_key(place, out.back()));
      break;
    }
    out.push_back(secret->name);
  }
  return out;
}

Awaitable<aws::ApiResult<wire::BatchGetSecretValueResponse>> batch_get_secret_value(
    Core& core, const aws::CallContext& context, wire::BatchGetSecretValueRequest request) {
  std::string next;
  auto ids = batch_of(core, context, request, next);
  if (!ids) co_return std::unexpected(std::move(ids.error()));
  wire::BatchGetSecretValueResponse out;
  out.SecretValues.emplace();
  out.Errors.emplace();
  out.NextToken = some(std::move(next));
  for (const auto& id : *ids) {
    auto got = co_await get_one_of_batch(core, context, id);
    if (!got) {
      wire::APIErrorType error;
      error.SecretId = id;
      error.ErrorCode = std::string(got.error().model->code);
      error.Message = got.error().message;
      out.Errors->push_back(std::move(error));
      continue;
    }
    wire::SecretValueEntry entry;
    entry.ARN = std::move(got->ARN);
    entry.Name = std::move(got->Name);
    entry.VersionId = std::move(got->VersionId);
    entry.SecretString = std::move(got->SecretString);
    entry.SecretBinary = std::move(got->SecretBinary);
    entry.VersionStages = std::move(got->VersionStages);
    entry.CreatedDate = got->CreatedDate;
    out.SecretValues->push_back(std::move(entry));
  }
  co_return out;
}

Awaitable<aws::ApiResult<wire::DescribeSecretResponse>> describe_secret(Core& core, const aws::CallContext& context,
                                                                        wire::DescribeSecretRequest request) {
  auto found = find_secret(core, context, request.SecretId);
  if (!found) co_return std::unexpected(std::move(found.error()));
  const auto& secret = **found;
  wire::DescribeSecretResponse out;
  out.ARN = secret.arn();
  out.Name = secret.name;
  out.Description = secret.description;
  out.OwningService = some(secret.owner);
  out.CreatedDate = secret.created;
  out.LastChangedDate = secret.changed;
  out.LastAccessedDate = some_time(secret.accessed);
  out.DeletedDate = some_time(secret.deleted);
  if (secret.tags) out.Tags = shown_tags(secret);
  const auto& rotation = secret.rotation;
  if (rotation.enabled || !rotation.function_arn.empty()) {
    out.RotationEnabled = rotation.enabled;
    out.RotationLambdaARN = some(rotation.function_arn);
    out.RotationRules = rotation.rules;
    out.LastRotatedDate = some_time(rotation.rotated);
    if (rotation.enabled) out.NextRotationDate = some_time(rotation.next);
  }
  std::vector<std::pair<std::string, std::vector<std::string>>> stages;
  for (const auto& version : secret.versions) {
    if (!version.stages.empty()) stages.emplace_back(version.id, version.stages);
  }
  out.VersionIdsToStages = some(std::move(stages));
  co_return out;
}

wire::SecretVersionsListEntry entry_of(const Version& version) {
  wire::SecretVersionsListEntry out;
  out.VersionId = version.id;
  out.VersionStages = some(version.stages);
  out.CreatedDate = version.created;
  out.LastAccessedDate = some_time(version.accessed);
  out.KmsKeyIds = {"DefaultEncryptionKey"};
  return out;
}

Awaitable<aws::ApiResult<wire::ListSecretVersionIdsResponse>> list_secret_version_ids(
    Core& core, const aws::CallContext& context, wire::ListSecretVersionIdsRequest request) {
  auto found = find_secret(core, context, request.SecretId);
  if (!found) co_return std::unexpected(std::move(found.error()));
  const auto& secret = **found;
  const bool all = request.IncludeDeprecated.value_or(false);
  const auto limit = static_cast<std::size_t>(request.MaxResults.value_or(static_cast<int>(kDefaultPage)));
  wire::ListSecretVersionIdsResponse out;
  out.ARN = secret.arn();
  out.Name = secret.name;
  out.Versions.emplace();
  bool begun = !request.NextToken;
  for (const auto& version : secret.versions) {
    if (!all && version.stages.empty()) continue;
    if (!begun) {
      begun = version.id == *request.NextToken;
      if (!begun) continue;
    }
    if (out.Versions->size() == limit) {
      out.NextToken = version.id;
      break;
    }
    out.Versions->push_back(entry_of(version));
  }
  if (!begun) co_return refuse(wire::errors::InvalidNextTokenException, "Invalid NextToken.");
  co_return out;
}

}  // namespace

void bind_reads(aws::Service& service, Core& core) {
  bind<wire::GetSecretValue>(service, core, get_secret_value);
  bind<wire::BatchGetSecretValue>(service, core, batch_get_secret_value);
  bind<wire::DescribeSecret>(service, core, describe_secret);
  bind<wire::ListSecretVersionIds>(service, core, list_secret_version_ids);
}

}  // namespace mayfly::secrets
