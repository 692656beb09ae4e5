#include "schedule/cron.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <bit>
#include <string>
#include <vector>

namespace mayfly::schedule {

using std::chrono::days;
using std::chrono::local_days;
using std::chrono::year;
using std::chrono::year_month;

namespace {

constexpr std::size_t kMostItems = 256;  // of one list

struct Field {
  std::string_view name;
  unsigned least;
  unsigned most;
};
constexpr Field kMinutes{"minutes", 0, 59};
constexpr Field kHours{"hours", 0, 23};
constexpr Field kDayOfMonth{"day of month", 1, 31};
constexpr Field kMonth{"month", 1, 12};
constexpr Field kDayOfWeek{"day of week", 1, 7};
constexpr Field kYear{"year", Cron::kFirstYear, Cron::kLastYear};

constexpr std::array<std::string_view, 12> kMonthNames{"JAN", "FEB", "MAR", "APR", "MAY", "JUN",
                                                       "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"};
constexpr std::array<std::string_view, 7> kWeekdayNames{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"};

std::optional<unsigned> number(std::string_view text) {
  if (text.empty() || text.size() > 4) return std::nullopt;
  unsigned value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + static_cast<unsigned>(c - '0');
  }
  return value;
}

template <std::size_t N>
std::optional<unsigned> named(std::string_view text, const std::array<std::string_view, N>& names) {
  const auto at = std::ranges::find(names, text);
  if (at == names.end()) return std::nullopt;
  return static_cast<unsigned>(at - names.begin()) + 1;
}

// A number or a name of the field, within its bounds.
std::optional<unsigned> value_of(std::string_view text, const Field& field) {
  auto value = number(text);
  if (!value && field.name == kMonth.name) value = named(text, kMonthNames);
  if (!value && field.name == kDayOfWeek.name) value = named(text, kWeekdayNames);
  if (!value || *value < field.least || *value > field.most) return std::nullopt;
  return value;
}

// Calls `set` with each value of a field without specials: a list of "*", "a", "a-b", each with "/step".
template <typename Set>
bool read_list(std::string_view text, const Field& field, Set set) {
  for (std::size_t items = 0; items < kMostItems; ++items) {
    const auto comma = text.find(',');
    const auto item = text.substr(0, comma);
    const auto slash = item.find('/');
    const auto range = item.substr(0, slash);
    std::optional<unsigned> step;
    if (slash != std::string_view::npos) {
      step = number(item.substr(slash + 1));
      if (!step) return false;
    }
    unsigned first = field.least;
    unsigned last = field.most;
    if (range != "*") {
      const auto dash = range.find('-');
      const auto from = value_of(range.substr(0, dash), field);
      if (!from) return false;
      first = *from;
      if (dash != std::string_view::npos) {
        const auto to = value_of(range.substr(dash + 1), field);
        if (!to) return false;
        last = *to;
      } else if (!step) {
        last = first;
      }
    }
    const unsigned span = field.most - field.least + 1;
    const unsigned length = last >= first ? last - first : last + span - first;
    const unsigned stride = !step ? 1 : *step == 0 ? span : *step;
    for (unsigned ahead = 0; ahead <= length; ahead += stride) {
      set(field.least + (first - field.least + ahead) % span);
    }
    if (comma == std::string_view::npos) return true;
    text.remove_prefix(comma + 1);
  }
  return false;
}

std::string upper(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return out;
}

std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const auto start = text.find_first_not_of(' ');
    if (start == std::string_view::npos) break;
    text.remove_prefix(start);
    const auto end = std::min(text.find(' '), text.size());
    parts.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  return parts;
}

unsigned last_day(year_month month) { return static_cast<unsigned>((month / std::chrono::last).day()); }

// 1 (Sunday) to 7.
unsigned weekday_of(year_month month, unsigned day) {
  return std::chrono::weekday(local_days(month / std::chrono::day(day))).c_encoding() + 1;
}

constexpr unsigned kSunday = 1;
constexpr unsigned kSaturday = 7;

unsigned nearest_workday(year_month month, unsigned day) {
  const auto weekday = weekday_of(month, day);
  if (weekday == kSaturday) return day > 1 ? day - 1 : day + 2;
  if (weekday == kSunday) return day < last_day(month) ? day + 1 : day - 2;
  return day;
}

template <typename Bits>
std::optional<unsigned> next_bit(Bits bits, unsigned from) {
  if (from >= sizeof(Bits) * 8) return std::nullopt;
  const Bits left = static_cast<Bits>(bits >> from);
  if (left == 0) return std::nullopt;
  return from + static_cast<unsigned>(std::countr_zero(left));
}

}  // namespace

struct Cron::Parser {
  Cron cron;

  bool day_of_month(std::string_view text) {
    if (text == "L" || text == "LW") {
      cron.special_ = text == "L" ? Special::kLastDay : Special::kLastWorkday;
      return true;
    }
    if (text.starts_with("L-")) {
      const auto before = number(text.substr(2));
      cron.special_ = Special::kLastDay;
      cron.special_day_ = static_cast<std::uint8_t>(before.value_or(0));
      return before && *before >= 1 && *before <= 30;
    }
    if (text.ends_with('W')) {
      const auto day = value_of(text.substr(0, text.size() - 1), kDayOfMonth);
      cron.special_ = Special::kNearestWorkday;
      cron.special_day_ = static_cast<std::uint8_t>(day.value_or(0));
      return day.has_value();
    }
    return read_list(text, kDayOfMonth, [this](unsigned value) { cron.days_ |= 1U << value; });
  }

