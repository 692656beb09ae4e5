// Schedules and groups as they lie in the store.
//
// Form. A schedule is "1 <fires at> <due>\n<JSON>", the times in microseconds since 1970 or "-": a start reads a
//       million first lines and no JSON. Keys are scheduler/schedule/<account>/<region>/<group>/<name> and
//       scheduler/group/<account>/<region>/<name>; names hold no slash.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "schedule/schedule.h"
#include "services/scheduler/errors.h"

namespace mayfly::scheduler {

inline constexpr std::string_view kSchedulePrefix = "scheduler/schedule/";
inline constexpr std::string_view kGroupPrefix = "scheduler/group/";
inline constexpr std::string_view kDefaultGroup = "default";

struct Place {
  std::string account;
  std::string region;
  auto operator<=>(const Place&) const = default;
};

struct ScheduleRecord {
  Place place;
  wire::GetScheduleOutput shown;  // what GetSchedule answers, times rounded to a microsecond
  std::string generation;         // a UUID of its creation: one made again under its name has other occurrences
  std::string create_token;
  std::string update_token;
  SystemTime anchor;                   // of a rate
  std::optional<SystemTime> due;       // the next occurrence
  std::optional<SystemTime> fires_at;  // when it is handed over: `due`, or a time in the window behind it
  std::optional<SystemTime> last_due;  // the last occurrence that was handed over
};

struct GroupRecord {
  Place place;
  std::string name;
  std::string state;  // "ACTIVE", "DELETING"
  std::string create_token;
  double created = 0;
  double modified = 0;
  std::vector<std::pair<std::string, std::string>> tags;  // in order of their first setting
};

std::string schedule_key(const Place& place, std::string_view group, std::string_view name);
std::string group_key(const Place& place, std::string_view name);
std::string schedule_arn(const Place& place, std::string_view group, std::string_view name);
std::string group_arn(const Place& place, std::string_view name);
// The place of a key of either kind; empty where it is none.
Place place_of(std::string_view key);

std::string to_text(const ScheduleRecord& record);
Result<ScheduleRecord> schedule_from_text(std::string_view key, std::string_view text);
// Its first line alone.
Result<std::optional<SystemTime>> fires_at_of(std::string_view text);
std::string to_text(const GroupRecord& record);
Result<GroupRecord> group_from_text(std::string_view key, std::string_view text);

std::string text_of(const std::optional<std::string>& text);
bool is_enabled(const ScheduleRecord& record);
// Whose expression has been parsed before, when it was accepted; a zone that has gone from the system since is an
// error.
struct Timing {
  schedule::Schedule expression;
  schedule::TimeZonePtr zone;
};
Result<Timing> timing_of(const ScheduleRecord& record, schedule::TimeZones& zones);

// Sets due and fires_at to the first occurrence that counts from `now` on. One that is disabled has none; a one-time
// schedule whose time has passed and that has not run is due at that time, which is at once.
void plan_first(ScheduleRecord& record, const Timing& timing, SystemTime now);
// The same behind the occurrence `due`, which has been handed over or is left out; of a recurring one that is so late
// that its events would be too old, the first that is not.
void plan_next(ScheduleRecord& record, const Timing& timing, SystemTime now);
std::chrono::seconds max_age_of(const ScheduleRecord& record);

}  // namespace mayfly::scheduler
