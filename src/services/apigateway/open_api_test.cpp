#include "services/apigateway/open_api.h"

#include <gtest/gtest.h>

#include "services/apigateway/key_file.h"
#include "services/apigateway/stage_settings.h"

namespace mayfly::apigateway {
namespace {

Configuration empty_configuration() {
  Configuration out;
  wire::Resource root;
  root.id = "root";
  root.path = "/";
  out.resources["root"] = std::move(root);
  return out;
}

std::string document(const std::string& operation, const std::string& more = "") {
  return R"({"swagger":"2.0","info":{"title":"t"},"paths":{"/a/{b}":{"get":)" + operation + "}}" + more + "}";
}

constexpr std::string_view kMock =
    R"("x-amazon-apigateway-integration":{"type":"mock","requestTemplates":{"application/json":"{\"statusCode\":200}"}})";

const wire::Method& only_method(const OpenApi& read) {
  for (const auto& [id, resource] : read.configuration.resources) {
    if (resource.resourceMethods) return resource.resourceMethods->front().second;
  }
  static const wire::Method kNone;
  return kNone;
}

TEST(OpenApi, PathsBecomeResources) {
  const auto read = read_open_api(document("{" + std::string(kMock) + "}"), empty_configuration());
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->configuration.resources.size(), 3U);
  EXPECT_EQ(only_method(*read).authorizationType, "NONE");
  EXPECT_EQ(only_method(*read).methodIntegration->type, "MOCK");
}

TEST(OpenApi, NoMethodStandsOpenBecauseItsGuardWasNotUnderstood) {
  const auto with = [](const std::string& security, const std::string& schemes) {
    const auto operation = R"({"security":)" + security + "," + std::string(kMock) + "}";
    return read_open_api(document(operation, R"(,"securityDefinitions":)" + schemes), empty_configuration());
  };
  EXPECT_FALSE(with(R"([{"nobody":[]}])", "{}"));
  EXPECT_FALSE(with(R"([{"o":["scope"]}])", R"({"o":{"type":"oauth2"}})"));
  const auto keyed = with(R"([{"k":[]}])", R"({"k":{"type":"apiKey","name":"X-API-Key","in":"header"}})");
  ASSERT_TRUE(keyed) << keyed.error().message;
  EXPECT_TRUE(only_method(*keyed).apiKeyRequired.value_or(false));
  const auto is_signed = with(R"([{"s":[]}])", R"({"s":{"type":"apiKey","x-amazon-apigateway-authtype":"awsSigv4"}})");
  ASSERT_TRUE(is_signed) << is_signed.error().message;
  EXPECT_EQ(only_method(*is_signed).authorizationType, "AWS_IAM");
}

TEST(OpenApi, WhatIsNotCarriedOutIsRefusedByName) {
  const auto refused = [](const std::string& operation, const std::string& more = "") {
    const auto read = read_open_api(document(operation, more), empty_configuration());
    return read ? std::string() : read.error().message;
  };
  EXPECT_NE(
      refused(R"({"x-amazon-apigateway-integration":{"type":"aws","httpMethod":"POST","uri":"arn:x"}})").find("AWS"),
      std::string::npos);
  EXPECT_NE(refused(R"({"x-amazon-apigateway-request-validator":"all"})").find("request-validator"), std::string::npos);
  EXPECT_NE(refused("{" + std::string(kMock) + "}", R"(,"x-amazon-apigateway-minimum-compression-size":1)")
                .find("compression"),
            std::string::npos);
  EXPECT_FALSE(
      refused("{" + std::string(kMock) + "}", R"(,"x-amazon-apigateway-gateway-responses":{"NONE_SUCH":{}})").empty());
  for (const auto* text :
       {"", "[]", "{}", R"({"swagger":"1.2","info":{"title":"t"},"paths":{}})", R"({"openapi":"3.0.1","paths":{}})"}) {
    EXPECT_FALSE(read_open_api(text, empty_configuration())) << text;
  }
}

TEST(OpenApi, RolesOfADocumentAreFound) {
  const auto operation =
      R"({"x-amazon-apigateway-integration":{"type":"aws_proxy","httpMethod":"POST","credentials":"arn:aws:iam::000000000000:role/r",)"
      R"("uri":"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/arn:aws:lambda:us-east-1:000000000000:function:f/invocations"}})";
  const auto read = read_open_api(document(operation), empty_configuration());
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(roles_of(read->configuration), Strings{"arn:aws:iam::000000000000:role/r"});
}

TEST(Patch, MethodSettingsAreNamedByPathAndMethod) {
  wire::Stage stage;
  const auto set = [&](std::string op, std::string path, std::string value) {
    wire::PatchOperation patch;
    patch.op = std::move(op);
    patch.path = std::move(path);
    patch.value = std::move(value);
    return patch_method_setting(stage, patch).has_value();
  };
  EXPECT_TRUE(set("replace", "/~1pets~1{id}/GET/throttling/rateLimit", "2.5"));
  EXPECT_TRUE(set("replace", "/*/*/caching/enabled", "true"));
  ASSERT_NE(settings_of(stage, "/pets/{id}", "GET"), nullptr);
  EXPECT_EQ(settings_of(stage, "/pets/{id}", "GET")->throttlingRateLimit, 2.5);
  EXPECT_EQ(settings_of(stage, "/pets/{id}", "POST"), nullptr);
  EXPECT_EQ(settings_of_all(stage)->cachingEnabled, true);
  for (const auto* value : {"", "nan", "inf", "1x", "1e99"}) {
    EXPECT_FALSE(set("replace", "/*/*/throttling/rateLimit", value)) << value;
  }
  EXPECT_FALSE(set("replace", "/*/*/throttling/none", "1"));
  EXPECT_FALSE(set("remove", "/~1other/GET", ""));
  EXPECT_TRUE(set("remove", "/*/*", ""));
  EXPECT_EQ(settings_of_all(stage), nullptr);
}

TEST(KeyFile, LinesByTheNamesOfTheFirst) {
  const auto read = read_key_file("Name,key,Enabled\r\na,\"secret\",FALSE\n\nb,other,true\n");
  ASSERT_TRUE(read) << read.error().message;
  ASSERT_EQ(read->size(), 2U);
  EXPECT_EQ(read->front().value, "secret");
  EXPECT_EQ(read->front().key.enabled, false);
  EXPECT_FALSE(read_key_file("key\nx\n"));
  EXPECT_FALSE(read_key_file("name,key\na,b,c\n"));
  EXPECT_FALSE(read_key_file("name,key,usageplanIds\na,b,plan\n"));
}

}  // namespace
}  // namespace mayfly::apigateway
