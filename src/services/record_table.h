// A service's records in memory, and the one way they change; shared by services whose records are documents.
//
// Operation.   Records are immutable and shared. A change copies one, lets the operation edit the copy, writes it with
//              compare-and-set, and only then replaces the one in memory. Where somebody else was faster the newer
//              record is read and the edit runs again on it. After each replacement the hook is called with the key;
//              hooks of one key may come late or twice, so a hook looks the record up instead of being handed it.
// Concurrency. Any reactor. One mutex guards the map; it is never held across co_await, nor while the hook runs.
// Limits.      An edit is tried kAttempts times against concurrent writers, then kThrottled.
// Recovery.    load() reads everything; a record that cannot be read stops the start.
//
// A Record has: static constexpr std::string_view kPrefix; std::string key() const; json::object document() const;
// static Result<Record> read(const json::object&).
#pragma once

#include <fmt/core.h>

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "aws/api.h"
#include "base/async.h"
#include "base/json.h"
#include "base/log.h"
#include "services/operation.h"
#include "store/key_value.h"

namespace mayfly::services {

// A failure of the store: 500, or 429 where it has too much to do; the cause goes to the server's log and not to the
// client.
[[nodiscard]] inline std::unexpected<aws::ApiError> refuse_internal(const Error& error) {
  if (error.code == ErrorCode::kThrottled) return refuse(aws::common_errors::ThrottlingException, "Rate exceeded");
  log(Level::kError, "a control-plane operation failed",
      {{"code", to_string(error.code)}, {"error", error.message}, {"hint", error.hint}});
  aws::ApiError out;
  out.model = &aws::common_errors::InternalFailure;
  out.message = "The request processing has failed because of an unknown error, exception or failure.";
  return std::unexpected(std::move(out));
}

template <typename Record>
class RecordTable {
 public:
  using Ptr = std::shared_ptr<const Record>;
  using Edit = std::function<aws::ApiResult<void>(Record&)>;
  using Hook = std::function<void(const std::string& key)>;

  explicit RecordTable(store::KeyValue& store) : store_(store) {}
  RecordTable(const RecordTable&) = delete;
  RecordTable& operator=(const RecordTable&) = delete;

  // Before load().
  void on_change(Hook hook) { hook_ = std::move(hook); }

  Awaitable<Result<void>> load() {
    constexpr std::size_t kPage = 256;
    std::string after;
    for (;;) {
      auto page = co_await store_.list(std::string(Record::kPrefix), after, kPage);
      if (!page) co_return std::unexpected(std::move(page.error()));
      for (auto& entry : *page) {
        auto record = parse(entry);
        if (!record) co_return std::unexpected(std::move(record.error()));
        install(entry.key, std::make_shared<const Record>(std::move(*record)), entry.revision);
      }
      if (page->size() < kPage) break;
      after = page->back().key;
    }
    co_return Result<void>();
  }

  [[nodiscard]] Ptr find(const std::string& key) const { return seen(key).record; }

  // Those whose key begins so, in order of key.
  [[nodiscard]] std::vector<Ptr> list(const std::string& prefix) const {
    const std::lock_guard lock(mutex_);
    std::vector<Ptr> out;
    for (auto at = records_.lower_bound(prefix); at != records_.end() && at->first.starts_with(prefix); ++at) {
      if (at->second.record) out.push_back(at->second.record);
    }
    return out;
  }

  // kExists where there is one already.
  Awaitable<Result<Ptr>> create(Record record) {
    const std::string key = record.key();
    Ptr shared = std::make_shared<const Record>(std::move(record));
    auto written = co_await store_.compare_and_set(key, to_json(shared->document()), 0);
    if (!written) {
      if (written.error().code != ErrorCode::kConflict) co_return std::unexpected(std::move(written.error()));
      auto refreshed = co_await refresh(key);
      if (!refreshed) co_return std::unexpected(std::move(refreshed.error()));
      co_return fail(ErrorCode::kExists, key);
    }
    install(key, shared, *written);
    co_return shared;
  }

