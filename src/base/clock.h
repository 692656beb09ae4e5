// Time is a port. Engine code and tests never call the system clock or sleep; they are given a Clock.
#pragma once

#include <chrono>
#include <functional>
#include <mutex>
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

// Starts at 2026-01-01T00:00:00Z and moves only when told to. Thread safe.
class VirtualClock final : public Clock {
 public:
  [[nodiscard]] SystemTime now() const override;
  [[nodiscard]] SteadyTime steady_now() const override;
  [[nodiscard]] bool is_real() const override { return false; }
  void on_advance(std::function<void()> listener) override;
  void advance(std::chrono::nanoseconds by);

 private:
  mutable std::mutex mutex_;
  std::chrono::nanoseconds elapsed_{0};
  std::vector<std::function<void()>> listeners_;
};

}  // namespace mayfly
