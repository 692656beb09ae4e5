// WebSocket APIs over fakes and a virtual clock: who gets in, what becomes of messages, and what @connections may do.
#include <gtest/gtest.h>

#include <deque>

#include "base/encoding.h"
#include "base/json.h"
#include "gateway/gateway.h"
#include "gateway/web_socket_mapping.h"
#include "http/fake_exchange.h"

namespace mayfly::gateway {
namespace {

// A client on its way in, and then inside.
struct Visitor {
  http::FakeRequest request;
  http::FakeResponse response;

  [[nodiscard]] int status() const { return response.got.head.status; }
  [[nodiscard]] std::string message() const {
    const auto body = parse_json(response.got.body);
    return body ? std::string(get_string(*body, "message")) : std::string();
  }
  void say(std::string text) { response.socket->say({.data = std::move(text)}); }
};

struct WebSocketGateway : testing::Test {
  VirtualClock clock;
  Reactor reactor{clock, "test"};
  Scope scope{"test"};
  std::vector<FunctionCall> calls;
  std::map<std::string, std::string> answers;  // by route key; what is not there is {"statusCode": 200}
  std::optional<Error> invoke_fails;
  bool holds = false;  // functions wait
  Signal released;
  SignedAnswer signature;
  std::vector<std::pair<std::string, std::string>> asked;  // actions and resources
  std::vector<std::string> logged;
  std::deque<Visitor> visitors;
  Gateway gateway{clock, ports()};

  Ports ports() {
    Ports out;
    out.invoke = [this](FunctionCall call) { return invoke(std::move(call)); };
    out.check_signature = [this](const SignedRequest& request) {
      asked.emplace_back(request.action, request.resource);
      return signature;
    };
    out.fetch = [](const http::ClientRequest&, std::size_t) -> Result<http::Response> { return http::Response(); };
    out.write_log = [this](const std::string&, const std::string&, std::string line) {
      logged.push_back(std::move(line));
    };
    return out;
  }

  Awaitable<Result<FunctionResult>> invoke(FunctionCall call) {
    const auto event = parse_json(call.payload);
    const auto* context = event ? find(*event, "requestContext") : nullptr;
    const std::string key(context == nullptr ? std::string_view() : get_string(*context, "routeKey"));
    const bool authorizes = event && !get_string(*event, "methodArn").empty();
    calls.push_back(std::move(call));
    while (holds) std::ignore = co_await released.wait_until(kNoDeadline);
    if (invoke_fails) co_return std::unexpected(*invoke_fails);
    const auto found = answers.find(authorizes ? "authorizer" : key);
    FunctionResult result;
    result.payload = found == answers.end() ? R"({"statusCode": 200})" : found->second;
    if (result.payload == "error") result.function_error = "Unhandled";
    co_return result;
  }

  static Route route(const std::string& key) {
    Route out;
    out.text = key;
    out.access = Route::Access::kOpen;
    Integration function;
    function.function_arn = "arn:aws:lambda:us-east-1:000000000000:function:f";
    function.timeout = std::chrono::seconds(29);
    out.integration = std::make_shared<const Integration>(std::move(function));
    return out;
  }

  void publish(std::vector<Route> routes, std::shared_ptr<TokenBucket> bucket = nullptr) {
    auto stage = std::make_shared<Stage>();
    stage->name = "dev";
    stage->bucket = std::move(bucket);
    stage->log_group = "g";
    stage->log_format = *Template::parse("$context.eventType $context.routeKey $context.status",
                                         Template::kContext | Template::kSocket);
    auto named = std::make_shared<WebSocketRoutes>();
    named->selection = *parse_route_selection("$request.body.action");
    for (auto& one : routes) {
      named->by_key[one.text] = stage->routes.size();
      stage->routes.push_back(std::move(one));
    }
    stage->web_socket = std::move(named);
    auto api = std::make_shared<Api>();
    api->id = "abc";
    api->account = "000000000000";
    api->region = "us-east-1";
    api->is_web_socket = true;
    api->stages["dev"] = stage;
    auto other = std::make_shared<Stage>();
    other->name = "other";
    other->web_socket = std::make_shared<const WebSocketRoutes>();
    api->stages["other"] = std::move(other);
    gateway.publish(std::move(api));
  }

