#include "gateway/payload.h"

#include <gtest/gtest.h>

namespace mayfly::gateway {
namespace {

EventInput input_with(std::string target) {
  EventInput input;
  input.head.method = "POST";
  input.head.target = std::move(target);
  input.path = input.head.path();
  input.head.headers.add("Content-Type", "application/json");
  input.head.headers.add("X-Many", "a");
  input.head.headers.add("X-Many", "b");
  input.head.headers.add("Cookie", "one=1; two=2");
  input.head.headers.add("X-Forwarded-For", "6.6.6.6");
  input.head.headers.add("User-Agent", "agent");
  input.body = R"({"k":1})";
  input.source_ip = "192.0.2.1";
  input.request_id = "id=";
  input.api_id = input.domain_prefix = "abc";
  input.domain = "abc.execute-api.localhost";
  input.account = "123456789012";
  input.route_key = "POST /my/{path}";
  input.path_parameters.emplace_back("path", "path");
  input.stage_variables.emplace_back("stageVariable1", "value1");
  input.now = SystemTime(std::chrono::milliseconds(1'583'348'638'390));
  return input;
}

// The documented forms, member by member.
TEST(Payload, FormatTwo) {
  auto input = input_with("/my/path?parameter1=value1&parameter1=value2&parameter2=value");
  json::object claims;
  claims["sub"] = "u";
  json::object jwt;
  jwt["claims"] = std::move(claims);
  jwt["scopes"] = nullptr;
  input.authorizer["jwt"] = std::move(jwt);
  EXPECT_EQ(
      event_v2(input),
      R"({"version":"2.0","routeKey":"POST /my/{path}","rawPath":"/my/path",)"
      R"("rawQueryString":"parameter1=value1&parameter1=value2&parameter2=value","cookies":["one=1","two=2"],)"
      R"("headers":{"content-type":"application/json","x-many":"a,b","x-forwarded-for":"192.0.2.1",)"
      R"("user-agent":"agent","x-forwarded-proto":"http"},)"
      R"("queryStringParameters":{"parameter1":"value1,value2","parameter2":"value"},)"
      R"("requestContext":{"accountId":"123456789012","apiId":"abc",)"
      R"("authorizer":{"jwt":{"claims":{"sub":"u"},"scopes":null}},)"
      R"("domainName":"abc.execute-api.localhost","domainPrefix":"abc",)"
      R"("http":{"method":"POST","path":"/my/path","protocol":"HTTP/1.1","sourceIp":"192.0.2.1","userAgent":"agent"},)"
      R"("requestId":"id=","routeKey":"POST /my/{path}","stage":"$default","time":"04/Mar/2020:19:03:58 +0000",)"
      R"("timeEpoch":1583348638390},"pathParameters":{"path":"path"},"stageVariables":{"stageVariable1":"value1"},)"
      R"("body":"{\"k\":1}","isBase64Encoded":false})");
}

TEST(Payload, FormatOne) {
  const auto event = parse_json(event_v1(input_with("/my/path?p=1&p=2")));
  ASSERT_TRUE(event);
  EXPECT_EQ(get_string(*event, "version"), "1.0");
  EXPECT_EQ(get_string(*event, "resource"), "/my/{path}");
  EXPECT_EQ(get_string(*event, "path"), "/my/path");
  EXPECT_EQ(get_string(*event, "httpMethod"), "POST");
  EXPECT_EQ(get_string(*find(*event, "headers"), "X-Many"), "b");
  EXPECT_EQ(to_json(*find(*find(*event, "multiValueHeaders"), "X-Many")), R"(["a","b"])");
  EXPECT_EQ(get_string(*find(*event, "headers"), "x-forwarded-for"), "192.0.2.1");
  EXPECT_EQ(find(*find(*event, "headers"), "X-Forwarded-For"), nullptr);
  EXPECT_EQ(to_json(*find(*event, "queryStringParameters")), R"({"p":"2"})");
  EXPECT_EQ(to_json(*find(*event, "multiValueQueryStringParameters")), R"({"p":["1","2"]})");
  const auto* context = find(*event, "requestContext");
  EXPECT_EQ(to_json(*find(*context, "authorizer")), R"({"claims":null,"scopes":null})");
  EXPECT_EQ(get_string(*context, "resourcePath"), "/my/{path}");
  EXPECT_EQ(get_string(*find(*context, "identity"), "sourceIp"), "192.0.2.1");
  auto bare = input_with("/");
  bare.path_parameters.clear();
  bare.body.clear();
  const auto empty = parse_json(event_v1(bare));
  EXPECT_TRUE(find(*empty, "pathParameters")->is_null() && find(*empty, "body")->is_null());
  EXPECT_TRUE(find(*empty, "queryStringParameters")->is_null());
}

TEST(Payload, ResponsesOfFormatTwoAreInferred) {
  EXPECT_EQ(response_v2(R"({"hello": "world"})", "x")->body, R"({"hello":"world"})");
  EXPECT_EQ(response_v2(R"({"hello": "world"})", "x")->head.headers.get("Content-Type"), "application/json");
  const auto full =
      response_v2(R"({"statusCode":201,"headers":{"x-a":"1","x-b":"1\r\nevil: 1"},"cookies":["a=1","b=2"],)"
                  R"("body":"aGk=","isBase64Encoded":true})",
                  "text/plain");
  ASSERT_TRUE(full);
  EXPECT_EQ(full->head.status, 201);
  EXPECT_EQ(full->body, "hi");
  EXPECT_EQ(full->head.headers.get("Content-Type"), "text/plain");
  EXPECT_EQ(full->head.headers.find("x-b"), nullptr);
  EXPECT_FALSE(response_v2(R"({"statusCode":200,"body":"!","isBase64Encoded":true})", "x"));
}

TEST(Payload, ResponsesOfFormatOneNameTheirStatus) {
  EXPECT_FALSE(response_v1(R"({"hello":"world"})", "x"));
  EXPECT_FALSE(response_v1("3", "x"));
  const auto out = response_v1(
      R"({"statusCode":"200","headers":{"X-A":"1"},"multiValueHeaders":{"x-a":["2","3"]},"body":"b"})", "x");
  ASSERT_TRUE(out);
  EXPECT_EQ(out->head.status, 200);
  std::size_t count = 0;
  for (const auto& [name, value] : out->head.headers) count += name == "x-a" || name == "X-A" ? 1 : 0;
  EXPECT_EQ(count, 2U);
}

}  // namespace
}  // namespace mayfly::gateway
