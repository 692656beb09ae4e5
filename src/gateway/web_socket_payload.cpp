#include "gateway/web_socket_payload.h"

#include <chrono>

#include "base/encoding.h"
#include "base/ids.h"
#include "base/json.h"
#include "gateway/rest_payload.h"

namespace mayfly::gateway {
namespace {

constexpr std::size_t kIdBytes = 11;

std::int64_t epoch_millis(SystemTime time) {
  return std::chrono::floor<std::chrono::milliseconds>(time).time_since_epoch().count();
}

// Where REST APIs say null WebSocket APIs say nothing.
json::object caller_identity(const Exchange& exchange) {
  auto context = request_context_v1(exchange.event);
  json::object out;
  for (auto& [name, value] : context["identity"].as_object()) {
    const bool empty = value.is_null() || (value.is_string() && value.get_string().empty());
    if (!empty) out[name] = std::move(value);
  }
  return out;
}

json::object socket_context(const Exchange& exchange) {
  const auto& socket = *exchange.socket;
  const auto& event = exchange.event;
  const bool ended = socket.kind == SocketEvent::Kind::kDisconnect;
  json::object out;
  out["routeKey"] = event.route_key;
  if (socket.kind == SocketEvent::Kind::kMessage) out["messageId"] = socket.message_id;
  if (ended) out["disconnectStatusCode"] = socket.end_code;
  out["eventType"] = event_type(socket);
  out["extendedRequestId"] = event.request_id;
  out["requestTime"] = event_time(event.now);
  out["messageDirection"] = "IN";
  if (ended) out["disconnectReason"] = socket.end_reason;
  out["stage"] = event.stage;
  out["connectedAt"] = epoch_millis(socket.connected_at);
  out["requestTimeEpoch"] = epoch_millis(event.now);
  out["identity"] = caller_identity(exchange);
  out["requestId"] = event.request_id;
  out["domainName"] = event.domain;
  out["connectionId"] = socket.connection_id;
  out["apiId"] = event.api_id;
  if (auto authorizer = authorizer_context(exchange); !authorizer.empty()) out["authorizer"] = std::move(authorizer);
  return out;
}

// The members of a handshake's event that say nothing are left out.
void add_handshake(const Exchange& exchange, json::object& event) {
  auto whole = proxy_request(exchange);
  for (const auto* name :
       {"headers", "multiValueHeaders", "queryStringParameters", "multiValueQueryStringParameters"}) {
    if (!whole[name].is_null()) event[name] = std::move(whole[name]);
  }
}

// As AWS has them, empty ones too.
void add_farewell(const Exchange& exchange, json::object& event) {
  json::object headers;
  json::object many;
  const auto add = [&](std::string_view name, std::string_view value) {
    headers[name] = value;
    json::array values;
    values.emplace_back(value);
    many[name] = std::move(values);
  };
  add("Host", exchange.event.domain);
  add("x-api-key", "");
  add("X-Forwarded-For", "");
  add("x-restapi", "");
  event["headers"] = std::move(headers);
  event["multiValueHeaders"] = std::move(many);
}

void erase_field(json::object& headers, std::string_view name) {
  for (auto field = headers.begin(); field != headers.end();) {
    field = iequals(field->key(), name) ? headers.erase(field) : field + 1;
  }
}

}  // namespace

std::string new_socket_id() { return base64_encode(random_bytes(kIdBytes)); }

std::string web_socket_event(const Exchange& exchange) {
  json::object event;
  if (exchange.socket->kind == SocketEvent::Kind::kConnect) {
    add_handshake(exchange, event);
    // Of the hop, which ends here; an authorizer sees them.
    for (const auto* part : {"headers", "multiValueHeaders"}) {
      for (const auto* name : {"Connection", "Upgrade"}) erase_field(event[part].as_object(), name);
    }
  } else if (exchange.socket->kind == SocketEvent::Kind::kDisconnect) {
    add_farewell(exchange, event);
  }
  if (!exchange.event.stage_variables.empty()) event["stageVariables"] = object_of(exchange.event.stage_variables);
  event["requestContext"] = socket_context(exchange);
  if (exchange.socket->kind == SocketEvent::Kind::kMessage) event["body"] = exchange.event.body;
  event["isBase64Encoded"] = false;
  return to_json(event);
}

std::string web_socket_authorizer_event(const Exchange& exchange, const std::string& arn) {
  json::object event;
  event["type"] = "REQUEST";
  event["methodArn"] = arn;
  add_handshake(exchange, event);
  for (const auto* name : {"queryStringParameters", "multiValueQueryStringParameters"}) {
    if (event[name].is_null()) event[name].emplace_object();
  }
  event["stageVariables"] = object_of(exchange.event.stage_variables);
  event["requestContext"] = socket_context(exchange);
  return to_json(event);
}

std::string web_socket_error(const Exchange& exchange, std::string_view message) {
  const auto quoted = [](std::string_view text) { return to_json(json::value(text)); };
  return "{\"message\": " + quoted(message) + ", \"connectionId\":" + quoted(exchange.socket->connection_id) +
         ", \"requestId\":" + quoted(exchange.event.request_id) + "}";
}

std::optional<std::string> selected_route(const Template& selection, const Exchange& exchange) {
  auto key = selection.complete(exchange);
  // "$connect" and "$disconnect" would let a message say that its connection begins or ends.
  if (!key || key->starts_with('$')) return std::nullopt;
  return key;
}

std::optional<std::string> connection_of_path(std::string_view path_in_stage) {
  if (!path_in_stage.starts_with('/')) return std::nullopt;
  path_in_stage.remove_prefix(1);
  const auto slash = path_in_stage.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  if (percent_decode(path_in_stage.substr(0, slash)) != "@connections") return std::nullopt;
  return percent_decode(path_in_stage.substr(slash + 1)).value_or("");
}

}  // namespace mayfly::gateway
