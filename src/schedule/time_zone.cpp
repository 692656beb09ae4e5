#include "schedule/time_zone.h"

#include <algorithm>
#include <fstream>

namespace mayfly::schedule {

using std::chrono::seconds;

namespace {

constexpr std::size_t kFileBytes = 64UL * 1024;
constexpr std::size_t kNameBytes = 50;
constexpr std::uint32_t kMostTransitions = 4096;
constexpr std::size_t kHeaderBytes = 44;
constexpr std::int64_t kMostOffset = 26 * 3600;  // RFC 9636: -25 h to 26 h
// Beyond these no schedule reaches; some files begin at the Big Bang.
constexpr std::int64_t kEarliest = -20'000'000'000;
constexpr std::int64_t kLatest = 20'000'000'000;

std::unexpected<Error> corrupt(std::string why) { return fail(ErrorCode::kCorrupt, std::move(why)); }

std::uint8_t byte_at(std::string_view bytes, std::size_t at) { return static_cast<std::uint8_t>(bytes[at]); }

std::uint64_t big_endian(std::string_view bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) value = value << 8U | byte_at(bytes, i);
  return value;
}

struct Header {
  std::uint8_t version = 0;
  std::uint32_t isut = 0;
  std::uint32_t isstd = 0;
  std::uint32_t leap = 0;
  std::uint32_t times = 0;
  std::uint32_t types = 0;
  std::uint32_t chars = 0;

  [[nodiscard]] std::size_t data_bytes(std::size_t time_bytes) const {
    return times * (time_bytes + 1) + types * 6UL + chars + leap * (time_bytes + 4) + isstd + isut;
  }
};

Result<Header> read_header(std::string_view bytes) {
  if (bytes.size() < kHeaderBytes || !bytes.starts_with("TZif")) return corrupt("not a TZif file");
  const auto count = [&](std::size_t index) {
    return static_cast<std::uint32_t>(big_endian(bytes.substr(20 + index * 4, 4)));
  };
  Header header;
  header.version = byte_at(bytes, 4);
  header.isut = count(0);
  header.isstd = count(1);
  header.leap = count(2);
  header.times = count(3);
  header.types = count(4);
  header.chars = count(5);
  if (header.times > kMostTransitions || header.types == 0 || header.types > 256 || header.chars > 4096 ||
      header.leap > 4096 || header.isut > 256 || header.isstd > 256) {
    return corrupt("a TZif file with counts out of bounds");
  }
  return header;
}

bool is_zone_name(std::string_view name) {
  if (name.empty() || name.size() > kNameBytes || name.front() == '/' || name.find("..") != std::string_view::npos) {
    return false;
  }
  // These are folders of the database's other forms, not zones of the database.
  if (name.starts_with("posix/") || name.starts_with("right/") || name == "localtime" || name == "posixrules") {
    return false;
  }
  return std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '+' ||
           c == '-' || c == '/';
  });
}

}  // namespace

Result<TimeZone> TimeZone::parse(std::string_view bytes) {
  auto header = read_header(bytes);
  if (!header) return std::unexpected(header.error());
  auto data = bytes.substr(kHeaderBytes);
  std::size_t time_bytes = 4;
  if (header->version >= '2') {
    // The first block is the same in 32 bits, for old readers.
    const auto first = header->data_bytes(4);
    if (data.size() < first) return corrupt("a TZif file that ends too early");
    data.remove_prefix(first);
    header = read_header(data);
    if (!header) return std::unexpected(header.error());
    data.remove_prefix(kHeaderBytes);
    time_bytes = 8;
  }
  const auto whole = header->data_bytes(time_bytes);
  if (data.size() < whole) return corrupt("a TZif file that ends too early");
  const auto indexes = data.substr(header->times * time_bytes, header->times);
  const auto types = data.substr(header->times * (time_bytes + 1), header->types * 6UL);
  const auto offset_of = [&](std::size_t type) -> std::optional<seconds> {
    if (type >= header->types) return std::nullopt;
    const auto offset = static_cast<std::int32_t>(big_endian(types.substr(type * 6, 4)));
    if (offset < -kMostOffset || offset > kMostOffset) return std::nullopt;
    return seconds(offset);
  };
  TimeZone zone;
  const auto first = offset_of(0);
  if (!first) return corrupt("a TZif file with an offset out of bounds");
  zone.first_offset_ = *first;
  for (std::size_t i = 0; i < header->times; ++i) {
    const auto raw = big_endian(data.substr(i * time_bytes, time_bytes));
    const auto at = time_bytes == 8 ? static_cast<std::int64_t>(raw) : static_cast<std::int32_t>(raw);
    const auto offset = offset_of(byte_at(indexes, i));
    if (!offset) return corrupt("a TZif file with an offset out of bounds");
    const Instant when{seconds(std::clamp(at, kEarliest, kLatest))};
    if (!zone.transitions_.empty() && when < zone.transitions_.back().at) {
      return corrupt("a TZif file with transitions out of order");
    }
    zone.transitions_.push_back({.at = when, .offset = *offset});
  }
  auto footer = data.substr(whole);
  if (time_bytes == 8 && footer.size() > 2 && footer.front() == '\n') {
    footer.remove_prefix(1);
    zone.rule_ = PosixZone::parse(footer.substr(0, footer.find('\n')));
    if (!zone.rule_) return corrupt("a TZif file with a rule that cannot be read");
  }
  return zone;
}

