#include "sandbox/ready_pool.h"

#include <gtest/gtest.h>

namespace mayfly::sandbox {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

SandboxSpec python(const std::string& secret) {
  SandboxSpec spec;
  spec.mounts = {{"/usr", "/usr"}, {"/data/" + secret, "/var/task"}};
  spec.argv = {"/usr/bin/python3", "/var/runtime/bootstrap.py"};
  spec.environment = {{"SECRET", secret}};
  spec.runtime_environment = {{"LANG", "C"}};
  spec.ahead = Ahead::kRuntime;
  return spec;
}

class ReadyPoolTest : public ::testing::Test {
 protected:
  // Makes whatever the pool wants now.
  std::size_t fill() {
    std::size_t made = 0;
    while (const auto order = pool_.next_order(now_, 1)) {
      pool_.building(order->kind);
      pool_.built(order->kind, "s" + std::to_string(++count_), 8 << 20);
      ++made;
    }
    return made;
  }

  ReadyPool pool_{256ULL << 20};
  SteadyTime now_ = SteadyTime() + std::chrono::hours(5);
  int count_ = 0;
};

TEST_F(ReadyPoolTest, functions_of_one_runtime_share_a_kind_that_holds_nothing_of_them) {
  const auto one = python("one");
  const auto two = python("two");
  const std::string kind = pool_.kind_of(one);
  EXPECT_EQ(kind, pool_.kind_of(two));
  EXPECT_EQ(kind.find("one"), std::string::npos);
  EXPECT_FALSE(pool_.take(kind, one, now_));
  const auto order = pool_.next_order(now_, 2);
  ASSERT_TRUE(order);
  EXPECT_TRUE(order->like->environment.empty());
  ASSERT_EQ(order->like->mounts.size(), 1U);
  EXPECT_EQ(order->like->mounts[0].target, "/usr");
}

TEST_F(ReadyPoolTest, what_may_differ_before_the_function_is_known_parts_kinds) {
  const auto base = python("one");
  auto other = base;
  other.argv[0] = "/usr/bin/python3.12";
  EXPECT_NE(pool_.kind_of(base), pool_.kind_of(other));
  other = base;
  other.runtime_environment[0].second = "en_US.UTF-8";
  EXPECT_NE(pool_.kind_of(base), pool_.kind_of(other));
  other = base;
  other.network = NetworkMode::kOutbound;
  EXPECT_NE(pool_.kind_of(base), pool_.kind_of(other));
  other.network = NetworkMode::kAllowList;
  EXPECT_EQ(pool_.kind_of(other), "");
  other = base;
  other.ahead = Ahead::kNothing;
  EXPECT_EQ(pool_.kind_of(other), "");
  EXPECT_EQ(ReadyPool(0).kind_of(base), "");
}

TEST_F(ReadyPoolTest, each_is_taken_once) {
  const auto spec = python("one");
  const auto kind = pool_.kind_of(spec);
  pool_.expect(kind, spec, now_);
  EXPECT_EQ(fill(), 1U);
  EXPECT_EQ(pool_.take(kind, spec, now_), "s1");
  EXPECT_FALSE(pool_.take(kind, spec, now_));
  EXPECT_EQ(pool_.ready(), 0U);
}

TEST_F(ReadyPoolTest, as_many_are_wanted_as_the_busiest_second_saw_starts_and_fewer_as_it_gets_quiet) {
  const auto spec = python("one");
  const auto kind = pool_.kind_of(spec);
  for (int i = 0; i < 8; ++i) pool_.take(kind, spec, now_);
  EXPECT_EQ(fill(), 8U);
  EXPECT_FALSE(pool_.next_surplus(now_));
  now_ += minutes(1);
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(pool_.next_surplus(now_));
  EXPECT_FALSE(pool_.next_surplus(now_));
  now_ += minutes(10);
  while (pool_.next_surplus(now_)) {
  }
  EXPECT_EQ(pool_.ready(), 1U);
  now_ += std::chrono::hours(1);
  EXPECT_TRUE(pool_.next_surplus(now_));
  EXPECT_EQ(pool_.ready(), 0U);
  EXPECT_EQ(fill(), 0U);
}

TEST_F(ReadyPoolTest, memory_bounds_all_kinds_together) {
  const auto spec = python("one");
  const auto kind = pool_.kind_of(spec);
  for (int i = 0; i < 100; ++i) pool_.take(kind, spec, now_);
  // The first is held for the guess, and from then on for what it was seen to take.
  EXPECT_EQ(fill(), 32U);
  ReadyPool small(20ULL << 20);
  small.take(kind, spec, now_);
  EXPECT_FALSE(small.next_order(now_, 2));
}

TEST_F(ReadyPoolTest, a_kind_that_cannot_be_made_is_left_alone_for_a_while) {
  const auto spec = python("one");
  const auto kind = pool_.kind_of(spec);
  pool_.take(kind, spec, now_);
  ASSERT_TRUE(pool_.next_order(now_, 2));
  pool_.building(kind);
  pool_.not_built(kind, now_);
  EXPECT_FALSE(pool_.next_order(now_, 2));
  EXPECT_TRUE(pool_.next_order(now_ + seconds(10), 2));
}

}  // namespace
}  // namespace mayfly::sandbox
