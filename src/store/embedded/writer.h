// The one thread that writes: it takes what has queued up, decides each write against the state before it, commits all
// of them in one transaction, and after the sync applies, notifies and answers, in that order.
//
// Concurrency. submit() from any thread; the answers come through OneShots; watches are called on the writer's thread.
// Limits.      65,536 writes and 256 MiB waiting, then kThrottled; 1,024 writes or 16 MiB in one commit (a larger
//              single write goes alone).
// Recovery.    A full disk undoes the whole batch and fails its writes, none of which was acknowledged. Any other
//              failure to commit leaves open what is on disk, so the process ends and the next start finds out.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/async.h"
#include "base/subscribers.h"
#include "store/embedded/database.h"
#include "store/embedded/records.h"

namespace mayfly::store {

struct Write {
  std::string key;
  std::optional<std::string> value;  // nullopt removes
  std::optional<Revision> expected;  // of the key; nullopt: whatever it is
  OneShot<Result<Revision>> answer;  // the new revision; 0 where a removal found nothing
};

class Writer {
 public:
  using Watches = Subscribers<std::string, WatchEvent>;  // by prefix

  static constexpr std::size_t kMaxWaiting = 65'536;
  static constexpr std::size_t kMaxWaitingBytes = 256UL * 1024 * 1024;
  static constexpr std::size_t kMaxBatch = 1'024;
  static constexpr std::size_t kMaxBatchBytes = 16UL * 1024 * 1024;

  Writer(Database& database, Records& records, Watches& watches);
  ~Writer();  // finishes what is queued
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  Result<void> submit(Write write);

 private:
  // The state that the writes of one batch make, before any of it is durable.
  struct Batch {
    std::vector<Write> writes;
    std::vector<Result<Revision>> answers;
    std::vector<WatchEvent> changes;
    std::unordered_map<std::string, Revision> revisions;  // of the keys changed in this batch; 0: removed
    Revision revision = 0;
  };

  void run();
  bool take(Batch& batch);
  void commit(Batch& batch);
  Result<void> write_down(Batch& batch);
  Result<Revision> decide(Batch& batch, Write& write);
  void publish(Batch& batch);

  Database& database_;
  Records& records_;
  Watches& watches_;
  Revision revision_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Write> queue_;
  std::size_t queued_bytes_ = 0;
  bool stopping_ = false;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace mayfly::store
