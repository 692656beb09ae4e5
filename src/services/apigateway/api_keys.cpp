// API keys: create, read, patch, delete, import.
#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "base/encoding.h"
#include "base/ids.h"
#include "services/apigateway/core.h"
#include "services/apigateway/key_file.h"

namespace mayfly::apigateway {
namespace {

constexpr std::size_t kShortestValue = 20;
constexpr std::size_t kLongestValue = 128;
constexpr std::size_t kMadeValue = 40;
constexpr std::size_t kLongestKeyName = 1'024;
constexpr std::size_t kLongestDescription = 125'000;
constexpr std::size_t kLongestFile = 1024UL * 1024;

aws::ApiResult<void> check_key(const wire::ApiKey& key) {
  if (key.name.value_or("").size() > kLongestKeyName)
    return refuse_input("Invalid API Key name, can be at most 1024 characters.");
  if (key.description.value_or("").size() > kLongestDescription)
    return refuse_input("Invalid API Key description specified.");
  return check_tags(key.tags);
}

aws::ApiResult<void> check_value(std::string_view value) {
  if (value.size() < kShortestValue) return refuse_input("API Key value should be at least 20 characters");
  if (value.size() > kLongestValue) return refuse_input("API Key value exceeds maximum size of 128 characters");
  const auto good = [](char c) { return c > ' ' && c < '\x7f'; };  // what a header can hold
  if (!std::ranges::all_of(value, good)) return refuse_input("API Key value holds characters that no header can hold");
  return {};
}

wire::ApiKey with_value(const KeyRecord& record, bool shows_value) {
  auto out = record.shown;
  if (!out.stageKeys) out.stageKeys.emplace();
  if (shows_value) out.value = record.value;
  return out;
}

aws::ApiError missing_key() { return refuse_missing("API Key identifier").error(); }

aws::ApiResult<KeyPtr> key_of(const Core& core, const aws::CallContext& context, const std::optional<std::string>& id) {
  auto found = core.keys.find(key_key(context.principal.account, context.region, id.value_or("")));
  if (!found) return std::unexpected(missing_key());
  return found;
}

Awaitable<aws::ApiResult<KeyPtr>> make_key(Core& core, const aws::CallContext& context, wire::ApiKey key,
                                           std::string value) {
  constexpr std::size_t kKeyIdLength = 10;
  if (auto checked = check_key(key); !checked) co_return std::unexpected(std::move(checked.error()));
  if (value.empty()) value = random_alphanumeric(kMadeValue);
  if (auto checked = check_value(value); !checked) co_return std::unexpected(std::move(checked.error()));
  const auto present = core.keys.list(key_key(context.principal.account, context.region, ""));
  if (present.size() >= kMostKeys) co_return refuse_limit("API Keys", kMostKeys);
  const auto same = [&](const KeyPtr& one) { return one->value == value; };
  if (std::ranges::any_of(present, same)) co_return refuse(wire::errors::ConflictException, "API Key already exists");
  KeyRecord record;
  record.account = context.principal.account;
  record.region = context.region;
  record.shown = std::move(key);
  record.shown.id = random_alphanumeric(kKeyIdLength);
  record.shown.createdDate = record.shown.lastUpdatedDate = core.now();
  record.value = std::move(value);
  auto created = co_await core.keys.create(std::move(record));
  if (!created) co_return services::refuse_internal(created.error());
  co_return std::move(*created);
}

Awaitable<aws::ApiResult<wire::ApiKey>> create_key(Core& core, const aws::CallContext& context,
                                                   wire::CreateApiKeyRequest request) {
  if (request.stageKeys && !request.stageKeys->empty())
    co_return refuse_unsupported("stageKeys", "usage plans say which stages a key opens");
  wire::ApiKey key;
  merge(key, request, {"value", "stageKeys", "generateDistinctId"});
  key.enabled = request.enabled.value_or(false);
  auto made = co_await make_key(core, context, std::move(key), request.value.value_or(""));
  if (!made) co_return std::unexpected(std::move(made.error()));
  co_return with_value(**made, true);
}

Awaitable<aws::ApiResult<wire::ApiKey>> get_key(Core& core, const aws::CallContext& context,
                                                wire::GetApiKeyRequest request) {
  auto found = key_of(core, context, request.apiKey);
  if (!found) co_return std::unexpected(std::move(found.error()));
  co_return with_value(**found, request.includeValue.value_or(false));
}

Awaitable<aws::ApiResult<wire::ApiKeys>> get_keys(Core& core, const aws::CallContext& context,
                                                  wire::GetApiKeysRequest request) {
  std::vector<wire::ApiKey> all;
  for (const auto& record : core.keys.list(key_key(context.principal.account, context.region, ""))) {
    if (!record->shown.name.value_or("").starts_with(request.nameQuery.value_or(""))) continue;
    if (request.customerId && record->shown.customerId != request.customerId) continue;
    all.push_back(with_value(*record, request.includeValues.value_or(false)));
  }
  wire::ApiKeys out;
  page(out, std::move(all), [](const wire::ApiKey& one) { return one.id.value_or(""); }, request);
  co_return out;
}

constexpr auto kKeyRules =
    std::to_array<PatchRule>({{"/description"}, {"/enabled", PatchRule::Form::kBool}, {"/name"}, {"/customerId"}});

Awaitable<aws::ApiResult<wire::ApiKey>> update_key(Core& core, const aws::CallContext& context,
                                                   wire::UpdateApiKeyRequest request) {
  KeyEdit edit = [request, now = core.now()](KeyRecord& record) -> aws::ApiResult<void> {
    if (auto patched = patch(record.shown, request.patchOperations, kKeyRules); !patched) return patched;
    record.shown.lastUpdatedDate = now;
    return check_key(record.shown);
  };
  auto key = key_key(context.principal.account, context.region, request.apiKey.value_or(""));
  auto missing = missing_key();
  auto changed = co_await core.keys.change(std::move(key), std::move(missing), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return with_value(**changed, false);
}

Awaitable<aws::ApiResult<wire::DeleteApiKey::Response>> delete_key(Core& core, const aws::CallContext& context,
                                                                   wire::DeleteApiKeyRequest request) {
  auto found = key_of(core, context, request.apiKey);
  if (!found) co_return std::unexpected(std::move(found.error()));
  const auto id = (*found)->id();
  // Plans first: a crash between leaves a key that opens nothing.
  for (const auto& plan : core.plans.list(plan_key(context.principal.account, context.region, ""))) {
    if (std::ranges::find(plan->keys, id) == plan->keys.end()) continue;
    PlanEdit edit = [id](PlanRecord& record) -> aws::ApiResult<void> {
      std::erase(record.keys, id);
      return {};
    };
    auto missing = refuse_missing("Usage Plan ID").error();
    auto changed = co_await core.plans.change(plan->key(), std::move(missing), std::move(edit));
    if (!changed) co_return std::unexpected(std::move(changed.error()));
    auto forgotten = co_await core.usage.forget(plan->id(), id);
    if (!forgotten) co_return services::refuse_internal(forgotten.error());
  }
  auto erased = co_await core.keys.erase((*found)->key());
  if (!erased) co_return services::refuse_internal(erased.error());
  co_return wire::DeleteApiKey::Response();
}

Awaitable<aws::ApiResult<wire::ApiKeyIds>> import_keys(Core& core, const aws::CallContext& context,
                                                       wire::ImportApiKeysRequest request) {
  if (request.format != "csv") co_return refuse_input("Invalid format: it must be csv");
  const auto body = request.body.value_or("");
  if (body.size() > kLongestFile) co_return refuse_limit("bytes of an imported file", kLongestFile);
  auto read = read_key_file(body);
  if (!read) co_return std::unexpected(std::move(read.error()));
  wire::ApiKeyIds out;
  out.ids.emplace();
  out.warnings.emplace();
  for (auto& one : *read) {
    auto made = co_await make_key(core, context, std::move(one.key), std::move(one.value));
    if (made) {
      out.ids->push_back((*made)->id());
    } else if (request.failOnWarnings.value_or(false) || made.error().model == &wire::errors::LimitExceededException) {
      co_return std::unexpected(std::move(made.error()));
    } else {
      out.warnings->push_back(made.error().message);
    }
  }
  co_return out;
}

}  // namespace

void bind_keys(aws::Service& service, Core& core) {
  bind<wire::CreateApiKey>(service, core, create_key);
  bind<wire::GetApiKey>(service, core, get_key);
  bind<wire::GetApiKeys>(service, core, get_keys);
  bind<wire::UpdateApiKey>(service, core, update_key);
  bind<wire::DeleteApiKey>(service, core, delete_key);
  bind<wire::ImportApiKeys>(service, core, import_keys);
}

}  // namespace mayfly::apigateway
