// A circuit breaker: closed while its target can be reached, open for a while after failures in a row, then half-open:
// one attempt decides.
//
// Concurrency. None of its own: it belongs to a lane.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string_view>

#include "base/clock.h"

namespace mayfly::delivery {

class Breaker {
 public:
  struct Limits {
    std::uint32_t failures;  // in a row until it opens
    std::chrono::nanoseconds first;
    std::chrono::nanoseconds longest;  // each failed probe doubles the wait up to this
  };

  [[nodiscard]] bool is_closed() const { return open_until_ == SteadyTime{}; }
  [[nodiscard]] bool is_open(SteadyTime now) const { return !is_closed() && now < open_until_; }
  [[nodiscard]] SteadyTime open_until() const { return open_until_; }
  [[nodiscard]] std::string_view state(SteadyTime now) const {
    if (is_closed()) return "closed";
    return is_open(now) ? "open" : "half-open";
  }

  void succeeded() {
    failures_ = 0;
    wait_ = {};
    open_until_ = {};
  }
  // Failures of attempts that began before it opened change nothing.
  void failed(SteadyTime now, const Limits& limits) {
    if (is_open(now)) return;
    if (is_closed() && ++failures_ < limits.failures) return;
    wait_ = wait_ == std::chrono::nanoseconds::zero() ? limits.first : std::min(wait_ * 2, limits.longest);
    open_until_ = now + wait_;
  }
  // Ends the wait: the next attempt is a probe.
  void half_open(SteadyTime now) {
    if (is_open(now)) open_until_ = now;
  }

 private:
  std::uint32_t failures_ = 0;
  std::chrono::nanoseconds wait_{0};
  SteadyTime open_until_{};
};

}  // namespace mayfly::delivery
