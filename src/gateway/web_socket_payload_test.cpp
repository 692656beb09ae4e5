#include "gateway/web_socket_payload.h"

#include <gtest/gtest.h>

#include "base/encoding.h"
#include "base/json.h"
#include "base/time_format.h"
#include "gateway/web_socket_mapping.h"

namespace mayfly::gateway {
namespace {

// As in an event that API Gateway was seen to send.
struct SocketExchange : Exchange {
  explicit SocketExchange(SocketEvent::Kind kind) {
    socket.emplace();
    socket->kind = kind;
    socket->connection_id = "IU3kkeN4IAMCJwA=";
    socket->connected_at = *parse_iso8601("2023-07-19T19:28:16.145Z");
    event.now = *parse_iso8601("2023-07-19T19:28:16.162Z");
    event.request_id = "IU3kkGyEoAMFwZQ=";
    event.stage = "dev";
    event.api_id = "lqrlmblaa2";
    event.domain = "lqrlmblaa2.execute-api.us-east-1.amazonaws.com";
    event.source_ip = "24.148.42.16";
    event.tls = true;
    event.head.method = "GET";
    event.head.target = "/dev";
  }
};

void expect_json(const std::string& got, std::string_view wanted) {
  const auto parsed = parse_json(wanted);
  ASSERT_TRUE(parsed);
  const auto event = parse_json(got);
  ASSERT_TRUE(event);
  EXPECT_EQ(*event, *parsed) << got;
}

TEST(WebSocketPayload, TheEventOfAHandshakeIsAwss) {
  SocketExchange exchange(SocketEvent::Kind::kConnect);
  exchange.event.route_key = "$connect";
  auto& headers = exchange.event.head.headers;
  headers.add("Host", "lqrlmblaa2.execute-api.us-east-1.amazonaws.com");
  headers.add("Connection", "Upgrade");
  headers.add("Upgrade", "websocket");
  headers.add("Sec-WebSocket-Key", "am5ubWVpbHd3bmNyYXF0ag==");
  headers.add("Sec-WebSocket-Version", "13");
  expect_json(web_socket_event(exchange), R"({
    "headers": {"Host": "lqrlmblaa2.execute-api.us-east-1.amazonaws.com", "Sec-WebSocket-Key": "am5ubWVpbHd3bmNyYXF0ag==",
      "Sec-WebSocket-Version": "13", "X-Forwarded-For": "24.148.42.16", "X-Forwarded-Port": "443", "X-Forwarded-Proto": "https"},
    "multiValueHeaders": {"Host": ["lqrlmblaa2.execute-api.us-east-1.amazonaws.com"],
      "Sec-WebSocket-Key": ["am5ubWVpbHd3bmNyYXF0ag=="], "Sec-WebSocket-Version": ["13"], "X-Forwarded-For": ["24.148.42.16"],
      "X-Forwarded-Port": ["443"], "X-Forwarded-Proto": ["https"]},
    "requestContext": {"routeKey": "$connect", "eventType": "CONNECT", "extendedRequestId": "IU3kkGyEoAMFwZQ=",
      "requestTime": "19/Jul/2023:19:28:16 +0000", "messageDirection": "IN", "stage": "dev", "connectedAt": 1689794896145,
      "requestTimeEpoch": 1689794896162, "identity": {"sourceIp": "24.148.42.16"}, "requestId": "IU3kkGyEoAMFwZQ=",
      "domainName": "lqrlmblaa2.execute-api.us-east-1.amazonaws.com", "connectionId": "IU3kkeN4IAMCJwA=",
      "apiId": "lqrlmblaa2"},
    "isBase64Encoded": false})");
  exchange.event.head.target = "/dev?a=1&a=2";
  const auto with_query = *parse_json(web_socket_event(exchange));
  EXPECT_EQ(to_json(*find(with_query, "queryStringParameters")), R"({"a":"2"})");
  EXPECT_EQ(to_json(*find(with_query, "multiValueQueryStringParameters")), R"({"a":["1","2"]})");
}

TEST(WebSocketPayload, TheEventOfAMessageHasNoHeaders) {
  SocketExchange exchange(SocketEvent::Kind::kMessage);
  exchange.event.route_key = "send";
  exchange.event.body = R"({"action":"send"})";
  exchange.socket->message_id = "SOqIDdzSoAMCEeg=";
  exchange.event.head.headers.add("User-Agent", "tester");
  json::object said;
  said["principalId"] = "p";
  said["count"] = 3;
  exchange.event.authorizer["lambda"] = std::move(said);
  expect_json(web_socket_event(exchange), R"({
    "requestContext": {"routeKey": "send", "messageId": "SOqIDdzSoAMCEeg=", "eventType": "MESSAGE",
      "extendedRequestId": "IU3kkGyEoAMFwZQ=", "requestTime": "19/Jul/2023:19:28:16 +0000", "messageDirection": "IN",
      "stage": "dev", "connectedAt": 1689794896145, "requestTimeEpoch": 1689794896162,
      "identity": {"sourceIp": "24.148.42.16", "userAgent": "tester"}, "requestId": "IU3kkGyEoAMFwZQ=",
      "domainName": "lqrlmblaa2.execute-api.us-east-1.amazonaws.com", "connectionId": "IU3kkeN4IAMCJwA=",
      "apiId": "lqrlmblaa2", "authorizer": {"principalId": "p", "count": "3"}},
    "body": "{\"action\":\"send\"}", "isBase64Encoded": false})");
}