  bool day_of_week(std::string_view text) {
    if (text == "L") {
      cron.weekdays_ = 1U << kSaturday;
      return true;
    }
    if (text.ends_with('L')) {
      const auto day = value_of(text.substr(0, text.size() - 1), kDayOfWeek);
      cron.special_ = Special::kLastOfWeekday;
      cron.special_day_ = static_cast<std::uint8_t>(day.value_or(0));
      return day.has_value();
    }
    if (const auto hash = text.find('#'); hash != std::string_view::npos) {
      const auto day = value_of(text.substr(0, hash), kDayOfWeek);
      const auto nth = number(text.substr(hash + 1));
      cron.special_ = Special::kNthOfWeekday;
      cron.special_day_ = static_cast<std::uint8_t>(day.value_or(0));
      cron.special_nth_ = static_cast<std::uint8_t>(nth.value_or(0));
      return day && nth && *nth >= 1 && *nth <= 5;
    }
    return read_list(text, kDayOfWeek, [this](unsigned value) {
      cron.weekdays_ = static_cast<std::uint8_t>(cron.weekdays_ | (1U << value));
    });
  }
};

Result<Cron> Cron::parse(std::string_view text) {
  const auto wrong = [](const Field& field) {
    return fail(ErrorCode::kInvalid, fmt::format("the field for {} cannot be read", field.name));
  };
  const auto capitals = upper(text);
  const auto fields = split(capitals);
  if (fields.size() != 6) return fail(ErrorCode::kInvalid, "a cron expression has six fields");
  Parser parser;
  auto& cron = parser.cron;
  if (!read_list(fields[0], kMinutes, [&](unsigned value) { cron.minutes_ |= std::uint64_t{1} << value; })) {
    return wrong(kMinutes);
  }
  if (!read_list(fields[1], kHours, [&](unsigned value) { cron.hours_ |= 1U << value; })) return wrong(kHours);
  if (!read_list(fields[3], kMonth,
                 [&](unsigned value) { cron.months_ = static_cast<std::uint16_t>(cron.months_ | (1U << value)); })) {
    return wrong(kMonth);
  }
  if ((fields[2] == "?") == (fields[4] == "?")) {
    return fail(ErrorCode::kInvalid, "one of day of month and day of week, and only one, is ?");
  }
  cron.by_weekday_ = fields[2] == "?";
  if (!cron.by_weekday_ && !parser.day_of_month(fields[2])) return wrong(kDayOfMonth);
  if (cron.by_weekday_ && !parser.day_of_week(fields[4])) return wrong(kDayOfWeek);
  if (!read_list(fields[5], kYear, [&](unsigned value) { cron.years_.set(value - kFirstYear); })) return wrong(kYear);
  return cron;
}

std::uint32_t Cron::days_in(year_month month) const {
  const unsigned last = last_day(month);
  const auto only = [last](unsigned day) -> std::uint32_t { return day >= 1 && day <= last ? 1U << day : 0; };
  const unsigned first_weekday = weekday_of(month, 1);
  switch (special_) {
    case Special::kLastDay:
      return special_day_ < last ? only(last - special_day_) : 0;
    case Special::kLastWorkday:
      return only(nearest_workday(month, last));
    case Special::kNearestWorkday:
      return special_day_ <= last ? only(nearest_workday(month, special_day_)) : 0;
    case Special::kLastOfWeekday:
      return only(last - (weekday_of(month, last) + 7 - special_day_) % 7);
    case Special::kNthOfWeekday:
      return only(1 + (special_day_ + 7U - first_weekday) % 7 + 7U * (special_nth_ - 1U));
    case Special::kNone:
      break;
  }
  const std::uint32_t all = ((std::uint32_t{1} << last) - 1) << 1U;
  if (!by_weekday_) return days_ & all;
  std::uint32_t matching = 0;
  for (unsigned day = 1; day <= last; ++day) {
    if ((weekdays_ >> ((first_weekday - 1 + day - 1) % 7 + 1) & 1U) != 0) matching |= 1U << day;
  }
  return matching;
}

std::optional<WallMinutes> Cron::next_after(WallMinutes after) const {
  const auto start = std::max(after + std::chrono::minutes(1), WallMinutes(local_days(year(kFirstYear) / 1 / 1)));
  const auto start_day = std::chrono::floor<days>(start);
  const std::chrono::year_month_day date(start_day);
  const auto minute_of_day = static_cast<unsigned>((start - start_day).count());
  // From here on the earliest that still counts in each place; they fall back to their least once a higher one moved.
  unsigned day = static_cast<unsigned>(date.day());
  unsigned hour = minute_of_day / 60;
  unsigned minute = minute_of_day % 60;
  const auto restart_day = [&] { hour = 0, minute = 0; };
  for (year_month month = date.year() / date.month(); int(month.year()) <= kLastYear; month += std::chrono::months(1)) {
    const auto month_number = static_cast<unsigned>(month.month());
    if (!years_.test(static_cast<std::size_t>(int(month.year()) - kFirstYear))) {
      month = month.year() / std::chrono::December;
    } else if ((months_ >> month_number & 1U) != 0) {
      const auto matching = days_in(month);
      for (auto d = next_bit(matching, day); d; d = next_bit(matching, *d + 1)) {
        if (*d != day) restart_day();
        for (auto h = next_bit(hours_, hour); h; h = next_bit(hours_, *h + 1)) {
          if (*h != hour) minute = 0;
          if (const auto m = next_bit(minutes_, minute)) {
            return local_days(month / std::chrono::day(*d)) + std::chrono::hours(*h) + std::chrono::minutes(*m);
          }
        }
        restart_day();
        day = 0;
      }
    }
    restart_day();
    day = 0;
  }
  return std::nullopt;
}

}  // namespace mayfly::schedule
