#include <gtest/gtest.h>

#include "gateway/rest_answers.h"
#include "gateway/rest_mapping.h"
#include "gateway/rest_payload.h"
#include "gateway/rest_policy.h"

namespace mayfly::gateway {
namespace {

struct RestExchange : Exchange {
  explicit RestExchange(RestSettings settings = {}) {
    auto of = std::make_shared<Stage>();
    of->name = "dev";
    settings.deployment_id = "d1";
    of->rest = std::make_shared<const RestSettings>(std::move(settings));
    Route one;
    one.key = *parse_route_key("GET /pets/{id}");
    one.text = "GET /pets/{id}";
    one.resource_id = "r1";
    of->routes.push_back(std::move(one));
    auto whose = std::make_shared<Api>();
    whose->id = "abc";
    whose->account = "000000000000";
    whose->region = "us-east-1";
    whose->is_rest = true;
    api = std::move(whose);
    stage = of;
    route = &stage->routes.front();
    event.head.method = "GET";
    event.head.target = event.path = "/dev/pets/1";
    path_in_stage = "/pets/1";
    resource = "GET/pets/1";
    event.source_ip = "192.0.2.7";
    event.account = "000000000000";
    event.api_id = "abc";
    event.stage = "dev";
  }
};

RestSettings with_policy(std::string_view text) {
  RestSettings out;
  auto policy = identity::Policy::parse(text, identity::PolicyKind::kResource, identity::Policy::kLongest);
  EXPECT_TRUE(policy) << text;
  if (policy) out.policy = std::move(*policy);
  return out;
}

constexpr std::string_view kDenyOne = R"({"Version":"2012-10-17","Statement":[
  {"Effect":"Allow","Principal":"*","Action":"execute-api:Invoke","Resource":"*"},
  {"Effect":"Deny","Principal":"*","Action":"execute-api:Invoke","Resource":"*",
   "Condition":{"IpAddress":{"aws:SourceIp":"192.0.2.0/24"}}}]})";
constexpr std::string_view kAllowOther = R"({"Version":"2012-10-17","Statement":[
  {"Effect":"Allow","Principal":"*","Action":"execute-api:Invoke","Resource":"*",
   "Condition":{"IpAddress":{"aws:SourceIp":"198.51.100.0/24"}}}]})";
constexpr std::string_view kAllowAll =
    R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"execute-api:Invoke","Resource":"*"}]})";

TEST(RestMapping, SourcesAndBodiesWithoutATemplateEngine) {
  RestExchange exchange;
  exchange.event.head.headers.add("X-A", "1");
  EXPECT_EQ(parse_rest_source("'a, $b'")->fill(exchange, Template::Escape::kNone), "a, $b");
  EXPECT_EQ(parse_rest_source("method.request.header.x-a")->value(exchange), "1");
  EXPECT_EQ(parse_rest_source("context.stage")->value(exchange), "dev");
  for (const auto* bad : {"origins", "'", "method.request.body", "context.none", "method.request.header."}) {
    EXPECT_FALSE(parse_rest_source(bad)) << bad;
  }
  EXPECT_EQ(parse_rest_body(R"({"stage":"$context.stage"})")->fill(exchange, Template::Escape::kNone),
            R"({"stage":"dev"})");
  EXPECT_TRUE(parse_rest_body("{}\n"));
  EXPECT_TRUE(parse_rest_body("colour #1"));
  for (const auto* bad : {"$input.body", "#set($a = 1)", "#if(true)x#end", "${input.body}", "## x"}) {
    EXPECT_FALSE(parse_rest_body(bad)) << bad;
  }
}

TEST(RestMapping, TheStatusOfAMock) {
  for (const auto* good :
       {"{\"statusCode\": 200}", "{\n  \"statusCode\" : 200\n}\n", "{statusCode:200}", "{'statusCode':'200'}"}) {
    EXPECT_EQ(parse_mock_status(good), 200) << good;
  }
  for (const auto* bad :
       {"", "{}", "{\"statusCode\": 20}", "{\"statusCode\": 2000}", "{\"statusCode: 200}",
        "{\"statusCode\":200,\"a\":1}", "{\"statusCode\": \"$x\"}", "{\"statusCode\":099}", "{\"statusCode\":200} x"}) {
    EXPECT_EQ(parse_mock_status(bad), std::nullopt) << bad;
  }
}

