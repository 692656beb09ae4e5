// Instances that are kept, retired and started in advance by what a function's pauses were.
#include <gtest/gtest.h>

#include "dispatch/test_world.h"

namespace mayfly::dispatch {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using testing::echo;
using testing::World;

DispatcherSettings keep_alive_settings(bool learn) {
  DispatcherSettings settings;
  settings.idle_timeout = seconds(300);
  settings.learn_idle = learn;
  return settings;
}

// Ten invocations with these pauses between them, and the beginning of one more pause.
void live_with_pauses(World& world, const std::shared_ptr<Target>& target, seconds pause) {
  for (int i = 0; i < 10; ++i) {
    world.clock.advance(pause);
    world.invoke_now(target, "1");
  }
}

TEST(KeepAlive, StartsAnInstanceBeforeARegularInvocation) {
  World world(echo, keep_alive_settings(true));
  const auto target = world.target();
  live_with_pauses(world, target, minutes(10));
  for (int i = 0; i < 3; ++i) {
    world.clock.advance(seconds(11));
    world.until([&] { return world.states().empty(); });
    world.clock.advance(minutes(10) - seconds(12));
    world.until([&] { return world.states() == "idle"; });
    world.clock.advance(seconds(1));
    EXPECT_FALSE(world.invoke_now(target, "2").cold_start);
  }
  // Where the next one does not come, it goes again, and no further one is started in this pause.
  world.clock.advance(seconds(11));
  world.until([&] { return world.states().empty(); });
  world.clock.advance(minutes(10) - seconds(12));
  world.until([&] { return world.states() == "idle"; });
  world.clock.advance(minutes(2));
  world.until([&] { return world.states().empty(); });
  const int started = world.launcher.started_count;
  world.clock.advance(minutes(60));
  world.until([&] { return world.states().empty(); });
  EXPECT_EQ(world.launcher.started_count, started);
}

TEST(KeepAlive, RetiresWhatWillNotBeNeeded) {
  World world(echo, keep_alive_settings(true));
  const auto target = world.target();
  live_with_pauses(world, target, seconds(40));
  EXPECT_EQ(world.launcher.started_count, 1);
  world.clock.advance(seconds(42));
  EXPECT_EQ(world.states(), "idle");
  world.clock.advance(seconds(10));
  world.until([&] { return world.states().empty(); });
}

TEST(KeepAlive, WithoutLearningEveryInstanceHasTheSameTime) {
  World world(echo, keep_alive_settings(false));
  const auto target = world.target();
  live_with_pauses(world, target, seconds(40));
  world.clock.advance(seconds(290));
  EXPECT_EQ(world.states(), "idle");
  world.clock.advance(seconds(11));
  world.until([&] { return world.states().empty(); });
}

TEST(KeepAlive, StartsNothingInAdvanceOfWhatHasChanged) {
  World world(echo, keep_alive_settings(true));
  const auto target = world.target();
  live_with_pauses(world, target, minutes(10));
  world.clock.advance(seconds(11));
  world.until([&] { return world.states().empty(); });
  const int started = world.launcher.started_count;
  world.dispatcher.drain(target->function_arn, "$LATEST", "another");
  world.clock.advance(minutes(10));
  world.until([&] { return world.states().empty(); });
  EXPECT_EQ(world.launcher.started_count, started);
}

TEST(KeepAlive, InstancesBeyondTheLastHaveTheFixedTime) {
  World world(echo, keep_alive_settings(true));
  const auto target = world.target();
  live_with_pauses(world, target, seconds(40));
  const auto first = world.begin(target, "1");
  const auto second = world.begin(target, "2");
  world.finish(first);
  world.finish(second);
  world.until([&] { return world.states() == "idle,idle"; });
  world.clock.advance(seconds(60));
  EXPECT_EQ(world.states(), "idle,idle");
  world.clock.advance(seconds(241));
  world.until([&] { return world.states().empty(); });
}

}  // namespace
}  // namespace mayfly::dispatch
