// What a message may hold, its digests, its envelope, receipt handles and a queue's attributes: no store, no server.
#include "services/sqs/content.h"

#include <gtest/gtest.h>

#include "services/sqs/envelope.h"
#include "services/sqs/limits.h"
#include "services/sqs/receipt.h"
#include "services/sqs/record.h"

namespace mayfly::sqs {
namespace {

MessageAttribute text_attribute(std::string name, std::string type, std::string value) {
  MessageAttribute out;
  out.name = std::move(name);
  out.data_type = std::move(type);
  out.value = std::move(value);
  return out;
}

MessageAttribute binary_attribute(std::string name, std::string value) {
  auto out = text_attribute(std::move(name), "Binary.png", std::move(value));
  out.binary = true;
  return out;
}

TEST(SqsCharacters, AreXmlsAndUtf8s) {
  for (const std::string_view good : {"", "plain", "tab\tline\r\n", "gr\xC3\xBC\xC3\x9F \xF0\x9F\x98\x80",
                                      "\xEF\xBF\xBD", "a long run of plain text\n"}) {
    EXPECT_TRUE(has_only_allowed_characters(good)) << good;
  }
  const std::string zero("a\0b", 3);
  for (const std::string_view bad :
       {std::string_view(zero), std::string_view("\b"), std::string_view("12345678\x13"),
        std::string_view("\xEF\xBF\xBF"), std::string_view("\xEF\xBF\xBE"), std::string_view("\xED\xA0\x80"),
        std::string_view("\xC0\x80"), std::string_view("\xF4\x90\x80\x80"), std::string_view("\xE2\x82"),
        std::string_view("\x80")}) {
    EXPECT_FALSE(has_only_allowed_characters(bad)) << bad;
  }
}

TEST(SqsAttributes, DigestIsTheDocumentedOne) {
  // Computed by an independent implementation (Python's hashlib over the documented form).
  const std::string bytes("\0\1\xFF", 3);
  std::vector<MessageAttribute> attributes{binary_attribute("z", bytes), text_attribute("b", "Number.int", "42"),
                                           text_attribute("a", "String", "gr\xC3\xBC\xC3\x9F")};
  EXPECT_EQ(attributes_md5(attributes), "d790450027d4373c87b49c51b2f5fe6d");
  EXPECT_EQ(attributes_md5({}), "");
  EXPECT_EQ(counted_bytes("text", attributes), 4U + 1 + 10 + 3 + 1 + 10 + 2 + 1 + 6 + 6);
}

TEST(SqsAttributes, NamesTypesAndValuesAreChecked) {
  for (const auto& good : {text_attribute("a.b-c_1", "String.kind", "x"), text_attribute("n", "Number", "-1.5e3"),
                           text_attribute("AWSome", "String", "x"), binary_attribute("b", "\x01")}) {
    EXPECT_TRUE(check_attributes({good})) << good.name;
  }
  for (const auto& bad : {text_attribute("", "String", "x"), text_attribute("aWs.x", "String", "x"),
                          text_attribute("Amazon.x", "String", "x"), text_attribute(".a", "String", "x"),
                          text_attribute("a.", "String", "x"), text_attribute("a..b", "String", "x"),
                          text_attribute("a b", "String", "x"), text_attribute("a\xC2\xA7", "String", "x"),
                          text_attribute(std::string(257, 'L'), "String", "x"), text_attribute("a", "", "x"),
                          text_attribute("a", "Text", "x"), text_attribute("a", "String." + std::string(250, 'L'), "x"),
                          text_attribute("a", "String", ""), text_attribute("a", "Binary", "x"),
                          text_attribute("n", "Number", "one"), text_attribute("a", "String", "\x0B")}) {
    EXPECT_FALSE(check_attributes({bad})) << bad.name << " " << bad.data_type;
  }
  std::vector<MessageAttribute> many;
  for (std::size_t i = 0; i <= kMessageAttributes; ++i)
    many.push_back(text_attribute(std::to_string(i), "String", "x"));
  const auto refused = check_attributes(many);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "Number of message attributes [11] exceeds the allowed maximum [10].");
}

TEST(SqsEnvelope, OpensToWhatWasSealed) {
  Envelope envelope;
  envelope.md5 = std::string(16, '\xAB');
  envelope.sender_id = "000000000000";
  envelope.trace_header = "Root=1-2-3";
  envelope.receives_before = 4'000'000'000;
  envelope.source_arn = "arn:aws:sqs:us-east-1:000000000000:jobs";
  envelope.dedupe_id = "d";
  envelope.attributes = {binary_attribute("bin", std::string("\0\1", 2)), text_attribute("t", "String", "x")};
  const std::string text("a body\0with zeroes", 18);
  const auto bytes = seal(envelope, text);
  const auto opened = open(bytes);
  ASSERT_TRUE(opened);
  EXPECT_EQ(bytes.substr(opened->text_at), text);
  EXPECT_EQ(opened->envelope.md5, envelope.md5);
  EXPECT_EQ(opened->envelope.receives_before, envelope.receives_before);
  EXPECT_EQ(opened->envelope.source_arn, envelope.source_arn);
  ASSERT_EQ(opened->envelope.attributes.size(), 2U);
  EXPECT_EQ(opened->envelope.attributes[0].value, envelope.attributes[0].value);
  EXPECT_TRUE(opened->envelope.attributes[0].binary);
  EXPECT_EQ(opened->envelope.attributes[1].data_type, "String");
  // Cut anywhere before the text, it is no envelope.
  for (std::size_t length = 0; length < opened->text_at; ++length) EXPECT_FALSE(open(bytes.substr(0, length)));
}

TEST(SqsReceipt, IsBoundToItsQueueAndRefusesOtherText) {
  Receipt receipt;
  receipt.generation = "0123456789abcdef";
  receipt.received = 1'790'000'000;
  receipt.token = store::LeaseToken("token");
  const auto parsed = parse_receipt(receipt_text(receipt));
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->generation, receipt.generation);
  EXPECT_EQ(parsed->received, receipt.received);
  EXPECT_EQ(parsed->token, receipt.token);
  for (const std::string_view bad : {"", "INVALID", "testHandle1", "AAAA", "QUFBQUFBQUFBQUFBQQ"}) {
    EXPECT_FALSE(parse_receipt(bad)) << bad;
  }
  EXPECT_FALSE(parse_receipt(std::string(4'096, 'A')));
}

QueueRecord queue(bool fifo) {
  QueueRecord out;
  out.place = {.account = "000000000000", .region = "us-east-1"};
  out.name = fifo ? "q.fifo" : "q";
  out.generation = "0123456789abcdef";
  out.fifo = fifo;
  return out;
}

TEST(SqsRecord, SurvivesItsText) {
  auto record = queue(true);
  const Attributes given{
      {"VisibilityTimeout", "7"},
      {"ContentBasedDeduplication", "True"},
      {"DeduplicationScope", "messageGroup"},
      {"FifoThroughputLimit", "perMessageGroupId"},
      {"Policy",
       R"( {"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Principal": "*", "Action": "sqs:*", "Resource": "*"}})"},
      {"RedrivePolicy", R"({"deadLetterTargetArn":"arn:aws:sqs:r:a:d.fifo","maxReceiveCount":"3"})"},
      {"RedriveAllowPolicy", R"({"redrivePermission":"denyAll"})"},
      {"KmsMasterKeyId", ""}};
  ASSERT_TRUE(set_attributes(record, given, Purpose::kChange));
  record.tags = {{"a", "b"}};
  const auto again = QueueRecord::read(record.document());
  ASSERT_TRUE(again);
  for (const auto name : attribute_names()) EXPECT_EQ(shown_attribute(*again, name), shown_attribute(record, name));
  EXPECT_EQ(again->tags, record.tags);
  EXPECT_EQ(
      shown_attribute(*again, "Policy"),
      R"({"Version":"2012-10-17","Statement":{"Effect":"Deny","Principal":"*","Action":"sqs:*","Resource":"*"}})");
  EXPECT_EQ(shown_attribute(*again, "RedrivePolicy"),
            R"({"deadLetterTargetArn":"arn:aws:sqs:r:a:d.fifo","maxReceiveCount":3})");
  EXPECT_TRUE(again->port_settings().ordered);
  EXPECT_TRUE(again->port_settings().dedupe_by_group);
  EXPECT_FALSE(allows_redrive(*again, "arn:aws:sqs:us-east-1:000000000000:q"));
  EXPECT_FALSE(QueueRecord::read({}));
}

TEST(SqsRecord, RefusesWhatIsNotCarriedOutAndWhatIsWrong) {
  const auto code = [](bool fifo, const std::string& name, const std::string& value) {
    auto record = queue(fifo);
    const Attributes given{{name, value}};
    const auto set = set_attributes(record, given, Purpose::kChange);
    return set ? std::string("taken") : std::string(set.error().model->code) + " " + set.error().message;
  };
  EXPECT_EQ(code(false, "VisibilityTimeout", "43201"),
            "InvalidAttributeValue Invalid value for the parameter VisibilityTimeout.");
  EXPECT_EQ(code(false, "DelaySeconds", "1x"), "InvalidAttributeValue Invalid value for the parameter DelaySeconds.");
  EXPECT_EQ(code(false, "MaximumMessageSize", "1048577"),
            "InvalidAttributeValue Invalid value for the parameter MaximumMessageSize.");
  EXPECT_EQ(code(false, "KmsMasterKeyId", "alias/x"),
            "InvalidAttributeValue Invalid value for the parameter KmsMasterKeyId. Reason: Encryption with keys of KMS "
            "is not supported.");
  EXPECT_EQ(code(false, "FifoQueue", "true"), "InvalidAttributeName Unknown Attribute FifoQueue.");
  EXPECT_EQ(code(true, "FifoQueue", "false"),
            "InvalidAttributeValue Invalid value for the parameter FifoQueue. Reason: Modifying queue type is not "
            "supported.");
  EXPECT_EQ(code(true, "FifoQueue", "true"), "taken");
  EXPECT_EQ(code(false, "Foobar", "1"), "InvalidAttributeName Unknown Attribute Foobar.");
  EXPECT_NE(code(true, "FifoThroughputLimit", "perMessageGroupId"), "taken") << "its scope is the queue's";
  for (const std::string bad : {"[]", "{}", R"({"deadLetterTargetArn":"arn:x"})", R"({"maxReceiveCount":1})",
                                R"({"deadLetterTargetArn":"arn:x","maxReceiveCount":0})",
                                R"({"deadLetterTargetArn":"arn:x","maxReceiveCount":1001})"}) {
    EXPECT_TRUE(code(false, "RedrivePolicy", bad).starts_with("InvalidParameterValueException")) << bad;
  }
}

TEST(SqsNames, AreThoseOfTheirKind) {
  for (const std::string_view good : {"a", "A-b_9"}) EXPECT_TRUE(check_name(good, false)) << good;
  for (const std::string_view bad : {"", "a.b", "a.fifo", "a b", "\xC3\xBC"})
    EXPECT_FALSE(check_name(bad, false)) << bad;
  EXPECT_TRUE(check_name(std::string(75, 'a') + ".fifo", true));
  EXPECT_FALSE(check_name(std::string(76, 'a') + ".fifo", true));
  EXPECT_FALSE(check_name(".fifo", true));
  EXPECT_FALSE(check_name("a", true));
}

}  // namespace
}  // namespace mayfly::sqs
