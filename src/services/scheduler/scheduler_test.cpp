// The service over a store and a delivery in memory: operations, refusals, and when what is handed over.
#include "services/scheduler/scheduler.h"

#include <fmt/core.h>

#include <random>

#include "services/scheduler/due_times.h"
#include "services/scheduler/target.h"
#include "services/scheduler/test_world.h"

namespace mayfly::scheduler::testing {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

class SchedulerService : public ::testing::Test {
 protected:
  SchedulerService() { start(); }
  ~SchedulerService() override { stop(); }

  void start(SchedulerSettings settings = {}) {
    const auto submit = [this](std::vector<delivery::Request> requests) { return take(std::move(requests)); };
    scheduler_ = std::make_unique<Scheduler>(store_, submit, supports_test_targets, clock_, std::move(settings));
    run([&]() -> Awaitable<void> {
      const auto loaded = co_await scheduler_->load();
      EXPECT_TRUE(loaded);
    });
    scheduler_->start(reactor_);
    reactor_.poll();
  }
  void stop() {
    run([&]() -> Awaitable<void> { co_await scheduler_->stop(); });
    scheduler_.reset();
  }
  Awaitable<Result<void>> take(std::vector<delivery::Request> requests) {
    if (refuse_) co_return fail(ErrorCode::kIo, "disk full");
    for (auto& request : requests) {
      if (request.event.payload == "poison") co_return fail(ErrorCode::kTooLarge, "too large");
      times_.push_back(iso8601_millis(clock_.now()).substr(0, 19));
      taken_.push_back(std::move(request));
    }
    co_return Result<void>();
  }
  void run(std::function<Awaitable<void>()> task) {
    ASSERT_TRUE(scope_.spawn(reactor_, "test", std::move(task)));
    for (int i = 0; i < 1000 && scope_.running() > 0; ++i) reactor_.poll();
    ASSERT_EQ(scope_.running(), 0U);
  }
  json::value call(const std::string& method, const std::string& target, const std::string& body, int status) {
    int got = 0;
    json::value answer;
    run([&]() -> Awaitable<void> { return call_service(scheduler_.get(), method, target, body, &got, &answer); });
    EXPECT_EQ(got, status) << method << " " << target << "\n" << to_json(answer);
    reactor_.poll();
    return answer;
  }
  // Members given twice count as they are given last.
  static std::string body(const std::string& expression, const std::string& more, const std::string& in_target) {
    return R"({"FlexibleTimeWindow":{"Mode":"OFF"},)" + more + R"("ScheduleExpression":")" + expression + "\"," +
           kQueueTarget + in_target + "}}";
  }
  json::value create(const std::string& name, const std::string& expression, const std::string& more = "",
                     int status = 200, const std::string& in_target = "") {
    return call("POST", "/schedules/" + name, body(expression, more, in_target), status);
  }
  std::string refusal(const std::string& expression, const std::string& more, const std::string& in_target) {
    return std::string(get_string(create("bad", expression, more, 400, in_target), "Message"));
  }
  std::string refused_target(const std::string& target) {
    const auto text = R"j({"FlexibleTimeWindow":{"Mode":"OFF"},"ScheduleExpression":"rate(1 day)",)j"
                      R"j("Target":{"RoleArn":"arn:aws:iam::000000000000:role/r",)j" +
                      target + "}}";
    return std::string(get_string(call("POST", "/schedules/bad", text, 400), "Message"));
  }
  // In steps, so that each time is seen as it comes.
  void advance(std::chrono::seconds by, std::chrono::seconds step = minutes(1)) {
    while (by > seconds(0)) {
      const auto part = std::min(by, step);
      clock_.advance(part);
      for (int i = 0; i < 50 && reactor_.poll() > 0; ++i) continue;
      by -= part;
    }
  }

