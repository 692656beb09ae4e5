// Token buckets: a rate with a burst, for each stage and each route, and for each caller of the API.
//
// Concurrency. Any thread; one short lock for each request of a bucket.
#pragma once

#include <algorithm>
#include <chrono>
#include <mutex>

#include "base/clock.h"

namespace mayfly::gateway {

struct Limits {
  double rate = 0;   // a second
  double burst = 0;  // at once
  bool operator==(const Limits&) const = default;
};

class Bucket {
 public:
  explicit Bucket(Limits limits) : limits_(limits), tokens_(limits.burst) {}

  // Zero where the request may pass, else how long until one may.
  std::chrono::nanoseconds take(SteadyTime now) {
    const std::lock_guard lock(mutex_);
    if (started_) {
      const double passed = std::chrono::duration<double>(now - filled_).count();
      tokens_ = std::min(limits_.burst, tokens_ + std::max(passed, 0.0) * limits_.rate);
    }
    started_ = true;
    filled_ = now;
    if (tokens_ >= 1) {
      tokens_ -= 1;
      return std::chrono::nanoseconds(0);
    }
    constexpr double kLongest = 3'600;  // a rate of zero lets nobody pass
    const double wait = limits_.rate > 0 && limits_.burst >= 1 ? (1 - tokens_) / limits_.rate : kLongest;
    return std::chrono::ceil<std::chrono::nanoseconds>(std::chrono::duration<double>(std::min(wait, kLongest)));
  }
  [[nodiscard]] const Limits& limits() const { return limits_; }

 private:
  const Limits limits_;
  std::mutex mutex_;
  double tokens_;
  SteadyTime filled_{};
  bool started_ = false;
};

}  // namespace mayfly::gateway
