#include "services/scheduler/record.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "base/json.h"
#include "base/time_format.h"

namespace mayfly::scheduler {
namespace {

using std::chrono::microseconds;

std::string micros_text(const std::optional<SystemTime>& time) {
  return time ? fmt::format("{}", time->time_since_epoch().count()) : std::string("-");
}

std::optional<std::optional<SystemTime>> micros(std::string_view text) {
  if (text == "-") return std::optional<SystemTime>();
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return SystemTime(microseconds(value));
}

// "1 <fires at> <due>\n".
struct FirstLine {
  std::optional<SystemTime> fires_at;
  std::optional<SystemTime> due;
  std::string_view rest;
};

Result<FirstLine> read_first_line(std::string_view text) {
  const auto end = text.find('\n');
  const auto line = text.substr(0, end);
  const auto second = line.size() > 2 ? line.find(' ', 2) : std::string_view::npos;
  if (end == std::string_view::npos || !line.starts_with("1 ") || second == std::string_view::npos) {
    return fail(ErrorCode::kCorrupt, "not a schedule's record, or one of a newer version");
  }
  const auto fires_at = micros(line.substr(2, second - 2));
  const auto due = micros(line.substr(second + 1));
  if (!fires_at || !due) return fail(ErrorCode::kCorrupt, "a schedule's record with times that cannot be read");
  return FirstLine{.fires_at = *fires_at, .due = *due, .rest = text.substr(end + 1)};
}

std::vector<std::string_view> parts_of(std::string_view key) {
  std::vector<std::string_view> parts;
  while (true) {
    const auto slash = key.find('/');
    parts.push_back(key.substr(0, slash));
    if (slash == std::string_view::npos) return parts;
    key.remove_prefix(slash + 1);
  }
}

// The same for one occurrence at every start, and spread over the window between occurrences and schedules.
microseconds in_window(const ScheduleRecord& record, SystemTime due) {
  if (!record.shown.FlexibleTimeWindow || record.shown.FlexibleTimeWindow->Mode != "FLEXIBLE") return microseconds(0);
  const auto window = std::chrono::minutes(record.shown.FlexibleTimeWindow->MaximumWindowInMinutes.value_or(0));
  std::uint64_t hash = 14'695'981'039'346'656'037ULL;
  const auto mix = [&hash](std::string_view text) {
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1'099'511'628'211ULL;
  };
  mix(text_of(record.shown.Arn));
  mix(fmt::format("{}", due.time_since_epoch().count()));
  // The low bits of this hash differ little between neighbours.
  hash ^= hash >> 33U;
  const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(window).count();
  if (milliseconds <= 0) return microseconds(0);
  return std::chrono::milliseconds(static_cast<std::int64_t>(hash % static_cast<std::uint64_t>(milliseconds)));
}

void set_due(ScheduleRecord& record, std::optional<SystemTime> due) {
  record.due = due;
  record.fires_at.reset();
  if (due) record.fires_at = *due + in_window(record, *due);
}

std::optional<SystemTime> time_of(const std::optional<double>& seconds) {
  if (!seconds) return std::nullopt;
  return from_epoch_seconds(*seconds);
}

// The first occurrence of a recurring schedule behind `after`, within its dates.
std::optional<SystemTime> recurring_after(const ScheduleRecord& record, const Timing& timing, SystemTime after) {
  if (const auto start = time_of(record.shown.StartDate)) after = std::max(after, *start - microseconds(1));
  const auto due = timing.expression.next_after(after, *timing.zone, record.anchor);
  const auto end = time_of(record.shown.EndDate);
  if (!due || (end && *due >= *end)) return std::nullopt;
  return due;
}

}  // namespace

std::string text_of(const std::optional<std::string>& text) { return text.value_or(std::string()); }

std::string schedule_key(const Place& place, std::string_view group, std::string_view name) {
  return fmt::format("{}{}/{}/{}/{}", kSchedulePrefix, place.account, place.region, group, name);
}

std::string group_key(const Place& place, std::string_view name) {
  return fmt::format("{}{}/{}/{}", kGroupPrefix, place.account, place.region, name);
}

std::string schedule_arn(const Place& place, std::string_view group, std::string_view name) {
  return fmt::format("arn:aws:scheduler:{}:{}:schedule/{}/{}", place.region, place.account, group, name);
}

std::string group_arn(const Place& place, std::string_view name) {
  return fmt::format("arn:aws:scheduler:{}:{}:schedule-group/{}", place.region, place.account, name);
}

Place place_of(std::string_view key) {
  const auto parts = parts_of(key);
  if (parts.size() < 4) return {};
  return {.account = std::string(parts[2]), .region = std::string(parts[3])};
}

std::string to_text(const ScheduleRecord& record) {
  json::object shown;
  to_document(record.shown, shown);
  json::object out;
  out["shown"] = std::move(shown);
  out["generation"] = record.generation;
  out["createToken"] = record.create_token;
  if (!record.update_token.empty()) out["updateToken"] = record.update_token;
  out["anchor"] = record.anchor.time_since_epoch().count();
  if (record.last_due) out["lastDue"] = record.last_due->time_since_epoch().count();
  return fmt::format("1 {} {}\n{}", micros_text(record.fires_at), micros_text(record.due), to_json(out));
}

Result<ScheduleRecord> schedule_from_text(std::string_view key, std::string_view text) {
  const auto first = read_first_line(text);
  if (!first) return std::unexpected(first.error());
  const auto parsed = parse_json(first->rest);
  if (!parsed) return std::unexpected(parsed.error());
  const auto* shown = find(*parsed, "shown");
  if (shown == nullptr || !shown->is_object()) return fail(ErrorCode::kCorrupt, "a schedule's record without it");
  ScheduleRecord record;
  record.place = place_of(key);
  from_document(shown->get_object(), record.shown);
  record.generation = get_string(*parsed, "generation");
  record.create_token = get_string(*parsed, "createToken");
  record.update_token = get_string(*parsed, "updateToken");
  record.anchor = SystemTime(microseconds(get_int(*parsed, "anchor")));
  if (find(*parsed, "lastDue") != nullptr) record.last_due = SystemTime(microseconds(get_int(*parsed, "lastDue")));
  record.fires_at = first->fires_at;
  record.due = first->due;
  return record;
}

Result<std::optional<SystemTime>> fires_at_of(std::string_view text) {
  const auto first = read_first_line(text);
  if (!first) return std::unexpected(first.error());
  return first->fires_at;
}

std::string to_text(const GroupRecord& record) {
  json::array tags;
  for (const auto& [key, value] : record.tags) tags.push_back(json::array{key, value});
  return to_json(json::object{{"format", 1},
                              {"state", record.state},
                              {"createToken", record.create_token},
                              {"created", record.created},
                              {"modified", record.modified},
                              {"tags", std::move(tags)}});
}

Result<GroupRecord> group_from_text(std::string_view key, std::string_view text) {
  const auto parsed = parse_json(text);
  if (!parsed) return std::unexpected(parsed.error());
  if (get_int(*parsed, "format") != 1) return fail(ErrorCode::kCorrupt, "a group's record of another version");
  GroupRecord record;
  record.place = place_of(key);
  record.name = key.substr(key.rfind('/') + 1);
  record.state = get_string(*parsed, "state");
  record.create_token = get_string(*parsed, "createToken");
  const auto number = [&](std::string_view name) {
    const auto* value = find(*parsed, name);
    return value != nullptr && value->is_number() ? value->to_number<double>() : 0.0;
  };
  record.created = number("created");
  record.modified = number("modified");
  if (const auto* tags = find(*parsed, "tags"); tags != nullptr && tags->is_array()) {
    for (const auto& tag : tags->get_array()) {
      if (!tag.is_array() || tag.get_array().size() != 2) continue;
      const auto* name = tag.get_array()[0].if_string();
      const auto* value = tag.get_array()[1].if_string();
      if (name != nullptr && value != nullptr) record.tags.emplace_back(*name, *value);
    }
  }
  return record;
}

bool is_enabled(const ScheduleRecord& record) { return record.shown.State.value_or("ENABLED") == "ENABLED"; }

Result<Timing> timing_of(const ScheduleRecord& record, schedule::TimeZones& zones) {
  auto expression =
      schedule::Schedule::parse(record.shown.ScheduleExpression.value_or(""), schedule::Dialect::kScheduler);
  if (!expression) return std::unexpected(std::move(expression.error()));
  auto zone = zones.find(record.shown.ScheduleExpressionTimezone.value_or("UTC"));
  if (!zone) return std::unexpected(std::move(zone.error()));
  return Timing{.expression = *expression, .zone = std::move(*zone)};
}

std::chrono::seconds max_age_of(const ScheduleRecord& record) {
  constexpr std::chrono::seconds kDefault{86'400};
  if (!record.shown.Target || !record.shown.Target->RetryPolicy) return kDefault;
  const auto& age = record.shown.Target->RetryPolicy->MaximumEventAgeInSeconds;
  return age ? std::chrono::seconds(*age) : kDefault;
}

void plan_first(ScheduleRecord& record, const Timing& timing, SystemTime now) {
  set_due(record, std::nullopt);
  if (!is_enabled(record)) return;
  if (timing.expression.kind() == schedule::Schedule::Kind::kAt) {
    const auto at = timing.expression.next_after(SystemTime::min(), *timing.zone, record.anchor);
    if (at && record.last_due != at) set_due(record, at);
    return;
  }
  // A rate is due at its anchor, which may be this very second.
  auto after = now;
  if (timing.expression.kind() == schedule::Schedule::Kind::kRate && record.anchor <= now &&
      now - record.anchor < std::chrono::seconds(1)) {
    after = record.anchor - microseconds(1);
  }
  if (record.last_due) after = std::max(after, *record.last_due);
  set_due(record, recurring_after(record, timing, after));
}

void plan_next(ScheduleRecord& record, const Timing& timing, SystemTime now) {
  if (!record.due) return;
  record.last_due = record.due;
  if (timing.expression.kind() == schedule::Schedule::Kind::kAt) {
    set_due(record, std::nullopt);
    return;
  }
  const auto too_old = now - max_age_of(record) - microseconds(1);
  set_due(record, recurring_after(record, timing, std::max(*record.due, too_old)));
}

}  // namespace mayfly::scheduler
