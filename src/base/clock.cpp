#include "base/clock.h"

namespace mayfly {

SystemTime RealClock::now() const {
  return std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
}

SteadyTime RealClock::steady_now() const { return std::chrono::steady_clock::now(); }

SystemTime VirtualClock::now() const {
  constexpr SystemTime kStart{std::chrono::sys_days(std::chrono::year(2026) / 1 / 1)};
  const std::lock_guard lock(mutex_);
  return kStart + std::chrono::duration_cast<std::chrono::microseconds>(elapsed_);
}

SteadyTime VirtualClock::steady_now() const {
  const std::lock_guard lock(mutex_);
  return SteadyTime(elapsed_);
}

void VirtualClock::on_advance(std::function<void()> listener) {
  const std::lock_guard lock(mutex_);
  listeners_.push_back(std::move(listener));
}

void VirtualClock::advance(std::chrono::nanoseconds by) {
  std::vector<std::function<void()>> listeners;
  {
    const std::lock_guard lock(mutex_);
    elapsed_ += by;
    listeners = listeners_;
  }
  for (auto& listener : listeners) listener();
}

}  // namespace mayfly
