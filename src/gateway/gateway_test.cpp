#include "gateway/gateway.h"

#include <gtest/gtest.h>

#include <atomic>

#include "http/fake_exchange.h"

namespace mayfly::gateway {
namespace {

struct GatewayTest : testing::Test {
  VirtualClock clock;
  Reactor reactor{clock, "test"};
  Scope scope{"test"};
  std::atomic<int> fetches{0};
  std::atomic<bool> up{false};
  std::vector<FunctionCall> calls;
  Reactor* served_on = nullptr;
  Reactor* preferred = nullptr;  // by the last answer
  Gateway gateway{clock, ports()};

  Ports ports() {
    Ports out;
    out.invoke = [this](FunctionCall call) { return invoke(std::move(call)); };
    out.check_signature = [](const SignedRequest&) { return SignedAnswer(); };
    out.fetch = [this](const http::ClientRequest&, std::size_t) -> Result<http::Response> {
      ++fetches;
      if (!up) return fail(ErrorCode::kIo, "refused");
      return http::Response();
    };
    out.write_log = [](const std::string&, const std::string&, const std::string&) {};
    return out;
  }

  Awaitable<Result<FunctionResult>> invoke(FunctionCall call) {
    calls.push_back(std::move(call));
    co_return FunctionResult{.payload = R"({"ok":true})", .function_error = "", .served_on = served_on};
  }

  void publish(const std::string& key, Integration integration, Route::Access access) {
    auto stage = std::make_shared<Stage>();
    stage->name = "$default";
    Route route;
    route.key = *parse_route_key(key);
    route.text = key;
    route.access = access;
    route.integration = std::make_shared<const Integration>(std::move(integration));
    ASSERT_TRUE(stage->table.add(route.key, 0));
    stage->routes.push_back(std::move(route));
    auto api = std::make_shared<Api>();
    api->id = "abc";
    api->account = "000000000000";
    api->region = "us-east-1";
    api->stages["$default"] = std::move(stage);
    gateway.publish(std::move(api));
  }

  int ask(const std::string& method, const std::string& target, std::string body) {
    http::FakeRequest request;
    http::FakeResponse response;
    request.head.method = method;
    request.head.target = target;
    request.head.headers.add("Host", "abc.execute-api.localhost:4566");
    request.body = std::move(body);
    scope.spawn(reactor, "ask", [&]() -> Awaitable<void> { co_await gateway.serve(request, response); });
    while (scope.running() > 0) reactor.poll();
    preferred = response.preferred;
    return response.sent ? response.got.head.status : 0;
  }

  ~GatewayTest() override {
    scope.stop();
    Scope ending("ending");
    ending.spawn(reactor, "stop", [&]() -> Awaitable<void> { co_await gateway.stop(); });
    while (ending.running() > 0) reactor.poll();
  }
};

Integration http_integration() {
  Integration out;
  out.kind = Integration::Kind::kHttp;
  out.uri = "http://backend.example/x";
  out.method = "GET";
  return out;
}

TEST_F(GatewayTest, AServerThatFailsIsLeftAloneForAWhile) {
  publish("GET /x", http_integration(), Route::Access::kOpen);
  for (std::uint32_t i = 0; i < Gateway::kBreaker.failures; ++i) EXPECT_EQ(ask("GET", "/x", ""), 500);
  const int before = fetches;
  EXPECT_EQ(ask("GET", "/x", ""), 503);
  EXPECT_EQ(fetches, before);
  clock.advance(Gateway::kBreaker.first);
  EXPECT_EQ(ask("GET", "/x", ""), 500);  // the probe
  EXPECT_EQ(ask("GET", "/x", ""), 503);
  up = true;
  clock.advance(Gateway::kBreaker.longest);
  EXPECT_EQ(ask("GET", "/x", ""), 200);
  EXPECT_EQ(ask("GET", "/x", ""), 200);
}

TEST_F(GatewayTest, WhatIsNotDecidedIsClosed) {
  Integration function;
  function.function_arn = "arn:aws:lambda:us-east-1:000000000000:function:f";
  publish("GET /x", function, Route::Access::kClosed);
  EXPECT_EQ(ask("GET", "/x", ""), 500);
  publish("GET /x", function, Route::Access::kAuthorizer);  // and has none
  EXPECT_EQ(ask("GET", "/x", ""), 500);
  publish("GET /x", function, Route::Access::kIam);
  EXPECT_EQ(ask("GET", "/x", ""), 403);
  EXPECT_TRUE(calls.empty());
  publish("GET /x", function, Route::Access::kOpen);
  EXPECT_EQ(ask("GET", "/x", ""), 200);
  ASSERT_EQ(calls.size(), 1U);
  EXPECT_EQ(calls[0].source_arn, "arn:aws:execute-api:us-east-1:000000000000:abc/$default/GET/x");
}

// The connection then goes there, and no request of it is handed from one reactor to another.
TEST_F(GatewayTest, AnAnswerSaysWhereItsFunctionRuns) {
  publish("GET /x", Integration(), Route::Access::kOpen);
  EXPECT_EQ(ask("GET", "/x", ""), 200);
  EXPECT_EQ(preferred, nullptr);
  Reactor other(clock, "other");
  served_on = &other;
  EXPECT_EQ(ask("GET", "/x", ""), 200);
  EXPECT_EQ(preferred, &other);
}

TEST_F(GatewayTest, BodiesHaveABound) {
  Integration function;
  publish("POST /x", function, Route::Access::kOpen);
  EXPECT_EQ(ask("POST", "/x", std::string(Gateway::kMostPayload + 1, 'a')), 413);
  EXPECT_EQ(ask("POST", "/x", std::string(Gateway::kMostBody + 1, 'a')), 413);
  EXPECT_TRUE(calls.empty());
}

}  // namespace
}  // namespace mayfly::gateway
