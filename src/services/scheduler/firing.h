// Fires schedules: hands each occurrence that is due to delivery, once, and then stores when the next one is.
//
// Operation.   One coroutine waits for the first time in the heap. What is due is taken out in order of time, a portion
//              at a time; its occurrences are handed over in one durable write, each with a dedupe key made of the
//              schedule's generation and the occurrence's time; then each schedule's next time is stored by
//              compare-and-set. A crash between the two hands the occurrence over again at the next start, where its
//              dedupe key (and, beyond delivery's window, its event's id) makes it the same one. Whoever changes a
//              schedule in between wins: the change decides what is due.
// Catching up. An occurrence that was missed while the server was down is handed over at the next start with its own
//              scheduled time, oldest first; those of a recurring schedule that are older than its
//              MaximumEventAgeInSeconds are left out.
// Concurrency. One reactor; set() from any. `mutex_` guards the heap and is never held across a wait.
// Failures.    What delivery or the store does not take (disk full) stays due and is tried again, with a growing pause.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/async.h"
#include "delivery/delivery.h"
#include "services/scheduler/due_times.h"
#include "services/scheduler/record.h"
#include "store/key_value.h"

namespace mayfly::scheduler {

// All or none, durable on return; delivery::Delivery::submit_all.
using Submit = std::function<Awaitable<Result<void>>(std::vector<delivery::Request>)>;

class Firing {
 public:
  Firing(store::KeyValue& store, Submit submit, Clock& clock, schedule::TimeZones& zones);

  // A schedule's time as it now lies in the store; nullopt: never again.
  void set(const std::string& key, std::optional<SystemTime> fires_at);
  // Called with the key of a schedule that was deleted because it was completed.
  void on_completed(std::function<void(const std::string& key)> callback) { completed_ = std::move(callback); }
  void reserve(std::size_t count);

  void start(Reactor& reactor);
  Awaitable<void> stop();

  [[nodiscard]] std::uint64_t fired() const { return fired_; }
  [[nodiscard]] std::size_t waiting() const;
  [[nodiscard]] std::optional<SystemTime> next() const;
  // Everything due at `now` or before has been handed over and stored.
  [[nodiscard]] bool is_settled(SystemTime now) const;

 private:
  struct Occurrence {
    std::string key;
    ScheduleRecord record;
    store::Revision revision = 0;
    std::vector<delivery::Request> requests;
  };

  Awaitable<void> run();
  [[nodiscard]] SteadyTime wake_at(std::optional<SystemTime> next, SystemTime now) const;
  // False where something could not be done and is due again.
  Awaitable<bool> fire(std::vector<std::string> keys);
  Awaitable<std::optional<Occurrence>> read(std::string key, SystemTime now);
  Awaitable<Result<void>> hand_over(std::vector<Occurrence>& all);
  // False where the store failed: the schedule is due again, with a pause.
  Awaitable<bool> advance_all(std::vector<Occurrence> all);
  Awaitable<bool> advance(Occurrence& occurrence);
  Awaitable<void> read_again(std::string key);

  store::KeyValue& store_;
  const Submit submit_;
  Clock& clock_;
  schedule::TimeZones& zones_;
  std::function<void(const std::string&)> completed_;
  mutable std::mutex mutex_;
  DueTimes times_;
  bool busy_ = false;
  Signal changed_;
  Scope scope_{"schedules"};
  std::atomic<bool> stopping_{false};
  std::atomic<std::uint64_t> fired_{0};
};

}  // namespace mayfly::scheduler
