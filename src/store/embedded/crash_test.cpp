// kill -9 at any moment loses nothing that was acknowledged, and leaves nothing that nobody wrote.
//
// The test starts itself as a child that writes under load and tells each acknowledgement over a pipe, kills it after a
// random number of them and a random bit of work more, and opens what is left. What a worker writes follows from its
// name and a counter alone, so the parent knows what must be there, what may be (the one write that was under way), and
// what must not.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <array>

#include "store/embedded/crash_support.h"
#include "store/embedded/embedded.h"
#include "store/embedded/test_support.h"

namespace mayfly::store {
namespace {

using testing::run;
using testing::TemporaryDirectory;

constexpr std::size_t kWorkers = 8;

using Counts = std::array<std::size_t, kWorkers>;  // of acknowledged steps, by worker

// What step `n` of a worker does. The kinds take turns.
enum class Step : std::uint8_t { kCount, kPut, kLarge, kBlob, kRemove, kAppend };
constexpr std::size_t kKinds = 6;
Step step_of(std::size_t n) { return static_cast<Step>(n % kKinds); }

std::string key_of(int round, std::size_t worker, std::size_t n) { return fmt::format("r{}/w{}/{}", round, worker, n); }
std::string counter_of(int round, std::size_t worker) { return fmt::format("r{}/c{}", round, worker); }
StreamName stream_of(int round, std::size_t worker) { return StreamName(fmt::format("r{}/s{}", round, worker)); }
std::string value_of(int round, std::size_t worker, std::size_t n) {
  const std::string word = fmt::format("{}-{}-{} ", round, worker, n);
  const std::size_t words = step_of(n) == Step::kPut || step_of(n) == Step::kAppend ? 1 : 3'000;
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
    case Step::kAppend: {
      // Two records each time.
      const std::string value = value_of(round, worker, n);
      std::vector<std::string> records{value, value};
      const std::optional<std::uint64_t> expected = n / kKinds * 2;
      const auto appended = co_await store.stream().append(stream_of(round, worker), std::move(records), expected);
      co_return appended.has_value();
    }
  }
  co_return false;
}

Awaitable<void> work(Embedded& store, int round, std::size_t worker) {
  Revision counter = 0;
  for (std::size_t n = 0;; ++n) {
    const bool done = co_await take_step(store, round, worker, n, counter);
    if (!done) _exit(2);
    testing::tell(fmt::format("{}", worker));
  }
}

void write_records(const std::filesystem::path& directory, int round) {
  RealClock clock;
  auto store = Embedded::open(directory, clock);
  if (!store) _exit(1);
  Reactor reactor(clock, "child");
  Scope scope("workers");
  for (std::size_t worker = 0; worker < kWorkers; ++worker) {
    scope.spawn(reactor, "worker", [&, worker]() -> Awaitable<void> { return work(**store, round, worker); });
  }
  reactor.run();
}

[[maybe_unused]] const auto* const kRecordsChild =
    ::testing::AddGlobalTestEnvironment(new testing::ChildEnvironment("records", write_records));

// ---- the parent

// Whether the key of step `n` exists after the first `steps` steps.
bool exists_after(std::size_t n, std::size_t steps) {
  const Step step = step_of(n);
  if (step == Step::kCount || step == Step::kRemove || step == Step::kAppend) return false;
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
  // The counter holds the last step of kind kCount: n = 0, 6, 12, ...
  const auto counter = run(store.key_value().get(counter_of(round, worker))).value();
  const auto last_of = [](std::size_t steps) {
    return steps == 0 ? std::string() : fmt::format("{}", (steps - 1) / kKinds * kKinds);
  };
  const std::string found = counter ? counter->value : "";
  ASSERT_TRUE(found == last_of(acknowledged) || found == last_of(acknowledged + 1))
      << found << " after " << acknowledged;
}

// The stream holds what was appended, whole appends only.
void verify_stream(Embedded& store, int round, std::size_t worker, std::size_t acknowledged) {
  const auto records = run(store.stream().read(stream_of(round, worker), 0, {.max_records = 10'000}));
  const std::size_t found = records ? records->size() : 0;
  ASSERT_TRUE(found == acknowledged / kKinds * 2 || found == (acknowledged + 1) / kKinds * 2)
      << found << " records after " << acknowledged << " steps";
  for (std::size_t i = 0; i < found; ++i) {
    ASSERT_EQ(records->at(i).sequence, i + 1);
    ASSERT_EQ(records->at(i).data, value_of(round, worker, i / 2 * kKinds + 5));
  }
}

TEST(CrashTest, NothingAcknowledgedIsLostAndNothingIsInvented) {
  std::mt19937 random = testing::seeded_random();
  const int rounds_wanted = testing::crash_rounds(20);
  const TemporaryDirectory directory;
  std::vector<Counts> rounds;
  std::size_t total = 0;
  std::size_t deaths_seen = 0;
  for (int round = 0; round < rounds_wanted; ++round) {
    Counts counts{};
    for (const auto& line : testing::run_and_kill("records", directory.path(), round, random)) {
      ++counts.at(static_cast<std::size_t>(std::atoi(line.c_str())));
    }
    if (HasFailure()) return;
    rounds.push_back(counts);
    for (const std::size_t count : counts) total += count;

    auto store = Embedded::open(directory.path(), testing::real_clock());
    ASSERT_TRUE(store) << store.error().message;
    if (!(*store)->recovery().was_clean) ++deaths_seen;
    // Also what earlier rounds left: recovery after recovery must not eat it.
    const auto first = rounds.size() > 3 ? rounds.size() - 3 : 0;
    for (std::size_t r = round + 1 == rounds_wanted ? 0 : first; r < rounds.size(); ++r) {
      for (std::size_t worker = 0; worker < kWorkers; ++worker) {
        verify_worker(**store, static_cast<int>(r), worker, rounds[r][worker]);
        if (HasFatalFailure()) return;
        verify_stream(**store, static_cast<int>(r), worker, rounds[r][worker]);
        if (HasFatalFailure()) return;
      }
    }
    const auto blobs = run((*store)->blob().list()).value();
    for (const auto& id : blobs) ASSERT_TRUE(run((*store)->blob().get(id, 1'000'000))) << id.str();
  }
  fmt::print("{} acknowledged steps in {} rounds, {} of them recovered\n", total, rounds_wanted, deaths_seen);
  EXPECT_GE(deaths_seen, static_cast<std::size_t>(rounds_wanted / 2));
  EXPECT_GT(total, static_cast<std::size_t>(rounds_wanted) * 50);
}

}  // namespace
}  // namespace mayfly::store
