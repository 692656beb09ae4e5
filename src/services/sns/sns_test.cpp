// The service over a store and a delivery in memory: operations in the Query protocol, refusals, and what each
// subscriber gets.
#include "services/sns/sns.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <map>

#include "aws/xml.h"
#include "base/encoding.h"
#include "base/json.h"
#include "base/signing_key.h"
#include "delivery/fake_queue.h"
#include "http/fake_exchange.h"
#include "services/sns/delivery_policy.h"
#include "store/fake_key_value.h"

namespace mayfly::sns {
namespace {

using MemoryStore = store::FakeKeyValue;
using http::FakeRequest;
using http::FakeResponse;
using Fields = std::vector<std::pair<std::string, std::string>>;
constexpr const char* kQueue = "arn:aws:sqs:us-east-1:000000000000:jobs";
constexpr const char* kFunction = "arn:aws:lambda:us-east-1:000000000000:function:f";

class SnsService : public testing::Test {
 protected:
  SnsService() {
    // One key for all tests: making one takes a while.
    static const auto key = SigningKey::make("test", VirtualClock().now()).value();
    const json::object text{{"privateKey", key.private_key_pem()}, {"certificate", key.certificate_pem()}};
    certificate_ = key.certificate_pem();
    store_.entries["sns/signing-key"] = {.key = "sns/signing-key", .value = to_json(text), .revision = ++store_.last};
    start();
  }
  ~SnsService() override {
    sns_.reset();
    scope_.stop();
    EXPECT_TRUE(scope_.join_blocking(std::chrono::seconds(1)));
  }

  void start() {
    sns_ = std::make_unique<Sns>(
        store_, queue_, [this](std::vector<delivery::Request> requests) { return take(std::move(requests)); },
        [this](std::string arn, delivery::Event event) { return deliver(std::move(arn), std::move(event)); }, pool_,
        clock_, SnsSettings());
    run([&]() -> Awaitable<void> {
      const auto loaded = co_await sns_->load();
      EXPECT_TRUE(loaded);
    });
    sns_->set_endpoint("http://localhost:4566");
  }
  Awaitable<Result<void>> take(std::vector<delivery::Request> requests) {
    ++submissions_;
    for (auto& request : requests) taken_.push_back(std::move(request));
    co_return Result<void>();
  }
  Awaitable<delivery::Attempt> deliver(std::string arn, delivery::Event event) {
    delivery::Attempt attempt;
    if (refused_ == arn) attempt.kind = delivery::Attempt::Kind::kRefused;
    if (refused_ != arn) delivered_.emplace_back(std::move(arn), std::move(event));
    co_return attempt;
  }
  void run(std::function<Awaitable<void>()> task) {
    ASSERT_TRUE(scope_.spawn(reactor_, "test", std::move(task)));
    while (scope_.running() > 0) reactor_.poll();
  }
  http::Response send(const std::string& action, const Fields& fields) {
    FakeRequest request;
    request.head.method = "POST";
    request.head.target = "/";
    request.head.headers.set("Content-Type", "application/x-www-form-urlencoded");
    std::string body = "Action=" + action + "&Version=2010-03-31";
    for (const auto& [name, value] : fields) body += "&" + name + "=" + percent_encode(value, Slash::kEncode);
    aws::CallContext context;
    context.principal = {.account = "000000000000", .arn = "arn:aws:iam::000000000000:root", .access_key_id = "A"};
    context.region = "us-east-1";
    FakeResponse response;
    run([&]() -> Awaitable<void> { return sns_->service().serve(context, request, body, response); });
    return response.got;
  }
  // The result's element; empty where the operation has none.
  aws::XmlElement call(const std::string& action, const Fields& fields) {
    const auto response = send(action, fields);
    EXPECT_EQ(response.head.status, 200) << action << "\n" << response.body;
    auto root = aws::parse_xml(response.body).value();
    const auto* result = root.child(action + "Result");
    return result == nullptr ? aws::XmlElement() : *result;
  }
  // "Code: message" of a refusal.
  std::string refusal(const std::string& action, const Fields& fields) {
    const auto response = send(action, fields);
    const auto root = aws::parse_xml(response.body).value();
    const auto* error = root.child("Error");
    if (error == nullptr) return response.body;
    return error->child("Code")->text + ": " + error->child("Message")->text;
  }
  std::string create(const std::string& name, Fields fields = {}) {
    fields.emplace_back("Name", name);
    return call("CreateTopic", fields).child("TopicArn")->text;
  }
  std::string subscribe(const std::string& topic, const std::string& protocol, const std::string& endpoint,
                        Fields fields = {}) {
    fields.insert(fields.end(), {{"TopicArn", topic}, {"Protocol", protocol}, {"Endpoint", endpoint}});
    return call("Subscribe", fields).child("SubscriptionArn")->text;
  }
  static Fields attribute(const std::string& name, const std::string& value) {
    return {{"Attributes.entry.1.key", name}, {"Attributes.entry.1.value", value}};
  }
  static Fields message_attribute(const std::string& name, const std::string& type, const std::string& value) {
    return {{"MessageAttributes.entry.1.Name", name},
            {"MessageAttributes.entry.1.Value.DataType", type},
            {"MessageAttributes.entry.1.Value.StringValue", value}};
  }
  std::string publish(const std::string& topic, const std::string& message, Fields fields = {}) {
    fields.insert(fields.end(), {{"TopicArn", topic}, {"Message", message}});
    return call("Publish", fields).child("MessageId")->text;
  }
  std::map<std::string, std::string> attributes(const std::string& action, const std::string& name,
                                                const std::string& arn) {
    std::map<std::string, std::string> out;
    const auto result = call(action, {{name, arn}});
    for (const auto& entry : result.child("Attributes")->children) {
      out[entry.child("key")->text] = entry.child("value")->text;
    }
    return out;
  }
  http::Response follow(const std::string& url) {
    FakeRequest request;
    request.head.method = "GET";
    request.head.target = url.substr(std::string("http://localhost:4566").size());
    EXPECT_TRUE(Sns::is_open(request.head)) << url;
    FakeResponse response;
    run([&]() -> Awaitable<void> { return sns_->serve_open(request, response); });
    return response.got;
  }