TEST(RestPolicy, AnAddressIsAllowedOrDenied) {
  EXPECT_TRUE(decide_anonymously(RestExchange(with_policy(kDenyOne))).explicitly);
  EXPECT_FALSE(decide_anonymously(RestExchange(with_policy(kAllowOther))).allowed);
  RestExchange other(with_policy(kDenyOne));
  other.event.source_ip = "203.0.113.1";
  EXPECT_TRUE(decide_anonymously(other).allowed);
}

TEST(RestPolicy, AnAuthorizerIsHeardWithTheApisPolicy) {
  const std::string all(kAllowAll);
  EXPECT_TRUE(decide_by_authorizer(RestExchange(), all).allowed);
  EXPECT_FALSE(decide_by_authorizer(RestExchange(with_policy(kDenyOne)), all).allowed);
  EXPECT_TRUE(decide_by_authorizer(RestExchange(with_policy(kAllowOther)), all).allowed);
  EXPECT_FALSE(decide_by_authorizer(RestExchange(), "{").allowed);
  EXPECT_FALSE(decide_by_authorizer(RestExchange(), R"({"Version":"2012-10-17","Statement":[]})").allowed);
}

TEST(RestAnswers, CustomersWordThemAndNothingOfTheReasonIsTold) {
  RestSettings settings;
  GatewayAnswer own;
  own.status = 418;
  own.content_type = "text/plain";
  own.body = *parse_rest_body("$context.error.message / $context.error.responseType");
  own.headers.emplace_back("X-Own", Template::literal("1"));
  own.headers.emplace_back("Content-Length", Template::literal("1"));
  settings.answers["DEFAULT_4XX"] = std::move(own);
  RestExchange exchange(std::move(settings));
  exchange.error = "the secret reason";
  answer_as_rest(exchange, "THROTTLED", "");
  EXPECT_EQ(exchange.response.head.status, 418);
  EXPECT_EQ(exchange.response.body, "Too Many Requests / THROTTLED");
  EXPECT_EQ(exchange.response.head.headers.get("X-Own"), "1");
  EXPECT_EQ(exchange.response.head.headers.find("Content-Length"), nullptr);
  answer_as_rest(exchange, "AUTHORIZER_FAILURE", "");
  EXPECT_EQ(exchange.response.head.status, 500);
  EXPECT_EQ(exchange.response.body, R"({"message":null})");
}

TEST(RestPayload, TheEventOfAProxy) {
  RestExchange exchange;
  exchange.event.head.headers.add("Host", "abc.execute-api.localhost:4566");
  exchange.event.head.headers.add("X-Forwarded-For", "6.6.6.6");
  const auto event = *parse_json(rest_event(exchange));
  EXPECT_EQ(find(event, "version"), nullptr);
  EXPECT_EQ(get_string(event, "path"), "/pets/1");
  EXPECT_EQ(get_string(event, "resource"), "/pets/{id}");
  const auto& headers = *find(event, "headers");
  EXPECT_EQ(get_string(headers, "X-Forwarded-For"), "192.0.2.7");
  EXPECT_EQ(get_string(headers, "X-Forwarded-Port"), "4566");
  const auto& context = *find(event, "requestContext");
  EXPECT_EQ(get_string(context, "path"), "/dev/pets/1");
  EXPECT_EQ(get_string(context, "resourceId"), "r1");
  EXPECT_EQ(get_string(context, "deploymentId"), "d1");
  EXPECT_TRUE(find(event, "body")->is_null());
}

TEST(RestPayload, AnswersThatAreNone) {
  const RestExchange exchange;
  for (const auto* bad :
       {"", "1", "{}", R"({"statusCode":200,"body":{}})", R"({"body":"x"})", R"({"statusCode":200,"headers":[]})"}) {
    EXPECT_FALSE(rest_response(bad, exchange)) << bad;
  }
  const auto good = rest_response(R"({"statusCode":"201","body":"AAEC","isBase64Encoded":true})", exchange);
  ASSERT_TRUE(good);
  EXPECT_EQ(good->head.status, 201);
  EXPECT_EQ(good->body, "AAEC") << "the client asked for no binary type";
}

}  // namespace
}  // namespace mayfly::gateway
