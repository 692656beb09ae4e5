// Schedule expressions of EventBridge and EventBridge Scheduler: cron(...), rate(...), at(...), and when they are next
// due. Used by rules with a schedule and by schedules.
//
// Daylight saving, as EventBridge Scheduler documents it: a cron time that the clocks skip does not run that day; one
// that they show twice runs once, the first time. A day of rate() is 24 hours. A skipped at(), of which the
// documentation does not speak, runs as long after the change as its time is after the skipped hour's begin, for it
// has no second chance.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>

#include "base/clock.h"
#include "base/error.h"
#include "schedule/cron.h"
#include "schedule/time_zone.h"

namespace mayfly::schedule {

// They differ in what they take and in what they say: rules know no at() and want "rate(1 minute)" in the singular.
enum class Dialect : std::uint8_t { kRule, kScheduler };

class Schedule {
 public:
  enum class Kind : std::uint8_t { kCron, kRate, kAt };

  // kInvalid, with the service's own message ("Parameter ScheduleExpression is not valid." of rules, "Invalid Schedule
  // Expression <it>." of schedules) and the reason as its hint.
  static Result<Schedule> parse(std::string_view expression, Dialect dialect);

  [[nodiscard]] Kind kind() const { return static_cast<Kind>(value_.index()); }

  // When it is due first, strictly after `after`; nullopt where that is never. A rate is due at `anchor` and then each
  // period after it: a rule's anchor is its creation, and it is asked for what comes after that.
  [[nodiscard]] std::optional<SystemTime> next_after(SystemTime after, const TimeZone& zone, SystemTime anchor) const;
  // In UTC, as rules are.
  [[nodiscard]] std::optional<SystemTime> next_after(SystemTime after, SystemTime anchor) const;

 private:
  using Value = std::variant<Cron, std::chrono::minutes, WallTime>;  // in the order of Kind
  explicit Schedule(Value value) : value_(value) {}
  Value value_;
};

}  // namespace mayfly::schedule