  VirtualClock clock_;
  Reactor reactor_{clock_, "test"};
  Scope scope_{"test"};
  BlockingPool pool_{1, 16};
  MemoryStore store_;
  delivery::FakeQueue queue_{clock_};
  std::string certificate_;
  std::string refused_;
  std::size_t submissions_ = 0;
  std::vector<delivery::Request> taken_;
  std::vector<std::pair<std::string, delivery::Event>> delivered_;
  std::unique_ptr<Sns> sns_;
};

TEST_F(SnsService, ATopicIsMadeOnceAndShowsItsAttributes) {
  const auto arn = create("news", attribute("DisplayName", "News"));
  EXPECT_EQ(arn, "arn:aws:sns:us-east-1:000000000000:news");
  EXPECT_EQ(create("news"), arn);
  EXPECT_EQ(refusal("CreateTopic", {{"Name", "bad name"}}), "InvalidParameter: Invalid parameter: Topic Name");
  EXPECT_EQ(refusal("CreateTopic", {{"Name", "x.fifo"}}), "InvalidParameter: Invalid parameter: Topic Name");
  auto fields = attribute("KmsMasterKeyId", "alias/k");
  fields.emplace_back("Name", "other");
  EXPECT_EQ(refusal("CreateTopic", fields),
            "InvalidParameter: Invalid parameter: Attributes Reason: KmsMasterKeyId Reason: not implemented by this "
            "server");
  start();  // from the store
  const auto shown = attributes("GetTopicAttributes", "TopicArn", arn);
  EXPECT_EQ(shown.at("DisplayName"), "News");
  EXPECT_EQ(shown.at("SubscriptionsConfirmed"), "0");
  EXPECT_FALSE(shown.contains("FifoTopic"));
  EXPECT_EQ(get_int(*find(*find(parse_json(shown.at("EffectiveDeliveryPolicy")).value(), "http"),
                          "defaultHealthyRetryPolicy"),
                    "numRetries"),
            3);
  call("DeleteTopic", {{"TopicArn", arn}});
  call("DeleteTopic", {{"TopicArn", arn}});
  EXPECT_EQ(refusal("GetTopicAttributes", {{"TopicArn", arn}}), "NotFound: Topic does not exist");
  EXPECT_EQ(refusal("Publish", {{"TopicArn", "x"}, {"Message", "m"}}),
            "InvalidParameter: Invalid parameter: TopicArn Reason: An ARN must have at least 6 elements, not 1");
}

TEST_F(SnsService, QueuesGetASignedEnvelope) {
  const auto topic = create("news", attribute("SignatureVersion", "2"));
  const auto subscription = subscribe(topic, "sqs", kQueue);
  auto fields = message_attribute("kind", "String", "a");
  fields.emplace_back("Subject", "hello");
  const auto id = publish(topic, "text", fields);
  ASSERT_EQ(taken_.size(), 1U);
  EXPECT_EQ(taken_[0].target_arn, kQueue);
  const auto body = parse_json(taken_[0].event.payload).value();
  EXPECT_EQ(get_string(body, "Type"), "Notification");
  EXPECT_EQ(get_string(body, "MessageId"), id);
  EXPECT_EQ(get_string(body, "Message"), "text");
  EXPECT_EQ(get_string(*find(*find(body, "MessageAttributes"), "kind"), "Value"), "a");
  EXPECT_EQ(get_string(body, "UnsubscribeURL"),
            "http://localhost:4566/?Action=Unsubscribe&SubscriptionArn=" + subscription);
  const auto signed_text =
      fmt::format("Message\ntext\nMessageId\n{}\nSubject\nhello\nTimestamp\n{}\nTopicArn\n{}\nType\nNotification\n", id,
                  std::string(get_string(body, "Timestamp")), topic);
  const auto signature = base64_decode(get_string(body, "Signature")).value();
  EXPECT_EQ(follow(std::string(get_string(body, "SigningCertURL"))).body, certificate_);
  EXPECT_TRUE(verify_signature(certificate_, SigningKey::Hash::kSha256, signed_text, signature));
  EXPECT_FALSE(verify_signature(certificate_, SigningKey::Hash::kSha256, signed_text + "x", signature));
}

TEST_F(SnsService, AllSubscribersAreOneWrite) {
  const auto topic = create("news");
  subscribe(topic, "sqs", kQueue);
  subscribe(topic, "sqs", std::string(kQueue) + "-raw", attribute("RawMessageDelivery", "True"));
  const auto function = subscribe(topic, "lambda", kFunction);
  publish(topic, R"({"default":"d","lambda":"l"})",
          {{"MessageStructure", "json"},
           {"MessageAttributes.entry.1.Name", "n"},
           {"MessageAttributes.entry.1.Value.DataType", "Binary"},
           {"MessageAttributes.entry.1.Value.BinaryValue", base64_encode("\x01")}});
  EXPECT_EQ(submissions_, 1U);
  ASSERT_EQ(taken_.size(), 3U);
  for (const auto& request : taken_) {
    EXPECT_EQ(request.event.source_arn, topic);
    if (request.target_arn == kFunction) {
      const auto event = parse_json(request.event.payload).value();
      const auto& record = find(event, "Records")->get_array()[0];
      EXPECT_EQ(get_string(record, "EventSubscriptionArn"), function);
      EXPECT_EQ(get_string(*find(record, "Sns"), "Message"), "l");
    } else if (request.target_arn == kQueue) {
      EXPECT_EQ(get_string(parse_json(request.event.payload).value(), "Message"), "d");
    } else {
      EXPECT_EQ(request.event.payload, "d");
      EXPECT_EQ(to_json(request.event.message_attributes), R"({"n":{"DataType":"Binary","BinaryValue":"AQ=="}})");
    }
  }
}

TEST_F(SnsService, FiltersLookAtAttributesOrBodies) {
  const auto topic = create("news");
  const auto by_attribute =
      subscribe(topic, "sqs", kQueue,
                attribute("FilterPolicy", R"({"price":[{"numeric":[">",0,"<=",100]}],"tag":[{"prefix":"a"}]})"));
  auto fields = attribute("FilterPolicy", R"({"$or":[{"a":{"b":[1]}},{"ip":[{"cidr":"10.0.0.0/8"}]}]})");
  fields.emplace_back("Attributes.entry.2.key", "FilterPolicyScope");
  fields.emplace_back("Attributes.entry.2.value", "MessageBody");
  subscribe(topic, "sqs", std::string(kQueue) + "-body", fields);
  const auto reached = [&](const std::string& message, const Fields& more) {
    taken_.clear();
    publish(topic, message, more);
    std::string out;
    for (const auto& request : taken_) out += request.target_arn == kQueue ? "A" : "B";
    std::ranges::sort(out);
    return out;
  };
  const Fields cheap{{"MessageAttributes.entry.1.Name", "price"},
                     {"MessageAttributes.entry.1.Value.DataType", "Number"},
                     {"MessageAttributes.entry.1.Value.StringValue", "99.5"},
                     {"MessageAttributes.entry.2.Name", "tag"},
                     {"MessageAttributes.entry.2.Value.DataType", "String.Array"},
                     {"MessageAttributes.entry.2.Value.StringValue", R"(["b","abc"])"}};
  EXPECT_EQ(reached("text", {}), "");
  EXPECT_EQ(reached("text", cheap), "A");
  EXPECT_EQ(reached(R"({"a":{"b":1}})", cheap), "AB");
  EXPECT_EQ(reached(R"({"ip":"10.1.2.3"})", {}), "B");
  EXPECT_EQ(reached(R"({"ip":"11.1.2.3"})", {}), "");
  const auto shown = attributes("GetSubscriptionAttributes", "SubscriptionArn", by_attribute);
  EXPECT_EQ(shown.at("FilterPolicyScope"), "MessageAttributes");
  EXPECT_EQ(shown.at("PendingConfirmation"), "false");
  const auto refused = [&](const std::string& policy) {
    return refusal("SetSubscriptionAttributes",
                   {{"SubscriptionArn", by_attribute}, {"AttributeName", "FilterPolicy"}, {"AttributeValue", policy}});
  };
  EXPECT_EQ(refused(R"({"a":{"b":[1]}})"),
            "InvalidParameter: Invalid parameter: Filter policy scope MessageAttributes does not support nested filter "
            "policy");
  EXPECT_EQ(refused(R"({"a":[1],"b":[1],"c":[1],"d":[1],"e":[1],"f":[1]})"),
            "InvalidParameter: Invalid parameter: FilterPolicy: Filter policy can not have more than 5 keys");
  EXPECT_EQ(refused(R"({"a":[1,2,3,4,5,6,7,8],"b":[1,2,3,4],"c":[1,2,3,4,5]})"),
            "InvalidParameter: Invalid parameter: FilterPolicy: Filter policy is too complex");
}

TEST_F(SnsService, EndpointsConfirmBeforeTheyGetAnything) {
  const auto topic = create("news");
  EXPECT_EQ(subscribe(topic, "http", "http://example.com/hook?x=1"), "pending confirmation");
  publish(topic, "too early");
  ASSERT_EQ(taken_.size(), 1U);
  EXPECT_EQ(taken_[0].via, "sns-http");
  const auto asked = parse_json(taken_[0].event.payload).value();
  EXPECT_EQ(get_string(asked, "Type"), "SubscriptionConfirmation");
  EXPECT_EQ(refusal("ConfirmSubscription", {{"TopicArn", topic}, {"Token", "guess"}}),
            "InvalidParameter: Invalid parameter: Token");
  EXPECT_EQ(call("ListSubscriptions", {}).child("Subscriptions")->children[0].child("SubscriptionArn")->text,
            "PendingConfirmation");
  EXPECT_EQ(follow(std::string(get_string(asked, "SubscribeURL"))).head.status, 200);
  taken_.clear();
  publish(topic, "now");
  ASSERT_EQ(taken_.size(), 1U);
  EXPECT_EQ(taken_[0].policy.max_attempts, 4U);
  const auto body = parse_json(taken_[0].event.payload).value();
  EXPECT_EQ(follow(std::string(get_string(body, "UnsubscribeURL"))).head.status, 200);
  taken_.clear();
  publish(topic, "gone");
  EXPECT_TRUE(taken_.empty());
  EXPECT_EQ(attributes("GetTopicAttributes", "TopicArn", topic).at("SubscriptionsDeleted"), "1");
  EXPECT_EQ(refusal("Subscribe", {{"TopicArn", topic}, {"Protocol", "sms"}, {"Endpoint", "+1555"}}),
            "InvalidParameter: Invalid parameter: Protocol sms Reason: not implemented by this server");
}

TEST_F(SnsService, DeliveryPoliciesAreCarriedOutOrRefusedByName) {
  const auto topic = create("news");
  const auto refused = [&](const std::string& policy) {
    Fields fields = attribute("DeliveryPolicy", policy);
    fields.insert(fields.end(), {{"TopicArn", topic}, {"Protocol", "http"}, {"Endpoint", "http://example.com/hook"}});
    return refusal("Subscribe", fields);
  };
  const std::string where = "InvalidParameter: Invalid parameter: Attributes Reason: DeliveryPolicy: ";
  EXPECT_EQ(refused("[]"), where + "failed to parse JSON.");
  EXPECT_EQ(refused(R"({"healthyRetryPolicy":{"numRetries":101}})"),
            where + "healthyRetryPolicy.numRetries must be less than or equal to 100");
  EXPECT_EQ(refused(R"({"healthyRetryPolicy":{"minDelayTarget":0}})"),
            where + "healthyRetryPolicy.minDelayTarget must be greater than or equal to 1");
  EXPECT_EQ(refused(R"({"healthyRetryPolicy":{"minDelayTarget":9,"maxDelayTarget":8}})"),
            where + "healthyRetryPolicy.maxDelayTarget must be greater than or equal to minDelayTarget");
  EXPECT_EQ(refused(R"({"healthyRetryPolicy":{"numRetries":2,"numNoDelayRetries":3}})"),
            where +
                "healthyRetryPolicy.numRetries must be greater than or equal to total of numMinDelayRetries, "
                "numNoDelayRetries and numMaxDelayRetries");
  EXPECT_EQ(refused(R"({"healthyRetryPolicy":{"backoffFunction":"cubic"}})"),
            where + "healthyRetryPolicy.backoffFunction must be one of: linear, arithmetic, geometric, exponential");
  EXPECT_EQ(refused(R"({"throttlePolicy":{"maxReceivesPerSecond":0}})"),
            where + "throttlePolicy.maxReceivesPerSecond must be greater than or equal to 1");
  EXPECT_EQ(refused(R"({"sicklyRetryPolicy":{"numRetries":1}})"), where + "sicklyRetryPolicy is not supported");
  const auto policy =
      R"({"healthyRetryPolicy":{"numRetries":6,"minDelayTarget":2,"maxDelayTarget":8,"numNoDelayRetries":1,)"
      R"("numMinDelayRetries":1,"numMaxDelayRetries":1,"backoffFunction":"geometric"},"sicklyRetryPolicy":null,)"
      R"("requestPolicy":{"headerContentType":"application/json"}})";
  const auto arn = subscribe(topic, "http", "http://example.com/hook",
                             Fields{{"Attributes.entry.1.key", "DeliveryPolicy"},
                                    {"Attributes.entry.1.value", policy},
                                    {"ReturnSubscriptionArn", "true"}});
  const auto asked = parse_json(taken_.at(0).event.payload).value();
  EXPECT_EQ(follow(std::string(get_string(asked, "SubscribeURL"))).head.status, 200);
  taken_.clear();
  publish(topic, "now");
  using std::chrono::milliseconds;
  EXPECT_EQ(taken_.at(0).policy.waits,
            (std::vector<milliseconds>{milliseconds(0), milliseconds(2'000), milliseconds(2'000), milliseconds(4'000),
                                       milliseconds(8'000), milliseconds(8'000)}));
  EXPECT_EQ(taken_.at(0).policy.max_attempts, 7U);
  EXPECT_EQ(get_string(taken_.at(0).event.parameters, "ContentType"), "application/json");
  const auto shown =
      parse_json(attributes("GetSubscriptionAttributes", "SubscriptionArn", arn).at("EffectiveDeliveryPolicy")).value();
  EXPECT_EQ(get_int(*find(shown, "healthyRetryPolicy"), "numRetries"), 6);
  // A topic may keep its subscriptions from having policies of their own.
  call("SetTopicAttributes",
       {{"TopicArn", topic},
        {"AttributeName", "DeliveryPolicy"},
        {"AttributeValue",
         R"({"http":{"disableSubscriptionOverrides":true,"defaultHealthyRetryPolicy":{"numRetries":1}}})"}});
  taken_.clear();
  publish(topic, "again");
  EXPECT_EQ(taken_.at(0).policy.waits, (std::vector<milliseconds>{milliseconds(20'000)}));
  EXPECT_EQ(get_string(taken_.at(0).event.parameters, "ContentType"), "text/plain; charset=UTF-8");
}

TEST(SnsThrottle, GivesASecondsWorthAtOnceAndThenTheRate) {
  Throttle throttle;
  const SteadyTime start{};
  EXPECT_TRUE(throttle.take("s", 2, start));
  EXPECT_TRUE(throttle.take("s", 2, start));
  EXPECT_FALSE(throttle.take("s", 2, start));
  EXPECT_TRUE(throttle.take("other", 2, start));
  EXPECT_TRUE(throttle.take("s", 2, start + std::chrono::milliseconds(500)));
  EXPECT_FALSE(throttle.take("s", 2, start + std::chrono::milliseconds(500)));
  EXPECT_TRUE(throttle.take("s", 0, start + std::chrono::milliseconds(500)));
}

TEST_F(SnsService, FifoTopicsGiveToQueuesInOrderAndOnce) {
  const auto topic = create("news.fifo", attribute("FifoTopic", "true"));
  const std::string queue = std::string(kQueue) + ".fifo";
  const std::string dead = std::string(kQueue) + "-dead.fifo";
  const auto subscription = subscribe(topic, "sqs", queue, attribute("RawMessageDelivery", "true"));
  EXPECT_EQ(refusal("Publish", {{"TopicArn", topic}, {"Message", "m"}}),
            "InvalidParameter: Invalid parameter: The MessageGroupId parameter is required for FIFO topics");
  const auto first = publish(topic, "1", {{"MessageGroupId", "g"}, {"MessageDeduplicationId", "a"}});
  EXPECT_EQ(publish(topic, "1", {{"MessageGroupId", "g"}, {"MessageDeduplicationId", "a"}}), first);
  publish(topic, "2", {{"MessageGroupId", "g"}, {"MessageDeduplicationId", "b"}});
  ASSERT_EQ(delivered_.size(), 2U);
  EXPECT_EQ(delivered_[0].second.payload, "1");
  EXPECT_EQ(delivered_[1].second.payload, "2");
  EXPECT_EQ(delivered_[1].second.group_id, "g");
  EXPECT_EQ(delivered_[1].second.dedupe_id, "b");
  clock_.advance(std::chrono::minutes(6));
  EXPECT_NE(publish(topic, "1", {{"MessageGroupId", "g"}, {"MessageDeduplicationId", "a"}}), first);
  // What a queue refuses goes to the dead-letter queue.
  call("SetSubscriptionAttributes", {{"SubscriptionArn", subscription},
                                     {"AttributeName", "RedrivePolicy"},
                                     {"AttributeValue", R"({"deadLetterTargetArn":")" + dead + "\"}"}});
  refused_ = queue;
  publish(topic, "3", {{"MessageGroupId", "g"}, {"MessageDeduplicationId", "c"}});
  EXPECT_EQ(delivered_.back().first, dead);
  EXPECT_TRUE(taken_.empty());
}

TEST_F(SnsService, WhatAFifoTopicHasDeliveredIsKnownAfterARestart) {
  const auto topic = create("news.fifo", attribute("FifoTopic", "true"));
  subscribe(topic, "sqs", kQueue, attribute("RawMessageDelivery", "true"));
  const Fields group{{"MessageGroupId", "g"}, {"MessageDeduplicationId", "a"}};
  const auto first = publish(topic, "1", group);
  clock_.advance(std::chrono::minutes(4));
  start();
  EXPECT_EQ(publish(topic, "1", group), first);
  EXPECT_EQ(delivered_.size(), 1U);
  // A publish that could not be written down is no publish: it comes again.
  queue_.broken = true;
  EXPECT_TRUE(refusal("Publish",
                      {{"TopicArn", topic}, {"Message", "2"}, {"MessageGroupId", "g"}, {"MessageDeduplicationId", "b"}})
                  .starts_with("InternalError"));
  queue_.broken = false;
  publish(topic, "2", {{"MessageGroupId", "g"}, {"MessageDeduplicationId", "b"}});
  EXPECT_EQ(delivered_.size(), 3U);
  clock_.advance(std::chrono::minutes(2));
  start();
  EXPECT_NE(publish(topic, "1", group), first);
  // A topic that is made again under its name remembers nothing of the one before.
  call("DeleteTopic", {{"TopicArn", topic}});
  create("news.fifo", attribute("FifoTopic", "true"));
  subscribe(topic, "sqs", kQueue, attribute("RawMessageDelivery", "true"));
  start();
  const auto before = delivered_.size();
  publish(topic, "2", {{"MessageGroupId", "g"}, {"MessageDeduplicationId", "b"}});
  EXPECT_EQ(delivered_.size(), before + 1);
}

TEST_F(SnsService, ABatchIsCheckedAsAWhole) {
  const auto topic = create("news");
  subscribe(topic, "sqs", kQueue);
  const auto entry = [](int number, const std::string& id, const std::string& message) {
    const auto prefix = fmt::format("PublishBatchRequestEntries.member.{}.", number);
    return Fields{{prefix + "Id", id}, {prefix + "Message", message}};
  };
  Fields two = entry(1, "a", "one");
  for (const auto& field : entry(2, "b", "two")) two.push_back(field);
  two.emplace_back("TopicArn", topic);
  EXPECT_EQ(call("PublishBatch", two).child("Successful")->children.size(), 2U);
  EXPECT_EQ(submissions_, 1U);
  EXPECT_EQ(taken_.size(), 2U);
  two[2].second = "a";
  EXPECT_EQ(refusal("PublishBatch", two),
            "BatchEntryIdsNotDistinct: Two or more batch entries in the request have the same Id.");
  auto bad = message_attribute("a..b", "String", "x");
  bad.insert(bad.end(), {{"TopicArn", topic}, {"Message", "m"}});
  EXPECT_EQ(refusal("Publish", bad),
            "ParameterValueInvalid: Message attribute name can not have successive '.' character.");
  EXPECT_EQ(refusal("Publish", {{"TopicArn", topic}, {"Message", std::string(262'145, 'a')}}),
            "InvalidParameter: Invalid parameter: Message too long");
}

TEST_F(SnsService, PermissionsAndTagsAreKept) {
  const auto topic = create("news", {{"Tags.member.1.Key", "a"}, {"Tags.member.1.Value", "1"}});
  const Fields permission{{"TopicArn", topic},
                          {"Label", "l"},
                          {"AWSAccountId.member.1", "111111111111"},
                          {"ActionName.member.1", "Publish"}};
  call("AddPermission", permission);
  EXPECT_EQ(refusal("AddPermission", permission), "InvalidParameter: Invalid parameter: Statement already exists");
  const auto policy = parse_json(attributes("GetTopicAttributes", "TopicArn", topic).at("Policy")).value();
  EXPECT_EQ(find(policy, "Statement")->get_array().size(), 2U);
  call("RemovePermission", {{"TopicArn", topic}, {"Label", "l"}});
  call("TagResource", {{"ResourceArn", topic}, {"Tags.member.1.Key", "b"}, {"Tags.member.1.Value", "2"}});
  call("UntagResource", {{"ResourceArn", topic}, {"TagKeys.member.1", "a"}});
  const auto tags = call("ListTagsForResource", {{"ResourceArn", topic}});
  ASSERT_EQ(tags.child("Tags")->children.size(), 1U);
  EXPECT_EQ(tags.child("Tags")->children[0].child("Key")->text, "b");
  EXPECT_EQ(refusal("ListTagsForResource", {{"ResourceArn", topic + "x"}}),
            "ResourceNotFound: Resource does not exist");
}

TEST_F(SnsService, EventsOfOthersArePublished) {
  const auto topic = create("news");
  subscribe(topic, "sqs", kQueue);
  delivery::Targets targets;
  sns_->add_to(targets);
  delivery::Event event;
  event.id = "e";
  event.payload = "from a rule";
  delivery::Attempt attempt;
  run([&]() -> Awaitable<void> { attempt = co_await targets.deliver(topic, event); });
  EXPECT_EQ(attempt.kind, delivery::Attempt::Kind::kDone);
  ASSERT_EQ(taken_.size(), 1U);
  EXPECT_EQ(get_string(parse_json(taken_[0].event.payload).value(), "Message"), "from a rule");
  run([&]() -> Awaitable<void> { attempt = co_await targets.deliver(topic + "x", event); });
  EXPECT_EQ(attempt.kind, delivery::Attempt::Kind::kRefused);
}

TEST_F(SnsService, TheSameSubscriptionIsMadeOnce) {
  const auto topic = create("news");
  const auto first = subscribe(topic, "sqs", kQueue, attribute("RawMessageDelivery", "True"));
  EXPECT_EQ(subscribe(topic, "sqs", kQueue), first);
  EXPECT_EQ(subscribe(topic, "sqs", kQueue, attribute("FilterPolicyScope", "MessageAttributes")), first);
  auto other = attribute("RawMessageDelivery", "false");
  other.insert(other.end(), {{"TopicArn", topic}, {"Protocol", "sqs"}, {"Endpoint", kQueue}});
  EXPECT_EQ(refusal("Subscribe", other),
            "InvalidParameter: Invalid parameter: Attributes Reason: Subscription already exists with different "
            "attributes");
}

}  // namespace
}  // namespace mayfly::sns
