// The Queue port over its file: what callers see, across restarts, full disks and moving clocks.
#include "store/queue.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "store/embedded/embedded.h"
#include "store/embedded/queue_database.h"
#include "store/embedded/queue_engine.h"
#include "store/embedded/test_support.h"

namespace mayfly::store {
namespace {

using std::chrono::hours;
using std::chrono::seconds;
using testing::TemporaryDirectory;

NewMessage message(const std::string& id) {
  NewMessage made;
  made.id = id;
  made.body = "body of " + id;
  return made;
}

// A store on a virtual clock with a reactor on the same clock.
class QueueTest : public ::testing::Test {
 protected:
  void SetUp() override { reopen(); }
  void reopen() {
    store_.reset();
    store_ = Embedded::open(directory_.path(), clock_).value();
  }
  Queue& queue() { return store_->queue(); }

  template <typename T>
  T run(Awaitable<T> task) {
    std::optional<T> result;
    Scope scope("test");
    scope.spawn(reactor_, "task", [&]() -> Awaitable<void> {
      result.emplace(co_await std::move(task));
      reactor_.stop();
    });
    run_all(scope);
    return std::move(*result);
  }
  // Until `done`; what makes it so stops the reactor.
  void run_until(const std::function<bool()>& done) {
    while (!done()) {
      reactor_.poll();
      if (!done()) reactor_.run();
    }
  }
  void run_all(Scope& scope) {
    run_until([&scope] { return scope.running() == 0; });
  }
  void configure(const QueueName& name, QueueSettings settings = {}) {
    ASSERT_TRUE(run(queue().configure(name, settings)));
  }
  Published publish(const QueueName& name, NewMessage one) {
    return run(queue().publish(name, {std::move(one)})).value().at(0);
  }
  std::vector<Leased> lease(const QueueName& name, std::uint32_t count = 1, seconds duration = seconds(30)) {
    LeaseRequest request;
    request.max_messages = count;
    request.duration = duration;
    return run(queue().lease(name, request)).value();
  }
  QueueCounts counts(const QueueName& name) { return run(queue().counts(name)).value(); }

