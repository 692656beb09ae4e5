// The Query protocol and services that speak several protocols at once, with models of their own.
#include <gtest/gtest.h>

#include "aws/form.h"
#include "aws/protocol.h"
#include "aws/runtime_model_test.h"
#include "aws/xml_wire.h"

namespace mayfly::aws {
namespace {

const ErrorModel kMissing{.code = "QueueDoesNotExist",
                          .status = 400,
                          .sender_fault = true,
                          .query_code = "AWS.SimpleQueueService.NonExistentQueue"};
const ErrorModel* const kErrors[] = {&kMissing};
constexpr WireProtocol kAlso[] = {WireProtocol::kQuery};

class QueueLike {
 public:
  QueueLike() : model_(shapes_) {
    operations_[0] = model_.operation(
        parse_json(
            R"({"name":"Send","http":{"method":"POST","requestUri":"/"},"input":{"shape":"In"},"output":{"shape":"In"}})")
            .value());
    service_.name = "queue";
    service_.target_prefix = "Queue_20200101";
    service_.protocol = WireProtocol::kJson10;
    service_.also = kAlso;
    service_.operations = operations_;
    service_.errors = kErrors;
    service_.query_compatible = "com.example.queue#";
    service_.xml_namespace = "http://queue.example.com/";
    service_.error_detail = true;
    json_ = make_protocol(service_);
    query_ = make_protocol(service_, WireProtocol::kQuery);
  }
  [[nodiscard]] const Protocol& json() const { return *json_; }
  [[nodiscard]] const Protocol& query() const { return *query_; }
  [[nodiscard]] const ShapeModel& input() const { return *operations_[0].input; }
  [[nodiscard]] const OperationModel& operation() const { return operations_[0]; }

