#include "app/own_audit.h"

#include <charconv>

#include "app/front.h"
#include "app/own_api.h"
#include "app/tail.h"
#include "base/time_format.h"

namespace mayfly::app {
namespace {

constexpr std::size_t kMostRecords = 1'000;
constexpr std::size_t kMostRecordsLooked = 50'000;

audit::Filter audit_filter(std::string_view query) {
  audit::Filter filter;
  filter.event_name = query_value(query, "event");
  filter.event_source = query_value(query, "source");
  if (!filter.event_source.empty() && filter.event_source.find('.') == std::string::npos) {
    filter.event_source += ".amazonaws.com";
  }
  filter.user = query_value(query, "user");
  filter.resource_name = query_value(query, "resource");
  filter.errors_only = query_value(query, "errors") == "1";
  filter.denials_only = query_value(query, "denied") == "1";
  filter.from = parse_iso8601(query_value(query, "from"));
  return filter;
}

std::uint64_t number_of(std::string_view query, std::string_view name, std::uint64_t fallback) {
  const auto text = query_value(query, name);
  std::uint64_t out = fallback;
  std::from_chars(text.data(), text.data() + text.size(), out);
  return out;
}

Awaitable<void> follow_audit(audit::Trail& trail, audit::Filter filter, http::ResponseWriter& response,
                             const std::atomic<bool>& stopping) {
  auto tail = std::make_shared<Tail>();
  auto token = trail.follow([tail, filter = std::move(filter)](const std::string& text) {
    const auto record = parse_json(text);
    if (record && audit::matches(*record, filter)) tail->push(text + "\n");
  });
  response.on_peer_closed([tail] { tail->close(); });
  http::ResponseHead head;
  head.headers.add("Content-Type", "application/x-ndjson");
  auto begun = co_await response.begin(std::move(head));
  if (!begun) co_return;
  auto written = co_await response.write("\n");
  if (written) co_await follow(tail, stopping, response);
  token.reset();
  std::ignore = co_await response.finish();
}

}  // namespace

Awaitable<void> serve_audit(audit::Trail& trail, http::Request& request, http::ResponseWriter& response,
                            const std::atomic<bool>& stopping) {
  const std::string query(request.head.query());
  auto filter = audit_filter(query);
  if (query_value(query, "follow") == "1") {
    co_await follow_audit(trail, std::move(filter), response, stopping);
    co_return;
  }
  const auto limit = std::min<std::uint64_t>(number_of(query, "limit", 100), kMostRecords);
  const auto before = number_of(query, "before", 0);
  auto page = co_await trail.read(std::move(filter), before, limit, kMostRecordsLooked);
  if (!page) {
    http::Response failed;
    failed.head.status = 500;
    failed.body = R"({"message":"the trail cannot be read; see the server's log"})";
    std::ignore = co_await response.send(std::move(failed));
    co_return;
  }
  json::array events;
  for (auto& found : page->found) events.push_back(std::move(found.record));
  json::object body;
  body["Events"] = std::move(events);
  body["Next"] = page->next;
  body["Lost"] = trail.lost();
  json::value answer = std::move(body);
  co_await send_json(response, std::move(answer));
}

}  // namespace mayfly::app