  void run() {
    while (reactor.poll() > 0) {
    }
  }
  void serve(Visitor& visitor) {
    scope.spawn(reactor, "visitor",
                [&]() -> Awaitable<void> { co_await gateway.serve(visitor.request, visitor.response); });
    run();
  }
  Visitor& connect(const std::string& target) {
    auto& visitor = visitors.emplace_back();
    visitor.request.head.method = "GET";
    visitor.request.head.target = target;
    auto& headers = visitor.request.head.headers;
    headers.add("Host", "abc.execute-api.localhost:4566");
    headers.add("Connection", "Upgrade");
    headers.add("Upgrade", "websocket");
    headers.add("Sec-WebSocket-Version", "13");
    headers.add("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==");
    serve(visitor);
    return visitor;
  }
  Visitor& manage(const std::string& method, const std::string& id, std::string body = "",
                  const std::string& stage = "dev") {
    auto& visitor = visitors.emplace_back();
    visitor.request.head.method = method;
    visitor.request.head.target =
        "/_aws/execute-api/abc/" + stage + "/@connections/" + percent_encode(id, Slash::kEncode);
    visitor.request.head.headers.add("Host", "127.0.0.1:9001");
    visitor.request.head.headers.add("Authorization", "AWS4-HMAC-SHA256 ...");
    visitor.request.body = std::move(body);
    serve(visitor);
    return visitor;
  }
  // What the last function was told of its connection.
  std::string told(std::string_view member) {
    const auto event = parse_json(calls.back().payload);
    return std::string(get_string(*find(*event, "requestContext"), member));
  }
  static std::string frame_message(const std::string& frame) {
    const auto parsed = parse_json(frame);
    return parsed ? std::string(get_string(*parsed, "message")) : "no JSON: " + frame;
  }

  ~WebSocketGateway() override {
    holds = false;
    released.notify_all();
    for (auto& visitor : visitors) {
      if (visitor.response.socket) visitor.response.socket->leave(http::close_code::kNormal, "");
    }
    run();
    scope.stop();
    Scope ending("ending");
    ending.spawn(reactor, "stop", [&]() -> Awaitable<void> { co_await gateway.stop(); });
    while (ending.running() + scope.running() > 0) reactor.poll();
  }
};

TEST_F(WebSocketGateway, EverybodyIsWelcomeWithoutAConnectRoute) {
  publish({route("$default")});
  EXPECT_EQ(connect("/dev").status(), 101);
  EXPECT_EQ(connect("/dev/").status(), 101);
  EXPECT_TRUE(calls.empty());
  EXPECT_EQ(connect("/none").status(), 403);
  EXPECT_EQ(connect("/dev/x").status(), 403);
}

TEST_F(WebSocketGateway, TheConnectRouteDecides) {
  publish({route("$connect")});
  answers["$connect"] = R"({"statusCode": 200, "headers": {"Sec-WebSocket-Protocol": "v1", "X-Other": "1"}})";
  const auto& accepted = connect("/dev?a=1");
  EXPECT_EQ(accepted.status(), 101);
  EXPECT_EQ(accepted.response.got.head.headers.size(), 1U);
  EXPECT_EQ(accepted.response.got.head.headers.get("Sec-WebSocket-Protocol"), "v1");
  EXPECT_EQ(calls.back().source_arn, "arn:aws:execute-api:us-east-1:000000000000:abc/dev/$connect");
  for (const int status : {301, 401, 500}) {
    answers["$connect"] = "{\"statusCode\": " + std::to_string(status) + "}";
    EXPECT_EQ(connect("/dev").status(), status);
  }
  answers["$connect"] = "error";
  EXPECT_EQ(connect("/dev").status(), 502);
  EXPECT_EQ(visitors.back().message(), "Internal server error");
  answers["$connect"] = R"("no status")";
  EXPECT_EQ(connect("/dev").status(), 502);
  invoke_fails = Error{.code = ErrorCode::kForbidden, .message = "no policy", .hint = ""};
  EXPECT_EQ(connect("/dev").status(), 500);
  EXPECT_EQ(logged.back(), "CONNECT $connect 500");
}

TEST_F(WebSocketGateway, AnAuthorizerIsAskedFirst) {
  auto guarded = route("$connect");
  guarded.access = Route::Access::kAuthorizer;
  auto authorizer = std::make_shared<Authorizer>();
  authorizer->kind = Authorizer::Kind::kFunction;
  authorizer->format_v1 = true;
  authorizer->sources.push_back(*parse_identity_source("route.request.querystring.token"));
  guarded.authorizer = std::move(authorizer);
  publish({guarded, route("say")});
  EXPECT_EQ(connect("/dev").status(), 401);
  EXPECT_EQ(visitors.back().message(), "Unauthorized");
  EXPECT_TRUE(calls.empty());
  const std::string policy =
      R"({"principalId":"p","context":{"n":1},"policyDocument":{"Version":"2012-10-17","Statement":[{"Effect":"EFFECT",
          "Action":"execute-api:Invoke","Resource":"arn:aws:execute-api:us-east-1:000000000000:abc/dev/$connect"}]}})";
  const auto with = [&](const std::string& effect) {
    auto out = policy;
    out.replace(out.find("EFFECT"), 6, effect);
    return out;
  };
  answers["authorizer"] = with("Deny");
  EXPECT_EQ(connect("/dev?token=x").status(), 403);
  EXPECT_EQ(visitors.back().message(), "Forbidden");
  EXPECT_EQ(calls.size(), 1U);  // $connect was not asked
  answers["authorizer"] = "error";
  EXPECT_EQ(connect("/dev?token=x").status(), 500);
  answers["authorizer"] = with("Allow");
  auto& inside = connect("/dev?token=x");
  EXPECT_EQ(inside.status(), 101);
  inside.say(R"({"action":"say"})");
  run();
  const auto event = *parse_json(calls.back().payload);
  EXPECT_EQ(to_json(*find(*find(event, "requestContext"), "authorizer")), R"({"n":"1","principalId":"p"})");
}