TEST(WebSocketPayload, TheEventOfAnEndSaysHowItCame) {
  SocketExchange exchange(SocketEvent::Kind::kDisconnect);
  exchange.event.route_key = "$disconnect";
  exchange.event.stage_variables = {{"color", "red"}};
  exchange.socket->end_code = 1005;
  exchange.socket->end_reason = "Client-side close frame status not set";
  expect_json(web_socket_event(exchange), R"({
    "headers": {"Host": "lqrlmblaa2.execute-api.us-east-1.amazonaws.com", "x-api-key": "", "X-Forwarded-For": "", "x-restapi": ""},
    "multiValueHeaders": {"Host": ["lqrlmblaa2.execute-api.us-east-1.amazonaws.com"], "x-api-key": [""],
      "X-Forwarded-For": [""], "x-restapi": [""]},
    "stageVariables": {"color": "red"},
    "requestContext": {"routeKey": "$disconnect", "disconnectStatusCode": 1005, "eventType": "DISCONNECT",
      "extendedRequestId": "IU3kkGyEoAMFwZQ=", "requestTime": "19/Jul/2023:19:28:16 +0000", "messageDirection": "IN",
      "disconnectReason": "Client-side close frame status not set", "stage": "dev", "connectedAt": 1689794896145,
      "requestTimeEpoch": 1689794896162, "identity": {"sourceIp": "24.148.42.16"}, "requestId": "IU3kkGyEoAMFwZQ=",
      "domainName": "lqrlmblaa2.execute-api.us-east-1.amazonaws.com", "connectionId": "IU3kkeN4IAMCJwA=",
      "apiId": "lqrlmblaa2"},
    "isBase64Encoded": false})");
}

TEST(WebSocketPayload, AnAuthorizerSeesTheWholeHandshake) {
  SocketExchange exchange(SocketEvent::Kind::kConnect);
  exchange.event.head.headers.add("Upgrade", "websocket");
  const auto event = *parse_json(web_socket_authorizer_event(exchange, "arn:x/dev/$connect"));
  EXPECT_EQ(get_string(event, "type"), "REQUEST");
  EXPECT_EQ(get_string(event, "methodArn"), "arn:x/dev/$connect");
  EXPECT_EQ(get_string(*find(event, "headers"), "Upgrade"), "websocket");
  for (const auto* name : {"queryStringParameters", "multiValueQueryStringParameters", "stageVariables"}) {
    EXPECT_EQ(to_json(*find(event, name)), "{}") << name;
  }
}

TEST(WebSocketPayload, ErrorsAreFramesOfThisForm) {
  const SocketExchange exchange(SocketEvent::Kind::kMessage);
  EXPECT_EQ(web_socket_error(exchange, "Forbidden"),
            R"({"message": "Forbidden", "connectionId":"IU3kkeN4IAMCJwA=", "requestId":"IU3kkGyEoAMFwZQ="})");
  const auto id = new_socket_id();
  EXPECT_EQ(base64_decode(id).value_or("").size(), 11U) << id;
  EXPECT_NE(id, new_socket_id());
}

