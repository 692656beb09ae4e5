// Compiled code that Node.js functions leave for the next instances of their version.
#include "dispatch/code_cache.h"

#include <gtest/gtest.h>

#include "dispatch/sandbox_plan.h"
#include "dispatch/test_world.h"

namespace mayfly::dispatch {
namespace {

using testing::RuntimeClient;
using testing::World;

constexpr const char* kPath = "/2018-06-01/runtime/mayfly/code-cache";

TEST(CodeCache, KeepsTheFirstOfEachVersionWithinItsSize) {
  CodeCache cache(10);
  EXPECT_TRUE(cache.keep("a", "1234"));
  EXPECT_FALSE(cache.keep("a", "other"));
  EXPECT_EQ(*cache.find("a"), "1234");
  EXPECT_EQ(cache.find("b"), nullptr);
  EXPECT_TRUE(cache.keep("b", "5678"));
  EXPECT_NE(cache.find("a"), nullptr);
  EXPECT_TRUE(cache.keep("c", "9012"));
  EXPECT_EQ(cache.find("b"), nullptr);  // used least recently
  EXPECT_NE(cache.find("a"), nullptr);
  EXPECT_FALSE(cache.keep("d", "larger than all"));
  EXPECT_FALSE(CodeCache(0).keep("a", "1"));
}

// A runtime that says what it was told, and leaves its number where it may.
std::atomic<int> late_status{0};
int leave_and_look(RuntimeClient& client, int number) {
  const auto found = client.call("GET", kPath);
  const std::string told = found->status == 200 ? found->body : std::to_string(found->status);
  if (found->status != 200) EXPECT_EQ(client.call("POST", kPath, "made by " + std::to_string(number))->status, 202);
  while (auto event = client.next()) {
    late_status = client.call("POST", kPath, "poison")->status;
    if (!client.respond(*event, "\"" + told + "\"")) break;
  }
  return testing::exit_status(0);
}

TEST(CodeCache, GoesToInstancesOfItsVersionOnlyAndIsTakenBeforeAnyEvent) {
  World world(leave_and_look);
  const auto first = world.target("f", "g1");
  const auto second = world.target("f", "g2");
  const auto other = world.target("other", "g1");
  EXPECT_EQ(world.invoke_now(first, "1").payload, "\"404\"");
  EXPECT_EQ(late_status, 403);
  world.launcher.kill(world.launcher.specs[0].id);
  world.until([&] { return world.states().empty(); });
  EXPECT_EQ(world.invoke_now(first, "1").payload, "\"made by 0\"");
  EXPECT_EQ(world.invoke_now(second, "1").payload, "\"404\"");
  EXPECT_EQ(world.invoke_now(other, "1").payload, "\"404\"");
}

}  // namespace
}  // namespace mayfly::dispatch
