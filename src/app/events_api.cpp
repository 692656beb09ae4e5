#include "app/events_api.h"

#include <fmt/core.h>

#include <optional>

#include "app/front.h"
#include "app/own_api.h"
#include "app/tail.h"
#include "pattern/pattern.h"
#include "services/events/events.h"

namespace mayfly::app {
namespace {

constexpr std::string_view kTail = "/_mayfly/events/tail";
constexpr std::string_view kCloudEvents = "/_mayfly/events/cloudevents";
constexpr std::size_t kMostBody = 1024UL * 1024;

int status_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kNotFound:
      return 404;
    case ErrorCode::kTooLarge:
      return 413;
    case ErrorCode::kForbidden:
      return 403;
    case ErrorCode::kThrottled:
      return 429;
    case ErrorCode::kInvalid:
      return 400;
    default:
      return 500;
  }
}

Awaitable<void> refuse(http::ResponseWriter& response, Error error) {
  http::Response answer;
  answer.head.status = status_of(error.code);
  answer.head.headers.add("Content-Type", "application/json");
  answer.body = to_json(json::object{{"message", error.message}});
  std::ignore = co_await response.send(std::move(answer));
}

std::string line_of(const events::FollowedEvent& event) {
  json::array rules;
  for (const auto& rule : event.rules) rules.emplace_back(rule);
  // The event's text is JSON already.
  return fmt::format("{{\"event\":{},\"rules\":{}}}\n", event.text, to_json(rules));
}

Awaitable<void> tail(events::Events& events, http::Request& request, http::ResponseWriter& response,
                     const std::atomic<bool>& stopping) {
  const auto text = query_value(request.head.query(), "pattern");
  std::optional<pattern::Pattern> pattern;
  if (!text.empty()) {
    auto parsed = pattern::Pattern::parse(text);
    if (!parsed) {
      co_await refuse(response, parsed.error());
      co_return;
    }
    pattern = std::move(*parsed);
  }
  auto lines = std::make_shared<Tail>();
  const auto on_event = [lines, pattern](const events::FollowedEvent& event) {
    if (pattern) {
      const auto document = parse_json(event.text);
      if (!document || !pattern->matches(*document)) return;
    }
    lines->push(line_of(event));
  };
  auto token = events.follow(query_value(request.head.query(), "bus"), on_event);
  if (!token) {
    co_await refuse(response, token.error());
    co_return;
  }
  response.on_peer_closed([lines] { lines->close(); });
  http::ResponseHead head;
  head.headers.add("Content-Type", "application/x-ndjson");
  auto begun = co_await response.begin(std::move(head));
  if (!begun) co_return;
  // Says that from here on nothing is missed.
  std::string first = "\n";
  auto written = co_await response.write(std::move(first));
  if (written) co_await follow(lines, stopping, response);
  token->reset();
  std::ignore = co_await response.finish();
}

Awaitable<void> cloud_events(events::Events& events, http::Request& request, http::ResponseWriter& response) {
  auto body = co_await request.read_all(kMostBody);
  if (!body) {
    co_await refuse(response, body.error());
    co_return;
  }
  auto bus = query_value(request.head.query(), "bus");
  auto put = co_await events.put_cloud_events(std::move(bus), request.head.headers, std::move(*body));
  if (!put) {
    co_await refuse(response, put.error());
    co_return;
  }
  json::value answer = json::object{{"Accepted", *put}};
  co_await send_json(response, std::move(answer));
}

}  // namespace

bool is_events_path(std::string_view path) { return path == kTail || path == kCloudEvents; }

Awaitable<void> serve_events(events::Events& events, http::Request& request, http::ResponseWriter& response,
                             const std::atomic<bool>& stopping) {
  const bool posting = request.head.method == "POST";
  const bool to_cloud_events = request.head.path() == kCloudEvents;
  if (posting != to_cloud_events) {
    http::Response answer;
    answer.head.status = 405;
    answer.head.headers.add("Allow", to_cloud_events ? "POST" : "GET");
    std::ignore = co_await response.send(std::move(answer));
  } else if (to_cloud_events) {
    co_await cloud_events(events, request, response);
  } else {
    co_await tail(events, request, response, stopping);
  }
}

}  // namespace mayfly::app
