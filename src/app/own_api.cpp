#include "app/own_api.h"

#include <fmt/core.h>

#include <charconv>

#include "app/events_api.h"
#include "app/front.h"
#include "app/own_schedules.h"
#include "app/queues_api.h"
#include "app/tail.h"
#include "app/test_clock.h"
#include "base/encoding.h"
#include "base/time_format.h"
#include "dispatch/dispatcher.h"
#include "observe/log_store.h"
#include "observe/metrics.h"
#include "sandbox/runtimes.h"

namespace mayfly::app {

namespace {

constexpr std::size_t kMaxLines = 10'000;

std::string line_json(const observe::LogLine& line) {
  return to_json(
             json::object{{"time", iso8601_millis(line.time)}, {"stream", line.stream}, {"message", line.message}}) +
         "\n";
}

}  // namespace

json::value OwnApi::status() const {
  json::object status{{"Version", MAYFLY_VERSION},
                      {"Account", parts_.account},
                      {"Region", parts_.region},
                      {"ConcurrentExecutions", parts_.dispatcher->concurrent_executions()},
                      {"LogLinesDropped", parts_.logs->dropped()}};
  if (auto machine = parse_json(parts_.capabilities_json)) status["Machine"] = std::move(*machine);
  return status;
}

json::value OwnApi::runtimes() const {
  json::array found;
  for (const auto& runtime : parts_.runtimes->found()) {
    found.push_back(json::object{{"Name", runtime.name},
                                 {"Interpreter", runtime.interpreter},
                                 {"Version", runtime.version},
                                 {"Exact", runtime.exact}});
  }
  return json::object{{"Runtimes", std::move(found)}};
}

json::value OwnApi::instances() const {
  json::array all;
  for (const auto& i : parts_.dispatcher->instances()) {
    all.push_back(json::object{{"Id", i.id},
                               {"FunctionArn", i.function_arn},
                               {"Version", i.version},
                               {"State", i.state},
                               {"Since", iso8601_millis(i.since)},
                               {"Invocations", i.invocations}});
  }
  return json::object{{"Instances", std::move(all)}};
}

Awaitable<void> OwnApi::metrics(http::ResponseWriter& response) {
  parts_.dispatcher->publish_gauges();
  http::Response answer;
  answer.head.headers.add("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
  answer.body = parts_.metrics->exposition();
  std::ignore = co_await response.send(std::move(answer));
}

Awaitable<void> OwnApi::handle(http::Request& request, http::ResponseWriter& response) {
  const std::string path(request.head.path());
  if (path == "/_mayfly/status") {
    json::value body = status();
    co_await send_json(response, std::move(body));
  } else if (path == "/_mayfly/runtimes") {
    json::value body = runtimes();
    co_await send_json(response, std::move(body));
  } else if (path == "/_mayfly/instances") {
    json::value body = instances();
    co_await send_json(response, std::move(body));
  } else if (path == "/_mayfly/metrics") {
    co_await metrics(response);
  } else if (path == "/_mayfly/logs") {
    co_await logs(request, response);
  } else if (path == "/_mayfly/clock") {
    co_await TestClock::serve(parts_.test_clock, request, response);
  } else if (path.starts_with("/_mayfly/schedules")) {
    co_await serve_schedules(*parts_.scheduler, request, response);
  } else if (path == kAuditPath) {
    co_await serve_audit(*parts_.trail, request, response, stopping_);
  } else if (path.starts_with(kKeysPath)) {
    co_await serve_keys(parts_.keys, request, response);
  } else if (is_events_path(path)) {
    co_await serve_events(*parts_.events, request, response, stopping_);
  } else {
    QueuesApiParts queues{.sqs = parts_.sqs, .clock = parts_.clock, .account = parts_.account, .region = parts_.region};
    const bool handled = co_await handle_queues(std::move(queues), request, response);
    if (handled) co_return;
    http::Response missing;
    missing.head.status = 404;
    missing.body = R"({"message":"no such path; see docs/own-api.md"})";
    std::ignore = co_await response.send(std::move(missing));
  }
}

Awaitable<void> OwnApi::logs(http::Request& request, http::ResponseWriter& response) {
  const std::string function = query_value(request.head.query(), "function");
  const std::string limit_text = query_value(request.head.query(), "limit");
  const bool following = query_value(request.head.query(), "follow") == "1";
  std::size_t limit = 100;
  std::from_chars(limit_text.data(), limit_text.data() + limit_text.size(), limit);
  limit = std::min(limit, kMaxLines);
  if (function.empty()) {
    http::Response refused;
    refused.head.status = 400;
    refused.body = R"({"message":"the parameter function is missing"})";
    std::ignore = co_await response.send(std::move(refused));
    co_return;
  }
  const std::string group = "/aws/lambda/" + function;
  auto tail = std::make_shared<Tail>();
  std::shared_ptr<void> token;
  if (following) {
    // Followed before the past is read: a line may then come twice at the seam, but none is missing.
    token = parts_.logs->follow(group, [tail](const observe::LogLine& line) { tail->push(line_json(line)); });
    response.on_peer_closed([tail] { tail->close(); });
  }
  observe::LogStore* store = parts_.logs;
  std::function<Result<std::vector<observe::LogLine>>()> job = [store, group, limit] {
    return store->read(group, SystemTime{}, limit);
  };
  auto past = co_await parts_.pool->run(std::move(job));
  http::ResponseHead head;
  head.headers.add("Content-Type", "application/x-ndjson");
  auto begun = co_await response.begin(std::move(head));
  if (!begun) co_return;
  std::string text;
  if (past) {
    for (const auto& line : *past) text += line_json(line);
  }
  if (text.empty()) text = "\n";
  auto written = co_await response.write(std::move(text));
  if (written && following) co_await follow(tail, stopping_, response);
  token.reset();
  std::ignore = co_await response.finish();
}

}  // namespace mayfly::app
