#include "services/events/archive_store.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <tuple>

#include "base/log.h"
#include "base/time_format.h"

namespace mayfly::events {
namespace {

constexpr std::string_view kPrefix = "events/archive/";
constexpr std::string_view kOldPrefix = "events/archived/";  // in KeyValue: <generation>/<time>-<n>
constexpr std::size_t kPage = 256;
constexpr std::size_t kTimeDigits = 16;

store::StreamName stream_of(const std::string& generation) {
  return store::StreamName(fmt::format("{}{}", kPrefix, generation));
}

std::uint64_t number_of(std::string_view text) {
  std::uint64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

// "0001700000000000{event}": the time in microseconds, and the event.
std::string to_record(SystemTime time, std::string_view text) {
  return fmt::format("{:0{}}{}", std::max<std::int64_t>(time.time_since_epoch().count(), 0), kTimeDigits, text);
}

SystemTime time_of(std::string_view record) {
  const auto micros = number_of(record.substr(0, kTimeDigits));
  return SystemTime(std::chrono::microseconds(static_cast<std::int64_t>(micros)));
}

}  // namespace

ArchiveStore::ArchiveStore(store::KeyValue& records, store::Stream& streams, Clock& clock, const ArchiveTable& archives)
    : records_(records), streams_(streams), clock_(clock), archives_(archives) {}

Awaitable<Result<void>> ArchiveStore::load() {
  auto taken = co_await take_over();
  if (!taken) co_return taken;
  for (const auto& archive : archives_.list(std::string(ArchiveRecord::kPrefix))) {
    auto counted = co_await count(stream_of(archive->generation), archive->generation);
    if (!counted) co_return counted;
  }
  co_return Result<void>();
}

// A server that is killed in between takes the rest over at its next start; a page may then be there twice.
Awaitable<Result<void>> ArchiveStore::take_over() {
  for (;;) {
    auto page = co_await records_.list(std::string(kOldPrefix), std::string(), kPage);
    if (!page) co_return std::unexpected(std::move(page.error()));
    if (page->empty()) co_return Result<void>();
    std::map<std::string, std::vector<std::string>> by_generation;
    for (const auto& entry : *page) {
      const auto rest = std::string_view(entry.key).substr(kOldPrefix.size());
      const auto slash = std::min(rest.find('/'), rest.size());
      const auto digits = rest.substr(std::min(slash + 1, rest.size()), kTimeDigits);
      const SystemTime time(std::chrono::microseconds(static_cast<std::int64_t>(number_of(digits))));
      by_generation[std::string(rest.substr(0, slash))].push_back(to_record(time, entry.value));
    }
    for (auto& [generation, records] : by_generation) {
      auto appended = co_await streams_.append(stream_of(generation), std::move(records), std::nullopt);
      if (!appended) co_return std::unexpected(std::move(appended.error()));
    }
    for (const auto& entry : *page) {
      const std::optional<store::Revision> any;
      auto removed = co_await records_.remove(entry.key, any);
      if (!removed) co_return removed;
    }
  }
}

Awaitable<Result<void>> ArchiveStore::count(store::StreamName stream, std::string generation) {
  auto info = co_await streams_.info(std::move(stream));
  if (!info && info.error().code != ErrorCode::kNotFound) co_return std::unexpected(std::move(info.error()));
  const std::lock_guard lock(mutex_);
  auto& fill = fill_[generation];
  fill = ArchiveFill();
  if (!info) co_return Result<void>();
  fill.events = info->last + 1 - info->first;
  fill.bytes = info->bytes - std::min<std::uint64_t>(info->bytes, fill.events * kTimeDigits);
  co_return Result<void>();
}

std::string ArchiveStore::record_of(const BusEvent& event) const {
  // Not later than its arrival: what is archived from some moment on is not older than that moment.
  const auto now = clock_.now();
  const auto time = std::min(parse_iso8601(get_string(event.document, "time")).value_or(now), now);
  return to_record(time, event.text);
}

Awaitable<Result<void>> ArchiveStore::add(ArchivePtr archive, std::vector<std::string> records) {
  const std::uint64_t events = records.size();
  std::uint64_t bytes = 0;
  for (const auto& record : records) bytes += record.size() - kTimeDigits;
  {
    const std::lock_guard lock(mutex_);
    auto& fill = fill_[archive->generation];
    if (fill.bytes + bytes > kMostBytes) {
      if (!std::exchange(fill.full, true))
        log(Level::kWarn, "an archive is full; events are not archived any more", {{"archive", archive->arn()}});
      co_return Result<void>();
    }
    fill.events += events;
    fill.bytes += bytes;
  }
  auto appended = co_await streams_.append(stream_of(archive->generation), std::move(records), std::nullopt);
  if (appended) co_return Result<void>();
  const std::lock_guard lock(mutex_);
  auto& fill = fill_[archive->generation];
  fill.events -= std::min(fill.events, events);
  fill.bytes -= std::min(fill.bytes, bytes);
  co_return std::unexpected(std::move(appended.error()));
}

ArchiveFill ArchiveStore::fill_of(const ArchiveRecord& archive) const {
  const std::lock_guard lock(mutex_);
  const auto found = fill_.find(archive.generation);
  return found == fill_.end() ? ArchiveFill() : found->second;
}

Awaitable<Result<std::vector<ArchiveStore::Archived>>> ArchiveStore::read(ArchivePtr archive, SystemTime from,
                                                                          SystemTime until, std::string after,
                                                                          std::size_t limit) {
  const auto stream = stream_of(archive->generation);
  std::vector<Archived> out;
  std::uint64_t position = number_of(after);
  if (position == 0) {
    // No event is archived before its time.
    auto start = co_await streams_.position_before(stream, from);
    if (!start && start.error().code == ErrorCode::kNotFound) co_return out;
    if (!start) co_return std::unexpected(std::move(start.error()));
    position = *start;
  }
  store::StreamRead bound;
  bound.max_records = limit;
  while (out.empty()) {
    auto page = co_await streams_.read(stream, position, bound);
    if (!page && page.error().code == ErrorCode::kNotFound) co_return out;
    if (!page) co_return std::unexpected(std::move(page.error()));
    if (page->empty()) co_return out;
    position = page->back().sequence;
    for (auto& record : *page) {
      const auto time = time_of(record.data);
      if (time < from || time >= until) continue;
      Archived& archived = out.emplace_back();
      archived.time = time;
      archived.position = std::to_string(record.sequence);
      archived.text = record.data.substr(std::min(kTimeDigits, record.data.size()));
    }
  }
  co_return out;
}

Awaitable<void> ArchiveStore::sweep() {
  std::map<std::string, std::int32_t> kept;  // generation -> days
  for (const auto& archive : archives_.list(std::string(ArchiveRecord::kPrefix)))
    kept[archive->generation] = archive->retention_days;
  std::string after;
  for (;;) {
    auto page = co_await streams_.list(std::string(kPrefix), after, kPage);
    if (!page) co_return;
    for (const auto& stream : *page) {
      const auto generation = stream.str().substr(kPrefix.size());
      const auto archive = kept.find(generation);
      if (archive != kept.end()) {
        if (archive->second > 0) co_await sweep_stream(stream, generation, archive->second);
        continue;
      }
      std::ignore = co_await streams_.remove(stream);  // the next sweep tries again
      const std::lock_guard lock(mutex_);
      fill_.erase(generation);
    }
    if (page->size() < kPage) co_return;
    after = page->back().str();
  }
}

Awaitable<void> ArchiveStore::sweep_stream(store::StreamName stream, std::string generation,
                                           std::int32_t retention_days) {
  const auto oldest = clock_.now() - std::chrono::days(retention_days);
  const auto info = co_await streams_.info(stream);
  if (!info || !info->oldest_at || *info->oldest_at >= oldest) co_return;
  const auto trimmed = co_await streams_.trim_to(stream, oldest, std::numeric_limits<std::uint64_t>::max());
  if (trimmed) std::ignore = co_await count(std::move(stream), std::move(generation));
}

}  // namespace mayfly::events
