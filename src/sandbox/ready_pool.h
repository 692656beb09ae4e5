// How many sandboxes of which kind are to be kept ready, and which there are. Only counts and names: the launcher makes
// and ends the sandboxes themselves. Used only in the launcher process.
//
// Operation.   A kind is what a sandbox has before its function is known: the mounts of its runtime, its network, its
//              fixed limits and the runtime started in it. Each start of a kind is counted, whether one was ready or
//              not; as many are wanted as the busiest second saw starts, half as many after each quiet minute, one
//              for an hour, then none.
// Concurrency. The launcher's one thread; time is given in.
// Limits.      kMostKinds kinds, kMostOfAKind of each, and the memory setting over all. A kind that could not be made
//              waits for kBackOff: until then its starts are made directly.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>

#include "base/clock.h"
#include "sandbox/spec.h"

namespace mayfly::sandbox {

class ReadyPool {
 public:
  static constexpr std::size_t kMostKinds = 24;
  static constexpr std::size_t kMostOfAKind = 32;
  static constexpr std::size_t kMostBuilding = 2;
  static constexpr std::chrono::seconds kWindow{1};
  static constexpr std::chrono::seconds kQuiet{60};
  static constexpr std::chrono::hours kForget{1};
  static constexpr std::chrono::seconds kBackOff{10};
  static constexpr std::uint64_t kGuessedBytes = 24ULL << 20;

  explicit ReadyPool(std::uint64_t memory_bytes) : memory_bytes_(memory_bytes) {}

  // Empty where the specification allows nothing to be made ahead, or this pool may hold nothing.
  [[nodiscard]] std::string kind_of(const SandboxSpec& spec) const;
  // A start of this kind is wanted: the sandbox that is its own from now on, or none.
  std::optional<std::string> take(const std::string& kind, const SandboxSpec& spec, SteadyTime now);
  // A start of this kind is likely: one is kept ready.
  void expect(const std::string& kind, const SandboxSpec& spec, SteadyTime now);

  // What to make next: the kind, and what its sandboxes have in common (no code, no function's variables).
  struct Order {
    std::string kind;
    const SandboxSpec* like = nullptr;
  };
  std::optional<Order> next_order(SteadyTime now, std::size_t most_building);
  void building(const std::string& kind);
  void built(const std::string& kind, const std::string& name, std::uint64_t bytes);
  void not_built(const std::string& kind, SteadyTime now);  // after building()
  void lost(const std::string& kind, const std::string& name);
  // One that is not wanted any more; it is out of the pool then.
  std::optional<std::string> next_surplus(SteadyTime now);

  [[nodiscard]] std::size_t ready() const;

 private:
  struct Kind {
    SandboxSpec like;
    std::deque<std::string> ready;  // the oldest first
    std::size_t building = 0;
    std::size_t wanted = 0;
    std::size_t in_window = 0;
    std::uint64_t bytes = kGuessedBytes;  // of one
    SteadyTime window_start;
    SteadyTime last_take;
    SteadyTime last_change;
    SteadyTime not_before;
  };
  Kind* find_or_make(const std::string& kind, const SandboxSpec& spec, SteadyTime now);
  void settle(Kind& kind, SteadyTime now) const;
  [[nodiscard]] std::uint64_t bytes_used() const;

  std::uint64_t memory_bytes_;
  std::map<std::string, Kind> kinds_;
};

}  // namespace mayfly::sandbox
