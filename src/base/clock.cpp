#include "base/clock.h"

namespace mayfly {

SystemTime RealClock::now() const {
  return std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
}

SteadyTime RealClock::steady_now() const { return std::chrono::steady_clock::now(); }

VirtualClock::VirtualClock() : VirtualClock(SystemTime(std::chrono::sys_days(std::chrono::year(2026) / 1 / 1))) {}

VirtualClock::VirtualClock(SystemTime start) : start_(start) {}

SystemTime VirtualClock::now() const {
  const std::lock_guard lock(mutex_);
  return start_ + std::chrono::duration_cast<std::chrono::microseconds>(elapsed_);
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
  fire();
}

VirtualClock::TimerId VirtualClock::call_at(SteadyTime when, std::function<void()> callback) {
  const std::lock_guard lock(mutex_);
  const TimerId id = ++last_timer_;
  timers_.emplace(std::pair(when, id), std::move(callback));
  times_.emplace(id, when);
  return id;
}

void VirtualClock::cancel(TimerId id) {
  // Taken first, so that a callback that is running is waited for.
  const std::lock_guard firing(firing_);
  const std::lock_guard lock(mutex_);
  const auto found = times_.find(id);
  if (found == times_.end()) return;
  timers_.erase({found->second, id});
  times_.erase(found);
}

std::optional<SteadyTime> VirtualClock::next_timer() const {
  const std::lock_guard lock(mutex_);
  if (timers_.empty()) return std::nullopt;
  return timers_.begin()->first.first;
}

void VirtualClock::fire() {
  const std::lock_guard firing(firing_);
  for (;;) {
    std::function<void()> callback;
    {
      const std::lock_guard lock(mutex_);
      if (timers_.empty() || timers_.begin()->first.first > SteadyTime(elapsed_)) return;
      callback = std::move(timers_.begin()->second);
      times_.erase(timers_.begin()->first.second);
      timers_.erase(timers_.begin());
    }
    callback();
  }
}

}  // namespace mayfly
