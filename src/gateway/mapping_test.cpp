#include "gateway/mapping.h"

#include <gtest/gtest.h>

#include "gateway/outbound.h"
#include "gateway/plan_parts.h"

namespace mayfly::gateway {
namespace {

Exchange exchange_with(std::string target) {
  auto api = std::make_shared<Api>();
  api->id = "abc";
  api->region = "us-east-1";
  api->account = "000000000000";
  auto stage = std::make_shared<Stage>();
  stage->name = "$default";
  Exchange exchange;
  exchange.api = std::move(api);
  exchange.stage = std::move(stage);
  exchange.event.head.method = "GET";
  exchange.event.head.target = std::move(target);
  exchange.event.path = exchange.event.head.path();
  exchange.event.head.headers.add("X-From", "me");
  exchange.event.request_id = "id";
  exchange.event.stage_variables.emplace_back("color", "red");
  exchange.event.path_parameters.emplace_back("id", "a/../b");
  exchange.event.body = R"({"order":{"id":7}})";
  json::object claims;
  claims["sub"] = "u";
  json::object jwt;
  jwt["claims"] = std::move(claims);
  exchange.event.authorizer["jwt"] = std::move(jwt);
  return exchange;
}

constexpr unsigned kAll = Template::kRequest | Template::kResponse | Template::kContext | Template::kStage;

std::string filled(std::string_view text) {
  const auto parsed = Template::parse(text, kAll);
  return parsed ? parsed->fill(exchange_with("/a?q=1"), Template::Escape::kNone) : "refused";
}

TEST(Template, VariablesOfEveryFamily) {
  EXPECT_EQ(filled("$request.header.x-from|$request.querystring.q|$request.path|$request.body.order.id"), "me|1|/a|7");
  EXPECT_EQ(filled("${request.path.id}-${stageVariables.color}-$context.requestId."), "a/../b-red-id.");
  EXPECT_EQ(filled("$context.authorizer.claims.sub"), "u");
  EXPECT_EQ(filled("plain $ text $request"), "plain $ text $request");
  EXPECT_EQ(filled("$request.header.none"), "");
}

TEST(Template, WhatIsNoVariableIsRefused) {
  EXPECT_EQ(filled("$context.nothing"), "refused");
  EXPECT_EQ(filled("$request.header."), "refused");
  EXPECT_EQ(filled("${context.requestId"), "refused");
  EXPECT_FALSE(Template::parse("$request.header.a", Template::kContext));
}

TEST(Template, ValuesStayInTheirLine) {
  auto exchange = exchange_with("/a");
  exchange.event.head.headers.set("User-Agent", "a\",\"b\":\"c\r\nnext");
  const auto parsed = Template::parse(R"({"agent":"$context.identity.userAgent"})", Template::kContext);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->fill(exchange, Template::Escape::kNone), R"({"agent":"a","b":"c  next"})");
  const auto line = parsed->fill(exchange, Template::Escape::kJson);
  EXPECT_EQ(line.find('\n'), std::string::npos);
  EXPECT_EQ(get_string(*parse_json(line), "agent"), "a\",\"b\":\"c\r\nnext");
}

std::vector<Mapping> mappings(const Pairs& pairs, MappingSide side) {
  std::vector<Mapping> out;
  for (const auto& [key, value] : pairs) {
    auto mapping = parse_mapping(key, value, side);
    EXPECT_TRUE(mapping) << key;
    if (mapping) out.push_back(std::move(*mapping));
  }
  return out;
}

TEST(Mapping, Requests) {
  auto exchange = exchange_with("/a?q=1&secret=2&q=3");
  map_request(mappings({{"overwrite:querystring.q", "$request.header.x-from"},
                        {"remove:querystring.secret", ""},
                        {"append:header.X-From", "you"},
                        {"overwrite:path", "/b c/$request.querystring.q"}},
                       MappingSide::kRequest),
              exchange);
  EXPECT_EQ(exchange.event.head.target, "/b%20c/1%2C3?q=me");
  EXPECT_EQ(exchange.event.path, "/b%20c/1%2C3");
  EXPECT_EQ(exchange.event.head.headers.size(), 2U);
}

TEST(Mapping, APathDoesNotClimb) {
  auto exchange = exchange_with("/a");
  map_request(mappings({{"overwrite:path", "/items/$request.path.id"}}, MappingSide::kRequest), exchange);
  EXPECT_EQ(exchange.event.path, "/a");
}

TEST(Mapping, Responses) {
  auto exchange = exchange_with("/a");
  exchange.response.body = R"({"code":"201"})";
  exchange.response.head.headers.add("X-Old", "1");
  map_response(mappings({{"overwrite:statuscode", "$response.body.code"},
                         {"append:header.x-new", "$response.header.x-old"},
                         {"remove:header.x-old", ""}},
                        MappingSide::kResponse),
               exchange);
  EXPECT_EQ(exchange.response.head.status, 201);
  EXPECT_EQ(exchange.response.head.headers.get("x-new"), "1");
  EXPECT_EQ(exchange.response.head.headers.find("X-Old"), nullptr);
}

TEST(Mapping, WhatCannotBeMappedIsRefused) {
  for (const auto* key : {"header.a", "set:header.a", "append:header.Authorization", "append:header.x-amz-date",
                          "append:header.X-Forwarded-For", "append:header.a b", "append:path", "remove:path",
                          "append:querystring.", "overwrite:statuscode", "append:header.Access-Control-Allow-Origin"}) {
    EXPECT_FALSE(parse_mapping(key, "x", MappingSide::kRequest)) << key;
  }
  EXPECT_FALSE(parse_mapping("append:querystring.a", "x", MappingSide::kResponse));
  EXPECT_FALSE(parse_mapping("append:header.a", "$request.header.b", MappingSide::kResponse));
}

TEST(Outbound, MetadataAddressesInEveryForm) {
  for (const auto* address : {"169.254.169.254", "169.254.0.1", "fe80::1", "fe80::1%eth0", "::ffff:169.254.169.254",
                              "::169.254.169.254", "64:ff9b::a9fe:a9fe", "fd00:ec2::254", "100.100.100.200", "", "x"}) {
    EXPECT_TRUE(is_metadata_address(address)) << address;
  }
  for (const auto* address : {"127.0.0.1", "192.0.2.1", "::1", "2001:db8::1", "169.253.255.255"}) {
    EXPECT_FALSE(is_metadata_address(address)) << address;
  }
}

TEST(PlanParts, StageVariablesAreReplacedOnce) {
  const Pairs variables{{"a", "${stageVariables.a}"}, {"b", "x"}};
  EXPECT_EQ(with_stage_variables("-${stageVariables.a}-${stageVariables.b}-${stageVariables.c}-", variables),
            "-${stageVariables.a}-x--");
  EXPECT_EQ(with_stage_variables("${stageVariables.b", variables), "${stageVariables.b");
}

TEST(PlanParts, VariablesStandInNoHost) {
  EXPECT_FALSE(has_variable_host("http://a.example/{id}/b"));
  EXPECT_FALSE(has_variable_host("http://${stageVariables.host}/{id}"));
  EXPECT_TRUE(has_variable_host("http://{id}.example/b"));
  EXPECT_TRUE(has_variable_host("http://${stageVariables.host"));
}

TEST(PlanParts, VariablesOfAUriGetTheirOtherNames) {
  EXPECT_EQ(with_names("http://h/{a}/{b}/{c+}/{d}{", {{"a", "b"}, {"b", "a"}, {"c", "rest"}}),
            "http://h/{b}/{a}/{rest+}/{d}{");
}

TEST(Bucket, ABurstAndThenTheRate) {
  TokenBucket bucket({.rate = 2, .burst = 3});
  SteadyTime now{};
  for (int i = 0; i < 3; ++i) EXPECT_EQ(bucket.take(now).count(), 0);
  EXPECT_EQ(bucket.take(now), std::chrono::milliseconds(500));
  now += std::chrono::milliseconds(500);
  EXPECT_EQ(bucket.take(now).count(), 0);
  EXPECT_GT(bucket.take(now).count(), 0);
  now += std::chrono::hours(1);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(bucket.take(now).count(), 0);
  EXPECT_GT(bucket.take(now).count(), 0);
  TokenBucket closed({.rate = 0, .burst = 0});
  EXPECT_GT(closed.take(now).count(), 0);
}

}  // namespace
}  // namespace mayfly::gateway