TEST_F(WebSocketGateway, WhatIsNoHandshakeIsToldSo) {
  publish({});
  Visitor plain;
  plain.request.head.method = "GET";
  plain.request.head.target = "/dev";
  plain.request.head.headers.add("Host", "abc.execute-api.localhost");
  serve(plain);
  EXPECT_EQ(plain.status(), 426);
  EXPECT_EQ(plain.response.got.head.headers.get("Upgrade"), "websocket");
  plain.request.head.headers.add("Upgrade", "websocket");
  plain.request.head.headers.add("Connection", "Upgrade");
  serve(plain);
  EXPECT_EQ(plain.status(), 426);
  EXPECT_EQ(plain.response.got.head.headers.get("Sec-WebSocket-Version"), "13");
  plain.request.head.headers.add("Sec-WebSocket-Version", "13");
  serve(plain);
  EXPECT_EQ(plain.status(), 400);
}

TEST_F(WebSocketGateway, ConnectionsBeginAtABoundedRate) {
  publish({});
  const auto most = static_cast<std::size_t>(WebSocketConnections::kNewPerSecond);
  for (std::size_t i = 0; i < most; ++i) ASSERT_EQ(connect("/dev").status(), 101);
  EXPECT_EQ(connect("/dev").status(), 429);
  EXPECT_EQ(visitors.back().message(), "Too Many Requests");
  clock.advance(std::chrono::seconds(1));
  EXPECT_EQ(connect("/dev").status(), 101);
}

TEST(WebSocketConnectionsTest, ThereIsABound) {
  WebSocketConnections all;
  std::vector<std::unique_ptr<WebSocketConnections::Entry>> entries;
  const auto add = [&](std::size_t number) {
    auto connection = std::make_shared<Connection>();
    connection->id = std::to_string(number);
    return all.add(connection);
  };
  for (std::size_t i = 0; i < WebSocketConnections::kMost; ++i) entries.push_back(add(i));
  EXPECT_NE(entries.back(), nullptr);
  EXPECT_EQ(add(WebSocketConnections::kMost), nullptr);
  entries.pop_back();
  EXPECT_NE(add(WebSocketConnections::kMost), nullptr);
  // One that is not open yet is not found.
  EXPECT_EQ(all.find("", "", "0"), nullptr);
}