  // The edit may run several times; it must only touch the record it is given. `missing` is the error for no record.
  Awaitable<aws::ApiResult<Ptr>> change(std::string key, aws::ApiError missing, Edit edit) {
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
      const auto current = seen(key);
      if (!current.record) co_return std::unexpected(std::move(missing));
      auto copy = std::make_shared<Record>(*current.record);
      if (auto edited = edit(*copy); !edited) co_return std::unexpected(std::move(edited.error()));
      auto written = co_await store_.compare_and_set(key, to_json(copy->document()), current.revision);
      if (written) {
        Ptr done = std::move(copy);
        install(key, done, *written);
        co_return done;
      }
      if (written.error().code != ErrorCode::kConflict) co_return refuse_internal(written.error());
      auto refreshed = co_await refresh(key);
      if (!refreshed) co_return refuse_internal(refreshed.error());
    }
    co_return refuse_internal(
        Error{.code = ErrorCode::kThrottled, .message = key + " is changed too often", .hint = {}});
  }

  // What was there; null where there was none.
  Awaitable<Result<Ptr>> erase(std::string key) {
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
      const auto current = seen(key);
      if (!current.record) co_return Ptr();
      const std::optional<store::Revision> expected = current.revision;
      auto removed = co_await store_.remove(key, expected);
      if (removed) {
        install(key, nullptr, current.revision + 1);
        co_return current.record;
      }
      if (removed.error().code != ErrorCode::kConflict) co_return std::unexpected(std::move(removed.error()));
      auto refreshed = co_await refresh(key);
      if (!refreshed) co_return std::unexpected(std::move(refreshed.error()));
    }
    co_return fail(ErrorCode::kThrottled, key + " is changed too often");
  }

 private:
  static constexpr int kAttempts = 16;
  struct Installed {
    Ptr record;  // null after deletion, so that a late, older write cannot bring it back
    store::Revision revision = 0;
  };

  static Result<Record> parse(const store::Entry& entry) {
    auto document = parse_json(entry.value);
    if (!document || !document->is_object())
      return fail(ErrorCode::kCorrupt, fmt::format("{}: the record is no document", entry.key));
    auto record = Record::read(document->get_object());
    if (!record) return fail(record.error().code, fmt::format("{}: {}", entry.key, record.error().message));
    return record;
  }

  [[nodiscard]] Installed seen(const std::string& key) const {
    const std::lock_guard lock(mutex_);
    const auto found = by_key_.find(key);
    return found == by_key_.end() || !found->second->record ? Installed{} : *found->second;
  }

  void install(const std::string& key, Ptr record, store::Revision revision) {
    {
      const std::lock_guard lock(mutex_);
      const auto at = records_.try_emplace(key).first;
      by_key_.try_emplace(at->first, &at->second);
      auto& slot = at->second;
      // A newer one is here already. A tombstone's revision is only a lower bound, so an equal one is newer than it.
      if (slot.revision > revision || (slot.revision == revision && slot.record)) return;
      slot = Installed{.record = std::move(record), .revision = revision};
    }
    if (hook_) hook_(key);
  }

  Awaitable<Result<void>> refresh(std::string key) {
    auto entry = co_await store_.get(key);
    if (!entry) co_return std::unexpected(std::move(entry.error()));
    if (!*entry) {
      // Deleted by somebody else. Its own revision is not told; one above what is known here is enough to win.
      const auto known = seen(key);
      if (known.record) install(key, nullptr, known.revision + 1);
      co_return Result<void>();
    }
    auto record = parse(**entry);
    if (!record) co_return std::unexpected(std::move(record.error()));
    install(key, std::make_shared<const Record>(std::move(*record)), (*entry)->revision);
    co_return Result<void>();
  }

  store::KeyValue& store_;
  Hook hook_;
  mutable std::mutex mutex_;
  std::map<std::string, Installed> records_;                       // in order, for lists; nothing is taken out
  std::unordered_map<std::string_view, const Installed*> by_key_;  // for find(), however many there are
};

// One page of `all`, which ascends by the text that `key_of` gives. The token is the key of the last item; it holds
// whether that item is still there or not.
template <typename T, typename KeyOf>
std::pair<std::vector<T>, std::optional<std::string>> page_of(std::vector<T> all, KeyOf key_of,
                                                              const std::optional<std::string>& after,
                                                              std::size_t limit) {
  std::size_t start = 0;
  while (after && start < all.size() && key_of(all[start]) <= *after) ++start;
  std::vector<T> page;
  for (auto i = start; i < all.size() && page.size() < limit; ++i) page.push_back(std::move(all[i]));
  std::optional<std::string> next;
  if (!page.empty() && start + page.size() < all.size()) next = key_of(page.back());
  return {std::move(page), std::move(next)};
}

}  // namespace mayfly::services
