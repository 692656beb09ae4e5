// Time is a port. Engine code and tests never call the system clock or sleep; they are given a Clock.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace mayfly {

using SystemTime = std::chrono::sys_time<std::chrono::microseconds>;
using SteadyTime = std::chrono::time_point<std::chrono::steady_clock, std::chrono::nanoseconds>;

class Clock {
 public:
  Clock() = default;
  Clock(const Clock&) = delete;
  Clock& operator=(const Clock&) = delete;
  virtual ~Clock() = default;
  [[nodiscard]] virtual SystemTime now() const = 0;
  [[nodiscard]] virtual SteadyTime steady_now() const = 0;
  // True where waiting for a time means waiting in the kernel; false where somebody advances the time.
  [[nodiscard]] virtual bool is_real() const = 0;
  // Calls `listener` after each advance of a virtual clock; a real clock never calls it. Listeners live as
  // long as the clock.
  virtual void on_advance(std::function<void()> listener) = 0;
};

class RealClock final : public Clock {
 public:
  [[nodiscard]] SystemTime now() const override;
  [[nodiscard]] SteadyTime steady_now() const override;
  [[nodiscard]] bool is_real() const override { return true; }
  void on_advance(std::function<void()>) override {}
};

// Moves only when told to. Thread safe.
class VirtualClock final : public Clock {
 public:
  VirtualClock();  // from 2026-01-01T00:00:00Z
  explicit VirtualClock(SystemTime start);
  [[nodiscard]] SystemTime now() const override;
  [[nodiscard]] SteadyTime steady_now() const override;
  [[nodiscard]] bool is_real() const override { return false; }
  void on_advance(std::function<void()> listener) override;
  void advance(std::chrono::nanoseconds by);

  // For those who wait for this clock on a reactor of another one (Signal::wait_until with a clock): `callback` runs
  // once, in the thread that advances, when the time has come. Reactors of this clock keep their own timers.
  using TimerId = std::uint64_t;
  TimerId call_at(SteadyTime when, std::function<void()> callback);
  // When it returns the callback has run, or never will.
  void cancel(TimerId id);
  // The next time that somebody waits for.
  [[nodiscard]] std::optional<SteadyTime> next_timer() const;

 private:
  void fire();

  const SystemTime start_;
  mutable std::mutex mutex_;
  std::recursive_mutex firing_;  // recursive, for the callback that cancels
  std::chrono::nanoseconds elapsed_{0};
  std::vector<std::function<void()>> listeners_;
  std::map<std::pair<SteadyTime, TimerId>, std::function<void()>> timers_;
  std::map<TimerId, SteadyTime> times_;
  TimerId last_timer_ = 0;
};

}  // namespace mayfly
