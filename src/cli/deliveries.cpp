// `mayfly deliveries`: lanes of asynchronous delivery, and the events that wait in one.
#include <fmt/core.h>

#include "base/encoding.h"
#include "cli/commands.h"

namespace mayfly::cli {
namespace {

std::string text_of(const json::value& value, std::string_view key) { return std::string(get_string(value, key)); }
std::string number_of(const json::value& value, std::string_view key) { return std::to_string(get_int(value, key)); }

const json::array& items_of(const json::value& answer, std::string_view key) {
  static const json::array none;
  const auto* items = find(answer, key);
  return items != nullptr && items->is_array() ? items->get_array() : none;
}

int show_events(const Output& out, const json::value& answer) {
  const auto& events = items_of(answer, "Events");
  if (events.empty()) {
    out.note("nothing waits");
    return 0;
  }
  std::vector<std::vector<std::string>> rows;
  for (const auto& event : events) {
    rows.push_back({text_of(event, "Id"), number_of(event, "Attempts"), number_of(event, "Bytes"),
                    text_of(event, "AcceptedAt"), text_of(event, "NextAttemptAt"), text_of(event, "LastErrorCode"),
                    text_of(event, "LastErrorMessage").substr(0, 60)});
  }
  out.table({"EVENT", "ATTEMPTS", "BYTES", "ACCEPTED", "NEXT ATTEMPT", "ERROR", "MESSAGE"}, rows);
  return 0;
}

}  // namespace

int deliveries(const Output& out, const ConnectionOptions& options, const DeliveriesOptions& what) {
  const auto connection = connect(options);
  if (!connection) return out.failure(connection.error());
  std::string target = "/_mayfly/deliveries";
  if (!what.target.empty()) {
    target += fmt::format("?target={}&via={}&limit={}", percent_encode(what.target, Slash::kEncode),
                          percent_encode(what.via, Slash::kEncode), what.limit);
  }
  const Call call{.target = target, .service = "mayfly"};
  const auto answer = send_json(*connection, call);
  if (!answer) return out.failure(answer.error());
  if (out.json) {
    out.value(*answer);
    return 0;
  }
  if (!what.target.empty()) return show_events(out, *answer);
  const auto& lanes = items_of(*answer, "Lanes");
  if (lanes.empty()) {
    out.note("no target has had an event yet");
    return 0;
  }
  std::vector<std::vector<std::string>> rows;
  for (const auto& lane : lanes) {
    const auto breaker = text_of(lane, "Breaker");
    rows.push_back({text_of(lane, "Target"), text_of(lane, "Via"), number_of(lane, "Ready"), number_of(lane, "Delayed"),
                    number_of(lane, "InFlight"), breaker == "closed" ? breaker : out.red(breaker),
                    number_of(lane, "Delivered"), number_of(lane, "GivenUp"), text_of(lane, "LastErrorCode")});
  }
  out.table({"TARGET", "VIA", "READY", "DELAYED", "IN FLIGHT", "BREAKER", "DELIVERED", "GIVEN UP", "LAST ERROR"}, rows);
  return 0;
}

}  // namespace mayfly::cli
