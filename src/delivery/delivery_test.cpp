// What becomes of one event, each promise of docs/delivery.md: accepted, delayed, retried, given up, told of.
#include "delivery/delivery.h"

#include <gtest/gtest.h>

#include <set>

#include "delivery/test_world.h"

namespace mayfly::delivery {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::attempt_of;
using testing::kFunction;
using testing::kQueueArn;
using testing::request_for;
using testing::World;

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

}  // namespace
}  // namespace mayfly::delivery
