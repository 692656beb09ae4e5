// How many initialised instances of a version are worth keeping, by how its starts came: as many as its busiest second
// saw, half as many after each quiet minute, one until the version has not been used for long, then none.
//
// Concurrency. Its owner's lock; time is given in.
// Limits.      kMost.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "base/clock.h"

namespace mayfly::dispatch {

class StartDemand {
 public:
  static constexpr std::uint32_t kMost = 16;
  static constexpr std::chrono::seconds kWindow{1};
  static constexpr std::chrono::seconds kQuiet{60};

  // The version is there, and as good as used.
  void begin(SteadyTime now) {
    last_use_ = now;
    peak_at_ = now;
    peak_ = 1;
  }

  // A start was asked for that found no warm instance.
  void started(SteadyTime now) {
    if (now - window_start_ >= kWindow) {
      window_start_ = now;
      in_window_ = 0;
    }
    ++in_window_;
    last_use_ = now;
    const std::uint32_t seen = std::min(in_window_, kMost);
    if (seen < decayed(now)) return;
    peak_ = seen;
    peak_at_ = now;
  }

  // `keep`: for how long after its last start one is kept.
  [[nodiscard]] std::uint32_t wanted(SteadyTime now, std::chrono::seconds keep) const {
    return now - last_use_ >= keep ? 0 : decayed(now);
  }

 private:
  [[nodiscard]] std::uint32_t decayed(SteadyTime now) const {
    const auto quiet = std::min<std::int64_t>((now - peak_at_) / kQuiet, 31);
    return std::max<std::uint32_t>(1, peak_ >> quiet);
  }

  SteadyTime last_use_;
  SteadyTime window_start_;
  SteadyTime peak_at_;
  std::uint32_t in_window_ = 0;
  std::uint32_t peak_ = 1;
};

}  // namespace mayfly::dispatch
