// The commands for schedules and for the test clock.
#include <fmt/core.h>

#include <charconv>
#include <optional>

#include "base/encoding.h"
#include "cli/commands.h"

namespace mayfly::cli {
namespace {

std::string escaped(std::string_view text) { return percent_encode(text, Slash::kEncode); }

std::string text_or(const json::value& object, std::string_view key, std::string_view fallback) {
  return std::string(get_string(object, key, fallback));
}

// "1h30m" in seconds.
std::optional<double> duration_seconds(std::string_view text) {
  double total = 0;
  while (!text.empty()) {
    double number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || !(number >= 0)) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    if (text.empty()) return std::nullopt;
    constexpr std::string_view kUnits = "smhd";
    constexpr double kSeconds[] = {1, 60, 3600, 86'400};
    const auto unit = kUnits.find(text.front());
    if (unit == std::string_view::npos) return std::nullopt;
    total += number * kSeconds[unit];
    text.remove_prefix(1);
  }
  return total;
}

int move_clock(const Output& out, const ConnectionOptions& options, const json::object& request) {
  const auto connection = connect(options);
  if (!connection) return out.failure(connection.error());
  const auto answer = send_json(*connection, {.method = "POST",
                                              .target = "/_mayfly/clock",
                                              .body = to_json(request),
                                              .headers = {{"Content-Type", "application/json"}},
                                              .service = "mayfly"});
  if (!answer) return out.failure(answer.error());
  if (out.json) {
    out.value(*answer);
  } else {
    out.line(std::string(get_string(*answer, "now")));
  }
  return 0;
}

}  // namespace

int list_schedules(const Output& out, const ConnectionOptions& options, const ScheduleOptions& what) {
  const auto connection = connect(options);
  if (!connection) return out.failure(connection.error());
  json::array all;
  std::string after;
  do {
    const auto page =
        send_json(*connection,
                  {.target = fmt::format("/_mayfly/schedules?group={}&after={}", escaped(what.group), escaped(after)),
                   .service = "mayfly"});
    if (!page) return out.failure(page.error());
    if (const auto* items = find(*page, "Schedules"); items != nullptr && items->is_array()) {
      all.insert(all.end(), items->get_array().begin(), items->get_array().end());
    }
    after = get_string(*page, "After");
  } while (!after.empty());
  if (out.json) {
    out.value(all);
    return 0;
  }
  if (all.empty()) {
    out.note("no schedules yet; aws scheduler create-schedule makes one");
    return 0;
  }
  std::vector<std::vector<std::string>> rows;
  for (const auto& one : all) {
    rows.push_back({text_or(one, "Name", ""), text_or(one, "Group", ""), text_or(one, "Expression", ""),
                    text_or(one, "Zone", ""), text_or(one, "State", ""), text_or(one, "Next", "-"),
                    text_or(one, "Last", "-")});
  }
  out.table({"NAME", "GROUP", "EXPRESSION", "ZONE", "STATE", "NEXT", "LAST"}, rows);
  return 0;
}

int show_schedule(const Output& out, const ConnectionOptions& options, const ScheduleOptions& what) {
  const auto connection = connect(options);
  if (!connection) return out.failure(connection.error());
  const auto found =
      send_json(*connection,
                {.target = fmt::format("/_mayfly/schedules?group={}&name={}", escaped(what.group), escaped(what.name)),
                 .service = "mayfly"});
  if (!found) return out.failure(found.error());
  if (out.json) {
    out.value(*found);
    return 0;
  }
  for (const auto* key : {"Arn", "Expression", "Zone", "State", "Target", "Last"}) {
    const auto value = text_or(*found, key, "");
    if (!value.empty()) out.line(fmt::format("{:<11} {}", key, value));
  }
  if (const auto* times = find(*found, "Upcoming"); times != nullptr && times->is_array()) {
    for (const auto& time : times->get_array()) {
      if (time.is_string()) out.line(fmt::format("{:<11} {}", "Next", std::string_view(time.get_string())));
    }
  }
  return 0;
}

int run_schedule(const Output& out, const ConnectionOptions& options, const ScheduleOptions& what) {
  const auto connection = connect(options);
  if (!connection) return out.failure(connection.error());
  const auto done = send_json(*connection, {.method = "POST",
                                            .target = fmt::format("/_mayfly/schedules/run?group={}&name={}",
                                                                  escaped(what.group), escaped(what.name)),
                                            .service = "mayfly"});
  if (!done) return out.failure(done.error());
  if (!out.json) out.note(fmt::format("{} has been handed to its target", what.name));
  return 0;
}

int show_clock(const Output& out, const ConnectionOptions& options) {
  const auto connection = connect(options);
  if (!connection) return out.failure(connection.error());
  const auto answer = send_json(*connection, {.target = "/_mayfly/clock", .service = "mayfly"});
  if (!answer) return out.failure(answer.error());
  if (out.json) {
    out.value(*answer);
  } else {
    out.line(std::string(get_string(*answer, "now")));
  }
  return 0;
}

int advance_clock(const Output& out, const ConnectionOptions& options, const std::string& by) {
  const auto seconds = duration_seconds(by);
  if (!seconds) {
    return out.failure(
        {.code = ErrorCode::kInvalid, .message = by + " is no duration such as 45s, 1h30m or 2d", .hint = ""});
  }
  return move_clock(out, options, json::object{{"advance_seconds", *seconds}});
}

int set_clock(const Output& out, const ConnectionOptions& options, const std::string& to) {
  return move_clock(out, options, json::object{{"to", to}});
}

}  // namespace mayfly::cli
