// What stands behind a route: a function, or another HTTP server.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <tuple>

#include "base/encoding.h"
#include "base/ids.h"
#include "base/log.h"
#include "gateway/gateway.h"
#include "gateway/mapping.h"
#include "gateway/rest_payload.h"
#include "gateway/web_socket_payload.h"

namespace mayfly::gateway {
namespace {

constexpr std::string_view kPlainText = "text/plain; charset=utf-8";
constexpr std::string_view kServerError = "Internal Server Error";
constexpr std::string_view kUnavailable = "Service Unavailable";

// Fields of one connection, which end here (RFC 9110, 7.6.1).
bool is_of_connection(std::string_view name) {
  constexpr std::array<std::string_view, 9> kNames = {"connection",          "keep-alive", "proxy-authenticate",
                                                      "proxy-authorization", "te",         "trailer",
                                                      "transfer-encoding",   "upgrade",    "proxy-connection"};
  return std::ranges::find(kNames, to_lower(name)) != kNames.end();
}

// "http://host/a/{id}" and the path's variables, still escaped: nothing is decoded twice on the way.
std::string fill_uri(const std::string& uri, const Pairs& parameters) {
  std::string out;
  for (std::size_t i = 0; i < uri.size();) {
    const auto close = uri[i] == '{' ? uri.find('}', i) : std::string::npos;
    if (close == std::string::npos) {
      out += uri[i++];
      continue;
    }
    auto name = uri.substr(i + 1, close - i - 1);
    if (name.ends_with('+')) name.pop_back();
    for (const auto& [parameter, value] : parameters) {
      if (parameter == name) out += value;
    }
    i = close + 1;
  }
  return out;
}

struct Address {
  std::string base;    // "http://host:port"
  std::string target;  // path and query
};

Address address_of(const std::string& uri, std::string_view query) {
  const auto start = uri.find("://") == std::string::npos ? 0 : uri.find("://") + 3;
  const auto slash = std::min(uri.find_first_of("/?", start), uri.size());
  Address out{.base = uri.substr(0, slash), .target = uri.substr(slash)};
  if (!out.target.starts_with('/')) out.target.insert(0, "/");
  if (!query.empty()) out.target.append(out.target.find('?') == std::string::npos ? "?" : "&").append(query);
  return out;
}

bool has_path_mapping(const Integration& integration) {
  return std::ranges::any_of(integration.request, [](const Mapping& one) { return one.part == Mapping::Part::kPath; });
}

http::ClientRequest outgoing(const Exchange& exchange) {
  const auto& integration = *exchange.route->integration;
  const auto& event = exchange.event;
  auto uri = fill_uri(integration.uri, exchange.raw_path_parameters);
  if (has_path_mapping(integration)) {
    const auto start = uri.find("://") + 3;
    uri = uri.substr(0, std::min(uri.find_first_of("/?", start), uri.size())) + event.path;
  } else if (exchange.route->key.is_default && !exchange.socket) {
    // A catch-all passes on the path that it caught.
    while (uri.ends_with('/')) uri.pop_back();
    uri += event.path;
  }
  auto address = address_of(uri, event.head.query());
  http::ClientRequest out;
  out.url_base = std::move(address.base);
  out.head.target = std::move(address.target);
  out.head.method = integration.method == "ANY" ? event.head.method : integration.method;
  for (const auto& [name, value] : event.head.headers) {
    const auto lower = to_lower(name);
    if (lower == "host" || lower == "expect" || is_of_connection(name) || lower.starts_with("x-forwarded-")) continue;
    if (lower.starts_with("sec-websocket-") && exchange.socket) continue;
    if (event.head.headers.lists("Connection", lower)) continue;  // the client wants it to end here too
    out.head.headers.add(name, value);
  }
  out.head.headers.set("X-Forwarded-For", event.source_ip);
  out.head.headers.set("X-Forwarded-Proto", event.tls ? "https" : "http");
  out.head.headers.set("X-Forwarded-Host", event.domain);
  out.body = event.body;
  out.timeout = integration.timeout;
  return out;
}

}  // namespace

Awaitable<Result<FunctionResult>> Gateway::invoke(FunctionCall call, std::chrono::milliseconds timeout) {
  const auto deadline = clock_.steady_now() + timeout;
  OneShot<Result<FunctionResult>> slot;
  auto shared = std::make_shared<FunctionCall>(std::move(call));
  // A function goes on when its caller has stopped waiting, as everywhere.
  const auto task = [this, slot, shared]() mutable -> Awaitable<void> {
    auto result = co_await ports_.invoke(std::move(*shared));
    slot.set(std::move(result));
  };
  if (!scope_.spawn(Reactor::current(), "a gateway's call", task))
    co_return fail(ErrorCode::kCancelled, "the server is stopping");
  auto result = co_await slot.get_until(deadline);
  if (!result) co_return fail(ErrorCode::kTimeout, "the function did not answer in time");
  co_return std::move(*result);
}

Awaitable<Gateway::Verdict> Gateway::call_function(Exchange& exchange) {
  const auto& integration = *exchange.route->integration;
  if (exchange.event.body.size() > kMostPayload) {
    co_return Refusal{.status = 413, .message = "Request Entity Too Large", .reason = "", .headers = {}};
  }
  FunctionCall call;
  call.function_arn = integration.function_arn;
  call.source_arn = exchange.arn(exchange.route_resource);
  call.account = exchange.api->account;
  call.credentials_arn = integration.credentials_arn;
  call.as_caller = integration.as_caller;
  call.caller = exchange.caller;
  call.request_id = exchange.socket ? uuid4() : exchange.event.request_id;  // of functions they have one form
  call.trace_id = exchange.event.head.headers.get("X-Amzn-Trace-Id");
  const bool rest = exchange.api->is_rest;
  if (exchange.socket) {
    call.payload = web_socket_event(exchange);
  } else if (rest) {
    call.payload = rest_event(exchange);
  } else {
    call.payload = integration.format_v1 ? event_v1(exchange.event) : event_v2(exchange.event);
  }
  const auto timeout = integration.timeout;
  auto result = co_await invoke(std::move(call), timeout);
  if (!result) {
    const auto code = result.error().code;
    const bool later = code == ErrorCode::kTimeout || code == ErrorCode::kThrottled || code == ErrorCode::kCancelled;
    if (!later) {
      log(Level::kWarn, "an integration could not be called",
          {{"request", exchange.event.request_id}, {"api", exchange.api->id}, {"error", result.error().message}});
    }
    Refusal refusal{.status = later ? 503 : 500,
                    .message = std::string(later ? kUnavailable : kServerError),
                    .reason = std::move(result.error().message),
                    .headers = {}};
    if (later && code != ErrorCode::kTimeout) refusal.type = "API_CONFIGURATION_ERROR";
    co_return refusal;
  }
  exchange.integration_status = 200;
  exchange.served_on = result->served_on;
  Refusal broken{
      .status = 500, .message = std::string(kServerError), .reason = "", .headers = {}, .type = "BAD_GATEWAY"};
  if (!result->function_error.empty()) {
    broken.reason = "the function ended with an error";
    co_return broken;
  }
  std::optional<http::Response> answered;
  if (exchange.socket) {
    answered = proxy_response(result->payload, integration.keeps_base64 ? Base64::kKeep : Base64::kDecode);
  } else if (rest) {
    answered = rest_response(result->payload, exchange);
  } else if (integration.format_v1) {
    answered = response_v1(result->payload, kPlainText);
  } else {
    answered = response_v2(result->payload, kPlainText);
  }
  if (!answered) {
    broken.reason = "the function's answer is no response";
    co_return broken;
  }
  exchange.response = std::move(*answered);
  exchange.integration_status = exchange.response.head.status;
  co_return std::nullopt;
}

bool Gateway::may_ask(const std::string& base) {
  const std::lock_guard lock(breakers_mutex_);
  const auto found = breakers_.find(base);
  if (found == breakers_.end() || found->second.is_closed()) return true;
  const auto now = clock_.steady_now();
  if (found->second.is_open(now)) return false;
  // One probe; others wait until it has said how it went, or as long again.
  found->second.failed(now, kBreaker);
  return true;
}

void Gateway::asked(const std::string& base, bool answered) {
  const std::lock_guard lock(breakers_mutex_);
  if (answered) {
    breakers_.erase(base);
    return;
  }
  if (breakers_.size() >= kMostBreakers) breakers_.clear();
  breakers_[base].failed(clock_.steady_now(), kBreaker);
}

Awaitable<Gateway::Verdict> Gateway::call_http(Exchange& exchange) {
  const auto deadline = clock_.steady_now() + exchange.route->integration->timeout;
  OneShot<Result<http::Response>> slot;
  const auto shared = std::make_shared<const http::ClientRequest>(outgoing(exchange));
  const auto fetch = ports_.fetch;
  const auto base = shared->url_base;
  if (!may_ask(base)) {
    co_return Refusal{.status = 503,
                      .message = std::string(kUnavailable),
                      .reason = "the integration has failed too often; its breaker is open",
                      .headers = {},
                      .type = "INTEGRATION_FAILURE"};
  }
  std::function<void()> job = [slot, shared, fetch]() mutable { slot.set(fetch(*shared, kMostBody)); };
  if (!fetches_.submit(std::move(job))) {
    co_return Refusal{.status = 503,
                      .message = std::string(kUnavailable),
                      .reason = "too many outbound requests are waiting",
                      .headers = {},
                      .type = "INTEGRATION_FAILURE"};
  }
  auto answered = co_await slot.get_until(deadline);
  // An answer is one, whatever its status; what is refused here or too large says nothing of the server.
  const bool failed = !answered || (!*answered && (*answered).error().code != ErrorCode::kForbidden &&
                                    (*answered).error().code != ErrorCode::kTooLarge);
  asked(base, !failed);
  if (!answered || !*answered) {
    const bool late = !answered || (*answered).error().code == ErrorCode::kTimeout;
    auto reason = answered ? std::move((*answered).error().message) : std::string("the integration was too slow");
    Refusal refusal{.status = late ? 503 : 500,
                    .message = std::string(late ? kUnavailable : kServerError),
                    .reason = std::move(reason),
                    .headers = {}};
    if (!late) refusal.type = "INTEGRATION_FAILURE";
    co_return refusal;
  }
  auto& response = **answered;
  exchange.integration_status = response.head.status;
  exchange.response.head.status = response.head.status;
  for (const auto& [name, value] : response.head.headers) {
    if (is_safe_field(name, value) && !is_of_connection(name)) exchange.response.head.headers.add(name, value);
  }
  exchange.response.body = std::move(response.body);
  co_return std::nullopt;
}

Gateway::Verdict Gateway::answer_mock(Exchange& exchange) {
  const auto& integration = *exchange.route->integration;
  const auto& answer = integration.mock_answer;
  if (!integration.mock_status || !answer) {
    return rest_refusal("API_CONFIGURATION_ERROR", "the MOCK integration names no status or has no answer for it");
  }
  exchange.integration_status = *integration.mock_status;
  auto& response = exchange.response;
  response.head.status = answer->status;
  response.head.headers.set("Content-Type", answer->content_type.empty() ? "application/json" : answer->content_type);
  response.body = answer->body.fill(exchange, Template::Escape::kNone);
  for (const auto& [name, value] : answer->headers) {
    auto filled = value.value(exchange);
    if (filled && is_safe_field(name, *filled)) response.head.headers.set(name, std::move(*filled));
  }
  return std::nullopt;
}

Awaitable<Gateway::Verdict> Gateway::integrate(Exchange& exchange) {
  const auto integration = exchange.route->integration;
  if (!integration) {
    co_return Refusal{
        .status = 500, .message = std::string(kServerError), .reason = "the route has no integration", .headers = {}};
  }
  map_request(integration->request, exchange);
  const auto began = clock_.steady_now();
  Verdict refusal;
  if (integration->kind == Integration::Kind::kFunction) {
    refusal = co_await call_function(exchange);
  } else if (integration->kind == Integration::Kind::kMock) {
    refusal = answer_mock(exchange);
  } else {
    refusal = co_await call_http(exchange);
  }
  exchange.integration_latency = std::chrono::duration_cast<std::chrono::microseconds>(clock_.steady_now() - began);
  if (refusal) co_return refusal;
  const auto mappings = integration->response.find(exchange.response.head.status);
  if (mappings != integration->response.end()) map_response(mappings->second, exchange);
  co_return std::nullopt;
}

}  // namespace mayfly::gateway
