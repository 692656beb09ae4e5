// The Stream port over its file: order, expectations, trimming, restarts and full disks.
#include "store/stream.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include "store/embedded/embedded.h"
#include "store/embedded/stream_database.h"
#include "store/embedded/stream_engine.h"
#include "store/embedded/test_support.h"

namespace mayfly::store {
namespace {

using std::chrono::seconds;
using testing::run;
using testing::TemporaryDirectory;
using Records = std::vector<std::string>;

class StreamTest : public ::testing::Test {
 protected:
  void SetUp() override { reopen(); }
  void reopen() {
    store_.reset();
    store_ = Embedded::open(directory_.path(), clock_).value();
  }
  Stream& stream() { return store_->stream(); }
  Result<std::uint64_t> append(Records records, std::optional<std::uint64_t> expected = std::nullopt) {
    return run(stream().append(name_, std::move(records), expected));
  }
  std::string all(std::uint64_t after = 0, StreamRead bound = {}) {
    std::string text;
    for (const auto& record : run(stream().read(name_, after, bound)).value()) {
      text += fmt::format("{}={} ", record.sequence, record.data);
    }
    return text;
  }
  StreamInfo info() { return run(stream().info(name_)).value(); }

  const StreamName name_{"test/stream"};
  TemporaryDirectory directory_;
  VirtualClock clock_;
  std::unique_ptr<Embedded> store_;
};

TEST_F(StreamTest, RecordsAreReadInTheOrderOfTheirAppends) {
  EXPECT_EQ(run(stream().read(name_, 0, {})).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(append({"a", "b"}).value(), 2);
  EXPECT_EQ(append({"c"}).value(), 3);
  EXPECT_EQ(all(), "1=a 2=b 3=c ");
  EXPECT_EQ(all(2), "3=c ");
  EXPECT_EQ(all(3), "");
  EXPECT_EQ(all(99), "");
  EXPECT_EQ(all(0, {.max_records = 2}), "1=a 2=b ");
  EXPECT_EQ(all(0, {.max_records = 9, .max_bytes = 0}), "1=a ") << "one is always given";
  reopen();
  EXPECT_EQ(all(), "1=a 2=b 3=c ");
  EXPECT_EQ(append({"d"}).value(), 4);
}

TEST_F(StreamTest, AnAppendThatExpectsAnotherSequenceChangesNothing) {
  EXPECT_EQ(append({"a"}, 1).error().code, ErrorCode::kConflict);
  EXPECT_EQ(append({"a"}, 0).value(), 1);
  EXPECT_EQ(append({"b"}, 0).error().code, ErrorCode::kConflict);
  EXPECT_EQ(append({"b", "c"}, 1).value(), 3);
  EXPECT_EQ(all(), "1=a 2=b 3=c ");
}

TEST_F(StreamTest, OfConcurrentAppendsThatExpectOneSequenceOneWins) {
  constexpr int kCallers = 20;
  for (std::uint64_t round = 0; round < 5; ++round) {
    Scope scope("callers");
    int won = 0;
    for (int i = 0; i < kCallers; ++i) {
      scope.spawn(testing::reactor(), "caller", [&]() -> Awaitable<void> {
        Records records{"x"};
        const std::optional<std::uint64_t> expected = round;
        const auto appended = co_await stream().append(name_, std::move(records), expected);
        if (appended) ++won;
        testing::reactor().stop();
      });
    }
    testing::run_all(scope);
    EXPECT_EQ(won, 1);
  }
  EXPECT_EQ(info().last, 5);
}

TEST_F(StreamTest, APositionIsFoundByTime) {
  const SystemTime start = clock_.now();
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(append({"x", "y"}));
    clock_.advance(seconds(10));
  }
  const auto position = [this](SystemTime time) { return run(stream().position_before(name_, time)).value(); };
  EXPECT_EQ(position(start), 0);
  EXPECT_EQ(position(start + seconds(1)), 2);
  EXPECT_EQ(position(start + seconds(50)), 10);
  EXPECT_EQ(position(start + seconds(10'000)), 20);
  ASSERT_TRUE(run(stream().trim(name_, 5)));
  EXPECT_EQ(position(start + seconds(1)), 0);
  EXPECT_EQ(position(start + seconds(50)), 10);
}

TEST_F(StreamTest, TrimmingTakesTheOldestAndNeverGivesASequenceAgain) {
  const SystemTime start = clock_.now();
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(append({"12345"}));
    clock_.advance(seconds(1));
  }
  ASSERT_TRUE(run(stream().trim(name_, 1)));
  EXPECT_EQ(info().first, 2);
  EXPECT_EQ(info().bytes, 20);
  ASSERT_TRUE(run(stream().trim(name_, 1)));
  ASSERT_TRUE(run(stream().trim_to(name_, start + seconds(2), UINT64_MAX)));
  EXPECT_EQ(info().first, 3);
  EXPECT_EQ(info().oldest_at, start + seconds(2));
  ASSERT_TRUE(run(stream().trim_to(name_, start, 12)));
  EXPECT_EQ(all(), "4=12345 5=12345 ");
  ASSERT_TRUE(run(stream().trim(name_, 1'000)));
  EXPECT_EQ(all(), "");
  EXPECT_EQ(info().first, 6);
  EXPECT_FALSE(info().oldest_at);
  reopen();
  EXPECT_EQ(append({"x"}, 5).value(), 6);
}

TEST_F(StreamTest, MuchIsTrimmedInSteps) {
  Records records(10'000, "x");
  ASSERT_TRUE(append(records));
  ASSERT_TRUE(append({"last"}));
  ASSERT_TRUE(run(stream().trim(name_, StreamDatabase::kTrimStep * 5)));
  EXPECT_EQ(all(), "10001=last ");
  EXPECT_EQ(info().bytes, 4);
}

TEST_F(StreamTest, ARemovedStreamBeginsAnew) {
  ASSERT_TRUE(append(Records(5'000, "x")));
  ASSERT_TRUE(run(stream().append(StreamName("test/other"), {"o"}, std::nullopt)));
  EXPECT_EQ(run(stream().list("test/", "", 10)).value().size(), 2);
  ASSERT_TRUE(run(stream().remove(name_)));
  ASSERT_TRUE(run(stream().remove(name_)));
  EXPECT_EQ(run(stream().list("test/", "", 10)).value(), std::vector<StreamName>{StreamName("test/other")});
  EXPECT_EQ(run(stream().list("test/", "test/other", 10)).value().size(), 0);
  EXPECT_EQ(run(stream().info(name_)).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(append({"new"}, 0).value(), 1);
  EXPECT_EQ(all(), "1=new ");
}

TEST_F(StreamTest, WhatIsTooLargeIsRefused) {
  EXPECT_EQ(append({std::string(2UL * 1024 * 1024 + 1, 'x')}).error().code, ErrorCode::kTooLarge);
  EXPECT_EQ(append(Records(10'001, "x")).error().code, ErrorCode::kTooLarge);
  EXPECT_EQ(append({}).error().code, ErrorCode::kInvalid);
  EXPECT_TRUE(append({std::string(2UL * 1024 * 1024, 'x')}));
}

TEST_F(StreamTest, AFullDiskRefusesAppendsAndLosesNone) {
  const TemporaryDirectory directory;
  std::filesystem::create_directory(directory.path());
  auto database = StreamDatabase::open(directory.path() / "stream.db").value();
  StreamEngine engine(*database, clock_);
  ASSERT_TRUE(run(engine.append(name_, {"a"}, std::nullopt)));
  ASSERT_TRUE(database->limit_pages(database->pages() + 4));
  const std::vector<std::string> large{std::string(100'000, 'x')};
  EXPECT_EQ(run(engine.append(name_, large, std::nullopt)).error().code, ErrorCode::kIo);
  EXPECT_EQ(run(engine.append(name_, {"b"}, 1)).value(), 2);
  EXPECT_EQ(run(engine.read(name_, 0, {})).value().size(), 2);
  ASSERT_TRUE(run(engine.trim(name_, 1)));
  EXPECT_EQ(run(engine.info(name_)).value().bytes, 1);
}

}  // namespace
}  // namespace mayfly::store
