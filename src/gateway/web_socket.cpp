// WebSocket APIs: a handshake that asks the $connect route, messages that name their routes, and the $disconnect route
// at the end.
//
// Sources. "Manage connected users and client apps", "Set up route responses for WebSocket APIs", "WebSocket selection
//          expressions" and "Quotas for configuring and running a WebSocket API" of the API Gateway Developer Guide.
//          What clients are seen to get from AWS: a $connect function's status is the handshake's unless it is of 2xx;
//          an exception there is 502; a message's answer does not depend on the function's status; an exception is the
//          frame "Internal server error".
#include <fmt/core.h>

#include <tuple>

#include "base/encoding.h"
#include "base/ids.h"
#include "base/log.h"
#include "gateway/gateway.h"
#include "gateway/rest_answers.h"
#include "gateway/web_socket_payload.h"

namespace mayfly::gateway {
namespace {

constexpr std::string_view kConnect = "$connect";
constexpr std::string_view kDisconnect = "$disconnect";
constexpr std::string_view kDefault = "$default";
constexpr std::string_view kGoingAway = "Going away";

bool is_success(int status) { return status >= 200 && status < 300; }

const Route* route_named(const Stage& stage, const std::string& key) {
  const auto found = stage.web_socket->by_key.find(key);
  return found == stage.web_socket->by_key.end() ? nullptr : &stage.routes.at(found->second);
}

void set_route(Exchange& exchange, const Route* route, std::string_view key) {
  exchange.route = route;
  exchange.event.route_key = key;
  exchange.resource = exchange.route_resource = std::string(key);
}

// What all events of a connection say of its client.
EventInput client_of(const EventInput& handshake) {
  auto out = handshake;
  const std::string agent(handshake.head.headers.get("User-Agent"));
  out.head = http::RequestHead{.method = "POST", .target = "/", .headers = {}};
  if (!agent.empty()) out.head.headers.add("User-Agent", agent);
  return out;
}

std::string end_reason(const http::WebSocketEnd& end) {
  if (end.code == http::close_code::kNoStatus) return "Client-side close frame status not set";
  return end.reason;
}

// One message less in flight, however it ends.
class InFlight {
 public:
  explicit InFlight(ConnectionPtr connection) : connection_(std::move(connection)) { ++connection_->in_flight; }
  ~InFlight() {
    --connection_->in_flight;
    connection_->room.notify();
  }
  InFlight(const InFlight&) = delete;
  InFlight& operator=(const InFlight&) = delete;

