// @connections: what a backend does with a live connection. The API Gateway Management API, whose client every SDK has:
// POST sends a message, GET tells of the connection, DELETE closes it.
#include <tuple>

#include "base/encoding.h"
#include "base/json.h"
#include "base/time_format.h"
#include "gateway/gateway.h"

namespace mayfly::gateway {
namespace {

http::Response error_response(int status, std::string_view type, std::string_view message) {
  http::Response out;
  out.head.status = status;
  out.head.headers.set("Content-Type", "application/json");
  out.head.headers.set("x-amzn-ErrorType", std::string(type));
  json::object body;
  if (!message.empty()) body["message"] = message;
  out.body = to_json(body);
  return out;
}

http::Response gone() { return error_response(410, "GoneException", ""); }
http::Response forbidden(std::string_view message) { return error_response(403, "ForbiddenException", message); }

http::Response description_of(const Connection& connection) {
  json::object identity;
  identity["sourceIp"] = connection.client.source_ip;
  identity["userAgent"] = connection.client.head.headers.get("User-Agent");
  json::object body;
  body["connectedAt"] = iso8601_millis(connection.connected_at);
  body["identity"] = std::move(identity);
  body["lastActiveAt"] = iso8601_millis(connection.socket->last_active());
  http::Response out;
  out.head.headers.set("Content-Type", "application/json");
  out.body = to_json(body);
  return out;
}

Awaitable<http::Response> send_to(ConnectionPtr connection, std::string data) {
  http::WebSocketMessage message;
  message.data = std::move(data);
  auto sent = co_await connection->socket->send(std::move(message));
  http::Response out;
  out.head.headers.set("Content-Type", "application/json");
  if (sent) co_return out;
  const auto code = sent.error().code;
  if (code == ErrorCode::kThrottled) co_return error_response(429, "LimitExceededException", "");
  if (code == ErrorCode::kTooLarge) co_return error_response(413, "PayloadTooLargeException", "Message too long");
  co_return gone();
}

bool is_signed(const http::RequestHead& head) {
  return !head.headers.get("Authorization").empty() || query_value(head.query(), "X-Amz-Signature").has_value();
}

}  // namespace

std::optional<http::Response> Gateway::check_manager(const Exchange& exchange, const std::string& body,
                                                     const std::string& id) const {
  const auto& head = exchange.event.head;
  if (!is_signed(head)) {
    return error_response(403, "MissingAuthenticationTokenException", "Missing Authentication Token");
  }
  const SignedRequest request{.head = head,
                              .body = body,
                              .resource = exchange.arn(head.method + "/@connections/" + id),
                              .source_ip = exchange.event.source_ip,
                              .tls = exchange.event.tls,
                              .action = "execute-api:ManageConnections"};
  const auto answer = ports_.check_signature(request);
  if (answer.allowed) return std::nullopt;
  return forbidden(answer.authenticated ? std::string_view(answer.reason) : "Forbidden");
}

Awaitable<void> Gateway::serve_connection(Exchange& exchange, std::string id, http::Request& request,
                                          http::ResponseWriter& response) {
  constexpr http::WebSocketLimits kLimits;
  const auto& method = exchange.event.head.method;
  http::Response answer;
  auto body = co_await request.read_all(kLimits.message_bytes);
  if (!body) {
    const bool large = body.error().code == ErrorCode::kTooLarge;
    answer = large ? error_response(413, "PayloadTooLargeException", "Message too long")
                   : error_response(400, "BadRequestException", "Bad Request");
  } else if (method != "POST" && method != "GET" && method != "DELETE") {
    answer = forbidden("Forbidden");
  } else if (auto refused = check_manager(exchange, *body, id)) {
    answer = std::move(*refused);
  } else if (const auto connection = connections_.find(exchange.api->id, exchange.stage->name, id); !connection) {
    answer = gone();
  } else if (method == "GET") {
    answer = description_of(*connection);
  } else if (method == "DELETE") {
    connection->socket->close(http::close_code::kNormal, "Connection Closed Normally");
    answer.head.status = 204;
  } else if (!is_valid_utf8(*body)) {
    answer = error_response(400, "BadRequestException", "Data must be text: binary messages are not supported");
  } else {
    answer = co_await send_to(connection, std::move(*body));
  }
  answer.head.headers.set("x-amzn-RequestId", exchange.event.request_id);
  std::ignore = co_await response.send(std::move(answer));
}

}  // namespace mayfly::gateway
