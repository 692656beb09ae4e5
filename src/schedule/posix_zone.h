// The rule at the end of a TZif file, which holds for all time behind its last transition: a POSIX TZ string such as
// "CET-1CEST,M3.5.0,M10.5.0/3", with the wider hours of RFC 9636.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

namespace mayfly::schedule {

class PosixZone {
 public:
  // nullopt where the text is none.
  static std::optional<PosixZone> parse(std::string_view text);

  [[nodiscard]] std::chrono::seconds offset_at(std::chrono::sys_seconds at) const;
  // The first change strictly after `after`; nullopt where the zone never changes.
  [[nodiscard]] std::optional<std::chrono::sys_seconds> next_change(std::chrono::sys_seconds after) const;

 private:
  struct Day {
    enum class Kind : std::uint8_t { kMonthWeekDay, kJulianWithoutLeapDay, kDayOfYear };
    Kind kind = Kind::kMonthWeekDay;
    unsigned month = 1;
    unsigned week = 1;  // 5: the last
    unsigned day = 0;   // 0 to 6 from Sunday; or of the year
    std::chrono::seconds time{7200};
  };
  struct Reader;
  // In the zone's local time of before the change.
  [[nodiscard]] static std::chrono::sys_seconds on(const Day& day, std::chrono::year year);
  [[nodiscard]] std::chrono::sys_seconds summer_begins(std::chrono::year year) const;
  [[nodiscard]] std::chrono::sys_seconds summer_ends(std::chrono::year year) const;

  std::chrono::seconds standard_{0};
  std::chrono::seconds summer_{0};
  bool has_summer_ = false;
  Day begins_;
  Day ends_;
};

}  // namespace mayfly::schedule
