#include "services/lambda/mapping_record.h"

#include <fmt/core.h>

#include "base/json.h"

namespace mayfly::lambda {
namespace {

constexpr std::size_t kMappingPage = 256;
constexpr std::int64_t kMappingFormat = 1;

std::string key_of(const Place& place, std::string_view uuid) {
  return fmt::format("{}{}/{}/{}", kMappingPrefix, place.account, place.region, uuid);
}

}  // namespace

std::string to_text(const MappingRecord& record) {
  json::object out;
  out["format"] = kMappingFormat;
  out["account"] = record.place.account;
  out["region"] = record.place.region;
  out["uuid"] = record.uuid;
  out["function"] = record.function;
  out["qualifier"] = record.qualifier;
  out["enabled"] = record.enabled;
  json::object config;
  to_document(record.config, config);
  out["config"] = std::move(config);
  json::object tags;
  for (const auto& [key, value] : record.tags) tags[key] = value;
  out["tags"] = std::move(tags);
  return to_json(out);
}

Result<MappingRecord> mapping_from_text(std::string_view text) {
  const auto value = parse_json(text);
  if (!value || get_int(*value, "format") != kMappingFormat || get_string(*value, "uuid").empty()) {
    return fail(ErrorCode::kCorrupt, "a stored event source mapping cannot be read");
  }
  MappingRecord out;
  out.place.account = get_string(*value, "account");
  out.place.region = get_string(*value, "region");
  out.uuid = get_string(*value, "uuid");
  out.function = get_string(*value, "function");
  out.qualifier = get_string(*value, "qualifier");
  out.enabled = get_bool(*value, "enabled", true);
  if (const auto* config = find(*value, "config"); config != nullptr && config->is_object()) {
    from_document(config->get_object(), out.config);
  }
  if (const auto* tags = find(*value, "tags"); tags != nullptr && tags->is_object()) {
    for (const auto& tag : tags->get_object()) {
      if (tag.value().is_string()) out.tags.emplace_back(tag.key(), std::string(tag.value().get_string()));
    }
  }
  return out;
}

std::string mapping_arn(const Place& place, std::string_view uuid) {
  return fmt::format("arn:aws:lambda:{}:{}:event-source-mapping:{}", place.region, place.account, uuid);
}

aws::ApiError mapping_missing() { return refuse_missing("The resource you requested does not exist.").error(); }

Awaitable<Result<void>> MappingTable::load() {
  std::string after;
  for (;;) {
    auto page = co_await store_->list(std::string(kMappingPrefix), after, kMappingPage);
    if (!page) co_return std::unexpected(std::move(page.error()));
    for (auto& entry : *page) {
      auto record = mapping_from_text(entry.value);
      if (!record) co_return fail(record.error().code, fmt::format("{}: {}", entry.key, record.error().message));
      install(entry.key, std::make_shared<const MappingRecord>(std::move(*record)), entry.revision);
    }
    if (page->size() < kMappingPage) break;
    after = page->back().key;
  }
  co_return Result<void>();
}

MappingTable::Installed MappingTable::seen(const std::string& key) const {
  const std::lock_guard lock(mutex_);
  const auto found = mappings_.find(key);
  return found == mappings_.end() ? Installed() : found->second;
}

void MappingTable::install(const std::string& key, MappingPtr record, store::Revision revision) {
  const std::lock_guard lock(mutex_);
  mappings_[key] = {.record = std::move(record), .revision = revision};
}

MappingPtr MappingTable::find(const Place& place, const std::string& uuid) const {
  return seen(key_of(place, uuid)).record;
}

std::vector<MappingPtr> MappingTable::all(const Place& place) const {
  const auto prefix = key_of(place, "");
  const std::lock_guard lock(mutex_);
  std::vector<MappingPtr> out;
  for (auto at = mappings_.lower_bound(prefix); at != mappings_.end() && at->first.starts_with(prefix); ++at) {
    out.push_back(at->second.record);
  }
  return out;
}

std::vector<MappingPtr> MappingTable::all() const {
  const std::lock_guard lock(mutex_);
  std::vector<MappingPtr> out;
  for (const auto& [key, installed] : mappings_) out.push_back(installed.record);
  return out;
}

Awaitable<aws::ApiResult<MappingPtr>> MappingTable::create(MappingRecord record) {
  const auto key = key_of(record.place, record.uuid);
  MappingPtr shared = std::make_shared<const MappingRecord>(std::move(record));
  auto written = co_await store_->compare_and_set(key, to_text(*shared), 0);
  if (!written) co_return refuse_internal(written.error());
  install(key, shared, *written);
  co_return shared;
}

Awaitable<aws::ApiResult<MappingPtr>> MappingTable::change(Place place, std::string uuid, MappingEdit edit) {
  const auto key = key_of(place, uuid);
  const auto current = seen(key);
  if (!current.record) co_return std::unexpected(mapping_missing());
  auto copy = std::make_shared<MappingRecord>(*current.record);
  if (auto edited = edit(*copy); !edited) co_return std::unexpected(std::move(edited.error()));
  auto written = co_await store_->compare_and_set(key, to_text(*copy), current.revision);
  if (!written && written.error().code == ErrorCode::kConflict) {
    co_return refuse(wire::errors::ResourceInUseException,
                     "Cannot update the event source mapping because it is in use.");
  }
  if (!written) co_return refuse_internal(written.error());
  MappingPtr done = std::move(copy);
  const std::lock_guard lock(mutex_);
  // It may have been deleted meanwhile, and does not come back.
  const auto slot = mappings_.find(key);
  if (slot == mappings_.end() || slot->second.revision != current.revision)
    co_return std::unexpected(mapping_missing());
  slot->second = {.record = done, .revision = *written};
  co_return done;
}

Awaitable<aws::ApiResult<MappingPtr>> MappingTable::erase(Place place, std::string uuid) {
  const auto key = key_of(place, uuid);
  const auto current = seen(key);
  if (!current.record) co_return std::unexpected(mapping_missing());
  auto removed = co_await store_->remove(key, std::nullopt);
  if (!removed) co_return refuse_internal(removed.error());
  {
    const std::lock_guard lock(mutex_);
    mappings_.erase(key);
  }
  co_return current.record;
}

}  // namespace mayfly::lambda