TEST_F(WebSocketGateway, OnlyRoutesThatAnswerDo) {
  auto answering = route("ask");
  answering.answers = true;
  publish({answering, route("say")});
  answers["ask"] = R"({"statusCode": 500, "body": "the answer"})";  // the status does not matter
  answers["say"] = R"({"statusCode": 200, "body": "unheard"})";
  auto& visitor = connect("/dev");
  visitor.say(R"({"action":"say"})");
  visitor.say(R"({"action":"ask"})");
  run();
  EXPECT_EQ(visitor.response.socket->got, std::vector<std::string>{"the answer"});
  answers["ask"] = R"({"statusCode": 200, "body": "Z3LDvMOfZQ==", "isBase64Encoded": true})";
  visitor.say(R"({"action":"ask"})");
  run();
  EXPECT_EQ(visitor.response.socket->got.back(), "grüße");
  auto kept = *answering.integration;
  kept.keeps_base64 = true;
  auto keeping = answering;
  keeping.integration = std::make_shared<const Integration>(std::move(kept));
  publish({keeping});
  visitor.say(R"({"action":"ask"})");
  run();
  EXPECT_EQ(visitor.response.socket->got.back(), "Z3LDvMOfZQ==");
  publish({answering, route("say")});
  answers["ask"] = R"({"statusCode": 200, "body": "/w==", "isBase64Encoded": true})";  // no text
  visitor.say(R"({"action":"ask"})");
  run();
  EXPECT_EQ(frame_message(visitor.response.socket->got.back()), "Internal server error");
  EXPECT_EQ(calls.back().source_arn, "arn:aws:execute-api:us-east-1:000000000000:abc/dev/ask");
  EXPECT_EQ(logged.back(), "MESSAGE ask 502");
}

TEST_F(WebSocketGateway, WhatNobodyTakesIsForbidden) {
  publish({route("say"), route("$connect")});
  auto& visitor = connect("/dev");
  calls.clear();
  for (const auto* text : {"no JSON", R"({"action":"other"})", R"({"action":"$connect"})"}) {
    visitor.say(text);
    run();
    EXPECT_EQ(frame_message(visitor.response.socket->got.back()), "Forbidden") << text;
  }
  EXPECT_TRUE(calls.empty());
  publish({route("$default")});  // the routes of now
  visitor.say("no JSON");
  run();
  EXPECT_EQ(calls.size(), 1U);
  EXPECT_EQ(told("routeKey"), "$default");
}

TEST_F(WebSocketGateway, FailuresAreFramesAndTheConnectionStays) {
  publish({route("$default")});
  auto& visitor = connect("/dev");
  const auto& frames = visitor.response.socket->got;
  answers["$default"] = "error";
  visitor.say("x");
  run();
  EXPECT_EQ(frame_message(frames.back()), "Internal server error");
  holds = true;
  visitor.say("x");
  run();
  EXPECT_EQ(frames.size(), 1U);
  clock.advance(std::chrono::seconds(29));
  run();
  ASSERT_EQ(frames.size(), 2U);
  EXPECT_EQ(frame_message(frames.back()), "Endpoint request timed out");
  EXPECT_FALSE(visitor.response.socket->has_ended());
}

TEST_F(WebSocketGateway, ThrottlesAreOfTheStageAndOfEachRoute) {
  auto slow = route("slow");
  slow.bucket = std::make_shared<TokenBucket>(RateLimits{.rate = 1, .burst = 1});
  publish({slow, route("$default")}, std::make_shared<TokenBucket>(RateLimits{.rate = 1, .burst = 4}));
  auto& visitor = connect("/dev");  // one of four
  const auto& frames = visitor.response.socket->got;
  visitor.say(R"({"action":"slow"})");
  visitor.say(R"({"action":"slow"})");
  run();
  ASSERT_EQ(frames.size(), 1U);
  EXPECT_EQ(frame_message(frames.back()), "Too Many Requests");
  EXPECT_EQ(calls.size(), 1U);
  for (int i = 0; i < 3; ++i) visitor.say("x");
  run();
  EXPECT_EQ(calls.size(), 3U);
  EXPECT_EQ(frames.size(), 2U);
  clock.advance(std::chrono::seconds(1));
  visitor.say(R"({"action":"slow"})");
  run();
  EXPECT_EQ(calls.size(), 4U);
}

TEST_F(WebSocketGateway, AClientThatIsTooFastWaits) {
  publish({route("$default")});
  auto& visitor = connect("/dev");
  holds = true;
  for (std::size_t i = 0; i < Gateway::kMostInFlight + 5; ++i) visitor.say("x");
  run();
  EXPECT_EQ(calls.size(), Gateway::kMostInFlight);
  EXPECT_EQ(visitor.response.socket->reads, Gateway::kMostInFlight);
  holds = false;
  released.notify_all();
  run();
  EXPECT_EQ(calls.size(), Gateway::kMostInFlight + 5);
}

