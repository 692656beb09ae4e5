// Time zones of the IANA database: what the clock on the wall shows at an instant, and which instant a time on the
// wall is. Read from the system's compiled files (TZif, RFC 9636), because libstdc++ 12 has no std::chrono::time_zone
// and the files that the system keeps up to date are the ones that people expect to hold.
//
// Concurrency. A TimeZone never changes. TimeZones may be asked from any thread.
// Limits.      A file of 64 KiB, 4,096 transitions, names of 50 characters; what is more is refused as corrupt.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "schedule/posix_zone.h"

namespace mayfly::schedule {

using Instant = std::chrono::sys_seconds;
using WallTime = std::chrono::local_seconds;

class TimeZone {
 public:
  TimeZone() = default;  // UTC
  // The bytes of a TZif file, version 1 to 4.
  static Result<TimeZone> parse(std::string_view bytes);

  [[nodiscard]] std::chrono::seconds offset_at(Instant at) const;
  [[nodiscard]] WallTime wall_time(Instant at) const;

  struct Resolved {
    enum class Kind : std::uint8_t { kOnce, kSkipped, kRepeated };
    Kind kind = Kind::kOnce;
    Instant instant;   // kRepeated: the first of the two; kSkipped: as far behind the change as the time asked for
    WallTime resumes;  // kSkipped, kRepeated: the first time on the wall behind the hour that is skipped or repeated
  };
  [[nodiscard]] Resolved resolve(WallTime wall) const;

 private:
  struct Transition {
    Instant at;
    std::chrono::seconds offset{0};
  };
  [[nodiscard]] std::optional<Instant> next_change(Instant after) const;

  std::chrono::seconds first_offset_{0};
  std::vector<Transition> transitions_;  // ascending
  std::optional<PosixZone> rule_;        // holds after the last transition
};

using TimeZonePtr = std::shared_ptr<const TimeZone>;

// Zones by name, each read once.
class TimeZones {
 public:
  explicit TimeZones(std::filesystem::path folder);
  // "Europe/Berlin", "UTC". kNotFound where there is no such zone, kCorrupt where its file cannot be used. "UTC" needs
  // no file.
  Result<TimeZonePtr> find(std::string_view name);

 private:
  std::filesystem::path folder_;
  std::mutex mutex_;
  std::map<std::string, TimeZonePtr, std::less<>> zones_;  // only those that exist
};

// Where Debian and its kin keep them.
inline constexpr std::string_view kZoneFolder = "/usr/share/zoneinfo";

}  // namespace mayfly::schedule
