#include "schedule/schedule.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>

namespace mayfly::schedule {

using std::chrono::minutes;
using std::chrono::seconds;

namespace {

constexpr std::size_t kMostBytes = 256;     // the models' own bound
constexpr std::size_t kMostRateDigits = 9;  // 999,999,999 days still fit the arithmetic

// The text between "<name>(" and ")".
std::optional<std::string_view> inside(std::string_view text, std::string_view name) {
  if (!text.starts_with(name) || !text.ends_with(')')) return std::nullopt;
  text.remove_prefix(name.size());
  if (!text.starts_with('(')) return std::nullopt;
  return text.substr(1, text.size() - 2);
}

std::optional<std::int64_t> digits(std::string_view text) {
  if (text.empty()) return std::nullopt;
  std::int64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + (c - '0');
  }
  return value;
}

Result<minutes> parse_rate(std::string_view text, Dialect dialect) {
  const auto space = text.find(' ');
  if (space == std::string_view::npos || space > kMostRateDigits) {
    return fail(ErrorCode::kInvalid, "a rate is a number and a unit");
  }
  const auto value = digits(text.substr(0, space));
  if (!value || *value == 0) return fail(ErrorCode::kInvalid, "a rate's number is a positive one");
  auto unit = text.substr(space + 1);
  const bool plural = unit.ends_with('s');
  if (plural) unit.remove_suffix(1);
  std::int64_t length = 0;
  if (unit == "minute") length = 1;
  if (unit == "hour") length = 60;
  if (unit == "day") length = 24 * 60;
  if (length == 0) return fail(ErrorCode::kInvalid, "a rate's unit is minutes, hours or days");
  if (dialect == Dialect::kRule && plural == (*value == 1)) {
    return fail(ErrorCode::kInvalid, "a rate of 1 has a unit in the singular, any other in the plural");
  }
  return minutes(*value * length);
}

// "yyyy-mm-ddThh:mm:ss", all of it.
Result<WallTime> parse_at(std::string_view text) {
  constexpr std::string_view kForm = "dddd-dd-ddTdd:dd:dd";
  bool fits = text.size() == kForm.size();
  for (std::size_t i = 0; fits && i < kForm.size(); ++i) {
    fits = kForm[i] == 'd' ? text[i] >= '0' && text[i] <= '9' : text[i] == kForm[i];
  }
  if (!fits) return fail(ErrorCode::kInvalid, "a time is written yyyy-mm-ddThh:mm:ss");
  const auto part = [&](std::size_t at, std::size_t length) {
    return static_cast<unsigned>(*digits(text.substr(at, length)));
  };
  const auto date =
      std::chrono::year(static_cast<int>(part(0, 4))) / std::chrono::month(part(5, 2)) / std::chrono::day(part(8, 2));
  if (!date.ok() || part(11, 2) > 23 || part(14, 2) > 59 || part(17, 2) > 59) {
    return fail(ErrorCode::kInvalid, "there is no such time");
  }
  return WallTime(std::chrono::local_days(date)) + std::chrono::hours(part(11, 2)) + minutes(part(14, 2)) +
         seconds(part(17, 2));
}

std::optional<SystemTime> next_cron(const Cron& cron, SystemTime after, const TimeZone& zone) {
  const auto second = std::chrono::floor<seconds>(after);
  auto wall = std::chrono::floor<minutes>(zone.wall_time(second));
  // Each round leaves an hour that is skipped or repeated, and of those there are few a year.
  for (int changes = 0; changes < 1'000; ++changes) {
    const auto next = cron.next_after(wall);
    if (!next) return std::nullopt;
    const auto resolved = zone.resolve(*next);
    const bool usable = resolved.kind != TimeZone::Resolved::Kind::kSkipped && resolved.instant > second;
    if (usable) return resolved.instant;
    wall = *next;
    if (resolved.kind == TimeZone::Resolved::Kind::kOnce) continue;
    // Nothing in there runs (again). One minute early, for a match at its very end.
    wall = std::max(wall, std::chrono::ceil<minutes>(resolved.resumes) - minutes(1));
  }
  return std::nullopt;
}

std::optional<SystemTime> next_rate(minutes period, SystemTime after, SystemTime anchor) {
  if (after < anchor) return anchor;
  // A next time beyond all calendars is none. Compared in minutes, for a long period overflows microseconds.
  constexpr SystemTime kEnd{std::chrono::sys_days(std::chrono::year(Cron::kLastYear + 1) / 1 / 1)};
  if (after >= kEnd || period > std::chrono::floor<minutes>(kEnd - after)) return std::nullopt;
  const auto step = std::chrono::duration_cast<std::chrono::microseconds>(period);
  const auto periods = (after - anchor) / step + 1;
  return anchor + periods * step;
}

}  // namespace

Result<Schedule> Schedule::parse(std::string_view expression, Dialect dialect) {
  const auto refuse = [&](std::string reason) {
    return fail(ErrorCode::kInvalid,
                dialect == Dialect::kRule ? "Parameter ScheduleExpression is not valid."
                                          : fmt::format("Invalid Schedule Expression {}.", expression),
                std::move(reason));
  };
  if (expression.size() > kMostBytes) return refuse("longer than 256 bytes");
  if (const auto fields = inside(expression, "cron")) {
    const auto cron = Cron::parse(*fields);
    if (!cron) return refuse(cron.error().message);
    return Schedule(*cron);
  }
  if (const auto text = inside(expression, "rate")) {
    const auto rate = parse_rate(*text, dialect);
    if (!rate) return refuse(rate.error().message);
    return Schedule(*rate);
  }
  if (const auto text = inside(expression, "at"); text && dialect == Dialect::kScheduler) {
    const auto at = parse_at(*text);
    if (!at) return refuse(at.error().message);
    return Schedule(*at);
  }
  return refuse(dialect == Dialect::kRule ? "neither cron(...) nor rate(...)"
                                          : "none of cron(...), rate(...) and at(...)");
}

std::optional<SystemTime> Schedule::next_after(SystemTime after, const TimeZone& zone, SystemTime anchor) const {
  if (const auto* cron = std::get_if<Cron>(&value_)) return next_cron(*cron, after, zone);
  if (const auto* rate = std::get_if<minutes>(&value_)) return next_rate(*rate, after, anchor);
  const SystemTime at = zone.resolve(std::get<WallTime>(value_)).instant;
  if (at <= after) return std::nullopt;
  return at;
}

std::optional<SystemTime> Schedule::next_after(SystemTime after, SystemTime anchor) const {
  static const TimeZone kUtc;
  return next_after(after, kUtc, anchor);
}

}  // namespace mayfly::schedule
