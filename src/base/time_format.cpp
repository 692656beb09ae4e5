#include "base/time_format.h"

#include <fmt/core.h>

#include <array>
#include <cmath>
#include <cstdint>

namespace mayfly {
namespace {
using std::chrono::floor;

struct Parts {
  std::chrono::year_month_day date;
  std::chrono::hh_mm_ss<std::chrono::microseconds> time;
};

Parts parts_of(SystemTime time) {
  const auto day = floor<std::chrono::days>(time);
  return {.date = day, .time = std::chrono::hh_mm_ss(time - day)};
}

std::string format_parts(SystemTime time, std::string_view date_separator, std::string_view time_separator) {
  const Parts p = parts_of(time);
  return fmt::format("{:04}{}{:02}{}{:02}T{:02}{}{:02}{}{:02}", int(p.date.year()), date_separator,
                     unsigned(p.date.month()), date_separator, unsigned(p.date.day()), p.time.hours().count(),
                     time_separator, p.time.minutes().count(), time_separator, p.time.seconds().count());
}

std::int64_t millis(SystemTime time) { return parts_of(time).time.subseconds().count() / 1000; }

constexpr std::array<std::string_view, 7> kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

// Reads fixed-width numbers and separators; `ok` falls with the first mismatch and stays down.
class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}
  int digits(std::size_t count) {
    int value = 0;
    for (std::size_t i = 0; i < count; ++i) {
      if (at_ >= text_.size() || text_[at_] < '0' || text_[at_] > '9') return fail();
      value = value * 10 + (text_[at_++] - '0');
    }
    return value;
  }
  bool optional(char c) {
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!optional(c)) fail();
  }
  [[nodiscard]] bool digit_follows() const { return at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; }
  [[nodiscard]] bool done() const { return ok_ && at_ == text_.size(); }
  [[nodiscard]] bool ok() const { return ok_; }
  std::string_view take(std::size_t count) {
    if (at_ + count > text_.size()) {
      fail();
      return {};
    }
    at_ += count;
    return text_.substr(at_ - count, count);
  }

 private:
  int fail() {
    ok_ = false;
    return 0;
  }
  std::string_view text_;
  std::size_t at_ = 0;
  bool ok_ = true;
};

std::optional<SystemTime> assemble(int year, int month, int day, int hour, int minute, int second) {
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok() || hour > 23 || minute > 59 || second > 60) return std::nullopt;
  return SystemTime(std::chrono::sys_days(date)) + std::chrono::hours(hour) + std::chrono::minutes(minute) +
         std::chrono::seconds(second);
}
}  // namespace

std::string iso8601_basic(SystemTime time) { return format_parts(time, "", "") + "Z"; }
std::string iso8601_millis_offset(SystemTime time) {
  return fmt::format("{}.{:03}+0000", format_parts(time, "-", ":"), millis(time));
}
std::string iso8601_millis(SystemTime time) {
  return fmt::format("{}.{:03}Z", format_parts(time, "-", ":"), millis(time));
}

std::string http_date(SystemTime time) {
  const Parts p = parts_of(time);
  const std::chrono::weekday weekday(floor<std::chrono::days>(time));
  return fmt::format("{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT", kDays[weekday.c_encoding()], unsigned(p.date.day()),
                     kMonths[unsigned(p.date.month()) - 1], int(p.date.year()), p.time.hours().count(),
                     p.time.minutes().count(), p.time.seconds().count());
}

std::optional<SystemTime> parse_iso8601(std::string_view text) {
  Reader in(text);
  const int year = in.digits(4);
  const bool extended = in.optional('-');
  const int month = in.digits(2);
  if (extended) in.expect('-');
  const int day = in.digits(2);
  if (!in.optional('T')) in.expect(' ');
  const int hour = in.digits(2);
  if (extended) in.expect(':');
  const int minute = in.digits(2);
  if (extended) in.expect(':');
  const int second = in.digits(2);
  std::int64_t micros = 0;
  if (in.optional('.')) {
    std::int64_t scale = 100'000;
    while (in.digit_follows()) {
      micros += in.digits(1) * scale;
      scale /= 10;
    }
  }
  std::chrono::minutes offset{0};
  if (!in.optional('Z')) {
    const bool negative = in.optional('-');
    if (!negative) in.expect('+');
    const int hours = in.digits(2);
    in.optional(':');
    offset = std::chrono::hours(hours) + std::chrono::minutes(in.digits(2));
    if (negative) offset = -offset;
  }
  if (!in.done()) return std::nullopt;
  auto time = assemble(year, month, day, hour, minute, second);
  if (time) *time += std::chrono::microseconds(micros) - offset;
  return time;
}

std::optional<SystemTime> parse_http_date(std::string_view text) {
  Reader in(text);
  in.take(3);
  in.expect(',');
  in.expect(' ');
  const int day = in.digits(2);
  in.expect(' ');
  const std::string_view month_name = in.take(3);
  int month = 0;
  for (std::size_t i = 0; i < kMonths.size(); ++i) {
    if (kMonths[i] == month_name) month = static_cast<int>(i) + 1;
  }
  in.expect(' ');
  const int year = in.digits(4);
  in.expect(' ');
  const int hour = in.digits(2);
  in.expect(':');
  const int minute = in.digits(2);
  in.expect(':');
  const int second = in.digits(2);
  if (in.take(4) != " GMT" || !in.done() || month == 0) return std::nullopt;
  return assemble(year, month, day, hour, minute, second);
}

double epoch_seconds(SystemTime time) { return static_cast<double>(time.time_since_epoch().count()) / 1e6; }

SystemTime from_epoch_seconds(double seconds) {
  return SystemTime(std::chrono::microseconds(static_cast<std::int64_t>(std::llround(seconds * 1e6))));
}

}  // namespace mayfly
