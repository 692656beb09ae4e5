// EventBridge's cron expressions: six fields (minutes, hours, day of month, month, day of week, year) with lists,
// ranges, steps, names, "?", "L", "W" and "#".
//
// Sources. The user guides of EventBridge and of EventBridge Scheduler, and where they are silent the behaviour of
//          Quartz' CronExpression, which theirs descends from: a range may wrap (22-2), a step of 0 is the start alone,
//          "L" as day of week is Saturday, "31W" does not exist in shorter months.
#pragma once

#include <bitset>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/error.h"

namespace mayfly::schedule {

using WallMinutes = std::chrono::local_time<std::chrono::minutes>;

class Cron {
 public:
  // What stands between the parentheses. The Error names the field that is wrong.
  static Result<Cron> parse(std::string_view fields);

  // The first match strictly after `after`; nullopt where there is none until the end of 2199. Looks at months, not
  // at minutes: at most 2,760 steps, and two or three as a rule.
  [[nodiscard]] std::optional<WallMinutes> next_after(WallMinutes after) const;

  static constexpr int kFirstYear = 1970;
  static constexpr int kLastYear = 2199;

 private:
  enum class Special : std::uint8_t {
    kNone,
    kLastDay,         // "L", "L-3"
    kLastWorkday,     // "LW"
    kNearestWorkday,  // "15W"
    kLastOfWeekday,   // "6L"
    kNthOfWeekday,    // "2#1"
  };
  struct Parser;
  // Bit n: day n of the month matches.
  [[nodiscard]] std::uint32_t days_in(std::chrono::year_month month) const;

  std::uint64_t minutes_ = 0;
  std::uint32_t hours_ = 0;
  std::uint32_t days_ = 0;
  std::uint16_t months_ = 0;   // bits 1 to 12
  std::uint8_t weekdays_ = 0;  // bits 1 (Sunday) to 7
  bool by_weekday_ = false;    // the day of month is "?"
  Special special_ = Special::kNone;
  std::uint8_t special_day_ = 0;  // the day, the weekday, or the days before the last
  std::uint8_t special_nth_ = 0;
  std::bitset<kLastYear - kFirstYear + 1> years_;
};

}  // namespace mayfly::schedule
