// kill -9 at any moment loses nothing that was acknowledged, and leaves nothing that nobody wrote.
//
// The test starts itself as a child that writes under load and tells each acknowledgement over a pipe, kills it after a
// random number of them and a random bit of work more, and opens what is left. What a worker writes follows from its
// name and a counter alone, so the parent knows what must be there, what may be (the one write that was under way), and
// what must not. SIGKILL leaves the page cache, so this proves the order of writing, acknowledging and recovering; that
// a sync is asked for before an acknowledgement is SQLite's synchronous=FULL and the fsync in write_new_file.
#include <fcntl.h>
#include <fmt/core.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <charconv>
#include <cstdlib>
#include <random>

#include "base/fd.h"
#include "store/embedded/embedded.h"
#include "store/embedded/test_support.h"

namespace mayfly::store {
namespace {

using testing::run;
using testing::TemporaryDirectory;

constexpr int kRounds = 20;
constexpr std::size_t kWorkers = 8;
constexpr int kAcknowledgements = 3;  // the descriptor that the child tells them on

using Counts = std::array<std::size_t, kWorkers>;  // of acknowledged steps, by worker

// What step `n` of a worker does. Five kinds take turns.
enum class Step : std::uint8_t { kCount, kPut, kLarge, kBlob, kRemove };
Step step_of(std::size_t n) { return static_cast<Step>(n % 5); }

std::string key_of(int round, std::size_t worker, std::size_t n) { return fmt::format("r{}/w{}/{}", round, worker, n); }
std::string counter_of(int round, std::size_t worker) { return fmt::format("r{}/c{}", round, worker); }
std::string value_of(int round, std::size_t worker, std::size_t n) {
  const std::string word = fmt::format("{}-{}-{} ", round, worker, n);
  const std::size_t words = step_of(n) == Step::kPut ? 1 : 3'000;
  std::string value;
  for (std::size_t i = 0; i < words; ++i) value += word;
  return value;
}

// ---- the child

Awaitable<bool> take_step(Embedded& store, int round, std::size_t worker, std::size_t n, Revision& counter) {
  const std::string key = key_of(round, worker, n);
  switch (step_of(n)) {
    case Step::kCount: {
      const auto set =
          co_await store.key_value().compare_and_set(counter_of(round, worker), fmt::format("{}", n), counter);
      if (set) counter = *set;
      co_return set.has_value();
    }
    case Step::kPut:
    case Step::kLarge: {
      const auto put = co_await store.key_value().put(key, value_of(round, worker, n));
      co_return put.has_value();
    }
    case Step::kBlob: {
      const auto id = co_await store.blob().put(value_of(round, worker, n));
      if (!id) co_return false;
      const auto put = co_await store.key_value().put(key, id->str());
      co_return put.has_value();
    }
    case Step::kRemove: {
      const std::optional<Revision> any;
      const auto removed = co_await store.key_value().remove(key_of(round, worker, n - 3), any);
      co_return removed.has_value();
    }
  }
  co_return false;
}

Awaitable<void> work(Embedded& store, int round, std::size_t worker) {
  Revision counter = 0;
  for (std::size_t n = 0;; ++n) {
    const bool done = co_await take_step(store, round, worker, n, counter);
    if (!done) _exit(2);
    const std::string line = fmt::format("{}\n", worker);
    if (::write(kAcknowledgements, line.data(), line.size()) != static_cast<ssize_t>(line.size())) _exit(3);
  }
}

[[noreturn]] void be_the_child(const std::filesystem::path& directory, int round) {
  RealClock clock;
  auto store = Embedded::open(directory, clock);
  if (!store) _exit(1);
  Reactor reactor(clock, "child");
  Scope scope("workers");
  for (std::size_t worker = 0; worker < kWorkers; ++worker) {
    scope.spawn(reactor, "worker", [&, worker]() -> Awaitable<void> { return work(**store, round, worker); });
  }
  reactor.run();
  _exit(4);
}

// Started again by the test, the program becomes the child before any test runs.
class ChildEnvironment : public ::testing::Environment {
 public:
  void SetUp() override {
    const char* directory = std::getenv("MAYFLY_CRASH_CHILD_DIRECTORY");
    const char* round = std::getenv("MAYFLY_CRASH_CHILD_ROUND");
    if (directory != nullptr && round != nullptr) be_the_child(directory, std::atoi(round));
  }
};
[[maybe_unused]] const auto* const kChildEnvironment = ::testing::AddGlobalTestEnvironment(new ChildEnvironment);

// ---- the parent

class Child {
 public:
  Child(const std::filesystem::path& directory, int round) {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    acknowledgements_.reset(ends[0]);
    UniqueFd writing(ends[1]);
    const std::string directory_variable = "MAYFLY_CRASH_CHILD_DIRECTORY=" + directory.string();
    const std::string round_variable = fmt::format("MAYFLY_CRASH_CHILD_ROUND={}", round);
    const std::string program = std::filesystem::read_symlink("/proc/self/exe").string();
    std::array<const char*, 3> environment{directory_variable.c_str(), round_variable.c_str(), nullptr};
    std::array<const char*, 3> arguments{program.c_str(), "--gtest_brief=1", nullptr};
    pid_ = ::fork();
    EXPECT_GE(pid_, 0);
    if (pid_ == 0) {
      // SAFETY: only calls that are safe between fork and exec. execve takes its strings as non-const and leaves them.
      if (writing.get() == kAcknowledgements) ::fcntl(kAcknowledgements, F_SETFD, 0);
      if (writing.get() != kAcknowledgements) ::dup2(writing.get(), kAcknowledgements);
      ::execve(program.c_str(), const_cast<char**>(arguments.data()), const_cast<char**>(environment.data()));
      _exit(5);
    }
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() { kill(); }

  // Reads acknowledgements into `counts` until there are `at_least` of them, or to the end of the pipe.
  void read_until(std::size_t at_least, Counts& counts) {
    std::array<char, 4'096> buffer{};
    std::size_t seen = 0;
    while (seen < at_least) {
      const ssize_t got = ::read(acknowledgements_.get(), buffer.data(), buffer.size());
      if (got <= 0) return;
      for (const char c : std::string_view(buffer.data(), static_cast<std::size_t>(got))) {
        if (c == '\n') continue;
        ++counts.at(static_cast<std::size_t>(c - '0'));
        ++seen;
      }
    }
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
  UniqueFd acknowledgements_;
};

// Whether the key of step `n` exists after the first `steps` steps.
bool exists_after(std::size_t n, std::size_t steps) {
  const Step step = step_of(n);
  if (step == Step::kCount || step == Step::kRemove) return false;
  return n < steps && !(step == Step::kPut && n + 3 < steps);  // the step of kind kRemove takes away the kPut before it
}

void verify_worker(Embedded& store, int round, std::size_t worker, std::size_t acknowledged) {
  for (std::size_t n = 0; n <= acknowledged + 5; ++n) {
    const auto entry = run(store.key_value().get(key_of(round, worker, n))).value();
    const bool before = exists_after(n, acknowledged);
    const bool after = exists_after(n, acknowledged + 1);  // where the step under way was carried out
    const bool allowed = entry.has_value() == before || entry.has_value() == after;
    ASSERT_TRUE(allowed) << key_of(round, worker, n) << (entry ? " was invented or came back" : " was lost") << ", "
                         << acknowledged << " steps were acknowledged";
    if (!entry) continue;
    if (step_of(n) != Step::kBlob) {
      ASSERT_EQ(entry->value, value_of(round, worker, n));
      continue;
    }
    const auto bytes = run(store.blob().get(BlobId(entry->value), 1'000'000));
    ASSERT_TRUE(bytes) << bytes.error().message;
    ASSERT_EQ(*bytes, value_of(round, worker, n));
  }
  // The counter holds the last step of kind kCount: n = 0, 5, 10, ...
  const auto counter = run(store.key_value().get(counter_of(round, worker))).value();
  const auto last_of = [](std::size_t steps) {
    return steps == 0 ? std::string() : fmt::format("{}", (steps - 1) / 5 * 5);
  };
  const std::string found = counter ? counter->value : "";
  ASSERT_TRUE(found == last_of(acknowledged) || found == last_of(acknowledged + 1))
      << found << " after " << acknowledged;
}

TEST(CrashTest, NothingAcknowledgedIsLostAndNothingIsInvented) {
  const auto seed = std::getenv("MAYFLY_TEST_SEED") != nullptr
                        ? static_cast<std::uint32_t>(std::strtoul(std::getenv("MAYFLY_TEST_SEED"), nullptr, 10))
                        : std::random_device{}();
  fmt::print("seed {} (MAYFLY_TEST_SEED={} repeats it)\n", seed, seed);
  std::mt19937 random(seed);
  const TemporaryDirectory directory;
  std::vector<Counts> rounds;
  std::size_t total = 0;
  std::size_t deaths_seen = 0;
  for (int round = 0; round < kRounds; ++round) {
    Counts counts{};
    {
      Child child(directory.path(), round);
      // Some die while they open the store, most under load.
      child.read_until(std::uniform_int_distribution<std::size_t>(round % 5 == 4 ? 0 : 1, 300)(random), counts);
      std::atomic<std::uint32_t> spin{std::uniform_int_distribution<std::uint32_t>(0, 2'000'000)(random)};
      while (spin.load() != 0) spin.fetch_sub(1);
      const int status = child.kill();
      ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << "the child ended by itself: " << status;
      child.read_until(SIZE_MAX, counts);
    }
    rounds.push_back(counts);
    for (const std::size_t count : counts) total += count;

    auto store = Embedded::open(directory.path(), testing::real_clock());
    ASSERT_TRUE(store) << store.error().message;
    if (!(*store)->recovery().was_clean) ++deaths_seen;
    // Also what earlier rounds left: recovery after recovery must not eat it.
    const auto first = rounds.size() > 3 ? rounds.size() - 3 : 0;
    for (std::size_t r = round + 1 == kRounds ? 0 : first; r < rounds.size(); ++r) {
      for (std::size_t worker = 0; worker < kWorkers; ++worker) {
        verify_worker(**store, static_cast<int>(r), worker, rounds[r][worker]);
        if (HasFatalFailure()) return;
      }
    }
    const auto blobs = run((*store)->blob().list()).value();
    for (const auto& id : blobs) ASSERT_TRUE(run((*store)->blob().get(id, 1'000'000))) << id.str();
  }
  fmt::print("{} acknowledged steps in {} rounds, {} of them recovered\n", total, kRounds, deaths_seen);
  EXPECT_GE(deaths_seen, static_cast<std::size_t>(kRounds / 2));
  EXPECT_GT(total, 1'000);
}

}  // namespace
}  // namespace mayfly::store
