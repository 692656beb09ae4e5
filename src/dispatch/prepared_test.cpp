// Instances that SnapStart keeps: initialised ahead, at rest, restored by an invocation.
#include <gtest/gtest.h>

#include <algorithm>

#include "dispatch/start_demand.h"
#include "dispatch/test_world.h"

namespace mayfly::dispatch {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::echo;
using testing::exit_status;
using testing::Reply;
using testing::RuntimeClient;
using testing::World;

std::optional<Reply> restore_next(RuntimeClient& client) {
  return client.call("GET", "/2018-06-01/runtime/restore/next");
}

// As a runtime that knows of snapshots.
int rest_and_echo(RuntimeClient& client, int number) {
  const auto restored = restore_next(client);
  if (!restored || restored->status != 200) return exit_status(1);
  return echo(client, number);
}

std::shared_ptr<Target> snapped(const World& world, const std::string& version = "1") {
  auto target = world.target("f", "g" + version);
  target->version = version;
  target->snap_start = true;
  return target;
}

std::size_t count(const World& world, std::string_view state) {
  const auto all = world.dispatcher.instances();
  return static_cast<std::size_t>(
      std::count_if(all.begin(), all.end(), [&](const auto& info) { return info.state == state; }));
}

std::string variable(const sandbox::SandboxSpec& spec, std::string_view name) {
  for (const auto& [key, value] : spec.environment) {
    if (key == name) return value;
  }
  return {};
}

void publish(World& world, const std::shared_ptr<Target>& target) {
  world.dispatcher.set_snap_start(target, SnapshotOrigin::kPublished);
  world.until([&] { return count(world, "prepared") == 1; });
}

TEST(Prepared, IsInitialisedAheadAndRestoredByAnInvocation) {
  for (const auto& script : {testing::Script(rest_and_echo), testing::Script(echo)}) {
    World world(script);
    const auto target = snapped(world);
    world.dispatcher.set_snap_start(target, SnapshotOrigin::kPublished);
    EXPECT_TRUE(world.dispatcher.snapshot(*target).pending);
    world.until([&] { return count(world, "prepared") == 1; });
    EXPECT_FALSE(world.dispatcher.snapshot(*target).pending);
    EXPECT_FALSE(world.dispatcher.snapshot(*target).failed);
    EXPECT_EQ(variable(world.launcher.specs[0], "AWS_LAMBDA_INITIALIZATION_TYPE"), "snap-start");

    world.clock.advance(seconds(30));
    const auto& outcome = world.invoke_now(target, "7");
    EXPECT_EQ(outcome.payload, "7");
    EXPECT_TRUE(outcome.cold_start);
    EXPECT_TRUE(outcome.restored);
    EXPECT_LT(outcome.init_duration, seconds(1));  // not the time it rested
    EXPECT_NE(outcome.log_tail.find("Restore Duration: "), std::string::npos) << outcome.log_tail;
    EXPECT_EQ(outcome.log_tail.find("Init Duration: "), std::string::npos) << outcome.log_tail;
    EXPECT_EQ(world.launcher.started_count, 1);

    // It is warm now, and another one takes its place.
    EXPECT_FALSE(world.invoke_now(target, "8").cold_start);
    world.clock.advance(milliseconds(50));
    world.until([&] { return count(world, "prepared") == 1 && count(world, "idle") == 1; });
  }
}

TEST(Prepared, ServesItsOwnVersionOnly) {
  World world(rest_and_echo);
  std::vector<std::shared_ptr<Target>> versions = {snapped(world, "1"), snapped(world, "2"), snapped(world, "3")};
  for (const auto& target : versions) world.dispatcher.set_snap_start(target, SnapshotOrigin::kPublished);
  world.until([&] { return count(world, "prepared") == 3; });
  for (const auto& target : versions) {
    const std::string id = world.invoke_now(target, "1").instance_id;
    const auto& specs = world.launcher.specs;
    const auto spec = std::find_if(specs.begin(), specs.end(), [&](const auto& s) { return s.id.str() == id; });
    ASSERT_NE(spec, specs.end());
    EXPECT_EQ(variable(*spec, "AWS_LAMBDA_FUNCTION_VERSION"), target->version);
  }
}

TEST(Prepared, ABurstBeyondWhatIsPreparedIsServedAndTheNextFindsMore) {
  World world(rest_and_echo);
  const auto target = snapped(world);
  publish(world, target);
  std::vector<std::shared_ptr<World::Call>> calls;
  calls.reserve(4);
  for (int i = 0; i < 4; ++i) calls.push_back(world.begin(target, "1"));
  std::size_t restored = 0;
  for (const auto& call : calls) {
    world.finish(call);
    restored += call->outcome().restored ? 1 : 0;
  }
  EXPECT_GE(restored, 1U);
  world.clock.advance(milliseconds(50));
  world.until([&] { return count(world, "prepared") == 4; });
  // Half as many after each quiet minute.
  world.clock.advance(seconds(61));
  world.clock.advance(seconds(61));
  world.until([&] { return count(world, "prepared") == 1; });
}

TEST(Prepared, WhatCannotBeInitialisedIsToldAndStartsAreMadeWhenNeeded) {
  World world([](RuntimeClient& client, int number) {
    if (number > 0) return rest_and_echo(client, number);
    client.call("POST", "/2018-06-01/runtime/init/error",
                R"({"errorType":"Runtime.ImportModuleError","errorMessage":"no"})");
    return exit_status(1);
  });
  const auto target = snapped(world);
  world.dispatcher.set_snap_start(target, SnapshotOrigin::kPublished);
  world.until([&] { return world.dispatcher.snapshot(*target).failed && world.states().empty(); });
  EXPECT_FALSE(world.dispatcher.snapshot(*target).pending);
  EXPECT_EQ(world.dispatcher.snapshot(*target).reason, "Runtime.ImportModuleError: no");
  EXPECT_EQ(world.launcher.started_count, 1);
  const auto& outcome = world.invoke_now(target, "5");
  EXPECT_TRUE(outcome.cold_start);
  EXPECT_FALSE(outcome.restored);
  EXPECT_EQ(outcome.payload, "5");
  EXPECT_EQ(world.launcher.started_count, 2);
}

TEST(Prepared, IsTriedAgainWithAStartThatComesLater) {
  World world(
      [](RuntimeClient& client, int number) { return number == 0 ? exit_status(1) : rest_and_echo(client, number); });
  const auto target = snapped(world);
  world.dispatcher.set_snap_start(target, SnapshotOrigin::kPublished);
  world.until([&] { return world.dispatcher.snapshot(*target).failed && world.states().empty(); });
  world.clock.advance(seconds(31));
  world.invoke_now(target, "1");
  world.clock.advance(milliseconds(50));
  world.until([&] { return count(world, "prepared") == 1; });
  EXPECT_FALSE(world.dispatcher.snapshot(*target).failed);
}

TEST(Prepared, OneThatDiesAtRestCostsItsInvocationNothing) {
  World world(rest_and_echo);
  const auto target = snapped(world);
  publish(world, target);
  world.launcher.kill(world.launcher.specs[0].id);
  world.until([&] { return world.states().empty(); });
  EXPECT_TRUE(world.dispatcher.snapshot(*target).failed);
  EXPECT_EQ(world.launcher.started_count, 1);
  const auto& outcome = world.invoke_now(target, "2");
  EXPECT_EQ(outcome.payload, "2");
  EXPECT_FALSE(outcome.restored);
}

TEST(Prepared, OneThatDiesWhileItIsRestoredIsTheOutcomeOfItsInvocation) {
  World world([](RuntimeClient& client, int number) {
    if (number > 0) return rest_and_echo(client, number);
    static_cast<void>(restore_next(client));
    return exit_status(9);
  });
  const auto target = snapped(world);
  publish(world, target);
  const auto& outcome = world.invoke_now(target, "1");
  EXPECT_EQ(outcome.status, OutcomeStatus::kInitFailed);
  EXPECT_TRUE(outcome.restored);
  EXPECT_EQ(world.invoke_now(target, "2").payload, "2");
}

TEST(Prepared, AFailingHookIsTheOutcomeOfItsInvocation) {
  World world([](RuntimeClient& client, int) {
    static_cast<void>(restore_next(client));
    client.call("POST", "/2018-06-01/runtime/restore/error",
                R"({"errorType":"Runtime.AfterRestoreError","errorMessage":"x"})");
    return exit_status(65);
  });
  const auto target = snapped(world);
  publish(world, target);
  const auto& outcome = world.invoke_now(target, "1");
  EXPECT_EQ(outcome.status, OutcomeStatus::kInitFailed);
  EXPECT_EQ(testing::member(outcome.payload, "errorType"), "Runtime.AfterRestoreError");
}

TEST(Prepared, AHookThatTakesTooLongIsEnded) {
  std::atomic<bool> restored{false};
  std::atomic<bool> over{false};
  World world([&](RuntimeClient& client, int) {
    static_cast<void>(restore_next(client));
    restored = true;
    while (!over) std::this_thread::yield();
    return exit_status(1);
  });
  const auto target = snapped(world);
  publish(world, target);
  const auto call = world.begin(target, "1");
  world.until([&] { return restored.load(); });
  world.clock.advance(seconds(11));
  world.until([&] { return call->done(); });
  over = true;
  EXPECT_EQ(call->outcome().status, OutcomeStatus::kInitFailed);
  EXPECT_NE(call->outcome().payload.find("Restore timed out after 10"), std::string::npos) << call->outcome().payload;
}

TEST(Prepared, EndsWithItsVersion) {
  World world(rest_and_echo);
  const auto target = snapped(world);
  publish(world, target);
  world.dispatcher.drain(target->function_arn, "1", "");
  world.until([&] { return world.states().empty(); });
  world.clock.advance(seconds(120));
  EXPECT_EQ(world.launcher.started_count, 1);
  EXPECT_FALSE(world.dispatcher.snapshot(*target).pending);
}

TEST(Prepared, IsReplacedBeforeItsCredentialsAreOld) {
  DispatcherSettings settings;
  settings.most_age = hours(6);
  World world(rest_and_echo, settings);
  const auto target = snapped(world);
  publish(world, target);
  for (int minute = 0; minute < 182; ++minute) {
    world.clock.advance(seconds(60));
    world.until([&] { return count(world, "prepared") == 1; });
  }
  world.until([&] { return world.launcher.started_count == 2 && count(world, "prepared") == 1; });
}

TEST(Prepared, IsGivenUpWhenTheVersionIsNotUsed) {
  DispatcherSettings settings;
  settings.snapshot_keep = hours(1);
  World world(rest_and_echo, settings);
  const auto target = snapped(world);
  publish(world, target);
  world.clock.advance(hours(1));
  world.until([&] { return world.states().empty(); });
  EXPECT_EQ(world.launcher.started_count, 1);
  // The next invocation starts one, and one more is prepared from then on.
  EXPECT_FALSE(world.invoke_now(target, "1").restored);
  world.clock.advance(milliseconds(50));
  world.until([&] { return count(world, "prepared") == 1; });
}

TEST(Prepared, GivesItsMemoryToWhoeverNeedsIt) {
  DispatcherSettings settings;
  settings.memory_budget_mb = 256;
  World world(rest_and_echo, settings);
  const auto target = snapped(world);
  publish(world, target);
  world.clock.advance(seconds(1));
  auto other = world.target("other");
  auto third = world.target("third");
  other->snap_start = third->snap_start = true;  // their runtime asks, and goes on at once
  EXPECT_EQ(world.invoke_now(other, "1").payload, "1");
  EXPECT_EQ(count(world, "prepared"), 1U);
  world.clock.advance(seconds(1));
  EXPECT_EQ(world.invoke_now(third, "2").payload, "2");
  EXPECT_EQ(count(world, "prepared"), 0U);
  // It does not come back while the others are of use.
  world.clock.advance(seconds(30));
  world.until([&] { return world.states() == "idle,idle"; });
  EXPECT_EQ(world.launcher.started_count, 3);
}

TEST(Prepared, TheFirstOneOfAVersionTakesTheMemoryOfWhatWasIdleLongest) {
  DispatcherSettings settings;
  settings.memory_budget_mb = 128;
  World world(rest_and_echo, settings);
  auto other = world.target("other");
  other->snap_start = true;
  EXPECT_EQ(world.invoke_now(other, "1").payload, "1");
  publish(world, snapped(world));
  world.until([&] { return world.states() == "prepared"; });
}

TEST(Prepared, WhatHasNoSnapshotMayNotAskForIt) {
  std::atomic<int> status{0};
  World world([&](RuntimeClient& client, int number) {
    status = restore_next(client)->status;
    return echo(client, number);
  });
  EXPECT_EQ(world.invoke_now(world.target(), "1").payload, "1");
  EXPECT_EQ(status, 403);
}

TEST(StartDemand, FollowsTheBusiestSecond) {
  StartDemand demand;
  SteadyTime now(hours(1));
  const hours keep(24);
  demand.begin(now);
  EXPECT_EQ(demand.wanted(now, keep), 1U);
  for (int i = 0; i < 10; ++i) demand.started(now);
  EXPECT_EQ(demand.wanted(now, keep), 10U);
  demand.started(now + seconds(2));
  EXPECT_EQ(demand.wanted(now + seconds(2), keep), 10U);
  EXPECT_EQ(demand.wanted(now + seconds(60), keep), 5U);
  EXPECT_EQ(demand.wanted(now + seconds(600), keep), 1U);
  for (int i = 0; i < 100; ++i) demand.started(now + seconds(700));
  EXPECT_EQ(demand.wanted(now + seconds(700), keep), StartDemand::kMost);
  EXPECT_EQ(demand.wanted(now + hours(25), keep), 0U);
}

}  // namespace
}  // namespace mayfly::dispatch
