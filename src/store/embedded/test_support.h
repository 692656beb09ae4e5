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

// Runs `task` on a reactor of its own, in the caller's thread, until it is done.
template <typename T>
T run(Awaitable<T> task) {
  RealClock clock;
  std::optional<T> result;
  {
    Reactor reactor(clock, "test");
    Scope scope("test");
    const auto started = scope.spawn(reactor, "task", [&]() -> Awaitable<void> {
      result.emplace(co_await std::move(task));
      reactor.stop();
    });
    EXPECT_TRUE(started);
    reactor.run();
    // The frame of the task ends after stop() was called in it.
    while (scope.running() != 0) reactor.poll();
    scope.stop();
  }
  return std::move(*result);
}

}  // namespace mayfly::store::testing
