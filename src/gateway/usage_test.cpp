#include "gateway/usage.h"

#include <gtest/gtest.h>

namespace mayfly::gateway {
namespace {

using namespace std::chrono;
using Kind = Usage::Verdict::Kind;

// Wednesday, 25 November 2026.
constexpr sys_days kToday{year(2026) / 11 / 25};

std::shared_ptr<UsagePlan> plan_with(std::optional<RateLimits> limits, std::optional<Quota> quota) {
  auto plan = std::make_shared<UsagePlan>();
  plan->id = "p1";
  plan->limits = limits;
  plan->quota = quota;
  plan->stages["api/dev"]["/x/GET"] = RateLimits{.rate = 1, .burst = 1};
  plan->keys = {"k1"};
  return plan;
}

struct UsageTest : testing::Test {
  Usage usage;
  SystemTime now = kToday + hours(23);
  SteadyTime steady{};

  void SetUp() override { usage.set_key("a/r", Usage::hash_of("secret"), {.id = "k1", .enabled = true}); }
  Usage::Verdict ask(std::string_view value = "secret", const std::string& stage = "api/dev",
                     const std::string& method = "/y/GET", const std::string& scope = "a/r") {
    return usage.take({.scope = scope, .value = value, .stage = stage, .method = method}, now, steady);
  }
};

TEST_F(UsageTest, OnlyAKeyOfAPlanOfTheStagePasses) {
  EXPECT_EQ(ask().kind, Kind::kForbidden);
  usage.set_plan(plan_with(std::nullopt, std::nullopt));
  EXPECT_EQ(ask().kind, Kind::kAllowed);
  EXPECT_EQ(ask().key_id, "k1");
  EXPECT_EQ(ask("other").kind, Kind::kForbidden);
  EXPECT_EQ(ask("secret", "api/prod").kind, Kind::kForbidden);
  EXPECT_EQ(ask("secret", "api/dev", "/y/GET", "b/r").kind, Kind::kForbidden);
  usage.set_key("a/r", Usage::hash_of("secret"), {.id = "k1", .enabled = false});
  EXPECT_EQ(ask().kind, Kind::kForbidden);
  usage.set_key("a/r", Usage::hash_of("secret"), {.id = "k2", .enabled = true});
  EXPECT_EQ(ask().kind, Kind::kForbidden) << "a key that is not of the plan";
  usage.remove_plan("p1");
  EXPECT_EQ(ask().kind, Kind::kForbidden);
}

TEST_F(UsageTest, AQuotaHoldsForItsPeriodAndSurvives) {
  const Quota quota{.limit = 2, .period = Quota::Period::kDay, .offset = 0};
  usage.set_plan(plan_with(std::nullopt, quota));
  EXPECT_EQ(ask().kind, Kind::kAllowed);
  EXPECT_EQ(ask().kind, Kind::kAllowed);
  const auto over = ask();
  EXPECT_EQ(over.kind, Kind::kOverQuota);
  EXPECT_EQ(over.retry_after, hours(1));
  auto changed = usage.take_changed();
  ASSERT_EQ(changed.size(), 1U);
  EXPECT_TRUE(usage.take_changed().empty());
  usage.mark_changed("p1", "k1");
  EXPECT_EQ(usage.take_changed().size(), 1U);
  usage.forget("p1", "k1");
  usage.restore(std::move(changed.front()));
  EXPECT_EQ(ask().kind, Kind::kOverQuota);
  now += hours(1);
  EXPECT_EQ(ask().kind, Kind::kAllowed);
  EXPECT_EQ(usage.counts("p1", "k1").size(), 2U);
  now += Usage::kKeptDays + days(1);
  EXPECT_EQ(ask().kind, Kind::kAllowed);
  EXPECT_EQ(usage.counts("p1", "k1").size(), 1U);
}

TEST_F(UsageTest, ThrottlesAreOfAKeyAndOfAMethod) {
  usage.set_plan(plan_with(RateLimits{.rate = 1, .burst = 2}, std::nullopt));
  EXPECT_EQ(ask().kind, Kind::kAllowed);
  EXPECT_EQ(ask().kind, Kind::kAllowed);
  EXPECT_EQ(ask().kind, Kind::kThrottled);
  EXPECT_EQ(ask("secret", "api/dev", "/x/GET").kind, Kind::kAllowed);
  EXPECT_EQ(ask("secret", "api/dev", "/x/GET").kind, Kind::kThrottled);
  steady += seconds(1);
  EXPECT_EQ(ask().kind, Kind::kAllowed);
}

TEST(Quota, PeriodsBeginAtTheirOffset) {
  const auto starts = [](Quota::Period period, int offset, sys_days day) {
    return period_of({.limit = 1, .period = period, .offset = offset}, day);
  };
  EXPECT_EQ(starts(Quota::Period::kWeek, 0, kToday).start, sys_days(year(2026) / 11 / 22));
  EXPECT_EQ(starts(Quota::Period::kWeek, 3, kToday).start, kToday);
  EXPECT_EQ(starts(Quota::Period::kWeek, 4, kToday).end, sys_days(year(2026) / 11 / 26));
  EXPECT_EQ(starts(Quota::Period::kMonth, 0, kToday).end, sys_days(year(2026) / 12 / 1));
  EXPECT_EQ(starts(Quota::Period::kMonth, 27, kToday).start, sys_days(year(2026) / 10 / 28));
  EXPECT_EQ(starts(Quota::Period::kMonth, 24, kToday).start, kToday);
}

TEST_F(UsageTest, TenThousandKeysAreFoundLikeTen) {
  constexpr int kCallers = 10'000;
  auto plan = plan_with(std::nullopt, std::nullopt);
  for (int i = 0; i < kCallers; ++i) {
    usage.set_key("a/r", Usage::hash_of("value" + std::to_string(i)),
                  {.id = "id" + std::to_string(i), .enabled = true});
    plan->keys.insert("id" + std::to_string(i));
  }
  usage.set_plan(plan);
  for (const int i : {0, kCallers / 2, kCallers - 1})
    EXPECT_EQ(ask("value" + std::to_string(i)).key_id, "id" + std::to_string(i));
}

}  // namespace
}  // namespace mayfly::gateway
