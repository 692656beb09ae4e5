// The service over fakes: a store in memory, a delivery that writes down what it is asked for, requests without
// sockets.
#include "services/events/events.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <map>
#include <thread>

#include "base/time_format.h"
#include "http/fake_exchange.h"
#include "services/events/cloud_events.h"
#include "services/events/input.h"
#include "store/fake_key_value.h"
#include "store/fake_stream.h"

namespace mayfly::events {
namespace {

using FakeStore = store::FakeKeyValue;
using http::FakeRequest;
using http::FakeResponse;
using store::FakeStream;

class EventsService : public ::testing::Test {
 protected:
  EventsService() {
    const auto sink = [](delivery::Arn, delivery::Event) -> Awaitable<delivery::Attempt> {
      co_return delivery::Attempt();
    };
    targets_.add("sqs", sink);
    targets_.add("lambda", sink);
    start();
  }
  ~EventsService() override { stop(); }

  void start() {
    const Submit submit = [this](std::vector<delivery::Request> requests) { return keep(std::move(requests)); };
    events_ = std::make_unique<Events>(store_, streams_, clock_, submit, targets_, EventsSettings());
    if (!targets_.supports("arn:aws:events:us-east-1:000000000000:event-bus/x"))
      targets_.add("events", [this](delivery::Arn target, delivery::Event event) {
        return events_->target_handler()(std::move(target), std::move(event));
      });
    run([&]() -> Awaitable<void> {
      auto loaded = co_await events_->load();
      EXPECT_TRUE(loaded.has_value());
    });
    events_->start(reactor_);
  }
  void stop() {
    run([&]() -> Awaitable<void> { return events_->stop(); });
    events_.reset();
  }
  Awaitable<Result<void>> keep(std::vector<delivery::Request> requests) {
    if (refuse_) co_return fail(ErrorCode::kIo, "the disk is full");
    ++submits_;
    for (auto& request : requests) sent_.push_back(std::move(request));
    co_return Result<void>();
  }
  void run(std::function<Awaitable<void>()> task) {
    ASSERT_TRUE(scope_.spawn(reactor_, "test", std::move(task)));
    while (scope_.running() > 0) {
      if (reactor_.poll() == 0) std::this_thread::yield();
    }
    ASSERT_EQ(scope_.failures(), 0U);
  }
  void pass(std::chrono::nanoseconds time) {
    clock_.advance(time);
    for (int i = 0; i < 20; ++i) reactor_.poll();
  }
  json::value call(const std::string& operation, const std::string& body, int status = 200) {
    aws::CallContext context;
    context.request_id = "00000000-0000-4000-8000-000000000001";
    context.principal.account = "000000000000";
    context.region = "us-east-1";
    context.host = "localhost:4566";
    FakeRequest request;
    request.head.method = "POST";
    request.head.target = "/";
    request.head.headers.set("X-Amz-Target", "AWSEvents." + operation);
    request.head.headers.set("Content-Type", "application/x-amz-json-1.1");
    FakeResponse response;
    run([&]() -> Awaitable<void> { return events_->service().serve(context, request, body, response); });
    EXPECT_EQ(response.got.head.status, status) << operation << "\n" << response.got.body;
    auto value = parse_json(response.got.body);
    return value ? *value : json::value();
  }
  std::string message(const std::string& operation, const std::string& body) {
    return std::string(get_string(call(operation, body, 400), "message"));
  }
  void rule_with_target(const std::string& name, const std::string& pattern, const std::string& more = "") {
    call("PutRule", fmt::format(R"({{"Name":"{}","EventPattern":{}}})", name, to_json(json::value(pattern))));
    call("PutTargets",
         fmt::format(R"({{"Rule":"{}","Targets":[{{"Id":"t","Arn":"arn:aws:sqs:us-east-1:000000000000:q"{}}}]}})", name,
                     more));
  }
  json::value put(const std::string& detail, const std::string& source = "shop") {
    return call("PutEvents", fmt::format(R"({{"Entries":[{{"Source":"{}","DetailType":"order","Detail":{}}}]}})",
                                         source, to_json(json::value(detail))));
  }

