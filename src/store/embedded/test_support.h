// What the tests of the embedded engine share: a directory that goes away, and running one coroutine to its end.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <optional>
#include <string>

#include "base/async.h"
#include "base/ids.h"

namespace mayfly::store::testing {

class TemporaryDirectory {
 public:
  TemporaryDirectory() : path_(std::filesystem::temp_directory_path() / ("mayfly-store-" + random_hex(8))) {}
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

inline Clock& real_clock() {
  static RealClock clock;
  return clock;
}

// The reactor of all tests. It outlives every store, as a server's reactors do: a store's thread that wakes a coroutine
// may still be leaving the call when the coroutine has gone on.
inline Reactor& reactor() {
  static auto& reactor = *new Reactor(real_clock(), "test");
  return reactor;
}

// Runs the reactor in the caller's thread until `scope` has no task left. The tasks stop the reactor at their end.
inline void run_all(Scope& scope) {
  while (scope.running() != 0) {
    reactor().poll();
    if (scope.running() != 0) reactor().run();
  }
}

// Runs `task` until it is done.
template <typename T>
T run(Awaitable<T> task) {
  std::optional<T> result;
  Scope scope("test");
  const bool started = scope.spawn(reactor(), "task", [&]() -> Awaitable<void> {
    result.emplace(co_await std::move(task));
    reactor().stop();
  });
  EXPECT_TRUE(started);
  run_all(scope);
  return std::move(*result);
}

}  // namespace mayfly::store::testing
