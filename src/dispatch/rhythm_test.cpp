// What is learned of pauses, and a deterministic simulation of what it is worth against a fixed idle time.
#include "dispatch/rhythm.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <random>
#include <vector>

namespace mayfly::dispatch {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using Duration = Rhythm::Duration;

TEST(Rhythm, ConcludesNothingFromLittle) {
  Rhythm rhythm;
  for (std::uint32_t i = 0; i + 1 < Rhythm::kEnough; ++i) rhythm.paused(minutes(1));
  for (int i = 0; i < 1000; ++i) rhythm.paused(seconds(1));  // every instance is kept for that
  EXPECT_FALSE(rhythm.plan(seconds(300)));
  rhythm.paused(minutes(1));
  EXPECT_TRUE(rhythm.plan(seconds(300)));
}

TEST(Rhythm, KeepsAnInstanceAsLongAsItsPausesAre) {
  Rhythm rhythm;
  for (int i = 0; i < 20; ++i) rhythm.paused(seconds(40));
  const auto plan = rhythm.plan(seconds(300));
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->warm_after, Duration(0));
  EXPECT_GT(plan->keep, seconds(40));
  EXPECT_LT(plan->keep, seconds(45));
}

TEST(Rhythm, StartsOneInAdvanceOfARegularInvocation) {
  Rhythm rhythm;
  for (int i = 0; i < 20; ++i) rhythm.paused(hours(1));
  const auto plan = rhythm.plan(seconds(300));
  ASSERT_TRUE(plan);
  EXPECT_GT(plan->warm_after, minutes(54));
  EXPECT_LT(plan->warm_after, hours(1));
  EXPECT_GT(plan->keep, hours(1));
  EXPECT_LT(plan->keep, minutes(67));
}

TEST(Rhythm, DoesNotKeepWhatComesOnceADay) {
  Rhythm rhythm;
  for (int i = 0; i < 20; ++i) rhythm.paused(hours(30));
  const auto plan = rhythm.plan(seconds(300));
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->warm_after, Duration(0));
  EXPECT_EQ(plan->keep, Rhythm::kShortest);
}

TEST(Rhythm, ForgetsWhatWasLongAgo) {
  Rhythm rhythm;
  for (int i = 0; i < 300; ++i) rhythm.paused(hours(1));
  for (int i = 0; i < 600; ++i) rhythm.paused(seconds(30));
  const auto plan = rhythm.plan(seconds(300));
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->warm_after, Duration(0));
  EXPECT_LT(plan->keep, minutes(2));
}

// ---- Simulation -----------------------------------------------------------------------------------------------------

struct KeepCost {
  double cold = 0;
  double idle_seconds = 0;
};

// One function's pauses under a plan for each of them.
template <typename PlanFor>
KeepCost cost_of_plans(const std::vector<Duration>& pauses, PlanFor plan_for) {
  KeepCost cost;
  const auto in_seconds = [](Duration time) { return std::chrono::duration<double>(time).count(); };
  for (const Duration pause : pauses) {
    const Rhythm::Plan plan = plan_for(pause);
    if (plan.warm_after == Duration(0)) {
      cost.cold += pause > plan.keep ? 1 : 0;
      cost.idle_seconds += in_seconds(std::min(pause, plan.keep));
      continue;
    }
    cost.idle_seconds += in_seconds(std::min(pause, Rhythm::kShortest));
    if (pause <= Rhythm::kShortest) continue;
    cost.cold += pause < plan.warm_after || pause > plan.keep ? 1 : 0;
    if (pause > plan.warm_after) cost.idle_seconds += in_seconds(std::min(pause, plan.keep) - plan.warm_after);
  }
  return cost;
}

KeepCost cost_of_fixed(const std::vector<std::vector<Duration>>& functions, Duration keep) {
  KeepCost sum;
  for (const auto& pauses : functions) {
    const KeepCost one =
        cost_of_plans(pauses, [&](Duration) { return Rhythm::Plan{.warm_after = Duration(0), .keep = keep}; });
    sum.cold += one.cold;
    sum.idle_seconds += one.idle_seconds;
  }
  return sum;
}

KeepCost cost_of_learned(const std::vector<std::vector<Duration>>& functions, Duration price) {
  KeepCost sum;
  for (const auto& pauses : functions) {
    Rhythm rhythm;
    const KeepCost one = cost_of_plans(pauses, [&](Duration pause) {
      const auto plan = rhythm.plan(price);
      rhythm.paused(pause);  // known after it only
      return plan.value_or(Rhythm::Plan{.warm_after = Duration(0), .keep = price});
    });
    sum.cold += one.cold;
    sum.idle_seconds += one.idle_seconds;
  }
  return sum;
}

// Functions as they are found: timers with some jitter, users at random, bursts with nights between, and a few that
// come hardly ever. Seeded; no distribution of the standard library, which may differ between libraries.
std::vector<std::vector<Duration>> workload() {
  std::mt19937_64 random(20260101);
  const auto uniform = [&] { return static_cast<double>(random() >> 11) * 0x1.0p-53; };
  const auto exponential = [&](double mean) { return -mean * std::log(1 - uniform()); };
  const auto of_seconds = [](double value) { return Duration(static_cast<std::int64_t>(value * 1000)); };
  std::vector<std::vector<Duration>> functions;
  for (int function = 0; function < 200; ++function) {
    const double scale = 20 * std::exp2(8 * uniform());  // 20 s to 85 min
    std::vector<Duration> pauses;
    for (int i = 0; i < 300; ++i) {
      double pause = 0;
      if (function % 4 == 0) pause = scale * (1 + 0.02 * (uniform() - 0.5));
      if (function % 4 == 1) pause = exponential(scale);
      if (function % 4 == 2) pause = i % 20 == 19 ? 8 * 3600 * (1 + 0.1 * uniform()) : exponential(scale / 4);
      if (function % 4 == 3) pause = uniform() < 0.5 ? exponential(5) : scale + exponential(scale / 10);
      pauses.push_back(of_seconds(pause));
    }
    functions.push_back(std::move(pauses));
  }
  return functions;
}

TEST(Rhythm, HasFewerColdStartsThanAFixedTimeOfTheSameMemory) {
  const auto functions = workload();
  const Duration setting = seconds(300);
  const KeepCost fixed = cost_of_fixed(functions, setting);
  const KeepCost learned = cost_of_learned(functions, setting);
  // The fixed time that takes as much memory as what was learned did.
  Duration least = seconds(0);
  Duration most = hours(24);
  while (most - least > seconds(1)) {
    const Duration middle = (least + most) / 2;
    (cost_of_fixed(functions, middle).idle_seconds < learned.idle_seconds ? least : most) = middle;
  }
  const KeepCost same = cost_of_fixed(functions, most);
  RecordProperty("fixed", std::to_string(fixed.cold) + " cold, " + std::to_string(fixed.idle_seconds) + " s");
  RecordProperty("learned", std::to_string(learned.cold) + " cold, " + std::to_string(learned.idle_seconds) + " s");
  std::printf(
      "fixed 300 s: %.0f cold starts, %.0f idle hours; learned: %.0f, %.0f; fixed %.0f s, of that memory: %.0f\n",
      fixed.cold, fixed.idle_seconds / 3600, learned.cold, learned.idle_seconds / 3600,
      std::chrono::duration<double>(most).count(), same.cold);
  EXPECT_LT(learned.idle_seconds, 0.5 * fixed.idle_seconds);
  EXPECT_LT(learned.cold, 0.85 * fixed.cold);
  EXPECT_LT(learned.cold, 0.55 * same.cold);
}

}  // namespace
}  // namespace mayfly::dispatch