  VirtualClock clock_;
  Reactor reactor_{clock_, "test"};
  Scope scope_{"test"};
  FakeStore store_;
  FakeStream streams_{clock_};
  delivery::Targets targets_;
  std::vector<delivery::Request> sent_;
  int submits_ = 0;
  bool refuse_ = false;
  std::unique_ptr<Events> events_;
};

TEST_F(EventsService, AnEventReachesTheTargetsOfTheRulesThatMatch) {
  rule_with_target("paid", R"({"source":["shop"],"detail":{"state":["paid"]}})");
  rule_with_target("open", R"({"detail":{"state":["open"]}})");
  const auto answer = put(R"({ "state": "paid", "total": 12.50 })");
  EXPECT_EQ(get_int(answer, "FailedEntryCount", -1), 0);
  ASSERT_EQ(sent_.size(), 1U);
  EXPECT_EQ(sent_[0].target_arn, "arn:aws:sqs:us-east-1:000000000000:q");
  EXPECT_EQ(sent_[0].event.source_arn, "arn:aws:events:us-east-1:000000000000:rule/paid");
  EXPECT_EQ(sent_[0].policy.max_attempts, 186U);
  const auto event = *parse_json(sent_[0].event.payload);
  EXPECT_EQ(get_string(event, "detail-type"), "order");
  EXPECT_EQ(get_string(event, "time"), "2026-01-01T00:00:00Z");
  EXPECT_NE(sent_[0].event.payload.find(R"("detail":{"state":"paid","total":12.50}})"), std::string::npos)
      << "numbers stay as they were sent: " << sent_[0].event.payload;
}

TEST_F(EventsService, OneCallIsOneWriteAndFailsAsOne) {
  rule_with_target("all", R"({"source":["shop"]})");
  call(
      "PutEvents",
      R"({"Entries":[{"Source":"shop","DetailType":"a","Detail":"{}"},{"Source":"shop","DetailType":"b","Detail":"{}"}]})");
  EXPECT_EQ(submits_, 1);
  EXPECT_EQ(sent_.size(), 2U);
  refuse_ = true;
  call("PutEvents", R"({"Entries":[{"Source":"shop","DetailType":"a","Detail":"{}"}]})", 500);
}

TEST_F(EventsService, EntriesAreRefusedOneByOne) {
  const auto answer =
      call("PutEvents", R"({"Entries":[{"DetailType":"a","Detail":"{}"},{"Source":"s","DetailType":"a","Detail":"[]"},
      {"Source":"s","DetailType":"a","Detail":"{"},{"Source":"aws.s3","DetailType":"a","Detail":"{}"},{"Source":"s","DetailType":"a","Detail":"{}"}]})");
  EXPECT_EQ(get_int(answer, "FailedEntryCount", -1), 4);
  const auto& entries = find(answer, "Entries")->get_array();
  ASSERT_EQ(entries.size(), 5U);
  EXPECT_EQ(get_string(entries[0], "ErrorMessage"),
            "Parameter Source is not valid. Reason: Source is a required argument.");
  EXPECT_EQ(get_string(entries[1], "ErrorCode"), "MalformedDetail");
  EXPECT_EQ(get_string(entries[2], "ErrorCode"), "MalformedDetail");
  EXPECT_EQ(get_string(entries[3], "ErrorCode"), "NotAuthorizedForSource");
  EXPECT_FALSE(get_string(entries[4], "EventId").empty());
}

TEST_F(EventsService, ADisabledOrChangedRuleMatchesNoMore) {
  rule_with_target("r", R"({"detail":{"n":[1]}})");
  call("DisableRule", R"({"Name":"r"})");
  put(R"({"n":1})");
  EXPECT_TRUE(sent_.empty());
  call("EnableRule", R"({"Name":"r"})");
  put(R"({"n":1})");
  EXPECT_EQ(sent_.size(), 1U);
  call("PutRule", R"({"Name":"r","EventPattern":"{\"detail\":{\"n\":[2]}}"})");
  put(R"({"n":1})");
  EXPECT_EQ(sent_.size(), 1U);
  put(R"({"n":2})");
  EXPECT_EQ(sent_.size(), 2U) << "its targets stay";
  EXPECT_EQ(message("DeleteRule", R"({"Name":"r"})"), "Rule can't be deleted since it has targets.");
  call("RemoveTargets", R"({"Rule":"r","Ids":["t"]})");
  call("DeleteRule", R"({"Name":"r"})");
  EXPECT_EQ(message("DescribeRule", R"({"Name":"r"})"), "Rule r does not exist on EventBus default.");
}

