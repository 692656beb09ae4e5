// Each promise of docs/delivery.md on a virtual clock: one reactor, targets that do as they are told, a queue in
// memory.
#include "delivery/delivery.h"

#include <gtest/gtest.h>

#include <set>

#include "delivery/breaker.h"
#include "delivery/fake_queue.h"

namespace mayfly::delivery {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

const std::string kFunction = "arn:aws:lambda:us-east-1:000000000000:function:work";
const std::string kQueueArn = "arn:aws:sqs:us-east-1:000000000000:letters";

struct Seen {
  Arn target;
  Event event;
  SteadyTime at;
};

struct World {
  VirtualClock clock;
  FakeQueue queue{clock};
  Reactors reactors{clock, 1};
  Targets targets;
  Scope scope{"test"};
  DeliverySettings settings;
  std::vector<Seen> seen;
  std::map<std::string, std::vector<Attempt>> answers;  // by resource; the last one stays
  std::set<std::string> held;                           // resources whose attempts wait for `gate`
  Signal gate;
  std::size_t running = 0;
  std::size_t most_running = 0;
  std::unique_ptr<Delivery> delivery;

  World() {
    settings.seed = 7;
    for (const char* service : {"lambda", "sqs", "sns"}) {
      targets.add(service, [this](Arn arn, Event event) { return take(std::move(arn), std::move(event)); });
    }
  }
  ~World() { stop(); }

