#include "services/events/archive_store.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "base/ids.h"
#include "base/log.h"
#include "base/time_format.h"

namespace mayfly::events {
namespace {

constexpr std::string_view kPrefix = "events/archived/";
constexpr std::size_t kPage = 256;
constexpr std::size_t kTimeDigits = 16;

std::string prefix_of(const std::string& generation) { return fmt::format("{}{}/", kPrefix, generation); }

std::int64_t micros_of(SystemTime time) { return std::max<std::int64_t>(time.time_since_epoch().count(), 0); }

std::string time_key(const std::string& generation, SystemTime time) {
  return fmt::format("{}{:016}", prefix_of(generation), micros_of(time));
}

// "events/archived/<generation>/<time>-<n>"
struct Parts {
  std::string generation;
  SystemTime time;
};
Parts parts_of(const std::string& key) {
  Parts parts;
  const auto rest = std::string_view(key).substr(kPrefix.size());
  const auto slash = std::min(rest.find('/'), rest.size());
  parts.generation = rest.substr(0, slash);
  const auto digits = rest.substr(std::min(slash + 1, rest.size()), kTimeDigits);
  std::int64_t micros = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), micros);
  parts.time = SystemTime(std::chrono::microseconds(micros));
  return parts;
}

}  // namespace

ArchiveStore::ArchiveStore(store::KeyValue& store, Clock& clock, const ArchiveTable& archives)
    : store_(store), clock_(clock), archives_(archives) {}

Awaitable<Result<void>> ArchiveStore::load() {
  std::string after;
  for (;;) {
    auto page = co_await store_.list(std::string(kPrefix), after, kPage);
    if (!page) co_return std::unexpected(std::move(page.error()));
    {
      const std::lock_guard lock(mutex_);
      for (const auto& entry : *page) {
        auto& fill = fill_[parts_of(entry.key).generation];
        ++fill.events;
        fill.bytes += entry.value.size();
      }
    }
    if (page->size() < kPage) break;
    after = page->back().key;
  }
  co_return Result<void>();
}

Awaitable<Result<void>> ArchiveStore::add(ArchivePtr archive, BusEvent event) {
  {
    const std::lock_guard lock(mutex_);
    auto& fill = fill_[archive->generation];
    if (fill.events >= kMostEvents || fill.bytes + event.text.size() > kMostBytes) {
      if (!std::exchange(fill.full, true))
        log(Level::kWarn, "an archive is full; events are not archived any more", {{"archive", archive->arn()}});
      co_return Result<void>();
    }
    ++fill.events;
    fill.bytes += event.text.size();
  }
  const auto time = parse_iso8601(get_string(event.document, "time")).value_or(clock_.now());
  // Events of one second in the order in which they came.
  auto key = fmt::format("{}-{:016}-{}", time_key(archive->generation, time), micros_of(clock_.now()), random_hex(4));
  const std::size_t bytes = event.text.size();
  auto written = co_await store_.put(std::move(key), std::move(event.text));
  if (written) co_return Result<void>();
  const std::lock_guard lock(mutex_);
  auto& fill = fill_[archive->generation];
  --fill.events;
  fill.bytes -= bytes;
  co_return std::unexpected(std::move(written.error()));
}

ArchiveFill ArchiveStore::fill_of(const ArchiveRecord& archive) const {
  const std::lock_guard lock(mutex_);
  const auto found = fill_.find(archive.generation);
  return found == fill_.end() ? ArchiveFill() : found->second;
}

Awaitable<Result<std::vector<ArchiveStore::Archived>>> ArchiveStore::read(ArchivePtr archive, SystemTime from,
                                                                          SystemTime until, std::string after,
                                                                          std::size_t limit) {
  // Keys that begin with a time come behind the time alone.
  if (after.empty()) after = time_key(archive->generation, from);
  const auto end = time_key(archive->generation, until);
  auto page = co_await store_.list(prefix_of(archive->generation), std::move(after), limit);
  if (!page) co_return std::unexpected(std::move(page.error()));
  std::vector<Archived> out;
  for (auto& entry : *page) {
    if (entry.key >= end) break;
    Archived& archived = out.emplace_back();
    archived.time = parts_of(entry.key).time;
    archived.position = std::move(entry.key);
    archived.text = std::move(entry.value);
  }
  co_return out;
}

Awaitable<void> ArchiveStore::remove(std::string key, std::size_t bytes, std::string generation) {
  std::optional<store::Revision> any;
  auto removed = co_await store_.remove(std::move(key), any);
  if (!removed) co_return;
  const std::lock_guard lock(mutex_);
  auto& fill = fill_[generation];
  fill.events -= std::min<std::uint64_t>(fill.events, 1);
  fill.bytes -= std::min<std::uint64_t>(fill.bytes, bytes);
  fill.full = false;
}

Awaitable<void> ArchiveStore::sweep() {
  std::map<std::string, std::int32_t> kept;  // generation -> days
  for (const auto& archive : archives_.list(std::string(ArchiveRecord::kPrefix)))
    kept[archive->generation] = archive->retention_days;
  std::vector<std::string> generations;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [generation, fill] : fill_) generations.push_back(generation);
  }
  for (const auto& generation : generations) {
    const auto archive = kept.find(generation);
    const bool orphaned = archive == kept.end();
    if (!orphaned && archive->second <= 0) continue;
    const SystemTime oldest = orphaned ? SystemTime::max() : clock_.now() - std::chrono::days(archive->second);
    for (;;) {
      auto page = co_await store_.list(prefix_of(generation), std::string(), kPage);
      if (!page) co_return;
      std::size_t removed = 0;
      for (const auto& entry : *page) {
        if (parts_of(entry.key).time >= oldest) break;
        co_await remove(entry.key, entry.value.size(), generation);
        ++removed;
      }
      if (removed < kPage) break;
    }
    if (!orphaned) continue;
    const std::lock_guard lock(mutex_);
    fill_.erase(generation);
  }
}

}  // namespace mayfly::events