TEST_F(EventsService, RecordsSurviveARestart) {
  call("CreateEventBus", R"({"Name":"b","Tags":[{"Key":"k","Value":"v"}]})");
  call("PutRule", R"({"Name":"r","EventBusName":"b","EventPattern":"{\"source\":[\"shop\"]}"})");
  call(
      "PutTargets",
      R"({"Rule":"r","EventBusName":"b","Targets":[{"Id":"t","Arn":"arn:aws:sqs:us-east-1:000000000000:q.fifo","SqsParameters":{"MessageGroupId":"g"}}]})");
  stop();
  start();
  call(
      "PutEvents",
      R"({"Entries":[{"EventBusName":"arn:aws:events:us-east-1:000000000000:event-bus/b","Source":"shop","DetailType":"a","Detail":"{}"}]})");
  ASSERT_EQ(sent_.size(), 1U);
  EXPECT_EQ(sent_[0].event.group_id, "g");
  EXPECT_FALSE(sent_[0].event.dedupe_id.empty());
  const auto tags =
      call("ListTagsForResource", R"({"ResourceARN":"arn:aws:events:us-east-1:000000000000:event-bus/b"})");
  EXPECT_EQ(get_string(find(tags, "Tags")->get_array()[0], "Value"), "v");
}

TEST_F(EventsService, SettingsThatAreNotCarriedOutAreRefusedByName) {
  call("PutRule", R"({"Name":"r","EventPattern":"{\"source\":[\"shop\"]}"})");
  const auto target = [&](const std::string& more) {
    return message("PutTargets",
                   R"({"Rule":"r","Targets":[{"Id":"t","Arn":"arn:aws:sqs:us-east-1:000000000000:q",)" + more + "}]}");
  };
  EXPECT_TRUE(
      target(R"("KinesisParameters":{"PartitionKeyPath":"$"})").starts_with("KinesisParameters is not supported"));
  EXPECT_TRUE(target(R"("HttpParameters":{})").starts_with("HttpParameters is not supported"));
  EXPECT_TRUE(target(R"("Input":"{")").starts_with("JSON syntax error in input for target t"));
  EXPECT_TRUE(
      target(R"("Input":"{}","InputPath":"$.a")").starts_with("Only one of Input, InputPath, or InputTransformer"));
  EXPECT_TRUE(message("PutTargets",
                      R"({"Rule":"r","Targets":[{"Id":"t","Arn":"arn:aws:kinesis:us-east-1:000000000000:stream/s"}]})")
                  .find("service kinesis") != std::string::npos);
  EXPECT_EQ(
      message("PutTargets", R"({"Rule":"r","Targets":[{"Id":"t","Arn":"arn:aws:sqs:us-east-1:000000000000:q.fifo"}]})"),
      "Parameter(s) MessageGroupId must be specified for target: t.");
  EXPECT_TRUE(message("CreateEventBus", R"({"Name":"b","KmsKeyIdentifier":"k"})")
                  .starts_with("KmsKeyIdentifier is not supported"));
  EXPECT_EQ(message("PutRule", R"({"Name":"r"})"),
            "Parameter(s) EventPattern or ScheduleExpression must be specified.");
  EXPECT_TRUE(
      message("PutRule", R"({"Name":"r","EventPattern":"{\"a\":1}"})")
          .starts_with("Event pattern is not valid. Reason: \"a\" must be an object or an array\n at [Source:"));
}

TEST_F(EventsService, ScheduledRulesFireOnTimeAndOnceAfterARestart) {
  call("PutRule", R"j({"Name":"tick","ScheduleExpression":"rate(5 minutes)"})j");
  call(
      "PutTargets",
      R"({"Rule":"tick","Targets":[{"Id":"t","Arn":"arn:aws:lambda:us-east-1:000000000000:function:f","Input":"{\"a\":1}"}]})");
  pass(std::chrono::minutes(4));
  EXPECT_TRUE(sent_.empty());
  pass(std::chrono::minutes(1));
  ASSERT_EQ(sent_.size(), 1U);
  EXPECT_EQ(sent_[0].event.payload, R"({"a":1})");
  EXPECT_FALSE(sent_[0].dedupe_key.empty());
  pass(std::chrono::minutes(5));
  EXPECT_EQ(sent_.size(), 2U);
  stop();
  clock_.advance(std::chrono::minutes(33));  // six times pass while nobody is there
  start();
  pass(std::chrono::seconds(1));
  ASSERT_EQ(sent_.size(), 3U) << "the last one that was missed is made up for";
  pass(std::chrono::minutes(2));
  EXPECT_EQ(sent_.size(), 4U) << "and the next one comes when it is due";
}

