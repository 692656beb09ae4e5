#include "gateway/usage.h"

#include <algorithm>
#include <cmath>

#include "base/crypto.h"
#include "base/encoding.h"
#include "gateway/gateway.h"
#include "gateway/rest_answers.h"

namespace mayfly::gateway {
namespace {

using std::chrono::days;
using std::chrono::sys_days;

std::string counter_name(std::string_view plan, std::string_view key) {
  return std::string(plan).append("/").append(key);
}

std::int64_t used_in(const Usage::Counts& counts, const Days& period) {
  std::int64_t used = 0;
  for (auto at = counts.lower_bound(period.start); at != counts.end() && at->first < period.end; ++at)
    used += at->second;
  return used;
}

sys_days month_start(std::chrono::year_month month, int offset) {
  return sys_days(month / std::chrono::day(1)) + days(offset);
}

const RateLimits* limits_of_method(const UsagePlan& plan, const Usage::Asked& asked) {
  const auto stage = plan.stages.find(asked.stage);
  if (stage == plan.stages.end()) return nullptr;
  const auto found = stage->second.find(asked.method);
  return found == stage->second.end() ? nullptr : &found->second;
}

}  // namespace

Days period_of(const Quota& quota, sys_days day) {
  if (quota.period == Quota::Period::kDay) return {.start = day, .end = day + days(1)};
  if (quota.period == Quota::Period::kWeek) {
    constexpr int kWeek = 7;
    const int today = static_cast<int>(std::chrono::weekday(day).c_encoding());  // Sunday is 0
    const auto start = day - days((today - quota.offset + kWeek) % kWeek);
    return {.start = start, .end = start + days(kWeek)};
  }
  const std::chrono::year_month_day date(day);
  std::chrono::year_month month = date.year() / date.month();
  if (day < month_start(month, quota.offset)) month -= std::chrono::months(1);
  return {.start = month_start(month, quota.offset), .end = month_start(month + std::chrono::months(1), quota.offset)};
}

std::string Usage::hash_of(std::string_view value) { return hex_encode(sha256(value)); }

void Usage::set_key(const std::string& scope, const std::string& hash, ApiKey key) {
  const std::unique_lock lock(mutex_);
  keys_[scope + "/" + hash] = std::move(key);
}

void Usage::remove_key(const std::string& scope, const std::string& hash) {
  const std::unique_lock lock(mutex_);
  keys_.erase(scope + "/" + hash);
}

void Usage::set_plan(UsagePlanPtr plan) {
  const auto id = plan->id;
  const std::unique_lock lock(mutex_);
  drop(id);
  for (const auto& [stage, methods] : plan->stages) by_stage_[stage].push_back(plan);
  plans_[id] = std::move(plan);
}

void Usage::remove_plan(const std::string& id) {
  const std::unique_lock lock(mutex_);
  drop(id);
}

void Usage::drop(const std::string& id) {
  const auto present = plans_.find(id);
  if (present == plans_.end()) return;
  for (const auto& [stage, methods] : present->second->stages) {
    const auto plans = by_stage_.find(stage);
    if (plans == by_stage_.end()) continue;
    std::erase(plans->second, present->second);
    if (plans->second.empty()) by_stage_.erase(plans);
  }
  plans_.erase(present);
}

std::optional<Usage::Found> Usage::find(const Asked& asked) const {
  const auto name = asked.scope + "/" + hash_of(asked.value);
  const std::shared_lock lock(mutex_);
  const auto key = keys_.find(name);
  if (key == keys_.end() || !key->second.enabled) return std::nullopt;
  const auto plans = by_stage_.find(asked.stage);
  if (plans == by_stage_.end()) return std::nullopt;
  for (const auto& plan : plans->second) {
    if (plan->keys.contains(key->second.id)) return Found{.key = key->second.id, .plan = plan};
  }
  return std::nullopt;
}

Usage::Counter* Usage::counter(const std::string& plan, const std::string& key) {
  const auto name = counter_name(plan, key);
  const auto found = counters_.find(name);
  if (found != counters_.end()) return &found->second;
  if (counters_.size() >= kMostCounters) return nullptr;
  return &counters_[name];
}

Usage::Verdict Usage::take(const Asked& asked, SystemTime now, SteadyTime steady_now) {
  using Kind = Verdict::Kind;
  Verdict verdict;
  const auto found = find(asked);
  if (!found) return verdict;
  verdict.key_id = found->key;
  const auto& plan = *found->plan;
  const auto today = std::chrono::floor<days>(now);
  const std::lock_guard lock(counters_mutex_);
  auto* counter_of = counter(plan.id, found->key);
  if (counter_of == nullptr) return verdict;
  if (plan.quota) {
    const auto period = period_of(*plan.quota, today);
    if (used_in(counter_of->days, period) >= plan.quota->limit) {
      verdict.kind = Kind::kOverQuota;
      verdict.retry_after = std::chrono::ceil<std::chrono::seconds>(period.end - now);
      return verdict;
    }
  }
  const auto* of_method = limits_of_method(plan, asked);
  const auto limits = of_method != nullptr ? std::optional(*of_method) : plan.limits;
  if (limits) {
    auto& bucket = counter_of->buckets[of_method != nullptr ? asked.stage + asked.method : std::string()];
    if (!bucket || bucket->limits() != *limits) bucket = std::make_shared<TokenBucket>(*limits);
    if (const auto wait = bucket->take(steady_now); wait != std::chrono::nanoseconds(0)) {
      verdict.kind = Kind::kThrottled;
      verdict.retry_after = std::chrono::ceil<std::chrono::seconds>(wait);
      return verdict;
    }
  }
  ++counter_of->days[today];
  counter_of->changed = true;
  while (counter_of->days.begin()->first + kKeptDays < today) counter_of->days.erase(counter_of->days.begin());
  verdict.kind = Kind::kAllowed;
  return verdict;
}

void Usage::restore(Counted counted) {
  const std::lock_guard lock(counters_mutex_);
  if (auto* present = counter(counted.plan, counted.key)) present->days = std::move(counted.days);
}

std::vector<Usage::Counted> Usage::take_changed() {
  std::vector<Counted> out;
  const std::lock_guard lock(counters_mutex_);
  for (auto& [name, one] : counters_) {
    if (!one.changed) continue;
    one.changed = false;
    const auto slash = name.find('/');
    out.push_back({.plan = name.substr(0, slash), .key = name.substr(slash + 1), .days = one.days});
  }
  return out;
}

void Usage::mark_changed(const std::string& plan, const std::string& key) {
  const std::lock_guard lock(counters_mutex_);
  const auto found = counters_.find(counter_name(plan, key));
  if (found != counters_.end()) found->second.changed = true;
}

Usage::Counts Usage::counts(const std::string& plan, const std::string& key) const {
  const std::lock_guard lock(counters_mutex_);
  const auto found = counters_.find(counter_name(plan, key));
  return found == counters_.end() ? Counts() : found->second.days;
}

void Usage::forget(const std::string& plan, const std::string& key) {
  const std::lock_guard lock(counters_mutex_);
  counters_.erase(counter_name(plan, key));
}

Gateway::Verdict Gateway::check_key(Exchange& exchange) {
  using Kind = Usage::Verdict::Kind;
  if (!exchange.route->needs_key) return std::nullopt;
  const bool from_authorizer = exchange.stage->rest && exchange.stage->rest->key_from_authorizer;
  if (!from_authorizer) exchange.usage_key = exchange.event.head.headers.get("x-api-key");
  const auto& api = *exchange.api;
  const Usage::Asked asked{.scope = api.account + "/" + api.region,
                           .value = exchange.usage_key,
                           .stage = api.id + "/" + exchange.stage->name,
                           .method = exchange.route->key.path + "/" + exchange.route->key.method};
  if (asked.value.empty()) return rest_refusal("INVALID_API_KEY", "there is no API key");
  auto verdict = usage_.take(asked, exchange.event.now, clock_.steady_now());
  exchange.api_key_id = std::move(verdict.key_id);
  if (verdict.kind == Kind::kAllowed) return std::nullopt;
  if (verdict.kind == Kind::kForbidden)
    return rest_refusal("INVALID_API_KEY", "the API key is not known, not enabled or of no plan of the stage");
  const bool throttled = verdict.kind == Kind::kThrottled;
  auto refusal =
      rest_refusal(throttled ? "THROTTLED" : "QUOTA_EXCEEDED", throttled ? "the plan's throttle" : "the plan's quota");
  refusal.headers.emplace_back("Retry-After", std::to_string(verdict.retry_after.count()));
  return refusal;
}

}  // namespace mayfly::gateway