 private:
  ConnectionPtr connection_;
};

}  // namespace

void Gateway::refuse_web_socket(Exchange& exchange, const Refusal& refusal) {
  std::string_view type = refusal.type.empty() ? rest_type(refusal.status) : std::string_view(refusal.type);
  if (type == "ACCESS_DENIED") type = "INVALID_API_KEY";  // whoever says no, it is told as Forbidden
  const auto& answer = rest_answer(type);
  exchange.shown_type = type;
  exchange.shown_error = answer.message.empty() ? "Internal server error" : std::string(answer.message);
  exchange.response.head.status = answer.status;
  exchange.response.head.headers.set("Content-Type", "application/json");
  exchange.response.body = web_socket_error(exchange, exchange.shown_error);
}

// What is wrong with a request that is no handshake; nullopt where it is one.
Gateway::Verdict Gateway::check_handshake(const http::RequestHead& head, std::string_view path_in_stage) {
  if (path_in_stage != "/")
    return Refusal{.status = 403, .message = "Forbidden", .reason = "a WebSocket API has no paths", .headers = {}};
  Refusal wrong{.status = 426, .message = "Upgrade Required", .reason = "no WebSocket is asked for", .headers = {}};
  wrong.headers.emplace_back("Upgrade", "websocket");
  if (!http::asks_for_web_socket(head)) return wrong;
  const auto checked = http::check_web_socket(head);
  if (checked) return std::nullopt;
  wrong.reason = checked.error().message;
  if (checked.error().code == ErrorCode::kUnsupported) {
    wrong.headers.emplace_back("Sec-WebSocket-Version", "13");
    return wrong;
  }
  return Refusal{.status = 400, .message = "Bad Request", .reason = checked.error().message, .headers = {}};
}

std::optional<Gateway::Place> Gateway::place_of(const Connection& connection) const {
  const std::shared_lock lock(mutex_);
  const auto api = apis_.find(connection.client.api_id);
  if (api == apis_.end()) return std::nullopt;
  const auto stage = api->second->stages.find(connection.client.stage);
  if (stage == api->second->stages.end() || !stage->second->web_socket) return std::nullopt;
  return Place{.api = api->second, .stage = stage->second, .path = "/"};
}

Exchange Gateway::event_of(const Connection& connection, const Place& place, SocketEvent::Kind kind) const {
  Exchange out;
  out.api = place.api;
  out.stage = place.stage;
  out.event = connection.client;
  out.event.stage_variables = place.stage->variables;
  out.event.request_id = new_socket_id();
  out.event.now = clock_.now();
  auto& socket = out.socket.emplace();
  socket.kind = kind;
  socket.connection_id = connection.id;
  socket.connected_at = connection.connected_at;
  return out;
}

Awaitable<Gateway::Verdict> Gateway::ask_connect(Exchange& exchange) {
  Refusal too_many{.status = 429, .message = "Too Many Requests", .reason = "too many new connections", .headers = {}};
  const auto now = clock_.steady_now();
  if (connections_.take(exchange.api->account + "/" + exchange.api->region, now) != std::chrono::nanoseconds(0))
    co_return too_many;
  if (auto refusal = throttle(exchange)) co_return refusal;
  if (exchange.route == nullptr) co_return std::nullopt;
  if (auto refusal = co_await authorize(exchange)) co_return refusal;
  if (!exchange.route->integration) co_return std::nullopt;
  co_return co_await integrate(exchange);
}

Awaitable<void> Gateway::serve_web_socket(Exchange& exchange, const Place& place, http::Request& request,
                                          http::ResponseWriter& response) {
  const auto began = clock_.steady_now();
  exchange.api = place.api;
  exchange.stage = place.stage;
  if (const auto id = connection_of_path(place.path)) {
    co_await serve_connection(exchange, *id, request, response);
    co_return;
  }
  const auto connection = begin_connection(exchange);
  std::unique_ptr<WebSocketConnections::Entry> entry;
  auto refusal = check_handshake(request.head, place.path);
  if (!refusal) {
    entry = connections_.add(connection);
    if (!entry) refusal = Refusal{.status = 429, .message = "", .reason = "there are too many", .headers = {}};
  }
  if (!refusal) refusal = co_await ask_connect(exchange);
  if (refusal) refuse(exchange, *refusal);
  exchange.latency = std::chrono::duration_cast<std::chrono::microseconds>(clock_.steady_now() - began);
  write_access(exchange);
  if (!is_success(exchange.response.head.status)) {
    log(Level::kDebug, "the gateway refused a WebSocket",
        {{"api", place.api->id}, {"status", exchange.response.head.status}, {"reason", exchange.error}});
    exchange.response.head.headers.set("apigw-requestid", exchange.event.request_id);
    std::ignore = co_await response.send(std::move(exchange.response));
    co_return;
  }
  connection->client.authorizer = std::move(exchange.event.authorizer);
  co_await serve_socket(exchange, connection, response);
  entry->leave();
  // $connect was asked, so $disconnect is, even where no handshake came of it: it may have kept the id.
  const auto goodbye = [this, connection]() -> Awaitable<void> { return say_goodbye(connection); };
  std::ignore = sockets_scope_.spawn(Reactor::current(), "a $disconnect", goodbye);
}

ConnectionPtr Gateway::begin_connection(Exchange& exchange) {
  auto connection = std::make_shared<Connection>();
  connection->id = new_socket_id();
  connection->connected_at = exchange.event.now;
  auto& event = exchange.event;
  event.api_id = exchange.api->id;
  event.account = exchange.api->account;
  event.stage = exchange.stage->name;
  event.stage_variables = exchange.stage->variables;
  event.request_id = new_socket_id();
  connection->client = client_of(event);
  auto& socket = exchange.socket.emplace();
  socket.connection_id = connection->id;
  socket.connected_at = connection->connected_at;
  set_route(exchange, route_named(*exchange.stage, std::string(kConnect)), kConnect);
  return connection;
}

Awaitable<void> Gateway::serve_socket(Exchange& exchange, ConnectionPtr connection, http::ResponseWriter& response) {
  http::Headers accepted;
  const std::string protocol(exchange.response.head.headers.get("Sec-WebSocket-Protocol"));
  if (!protocol.empty()) accepted.add("Sec-WebSocket-Protocol", protocol);
  constexpr http::WebSocketLimits kLimits;
  auto opened = co_await response.upgrade(std::move(accepted), kLimits);
  if (opened) {
    connections_.open(connection, std::move(*opened));
    co_await read_messages(connection);
  } else if (opened.error().code == ErrorCode::kInvalid) {
    // What only the server sees: HTTP/1.0, a body.
    Refusal bad{.status = 400, .message = "Bad Request", .reason = opened.error().message, .headers = {}};
    refuse(exchange, bad);
    std::ignore = co_await response.send(std::move(exchange.response));
  }
}

Awaitable<void> Gateway::read_messages(ConnectionPtr connection) {
  const auto socket = connection->socket;
  for (;;) {
    // Whoever does not answer in time is not given more: the client waits.
    while (connection->in_flight >= kMostInFlight) std::ignore = co_await connection->room.wait_until(kNoDeadline);
    auto message = co_await socket->read();
    if (!message) co_return;
    if (message->binary) {
      // "If a client app sends a binary frame, API Gateway rejects it and disconnects the client with code 1003."
      socket->close(http::close_code::kUnsupportedData, "Binary frames are not supported");
      continue;
    }
    const auto text = std::make_shared<std::string>(std::move(message->data));
    const auto place_in_line = std::make_shared<InFlight>(connection);
    const auto task = [this, connection, text, place_in_line]() -> Awaitable<void> {
      return answer_message(connection, std::move(*text));
    };
    if (!sockets_scope_.spawn(Reactor::current(), "a message", task))
      socket->close(http::close_code::kGoingAway, std::string(kGoingAway));
  }
}

Gateway::Verdict Gateway::choose_route(Exchange& exchange) const {
  const auto& routes = *exchange.stage->web_socket;
  const auto key = selected_route(routes.selection, exchange);
  const Route* route = key ? route_named(*exchange.stage, *key) : nullptr;
  if (route != nullptr) {
    set_route(exchange, route, *key);
  } else {
    set_route(exchange, route_named(*exchange.stage, std::string(kDefault)), kDefault);
  }
  if (exchange.route != nullptr) return std::nullopt;
  return Refusal{.status = 403, .message = "Forbidden", .reason = "no route matches", .headers = {}};
}

Awaitable<void> Gateway::answer_message(ConnectionPtr connection, std::string text) {
  const auto began = clock_.steady_now();
  const auto place = place_of(*connection);
  if (!place) {
    connection->socket->close(http::close_code::kGoingAway, std::string(kGoingAway));
    co_return;
  }
  auto exchange = event_of(*connection, *place, SocketEvent::Kind::kMessage);
  exchange.socket->message_id = new_socket_id();
  exchange.event.body = std::move(text);
  auto refusal = choose_route(exchange);
  if (!refusal) refusal = throttle(exchange);
  if (!refusal) refusal = co_await integrate(exchange);
  const bool answers = !refusal && exchange.route->answers;
  if (answers && !is_valid_utf8(exchange.response.body)) {
    refusal = Refusal{.status = 502, .message = "", .reason = "the answer is no text", .headers = {}};
    refusal->type = "BAD_GATEWAY";
  }
  if (refusal) {
    refuse(exchange, *refusal);
    log(Level::kDebug, "the gateway refused a message",
        {{"request", exchange.event.request_id}, {"api", exchange.api->id}, {"reason", exchange.error}});
  }
  exchange.latency = std::chrono::duration_cast<std::chrono::microseconds>(clock_.steady_now() - began);
  write_access(exchange);
  if (!refusal && !answers) co_return;
  http::WebSocketMessage frame;
  frame.data = std::move(exchange.response.body);
  if (frame.data.empty()) co_return;
  auto sent = co_await connection->socket->send(std::move(frame));
  if (sent || sent.error().code != ErrorCode::kTooLarge) co_return;  // a client that has gone is no concern of ours
  http::WebSocketMessage instead;
  instead.data = web_socket_error(exchange, "Internal server error");
  std::ignore = co_await connection->socket->send(std::move(instead));
}

Awaitable<void> Gateway::say_goodbye(ConnectionPtr connection) {
  const auto place = place_of(*connection);
  if (!place) co_return;
  const auto* route = route_named(*place->stage, std::string(kDisconnect));
  if (route == nullptr) co_return;
  auto exchange = event_of(*connection, *place, SocketEvent::Kind::kDisconnect);
  set_route(exchange, route, kDisconnect);
  http::WebSocketEnd end;
  if (connection->socket) end = connection->socket->end();
  exchange.socket->end_code = end.code;
  exchange.socket->end_reason = end_reason(end);
  auto refusal = co_await integrate(exchange);
  if (refusal) {
    refuse(exchange, *refusal);
    log(Level::kWarn, "a $disconnect route failed",
        {{"connection", connection->id}, {"api", exchange.api->id}, {"reason", exchange.error}});
  }
  write_access(exchange);
}

bool Gateway::drain_blocking(std::chrono::nanoseconds at_most) { return sockets_scope_.join_blocking(at_most); }

}  // namespace mayfly::gateway
