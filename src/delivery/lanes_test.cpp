// What becomes of many events: lanes, their breakers, bounds and order, fairness between them, starts and stops.
#include <gtest/gtest.h>

#include "delivery/breaker.h"
#include "delivery/test_world.h"

namespace mayfly::delivery {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::attempt_of;
using testing::kFunction;
using testing::kQueueArn;
using testing::request_for;
using testing::World;

TEST(Delivery, ABreakerStopsCallingWhatCannotBeReachedAndHalfOpens) {
  World w;
  w.start();
  w.answers["function:work"] = {attempt_of(Attempt::Kind::kRetry, "Unreachable")};
  for (int i = 0; i < 200; ++i) {
    auto request = request_for(kFunction);
    request.policy.max_attempts = 0;
    ASSERT_TRUE(w.submit(request));
  }
  w.pass(minutes(5), milliseconds(200));
  EXPECT_EQ(w.lane(kFunction).breaker == "closed", false);
  const auto tried = w.seen.size();
  EXPECT_LT(tried, 100U);  // and not thousands
  w.answers["function:work"].clear();
  w.pass(minutes(10), milliseconds(200));
  EXPECT_EQ(w.lane(kFunction).breaker, "closed");
  EXPECT_EQ(w.lane(kFunction).delivered, 200U);
}

TEST(Delivery, AFunctionThatFailsDoesNotOpenTheBreaker) {
  World w;
  w.start();
  auto bad = attempt_of(Attempt::Kind::kRetry, "Unhandled");
  bad.function_error = "Unhandled";
  w.answers["function:work"] = {bad};
  for (int i = 0; i < 100; ++i) {
    auto request = request_for(kFunction);
    request.policy.max_attempts = 1;
    ASSERT_TRUE(w.submit(request));
  }
  EXPECT_EQ(w.seen.size(), 100U);
  EXPECT_EQ(w.lane(kFunction).breaker, "closed");
}

TEST(Delivery, AFloodedTargetDoesNotStarveAnother) {
  World w;
  w.settings.max_in_flight = 40;
  w.settings.max_in_flight_per_target = 40;
  w.start();
  // Targets that never answer hold what they get; they may not get everything.
  for (int target = 0; target < 5; ++target) {
    const auto name = "function:slow" + std::to_string(target);
    w.held.insert(name);
    for (int i = 0; i < 100; ++i) {
      ASSERT_TRUE(w.submit(request_for("arn:aws:lambda:us-east-1:000000000000:" + name)));
    }
  }
  EXPECT_LT(w.running, 40U);
  EXPECT_GE(w.running, 30U);
  ASSERT_TRUE(w.submit(request_for(kFunction)));
  EXPECT_EQ(w.count("function:work"), 1U);
  EXPECT_EQ(w.lane(kFunction).delivered, 1U);
}

TEST(Delivery, HoldsTheBoundOfEachTarget) {
  World w;
  w.settings.max_in_flight_per_target = 7;
  w.start();
  w.held.insert("function:work");
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(w.submit(request_for(kFunction)));
  EXPECT_EQ(w.running, 7U);
  w.held.clear();
  w.gate.notify_all();
  w.settle();
  EXPECT_EQ(w.seen.size(), 50U);
  EXPECT_EQ(w.most_running, 7U);
}

TEST(Delivery, IdleLanesAreNotAskedAgain) {
  World w;
  w.start();
  std::vector<Request> many;
  for (int i = 0; i < 10'000; ++i) many.push_back(request_for(kQueueArn + std::to_string(i)));
  w.run([&]() -> Awaitable<void> { EXPECT_TRUE(co_await w.delivery->submit_all(std::move(many))); });
  EXPECT_EQ(w.seen.size(), 10'000U);
  const auto before = w.queue.lease_calls;
  w.pass(minutes(10), seconds(1));
  EXPECT_EQ(w.queue.lease_calls, before);
}

TEST(Delivery, KeepsTheOrderOfGroups) {
  World w;
  w.start();
  const std::string fifo = "arn:aws:sqs:us-east-1:000000000000:q.fifo";
  w.answers["q.fifo"] = {attempt_of(Attempt::Kind::kRetry), Attempt(), Attempt()};
  for (int i = 0; i < 5; ++i) {
    auto request = request_for(fifo, std::to_string(i));
    request.event.group_id = "g";
    ASSERT_TRUE(w.submit(request));
  }
  w.pass(minutes(1), milliseconds(100));
  std::string order;
  for (const auto& one : w.seen) order += one.event.payload;
  EXPECT_EQ(order, "001234");
}

TEST(Delivery, AStartTakesUpWhatAnEarlierRunLeft) {
  World w;
  w.start();
  w.answers["function:work"] = {attempt_of(Attempt::Kind::kRetry, "E1")};
  auto request = request_for(kFunction);
  request.policy.max_attempts = 2;
  request.policy.dead_letter_arn = kQueueArn;
  ASSERT_TRUE(w.submit(request));
  w.stop();
  w.start();
  w.pass(minutes(1), milliseconds(100));
  // The first run's attempt counts.
  EXPECT_EQ(w.count("function:work"), 2U);
  EXPECT_EQ(w.count("letters"), 1U);
}

TEST(Delivery, WhatWasUnderWayAtAKillComesAgainAfterItsLease) {
  World w;
  w.start();
  w.held.insert("function:work");
  ASSERT_TRUE(w.submit(request_for(kFunction)));
  ASSERT_EQ(w.seen.size(), 1U);
  // A second server over the same store, as after a kill: the first one's attempt never comes back.
  FakeQueue copy = w.queue;
  World other;
  other.clock.advance(w.clock.steady_now().time_since_epoch());
  other.queue.queues = copy.queues;
  other.start();
  EXPECT_TRUE(other.seen.empty());
  other.pass(seconds(32), seconds(1));
  EXPECT_EQ(other.seen.size(), 1U);
}

TEST(Delivery, ALongAttemptKeepsItsEvent) {
  World w;
  w.start();
  w.held.insert("function:work");
  ASSERT_TRUE(w.submit(request_for(kFunction)));
  w.pass(minutes(10), seconds(1));
  EXPECT_EQ(w.seen.size(), 1U);
  w.held.clear();
  w.gate.notify_all();
  w.settle();
  w.pass(minutes(10), seconds(1));
  EXPECT_EQ(w.seen.size(), 1U);
  EXPECT_EQ(w.lane(kFunction).delivered, 1U);
}

TEST(Delivery, AStopDoesNotWaitForEver) {
  World w;
  w.start();
  w.held.insert("function:work");
  ASSERT_TRUE(w.submit(request_for(kFunction)));
  bool stopped = false;
  const std::function<Awaitable<void>()> task = [&]() -> Awaitable<void> {
    co_await w.delivery->stop(seconds(5));
    stopped = true;
  };
  w.scope.spawn(w.reactors.at(0), "stop", task);
  w.settle();
  EXPECT_FALSE(stopped);
  w.pass(seconds(6), seconds(1));
  EXPECT_TRUE(stopped);
}

TEST(Delivery, AHandlerOfAnotherNameHasItsOwnLane) {
  World w;
  std::vector<std::string> ran;
  w.targets.add("lambda-run", [&ran](Arn arn, Event) -> Awaitable<Attempt> {
    ran.push_back(arn.resource);
    co_return Attempt();
  });
  w.start();
  auto request = request_for(kFunction);
  request.via = "lambda-run";
  ASSERT_TRUE(w.submit(request));
  auto url = request_for("https://example.org/hook");
  url.via = "lambda-run";
  ASSERT_TRUE(w.submit(url));
  EXPECT_EQ(ran, (std::vector<std::string>{"function:work", "https://example.org/hook"}));
  EXPECT_TRUE(w.seen.empty());
  w.stop();
  w.start();
  w.run([&]() -> Awaitable<void> {
    const auto lanes = co_await w.delivery->lanes();
    EXPECT_EQ(lanes.size(), 2U);
    for (const auto& lane : lanes) EXPECT_EQ(lane.via, "lambda-run");
  });
}

// An event in the queue of its target.
store::Queue::Fanout placed(const Arn& arn, const Event& event) {
  store::Queue::Fanout out;
  out.queue = store::QueueName("sqs/" + arn.resource);
  out.message.id = event.id;
  out.message.body = event.payload;
  return out;
}

TEST(Delivery, AnEventForAQueueIsWrittenWhereItIsTaken) {
  World w;
  bool there = true;
  w.targets.add_placement("sqs", [&there](const Arn& arn, const Event& event) -> std::optional<store::Queue::Fanout> {
    return there ? std::optional(placed(arn, event)) : std::nullopt;
  });
  w.start();
  w.queue.queues["sqs/letters"];
  std::vector<Request> both;
  both.push_back(request_for(kQueueArn));
  both.push_back(request_for(kFunction));
  w.run([&]() -> Awaitable<void> { EXPECT_TRUE(co_await w.delivery->submit_all(std::move(both))); });
  // One durable write; no attempt at the queue.
  EXPECT_EQ(w.queue.writes, 1U);
  EXPECT_EQ(w.count("letters"), 0U);
  EXPECT_EQ(w.count("function:work"), 1U);
  EXPECT_EQ(w.queue.queues["sqs/letters"].messages.size(), 1U);
  // What a lane has to remember goes through one, and so does what the queue would not take.
  auto keyed = request_for(kQueueArn);
  keyed.dedupe_key = "once";
  ASSERT_TRUE(w.submit(keyed));
  EXPECT_EQ(w.count("letters"), 1U);
  there = false;
  ASSERT_TRUE(w.submit(request_for(kQueueArn)));
  EXPECT_EQ(w.count("letters"), 2U);
  EXPECT_EQ(w.queue.queues["sqs/letters"].messages.size(), 1U);
}

TEST(Delivery, AQueueThatGoesAtTheMomentOfTheWriteIsNobodyElsesTrouble) {
  World w;
  w.targets.add_placement("sqs", placed);
  w.start();
  w.queue.queues["sqs/there"];
  std::vector<Request> all;
  all.push_back(request_for(kQueueArn));  // its queue has just been removed
  all.push_back(request_for("arn:aws:sqs:us-east-1:000000000000:there"));
  all.push_back(request_for(kFunction));
  w.run([&]() -> Awaitable<void> { EXPECT_TRUE(co_await w.delivery->submit_all(std::move(all))); });
  // All took the ordinary way, each to what becomes of it there.
  EXPECT_EQ(w.count("function:work"), 1U);
  EXPECT_EQ(w.count("there"), 1U);
  EXPECT_EQ(w.count("letters"), 1U);
  EXPECT_TRUE(w.queue.queues["sqs/there"].messages.empty());
}

TEST(Delivery, AShortcutSparesTheEventALane) {
  World w;
  bool open = true;
  std::vector<std::string> ran;
  w.targets.add("lambda-run", [&ran](Arn arn, Event event) -> Awaitable<Attempt> {
    ran.push_back(arn.resource + " " + event.payload);
    co_return Attempt();
  });
  w.targets.add_shortcut("lambda", [](const Arn&, Request& request) {
    request.via = "lambda-run";
    return true;
  });
  w.targets.set_permission([&open](const Arn& arn, const Event&) -> std::optional<Attempt> {
    if (open || arn.service != "lambda") return std::nullopt;
    return attempt_of(Attempt::Kind::kRefused, "AccessDenied");
  });
  w.start();
  ASSERT_TRUE(w.submit(request_for(kFunction)));
  EXPECT_EQ(ran, (std::vector<std::string>{R"(function:work {"n":1})"}));
  EXPECT_EQ(w.queue.writes, 1U);
  EXPECT_TRUE(w.seen.empty());
  // Who may not give to the target takes the ordinary way, which ends at its own dead letters.
  open = false;
  auto refused = request_for(kFunction);
  refused.policy.dead_letter_arn = kQueueArn;
  ASSERT_TRUE(w.submit(refused));
  w.pass(seconds(1), milliseconds(100));
  EXPECT_EQ(ran.size(), 1U);
  EXPECT_EQ(w.count("letters"), 1U);
}

}  // namespace
}  // namespace mayfly::delivery