 private:
  json::value shapes_ = parse_json(R"({
    "In":{"type":"structure","members":{
      "Body":{"shape":"String"},"Names":{"shape":"Names","flattened":true},"Tags":{"shape":"Tags"},
      "Attributes":{"shape":"Map","flattened":true,"locationName":"Attribute"},"On":{"shape":"Boolean"}}},
    "String":{"type":"string"},"Boolean":{"type":"boolean"},
    "Names":{"type":"list","member":{"shape":"String","locationName":"Name"}},
    "Tags":{"type":"list","member":{"shape":"Tag"}},
    "Tag":{"type":"structure","members":{"Key":{"shape":"String"},"Value":{"shape":"String"}}},
    "Map":{"type":"map","key":{"shape":"String","locationName":"K"},"value":{"shape":"String","locationName":"V"}}})")
                            .value();
  RuntimeModel model_;
  OperationModel operations_[1];
  ServiceModel service_;
  std::unique_ptr<const Protocol> json_;
  std::unique_ptr<const Protocol> query_;
};

http::RequestHead form_head() {
  http::RequestHead head;
  head.method = "POST";
  head.target = "/";
  head.headers.add("Content-Type", "application/x-www-form-urlencoded; charset=utf-8");
  return head;
}

TEST(Query, ReadsWhatAFormSpells) {
  const QueueLike queue;
  const auto head = form_head();
  const std::string body =
      "Action=Send&Version=2020-01-01&Body=a+b%26c&Name.2=two&Name.10=ten&Name.1=one&Tags.member.1.Key=k"
      "&Tags.member.1.Value=&Attribute.1.K=x&Attribute.1.V=y&On=true&Other.1=z";
  const auto route = queue.query().route_with_body(head, body);
  ASSERT_TRUE(route);
  const auto call = queue.query().parse(*route, head, body);
  ASSERT_TRUE(call) << call.error().message;
  EXPECT_EQ(
      to_json(call->document),
      R"({"Body":"a b&c","Names":["one","two","ten"],"Tags":[{"Key":"k","Value":""}],"Attributes":{"x":"y"},"On":true})");
}

TEST(Query, ReadsAGetToo) {
  const QueueLike queue;
  http::RequestHead head;
  head.method = "GET";
  head.target = "/000000000000/q?Action=Send&Body=hi";
  EXPECT_TRUE(queue.query().speaks(head));
  const auto route = queue.query().route_with_body(head, "");
  ASSERT_TRUE(route);
  EXPECT_EQ(to_json(queue.query().parse(*route, head, "")->document), R"({"Body":"hi"})");
}

TEST(Query, RefusesWhatCannotBeRead) {
  const QueueLike queue;
  const auto refused = [&](const std::string& body) {
    const auto route = queue.query().route_with_body(form_head(), body);
    return !route || !queue.query().parse(*route, form_head(), body);
  };
  EXPECT_TRUE(refused("Action=Receive"));
  EXPECT_TRUE(refused("Body=x"));
  EXPECT_TRUE(refused("Action=Send&On=perhaps"));
  EXPECT_TRUE(refused("Action=Send&Body.1=x"));
  EXPECT_TRUE(refused("Action=Send&Attribute.1.V=without+a+key"));
  std::string deep = "Action=Send&Body";
  for (int i = 0; i < 100; ++i) deep += ".x";
  EXPECT_TRUE(refused(deep + "=1"));
  std::string many = "Action=Send";
  for (std::size_t i = 0; i < kMostFormFields; ++i) many += "&a=b";
  EXPECT_TRUE(refused(many));
}

TEST(Query, WritesAnAnswer) {
  const QueueLike queue;
  Reply reply;
  reply.document = parse_json(
                       "{\"Body\":\"<a> & \\\"b\\\"\\r\\n\",\"Names\":[\"one\",\"two\"],"
                       "\"Tags\":[{\"Key\":\"k\"}],\"Attributes\":{\"x\":\"y\"}}")
                       .value()
                       .get_object();
  reply.request_id = "request-1";
  const auto answer = queue.query().write(queue.operation(), reply);
  EXPECT_EQ(answer.head.headers.get("Content-Type"), "text/xml");
  EXPECT_EQ(answer.body,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
            "<SendResponse xmlns=\"http://queue.example.com/\"><SendResult><Body>&lt;a&gt; &amp; &quot;b&quot;&#xD;\n"
            "</Body><Name>one</Name><Name>two</Name><Tags><member><Key>k</Key></member></Tags>"
            "<Attribute><K>x</K><V>y</V></Attribute></SendResult>"
            "<ResponseMetadata><RequestId>request-1</RequestId></ResponseMetadata></SendResponse>");
  const auto back = structure_from_xml(queue.input(), *parse_xml(answer.body)->child("SendResult"));
  ASSERT_TRUE(back);
  EXPECT_EQ(to_json(*back), to_json(reply.document));
}

TEST(Query, ErrorsHaveTheOldCodesInBothProtocols) {
  const QueueLike queue;
  ApiError error;
  error.model = &kMissing;
  error.message = "The specified queue does not exist.";
  error.request_id = "request-1";
  const auto xml = queue.query().write_error(error);
  EXPECT_EQ(xml.head.status, 400);
  EXPECT_EQ(xml.body,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
            "<ErrorResponse xmlns=\"http://queue.example.com/\"><Error><Type>Sender</Type>"
            "<Code>AWS.SimpleQueueService.NonExistentQueue</Code>"
            "<Message>The specified queue does not exist.</Message><Detail/></Error>"
            "<RequestId>request-1</RequestId></ErrorResponse>");
  const auto plain = queue.json().write_error(error);
  EXPECT_EQ(plain.head.headers.get("x-amzn-query-error"), "AWS.SimpleQueueService.NonExistentQueue;Sender");
  EXPECT_EQ(plain.body,
            R"({"__type":"com.example.queue#QueueDoesNotExist","message":"The specified queue does not exist."})");
  error.model = &common_errors::ValidationException;
  EXPECT_EQ(queue.json().write_error(error).head.headers.get("x-amzn-query-error"), "ValidationError;Sender");
}

TEST(Query, TheProtocolOfARequestIsSeenInItsHead) {
  const QueueLike queue;
  http::RequestHead head = form_head();
  EXPECT_TRUE(queue.query().speaks(head));
  EXPECT_FALSE(queue.json().speaks(head));
  head.headers.add("X-Amz-Target", "Queue_20200101.Send");
  EXPECT_FALSE(queue.query().speaks(head));
  EXPECT_TRUE(queue.json().speaks(head));
}

TEST(Query, TheClaimedServiceIsReadWithoutBeingVerified) {
  http::RequestHead head;
  EXPECT_EQ(claimed_service(head), "");
  head.headers.add("Authorization",
                   "AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/sqs/aws4_request, SignedHeaders=host");
  EXPECT_EQ(claimed_service(head), "sqs");
  head = form_head();
  head.target = "/?X-Amz-Credential=AKID%2F20260101%2Fus-east-1%2Fsts%2Faws4_request&X-Amz-Date=1";
  EXPECT_EQ(claimed_service(head), "sts");
  ApiError error;
  error.model = &common_errors::MissingAuthenticationTokenException;
  EXPECT_NE(error_without_service(head, error, "r").body.find("<Code>MissingAuthenticationToken</Code>"),
            std::string::npos);
}

TEST(Xml, ReadsElementsTextAndReferences) {
  const auto root = parse_xml(
      "<?xml version='1.0'?><!-- c --><a:r xmlns:a='x' k=\"1 &lt; 2\"><b>x&amp;&#x20AC;<![CDATA[<y>]]></b><b/></a:r>");
  ASSERT_TRUE(root) << root.error().message;
  EXPECT_EQ(root->name, "r");
  EXPECT_EQ(*root->attribute("k"), "1 < 2");
  ASSERT_EQ(root->children.size(), 2U);
  EXPECT_EQ(root->child("b")->text, "x&\xE2\x82\xAC<y>");
}

TEST(Xml, RefusesWhatIsNotWellFormed) {
  for (const auto* text : {"", "text", "<a>", "<a></b>", "<a/><b/>", "<a b=c/>", "<a>&unknown;</a>", "<a>&#xD800;</a>",
                           "<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>", "<a", "<a b='", "<a><",
                           "<a><![CDATA[", "<a>&#0;</a>", "< a/>"}) {
    EXPECT_FALSE(parse_xml(text)) << text;
  }
  std::string deep;
  for (int i = 0; i < 1000; ++i) deep += "<a>";
  EXPECT_EQ(parse_xml(deep).error().code, ErrorCode::kTooLarge);
}

}  // namespace
}  // namespace mayfly::aws