  VirtualClock clock_;  // from 2026-01-01T00:00:00Z, a Thursday
  Reactor reactor_{clock_, "test"};
  Scope scope_{"test"};
  MemoryStore store_;
  bool refuse_ = false;
  std::vector<delivery::Request> taken_;
  std::vector<std::string> times_;
  std::unique_ptr<Scheduler> scheduler_;
};

TEST_F(SchedulerService, GetShowsWhatWasCreatedWithItsDefaults) {
  const auto created = create("nightly", "cron(0 2 * * ? *)", R"("ScheduleExpressionTimezone":"Europe/Berlin",)");
  EXPECT_EQ(get_string(created, "ScheduleArn"), "arn:aws:scheduler:us-east-1:000000000000:schedule/default/nightly");
  const auto got = call("GET", "/schedules/nightly", "", 200);
  EXPECT_EQ(get_string(got, "State"), "ENABLED");
  EXPECT_EQ(get_string(got, "GroupName"), "default");
  EXPECT_EQ(get_string(got, "ActionAfterCompletion"), "NONE");
  EXPECT_EQ(get_string(got, "ScheduleExpressionTimezone"), "Europe/Berlin");
  const auto& retry = *find(*find(got, "Target"), "RetryPolicy");
  EXPECT_EQ(get_int(retry, "MaximumRetryAttempts"), 185);
  EXPECT_EQ(get_int(retry, "MaximumEventAgeInSeconds"), 86'400);
  EXPECT_EQ(get_string(call("GET", "/schedules/other", "", 404), "Message"), "Schedule other does not exist.");
}

TEST_F(SchedulerService, ACronScheduleFiresAtItsTimesInItsZone) {
  create("nightly", "cron(0 2 * * ? *)", R"("ScheduleExpressionTimezone":"Europe/Berlin",)");
  advance(hours(50), minutes(10));
  EXPECT_EQ(times_, (std::vector<std::string>{"2026-01-01T01:00:00", "2026-01-02T01:00:00", "2026-01-03T01:00:00"}));
  EXPECT_EQ(taken_[0].target_arn, "arn:aws:sqs:us-east-1:000000000000:jobs");
  EXPECT_EQ(taken_[0].event.source_arn, "arn:aws:scheduler:us-east-1:000000000000:schedule/default/nightly");
  EXPECT_EQ(taken_[0].policy.max_attempts, 186U);
  EXPECT_EQ(taken_[0].policy.max_age, hours(24));
  EXPECT_NE(taken_[0].dedupe_key, taken_[1].dedupe_key);
  EXPECT_NE(taken_[0].event.id, taken_[1].event.id);
  const auto payload = parse_json(taken_[0].event.payload);
  ASSERT_TRUE(payload);
  EXPECT_EQ(get_string(*payload, "detail-type"), "Scheduled Event");
  EXPECT_EQ(get_string(*payload, "time"), "2026-01-01T01:00:00Z");
}

TEST_F(SchedulerService, ARateBeginsAtOnceOrAtItsStartDateAndEndsAtItsEndDate) {
  create("now", "rate(2 hours)");
  // 2026-01-01T03:00:00Z to 05:00:00Z
  create("later", "rate(1 hour)", R"("StartDate":1767236400,"EndDate":1767243600,)");
  advance(hours(6));
  std::map<std::string, std::vector<std::string>> by_schedule;
  for (std::size_t i = 0; i < taken_.size(); ++i) {
    by_schedule[taken_[i].event.source_arn].push_back(times_[i].substr(11));
  }
  EXPECT_EQ(by_schedule["arn:aws:scheduler:us-east-1:000000000000:schedule/default/now"],
            (std::vector<std::string>{"00:00:00", "02:00:00", "04:00:00", "06:00:00"}));
  EXPECT_EQ(by_schedule["arn:aws:scheduler:us-east-1:000000000000:schedule/default/later"],
            (std::vector<std::string>{"03:00:00", "04:00:00"}));
}

TEST_F(SchedulerService, AOneTimeScheduleRunsOnceAndGoesWhereItIsToldTo) {
  create("stays", "at(2026-01-01T00:10:00)");
  create("goes", "at(2026-01-01T00:10:00)", R"("ActionAfterCompletion":"DELETE",)");
  advance(hours(2));
  EXPECT_EQ(taken_.size(), 2U);
  call("GET", "/schedules/stays", "", 200);
  call("GET", "/schedules/goes", "", 404);
  EXPECT_EQ(scheduler_->counts().waiting, 0U);
}

TEST_F(SchedulerService, AOneTimeScheduleThatIsEnabledTooLateRunsAtOnceAndNeverTwice) {
  create("late", "at(2026-01-01T00:10:00)", R"("State":"DISABLED",)");
  advance(hours(1));
  EXPECT_TRUE(taken_.empty());
  const auto enable = body("at(2026-01-01T00:10:00)", "", "");
  call("PUT", "/schedules/late", enable, 200);
  ASSERT_EQ(taken_.size(), 1U);
  call("PUT", "/schedules/late", enable, 200);
  advance(hours(1));
  EXPECT_EQ(taken_.size(), 1U);
}

TEST_F(SchedulerService, ADisabledScheduleDoesNotFireAndADeletedOneNeither) {
  create("off", "rate(1 minute)", R"("State":"DISABLED",)");
  create("gone", "rate(1 minute)");
  call("DELETE", "/schedules/gone", "", 200);
  taken_.clear();
  advance(minutes(10));
  EXPECT_TRUE(taken_.empty());
  EXPECT_EQ(get_string(call("DELETE", "/schedules/gone", "", 404), "Message"), "Schedule gone does not exist.");
}

TEST_F(SchedulerService, AFlexibleWindowSpreadsOccurrencesWithinItself) {
  for (int i = 0; i < 40; ++i) {
    create(fmt::format("s{}", i), "at(2026-01-01T01:00:00)",
           R"("FlexibleTimeWindow":{"Mode":"FLEXIBLE","MaximumWindowInMinutes":30},)");
  }
  advance(minutes(59));
  EXPECT_TRUE(taken_.empty());
  advance(minutes(16));
  EXPECT_GT(taken_.size(), 8U);
  EXPECT_LT(taken_.size(), 32U);
  advance(minutes(16));
  EXPECT_EQ(taken_.size(), 40U);
}

TEST_F(SchedulerService, TheInputIsFilledInAndSettingsOfTheTargetGoWithIt) {
  create("fifo", "at(2026-01-01T00:10:00)", "", 200, R"(,
    "Arn":"arn:aws:sqs:us-east-1:000000000000:jobs.fifo",
    "Input":"<aws.scheduler.scheduled-time> <aws.scheduler.schedule-arn> <aws.scheduler.attempt-number> <aws.scheduler.x>",
    "SqsParameters":{"MessageGroupId":"g"},"DeadLetterConfig":{"Arn":"arn:aws:sqs:us-east-1:000000000000:dead"},
    "RetryPolicy":{"MaximumRetryAttempts":0,"MaximumEventAgeInSeconds":60})");
  advance(minutes(15));
  ASSERT_EQ(taken_.size(), 1U);
  EXPECT_EQ(taken_[0].event.payload,
            "2026-01-01T00:10:00Z arn:aws:scheduler:us-east-1:000000000000:schedule/default/fifo "
            "<aws.scheduler.attempt-number> <aws.scheduler.x>");
  EXPECT_EQ(taken_[0].via, kAttemptHandler);
  EXPECT_EQ(taken_[0].event.group_id, "g");
  EXPECT_EQ(taken_[0].event.dedupe_id, taken_[0].event.id);
  EXPECT_EQ(taken_[0].policy.max_attempts, 1U);
  EXPECT_EQ(taken_[0].policy.dead_letter_arn, "arn:aws:sqs:us-east-1:000000000000:dead");
}

TEST_F(SchedulerService, UniversalTargetsBecomeDeliveries) {
  const auto put = [&](const std::string& name, const std::string& operation, const std::string& input) {
    json::object target{{"Arn", "arn:aws:scheduler:::aws-sdk:" + operation},
                        {"RoleArn", "arn:aws:iam::000000000000:role/r"},
                        {"Input", input}};
    json::object body{{"FlexibleTimeWindow", json::object{{"Mode", "OFF"}}},
                      {"ScheduleExpression", "at(2026-01-01T00:10:00)"},
                      {"Target", std::move(target)}};
    call("POST", "/schedules/" + name, to_json(body), 200);
  };
  put("a", "sqs:sendMessage",
      R"({"QueueUrl":"http://localhost:4566/000000000000/jobs","MessageBody":"at <aws.scheduler.scheduled-time>"})");
  put("b", "lambda:invoke", R"({"FunctionName":"f","InvocationType":"Event","Payload":"{\"a\":1}"})");
  put("c", "events:putEvents",
      R"({"Entries":[{"Source":"s","DetailType":"t","Detail":"{}"},{"Source":"s","DetailType":"u","Detail":"{}","EventBusName":"b"}]})");
  advance(minutes(15));
  ASSERT_EQ(taken_.size(), 4U);
  EXPECT_EQ(taken_[0].target_arn, "arn:aws:sqs:us-east-1:000000000000:jobs");
  EXPECT_EQ(taken_[0].event.payload, "at 2026-01-01T00:10:00Z");
  EXPECT_EQ(taken_[1].target_arn, "arn:aws:lambda:us-east-1:000000000000:function:f");
  EXPECT_EQ(taken_[1].event.payload, R"({"a":1})");
  EXPECT_EQ(taken_[2].target_arn, "arn:aws:events:us-east-1:000000000000:event-bus/default");
  EXPECT_EQ(taken_[3].target_arn, "arn:aws:events:us-east-1:000000000000:event-bus/b");
  EXPECT_EQ(get_string(taken_[3].event.parameters, "DetailType"), "u");
  EXPECT_NE(taken_[2].dedupe_key, taken_[3].dedupe_key);
}

TEST_F(SchedulerService, WhatIsNotCarriedOutIsRefusedByName) {
  EXPECT_EQ(refusal("rate(10 seconds)", "", ""), "Invalid Schedule Expression rate(10 seconds).");
  EXPECT_EQ(refusal("rate(1 day)", R"("ScheduleExpressionTimezone":"Mars/Base",)", ""),
            "Invalid Schedule Expression Timezone Mars/Base.");
  EXPECT_EQ(refusal("rate(1 day)", R"("StartDate":1767200000,)", ""),
            "The StartDate you specify cannot be earlier than 5 minutes ago.");
  EXPECT_NE(refusal("rate(1 day)", R"("KmsKeyArn":"arn:aws:kms:us-east-1:000000000000:key/a",)", "").find("KmsKeyArn"),
            std::string::npos);
  EXPECT_NE(refusal("rate(1 day)", "", R"(,"EcsParameters":{"TaskDefinitionArn":"x"})").find("EcsParameters"),
            std::string::npos);
  EXPECT_EQ(refused_target(R"("Arn":"arn:aws:kinesis:us-east-1:000000000000:stream/s")"),
            "kinesis is not a supported service for a target.");
  EXPECT_EQ(refused_target(R"("Arn":"nonsense")"), "Provided Arn is not in correct format.");
  EXPECT_EQ(refused_target(R"("Arn":"arn:aws:scheduler:us-east-1:000000000000:aws-sdk:sqs:sendMessage","Input":"{}")"),
            "scheduler is not a supported service for a target.");
  EXPECT_EQ(refused_target(R"("Arn":"arn:aws:scheduler:::aws-sdk:sqs:getQueueUrl","Input":"{}")"),
            "getQueueUrl API is not supported");
  EXPECT_EQ(refused_target(R"("Arn":"arn:aws:scheduler:::aws-sdk:sqs:sendMessage")"),
            "You must provide an input to set this target for your schedule");
  EXPECT_NE(refused_target(R"("Arn":"arn:aws:scheduler:::aws-sdk:ec2:startInstances","Input":"{}")")
                .find("ec2:startInstances"),
            std::string::npos);
  EXPECT_NE(refused_target(R"("Arn":"arn:aws:scheduler:::aws-sdk:sqs:sendMessage","Input":"{\"DelaySeconds\":3}")")
                .find("DelaySeconds"),
            std::string::npos);
  call("GET", "/schedules/bad", "", 404);
}

TEST_F(SchedulerService, ARepeatedRequestWithItsTokenSucceedsAndAnotherConflicts) {
  create("once", "rate(1 day)", R"("ClientToken":"t1",)");
  create("once", "rate(1 day)", R"("ClientToken":"t1",)");
  const auto refused = create("once", "rate(1 day)", R"("ClientToken":"t2",)", 409);
  EXPECT_EQ(get_string(refused, "Message"), "Schedule once already exists.");
  call("DELETE", "/schedules/once?clientToken=d1", "", 200);
  call("DELETE", "/schedules/once?clientToken=d1", "", 200);
  call("DELETE", "/schedules/once?clientToken=d2", "", 404);
}

TEST_F(SchedulerService, GroupsHoldSchedulesAndTakeThemAlong) {
  call("POST", "/schedule-groups/g", R"({"Tags":[{"Key":"a","Value":"b"}]})", 200);
  call("POST", "/schedule-groups/g", "{}", 409);
  EXPECT_EQ(get_string(create("s", "rate(1 day)", R"("GroupName":"nowhere",)", 404), "Message"),
            "Schedule group nowhere does not exist.");
  for (int i = 0; i < 3; ++i) create(fmt::format("s{}", i), "rate(1 day)", R"("GroupName":"g",)");
  create("s0", "rate(1 day)");
  EXPECT_EQ(find(call("GET", "/schedules?ScheduleGroup=g", "", 200), "Schedules")->as_array().size(), 3U);
  EXPECT_EQ(find(call("GET", "/schedules", "", 200), "Schedules")->as_array().size(), 4U);
  EXPECT_EQ(find(call("GET", "/schedule-groups", "", 200), "ScheduleGroups")->as_array().size(), 2U);
  const std::string arn = "/tags/arn%3Aaws%3Ascheduler%3Aus-east-1%3A000000000000%3Aschedule-group%2Fg";
  call("POST", arn, R"({"Tags":[{"Key":"c","Value":"d"}]})", 200);
  call("DELETE", arn + "?TagKeys=a", "", 200);
  EXPECT_EQ(to_json(*find(call("GET", arn, "", 200), "Tags")), R"([{"Key":"c","Value":"d"}])");
  call("DELETE", "/schedule-groups/default", "", 400);
  call("DELETE", "/schedule-groups/g", "", 200);
  call("GET", "/schedule-groups/g", "", 404);
  EXPECT_EQ(find(call("GET", "/schedules", "", 200), "Schedules")->as_array().size(), 1U);
  EXPECT_EQ(scheduler_->counts().waiting, 1U);
}

TEST_F(SchedulerService, ListsComeInPagesAndByFilter) {
  for (int i = 0; i < 25; ++i) {
    create(fmt::format("{}-{:02}", i % 2 == 0 ? "even" : "odd", i), "rate(1 day)",
           i % 5 == 0 ? R"("State":"DISABLED",)" : "");
  }
  std::size_t seen = 0;
  std::string token;
  int pages = 0;
  do {
    const auto page =
        call("GET", "/schedules?NamePrefix=even&MaxResults=4" + (token.empty() ? "" : "&NextToken=" + token), "", 200);
    seen += find(page, "Schedules")->as_array().size();
    token = get_string(page, "NextToken");
    ++pages;
  } while (!token.empty());
  EXPECT_EQ(seen, 13U);
  EXPECT_EQ(pages, 4);
  EXPECT_EQ(find(call("GET", "/schedules?State=DISABLED", "", 200), "Schedules")->as_array().size(), 5U);
  call("GET", "/schedules?NextToken=%25%25", "", 400);
  call("GET", "/schedules?ScheduleGroup=nowhere", "", 404);
}

TEST_F(SchedulerService, QuotasHold) {
  stop();
  SchedulerSettings settings;
  settings.max_schedules = 2;
  settings.max_groups = 1;
  start(settings);
  create("a", "rate(1 day)");
  create("b", "rate(1 day)");
  create("c", "rate(1 day)", "", 402);
  call("DELETE", "/schedules/a", "", 200);
  create("c", "rate(1 day)");
  call("POST", "/schedule-groups/g", "{}", 200);
  call("POST", "/schedule-groups/h", "{}", 402);
}

TEST_F(SchedulerService, WhatWasMissedWhileTheServerWasDownIsHandedOverInOrder) {
  create("often", "rate(10 minutes)", "", 200, R"(,"RetryPolicy":{"MaximumEventAgeInSeconds":3600})");
  create("once", "at(2026-01-01T01:00:00)");
  taken_.clear();
  stop();
  clock_.advance(hours(5));
  start();
  std::vector<std::string> scheduled;
  for (const auto& request : taken_) {
    scheduled.push_back(std::string(get_string(*parse_json(request.event.payload), "time")).substr(11, 5));
  }
  // The one-time schedule however late; of the others those that are not older than an hour.
  EXPECT_EQ(scheduled,
            (std::vector<std::string>{"01:00", "04:00", "04:10", "04:20", "04:30", "04:40", "04:50", "05:00"}));
  EXPECT_EQ(scheduler_->counts().waiting, 1U);
}

TEST_F(SchedulerService, WhatDeliveryDoesNotTakeStaysDue) {
  create("s", "at(2026-01-01T00:10:00)");
  refuse_ = true;
  advance(minutes(20));
  EXPECT_TRUE(taken_.empty());
  refuse_ = false;
  advance(minutes(1));
  EXPECT_EQ(taken_.size(), 1U);
  advance(hours(1));
  EXPECT_EQ(taken_.size(), 1U);
}

TEST_F(SchedulerService, OneOccurrenceThatIsNeverTakenHoldsUpNoOther) {
  create("bad", "at(2026-01-01T00:10:00)", "", 200, R"(,"Input":"poison")");
  create("good", "at(2026-01-01T00:10:00)", "", 200, R"(,"Input":"fine")");
  advance(minutes(20));
  ASSERT_EQ(taken_.size(), 1U);
  EXPECT_EQ(taken_[0].event.payload, "fine");
}

TEST_F(SchedulerService, AFullDiskBehindTheHandOverRepeatsItUnderTheSameKey) {
  create("s", "at(2026-01-01T00:10:00)");
  store_.full = true;
  advance(minutes(11), seconds(10));
  store_.full = false;
  advance(minutes(1), seconds(10));
  ASSERT_FALSE(taken_.empty());
  for (const auto& request : taken_) EXPECT_EQ(request.dedupe_key, taken_[0].dedupe_key);
  const auto before = taken_.size();
  advance(hours(1));
  EXPECT_EQ(taken_.size(), before);
}

TEST_F(SchedulerService, AnUpdateMovesTheNextTime) {
  create("s", "rate(1 hour)");
  taken_.clear();
  times_.clear();
  advance(minutes(30));
  call("PUT", "/schedules/s", body("cron(45 * * * ? *)", "", ""), 200);
  advance(hours(2));
  EXPECT_EQ(times_, (std::vector<std::string>{"2026-01-01T00:45:00", "2026-01-01T01:45:00"}));
}

TEST_F(SchedulerService, RunNowHandsOneOverBesidesThePlan) {
  create("s", "at(2026-01-01T05:00:00)");
  run([&]() -> Awaitable<void> {
    const auto done = co_await scheduler_->run_now("", "", "s");
    EXPECT_TRUE(done);
    const auto missing = co_await scheduler_->run_now("", "", "t");
    EXPECT_FALSE(missing);
    const auto all = co_await scheduler_->list("", "", "", 10);
    EXPECT_EQ(all->size(), 1U);
    EXPECT_EQ(text_of(all->front().next ? std::optional(iso8601_millis(*all->front().next)) : std::nullopt),
              "2026-01-01T05:00:00.000Z");
  });
  EXPECT_EQ(taken_.size(), 1U);
  advance(hours(6));
  EXPECT_EQ(taken_.size(), 2U);
}

TEST_F(SchedulerService, TheAttemptsNumberIsFilledInAtEachAttempt) {
  delivery::Targets targets;
  std::string got;
  const auto take_it = [&got](delivery::Arn arn, delivery::Event event) -> Awaitable<delivery::Attempt> {
    got = arn.resource + " " + event.payload;
    co_return delivery::Attempt();
  };
  targets.add("sqs", take_it);
  Scheduler::add_to(targets);
  delivery::Event event;
  event.payload = "<aws.scheduler.attempt-number>/<aws.scheduler.attempt-number>";
  event.attempt = 7;
  run([&]() -> Awaitable<void> {
    const std::string arn = "arn:aws:sqs:us-east-1:000000000000:jobs";
    const auto done = co_await targets.deliver_via(std::string(kAttemptHandler), arn, event);
    EXPECT_EQ(done.kind, delivery::Attempt::Kind::kDone);
  });
  EXPECT_EQ(got, "jobs 7/7");
}

TEST(DueTimesTest, AreTakenInOrderHoweverTheyWereMoved) {
  std::mt19937_64 random(7);
  DueTimes times;
  std::map<std::string, SystemTime> expected;
  for (int i = 0; i < 20'000; ++i) {
    const auto key = fmt::format("k{}", random() % 500);
    if (random() % 4 == 0) {
      times.set(key, std::nullopt);
      expected.erase(key);
    } else {
      const SystemTime when{std::chrono::microseconds(random() % 1000)};
      times.set(key, when);
      expected[key] = when;
    }
    ASSERT_EQ(times.size(), expected.size());
    if (random() % 50 != 0) continue;
    const SystemTime now{std::chrono::microseconds(random() % 1000)};
    std::vector<std::pair<SystemTime, std::string>> due;
    for (const auto& [name, when] : expected) {
      if (when <= now) due.emplace_back(when, name);
    }
    std::sort(due.begin(), due.end());
    due.resize(std::min<std::size_t>(due.size(), 100));
    const auto taken = times.take(now, 100);
    ASSERT_EQ(taken.size(), due.size());
    for (std::size_t at = 0; at < due.size(); ++at) {
      ASSERT_EQ(taken[at], due[at].second);
      expected.erase(taken[at]);
    }
  }
}

TEST(Keywords, AreFilledInWherePresentAndNothingElseIsTouched) {
  const Keywords keywords{.schedule_arn = "A", .scheduled_time = "T", .execution_id = "E", .attempt_number = "1"};
  EXPECT_EQ(filled_in("", keywords), "");
  EXPECT_EQ(filled_in("<aws.scheduler.schedule-arn><aws.scheduler.execution-id>", keywords), "AE");
  EXPECT_EQ(filled_in("<aws.scheduler.<aws.scheduler.scheduled-time>", keywords), "<aws.scheduler.T");
  EXPECT_EQ(filled_in("<aws.scheduler.", keywords), "<aws.scheduler.");
}

}  // namespace
}  // namespace mayfly::scheduler::testing
