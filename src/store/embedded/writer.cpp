#include "store/embedded/writer.h"

#include <fmt/core.h>

#include <cstdlib>
#include <utility>

#include "base/log.h"

namespace mayfly::store {

namespace {

std::size_t bytes_of(const Write& write) { return write.key.size() + (write.value ? write.value->size() : 0); }

// The state on disk is unknown after a failed commit, and writes may not be answered on a guess.
[[noreturn]] void die(const Error& error) {
  log(Level::kError, "the store could not commit; ending the process so that the next start recovers",
      {{"error", error.message}});
  std::abort();
}

}  // namespace

Writer::Writer(Database& database, Records& records, Watches& watches)
    : database_(database), records_(records), watches_(watches), revision_(database.revision()), thread_([this] {
        run();
      }) {}

Writer::~Writer() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

Result<void> Writer::submit(Write write) {
  {
    std::lock_guard lock(mutex_);
    if (stopping_) return fail(ErrorCode::kCancelled, "the store is closing");
    const std::size_t bytes = bytes_of(write);
    if (queue_.size() >= kMaxWaiting || queued_bytes_ + bytes > kMaxWaitingBytes) {
      return fail(ErrorCode::kThrottled, "too many writes wait for the disk");
    }
    queued_bytes_ += bytes;
    queue_.push_back(std::move(write));
  }
  wake_.notify_one();
  return {};
}

void Writer::run() {
  for (;;) {
    Batch batch;
    if (!take(batch)) return;
    commit(batch);
  }
}

bool Writer::take(Batch& batch) {
  std::unique_lock lock(mutex_);
  wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
  std::size_t bytes = 0;
  while (!queue_.empty() && batch.writes.size() < kMaxBatch) {
    const std::size_t next = bytes_of(queue_.front());
    if (!batch.writes.empty() && bytes + next > kMaxBatchBytes) break;
    bytes += next;
    batch.writes.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  queued_bytes_ -= bytes;
  return !batch.writes.empty();
}

void Writer::commit(Batch& batch) {
  batch.revision = revision_;
  if (const auto written = write_down(batch); !written) {
    if (written.error().code != ErrorCode::kTooLarge) die(written.error());
    if (const auto undone = database_.rollback(); !undone) die(undone.error());
    log(Level::kError, "the store's disk is full", {{"writes_refused", batch.writes.size()}});
    for (auto& write : batch.writes) {
      write.answer.set(fail(ErrorCode::kIo, "the store's disk is full", "free space under the data directory"));
    }
    return;
  }
  revision_ = batch.revision;
  publish(batch);
}

Result<void> Writer::write_down(Batch& batch) {
  if (auto begun = database_.begin(); !begun) return begun;
  for (auto& write : batch.writes) {
    auto answer = decide(batch, write);
    const bool changes = answer && *answer != 0;
    batch.answers.push_back(std::move(answer));
    if (!changes) continue;
    WatchEvent& change = batch.changes.emplace_back();
    change.deleted = !write.value.has_value();
    change.entry.key = std::move(write.key);
    change.entry.revision = batch.revision;
    if (write.value) change.entry.value = std::move(*write.value);
    auto stored = change.deleted ? database_.remove(change.entry.key)
                                 : database_.put(change.entry.key, change.entry.value, batch.revision);
    if (!stored) return stored;
  }
  if (batch.changes.empty()) return database_.rollback();
  return database_.commit(batch.revision);
}

// The write's new revision, 0 where there is nothing to do, or kConflict.
Result<Revision> Writer::decide(Batch& batch, Write& write) {
  const auto changed = batch.revisions.find(write.key);
  const Revision present = changed != batch.revisions.end() ? changed->second : records_.revision_of(write.key);
  if (write.expected && *write.expected != present) {
    return fail(ErrorCode::kConflict, fmt::format("the revision is {}, not {}", present, *write.expected));
  }
  if (!write.value && present == 0) {
    if (write.expected) return fail(ErrorCode::kConflict, "the key does not exist");
    return Revision{0};
  }
  ++batch.revision;
  batch.revisions[write.key] = write.value ? batch.revision : 0;
  return batch.revision;
}

// Readers see a write before its watchers hear of it and its writer is answered, so whoever was told can read it.
void Writer::publish(Batch& batch) {
  records_.apply(batch.changes);
  for (const auto& change : batch.changes) {
    watches_.publish(change, [&change](const std::string& prefix) { return change.entry.key.starts_with(prefix); });
  }
  for (std::size_t i = 0; i < batch.writes.size(); ++i) batch.writes[i].answer.set(std::move(batch.answers[i]));
}

}  // namespace mayfly::store
