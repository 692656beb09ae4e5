// API keys and usage plans as the gateway enforces them: whose key a request has, how fast and how often it may.
//
// Operation.   A key is known by the hash of its value alone. It opens a stage that a plan of it names. Throttles are
//              token buckets for each key of a plan, quotas count requests by UTC days.
// Concurrency. Any thread; two short locks.
// Limits.      kMostCounters keys of plans are counted, each for kKeptDays days. Beyond them requests are refused.
// Recovery.    Counts are handed out as they change (take_changed) and given back at start (restore).
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/clock.h"
#include "base/token_bucket.h"

namespace mayfly::gateway {

struct Quota {
  enum class Period : std::uint8_t { kDay, kWeek, kMonth };
  std::int64_t limit = 0;
  Period period = Period::kDay;
  int offset = 0;  // days behind Sunday or the first of the month at which the period begins
  bool operator==(const Quota&) const = default;
};
struct Days {
  std::chrono::sys_days start;
  std::chrono::sys_days end;  // the first day of the next period
};
// The period that a day is in.
Days period_of(const Quota& quota, std::chrono::sys_days day);

struct ApiKey {
  std::string id;
  bool enabled = false;
};
struct UsagePlan {
  std::string id;
  std::optional<RateLimits> limits;
  std::optional<Quota> quota;
  // "api/stage" to the limits of its methods ("/pets/{id}/GET").
  std::map<std::string, std::map<std::string, RateLimits>, std::less<>> stages;
  std::unordered_set<std::string> keys;  // by id
};
using UsagePlanPtr = std::shared_ptr<const UsagePlan>;

class Usage {
 public:
  static constexpr std::size_t kMostCounters = 100'000;
  static constexpr std::chrono::days kKeptDays{100};

  // Requests by day.
  using Counts = std::map<std::chrono::sys_days, std::int64_t>;
  struct Counted {
    std::string plan;
    std::string key;
    Counts days;
  };

  // `scope` is an account and a region: the same value may be another key there.
  void set_key(const std::string& scope, const std::string& hash, ApiKey key);
  void remove_key(const std::string& scope, const std::string& hash);
  void set_plan(UsagePlanPtr plan);
  void remove_plan(const std::string& id);

  struct Asked {
    std::string scope;
    std::string_view value;
    std::string stage;   // "api/stage"
    std::string method;  // "/pets/{id}/GET"
  };
  struct Verdict {
    enum class Kind : std::uint8_t { kAllowed, kForbidden, kThrottled, kOverQuota };
    Kind kind = Kind::kForbidden;
    std::string key_id;
    std::chrono::seconds retry_after{0};
  };
  // Counts the request where it is allowed.
  Verdict take(const Asked& asked, SystemTime now, SteadyTime steady_now);

  void restore(Counted counted);
  // What has changed since it was asked for last.
  std::vector<Counted> take_changed();
  // Not written after all: it is told again.
  void mark_changed(const std::string& plan, const std::string& key);
  [[nodiscard]] Counts counts(const std::string& plan, const std::string& key) const;
  void forget(const std::string& plan, const std::string& key);

  // What a key's value is known by.
  static std::string hash_of(std::string_view value);

 private:
  void drop(const std::string& id);  // a plan, with the mutex held
  struct Counter {
    Counts days;
    std::map<std::string, std::shared_ptr<TokenBucket>, std::less<>> buckets;  // by method; "" for the plan's own
    bool changed = false;
  };
  struct Found {
    std::string key;
    UsagePlanPtr plan;
  };
  [[nodiscard]] std::optional<Found> find(const Asked& asked) const;
  Counter* counter(const std::string& plan, const std::string& key);

  mutable std::shared_mutex mutex_;
  std::unordered_map<std::string, ApiKey> keys_;         // by scope and hash
  std::unordered_map<std::string, UsagePlanPtr> plans_;  // by id
  std::unordered_map<std::string, std::vector<UsagePlanPtr>> by_stage_;
  mutable std::mutex counters_mutex_;
  std::map<std::string, Counter, std::less<>> counters_;  // "plan/key"
};

}  // namespace mayfly::gateway
