// What the crash tests share: a child that is this program started again, tells lines over a pipe, and is killed.
//
// A test registers what its kind of child does. SIGKILL leaves the page cache, so these tests prove the order of
// writing, acknowledging and recovering; that a sync is asked for before an acknowledgement is SQLite's
// synchronous=FULL and the fsync in write_new_file.
#pragma once

#include <fcntl.h>
#include <fmt/core.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/fd.h"

namespace mayfly::store::testing {

inline constexpr int kLines = 3;  // the descriptor that the child tells its lines on

// In the child: one line, in one write.
inline void tell(std::string_view line) {
  const std::string text = fmt::format("{}\n", line);
  if (::write(kLines, text.data(), text.size()) != static_cast<ssize_t>(text.size())) _exit(3);
}

using ChildMain = std::function<void(const std::filesystem::path& directory, int round)>;  // does not return

// Started again by a test, the program becomes the child before any test runs.
class ChildEnvironment : public ::testing::Environment {
 public:
  ChildEnvironment(std::string kind, ChildMain child) : kind_(std::move(kind)), child_(std::move(child)) {}
  void SetUp() override {
    const char* kind = std::getenv("MAYFLY_CRASH_CHILD_KIND");
    const char* directory = std::getenv("MAYFLY_CRASH_CHILD_DIRECTORY");
    const char* round = std::getenv("MAYFLY_CRASH_CHILD_ROUND");
    if (kind == nullptr || kind_ != kind || directory == nullptr || round == nullptr) return;
    child_(directory, std::atoi(round));
    _exit(4);
  }

 private:
  std::string kind_;
  ChildMain child_;
};

class Child {
 public:
  Child(const std::string& kind, const std::filesystem::path& directory, int round) {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    lines_.reset(ends[0]);
    UniqueFd writing(ends[1]);
    const std::string kind_variable = "MAYFLY_CRASH_CHILD_KIND=" + kind;
    const std::string directory_variable = "MAYFLY_CRASH_CHILD_DIRECTORY=" + directory.string();
    const std::string round_variable = fmt::format("MAYFLY_CRASH_CHILD_ROUND={}", round);
    const std::string program = std::filesystem::read_symlink("/proc/self/exe").string();
    std::array<const char*, 4> environment{kind_variable.c_str(), directory_variable.c_str(), round_variable.c_str(),
                                           nullptr};
    std::array<const char*, 3> arguments{program.c_str(), "--gtest_brief=1", nullptr};
    pid_ = ::fork();
    EXPECT_GE(pid_, 0);
    if (pid_ == 0) {
      // SAFETY: only calls that are safe between fork and exec. execve takes its strings as non-const and leaves them.
      if (writing.get() == kLines) ::fcntl(kLines, F_SETFD, 0);
      if (writing.get() != kLines) ::dup2(writing.get(), kLines);
      ::execve(program.c_str(), const_cast<char**>(arguments.data()), const_cast<char**>(environment.data()));
      _exit(5);
    }
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() { kill(); }

  // Reads lines until there are `at_least` of them, or to the end of the pipe.
  std::vector<std::string> read_until(std::size_t at_least) {
    std::vector<std::string> lines;
    std::array<char, 4'096> buffer{};
    while (lines.size() < at_least) {
      const ssize_t got = ::read(lines_.get(), buffer.data(), buffer.size());
      if (got <= 0) break;
      for (const char c : std::string_view(buffer.data(), static_cast<std::size_t>(got))) {
        if (c == '\n') {
          lines.push_back(std::exchange(line_, {}));
        } else {
          line_ += c;
        }
      }
    }
    return lines;
  }
  // The status that waitpid gave, once.
  int kill() {
    if (pid_ <= 0) return 0;
    ::kill(pid_, SIGKILL);
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    return status;
  }

 private:
  pid_t pid_ = -1;
  UniqueFd lines_;
  std::string line_;
};

inline std::mt19937 seeded_random() {
  const auto seed = std::getenv("MAYFLY_TEST_SEED") != nullptr
                        ? static_cast<std::uint32_t>(std::strtoul(std::getenv("MAYFLY_TEST_SEED"), nullptr, 10))
                        : std::random_device{}();
  fmt::print("seed {} (MAYFLY_TEST_SEED={} repeats it)\n", seed, seed);
  return std::mt19937(seed);
}

inline int crash_rounds(int by_default) {
  const char* rounds = std::getenv("MAYFLY_CRASH_ROUNDS");
  return rounds == nullptr ? by_default : std::atoi(rounds);
}

// Runs a child of this kind for a while, kills it, and gives all that it told. Some die while they open the store, most
// under load.
inline std::vector<std::string> run_and_kill(const std::string& kind, const std::filesystem::path& directory, int round,
                                             std::mt19937& random) {
  Child child(kind, directory, round);
  auto lines = child.read_until(std::uniform_int_distribution<std::size_t>(round % 5 == 4 ? 0 : 1, 300)(random));
  std::atomic<std::uint32_t> spin{std::uniform_int_distribution<std::uint32_t>(0, 2'000'000)(random)};
  while (spin.load() != 0) spin.fetch_sub(1);
  const int status = child.kill();
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << "the child ended by itself: " << status;
  const auto rest = child.read_until(SIZE_MAX);
  lines.insert(lines.end(), rest.begin(), rest.end());
  return lines;
}

}  // namespace mayfly::store::testing
