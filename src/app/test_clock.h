// The clock of a server that is started with --test-clock: it stands until a user moves it, and with it schedules,
// retries, delays and visibility timeouts. Sockets, functions and signatures stay on real time.
//
// Operation.   A move goes from one moment that somebody waits for to the next, and at each waits until what is due
//              there has been handed over and delivered, so that a day of schedules happens in its order.
// Concurrency. One move at a time; another one meanwhile is refused.
// Recovery.    The time is kept in a file of the data folder: a server that is started again goes on from there, never
//              back. A server of real time does not read it.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <vector>

#include "base/async.h"
#include "base/clock.h"
#include "base/error.h"
#include "http/server.h"

namespace mayfly::app {

class TestClock {
 public:
  // From the time in `file`, or from `start` where that is later.
  TestClock(std::filesystem::path file, SystemTime start);

  [[nodiscard]] VirtualClock& clock() { return clock_; }

  // Asked after each step: whether everything that is due now has been done. Before the first move.
  void wait_for(std::function<bool(SystemTime now)> settled) { settled_.push_back(std::move(settled)); }

  // kInvalid: backwards, or more than ten years; kConflict: it is being moved; kTimeout: what became due did not end
  // within a minute of real time, and the clock stands where it became due.
  Awaitable<Result<void>> move_to(SystemTime target);

  // GET and POST /_mayfly/clock. A null clock answers that the server runs on real time.
  static Awaitable<void> serve(TestClock* clock, http::Request& request, http::ResponseWriter& response);

 private:
  Awaitable<bool> settle();
  void keep() const;

  const std::filesystem::path file_;
  VirtualClock clock_;
  std::vector<std::function<bool(SystemTime)>> settled_;
  std::atomic<bool> moving_{false};
};

}  // namespace mayfly::app
