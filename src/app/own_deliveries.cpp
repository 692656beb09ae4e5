// The part of Mayfly's own API that shows asynchronous delivery.
#include <charconv>

#include "app/front.h"
#include "app/own_api.h"
#include "base/encoding.h"
#include "base/time_format.h"
#include "delivery/delivery.h"
#include "observe/metrics.h"

namespace mayfly::app {
namespace {

constexpr std::size_t kMaxWaiting = 1'000;

}  // namespace

Awaitable<void> OwnApi::refresh_delivery_gauges() {
  double waiting = 0;
  double open = 0;
  for (const auto& lane : co_await parts_.delivery->lanes()) {
    waiting += static_cast<double>(lane.counts.ready + lane.counts.delayed);
    open += lane.breaker == "closed" ? 0 : 1;
  }
  parts_.metrics->set_deliveries(waiting, open);
}

Awaitable<void> OwnApi::deliveries(http::Request& request, http::ResponseWriter& response) {
  std::string target = query_value(request.head.query(), "target");
  if (!target.empty()) {
    co_await waiting(request, response, std::move(target));
    co_return;
  }
  json::array lanes;
  for (const auto& lane : co_await parts_.delivery->lanes()) {
    json::object one{{"Target", lane.target_arn},
                     {"Via", lane.via},
                     {"Ready", lane.counts.ready},
                     {"Delayed", lane.counts.delayed},
                     {"InFlight", lane.in_flight},
                     {"Breaker", lane.breaker},
                     {"Delivered", lane.delivered},
                     {"FailedAttempts", lane.failed_attempts},
                     {"ThrottledAttempts", lane.throttled_attempts},
                     {"GivenUp", lane.dead},
                     {"Dropped", lane.dropped},
                     {"LastErrorCode", lane.last_error_code},
                     {"LastErrorMessage", lane.last_error_message}};
    if (lane.counts.oldest_sent_at) one["OldestAcceptedAt"] = iso8601_millis(*lane.counts.oldest_sent_at);
    lanes.push_back(std::move(one));
  }
  json::value body = json::object{{"Lanes", std::move(lanes)}};
  co_await send_json(response, std::move(body));
}

Awaitable<void> OwnApi::waiting(http::Request& request, http::ResponseWriter& response, std::string target) {
  const auto number = [&](std::string_view name, std::uint64_t fallback) {
    const std::string text = query_value(request.head.query(), name);
    std::uint64_t out = fallback;
    std::from_chars(text.data(), text.data() + text.size(), out);
    return out;
  };
  const std::uint64_t after = number("after", 0);
  const std::size_t limit = std::min<std::uint64_t>(number("limit", 100), kMaxWaiting);
  std::string via = query_value(request.head.query(), "via");
  const auto found = co_await parts_.delivery->waiting(std::move(target), std::move(via), after, limit);
  if (!found) {
    http::Response missing;
    missing.head.status = 404;
    missing.body = R"({"message":"nothing waits for this target"})";
    std::ignore = co_await response.send(std::move(missing));
    co_return;
  }
  json::array events;
  for (const auto& event : *found) {
    events.push_back(json::object{{"Id", event.id},
                                  {"Sequence", event.sequence},
                                  {"Bytes", event.payload_bytes},
                                  {"Attempts", event.attempts},
                                  {"LastErrorCode", event.last_error_code},
                                  {"LastErrorMessage", event.last_error_message},
                                  {"AcceptedAt", iso8601_millis(event.accepted_at)},
                                  {"NextAttemptAt", iso8601_millis(event.next_attempt_at)}});
  }
  json::value body = json::object{{"Events", std::move(events)}};
  co_await send_json(response, std::move(body));
}

}  // namespace mayfly::app