TEST_F(WebSocketGateway, BinaryMessagesEndAConnection) {
  publish({route("$default"), route("$disconnect")});
  auto& visitor = connect("/dev");
  visitor.response.socket->say({.data = "x", .binary = true});
  run();
  EXPECT_EQ(visitor.response.socket->end().code, 1003);
  ASSERT_EQ(calls.size(), 1U);
  EXPECT_EQ(told("eventType"), "DISCONNECT");
}

TEST_F(WebSocketGateway, TheEndIsTold) {
  publish({route("$disconnect")});
  auto& visitor = connect("/dev");
  visitor.response.socket->leave(4001, "bye");
  run();
  ASSERT_EQ(calls.size(), 1U);
  EXPECT_EQ(calls[0].source_arn, "arn:aws:execute-api:us-east-1:000000000000:abc/dev/$disconnect");
  EXPECT_EQ(told("disconnectReason"), "bye");
  EXPECT_NE(calls[0].payload.find("\"disconnectStatusCode\":4001"), std::string::npos);
  EXPECT_EQ(logged.back(), "DISCONNECT $disconnect 200");
  connect("/dev").response.socket->leave(http::close_code::kNoStatus, "");
  run();
  EXPECT_EQ(told("disconnectReason"), "Client-side close frame status not set");
}

TEST_F(WebSocketGateway, ConnectionsOfWhatHasGoneAreClosed) {
  publish({route("$default")});
  auto& visitor = connect("/dev");
  gateway.withdraw("abc");
  run();
  EXPECT_EQ(visitor.response.socket->end().code, http::close_code::kGoingAway);
}

TEST_F(WebSocketGateway, ConnectionsAreManagedByWhoMay) {
  publish({route("$connect")});
  auto& visitor = connect("/dev");
  auto& socket = *visitor.response.socket;
  const auto id = told("connectionId");
  EXPECT_EQ(manage("POST", id, "x").status(), 403);
  EXPECT_EQ(visitors.back().response.got.head.headers.get("x-amzn-ErrorType"), "ForbiddenException");
  EXPECT_EQ(asked.back().first, "execute-api:ManageConnections");
  EXPECT_EQ(asked.back().second, "arn:aws:execute-api:us-east-1:000000000000:abc/dev/POST/@connections/" + id);
  EXPECT_TRUE(socket.got.empty());
  signature.allowed = signature.authenticated = true;
  EXPECT_EQ(manage("POST", id, "hello").status(), 200);
  EXPECT_EQ(socket.got, std::vector<std::string>{"hello"});
  const auto& described = manage("GET", id);
  EXPECT_EQ(described.response.got.body,
            R"({"connectedAt":"2026-01-01T00:00:00.000Z","identity":{"sourceIp":"127.0.0.1","userAgent":""},)"
            R"("lastActiveAt":"2026-01-01T00:00:00.000Z"})");
  // Of another stage, or of nobody.
  EXPECT_EQ(manage("POST", id, "x", "other").status(), 410);
  EXPECT_EQ(manage("GET", "L0SM9cOFvHcCIhw=").status(), 410);
  constexpr http::WebSocketLimits kLimits;
  EXPECT_EQ(manage("POST", id, std::string(kLimits.message_bytes, 'x')).status(), 200);
  EXPECT_EQ(manage("POST", id, std::string(kLimits.message_bytes + 1, 'x')).status(), 413);
  EXPECT_EQ(visitors.back().response.got.head.headers.get("x-amzn-ErrorType"), "PayloadTooLargeException");
  EXPECT_EQ(manage("POST", id, "\xff").status(), 400);
  socket.send_fails = ErrorCode::kThrottled;
  EXPECT_EQ(manage("POST", id, "x").status(), 429);
  EXPECT_EQ(visitors.back().response.got.head.headers.get("x-amzn-ErrorType"), "LimitExceededException");
  EXPECT_EQ(manage("PUT", id).status(), 403);
  EXPECT_EQ(manage("DELETE", id).status(), 204);
  EXPECT_EQ(socket.end().code, 1000);
  run();
  EXPECT_EQ(manage("DELETE", id).status(), 410);
  EXPECT_EQ(visitors.back().response.got.head.headers.get("x-amzn-ErrorType"), "GoneException");
}

}  // namespace
}  // namespace mayfly::gateway
