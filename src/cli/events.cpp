// `mayfly events tail` and `mayfly events replay`.
#include <fmt/core.h>

#include <charconv>
#include <optional>
#include <thread>

#include "base/clock.h"
#include "base/encoding.h"
#include "base/ids.h"
#include "base/time_format.h"
#include "cli/commands.h"

namespace mayfly::cli {
namespace {

Result<json::value> call_events(const Connection& connection, const std::string& operation, const json::value& body) {
  Call call{.method = "POST", .target = "/", .body = to_json(body), .headers = {}, .service = "events"};
  call.headers.emplace_back("X-Amz-Target", "AWSEvents." + operation);
  call.headers.emplace_back("Content-Type", "application/x-amz-json-1.1");
  return send_json(connection, call);
}

// A time, or how long before `now`.
Result<SystemTime> time_of(const std::string& text, SystemTime now) {
  if (text.empty()) return now;
  if (const auto time = parse_iso8601(text)) return *time;
  std::int64_t count = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), count);
  const std::string_view unit(parsed.ptr, static_cast<std::size_t>(text.data() + text.size() - parsed.ptr));
  if (parsed.ec == std::errc() && count >= 0 && count < 1'000'000) {
    if (unit == "s") return now - std::chrono::seconds(count);
    if (unit == "m") return now - std::chrono::minutes(count);
    if (unit == "h") return now - std::chrono::hours(count);
    if (unit == "d") return now - std::chrono::days(count);
  }
  return fail(ErrorCode::kInvalid, fmt::format("{} is neither a time nor how long ago", text),
              "write 2026-01-31T12:00:00Z, or 90m, 2h, 1d");
}

bool is_over(std::string_view state) { return state == "COMPLETED" || state == "CANCELLED" || state == "FAILED"; }

}  // namespace

int events_tail(const Output& out, const ConnectionOptions& options, const EventsTailOptions& what) {
  const auto connection = connect(options);
  if (!connection) return out.failure(connection.error());
  const Call call{
      .target = fmt::format("/_mayfly/events/tail?bus={}&pattern={}", percent_encode(what.bus, Slash::kEncode),
                            percent_encode(what.pattern, Slash::kEncode)),
      .service = "mayfly"};
  std::string buffer;
  bool begun = false;
  const auto print = [&](std::string_view data) {
    if (!std::exchange(begun, true) && !out.json) out.note(out.dim(fmt::format("following bus {}", what.bus)));
    buffer += data;
    for (auto end = buffer.find('\n'); end != std::string::npos; end = buffer.find('\n')) {
      const std::string text = buffer.substr(0, end);
      buffer.erase(0, end + 1);
      if (text.empty()) continue;  // Sent from time to time to keep the connection.
      const auto line = parse_json(text);
      const auto* event = line ? find(*line, "event") : nullptr;
      if (out.json || event == nullptr) {
        out.line(text);
        continue;
      }
      std::string rules;
      if (const auto* names = find(*line, "rules"); names != nullptr && names->is_array()) {
        for (const auto& name : names->get_array())
          rules += (rules.empty() ? "" : ",") + std::string(name.is_string() ? name.get_string() : "");
      }
      const auto* detail = find(*event, "detail");
      out.line(fmt::format("{} {} {} {}{}", out.dim(get_string(*event, "time")), out.bold(get_string(*event, "source")),
                           get_string(*event, "detail-type"), detail == nullptr ? "{}" : to_json(*detail),
                           rules.empty() ? "" : out.dim(" -> " + rules)));
    }
    return true;
  };
  const auto done = stream(*connection, call, print);
  if (!done) return out.failure(done.error());
  return 0;
}

int events_replay(const Output& out, const ConnectionOptions& options, const EventsReplayOptions& what) {
  const auto connection = connect(options);
  if (!connection) return out.failure(connection.error());
  const RealClock clock;
  const auto from = time_of(what.from, clock.now());
  if (!from) return out.failure(from.error());
  const auto until = time_of(what.to, clock.now());
  if (!until) return out.failure(until.error());
  const auto archive = call_events(*connection, "DescribeArchive", json::object{{"ArchiveName", what.archive}});
  if (!archive) return out.failure(archive.error());
  const std::string bus(get_string(*archive, "EventSourceArn"));
  json::object destination{{"Arn", bus}};
  json::array filters;
  for (const auto& rule : what.rules) {
    const auto described =
        call_events(*connection, "DescribeRule", json::object{{"Name", rule}, {"EventBusName", bus}});
    if (!described) return out.failure(described.error());
    filters.emplace_back(get_string(*described, "Arn"));
  }
  if (!filters.empty()) destination["FilterArns"] = std::move(filters);
  const std::string name = fmt::format("cli-{}", random_hex(8));
  const auto started = call_events(*connection, "StartReplay",
                                   json::object{{"ReplayName", name},
                                                {"EventSourceArn", get_string(*archive, "ArchiveArn")},
                                                {"EventStartTime", epoch_seconds(*from)},
                                                {"EventEndTime", epoch_seconds(*until)},
                                                {"Destination", std::move(destination)}});
  if (!started) return out.failure(started.error());
  out.progress(fmt::format("replay {} of archive {} has started", name, what.archive));
  for (;;) {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    const auto replay = call_events(*connection, "DescribeReplay", json::object{{"ReplayName", name}});
    if (!replay) return out.failure(replay.error());
    const auto state = get_string(*replay, "State");
    if (!is_over(state)) continue;
    if (out.json) {
      out.value(*replay);
    } else {
      out.line(fmt::format("{} {}", state, get_string(*replay, "StateReason")));
    }
    return state == "COMPLETED" ? 0 : 1;
  }
}

}  // namespace mayfly::cli
