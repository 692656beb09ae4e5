#include "app/own_schedules.h"

#include <algorithm>
#include <charconv>

#include "app/front.h"
#include "app/own_api.h"
#include "base/time_format.h"
#include "services/scheduler/scheduler.h"

namespace mayfly::app {
namespace {

constexpr std::size_t kMostSchedules = 1'000;
constexpr std::size_t kUpcoming = 5;

json::object shown(const scheduler::Scheduler::Info& info) {
  json::object out{
      {"Arn", info.arn},   {"Name", info.name},   {"Group", info.group},      {"Expression", info.expression},
      {"Zone", info.zone}, {"State", info.state}, {"Target", info.target_arn}};
  if (info.next) out["Next"] = iso8601_millis(*info.next);
  if (info.last) out["Last"] = iso8601_millis(*info.last);
  if (!info.upcoming.empty()) {
    json::array times;
    for (const auto time : info.upcoming) times.emplace_back(iso8601_millis(time));
    out["Upcoming"] = std::move(times);
  }
  return out;
}

Awaitable<void> answer_error(http::ResponseWriter& response, const Error& error) {
  http::Response out;
  out.head.status = error.code == ErrorCode::kNotFound ? 404 : 503;
  out.head.headers.set("Content-Type", "application/json");
  out.body = to_json(json::object{{"message", error.message}});
  std::ignore = co_await response.send(std::move(out));
}

}  // namespace

Awaitable<void> serve_schedules(scheduler::Scheduler& scheduler, http::Request& request,
                                http::ResponseWriter& response) {
  const std::string query(request.head.query());
  const auto region = query_value(query, "region");
  const auto group = query_value(query, "group");
  const auto name = query_value(query, "name");
  json::object body;
  if (request.head.path() == "/_mayfly/schedules/run" && request.head.method == "POST") {
    const auto done = co_await scheduler.run_now(region, group, name);
    if (!done) {
      co_await answer_error(response, done.error());
      co_return;
    }
  } else if (!name.empty()) {
    const auto found = co_await scheduler.find(region, group, name, kUpcoming);
    if (!found) {
      co_await answer_error(response, found.error());
      co_return;
    }
    body = shown(*found);
  } else {
    const auto limit_text = query_value(query, "limit");
    std::size_t limit = kMostSchedules;
    std::from_chars(limit_text.data(), limit_text.data() + limit_text.size(), limit);
    limit = std::clamp<std::size_t>(limit, 1, kMostSchedules);
    const auto found = co_await scheduler.list(region, group, query_value(query, "after"), limit);
    if (!found) {
      co_await answer_error(response, found.error());
      co_return;
    }
    json::array all;
    for (const auto& info : *found) all.push_back(shown(info));
    if (found->size() == limit) body["After"] = found->back().group + "/" + found->back().name;
    body["Schedules"] = std::move(all);
  }
  json::value answer = std::move(body);
  co_await send_json(response, std::move(answer));
}

}  // namespace mayfly::app
