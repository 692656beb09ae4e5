// One target's queue as the workers see it: what may be started now, and when to look again. Decides, does nothing.
//
// Concurrency. Guarded by the engine's mutex.
// Limits.      Remembers the soonest kDueTimes moments at which something becomes available; beyond that the engine
//              looks again by itself while the queue holds more than is under way.
#pragma once

#include <cstdint>
#include <functional>
#include <queue>
#include <random>
#include <string>
#include <vector>

#include "delivery/breaker.h"
#include "delivery/delivery.h"

namespace mayfly::delivery {

// What one lane holds of the attempts that are allowed at a time.
struct Allowance {
  std::uint32_t count = 0;
  SteadyTime
      wait_until{};  // where `count` is 0: when to ask again; SteadyTime{}: when an attempt of the lane has ended
};

class Lane {
 public:
  Lane(std::string target_in, std::string via_in, const DeliverySettings& settings);

  static std::string key_of(const std::string& target, const std::string& via);
  // The queue's name; and back.
  static constexpr std::string_view kPrefix = "delivery/";
  [[nodiscard]] store::QueueName queue() const { return queue_; }
  static std::pair<std::string, std::string> target_and_via(std::string_view queue_name);

  // `free`: attempts that could start now in all lanes together. A lane gets at most as many as it leaves to the
  // others, so that however many are flooded, the next one finds room.
  [[nodiscard]] Allowance allowance(SteadyTime now, std::uint32_t free) const;

  void add_due(SteadyTime when);
  // The next moment after `now` that is known; moments that have come are forgotten. kNoDeadline: none is known.
  SteadyTime next_due(SteadyTime now);

  void delivered();
  // Halves what the lane may have under way, once for each wait, and waits with full jitter.
  void throttled(SteadyTime now, std::mt19937_64& random);
  void unreachable(SteadyTime now);
  void wake(SteadyTime now);

  const std::string target;
  const std::string via;
  const bool ordered;  // FIFO: groups keep their order
  bool configured = false;
  bool queued = false;   // in the engine's list of lanes that want a turn
  bool leasing = false;  // a worker is taking messages for it
  bool more = false;     // something came, or was left, since the last lease began
  std::uint32_t in_flight = 0;
  SteadyTime timer_at = kNoDeadline;  // when the engine will look at it again
  LaneInfo shown;                     // counters and last error

  [[nodiscard]] std::string_view breaker_state(SteadyTime now) const { return breaker_.state(now); }

 private:
  static constexpr std::size_t kDueTimes = 4096;

  const DeliverySettings& settings_;
  store::QueueName queue_;
  Breaker breaker_;
  std::uint32_t window_;
  std::uint32_t throttles_ = 0;  // in a row
  SteadyTime paused_until_{};
  std::priority_queue<SteadyTime, std::vector<SteadyTime>, std::greater<>> due_;
  bool forgot_ = false;  // moments that did not fit
};

// Exponential: `first` doubled `step` times, at most `longest`.
std::chrono::nanoseconds back_off(std::chrono::nanoseconds first, std::chrono::nanoseconds longest, std::uint32_t step);
// Full jitter: anything from nothing to `most`.
std::chrono::nanoseconds jittered(std::chrono::nanoseconds most, std::mt19937_64& random);

}  // namespace mayfly::delivery