TEST_F(EventsService, AScheduledEventNamesItsRuleAndItsTime) {
  call("PutRule", R"j({"Name":"noon","ScheduleExpression":"cron(0 12 * * ? *)"})j");
  call("PutTargets", R"({"Rule":"noon","Targets":[{"Id":"t","Arn":"arn:aws:sqs:us-east-1:000000000000:q"}]})");
  EXPECT_EQ(message("PutRule", R"j({"Name":"x","EventBusName":"default","ScheduleExpression":"cron(0 12 * * * *)"})j"),
            "Parameter ScheduleExpression is not valid.");
  pass(std::chrono::hours(12));
  ASSERT_EQ(sent_.size(), 1U);
  const auto event = *parse_json(sent_[0].event.payload);
  EXPECT_EQ(get_string(event, "source"), "aws.events");
  EXPECT_EQ(get_string(event, "time"), "2026-01-01T12:00:00Z");
  EXPECT_EQ(find(event, "resources")->get_array()[0], "arn:aws:events:us-east-1:000000000000:rule/noon");
}

TEST_F(EventsService, AnArchiveIsReplayedToTheRulesAskedFor) {
  const std::string bus = "arn:aws:events:us-east-1:000000000000:event-bus/default";
  rule_with_target("one", R"({"source":["shop"]})");
  rule_with_target("two", R"({"source":["shop"]})");
  call("CreateArchive",
       R"({"ArchiveName":"a","EventSourceArn":")" + bus + R"(","EventPattern":"{\"detail\":{\"keep\":[true]}}"})");
  put(R"({"keep":true})");
  put(R"({"keep":false})");
  EXPECT_EQ(get_int(call("DescribeArchive", R"({"ArchiveName":"a"})"), "EventCount"), 1);
  sent_.clear();
  const double now = epoch_seconds(clock_.now());
  call(
      "StartReplay",
      fmt::format(
          R"({{"ReplayName":"p","EventSourceArn":"arn:aws:events:us-east-1:000000000000:archive/a","EventStartTime":{},"EventEndTime":{},"Destination":{{"Arn":"{}","FilterArns":["arn:aws:events:us-east-1:000000000000:rule/two"]}}}})",
          now - 60, now + 60, bus));
  EXPECT_EQ(get_string(call("DescribeReplay", R"({"ReplayName":"p"})"), "State"), "STARTING");
  pass(std::chrono::seconds(2));
  ASSERT_EQ(sent_.size(), 1U);
  EXPECT_EQ(sent_[0].event.source_arn, "arn:aws:events:us-east-1:000000000000:rule/two");
  EXPECT_NE(sent_[0].event.payload.find(R"("replay-name":"p")"), std::string::npos);
  EXPECT_EQ(get_string(call("DescribeReplay", R"({"ReplayName":"p"})"), "State"), "COMPLETED");
  EXPECT_EQ(get_int(call("DescribeArchive", R"({"ArchiveName":"a"})"), "EventCount"), 1) << "replays are not archived";
}

