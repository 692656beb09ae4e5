#include "services/lambda/names.h"

#include <gtest/gtest.h>

namespace mayfly::lambda {
namespace {

const Place kPlace{.account = "000000000000", .region = "us-east-1"};

FunctionName parsed(std::string_view text, std::optional<std::string> qualifier = std::nullopt) {
  auto result = parse_function_name(text, qualifier, kPlace);
  if (!result) ADD_FAILURE() << result.error().message;
  return result ? *result : FunctionName();
}

TEST(FunctionNames, EveryFormNamesTheSameFunction) {
  for (const auto* form :
       {"hello", "function:hello", "000000000000:function:hello", "us-east-1:000000000000:function:hello",
        "arn:aws:lambda:us-east-1:000000000000:function:hello", "000000000000:hello"}) {
    EXPECT_EQ(parsed(form).name, "hello") << form;
    EXPECT_EQ(parsed(form).qualifier, "") << form;
  }
}

TEST(FunctionNames, TheQualifierComesFromTheNameOrTheParameter) {
  EXPECT_EQ(parsed("hello:live").qualifier, "live");
  EXPECT_EQ(parsed("arn:aws:lambda:us-east-1:000000000000:function:hello:$LATEST").qualifier, "$LATEST");
  EXPECT_EQ(parsed("hello", "7").qualifier, "7");
  EXPECT_EQ(parsed("hello:7", "7").qualifier, "7");
}

TEST(FunctionNames, ANameWithDashesIsNoRegion) {
  for (const auto* name : {"my-function-1", "alias-fn-uid00198", "us-east-west-1-2", "a-b-1", "us-1-east"}) {
    const auto result = parsed(std::string(name) + ":live");
    EXPECT_EQ(result.name, name);
    EXPECT_EQ(result.qualifier, "live") << name;
  }
  for (const auto* region : {"us-gov-west-1", "us-iso-east-1", "us-isob-east-1", "eusc-de-east-1"}) {
    const Place place{.account = "000000000000", .region = region};
    const auto result = parse_function_name(std::string(region) + ":000000000000:function:f", std::nullopt, place);
    ASSERT_TRUE(result) << region;
    EXPECT_EQ(result->name, "f") << region;
  }
}

TEST(FunctionNames, AFunctionMayBeCalledFunction) {
  EXPECT_EQ(parsed("function").name, "function");
  EXPECT_EQ(parsed("123456789012").name, "123456789012");
}

TEST(FunctionNames, ContradictingQualifiersAreRefused) {
  const auto result = parse_function_name("hello:1", "$LATEST", kPlace);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().model, &wire::errors::InvalidParameterValueException);
  EXPECT_EQ(result.error().message,
            "The derived qualifier from the function name does not match the specified qualifier.");
}

TEST(FunctionNames, OtherRegionsAndAccountsAreNotReachable) {
  const auto region = parse_function_name("arn:aws:lambda:eu-central-1:000000000000:function:f", std::nullopt, kPlace);
  ASSERT_FALSE(region);
  EXPECT_EQ(region.error().message, "Functions from 'eu-central-1' are not reachable in this region ('us-east-1')");
  const auto account = parse_function_name("arn:aws:lambda:us-east-1:123456789012:function:f", std::nullopt, kPlace);
  ASSERT_FALSE(account);
  EXPECT_EQ(account.error().model, &aws::common_errors::AccessDeniedException);
}

TEST(FunctionNames, SixtyFiveCharactersAreTooMany) {
  EXPECT_TRUE(parse_function_name(std::string(64, 'a'), std::nullopt, kPlace));
  const auto result = parse_function_name(std::string(65, 'a'), std::nullopt, kPlace);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message, "1 validation error detected: Value '" + std::string(65, 'a') +
                                        "' at 'functionName' failed to satisfy constraint: Member must have length "
                                        "less than or equal to 64");
}

TEST(LayerNames, NamesAndArns) {
  EXPECT_EQ(parse_layer_name("deps", kPlace)->name, "deps");
  const auto full = parse_layer_name("arn:aws:lambda:us-east-1:000000000000:layer:deps:3", kPlace);
  ASSERT_TRUE(full);
  EXPECT_EQ(full->name, "deps");
  EXPECT_EQ(full->version, 3);
  EXPECT_FALSE(parse_layer_name("arn:aws:lambda:us-east-1:000000000000:layer:deps:x", kPlace));
  EXPECT_FALSE(parse_layer_name("arn:aws:lambda:us-east-1:000000000000:layer:deps:99999999999999999999", kPlace));
}

TEST(Names, QualifiersAndRoles) {
  EXPECT_TRUE(is_version_number("12"));
  EXPECT_FALSE(is_version_number(""));
  EXPECT_TRUE(is_alias_name("v1"));
  EXPECT_FALSE(is_alias_name("12"));
  EXPECT_FALSE(is_alias_name("with-$-sign"));
  EXPECT_TRUE(looks_like_role_arn("arn:aws:iam::000000000000:role/service/exec"));
  EXPECT_FALSE(looks_like_role_arn("arn:aws:iam::000000000000:user/me"));
  EXPECT_FALSE(looks_like_role_arn("role"));
}

}  // namespace
}  // namespace mayfly::lambda
