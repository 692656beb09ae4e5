// Instances that are kept for provisioned concurrency.
#include <gtest/gtest.h>

#include "dispatch/test_world.h"

namespace mayfly::dispatch {
namespace {

using std::chrono::seconds;
using testing::echo;
using testing::exit_status;
using testing::RuntimeClient;
using testing::World;

TEST(Provisioned, KeepsProvisionedInstances) {
  DispatcherSettings settings;
  settings.idle_timeout = seconds(10);
  World world(echo, settings);
  const auto target = world.target();
  world.dispatcher.set_provisioned(target, 2);
  world.until([&] { return world.states() == "idle,idle"; });
  EXPECT_EQ(world.dispatcher.provisioned(*target).allocated, 2U);
  EXPECT_EQ(world.dispatcher.provisioned(*target).available, 2U);
  EXPECT_FALSE(world.invoke_now(target, "1").cold_start);
  for (int i = 0; i < 5; ++i) {
    world.clock.advance(seconds(11));
    EXPECT_FALSE(world.invoke_now(target, "2").cold_start);
  }
  EXPECT_EQ(world.launcher.started_count, 2);
  world.dispatcher.set_provisioned(target, 0);
  world.clock.advance(seconds(11));
  world.until([&] { return world.states().empty(); });
}

TEST(Provisioned, TriesAProvisionedInstanceThatDidNotInitialiseAgainLater) {
  World world([](RuntimeClient& client, int number) { return number == 0 ? exit_status(1) : echo(client, number); });
  const auto target = world.target();
  world.dispatcher.set_provisioned(target, 1);
  world.until([&] { return world.dispatcher.provisioned(*target).failed && world.states().empty(); });
  EXPECT_EQ(world.launcher.started_count, 1);
  world.clock.advance(seconds(30));
  world.until([&] { return world.dispatcher.provisioned(*target).allocated == 1; });
  EXPECT_FALSE(world.dispatcher.provisioned(*target).failed);
}

}  // namespace
}  // namespace mayfly::dispatch