TEST_F(EventsService, AReplayGoesByTheTimesOfEventsAndAnArchiveForgetsWhatIsTooOld) {
  const std::string bus = "arn:aws:events:us-east-1:000000000000:event-bus/default";
  call("CreateArchive", R"({"ArchiveName":"a","EventSourceArn":")" + bus + R"(","RetentionDays":1})");
  const auto begin = epoch_seconds(clock_.now());
  const auto put_at = [&](double time, const std::string& detail) {
    call("PutEvents", fmt::format(R"({{"Entries":[{{"Source":"shop","DetailType":"t","Detail":{},"Time":{}}}]}})",
                                  to_json(json::value(detail)), time));
  };
  put_at(begin - 3'600, R"({"n":1})");  // happened before it came
  put_at(begin, R"({"n":2})");
  pass(std::chrono::hours(1));
  put_at(begin + 3'600, R"({"n":3})");
  put_at(begin, R"({"n":4})");  // came late
  rule_with_target("one", R"({"source":["shop"]})");
  const auto replay = [&](const std::string& name, double from, double until) {
    sent_.clear();
    call(
        "StartReplay",
        fmt::format(
            R"({{"ReplayName":"{}","EventSourceArn":"arn:aws:events:us-east-1:000000000000:archive/a","EventStartTime":{},"EventEndTime":{},"Destination":{{"Arn":"{}"}}}})",
            name, from, until, bus));
    pass(std::chrono::seconds(2));
    std::string got;
    for (const auto& request : sent_)
      got += std::to_string(get_int(parse_json(request.event.payload)->at("detail"), "n"));
    return got;
  };
  EXPECT_EQ(replay("p", begin, begin + 60), "24");
  EXPECT_EQ(replay("q", begin - 7'200, begin + 7'200), "1234");
  EXPECT_EQ(get_int(call("DescribeArchive", R"({"ArchiveName":"a"})"), "EventCount"), 4);
  pass(std::chrono::hours(23) + std::chrono::minutes(5));
  EXPECT_EQ(get_int(call("DescribeArchive", R"({"ArchiveName":"a"})"), "EventCount"), 2);
  call("DeleteArchive", R"({"ArchiveName":"a"})");
  pass(std::chrono::minutes(5));
  EXPECT_TRUE(streams_.streams.empty());
}

TEST_F(EventsService, WhatAnEarlierVersionArchivedIsTakenOver) {
  const std::string bus = "arn:aws:events:us-east-1:000000000000:event-bus/default";
  call("CreateArchive", R"({"ArchiveName":"a","EventSourceArn":")" + bus + R"("})");
  put(R"({"n":1})");
  ASSERT_EQ(streams_.streams.size(), 1U);
  const auto [name, held] = *streams_.streams.begin();
  const auto generation = name.substr(name.rfind('/') + 1);
  const auto& data = held.second.front().data;
  const auto key = "events/archived/" + generation + "/" + data.substr(0, 16) + "-1-abcd";
  stop();
  streams_.streams.clear();
  store_.entries[key] = {.key = key, .value = data.substr(16), .revision = ++store_.last};
  start();
  EXPECT_EQ(get_int(call("DescribeArchive", R"({"ArchiveName":"a"})"), "EventCount"), 1);
  EXPECT_FALSE(store_.entries.contains(key));
  EXPECT_EQ(streams_.streams.begin()->second.second.front().data, data);
}

TEST_F(EventsService, ACancelledReplayReplaysNothing) {
  const std::string bus = "arn:aws:events:us-east-1:000000000000:event-bus/default";
  rule_with_target("one", R"({"source":["shop"]})");
  call("CreateArchive", R"({"ArchiveName":"a","EventSourceArn":")" + bus + R"(","RetentionDays":1})");
  put("{}");
  sent_.clear();
  call(
      "StartReplay",
      R"({"ReplayName":"p","EventSourceArn":"arn:aws:events:us-east-1:000000000000:archive/a","EventStartTime":0,"EventEndTime":9999999999,"Destination":{"Arn":")" +
          bus + R"("}})");
  EXPECT_EQ(get_string(call("CancelReplay", R"({"ReplayName":"p"})"), "State"), "CANCELLING");
  pass(std::chrono::seconds(2));
  EXPECT_TRUE(sent_.empty());
  EXPECT_EQ(get_string(call("DescribeReplay", R"({"ReplayName":"p"})"), "State"), "CANCELLED");
  pass(std::chrono::hours(25));
  pass(std::chrono::minutes(2));
  EXPECT_EQ(get_int(call("DescribeArchive", R"({"ArchiveName":"a"})"), "EventCount"), 0) << "its retention is over";
}

