// Token buckets: a rate with a burst.
//
// Concurrency. Any thread; one short lock for each request of a bucket, or of a set of them.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "base/clock.h"

namespace mayfly {

struct RateLimits {
  double rate = 0;   // a second
  double burst = 0;  // at once
  bool operator==(const RateLimits&) const = default;
};

class TokenBucket {
 public:
  explicit TokenBucket(RateLimits limits) : limits_(limits), tokens_(limits.burst) {}

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
  [[nodiscard]] const RateLimits& limits() const { return limits_; }

 private:
  const RateLimits limits_;
  std::mutex mutex_;
  double tokens_;
  SteadyTime filled_{};
  bool started_ = false;
};

// One for each name. Other limits for a name begin a new bucket. Past `most` names another one is forgotten for each
// new one.
class TokenBuckets {
 public:
  explicit TokenBuckets(std::size_t most) : most_(most) {}

  std::chrono::nanoseconds take(const std::string& name, RateLimits limits, SteadyTime now) {
    const std::lock_guard lock(mutex_);
    if (buckets_.size() >= most_ && !buckets_.contains(name)) buckets_.erase(buckets_.begin());
    auto& bucket = buckets_[name];
    if (!bucket || bucket->limits() != limits) bucket = std::make_unique<TokenBucket>(limits);
    return bucket->take(now);
  }
  void forget(const std::string& name) {
    const std::lock_guard lock(mutex_);
    buckets_.erase(name);
  }

 private:
  const std::size_t most_;
  std::mutex mutex_;
  std::unordered_map<std::string, std::unique_ptr<TokenBucket>> buckets_;
};

}  // namespace mayfly
