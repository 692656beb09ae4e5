// Records of one kind in memory, and the one way they change.
//
// Operation.   Records are immutable and shared. A change copies one, lets the operation edit the copy, writes it with
//              compare-and-set, and only then replaces the one in memory. Where somebody else was faster the newer
//              record is read and the edit runs again on it.
// Concurrency. Any reactor. One mutex guards the map; it is never held across co_await.
// Limits.      An edit is tried kAttempts times against concurrent writers, then ConcurrentAccess.
// Recovery.    load() reads everything; a record that cannot be read stops the start.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "services/sns/errors.h"
#include "services/sns/records.h"
#include "store/key_value.h"

namespace mayfly::sns {

template <typename Record>
class Table {
 public:
  using Ptr = std::shared_ptr<const Record>;
  using Edit = std::function<aws::ApiResult<void>(Record&)>;

  explicit Table(store::KeyValue& store) : store_(store) {}

  Awaitable<Result<void>> load(std::string prefix) {
    constexpr std::size_t kPage = 1'000;
    std::string after;
    for (;;) {
      auto page = co_await store_.list(prefix, after, kPage);
      if (!page) co_return std::unexpected(std::move(page.error()));
      for (auto& entry : *page) {
        auto record = parse(entry);
        if (!record) co_return std::unexpected(std::move(record.error()));
        install(entry.key, std::move(*record), entry.revision);
        after = entry.key;
      }
      if (page->size() < kPage) co_return Result<void>();
    }
  }

  [[nodiscard]] Ptr find(const std::string& key) const {
    const std::lock_guard lock(mutex_);
    const auto found = records_.find(key);
    return found == records_.end() ? nullptr : found->second.record;
  }

  // In order of key.
  [[nodiscard]] std::vector<Ptr> with_prefix(const std::string& prefix) const {
    std::vector<Ptr> out;
    const std::lock_guard lock(mutex_);
    for (auto at = records_.lower_bound(prefix); at != records_.end() && at->first.starts_with(prefix); ++at) {
      out.push_back(at->second.record);
    }
    return out;
  }

  // Null where there is one already.
  Awaitable<aws::ApiResult<Ptr>> create(Record record) {
    const auto key = record.key();
    Ptr shared = std::make_shared<const Record>(std::move(record));
    auto written = co_await store_.compare_and_set(key, to_text(*shared), 0);
    if (written) {
      install(key, shared, *written);
      co_return shared;
    }
    if (written.error().code != ErrorCode::kConflict) co_return refuse_internal(written.error());
    auto refreshed = co_await refresh(key);
    if (!refreshed) co_return refuse_internal(refreshed.error());
    co_return Ptr();
  }

  // Null where there is none. The edit may run several times and touches only the record it is given.
  Awaitable<aws::ApiResult<Ptr>> change(std::string key, Edit edit) {
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
      const auto current = seen(key);
      if (!current.record) co_return Ptr();
      auto copy = std::make_shared<Record>(*current.record);
      if (auto edited = edit(*copy); !edited) co_return std::unexpected(std::move(edited.error()));
      auto written = co_await store_.compare_and_set(key, to_text(*copy), current.revision);
      if (written) {
        Ptr done = std::move(copy);
        install(key, done, *written);
        co_return done;
      }
      if (written.error().code != ErrorCode::kConflict) co_return refuse_internal(written.error());
      auto refreshed = co_await refresh(key);
      if (!refreshed) co_return refuse_internal(refreshed.error());
    }
    co_return refuse(wire::errors::ConcurrentAccessException, "The resource is being changed by other requests.");
  }

  // Whether there was one.
  Awaitable<aws::ApiResult<bool>> erase(std::string key) {
    const bool known = find(key) != nullptr;
    const std::optional<store::Revision> whatever;
    auto removed = co_await store_.remove(key, whatever);
    if (!removed) co_return refuse_internal(removed.error());
    const std::lock_guard lock(mutex_);
    records_.erase(key);
    co_return known;
  }

 private:
  static constexpr int kAttempts = 16;
  struct Slot {
    Ptr record;
    store::Revision revision = 0;
  };

  static Result<Ptr> parse(const store::Entry& entry) {
    auto text = parse_json(entry.value);
    if (!text) return std::unexpected(std::move(text.error()));
    auto record = std::make_shared<Record>();
    if constexpr (std::is_same_v<decltype(read_record(*text, *record)), void>) {
      read_record(*text, *record);
    } else {
      auto read = read_record(*text, *record);
      if (!read) return std::unexpected(std::move(read.error()));
    }
    return Ptr(std::move(record));
  }

  [[nodiscard]] Slot seen(const std::string& key) const {
    const std::lock_guard lock(mutex_);
    const auto found = records_.find(key);
    return found == records_.end() ? Slot() : found->second;
  }

  void install(const std::string& key, Ptr record, store::Revision revision) {
    const std::lock_guard lock(mutex_);
    auto& slot = records_[key];
    if (slot.revision > revision) return;
    slot = Slot{std::move(record), revision};
  }

  Awaitable<Result<void>> refresh(std::string key) {
    auto entry = co_await store_.get(key);
    if (!entry) co_return std::unexpected(std::move(entry.error()));
    if (!*entry) {
      const std::lock_guard lock(mutex_);
      records_.erase(key);
      co_return Result<void>();
    }
    auto record = parse(**entry);
    if (!record) co_return std::unexpected(std::move(record.error()));
    install(key, std::move(*record), (*entry)->revision);
    co_return Result<void>();
  }

  store::KeyValue& store_;
  mutable std::mutex mutex_;
  std::map<std::string, Slot> records_;
};

using TopicPtr = Table<TopicRecord>::Ptr;
using SubscriptionPtr = Table<SubscriptionRecord>::Ptr;

}  // namespace mayfly::sns
