// Replays: reads an archive's span of time and puts the events on the bus again.
//
// Operation.   One coroutine for each replay that is not over. It waits half a second (so that what was started by
//              mistake can be cancelled), puts batches on the bus, and writes down after each how far it is.
// Concurrency. On the reactor given to start(). At most kMostActive at a time in one place.
// Recovery.    start() goes on with the replays that were not over; up to one batch is put on the bus again.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "base/async.h"
#include "base/clock.h"
#include "services/events/archive_store.h"
#include "services/record_table.h"

namespace mayfly::events {

using ReplayTable = services::RecordTable<ReplayRecord>;
using ReplayPtr = ReplayTable::Ptr;

class Replayer {
 public:
  static constexpr std::size_t kMostActive = 10;
  // Puts archived events on the replay's bus; all or none.
  using Put = std::function<Awaitable<Result<void>>(ReplayPtr replay, std::vector<std::string> events)>;

  Replayer(Clock& clock, ReplayTable& replays, const ArchiveTable& archives, ArchiveStore& archived, Put put);
  void start(Reactor& reactor);
  Awaitable<void> stop();
  void begin(const std::string& key);  // a replay that has just been recorded; from any thread
  // No replay has anything to put on a bus before time moves on: for clocks that are advanced.
  [[nodiscard]] bool is_settled() const;

 private:
  Awaitable<void> run(std::string key, SteadyTime first);
  Awaitable<void> put_all(std::string key);
  Awaitable<void> wait_until(std::string key, SteadyTime when);  // no longer than to the stop
  Awaitable<bool> put_batch(ReplayPtr replay);                   // false: it is over
  Awaitable<void> finish(std::string key, std::string state, std::string reason);
  Awaitable<void> sweep_for_ever();

  Clock& clock_;
  ReplayTable& replays_;
  const ArchiveTable& archives_;
  ArchiveStore& archived_;
  Put put_;
  Scope scope_{"events replays"};
  Signal stopping_;
  Reactor* reactor_ = nullptr;
  mutable std::mutex mutex_;
  std::map<std::string, SteadyTime> running_;  // what each waits for, or has waited for
};

// Whether a replay is over.
bool is_over(const ReplayRecord& replay);

}  // namespace mayfly::events
