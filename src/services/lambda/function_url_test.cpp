#include "services/lambda/function_url.h"

#include <gtest/gtest.h>

#include "base/json.h"

namespace mayfly::lambda {
namespace {

UrlCall call_with(std::string target) {
  UrlCall call;
  call.head.method = "POST";
  call.head.target = std::move(target);
  call.head.headers.add("Content-Type", "application/json");
  call.head.headers.add("X-Many", "a");
  call.head.headers.add("x-many", "b");
  call.head.headers.add("Cookie", "one=1; two=2");
  call.body = R"({"k":1})";
  call.source_ip = "127.0.0.1";
  call.request_id = "r";
  call.url_id = "abc";
  call.domain = "abc.lambda-url.us-east-1.localhost";
  call.account = "000000000000";
  call.now = SystemTime();
  return call;
}

TEST(FunctionUrl, TheEventHasFormatTwo) {
  const auto event = parse_json(url_event(call_with("/a/b?x=1&x=2&y=%20z")));
  ASSERT_TRUE(event);
  EXPECT_EQ(get_string(*event, "version"), "2.0");
  EXPECT_EQ(get_string(*event, "rawPath"), "/a/b");
  EXPECT_EQ(get_string(*event, "rawQueryString"), "x=1&x=2&y=%20z");
  EXPECT_EQ(get_string(*find(*event, "queryStringParameters"), "x"), "1,2");
  EXPECT_EQ(get_string(*find(*event, "queryStringParameters"), "y"), " z");
  EXPECT_EQ(get_string(*find(*event, "headers"), "x-many"), "a,b");
  EXPECT_EQ(find(*find(*event, "headers"), "cookie"), nullptr);
  EXPECT_EQ(find(*event, "cookies")->get_array().size(), 2U);
  EXPECT_EQ(get_string(*event, "body"), R"({"k":1})");
  EXPECT_FALSE(get_bool(*event, "isBase64Encoded", true));
  const auto* context = find(*event, "requestContext");
  EXPECT_EQ(get_string(*context, "accountId"), "anonymous");
  EXPECT_EQ(get_string(*context, "time"), "01/Jan/1970:00:00:00 +0000");
  EXPECT_EQ(get_string(*find(*context, "http"), "method"), "POST");
}

TEST(FunctionUrl, BytesThatAreNoTextAreBase64) {
  auto call = call_with("/");
  call.body = std::string("\xFF\x00", 2);
  const auto event = parse_json(url_event(call));
  ASSERT_TRUE(event);
  EXPECT_EQ(get_string(*event, "body"), "/wA=");
  EXPECT_TRUE(get_bool(*event, "isBase64Encoded", false));
}

TEST(FunctionUrl, ResultsWithoutAStatusAreTheBody) {
  EXPECT_EQ(url_response("true").body, "true");
  EXPECT_EQ(url_response(R"({"hello": "world"})").body, R"({"hello":"world"})");
  EXPECT_EQ(url_response(R"("hello")").body, "hello");
  EXPECT_EQ(url_response("3.1").body, "3.1");
  EXPECT_EQ(url_response(R"(["hello", 3, true])").body, R"(["hello",3,true])");
  EXPECT_EQ(url_response("3").head.headers.get("Content-Type"), "application/json");
}

TEST(FunctionUrl, ResultsWithAStatusAreMapped) {
  const auto out =
      url_response(R"({"statusCode":201,"headers":{"x-a":"1","bad\r\nx":"y","x-b":"1\r\nx: y","content-length":"9"},)"
                   R"("cookies":["a=1","b=2"],"body":"aGk=","isBase64Encoded":true})");
  EXPECT_EQ(out.head.status, 201);
  EXPECT_EQ(out.body, "hi");
  EXPECT_EQ(out.head.headers.get("x-a"), "1");
  EXPECT_EQ(out.head.headers.find("x-b"), nullptr);
  EXPECT_EQ(out.head.headers.find("content-length"), nullptr);
  EXPECT_EQ(out.head.headers.get("Set-Cookie"), "a=1");
  EXPECT_EQ(url_response(R"({"statusCode":200,"body":"!","isBase64Encoded":true})").head.status, 502);
}

TEST(FunctionUrl, CrossOriginHeadersFollowTheConfiguration) {
  wire::Cors cors;
  cors.AllowOrigins = std::vector<std::string>(1, "https://a.example");
  cors.AllowCredentials = true;
  http::RequestHead request;
  request.headers.set("Origin", "https://a.example");
  http::Headers out;
  add_cors(cors, request, out);
  EXPECT_EQ(out.get("Access-Control-Allow-Origin"), "https://a.example");
  EXPECT_EQ(out.get("Access-Control-Allow-Credentials"), "true");
  http::Headers none;
  request.headers.set("Origin", "https://b.example");
  add_cors(cors, request, none);
  EXPECT_EQ(none.size(), 0U);
}

}  // namespace
}  // namespace mayfly::lambda