  const QueueName name_{"test/queue"};
  TemporaryDirectory directory_;
  VirtualClock clock_;
  Reactor reactor_{clock_, "test"};
  std::unique_ptr<Embedded> store_;
};

TEST_F(QueueTest, AMessageIsPublishedLeasedAndAcknowledged) {
  configure(name_);
  NewMessage sent = message("a");
  sent.group = "g";
  const auto published = publish(name_, sent);
  EXPECT_EQ(published.id, "a");
  EXPECT_FALSE(published.duplicate);
  const auto leased = lease(name_);
  ASSERT_EQ(leased.size(), 1);
  EXPECT_EQ(leased[0].id, "a");
  EXPECT_EQ(leased[0].body, "body of a");
  EXPECT_EQ(leased[0].group, "g");
  EXPECT_EQ(leased[0].sequence, published.sequence);
  EXPECT_EQ(leased[0].receive_count, 1);
  EXPECT_EQ(leased[0].sent_at, clock_.now());
  EXPECT_EQ(leased[0].leased_until, clock_.now() + seconds(30));
  EXPECT_TRUE(lease(name_).empty());
  EXPECT_EQ(counts(name_).leased, 1);
  EXPECT_TRUE(run(queue().acknowledge(name_, leased[0].token)));
  EXPECT_TRUE(run(queue().acknowledge(name_, leased[0].token)));  // again: it is gone already
  EXPECT_EQ(counts(name_).leased, 0);
  EXPECT_EQ(counts(name_).bytes, 0);
}

TEST_F(QueueTest, ALeaseThatRunsOutGivesTheMessageAgain) {
  configure(name_);
  publish(name_, message("a"));
  const auto first = lease(name_);
  clock_.advance(seconds(29));
  EXPECT_TRUE(lease(name_).empty());
  clock_.advance(seconds(1));
  const auto second = lease(name_);
  ASSERT_EQ(second.size(), 1);
  EXPECT_EQ(second[0].receive_count, 2);
  EXPECT_EQ(second[0].first_leased_at, first[0].first_leased_at);
  const auto late = run(queue().acknowledge(name_, first[0].token));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, ErrorCode::kNotFound);
  EXPECT_TRUE(run(queue().acknowledge(name_, second[0].token)));
}

TEST_F(QueueTest, LeasesAreExtendedAndGivenBackWithState) {
  configure(name_);
  publish(name_, message("a"));
  const auto first = lease(name_);
  clock_.advance(seconds(20));
  ASSERT_TRUE(run(queue().extend(name_, first[0].token, seconds(60))));
  clock_.advance(seconds(59));
  EXPECT_TRUE(lease(name_).empty());
  ASSERT_TRUE(run(queue().release(name_, first[0].token, seconds(5), "tried once")));
  EXPECT_EQ(counts(name_).delayed, 1);
  EXPECT_TRUE(lease(name_).empty());
  clock_.advance(seconds(5));
  const auto second = lease(name_);
  ASSERT_EQ(second.size(), 1);
  EXPECT_EQ(second[0].state, "tried once");
  ASSERT_TRUE(run(queue().extend(name_, second[0].token, seconds(0))));
  EXPECT_EQ(lease(name_).at(0).receive_count, 3);
}

TEST_F(QueueTest, WhatIsNoTokenOfThisQueueIsInvalid) {
  configure(name_);
  const QueueName other("test/other");
  configure(other);
  publish(name_, message("a"));
  const auto leased = lease(name_);
  for (const auto& token : {LeaseToken(""), LeaseToken("x"), LeaseToken(leased[0].token.str() + "0"),
                            LeaseToken("0" + leased[0].token.str())}) {
    const auto done = run(queue().acknowledge(name_, token));
    ASSERT_FALSE(done) << token.str();
  }
  EXPECT_EQ(run(queue().acknowledge(other, leased[0].token)).error().code, ErrorCode::kInvalid);
  EXPECT_EQ(run(queue().extend(other, leased[0].token, seconds(1))).error().code, ErrorCode::kInvalid);
}

TEST_F(QueueTest, EverythingIsThereAfterARestart) {
  QueueSettings settings;
  configure(name_, settings);
  for (const char* id : {"a", "b", "c", "d"}) publish(name_, message(id));
  NewMessage later = message("later");
  later.delay = hours(1);
  publish(name_, later);
  const auto leased = lease(name_, 3);
  ASSERT_TRUE(run(queue().acknowledge(name_, leased[0].token)));
  ASSERT_TRUE(run(queue().release(name_, leased[1].token, seconds(10), "state")));
  reopen();
  EXPECT_EQ(store_->recovery().queues, 1);
  EXPECT_EQ(store_->recovery().messages, 4);
  EXPECT_TRUE(lease(name_, 10).empty()) << "before the queue is configured";
  configure(name_, settings);
  auto counted = counts(name_);
  EXPECT_EQ(counted.ready, 1);
  EXPECT_EQ(counted.leased, 1);
  EXPECT_EQ(counted.delayed, 2);
  EXPECT_EQ(lease(name_, 10).at(0).id, "d");
  ASSERT_TRUE(run(queue().extend(name_, leased[2].token, seconds(60)))) << "a token outlives the process";
  clock_.advance(seconds(10));
  const auto again = lease(name_, 10);
  ASSERT_EQ(again.size(), 1);
  EXPECT_EQ(again[0].id, "b");
  EXPECT_EQ(again[0].state, "state");
  EXPECT_EQ(again[0].receive_count, 2);
  EXPECT_GT(publish(name_, message("e")).sequence, again[0].sequence + 2) << "sequences are never given twice";
}

TEST_F(QueueTest, AnOrderedQueueKeepsItsOrderAcrossARestart) {
  QueueSettings settings;
  settings.ordered = true;
  configure(name_, settings);
  for (const char* id : {"1", "2", "3"}) {
    NewMessage one = message(id);
    one.group = "g";
    publish(name_, one);
  }
  NewMessage other = message("x");
  other.group = "h";
  publish(name_, other);
  const auto first = lease(name_);
  ASSERT_EQ(first.at(0).id, "1");
  reopen();
  EXPECT_EQ(run(queue().counts(name_)).value().leased, 1) << "looked at before it is configured";
  configure(name_, settings);
  EXPECT_EQ(lease(name_, 10).at(0).id, "x");
  EXPECT_TRUE(lease(name_, 10).empty()) << "2 and 3 wait for 1";
  ASSERT_TRUE(run(queue().release(name_, first[0].token, seconds(5), "")));
  EXPECT_TRUE(lease(name_, 10).empty()) << "also while 1 is delayed";
  clock_.advance(seconds(5));
  const auto all = lease(name_, 10);
  ASSERT_EQ(all.size(), 3);
  EXPECT_EQ(all[0].id + all[1].id + all[2].id, "123");
}

TEST_F(QueueTest, IdsAndDedupeIdsArePublishedOnce) {
  configure(name_);
  NewMessage one = message("a");
  one.dedupe_id = "d";
  const auto first = publish(name_, one);
  EXPECT_TRUE(publish(name_, message("a")).duplicate);
  one.id = "b";
  const auto second = publish(name_, one);
  EXPECT_TRUE(second.duplicate);
  EXPECT_EQ(second.id, "a");
  EXPECT_EQ(second.sequence, first.sequence);
  ASSERT_TRUE(run(queue().acknowledge(name_, lease(name_).at(0).token)));
  reopen();
  configure(name_);
  EXPECT_EQ(publish(name_, one).id, "a") << "also when the message is gone, and after a restart";
  clock_.advance(seconds(300));
  EXPECT_FALSE(publish(name_, one).duplicate);
  EXPECT_FALSE(publish(name_, message("a")).duplicate) << "an id is held as long as its message";
}

TEST_F(QueueTest, WhoWaitsIsServedInOrderByAPublish) {
  configure(name_);
  Scope scope("waiters");
  std::vector<std::pair<int, std::string>> got;
  LeaseRequest request;
  request.wait_until = clock_.steady_now() + seconds(20);
  for (int i = 0; i < 3; ++i) {
    scope.spawn(reactor_, "waiter", [&, i]() -> Awaitable<void> {
      const auto leased = co_await queue().lease(name_, request);
      got.emplace_back(i, leased->empty() ? "" : leased->at(0).id);
      reactor_.stop();
    });
    reactor_.poll();
  }
  publish(name_, message("a"));
  publish(name_, message("b"));
  run_until([&got] { return got.size() == 2; });
  const std::vector<std::pair<int, std::string>> expected{{0, "a"}, {1, "b"}};
  EXPECT_EQ(got, expected);
  clock_.advance(seconds(20));
  run_all(scope);
  EXPECT_EQ(got.back(), std::pair(2, std::string())) << "its time ran out";
  publish(name_, message("c"));
  EXPECT_EQ(counts(name_).ready, 1) << "nobody waits any more";
}

TEST_F(QueueTest, WhoWaitsIsServedWhenALeaseOrADelayRunsOut) {
  configure(name_);
  NewMessage later = message("later");
  later.delay = seconds(10);
  publish(name_, later);
  Scope scope("waiter");
  std::vector<Leased> got;
  LeaseRequest request;
  request.wait_until = clock_.steady_now() + hours(1);
  for (int i = 0; i < 2; ++i) {
    scope.spawn(reactor_, "waiter", [&]() -> Awaitable<void> {
      auto leased = co_await queue().lease(name_, request);
      for (auto& each : *leased) got.push_back(std::move(each));
      reactor_.stop();
    });
    reactor_.poll();
  }
  ASSERT_EQ(counts(name_).delayed, 1);
  clock_.advance(seconds(10));
  run_until([&got] { return !got.empty(); });
  clock_.advance(seconds(30));
  run_until([&got] { return got.size() == 2; });
  EXPECT_EQ(got[1].receive_count, 2);
  run_all(scope);
}

TEST_F(QueueTest, OnARealClockNobodyPollsForTheTime) {
  const TemporaryDirectory directory;
  auto store = Embedded::open(directory.path(), testing::real_clock()).value();
  ASSERT_TRUE(testing::run(store->queue().configure(name_, QueueSettings{})));
  NewMessage later = message("later");
  later.delay = std::chrono::milliseconds(30);
  ASSERT_TRUE(testing::run(store->queue().publish(name_, {later})));
  LeaseRequest request;
  request.wait_until = testing::real_clock().steady_now() + seconds(60);
  EXPECT_EQ(testing::run(store->queue().lease(name_, request)).value().at(0).id, "later");
}

TEST_F(QueueTest, MessagesThatAreTooOldAreGone) {
  QueueSettings settings;
  settings.retention = seconds(60);
  configure(name_, settings);
  publish(name_, message("a"));
  const auto leased = lease(name_);
  clock_.advance(seconds(30));
  publish(name_, message("b"));
  clock_.advance(seconds(30));
  EXPECT_TRUE(run(queue().acknowledge(name_, leased[0].token))) << "gone already";
  EXPECT_EQ(run(queue().extend(name_, leased[0].token, seconds(5))).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(counts(name_).ready, 1);
  EXPECT_EQ(counts(name_).oldest_sent_at, clock_.now() - seconds(30));
  NewMessage moved = message("moved");
  moved.sent_at = clock_.now() - seconds(59);
  publish(name_, moved);
  EXPECT_EQ(counts(name_).oldest_sent_at, moved.sent_at);
  clock_.advance(seconds(1));
  EXPECT_EQ(lease(name_, 10).size(), 1);
  clock_.advance(seconds(60));
  EXPECT_TRUE(lease(name_, 10).empty());
  EXPECT_EQ(counts(name_).ready + counts(name_).leased, 0);
}

TEST_F(QueueTest, PurgeAndRemoveLeaveNothingNotEvenAfterARestart) {
  configure(name_);
  const QueueName other("test/other");
  configure(other);
  publish(name_, message("a"));
  publish(other, message("b"));
  const auto leased = lease(name_);
  ASSERT_TRUE(run(queue().purge(name_)));
  EXPECT_EQ(counts(name_).leased, 0);
  EXPECT_TRUE(run(queue().acknowledge(name_, leased[0].token)));
  publish(name_, message("a"));
  ASSERT_TRUE(run(queue().remove(other)));
  EXPECT_EQ(run(queue().counts(other)).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(run(queue().publish(other, {message("c")})).error().code, ErrorCode::kNotFound);
  reopen();
  EXPECT_EQ(store_->recovery().queues, 1);
  EXPECT_EQ(store_->recovery().messages, 1);
  configure(other);
  EXPECT_EQ(counts(other).ready, 0);
  const std::vector<QueueName> names = run(queue().list("test/")).value();
  EXPECT_EQ(names, (std::vector<QueueName>{other, name_}));
}

TEST_F(QueueTest, RemovingAQueueEndsWaitsOnIt) {
  configure(name_);
  Scope scope("waiter");
  std::optional<ErrorCode> code;
  LeaseRequest request;
  request.wait_until = clock_.steady_now() + hours(1);
  scope.spawn(reactor_, "waiter", [&]() -> Awaitable<void> {
    const auto leased = co_await queue().lease(name_, request);
    if (!leased) code = leased.error().code;
    reactor_.stop();
  });
  reactor_.poll();
  ASSERT_TRUE(run(queue().remove(name_)));
  run_all(scope);
  EXPECT_EQ(code, ErrorCode::kNotFound);
}

TEST_F(QueueTest, PublishingToManyQueuesIsAllOrNothing) {
  const QueueName other("test/other");
  configure(name_);
  configure(other);
  ASSERT_TRUE(run(queue().publish_to_many({{name_, message("a")}, {other, message("b")}, {name_, message("c")}})));
  EXPECT_EQ(counts(name_).ready, 2);
  EXPECT_EQ(counts(other).ready, 1);
  const auto missing = run(queue().publish_to_many({{name_, message("d")}, {QueueName("nowhere"), message("e")}}));
  EXPECT_EQ(missing.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(counts(name_).ready, 2);
}

TEST_F(QueueTest, PeekingShowsEverythingAndChangesNothing) {
  configure(name_);
  for (const char* id : {"a", "b", "c"}) publish(name_, message(id));
  const auto leased = lease(name_);
  const auto all = run(queue().peek(name_, 0, 10)).value();
  ASSERT_EQ(all.size(), 3);
  EXPECT_TRUE(all[0].leased);
  EXPECT_EQ(all[0].receive_count, 1);
  EXPECT_EQ(all[2].body, "body of c");
  EXPECT_EQ(run(queue().peek(name_, all[0].sequence, 1)).value().at(0).id, "b");
  ASSERT_TRUE(run(queue().take_out(name_, "b")));
  EXPECT_EQ(run(queue().take_out(name_, "b")).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(run(queue().peek(name_, 0, 10)).value().size(), 2);
  EXPECT_EQ(counts(name_).ready, 1);
}

TEST_F(QueueTest, LeasesAreBoundedByBytesAndByTheQueuesLimit) {
  QueueSettings settings;
  settings.max_leased = 4;
  configure(name_, settings);
  for (int i = 0; i < 6; ++i) publish(name_, message(fmt::format("{}", i)));
  LeaseRequest request;
  request.max_messages = 10;
  request.max_bytes = 20;
  EXPECT_EQ(run(queue().lease(name_, request)).value().size(), 2);
  request.max_bytes = 0;
  EXPECT_EQ(run(queue().lease(name_, request)).value().size(), 1) << "one is always given";
  EXPECT_EQ(lease(name_, 10).size(), 1);
  EXPECT_EQ(run(queue().lease(name_, request)).error().code, ErrorCode::kThrottled);
}

TEST_F(QueueTest, WhatIsTooLargeIsRefused) {
  configure(name_);
  NewMessage large = message("a");
  large.body = std::string(2UL * 1024 * 1024, 'x');
  EXPECT_TRUE(run(queue().publish(name_, {large})));
  EXPECT_EQ(lease(name_).at(0).body, large.body);
  large.id = "b";
  large.body += "x";
  EXPECT_EQ(run(queue().publish(name_, {large})).error().code, ErrorCode::kTooLarge);
  EXPECT_EQ(run(queue().publish(name_, {message(std::string(257, 'x'))})).error().code, ErrorCode::kTooLarge);
  EXPECT_EQ(run(queue().publish(name_, {message("")})).error().code, ErrorCode::kInvalid);
  EXPECT_EQ(run(queue().configure(QueueName(std::string(1'025, 'x')), {})).error().code, ErrorCode::kTooLarge);
}

TEST_F(QueueTest, ManyMessagesAcknowledgedAtOnceHaveAnAnswerEach) {
  configure(name_);
  for (int i = 0; i < 3; ++i) publish(name_, message(fmt::format("{}", i)));
  const auto leased = lease(name_, 3);
  std::vector<LeaseToken> tokens{leased[0].token, LeaseToken("nonsense"), leased[2].token};
  const auto answers = run(queue().acknowledge_all(name_, tokens));
  ASSERT_EQ(answers.size(), 3);
  EXPECT_TRUE(answers[0]);
  EXPECT_EQ(answers[1].error().code, ErrorCode::kInvalid);
  EXPECT_TRUE(answers[2]);
  EXPECT_EQ(counts(name_).leased, 1);
}

// A disk that fills: the file may not grow beyond a few pages more.
class QueueDiskTest : public QueueTest {
 protected:
  void SetUp() override {
    std::filesystem::create_directory(directory_.path());
    database_ = QueueDatabase::open(directory_.path() / "queue.db").value();
    start();
  }
  void start() {
    auto core = std::make_unique<QueueCore>(KeyedHash::Key{});
    ASSERT_TRUE(database_->load(*core));
    engine_ = std::make_unique<QueueEngine>(*database_, std::move(core), clock_);
  }
  std::unique_ptr<QueueDatabase> database_;
  std::unique_ptr<QueueEngine> engine_;
};

TEST_F(QueueDiskTest, AFullDiskRefusesMessagesAndLosesNone) {
  ASSERT_TRUE(run(engine_->configure(name_, {})));
  ASSERT_TRUE(database_->limit_pages(database_->pages() + 60));
  std::set<std::string> accepted;
  std::size_t refused = 0;
  for (int i = 0; i < 100; ++i) {
    NewMessage large = message(fmt::format("{}", i));
    large.body = std::string(5'000, 'x');
    const auto published = run(engine_->publish(name_, {large}));
    if (published) {
      accepted.insert(large.id);
    } else {
      EXPECT_EQ(published.error().code, ErrorCode::kIo);
      ++refused;
    }
  }
  EXPECT_GT(refused, 10);
  EXPECT_GT(accepted.size(), 10);
  EXPECT_EQ(run(engine_->counts(name_)).value().ready, accepted.size());
  // Leases and acknowledgements go on, and make room.
  LeaseRequest request;
  request.max_messages = 5;
  const auto leased = run(engine_->lease(name_, request)).value();
  ASSERT_EQ(leased.size(), 5);
  for (const Leased& each : leased) {
    ASSERT_TRUE(run(engine_->acknowledge(name_, each.token)));
    accepted.erase(each.id);
  }
  NewMessage large = message("after");
  large.body = std::string(5'000, 'x');
  ASSERT_TRUE(run(engine_->publish(name_, {large})));
  accepted.insert("after");
  engine_.reset();
  start();
  ASSERT_TRUE(run(engine_->configure(name_, {})));
  request.max_messages = 1'000;
  std::set<std::string> found;
  const auto rest = run(engine_->lease(name_, request)).value();
  for (const Leased& each : rest) found.insert(each.id);
  EXPECT_EQ(found, accepted);
}

TEST_F(QueueDiskTest, WhatWaitsInOneBatchWithARefusedMessageIsCarriedOut) {
  ASSERT_TRUE(run(engine_->configure(name_, {})));
  ASSERT_TRUE(run(engine_->publish(name_, {message("a")})));
  LeaseRequest request;
  const auto leased = run(engine_->lease(name_, request)).value();
  ASSERT_TRUE(database_->limit_pages(database_->pages()));
  Scope scope("callers");
  std::size_t acknowledged = 0;
  std::size_t refused = 0;
  for (int i = 0; i < 20; ++i) {
    scope.spawn(reactor_, "publisher", [&, i]() -> Awaitable<void> {
      NewMessage large = message(fmt::format("large {}", i));
      large.body = std::string(100'000, 'x');
      std::vector<NewMessage> messages{large};
      const auto published = co_await engine_->publish(name_, std::move(messages));
      if (!published && published.error().code == ErrorCode::kIo) ++refused;
      reactor_.stop();
    });
  }
  scope.spawn(reactor_, "acknowledger", [&]() -> Awaitable<void> {
    const auto done = co_await engine_->acknowledge(name_, leased[0].token);
    if (done) ++acknowledged;
    reactor_.stop();
  });
  run_all(scope);
  EXPECT_EQ(refused, 20);
  EXPECT_EQ(acknowledged, 1);
  EXPECT_EQ(run(engine_->counts(name_)).value().leased, 0);
}

TEST(QueueSchemaTest, ANewerFileIsRefused) {
  const TemporaryDirectory directory;
  std::filesystem::create_directory(directory.path());
  const auto file = directory.path() / "queue.db";
  QueueDatabase::open(file).value().reset();
  {
    auto raw = SqliteFile::open(file, SqliteFile::Tuning{}).value();
    ASSERT_TRUE(raw.execute("UPDATE meta SET value = 99 WHERE name = 'schema_version'"));
  }
  const auto opened = QueueDatabase::open(file);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::kUnsupported);
}

}  // namespace
}  // namespace mayfly::store
