#include "services/lambda/tables.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/log.h"

namespace mayfly::lambda {
namespace {

constexpr int kAttempts = 16;
constexpr std::size_t kPage = 256;

std::string tag_value(const TagList& tags, std::string_view key) {
  const auto found = std::find_if(tags.begin(), tags.end(), [&](const auto& tag) { return tag.first == key; });
  return found == tags.end() ? std::string() : found->second;
}

}  // namespace

aws::ApiResult<void> check_tags(const TagList& tags) {
  if (tags.size() > 50) return refuse_parameter("Number of tags exceeds resource tag limit.");
  const auto network = tag_value(tags, kNetworkTag);
  if (network.empty()) return {};
  if (const auto policy = sandbox::parse_network_policy(network); !policy) {
    return refuse_parameter(
        fmt::format("The tag {} must be \"none\", \"outbound\" or networks such as \"10.1.0.0/16 192.0.2.7/32\": {}",
                    kNetworkTag, policy.error().message));
  }
  return {};
}

Tables::Tables(store::KeyValue& store, Invoker& invoker, std::string code_directory)
    : store_(store), invoker_(invoker), code_directory_(std::move(code_directory)) {}

Awaitable<Result<void>> Tables::load() {
  std::string after;
  for (;;) {
    auto page = co_await store_.list(std::string(kFunctionPrefix), after, kPage);
    if (!page) co_return std::unexpected(std::move(page.error()));
    for (auto& entry : *page) {
      auto record = function_from_text(entry.value);
      if (!record) co_return fail(record.error().code, fmt::format("{}: {}", entry.key, record.error().message));
      install(entry.key, std::make_shared<const FunctionRecord>(std::move(*record)), entry.revision);
    }
    if (page->size() < kPage) break;
    after = page->back().key;
  }
  after.clear();
  for (;;) {
    auto page = co_await store_.list(std::string(kLayerPrefix), after, kPage);
    if (!page) co_return std::unexpected(std::move(page.error()));
    for (auto& entry : *page) {
      auto record = layer_from_text(entry.value);
      if (!record) co_return fail(record.error().code, fmt::format("{}: {}", entry.key, record.error().message));
      install_layer(entry.key, std::make_shared<const LayerRecord>(std::move(*record)), entry.revision);
    }
    if (page->size() < kPage) break;
    after = page->back().key;
  }
  loaded_ = true;
  co_return Result<void>();
}

FunctionPtr Tables::function(const Place& place, const std::string& name) const {
  return seen(function_key(place, name)).record;
}

Tables::Seen Tables::seen(const std::string& key) const {
  const std::lock_guard lock(mutex_);
  const auto found = functions_.find(key);
  if (found == functions_.end() || !found->second.record) return {};
  return {.record = found->second.record, .revision = found->second.revision};
}

LayerPtr Tables::layer(const Place& place, const std::string& name) const {
  const std::lock_guard lock(mutex_);
  const auto found = layers_.find(layer_key(place, name));
  return found == layers_.end() ? nullptr : found->second.record;
}

std::vector<FunctionPtr> Tables::functions(const Place& place) const {
  const auto prefix = function_key(place, "");
  const std::lock_guard lock(mutex_);
  std::vector<FunctionPtr> out;
  for (auto at = functions_.lower_bound(prefix); at != functions_.end() && at->first.starts_with(prefix); ++at) {
    if (at->second.record) out.push_back(at->second.record);
  }
  return out;
}

std::vector<LayerPtr> Tables::layers(const Place& place) const {
  const auto prefix = layer_key(place, "");
  const std::lock_guard lock(mutex_);
  std::vector<LayerPtr> out;
  for (auto at = layers_.lower_bound(prefix); at != layers_.end() && at->first.starts_with(prefix); ++at) {
    out.push_back(at->second.record);
  }
  return out;
}

std::optional<UrlTarget> Tables::url(const std::string& id) const {
  const std::lock_guard lock(mutex_);
  const auto found = urls_.find(id);
  if (found == urls_.end()) return std::nullopt;
  const auto function = functions_.find(found->second.first);
  if (function == functions_.end() || !function->second.record) return std::nullopt;
  const auto& record = function->second.record;
  const auto url = record->urls.find(found->second.second);
  if (url == record->urls.end()) return std::nullopt;
  return UrlTarget{.function = record, .url = url->second};
}

TargetPtr Tables::target(const Place& place, const std::string& name, const std::string& version) const {
  const std::lock_guard lock(mutex_);
  const auto found = functions_.find(function_key(place, name));
  if (found == functions_.end()) return nullptr;
  const auto target = found->second.targets.find(version);
  return target == found->second.targets.end() ? nullptr : target->second;
}

std::vector<std::string> Tables::code_in_use() const {
  std::vector<std::string> out;
  const auto add = [&](const VersionRecord& version) {
    out.push_back(version.code_sha);
    out.insert(out.end(), version.layer_shas.begin(), version.layer_shas.end());
  };
  const std::lock_guard lock(mutex_);
  for (const auto& [key, installed] : functions_) {
    if (!installed.record) continue;
    add(installed.record->latest);
    for (const auto& [id, version] : installed.record->versions) add(version);
  }
  for (const auto& [key, installed] : layers_) {
    for (const auto& [id, version] : installed.record->versions) out.push_back(version.code_sha);
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

TargetPtr Tables::make_target(const FunctionRecord& record, const VersionRecord& version) const {
  auto target = std::make_shared<dispatch::Target>();
  const auto& config = version.config;
  target->function_arn = record.arn("");
  target->function_name = record.name;
  target->version = config.Version.value_or(std::string(kLatest));
  target->account = record.place.account;
  target->region = record.place.region;
  target->runtime = config.Runtime.value_or("");
  target->handler = config.Handler.value_or("");
  target->role = config.Role.value_or("");
  target->code_directory = code_directory_ + "/" + version.code_sha;
  for (const auto& sha : version.layer_shas) target->layer_directories.push_back(code_directory_ + "/" + sha);
  if (config.Environment && config.Environment->Error) {
    target->unusable = config.Environment->Error->Message.value_or("");
  }
  if (config.Environment && config.Environment->Variables) target->environment = *config.Environment->Variables;
  target->memory_mb = static_cast<std::uint32_t>(config.MemorySize.value_or(128));
  if (config.EphemeralStorage) {
    target->ephemeral_storage_mb = static_cast<std::uint32_t>(config.EphemeralStorage->Size.value_or(512));
  }
  target->timeout = std::chrono::seconds(config.Timeout.value_or(3));
  if (record.reserved_concurrency) {
    target->reserved_concurrency = static_cast<std::uint32_t>(*record.reserved_concurrency);
  }
  target->log_group = "/aws/lambda/" + record.name;
  if (config.LoggingConfig) {
    const auto& logging = *config.LoggingConfig;
    if (logging.LogGroup) target->log_group = *logging.LogGroup;
    target->logs.json = logging.LogFormat == "JSON";
    target->logs.application_level = logging.ApplicationLogLevel.value_or("INFO");
    if (logging.SystemLogLevel == "DEBUG") target->logs.system_level = dispatch::SystemLogLevel::kDebug;
    if (logging.SystemLogLevel == "WARN") target->logs.system_level = dispatch::SystemLogLevel::kWarn;
  }
  const bool published = config.Version.value_or(std::string(kLatest)) != kLatest;
  target->snap_start = published && config.SnapStart && config.SnapStart->ApplyOn == "PublishedVersions";
  const auto network = tag_value(record.tags, kNetworkTag);
  // A record of an earlier version may hold what is refused today: then nothing is let through.
  if (!network.empty()) {
    const sandbox::NetworkPolicy nothing{.mode = sandbox::NetworkMode::kLoopback, .networks = {}};
    target->network = sandbox::parse_network_policy(network).value_or(nothing);
  }
  target->generation = fmt::format("{}/{}/{}", target->version, version.content, network);
  return target;
}

namespace {

// How many instances are to be kept of each version.
std::map<std::string, std::uint32_t> provisioned_of(const FunctionPtr& record) {
  std::map<std::string, std::uint32_t> counts;
  if (!record) return counts;
  for (const auto& [qualifier, config] : record->provisioned) {
    const auto alias = record->aliases.find(qualifier);
    const auto version = alias == record->aliases.end() ? qualifier : alias->second.FunctionVersion.value_or("");
    counts[version] += static_cast<std::uint32_t>(config.count);
  }
  return counts;
}

}  // namespace

void Tables::install(const std::string& key, FunctionPtr record, store::Revision revision) {
  InstalledFunction next;
  next.record = std::move(record);
  next.revision = revision;
  if (next.record) {
    next.targets[std::string(kLatest)] = make_target(*next.record, next.record->latest);
    for (const auto& [id, version] : next.record->versions) {
      next.targets[std::to_string(id)] = make_target(*next.record, version);
    }
  }
  InstalledFunction old;
  FunctionPtr now;
  std::map<std::string, TargetPtr> targets;
  {
    const std::lock_guard lock(mutex_);
    auto& slot = functions_[key];
    // A newer one is here already. A tombstone's revision is only a lower bound, so an equal one is newer than it.
    if (slot.revision > revision || (slot.revision == revision && slot.record)) return;
    old = std::move(slot);
    std::erase_if(urls_, [&](const auto& item) { return item.second.first == key; });
    if (next.record) {
      for (const auto& [qualifier, url] : next.record->urls) urls_[url.id] = {key, qualifier};
    }
    now = next.record;
    targets = next.targets;
    slot = std::move(next);
  }
  if (!old.record && !now) return;
  const auto arn = (now ? now : old.record)->arn("");
  const auto limit = now ? now->reserved_concurrency : std::nullopt;
  if (limit) {
    invoker_.set_reserved_concurrency(arn, static_cast<std::uint32_t>(*limit));
  } else if (old.record && old.record->reserved_concurrency) {
    invoker_.set_reserved_concurrency(arn, std::nullopt);
  }
  for (const auto& [version, target] : old.targets) {
    const auto kept = targets.find(version);
    const auto generation = kept == targets.end() ? std::string() : kept->second->generation;
    if (generation != target->generation) invoker_.drain(arn, version, generation);
  }
  const auto kept = provisioned_of(now);
  const auto kept_before = provisioned_of(old.record);
  for (const auto& [version, target] : targets) {
    const auto count = kept.find(version);
    if (count != kept.end()) invoker_.set_provisioned(target, count->second);
    if (count == kept.end() && kept_before.contains(version)) invoker_.set_provisioned(target, 0);
    const auto before = old.targets.find(version);
    const bool is_new = before == old.targets.end() || before->second->generation != target->generation;
    if (target->snap_start && is_new) {
      invoker_.set_snap_start(target,
                              loaded_ ? dispatch::SnapshotOrigin::kPublished : dispatch::SnapshotOrigin::kLoaded);
    }
  }
  if (now && on_change_) on_change_(*now);
}

void Tables::install_layer(const std::string& key, LayerPtr record, store::Revision revision) {
  const std::lock_guard lock(mutex_);
  auto& slot = layers_[key];
  if (slot.revision >= revision) return;
  slot = {.record = std::move(record), .revision = revision};
}

Awaitable<Result<void>> Tables::refresh(std::string key) {
  auto entry = co_await store_.get(key);
  if (!entry) co_return std::unexpected(std::move(entry.error()));
  if (!*entry) {
    // Deleted by somebody else. Its own revision is not told; one above what is known here is enough to win.
    const auto known = seen(key);
    if (known.record) install(key, nullptr, known.revision + 1);
    co_return Result<void>();
  }
  auto record = function_from_text((*entry)->value);
  if (!record) co_return std::unexpected(std::move(record.error()));
  install(key, std::make_shared<const FunctionRecord>(std::move(*record)), (*entry)->revision);
  co_return Result<void>();
}

Awaitable<Result<void>> Tables::refresh_layer(std::string key) {
  auto entry = co_await store_.get(key);
  if (!entry) co_return std::unexpected(std::move(entry.error()));
  if (!*entry) co_return Result<void>();
  auto record = layer_from_text((*entry)->value);
  if (!record) co_return std::unexpected(std::move(record.error()));
  install_layer(key, std::make_shared<const LayerRecord>(std::move(*record)), (*entry)->revision);
  co_return Result<void>();
}

Awaitable<aws::ApiResult<FunctionPtr>> Tables::create(FunctionRecord record) {
  const auto key = function_key(record.place, record.name);
  auto shared = std::make_shared<const FunctionRecord>(std::move(record));
  auto written = co_await store_.compare_and_set(key, to_text(*shared), 0);
  if (!written) {
    if (written.error().code == ErrorCode::kConflict) {
      co_return refuse(wire::errors::ResourceConflictException,
                       fmt::format("Function already exist: {}", shared->name));
    }
    co_return refuse_internal(written.error());
  }
  install(key, shared, *written);
  co_return shared;
}

Awaitable<aws::ApiResult<FunctionPtr>> Tables::change(Place place, std::string name, aws::ApiError missing,
                                                      FunctionEdit edit) {
  const auto key = function_key(place, name);
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const auto current = seen(key);
    if (!current.record) co_return std::unexpected(std::move(missing));
    auto copy = std::make_shared<FunctionRecord>(*current.record);
    if (auto edited = edit(*copy); !edited) co_return std::unexpected(std::move(edited.error()));
    auto written = co_await store_.compare_and_set(key, to_text(*copy), current.revision);
    if (written) {
      FunctionPtr done = std::move(copy);
      install(key, done, *written);
      co_return done;
    }
    if (written.error().code != ErrorCode::kConflict) co_return refuse_internal(written.error());
    auto refreshed = co_await refresh(key);
    if (!refreshed) co_return refuse_internal(refreshed.error());
  }
  co_return refuse(wire::errors::ResourceConflictException,
                   "The operation cannot be performed at this time. An update is in progress for resource: " +
                       function_arn(place, name, ""));
}

Awaitable<aws::ApiResult<void>> Tables::erase(Place place, std::string name, aws::ApiError missing) {
  const auto key = function_key(place, name);
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const auto current = seen(key);
    if (!current.record) co_return std::unexpected(std::move(missing));
    const std::optional<store::Revision> expected = current.revision;
    auto removed = co_await store_.remove(key, expected);
    if (removed) {
      install(key, nullptr, current.revision + 1);
      co_return aws::ApiResult<void>();
    }
    if (removed.error().code != ErrorCode::kConflict) co_return refuse_internal(removed.error());
    auto refreshed = co_await refresh(key);
    if (!refreshed) co_return refuse_internal(refreshed.error());
  }
  co_return refuse(wire::errors::ResourceConflictException, "The function is being changed by other requests.");
}

Awaitable<aws::ApiResult<LayerPtr>> Tables::change_layer(Place place, std::string name, LayerEdit edit) {
  const auto key = layer_key(place, name);
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    std::shared_ptr<LayerRecord> copy;
    store::Revision revision = 0;
    {
      const std::lock_guard lock(mutex_);
      const auto found = layers_.find(key);
      if (found != layers_.end()) {
        copy = std::make_shared<LayerRecord>(*found->second.record);
        revision = found->second.revision;
      }
    }
    if (!copy) {
      copy = std::make_shared<LayerRecord>();
      copy->place = place;
      copy->name = name;
    }
    if (auto edited = edit(*copy); !edited) co_return std::unexpected(std::move(edited.error()));
    auto written = co_await store_.compare_and_set(key, to_text(*copy), revision);
    if (written) {
      LayerPtr done = std::move(copy);
      install_layer(key, done, *written);
      co_return done;
    }
    if (written.error().code != ErrorCode::kConflict) co_return refuse_internal(written.error());
    auto refreshed = co_await refresh_layer(key);
    if (!refreshed) co_return refuse_internal(refreshed.error());
  }
  co_return refuse(wire::errors::ResourceConflictException, "The layer is being changed by other requests.");
}

}  // namespace mayfly::lambda