TEST(WebSocketPayload, MessagesNameTheirRoutes) {
  const auto route_of = [](std::string_view selection, std::string body) {
    SocketExchange exchange(SocketEvent::Kind::kMessage);
    exchange.event.body = std::move(body);
    return selected_route(*parse_route_selection(selection), exchange);
  };
  EXPECT_EQ(route_of("$request.body.action", R"({"action":"send"})"), "send");
  EXPECT_EQ(route_of("${request.body.action}", R"({"action":"send","x":1})"), "send");
  EXPECT_EQ(route_of("$request.body.a.b", R"({"a":{"b":7}})"), "7");
  EXPECT_EQ(route_of("v${request.body.v}-${request.body.a}", R"({"a":"x","v":2})"), "v2-x");
  for (const auto* nothing : {"", "x", "[]", "1", "{}", R"({"b":"send"})", R"({"action":{}})", R"({"action":"send")"}) {
    EXPECT_EQ(route_of("$request.body.action", nothing).value_or("{}"), "{}") << nothing;
  }
  EXPECT_EQ(route_of("v${request.body.v}-${request.body.a}", R"({"a":"x"})"), std::nullopt);
  // What begins and ends connections is not for messages to say.
  for (const auto* reserved : {"$connect", "$disconnect", "$default"}) {
    EXPECT_EQ(route_of("$request.body.action", R"({"action":")" + std::string(reserved) + "\"}"), std::nullopt);
  }
  for (const auto* bad : {"", "action", "$request.header.a", "$request.method", "$context.routeKey", "${request.body.a",
                          "$request.querystring.request.body"}) {
    EXPECT_FALSE(parse_route_selection(bad)) << bad;
  }
}

TEST(WebSocketPayload, ConnectionsArePaths) {
  EXPECT_EQ(connection_of_path("/@connections/L0SM9cOFvHcCIhw%3D"), "L0SM9cOFvHcCIhw=");
  EXPECT_EQ(connection_of_path("/%40connections/L0SM9cOFvHcCIhw="), "L0SM9cOFvHcCIhw=");
  EXPECT_EQ(connection_of_path("/@connections/a%2Fb"), "a/b");
  EXPECT_EQ(connection_of_path("/@connections/%"), "");
  for (const auto* other : {"", "/", "/@connections", "/connections/a", "@connections/a", "/x/@connections/a"}) {
    EXPECT_EQ(connection_of_path(other), std::nullopt) << other;
  }
}

TEST(WebSocketMapping, SourcesParametersAndSelections) {
  SocketExchange exchange(SocketEvent::Kind::kConnect);
  exchange.event.head.headers.add("X-A", "1");
  exchange.event.head.target = "/dev?q=2";
  exchange.event.stage_variables = {{"v", "3"}};
  exchange.event.body = R"({"a":{"b":"4"}})";
  EXPECT_EQ(parse_identity_source("route.request.header.x-a")->value(exchange), "1");
  EXPECT_EQ(parse_identity_source("route.request.querystring.q")->value(exchange), "2");
  EXPECT_EQ(parse_identity_source("stageVariables.v")->value(exchange), "3");
  EXPECT_EQ(parse_identity_source("context.connectionId")->value(exchange), "IU3kkeN4IAMCJwA=");
  for (const auto* bad :
       {"$request.header.a", "route.request.body.a", "context.none", "route.request.header.", "'a'"}) {
    EXPECT_FALSE(parse_identity_source(bad)) << bad;
  }
  const auto value_of = [&](std::string_view value) {
    return parse_integration_parameter("integration.request.header.x", value)->value.value(exchange);
  };
  EXPECT_EQ(value_of("context.connectionId"), "IU3kkeN4IAMCJwA=");
  EXPECT_EQ(value_of("route.request.body.a.b"), "4");
  EXPECT_EQ(value_of("'$text'"), "$text");
  EXPECT_TRUE(parse_integration_parameter("integration.request.querystring.q", "'a'"));
  for (const auto* bad : {"integration.request.header.host", "integration.request.path.x", "header.x", "x"}) {
    EXPECT_FALSE(parse_integration_parameter(bad, "'a'")) << bad;
  }
  EXPECT_EQ(fixed_selection("\\$default"), "$default");
  EXPECT_EQ(fixed_selection("$default"), "$default");
  EXPECT_EQ(fixed_selection("200"), "200");
  EXPECT_EQ(fixed_selection("${request.body.a}"), std::nullopt);
}

TEST(WebSocketMapping, IntegrationResponsesAreForStatuses) {
  for (const auto* good : {"$default", "/200/", "/2\\d\\d/", "/5../"}) EXPECT_TRUE(is_response_key(good)) << good;
  for (const auto* bad : {"", "200", "/", "//", "/20/", "/2000/", "/2x0/", "/.*/", "/\\d/"}) {
    EXPECT_FALSE(is_response_key(bad)) << bad;
  }
  EXPECT_TRUE(takes_status("/2\\d\\d/", 204));
  EXPECT_TRUE(takes_status("/404/", 404));
  EXPECT_FALSE(takes_status("/404/", 403));
  EXPECT_FALSE(takes_status("$default", 200));
}

}  // namespace
}  // namespace mayfly::gateway
