#include <gtest/gtest.h>

#include "aws/gen/iam.h"
#include "aws/gen/lambda.h"
#include "aws/gen/secretsmanager.h"
#include "aws/gen/sqs.h"
#include "services/audit/record.h"
#include "services/audit/trail.h"

namespace mayfly::audit {
namespace {

json::value parsed(std::string_view text) { return parse_json(text).value(); }

template <typename Op>
json::object shown_input(std::string_view text) {
  return shown_document(Op::model().input, parsed(text).get_object());
}

TEST(AuditRecordTest, SecretsAndBytesAreReplacedAndNamesAreCloudTrails) {
  using aws::secretsmanager::CreateSecret;
  const auto secret = shown_input<CreateSecret>(
      R"({"Name":"n","SecretString":"hush","SecretBinary":"hush","Tags":[{"Key":"k","Value":"v"}]})");
  EXPECT_EQ(to_json(secret), R"({"name":"n","secretString":"HIDDEN_DUE_TO_SECURITY_REASONS",)"
                             R"("secretBinary":"HIDDEN_DUE_TO_SECURITY_REASONS","tags":[{"key":"k","value":"v"}]})");
  const auto function = to_json(shown_input<aws::lambda::CreateFunction>(
      R"({"FunctionName":"f","Code":{"ZipFile":"hush"},"Environment":{"Variables":{"hush":"hush"}}})"));
  EXPECT_EQ(function.find("hush"), std::string::npos);
  const auto key = to_json(shown_document(
      aws::iam::CreateAccessKey::model().output,
      parsed(R"({"AccessKey":{"UserName":"u","AccessKeyId":"AKIA","SecretAccessKey":"hush"}})").get_object()));
  EXPECT_EQ(key.find("hush"), std::string::npos);
  EXPECT_NE(key.find("AKIA"), std::string::npos);
}

TEST(AuditRecordTest, LongTextsAreCutAndLongRequestsLeftOut) {
  const std::string longest(50'000, 'x');
  const auto cut =
      to_json(shown_input<aws::secretsmanager::CreateSecret>(R"({"Name":"n","Description":")" + longest + R"("})"));
  EXPECT_LT(cut.size(), 2'000U);
}

TEST(AuditRecordTest, CallsThatMoveDataAreKnown) {
  EXPECT_TRUE(is_data_call("lambda", "Invoke"));
  EXPECT_TRUE(is_data_call("sqs", "SendMessageBatch"));
  EXPECT_FALSE(is_data_call("sqs", "PurgeQueue"));
  EXPECT_FALSE(is_data_call("secretsmanager", "GetSecretValue"));
  EXPECT_TRUE(is_read_only("DescribeSecret"));
  EXPECT_FALSE(is_read_only("DeleteSecret"));
}

TEST(AuditRecordTest, FiltersLookAtTheWholeRecord) {
  aws::CallContext context;
  context.request_id = "r";
  context.region = "us-east-1";
  context.principal = {.account = "000000000000", .arn = "arn:aws:iam::000000000000:user/ann", .access_key_id = "AKIA"};
  aws::ApiError denied;
  denied.model = &aws::common_errors::AccessDeniedException;
  denied.message = "no";
  json::object request;
  request["functionName"] = "arn:aws:lambda:us-east-1:000000000000:function:f";
  const auto made = make_record(context, aws::lambda::service(), aws::lambda::DeleteFunction::model(), request, nullptr,
                                &denied, SystemTime(std::chrono::hours(24)));
  const auto record = parsed(made.text);
  EXPECT_TRUE(matches(record, {}));
  EXPECT_TRUE(matches(record, {.account = "000000000000", .user = "ann"}));
  EXPECT_TRUE(matches(record, {.resource_name = "f"}));
  EXPECT_FALSE(matches(record, {.resource_name = "other"}));
  EXPECT_TRUE(matches(record, {.denials_only = true}));
  EXPECT_FALSE(matches(record, {.event_name = "CreateFunction"}));
  EXPECT_TRUE(matches(record, {.from = SystemTime(std::chrono::hours(23)), .to = SystemTime(std::chrono::hours(25))}));
  EXPECT_FALSE(matches(record, {.from = SystemTime(std::chrono::hours(25))}));
}

}  // namespace
}  // namespace mayfly::audit
