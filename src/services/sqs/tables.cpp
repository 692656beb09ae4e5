#include "services/sqs/tables.h"

#include <fmt/core.h>

#include <set>

#include "base/log.h"

namespace mayfly::sqs {
namespace {
constexpr int kEditAttempts = 16;
constexpr std::size_t kPage = 256;
}  // namespace

Awaitable<Result<void>> Tables::load() {
  std::string after;
  for (;;) {
    auto page = co_await store_.list(std::string(kQueuePrefix), after, kPage);
    if (!page) co_return std::unexpected(std::move(page.error()));
    for (auto& entry : *page) {
      auto record = record_from_text(entry.value);
      if (!record) co_return fail(record.error().code, fmt::format("{}: {}", entry.key, record.error().message));
      install(entry.key, std::make_shared<const QueueRecord>(std::move(*record)), entry.revision);
      auto configured = co_await configure(entry.key);
      if (!configured) co_return std::unexpected(std::move(configured.error()));
    }
    if (page->size() < kPage) break;
    after = page->back().key;
  }
  co_return co_await remove_forgotten();
}

Awaitable<Result<void>> Tables::remove_forgotten() {
  auto names = co_await port_.list(std::string(kPortPrefix));
  if (!names) co_return std::unexpected(std::move(names.error()));
  std::set<std::string> known;
  for (const auto& record : all()) known.insert(record->port_name().str());
  for (auto& name : *names) {
    if (known.contains(name.str())) continue;
    log(Level::kInfo, "a queue that was being made or deleted when the server ended is removed",
        {{"queue", name.str()}});
    auto removed = co_await port_.remove(std::move(name));
    if (!removed) co_return std::unexpected(std::move(removed.error()));
  }
  co_return Result<void>();
}

QueuePtr Tables::find(const Place& place, std::string_view name) const { return seen(queue_key(place, name)).record; }

QueuePtr Tables::find_arn(std::string_view arn) const {
  const auto parsed = delivery::parse_arn(arn);
  if (!parsed || parsed->service != "sqs") return nullptr;
  const Place place{.account = parsed->account, .region = parsed->region};
  return find(place, parsed->resource);
}

Tables::Installed Tables::seen(const std::string& key) const {
  const std::lock_guard lock(mutex_);
  const auto found = queues_.find(key);
  if (found == queues_.end()) return {};
  return found->second;
}

std::vector<QueuePtr> Tables::list(const Place& place, std::string_view prefix) const {
  const auto key = queue_key(place, prefix);
  const std::lock_guard lock(mutex_);
  std::vector<QueuePtr> out;
  for (auto at = queues_.lower_bound(key); at != queues_.end() && at->first.starts_with(key); ++at) {
    if (at->second.record) out.push_back(at->second.record);
  }
  return out;
}

std::vector<QueuePtr> Tables::all() const {
  const std::lock_guard lock(mutex_);
  std::vector<QueuePtr> out;
  for (const auto& [key, installed] : queues_) {
    if (installed.record) out.push_back(installed.record);
  }
  return out;
}

std::vector<QueuePtr> Tables::sources_of(std::string_view dead_letter_arn) const {
  auto out = all();
  std::erase_if(out, [&](const QueuePtr& queue) { return queue->dead_letter_arn != dead_letter_arn; });
  return out;
}

void Tables::install(const std::string& key, QueuePtr record, store::Revision revision) {
  const std::lock_guard lock(mutex_);
  auto& slot = queues_[key];
  // A newer one is here already. A tombstone's revision is only a lower bound, so an equal one is newer than it.
  if (slot.revision > revision || (slot.revision == revision && slot.record)) return;
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
  auto record = record_from_text((*entry)->value);
  if (!record) co_return std::unexpected(std::move(record.error()));
  install(key, std::make_shared<const QueueRecord>(std::move(*record)), (*entry)->revision);
  co_return Result<void>();
}

Awaitable<Result<void>> Tables::configure(std::string key) {
  for (;;) {
    const auto current = seen(key);
    if (!current.record) co_return Result<void>();
    auto name = current.record->port_name();
    auto settings = current.record->port_settings();
    auto configured = co_await port_.configure(std::move(name), settings);
    if (!configured) co_return std::unexpected(std::move(configured.error()));
    // Where the record changed meanwhile, the two calls may have passed each other.
    if (seen(key).revision == current.revision) co_return Result<void>();
  }
}

Awaitable<aws::ApiResult<QueuePtr>> Tables::create(QueueRecord record) {
  const auto key = queue_key(record.place, record.name);
  QueuePtr shared = std::make_shared<const QueueRecord>(std::move(record));
  // The port's queue first: whoever sees the record can use it.
  auto name = shared->port_name();
  auto settings = shared->port_settings();
  auto configured = co_await port_.configure(std::move(name), settings);
  if (!configured) co_return refuse_store(configured.error());
  auto written = co_await store_.compare_and_set(key, to_text(*shared), 0);
  if (written) {
    install(key, shared, *written);
    co_return shared;
  }
  const bool taken = written.error().code == ErrorCode::kConflict;
  auto unused = shared->port_name();
  auto removed = co_await port_.remove(std::move(unused));
  if (!removed) co_return refuse_store(removed.error());
  if (!taken) co_return refuse_store(written.error());
  auto refreshed = co_await refresh(key);
  if (!refreshed) co_return refuse_store(refreshed.error());
  co_return QueuePtr();
}

Awaitable<aws::ApiResult<QueuePtr>> Tables::change(Place place, std::string name, QueueEdit edit) {
  const auto key = queue_key(place, name);
  for (int attempt = 0; attempt < kEditAttempts; ++attempt) {
    const auto current = seen(key);
    if (!current.record) co_return refuse_queue();
    auto copy = std::make_shared<QueueRecord>(*current.record);
    if (auto edited = edit(*copy); !edited) co_return std::unexpected(std::move(edited.error()));
    auto written = co_await store_.compare_and_set(key, to_text(*copy), current.revision);
    if (written) {
      QueuePtr done = std::move(copy);
      install(key, done, *written);
      auto configured = co_await configure(key);
      if (!configured) co_return refuse_store(configured.error());
      co_return done;
    }
    if (written.error().code != ErrorCode::kConflict) co_return refuse_store(written.error());
    auto refreshed = co_await refresh(key);
    if (!refreshed) co_return refuse_store(refreshed.error());
  }
  co_return refuse(wire::errors::RequestThrottled, "Rate exceeded");
}

Awaitable<aws::ApiResult<void>> Tables::erase(Place place, std::string name) {
  const auto key = queue_key(place, name);
  for (int attempt = 0; attempt < kEditAttempts; ++attempt) {
    const auto current = seen(key);
    if (!current.record) co_return refuse_queue();
    const std::optional<store::Revision> expected = current.revision;
    auto erased = co_await store_.remove(key, expected);
    if (erased) {
      install(key, nullptr, current.revision + 1);
      auto gone = current.record->port_name();
      auto removed = co_await port_.remove(std::move(gone));
      if (!removed) co_return refuse_store(removed.error());
      co_return aws::ApiResult<void>();
    }
    if (erased.error().code != ErrorCode::kConflict) co_return refuse_store(erased.error());
    auto refreshed = co_await refresh(key);
    if (!refreshed) co_return refuse_store(refreshed.error());
  }
  co_return refuse(wire::errors::RequestThrottled, "Rate exceeded");
}

}  // namespace mayfly::sqs