TEST_F(EventsService, BusesSendToBusesButNotInCircles) {
  call("CreateEventBus", R"({"Name":"b"})");
  call("PutRule", R"({"Name":"on","EventPattern":"{\"source\":[\"shop\"]}"})");
  call("PutTargets",
       R"({"Rule":"on","Targets":[{"Id":"t","Arn":"arn:aws:events:us-east-1:000000000000:event-bus/b"}]})");
  call("PutRule", R"({"Name":"back","EventBusName":"b","EventPattern":"{\"source\":[\"shop\"]}"})");
  call(
      "PutTargets",
      R"({"Rule":"back","EventBusName":"b","Targets":[{"Id":"t","Arn":"arn:aws:events:us-east-1:000000000000:event-bus/default"}]})");
  put("{}");
  int deliveries = 0;
  while (!sent_.empty() && deliveries < 100) {
    const auto request = sent_.back();
    sent_.pop_back();
    delivery::Attempt attempt;
    run([&]() -> Awaitable<void> { attempt = co_await targets_.deliver(request.target_arn, request.event); });
    ++deliveries;
    if (attempt.kind == delivery::Attempt::Kind::kRefused) EXPECT_EQ(attempt.error_code, "TooManyHops");
  }
  EXPECT_GT(deliveries, 2);
  EXPECT_LT(deliveries, 20);
}

TEST_F(EventsService, FollowersSeeWhatIsPutOnTheirBus) {
  rule_with_target("all", R"({"source":["shop"]})");
  std::vector<FollowedEvent> seen;
  auto token = events_->follow("default", [&](const FollowedEvent& event) { seen.push_back(event); });
  ASSERT_TRUE(token.has_value());
  put("{}");
  ASSERT_EQ(seen.size(), 1U);
  EXPECT_EQ(seen[0].rules, std::vector<std::string>{"all"});
  token->reset();
  put("{}");
  EXPECT_EQ(seen.size(), 1U);
  EXPECT_FALSE(events_->follow("nowhere", [](const FollowedEvent&) {}).has_value());
}

TEST_F(EventsService, PoliciesHoldTheirStatements) {
  call("PutPermission", R"({"StatementId":"s","Principal":"111111111111","Action":"events:PutEvents"})");
  const auto policy = std::string(get_string(call("DescribeEventBus", "{}"), "Policy"));
  EXPECT_NE(policy.find("arn:aws:iam::111111111111:root"), std::string::npos);
  EXPECT_EQ(message("RemovePermission", R"({"StatementId":"x"})"), "Statement with the provided id does not exist.");
  call("RemovePermission", R"({"StatementId":"s"})");
  EXPECT_EQ(find(call("DescribeEventBus", "{}"), "Policy"), nullptr);
}

TEST_F(EventsService, ListsComeInPages) {
  for (int i = 0; i < 5; ++i) call("CreateEventBus", fmt::format(R"({{"Name":"p{}"}})", i));
  const auto first = call("ListEventBuses", R"({"NamePrefix":"p","Limit":3})");
  EXPECT_EQ(find(first, "EventBuses")->get_array().size(), 3U);
  const auto rest = call("ListEventBuses", fmt::format(R"({{"NamePrefix":"p","Limit":3,"NextToken":"{}"}})",
                                                       std::string(get_string(first, "NextToken"))));
  EXPECT_EQ(find(rest, "EventBuses")->get_array().size(), 2U);
  EXPECT_EQ(find(rest, "NextToken"), nullptr);
}