  Awaitable<Attempt> take(Arn arn, Event event) {
    seen.push_back({arn, event, clock.steady_now()});
    const auto resource = arn.resource;
    ++running;
    most_running = std::max(most_running, running);
    while (held.contains(resource)) co_await gate.wait_until(kNoDeadline);
    --running;
    auto& list = answers[resource];
    Attempt out;
    if (!list.empty()) out = list.front();
    if (list.size() > 1) list.erase(list.begin());
    co_return out;
  }
  void settle() {
    while (reactors.at(0).poll() > 0) {
    }
  }
  void start() {
    delivery = std::make_unique<Delivery>(queue, targets, reactors, clock, settings);
    run([this]() -> Awaitable<void> { EXPECT_TRUE(co_await delivery->start()); });
  }
  void stop() {
    if (!delivery) return;
    held.clear();
    gate.notify_all();
    run([this]() -> Awaitable<void> {
      co_await delivery->stop(seconds(1));
      co_await delivery->join();
    });
    delivery.reset();
  }
  void run(const std::function<Awaitable<void>()>& task) {
    scope.spawn(reactors.at(0), "step", task);
    settle();
  }
  Result<void> submit(Request request) {
    Result<void> out = fail(ErrorCode::kInternal, "did not come back");
    run([&]() -> Awaitable<void> { out = co_await delivery->submit(std::move(request)); });
    return out;
  }
  // Moves time in small steps, so that everything in between happens when it is due.
  void pass(std::chrono::nanoseconds time, std::chrono::nanoseconds step) {
    for (auto moved = std::chrono::nanoseconds::zero(); moved < time; moved += step) {
      clock.advance(step);
      settle();
    }
  }
  LaneInfo lane(const std::string& arn) {
    LaneInfo out;
    run([&]() -> Awaitable<void> {
      for (auto& info : co_await delivery->lanes()) {
        if (info.target_arn == arn) out = info;
      }
    });
    return out;
  }
  std::size_t count(std::string_view resource) const {
    return static_cast<std::size_t>(
        std::count_if(seen.begin(), seen.end(), [&](const Seen& s) { return s.target.resource == resource; }));
  }
  const Seen* last(std::string_view resource) const {
    const auto found =
        std::find_if(seen.rbegin(), seen.rend(), [&](const auto& s) { return s.target.resource == resource; });
    return found == seen.rend() ? nullptr : &*found;
  }
};

Request request_for(const std::string& arn, std::string payload = R"({"n":1})") {
  Request out;
  out.target_arn = arn;
  out.event.id = "11111111-2222-4333-8444-555555555555";
  out.event.payload = std::move(payload);
  return out;
}

Attempt attempt_of(Attempt::Kind kind, std::string code = "", std::string message = "") {
  Attempt out;
  out.kind = kind;
  out.error_code = std::move(code);
  out.error_message = std::move(message);
  return out;
}

TEST(Delivery, GivesAnAcceptedEventOnceAndForgetsIt) {
  World w;
  w.start();
  auto request = request_for(kFunction, "any \"bytes\"\n");
  request.event.message_attributes["a"] = "b";
  request.event.source_arn = "arn:aws:events:us-east-1:000000000000:rule/r";
  ASSERT_TRUE(w.submit(request));
  ASSERT_EQ(w.seen.size(), 1U);
  EXPECT_EQ(w.seen[0].event.payload, "any \"bytes\"\n");
  EXPECT_EQ(w.seen[0].event.id, request.event.id);
  EXPECT_EQ(w.seen[0].event.source_arn, request.event.source_arn);
  EXPECT_EQ(w.seen[0].event.message_attributes, request.event.message_attributes);
  w.pass(hours(1), minutes(1));
  EXPECT_EQ(w.seen.size(), 1U);
  EXPECT_EQ(w.lane(kFunction).delivered, 1U);
  EXPECT_EQ(w.lane(kFunction).counts.leased, 0U);
}

TEST(Delivery, RefusesWhatItCannotMakeDurable) {
  World w;
  w.start();
  w.queue.broken = true;
  EXPECT_FALSE(w.submit(request_for(kFunction)));
  EXPECT_FALSE(w.submit(request_for("")));
  EXPECT_FALSE(w.submit(request_for("arn:aws:sqs:r:a:" + std::string(kMaxTargetBytes, 'x'))));
  EXPECT_TRUE(w.seen.empty());
}

TEST(Delivery, ManyAreOneDurableWrite) {
  World w;
  w.start();
  std::vector<Request> many;
  for (int i = 0; i < 1000; ++i) many.push_back(request_for(kQueueArn + std::to_string(i)));
  const auto before = w.queue.writes;
  w.run([&]() -> Awaitable<void> { EXPECT_TRUE(co_await w.delivery->submit_all(std::move(many))); });
  EXPECT_EQ(w.queue.writes, before + 1);
  EXPECT_EQ(w.seen.size(), 1000U);
}

TEST(Delivery, WaitsForTheDelayOfARequest) {
  World w;
  w.start();
  auto request = request_for(kFunction);
  request.delay = minutes(5);
  ASSERT_TRUE(w.submit(request));
  w.pass(seconds(299), seconds(1));
  EXPECT_TRUE(w.seen.empty());
  w.pass(seconds(2), seconds(1));
  EXPECT_EQ(w.seen.size(), 1U);
}

TEST(Delivery, ExecutesOneKeyOnce) {
  World w;
  w.start();
  auto request = request_for(kFunction);
  request.dedupe_key = "order-7";
  ASSERT_TRUE(w.submit(request));
  ASSERT_TRUE(w.submit(request));
  EXPECT_EQ(w.seen.size(), 1U);
  w.pass(seconds(301), seconds(1));
  ASSERT_TRUE(w.submit(request));
  EXPECT_EQ(w.seen.size(), 2U);
}

TEST(Delivery, RetriesWithGrowingWaitsAndFullJitter) {
  World w;
  w.start();
  w.answers["function:work"] = {attempt_of(Attempt::Kind::kRetry, "E")};
  auto request = request_for(kFunction);
  request.policy.max_attempts = 6;
  request.policy.max_back_off = seconds(4);
  ASSERT_TRUE(w.submit(request));
  w.pass(minutes(1), milliseconds(10));
  ASSERT_EQ(w.seen.size(), 6U);
  // Each wait is at most its bound, and they are not all alike.
  std::set<std::int64_t> waits;
  for (std::size_t i = 1; i < w.seen.size(); ++i) {
    const auto wait = w.seen[i].at - w.seen[i - 1].at;
    EXPECT_LE(wait, std::min(seconds(1) * (1 << (i - 1)), seconds(4)) + milliseconds(40));
    waits.insert(wait.count());
  }
  EXPECT_GT(waits.size(), 2U);
  EXPECT_EQ(w.lane(kFunction).dropped, 1U);
}

TEST(Delivery, JitterFollowsItsSeed) {
  const auto times = [](std::uint64_t seed) {
    World w;
    w.settings.seed = seed;
    w.start();
    w.answers["function:work"] = {attempt_of(Attempt::Kind::kRetry)};
    auto request = request_for(kFunction);
    request.policy.max_attempts = 5;
    EXPECT_TRUE(w.submit(request));
    w.pass(minutes(1), milliseconds(10));
    std::vector<std::int64_t> out;
    for (const auto& one : w.seen) out.push_back(one.at.time_since_epoch().count());
    return out;
  };
  EXPECT_EQ(times(1), times(1));
  EXPECT_NE(times(1), times(2));
}

TEST(Delivery, WithoutJitterTheWaitsAreLambdas) {
  World w;
  w.start();
  auto failed = attempt_of(Attempt::Kind::kRetry, "Unhandled");
  failed.function_error = "Unhandled";
  w.answers["function:work"] = {failed};
  auto request = request_for(kFunction);
  request.policy.jitter = false;
  request.policy.first_back_off = minutes(1);
  ASSERT_TRUE(w.submit(request));
  w.pass(minutes(10), seconds(1));
  ASSERT_EQ(w.seen.size(), 3U);
  EXPECT_EQ(w.seen[1].at - w.seen[0].at, minutes(1));
  EXPECT_EQ(w.seen[2].at - w.seen[1].at, minutes(2));
  EXPECT_EQ(w.seen[2].event.id, w.seen[0].event.id);
}

TEST(Delivery, ThrottlesUseUpNoAttempts) {
  World w;
  w.start();
  w.answers["function:work"] = std::vector<Attempt>(20, attempt_of(Attempt::Kind::kThrottled, "Throttled"));
  w.answers["function:work"].emplace_back();
  auto request = request_for(kFunction);
  request.policy.max_attempts = 1;
  ASSERT_TRUE(w.submit(request));
  w.pass(hours(1), seconds(1));
  EXPECT_EQ(w.seen.size(), 21U);
  EXPECT_EQ(w.lane(kFunction).delivered, 1U);
  EXPECT_EQ(w.lane(kFunction).throttled_attempts, 20U);
  EXPECT_EQ(w.lane(kFunction).dead, 0U);
}

TEST(Delivery, AThrottledTargetIsTriedAtOnceWhenItIsWoken) {
  World w;
  w.start();
  w.answers["function:work"] = {attempt_of(Attempt::Kind::kThrottled)};
  ASSERT_TRUE(w.submit(request_for(kFunction)));
  w.pass(minutes(10), seconds(1));
  w.answers["function:work"].clear();
  const auto before = w.seen.size();
  w.delivery->wake(kFunction, "");
  w.settle();
  EXPECT_EQ(w.seen.size(), before + 1);
  EXPECT_EQ(w.lane(kFunction).delivered, 1U);
}

TEST(Delivery, WhatUsesUpItsAttemptsGoesToTheDeadLetterTarget) {
  World w;
  w.start();
  w.answers["function:work"] = {attempt_of(Attempt::Kind::kRetry, "Timeout", "took too long")};
  auto request = request_for(kFunction);
  request.policy.dead_letter_arn = kQueueArn;
  request.event.source_arn = "arn:aws:events:us-east-1:000000000000:rule/r";
  ASSERT_TRUE(w.submit(request));
  w.pass(minutes(1), milliseconds(100));
  EXPECT_EQ(w.count("function:work"), 3U);
  ASSERT_EQ(w.count("letters"), 1U);
  const auto& letter = w.last("letters")->event;
  EXPECT_EQ(letter.payload, request.event.payload);
  EXPECT_NE(letter.id, request.event.id);
  const auto value = [&](const char* name) {
    return std::string(get_string(letter.message_attributes.at(name), "StringValue"));
  };
  EXPECT_EQ(value("ERROR_CODE"), "Timeout");
  EXPECT_EQ(value("ERROR_MESSAGE"), "took too long");
  EXPECT_EQ(value("RULE_ARN"), request.event.source_arn);
  EXPECT_EQ(value("TARGET_ARN"), kFunction);
  EXPECT_EQ(value("RETRY_ATTEMPTS"), "2");
  EXPECT_EQ(value("EXHAUSTED_RETRY_CONDITION"), "MaximumRetryAttempts");
  EXPECT_EQ(w.lane(kFunction).dead, 1U);
  EXPECT_EQ(w.lane(kFunction).dropped, 0U);
}

TEST(Delivery, ABrokenDeadLetterQueueLosesNothing) {
  World w;
  w.start();
  w.answers["function:work"] = {attempt_of(Attempt::Kind::kRetry)};
  w.answers["letters"] = {attempt_of(Attempt::Kind::kRefused, "AWS.SimpleQueueService.NonExistentQueue")};
  auto request = request_for(kFunction);
  request.policy.dead_letter_arn = kQueueArn;
  request.policy.max_attempts = 1;
  ASSERT_TRUE(w.submit(request));
  w.pass(hours(24), minutes(1));
  EXPECT_GT(w.count("letters"), 10U);
  EXPECT_EQ(w.lane(kQueueArn).counts.delayed + w.lane(kQueueArn).counts.ready, 1U);
  EXPECT_EQ(w.lane(kQueueArn).last_error_code, "AWS.SimpleQueueService.NonExistentQueue");
  w.answers["letters"].clear();
  w.pass(hours(1), minutes(1));
  EXPECT_EQ(w.lane(kQueueArn).delivered, 1U);
}

TEST(Delivery, AFullDiskKeepsTheEventUntilItsLetterCanBeStored) {
  World w;
  w.start();
  w.answers["function:work"] = {attempt_of(Attempt::Kind::kRetry)};
  auto request = request_for(kFunction);
  request.policy.dead_letter_arn = kQueueArn;
  request.policy.max_attempts = 1;
  w.held.insert("function:work");
  ASSERT_TRUE(w.submit(request));
  w.queue.broken = true;
  w.held.clear();
  w.gate.notify_all();
  w.settle();
  EXPECT_EQ(w.count("letters"), 0U);
  w.queue.broken = false;
  w.pass(minutes(1), seconds(1));
  EXPECT_EQ(w.count("letters"), 1U);
}

TEST(Delivery, ADeletedTargetsEventsGoToTheDeadLetterTargetAtOnce) {
  World w;
  w.start();
  w.answers["function:work"] = {attempt_of(Attempt::Kind::kRefused, "ResourceNotFoundException")};
  auto request = request_for(kFunction);
  request.policy.dead_letter_arn = kQueueArn;
  ASSERT_TRUE(w.submit(request));
  EXPECT_EQ(w.count("function:work"), 1U);
  EXPECT_EQ(w.count("letters"), 1U);
}

TEST(Delivery, ADeletedTargetsEventsAreOtherwiseKeptAndShownUntilTheirAgeRunsOut) {
  World w;
  w.start();
  w.answers["function:work"] = {attempt_of(Attempt::Kind::kRefused, "ResourceNotFoundException", "gone")};
  auto request = request_for(kFunction);
  request.policy.max_age = hours(2);
  ASSERT_TRUE(w.submit(request));
  w.pass(hours(1), seconds(30));
  EXPECT_EQ(w.lane(kFunction).counts.delayed + w.lane(kFunction).counts.ready, 1U);
  w.run([&]() -> Awaitable<void> {
    const auto shown = co_await w.delivery->waiting(kFunction, "", 0, 10);
    EXPECT_TRUE(shown && shown->size() == 1 && shown->front().last_error_code == "ResourceNotFoundException");
    EXPECT_TRUE(shown && shown->front().attempts > 3 && shown->front().id == request.event.id);
  });
  w.pass(hours(2), seconds(30));
  EXPECT_EQ(w.lane(kFunction).counts.delayed + w.lane(kFunction).counts.ready, 0U);
  EXPECT_EQ(w.lane(kFunction).dropped, 1U);
  EXPECT_LE(w.seen.back().at, SteadyTime(hours(2)));
}

TEST(Delivery, AnEventThatIsTooOldIsNotAttempted) {
  World w;
  w.start();
  w.answers["function:work"] = {attempt_of(Attempt::Kind::kThrottled)};
  auto request = request_for(kFunction);
  request.policy.max_age = minutes(2);
  request.policy.on_failure_arn = kQueueArn;
  ASSERT_TRUE(w.submit(request));
  w.pass(minutes(10), seconds(1));
  ASSERT_EQ(w.count("letters"), 1U);
  EXPECT_LE(w.last("function:work")->at, SteadyTime(minutes(2)));
  const auto record = parse_json(w.last("letters")->event.payload);
  ASSERT_TRUE(record);
  EXPECT_EQ(get_string(record->at("requestContext"), "condition"), "EventAgeExceeded");
  EXPECT_EQ(get_int(record->at("requestContext"), "approximateInvokeCount"), 0);
}

TEST(Delivery, DestinationsGetTheRecordOfSuccessAndOfFailure) {
  World w;
  w.start();
  Attempt good;
  good.response = R"({"ok":true})";
  good.executed_version = "3";
  w.answers["function:work"] = {good};
  auto request = request_for(kFunction);
  request.policy.on_success_arn = kQueueArn;
  request.policy.on_failure_arn = kQueueArn;
  ASSERT_TRUE(w.submit(request));
  ASSERT_EQ(w.count("letters"), 1U);
  auto record = parse_json(w.last("letters")->event.payload);
  ASSERT_TRUE(record);
  EXPECT_EQ(get_string(*record, "version"), "1.0");
  EXPECT_EQ(to_json(record->at("requestContext")),
            R"({"requestId":"11111111-2222-4333-8444-555555555555",)"
            R"("functionArn":"arn:aws:lambda:us-east-1:000000000000:function:work:$LATEST",)"
            R"("condition":"Success","approximateInvokeCount":1})");
  EXPECT_EQ(to_json(record->at("requestPayload")), R"({"n":1})");
  EXPECT_EQ(to_json(record->at("responseContext")), R"({"statusCode":200,"executedVersion":"3"})");
  EXPECT_EQ(to_json(record->at("responsePayload")), R"({"ok":true})");
  Attempt bad = attempt_of(Attempt::Kind::kRetry, "Unhandled", "boom");
  bad.function_error = "Unhandled";
  bad.response = R"({"errorMessage":"boom"})";
  w.answers["function:work"] = {bad};
  request.policy.max_attempts = 1;
  ASSERT_TRUE(w.submit(request));
  record = parse_json(w.last("letters")->event.payload);
  ASSERT_TRUE(record);
  EXPECT_EQ(get_string(record->at("requestContext"), "condition"), "RetriesExhausted");
  EXPECT_EQ(get_string(record->at("responseContext"), "functionError"), "Unhandled");
  EXPECT_EQ(to_json(record->at("responsePayload")), R"({"errorMessage":"boom"})");
}

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

TEST(Delivery, WrittenWaitsAreKeptExactly) {
  World w;
  w.start();
  w.answers["function:work"] = {attempt_of(Attempt::Kind::kRetry, "E")};
  auto request = request_for(kFunction);
  request.policy.max_attempts = 5;
  request.policy.waits = {milliseconds(0), seconds(1), milliseconds(2'500), seconds(7)};
  ASSERT_TRUE(w.submit(request));
  w.pass(seconds(20), milliseconds(100));
  std::vector<SteadyTime::duration> at;
  for (const auto& one : w.seen) at.push_back(one.at - w.seen.front().at);
  const std::vector<SteadyTime::duration> due{seconds(0), seconds(0), seconds(1), milliseconds(3'500),
                                              milliseconds(10'500)};
  EXPECT_EQ(at, due);
}

TEST(Delivery, AnEventForAQueueIsWrittenWhereItIsTaken) {
  World w;
  bool there = true;
  w.targets.add_placement("sqs", [&there](const Arn& arn, const Event& event) -> std::optional<store::Queue::Fanout> {
    if (!there) return std::nullopt;
    store::Queue::Fanout out;
    out.queue = store::QueueName("sqs/" + arn.resource);
    out.message.id = event.id;
    out.message.body = event.payload;
    return out;
  });
  w.start();
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
