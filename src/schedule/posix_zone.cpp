#include "schedule/posix_zone.h"

#include <algorithm>
#include <array>

namespace mayfly::schedule {

using std::chrono::days;
using std::chrono::floor;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using std::chrono::sys_days;
using std::chrono::sys_seconds;
using std::chrono::year;
using std::chrono::year_month_day;

// Takes a text apart from its front; every function is false or nullopt where the text does not go on so.
struct PosixZone::Reader {
  std::string_view text;

  [[nodiscard]] char peek() const { return text.empty() ? '\0' : text.front(); }
  bool take(char c) {
    if (peek() != c) return false;
    text.remove_prefix(1);
    return true;
  }
  std::optional<unsigned> number(unsigned least, unsigned most) {
    unsigned value = 0;
    std::size_t digits = 0;
    while (digits < 3 && peek() >= '0' && peek() <= '9') {
      value = value * 10 + static_cast<unsigned>(peek() - '0');
      text.remove_prefix(1);
      ++digits;
    }
    if (digits == 0 || value < least || value > most) return std::nullopt;
    return value;
  }
  bool name() {
    const auto letter = [](char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); };
    const auto inside = [&](char c) { return letter(c) || (c >= '0' && c <= '9') || c == '+' || c == '-'; };
    const bool quoted = take('<');
    std::size_t length = 0;
    while (quoted ? inside(peek()) : letter(peek())) {
      text.remove_prefix(1);
      ++length;
    }
    return length >= 3 && (!quoted || take('>'));
  }
  // "[+-]hh[:mm[:ss]]"
  std::optional<seconds> time() {
    const bool negative = take('-');
    if (!negative) take('+');
    seconds total{0};
    const auto h = number(0, 167);
    if (!h) return std::nullopt;
    total += hours(*h);
    if (take(':')) {
      const auto m = number(0, 59);
      if (!m) return std::nullopt;
      total += minutes(*m);
      if (take(':')) {
        const auto s = number(0, 59);
        if (!s) return std::nullopt;
        total += seconds(*s);
      }
    }
    return negative ? -total : total;
  }
  std::optional<Day> day() {
    Day out;
    if (take('M')) {
      const auto month = number(1, 12);
      if (!month || !take('.')) return std::nullopt;
      const auto week = number(1, 5);
      if (!week || !take('.')) return std::nullopt;
      const auto weekday = number(0, 6);
      if (!weekday) return std::nullopt;
      out.month = *month;
      out.week = *week;
      out.day = *weekday;
    } else {
      const bool without_leap_day = take('J');
      out.kind = without_leap_day ? Day::Kind::kJulianWithoutLeapDay : Day::Kind::kDayOfYear;
      const auto number_of_day = number(without_leap_day ? 1 : 0, 365);
      if (!number_of_day) return std::nullopt;
      out.day = *number_of_day;
    }
    if (take('/')) {
      const auto at = time();
      if (!at) return std::nullopt;
      out.time = *at;
    }
    return out;
  }
};

std::optional<PosixZone> PosixZone::parse(std::string_view text) {
  Reader reader{text};
  PosixZone zone;
  if (!reader.name()) return std::nullopt;
  const auto west = reader.time();
  if (!west) return std::nullopt;
  zone.standard_ = -*west;  // POSIX counts to the west
  if (reader.text.empty()) return zone;
  if (!reader.name()) return std::nullopt;
  zone.has_summer_ = true;
  zone.summer_ = zone.standard_ + hours(1);
  if (reader.peek() != ',') {
    const auto summer_west = reader.time();
    if (!summer_west) return std::nullopt;
    zone.summer_ = -*summer_west;
  }
  if (!reader.take(',')) return std::nullopt;
  const auto begins = reader.day();
  if (!begins || !reader.take(',')) return std::nullopt;
  const auto ends = reader.day();
  if (!ends || !reader.text.empty()) return std::nullopt;
  zone.begins_ = *begins;
  zone.ends_ = *ends;
  return zone;
}

sys_seconds PosixZone::on(const Day& day, year in) {
  const sys_days first = in / 1 / 1;
  switch (day.kind) {
    case Day::Kind::kDayOfYear:
      return first + days(day.day) + day.time;
    case Day::Kind::kJulianWithoutLeapDay:
      return first + days(day.day - (in.is_leap() && day.day >= 60 ? 0 : 1)) + day.time;
    case Day::Kind::kMonthWeekDay:
      break;
  }
  const std::chrono::weekday weekday(day.day);
  const auto month = in / std::chrono::month(day.month);
  if (day.week == 5) return sys_days(month / weekday[std::chrono::last]) + day.time;
  return sys_days(month / weekday[day.week]) + day.time;
}

sys_seconds PosixZone::summer_begins(year in) const { return on(begins_, in) - standard_; }
sys_seconds PosixZone::summer_ends(year in) const { return on(ends_, in) - summer_; }

seconds PosixZone::offset_at(sys_seconds at) const {
  if (!has_summer_) return standard_;
  const year in = year_month_day(floor<days>(at + standard_)).year();
  const auto begins = summer_begins(in);
  const auto ends = summer_ends(in);
  // In the south the summer lasts over the turn of the year.
  const bool summer = begins < ends ? at >= begins && at < ends : at >= begins || at < ends;
  return summer ? summer_ : standard_;
}

std::optional<sys_seconds> PosixZone::next_change(sys_seconds after) const {
  if (!has_summer_ || summer_ == standard_) return std::nullopt;
  const year in = year_month_day(floor<days>(after)).year();
  std::optional<sys_seconds> next;
  for (const year y : {in - std::chrono::years(1), in, in + std::chrono::years(1)}) {
    for (const auto change : std::array{summer_begins(y), summer_ends(y)}) {
      // A rule of a summer without end names changes at which nothing changes.
      if (change <= after || offset_at(change) == offset_at(change - seconds(1))) continue;
      if (!next || change < *next) next = change;
    }
  }
  return next;
}

}  // namespace mayfly::schedule