TEST_F(EventsService, ConnectionsNeverShowTheirSecrets) {
  const auto made = call("CreateConnection", R"({"Name":"c","AuthorizationType":"API_KEY","AuthParameters":{
      "ApiKeyAuthParameters":{"ApiKeyName":"X-Key","ApiKeyValue":"hush-1"},
      "InvocationHttpParameters":{"HeaderParameters":[{"Key":"a","Value":"hush-2","IsValueSecret":true},{"Key":"b","Value":"shown"}]}}})");
  EXPECT_EQ(get_string(made, "ConnectionState"), "AUTHORIZED");
  const auto arn = std::string(get_string(made, "ConnectionArn"));
  call("CreateApiDestination",
       R"({"Name":"d","HttpMethod":"POST","InvocationEndpoint":"http://127.0.0.1:1/x","ConnectionArn":")" + arn +
           R"("})");
  std::string shown = to_json(call("DescribeConnection", R"({"Name":"c"})")) + to_json(call("ListConnections", "{}")) +
                      to_json(call("DescribeApiDestination", R"({"Name":"d"})")) +
                      to_json(call("UpdateConnection", R"({"Name":"c","Description":"x"})"));
  EXPECT_NE(shown.find("X-Key"), std::string::npos);
  EXPECT_NE(shown.find("shown"), std::string::npos);
  EXPECT_EQ(shown.find("hush"), std::string::npos) << shown;
  EXPECT_TRUE(message("DeleteConnection", R"({"Name":"c"})").find("used by API destination d") != std::string::npos);
  EXPECT_TRUE(
      message(
          "CreateConnection",
          R"({"Name":"e","AuthorizationType":"BASIC","AuthParameters":{"ApiKeyAuthParameters":{"ApiKeyName":"k","ApiKeyValue":"v"}}})")
          .starts_with("AuthParameters must hold"));
  EXPECT_EQ(get_string(call("DeauthorizeConnection", R"({"Name":"c"})"), "ConnectionState"), "DEAUTHORIZED");
  EXPECT_EQ(get_string(call("DescribeApiDestination", R"({"Name":"d"})"), "ApiDestinationState"), "INACTIVE");
}

TEST_F(EventsService, CloudEventsAreTakenInEveryMode) {
  rule_with_target("all", R"({"cloudevents":{"specversion":["1.0"]}})");
  const auto put_cloud = [&](const std::vector<std::pair<std::string, std::string>>& headers, const std::string& body) {
    Result<std::size_t> put;
    http::Headers all;
    for (const auto& [name, value] : headers) all.add(name, value);
    run([&]() -> Awaitable<void> { put = co_await events_->put_cloud_events("default", all, body); });
    return put;
  };
  EXPECT_EQ(put_cloud({{"Content-Type", "application/json"},
                       {"ce-specversion", "1.0"},
                       {"ce-id", "a"},
                       {"ce-source", "/shop"},
                       {"ce-type", "order%20placed"},
                       {"ce-subject", "o/1"},
                       {"ce-time", "2026-02-03T04:05:06Z"},
                       {"ce-tenant", "t"}},
                      R"({"n": 1.50})")
                .value_or(0),
            1U);
  const std::string one = R"({"specversion":"1.0","id":"b","source":"/shop","type":"t","data":[1]})";
  EXPECT_EQ(put_cloud({{"Content-Type", "application/cloudevents+json; charset=utf-8"}}, one).value_or(0), 1U);
  EXPECT_EQ(
      put_cloud({{"Content-Type", "application/cloudevents-batch+json"}}, "[" + one + "," + one + "]").value_or(0), 2U);
  ASSERT_EQ(sent_.size(), 4U);
  const auto first = *parse_json(sent_[0].event.payload);
  EXPECT_EQ(get_string(first, "id"), "a");
  EXPECT_EQ(get_string(first, "detail-type"), "order placed");
  EXPECT_EQ(get_string(first, "time"), "2026-02-03T04:05:06Z");
  EXPECT_EQ(get_string(*find(first, "cloudevents"), "tenant"), "t");
  EXPECT_NE(sent_[0].event.payload.find(R"("detail":{"n":1.50}})"), std::string::npos);
  EXPECT_NE(sent_[1].event.payload.find(R"("detail":{"data":[1]}})"), std::string::npos);
  EXPECT_EQ(
      put_cloud({{"Content-Type", "application/cloudevents+json"}}, R"({"specversion":"1.0","id":"b","type":"t"})")
          .error()
          .message,
      "the attribute source is missing");
  EXPECT_EQ(put_cloud({{"Content-Type", "application/cloudevents+json"}},
                      R"({"specversion":"0.3","id":"b","type":"t","source":"s"})")
                .error()
                .code,
            ErrorCode::kInvalid);
  // And out again.
  http::Headers headers;
  headers.add("Content-Type", "application/cloudevents+json");
  std::string body = sent_[0].event.payload;
  as_cloud_event(headers, body, sent_[0].event);
  const auto out = *parse_json(body);
  EXPECT_EQ(get_string(out, "type"), "order placed");
  EXPECT_EQ(get_string(out, "tenant"), "t");
  EXPECT_EQ(to_json(*find(out, "data")), R"({"n":1.5})");
  headers = http::Headers();
  headers.add("ce-specversion", "1.0");
  body = sent_[0].event.payload;
  as_cloud_event(headers, body, sent_[0].event);
  EXPECT_EQ(headers.get("ce-type"), "order%20placed");
  EXPECT_EQ(body, R"({"n":1.5})");
}