seconds TimeZone::offset_at(Instant at) const {
  if (transitions_.empty()) return rule_ ? rule_->offset_at(at) : first_offset_;
  if (rule_ && at >= transitions_.back().at) return rule_->offset_at(at);
  const auto next = std::ranges::upper_bound(transitions_, at, {}, &Transition::at);
  return next == transitions_.begin() ? first_offset_ : std::prev(next)->offset;
}

WallTime TimeZone::wall_time(Instant at) const { return WallTime((at + offset_at(at)).time_since_epoch()); }

std::optional<Instant> TimeZone::next_change(Instant after) const {
  const auto next = std::ranges::upper_bound(transitions_, after, {}, &Transition::at);
  if (next != transitions_.end()) return next->at;
  return rule_ ? rule_->next_change(after) : std::nullopt;
}

TimeZone::Resolved TimeZone::resolve(WallTime wall) const {
  const Instant as_utc(wall.time_since_epoch());
  // No zone is further than a day from UTC, and no two changes are closer than this in any file.
  const auto before = offset_at(as_utc - std::chrono::days(1));
  const auto after = offset_at(as_utc + std::chrono::days(1));
  const Instant earlier = as_utc - std::max(before, after);
  const Instant later = as_utc - std::min(before, after);
  const auto wall_after_change = [this](Instant around, bool new_offset) {
    const auto change = next_change(around).value_or(around);
    return WallTime((change + offset_at(new_offset ? change : change - seconds(1))).time_since_epoch());
  };
  const bool earlier_holds = wall_time(earlier) == wall;
  const bool later_holds = wall_time(later) == wall;
  Resolved out;
  out.instant = earlier_holds ? earlier : later;
  if (earlier_holds && later_holds && earlier != later) {
    out.kind = Resolved::Kind::kRepeated;
    out.resumes = wall_after_change(earlier, false);
  } else if (!earlier_holds && !later_holds) {
    out.kind = Resolved::Kind::kSkipped;
    out.resumes = wall_after_change(earlier, true);
    // A change that is none of the two (two within two days): go on behind this second, not behind nothing.
    if (out.resumes <= wall) out.resumes = wall + seconds(1);
  }
  return out;
}

TimeZones::TimeZones(std::filesystem::path folder) : folder_(std::move(folder)) {}

Result<TimeZonePtr> TimeZones::find(std::string_view name) {
  {
    const std::lock_guard lock(mutex_);
    if (const auto known = zones_.find(name); known != zones_.end()) return known->second;
  }
  TimeZonePtr zone;
  if (name == "UTC") {
    zone = std::make_shared<const TimeZone>();
  } else {
    if (!is_zone_name(name)) return fail(ErrorCode::kNotFound, "no such time zone");
    std::error_code ignored;
    const auto path = folder_ / name;
    if (!std::filesystem::is_regular_file(path, ignored)) return fail(ErrorCode::kNotFound, "no such time zone");
    std::ifstream file(path, std::ios::binary);
    std::string bytes(kFileBytes, '\0');
    file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    bytes.resize(static_cast<std::size_t>(file.gcount()));
    // Tables beside the zones (zone.tab) are files, too.
    if (!bytes.starts_with("TZif")) return fail(ErrorCode::kNotFound, "no such time zone");
    auto parsed = TimeZone::parse(bytes);
    if (!parsed) return std::unexpected(std::move(parsed.error()));
    zone = std::make_shared<const TimeZone>(std::move(*parsed));
  }
  const std::lock_guard lock(mutex_);
  return zones_.emplace(std::string(name), std::move(zone)).first->second;
}

}  // namespace mayfly::schedule
