// The trail: what was recorded, durably and in order, and how it is looked through.
//
// Operation.   record() puts a record into a queue; one task appends what waits in it to a stream of the store, many
//              records with one sync. Whoever waits for a record to be durable is woken then.
// Concurrency. record() and read() from any reactor; the task belongs to one.
// Limits.      65,536 records and 64 MiB wait; a caller beyond that waits up to five seconds for room, and is then
//              recorded as lost in the server's log. Records are kept for a time and up to a size, then the oldest go.
// Recovery.    What a call waited for is there after a kill; what nobody waited for may be lost with the queue.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/async.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/subscribers.h"
#include "store/stream.h"

namespace mayfly::audit {

struct TrailSettings {
  std::chrono::days retention{90};
  std::uint64_t most_bytes = 1ULL << 30;
};

// What is looked for; everything that is given must hold.
struct Filter {
  std::string account;  // "" : every one
  std::string region;
  std::string event_id;
  std::string event_name;
  std::string event_source;
  std::string user;  // user name, role session or access key's owner: the last part of the ARN
  std::string access_key_id;
  std::string resource_name;  // an ARN or a name in the request or the response
  std::optional<bool> read_only;
  bool errors_only = false;
  bool denials_only = false;
  std::optional<SystemTime> from;
  std::optional<SystemTime> to;
};
bool matches(const json::value& record, const Filter& filter);

struct Found {
  std::uint64_t sequence = 0;
  json::value record;
};
struct Page {
  std::vector<Found> found;  // newest first
  std::uint64_t next = 0;    // where to go on; 0 at the end
};

class Trail {
 public:
  Trail(store::Stream& stream, Clock& clock, TrailSettings settings);

  enum class Wait : bool { kNo, kUntilDurable };
  Awaitable<void> record(std::string text, Wait wait);
  // Records before this sequence (0: from the newest on), at most `limit` of them, after looking at not more than
  // `look` records.
  Awaitable<Result<Page>> read(Filter filter, std::uint64_t before, std::size_t limit, std::size_t look);
  // Hears of each record after it is durable, until the token is destroyed.
  std::shared_ptr<void> follow(std::function<void(const std::string& text)> callback);

  void start(Reactor& reactor);
  // Writes what waits.
  Awaitable<void> stop();
  [[nodiscard]] std::uint64_t lost() const { return lost_; }

 private:
  struct Waiting {
    std::string text;
    std::optional<OneShot<bool>> done;
  };
  Awaitable<void> write();
  Awaitable<void> write_batch(std::vector<Waiting> batch);
  Awaitable<void> trim();
  bool push(Waiting& waiting);

  store::Stream& stream_;
  Clock& clock_;
  TrailSettings settings_;
  std::mutex mutex_;
  std::deque<Waiting> queue_;
  std::size_t queued_bytes_ = 0;
  std::atomic<std::uint64_t> lost_{0};
  SteadyTime next_trim_ = SteadyTime::min();
  Signal work_;
  Signal room_;
  Subscribers<std::string, std::string> followers_;
  Scope tasks_{"audit trail"};
};

}  // namespace mayfly::audit