std::string transformed(const std::string& paths, const std::string& text) {
  wire::Target target;
  target.InputTransformer.emplace();
  from_document(json::object{{"InputPathsMap", *parse_json(paths)}, {"InputTemplate", text}}, *target.InputTransformer);
  EXPECT_TRUE(check_input(target).has_value()) << text;
  EventParts parts{.id = "i",
                   .detail_type = "t",
                   .source = "s",
                   .place = {.account = "1", .region = "r"},
                   .time = {},
                   .resources = {},
                   .detail = R"({"name":"a \"b\"","n":1.5,"o":{"x":"y"},"l":["p","q"]})",
                   .replay_name = {}};
  const InputContext context{.rule_arn = "arn:rule", .rule_name = "rule", .ingested = SystemTime()};
  return target_input(target, *make_event(parts), context);
}

TEST(InputTest, TemplatesAreFilled) {
  const std::string paths =
      R"({"name":"$.detail.name","n":"$.detail.n","o":"$.detail.o","l":"$.detail.l[*]","first":"$.detail.l[0]","no":"$.detail.no"})";
  EXPECT_EQ(transformed(paths, R"("<n> is <first>")"), R"("1.5 is p")");
  EXPECT_EQ(transformed(paths, R"("<name>")"), R"("a \"b\"")");
  EXPECT_EQ(transformed(paths, R"({"a": <n>, "b": <name>, "c": "<first>!", "d": <o>})"),
            R"({"a":1.5,"b":"a \"b\"","c":"p!","d":{"x":"y"}})");
  EXPECT_EQ(transformed(paths, R"("<o> <l>")"), R"("{x:y} [p,q]")");
  EXPECT_EQ(transformed(paths, R"({"a": <no>, "b": "<no>"})"), R"({"a":null,"b":""})");
  EXPECT_EQ(transformed("{}", R"("<aws.events.rule-name> <aws.events.rule-arn> <aws.events.event.ingestion-time>")"),
            R"("rule arn:rule 1970-01-01T00:00:00Z")");
  EXPECT_TRUE(transformed("{}", R"({"e": <aws.events.event>})").find(R"("detailType":"t")") != std::string::npos);
  EXPECT_TRUE(transformed("{}", R"({"e": <aws.events.event.json>})").find(R"("detail":{)") != std::string::npos);
}

TEST(InputTest, PathsLeadIntoTheEvent) {
  const auto event = *parse_json(R"({"a":{"b":[{"c":1},{"c":2}]},"detail-type":"t"})");
  const auto found = [&](std::string_view path) {
    const auto value = JsonPath::parse(path)->find(event);
    return value ? to_json(*value) : "nothing";
  };
  EXPECT_EQ(found("$.a.b[1].c"), "2");
  EXPECT_EQ(found("$.a.b[*].c"), "[1,2]");
  EXPECT_EQ(found("$['detail-type']"), "\"t\"");
  EXPECT_EQ(found("$.detail-type"), "\"t\"");
  EXPECT_EQ(found("$.a.x"), "nothing");
  EXPECT_FALSE(JsonPath::parse("a.b"));
  EXPECT_FALSE(JsonPath::parse("$..a"));
  EXPECT_FALSE(JsonPath::parse("$[x]"));
}

}  // namespace
}  // namespace mayfly::events
