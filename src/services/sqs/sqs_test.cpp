// The service over the real store with a clock that moves when told to; requests without sockets.
#include "services/sqs/sqs.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <thread>

#include "base/ids.h"
#include "base/json.h"
#include "services/sqs/record.h"
#include "store/embedded/embedded.h"

namespace mayfly::sqs {
namespace {

class FakeRequest final : public http::Request {
 public:
  http::Headers none;
  Awaitable<Result<std::string>> read() override { co_return std::string(); }
  Awaitable<Result<std::string>> read_all(std::size_t) override { co_return std::string(); }
  [[nodiscard]] const http::Headers& trailers() const override { return none; }
  [[nodiscard]] std::optional<std::uint64_t> content_length() const override { return 0; }
  [[nodiscard]] std::string_view peer_address() const override { return "127.0.0.1:1"; }
  [[nodiscard]] bool is_tls() const override { return false; }
};

class FakeResponse final : public http::ResponseWriter {
 public:
  http::Response got;
  bool began = false;
  Awaitable<Result<void>> send(http::Response response) override {
    got = std::move(response);
    began = true;
    co_return Result<void>();
  }
  Awaitable<Result<void>> begin(http::ResponseHead) override { co_return Result<void>(); }
  Awaitable<Result<void>> write(std::string) override { co_return Result<void>(); }
  Awaitable<Result<void>> finish() override { co_return Result<void>(); }
  [[nodiscard]] bool started() const override { return began; }
  void on_peer_closed(std::function<void()>) override {}
};

// A request under way.
struct Pending {
  FakeRequest request;
  FakeResponse response;
  aws::CallContext context;
  bool done = false;
  [[nodiscard]] json::value answer() const { return parse_json(response.got.body).value_or(json::value()); }
};

class SqsService : public ::testing::Test {
 protected:
  SqsService() { start(); }
  ~SqsService() override {
    stop();
    std::filesystem::remove_all(folder_);
  }
  void start() {
    auto opened = store::Embedded::open(folder_, clock_);
    ASSERT_TRUE(opened) << opened.error().message;
    store_ = std::move(*opened);
    sqs_ = std::make_unique<Sqs>(store_->key_value(), store_->queue(), clock_, SqsSettings{});
    std::optional<Result<void>> loaded;
    run([&]() -> Awaitable<void> { loaded = co_await sqs_->load(); });
    ASSERT_TRUE(loaded && *loaded);
  }
  void stop() {
    run([&]() -> Awaitable<void> { return sqs_->stop(); });
    sqs_.reset();
    store_.reset();
  }
  void run(std::function<Awaitable<void>()> task) {
    Scope scope("test");
    ASSERT_TRUE(scope.spawn(reactor_, "test", std::move(task)));
    poll_until([&] { return scope.running() == 0; });
    ASSERT_EQ(scope.failures(), 0U);
  }
  // The store answers from its own threads, so polling goes on.
  void poll_until(const std::function<bool()>& done) {
    while (!done()) {
      if (reactor_.poll() == 0) std::this_thread::yield();
    }
  }
  std::shared_ptr<Pending> begin(const std::string& operation, const std::string& body) {
    auto pending = std::make_shared<Pending>();
    pending->context.principal.account = "000000000000";
    pending->context.region = "us-east-1";
    pending->context.host = "localhost:4566";
    pending->request.head.method = "POST";
    pending->request.head.target = "/";
    pending->request.head.headers.set("X-Amz-Target", "AmazonSQS." + operation);
    pending->request.head.headers.set("Content-Type", "application/x-amz-json-1.0");
    const auto task = [this, pending, body]() -> Awaitable<void> {
      co_await sqs_->service().serve(pending->context, pending->request, body, pending->response);
      pending->done = true;
    };
    EXPECT_TRUE(calls_.spawn(reactor_, "call", task));
    return pending;
  }
  json::value call(const std::string& operation, const json::object& request, int status = 200) {
    const auto pending = begin(operation, to_json(request));
    poll_until([&] { return pending->done; });
    EXPECT_EQ(pending->response.got.head.status, status) << operation << "\n" << pending->response.got.body;
    return pending->answer();
  }
  std::string error(const std::string& operation, const json::object& request, int status = 400) {
    return std::string(get_string(call(operation, request, status), "message"));
  }
  std::string create(const std::string& name, const json::object& attributes) {
    const json::object request{{"QueueName", name}, {"Attributes", attributes}};
    return std::string(get_string(call("CreateQueue", request), "QueueUrl"));
  }
  std::string send(const std::string& queue, const std::string& body) {
    return std::string(get_string(call("SendMessage", {{"QueueUrl", queue}, {"MessageBody", body}}), "MessageId"));
  }
  std::string send_fifo(const std::string& queue, const std::string& body, const std::string& group) {
    const json::object request{{"QueueUrl", queue}, {"MessageBody", body}, {"MessageGroupId", group}};
    return std::string(get_string(call("SendMessage", request), "MessageId"));
  }
  json::array receive(const std::string& queue, int most = 10, int visibility = 30) {
    const json::object request{{"QueueUrl", queue},
                               {"MaxNumberOfMessages", most},
                               {"VisibilityTimeout", visibility},
                               {"AttributeNames", json::array{"All"}},
                               {"MessageAttributeNames", json::array{"All"}}};
    const auto answer = call("ReceiveMessage", request);
    const auto* messages = find(answer, "Messages");
    return messages == nullptr ? json::array() : messages->get_array();
  }
  static std::string bodies(const json::array& messages) {
    std::string out;
    for (const auto& message : messages) out += std::string(get_string(message, "Body")) + " ";
    return out;
  }
  std::string attribute(const std::string& queue, const std::string& name) {
    const auto answer = call("GetQueueAttributes", {{"QueueUrl", queue}, {"AttributeNames", json::array{name}}});
    return std::string(get_string(*find(answer, "Attributes"), name));
  }

  std::filesystem::path folder_ = std::filesystem::temp_directory_path() / ("mayfly-sqs-" + random_hex(8));
  VirtualClock clock_;
  Reactor reactor_{clock_, "test"};
  Scope calls_{"calls"};
  std::unique_ptr<store::Embedded> store_;
  std::unique_ptr<Sqs> sqs_;
};

std::string redrive_policy(const std::string& name, int receives) {
  return R"({"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:)" + name + R"(","maxReceiveCount":)" +
         std::to_string(receives) + "}";
}

const json::object kNone;

TEST_F(SqsService, QueuesAreMadeOnceFoundByEveryFormOfUrlAndSurviveARestart) {
  const auto url = create("jobs", {{"DelaySeconds", "1"}});
  EXPECT_EQ(url, "http://localhost:4566/000000000000/jobs");
  EXPECT_EQ(create("jobs", kNone), url);
  EXPECT_EQ(error("CreateQueue", {{"QueueName", "jobs"}, {"Attributes", {{"DelaySeconds", "2"}}}}),
            "A queue already exists with the same name and a different value for attribute DelaySeconds");
  stop();
  start();
  for (const std::string form : {"jobs", "http://sqs.us-east-1.localhost:4566/000000000000/jobs",
                                 "https://us-east-1.queue.localhost/000000000000/jobs"}) {
    EXPECT_EQ(attribute(form, "DelaySeconds"), "1") << form;
  }
  EXPECT_EQ(error("GetQueueAttributes", {{"QueueUrl", "http://localhost/no-account"}}, 404).substr(0, 11),
            "The address");
  EXPECT_EQ(get_string(call("GetQueueUrl", {{"QueueName", "jobs"}}), "QueueUrl"), url);
  EXPECT_EQ(error("GetQueueUrl", {{"QueueName", "none"}}), "The specified queue does not exist.");
  call("DeleteQueue", {{"QueueUrl", url}});
  EXPECT_EQ(error("SendMessage", {{"QueueUrl", url}, {"MessageBody", "x"}}), "The specified queue does not exist.");
  EXPECT_EQ(error("CreateQueue", kNone), "The request must contain the parameter QueueName.");
}

TEST_F(SqsService, ListsArePaged) {
  for (const char* name : {"a1", "a2", "a3", "b"}) create(name, kNone);
  EXPECT_EQ(find(call("ListQueues", kNone), "QueueUrls")->get_array().size(), 4U);
  const auto first = call("ListQueues", {{"QueueNamePrefix", "a"}, {"MaxResults", 2}});
  EXPECT_EQ(find(first, "QueueUrls")->get_array().size(), 2U);
  const auto rest =
      call("ListQueues", {{"QueueNamePrefix", "a"}, {"MaxResults", 2}, {"NextToken", get_string(first, "NextToken")}});
  EXPECT_EQ(find(rest, "QueueUrls")->get_array().size(), 1U);
  EXPECT_EQ(find(rest, "NextToken"), nullptr);
  EXPECT_EQ(find(call("ListQueues", {{"QueueNamePrefix", "c"}}), "QueueUrls"), nullptr);
}

TEST_F(SqsService, MessagesCarryTheirAttributesAndComeBackUntilTheyAreDeleted) {
  const auto url = create("q", kNone);
  const json::object trace{{"AWSTraceHeader", {{"DataType", "String"}, {"StringValue", "Root=1-2-3"}}}};
  const json::object attributes{{"n", {{"DataType", "Number"}, {"StringValue", "7"}}},
                                {"b", {{"DataType", "Binary"}, {"BinaryValue", "AAH/"}}}};
  const auto sent = call("SendMessage", {{"QueueUrl", url},
                                         {"MessageBody", "hello"},
                                         {"MessageAttributes", attributes},
                                         {"MessageSystemAttributes", trace}});
  EXPECT_EQ(get_string(sent, "MD5OfMessageBody"), "5d41402abc4b2a76b9719d911017c592");
  EXPECT_EQ(find(sent, "SequenceNumber"), nullptr);
  EXPECT_EQ(get_string(sent, "MD5OfMessageSystemAttributes").size(), 32U);
  const auto first = receive(url);
  ASSERT_EQ(first.size(), 1U);
  EXPECT_EQ(get_string(first[0], "MessageId"), get_string(sent, "MessageId"));
  EXPECT_EQ(get_string(first[0], "MD5OfMessageAttributes"), get_string(sent, "MD5OfMessageAttributes"));
  EXPECT_EQ(*find(first[0], "MessageAttributes"), json::value(attributes));
  const auto& system = *find(first[0], "Attributes");
  EXPECT_EQ(get_string(system, "AWSTraceHeader"), "Root=1-2-3");
  EXPECT_EQ(get_string(system, "SenderId"), "000000000000");
  EXPECT_EQ(get_string(system, "ApproximateReceiveCount"), "1");
  EXPECT_EQ(get_string(system, "SentTimestamp"), "1767225600000");
  EXPECT_EQ(attribute(url, "ApproximateNumberOfMessagesNotVisible"), "1");
  EXPECT_TRUE(receive(url).empty());
  clock_.advance(std::chrono::seconds(31));
  const auto second = receive(url);
  ASSERT_EQ(second.size(), 1U);
  EXPECT_NE(get_string(second[0], "ReceiptHandle"), get_string(first[0], "ReceiptHandle"));
  // The old handle is taken and deletes nothing; the new one does.
  call("DeleteMessage", {{"QueueUrl", url}, {"ReceiptHandle", get_string(first[0], "ReceiptHandle")}});
  EXPECT_EQ(attribute(url, "ApproximateNumberOfMessagesNotVisible"), "1");
  call("DeleteMessage", {{"QueueUrl", url}, {"ReceiptHandle", get_string(second[0], "ReceiptHandle")}});
  EXPECT_EQ(attribute(url, "ApproximateNumberOfMessagesNotVisible"), "0");
  const std::string handle(get_string(second[0], "ReceiptHandle"));
  EXPECT_EQ(error("ChangeMessageVisibility", {{"QueueUrl", url}, {"ReceiptHandle", handle}, {"VisibilityTimeout", 5}}),
            "Value " + handle +
                " for parameter ReceiptHandle is invalid. Reason: Message does not exist or is not available for "
                "visibility timeout change.");
}

TEST_F(SqsService, HandlesAreBoundToTheirQueue) {
  const auto one = create("one", kNone);
  const auto two = create("two", kNone);
  send(one, "x");
  const auto got = receive(one);
  const std::string handle(get_string(got[0], "ReceiptHandle"));
  const auto text = "The input receipt handle \"" + handle + "\" is not a valid receipt handle.";
  const auto pending = call("DeleteMessage", {{"QueueUrl", two}, {"ReceiptHandle", handle}}, 404);
  EXPECT_EQ(get_string(pending, "message"), text);
  // A queue made again under its name does not know them either.
  call("DeleteQueue", {{"QueueUrl", one}});
  create("one", kNone);
  EXPECT_EQ(get_string(call("DeleteMessage", {{"QueueUrl", one}, {"ReceiptHandle", handle}}, 404), "message"), text);
}

TEST_F(SqsService, VisibilityCanBeChangedWithinTwelveHours) {
  const auto url = create("q", kNone);
  send(url, "x");
  const std::string handle(get_string(receive(url)[0], "ReceiptHandle"));
  call("ChangeMessageVisibility", {{"QueueUrl", url}, {"ReceiptHandle", handle}, {"VisibilityTimeout", 3'600}});
  clock_.advance(std::chrono::seconds(3'500));
  EXPECT_TRUE(receive(url).empty());
  EXPECT_EQ(
      error("ChangeMessageVisibility", {{"QueueUrl", url}, {"ReceiptHandle", handle}, {"VisibilityTimeout", 43'000}}),
      "Value 43000 for parameter VisibilityTimeout is invalid. Reason: Total VisibilityTimeout for the message is "
      "beyond "
      "the limit [43200 seconds].");
  call("ChangeMessageVisibility", {{"QueueUrl", url}, {"ReceiptHandle", handle}, {"VisibilityTimeout", 0}});
  EXPECT_EQ(receive(url).size(), 1U);
}

TEST_F(SqsService, ALongPollEndsWithTheMessageThatCame) {
  const auto url = create("q", kNone);
  const auto poll = begin("ReceiveMessage", to_json(json::object{{"QueueUrl", url}, {"WaitTimeSeconds", 20}}));
  for (int i = 0; i < 5; ++i) {
    clock_.advance(std::chrono::seconds(1));
    call("ListQueues", kNone);
  }
  EXPECT_FALSE(poll->done);
  send(url, "late");
  poll_until([&] { return poll->done; });
  EXPECT_EQ(bodies(find(poll->answer(), "Messages")->get_array()), "late ");
  const auto nothing = create("empty", kNone);
  const auto empty = begin("ReceiveMessage", to_json(json::object{{"QueueUrl", nothing}, {"WaitTimeSeconds", 2}}));
  poll_until([&] {
    clock_.advance(std::chrono::milliseconds(100));
    return empty->done;
  });
  EXPECT_EQ(empty->response.got.body, "{}");
  const auto cut = begin("ReceiveMessage", to_json(json::object{{"QueueUrl", nothing}, {"WaitTimeSeconds", 20}}));
  call("ListQueues", kNone);
  sqs_->interrupt();
  clock_.advance(std::chrono::seconds(1));
  poll_until([&] { return cut->done; });
}

TEST_F(SqsService, DelaysAreTheQueuesOrTheMessagesOwn) {
  const auto url = create("q", {{"DelaySeconds", "5"}});
  send(url, "queue");
  call("SendMessage", {{"QueueUrl", url}, {"MessageBody", "own"}, {"DelaySeconds", 0}});
  EXPECT_EQ(attribute(url, "ApproximateNumberOfMessagesDelayed"), "1");
  EXPECT_EQ(bodies(receive(url)), "own ");
  clock_.advance(std::chrono::seconds(6));
  EXPECT_EQ(bodies(receive(url)), "queue ");
  EXPECT_EQ(error("SendMessage", {{"QueueUrl", url}, {"MessageBody", "x"}, {"DelaySeconds", 901}}),
            "Value 901 for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= 900.");
}

TEST_F(SqsService, FifoQueuesKeepTheOrderOfGroupsAndDropDuplicates) {
  const auto url = create("q.fifo", {{"FifoQueue", "true"}, {"ContentBasedDeduplication", "true"}});
  EXPECT_EQ(error("SendMessage", {{"QueueUrl", url}, {"MessageBody", "x"}}),
            "The request must contain the parameter MessageGroupId.");
  const auto first = send_fifo(url, "a1", "a");
  EXPECT_EQ(send_fifo(url, "a1", "a"), first) << "a duplicate stands for the first";
  send_fifo(url, "a2", "a");
  send_fifo(url, "b1", "b");
  const auto got = receive(url, 1);
  ASSERT_EQ(bodies(got), "a1 ");
  const auto& system = *find(got[0], "Attributes");
  EXPECT_EQ(get_string(system, "SequenceNumber").size(), 20U);
  EXPECT_EQ(get_string(system, "MessageGroupId"), "a");
  EXPECT_EQ(get_string(system, "MessageDeduplicationId").size(), 64U);
  EXPECT_EQ(bodies(receive(url)), "b1 ") << "the group of a message in flight waits";
  call("DeleteMessage", {{"QueueUrl", url}, {"ReceiptHandle", get_string(got[0], "ReceiptHandle")}});
  EXPECT_EQ(bodies(receive(url)), "a2 ");
  clock_.advance(std::chrono::seconds(301));
  EXPECT_NE(send_fifo(url, "a1", "a"), first) << "the window is over";
}

TEST_F(SqsService, AReceiveThatIsTriedAgainGetsTheSameMessages) {
  const auto url = create("q.fifo", {{"FifoQueue", "true"}, {"ContentBasedDeduplication", "true"}});
  send_fifo(url, "a1", "a");
  send_fifo(url, "b1", "b");
  const json::object request{{"QueueUrl", url}, {"ReceiveRequestAttemptId", "try"}, {"MaxNumberOfMessages", 1}};
  const auto one = call("ReceiveMessage", request);
  EXPECT_EQ(call("ReceiveMessage", request), one);
  const json::object handle{{"QueueUrl", url},
                            {"ReceiptHandle", get_string(find(one, "Messages")->get_array()[0], "ReceiptHandle")}};
  call("DeleteMessage", handle);
  EXPECT_EQ(bodies(find(call("ReceiveMessage", request), "Messages")->get_array()), "b1 ");
}

TEST_F(SqsService, WhatIsReceivedTooOftenGoesToTheDeadLetterQueueWithItsId) {
  EXPECT_NE(error("CreateQueue", {{"QueueName", "q"}, {"Attributes", {{"RedrivePolicy", redrive_policy("dead", 2)}}}})
                .find("Dead letter target does not exist."),
            std::string::npos);
  const auto dead = create("dead", kNone);
  const auto url = create("q", {{"RedrivePolicy", redrive_policy("dead", 2)}});
  const auto id = send(url, "poison");
  EXPECT_EQ(receive(url, 10, 0).size(), 1U);
  EXPECT_EQ(receive(url, 10, 0).size(), 1U);
  send(url, "good");
  clock_.advance(std::chrono::seconds(10));
  EXPECT_EQ(bodies(receive(url)), "good ");
  const auto buried = receive(dead);
  ASSERT_EQ(bodies(buried), "poison ");
  EXPECT_EQ(get_string(buried[0], "MessageId"), id);
  const auto& system = *find(buried[0], "Attributes");
  EXPECT_EQ(get_string(system, "DeadLetterQueueSourceArn"), "arn:aws:sqs:us-east-1:000000000000:q");
  EXPECT_EQ(get_string(system, "ApproximateReceiveCount"), "3") << "across all queues";
  EXPECT_EQ(get_string(system, "SentTimestamp"), "1767225600000") << "it keeps its age";
  const auto sources = call("ListDeadLetterSourceQueues", {{"QueueUrl", dead}});
  EXPECT_EQ(to_json(*find(sources, "queueUrls")), "[\"" + url + "\"]");
  EXPECT_NE(error("SetQueueAttributes",
                  {{"QueueUrl", dead}, {"Attributes", {{"RedrivePolicy", redrive_policy("x.fifo", 2)}}}})
                .size(),
            0U);
}

TEST_F(SqsService, AMoveTakesDeadLettersHomeAndGoesOnAfterARestart) {
  const auto dead = create("dead", kNone);
  const auto url = create("q", {{"RedrivePolicy", redrive_policy("dead", 1)}});
  const json::object from_dead{{"SourceArn", "arn:aws:sqs:us-east-1:000000000000:dead"}};
  EXPECT_EQ(error("StartMessageMoveTask", {{"SourceArn", "arn:aws:sqs:us-east-1:000000000000:q"}}),
            "Source queue must be configured as a Dead Letter Queue.");
  for (int i = 0; i < 5; ++i) send(url, std::to_string(i));
  EXPECT_EQ(receive(url, 10, 0).size(), 5U);
  EXPECT_TRUE(receive(url, 10, 0).empty());
  EXPECT_EQ(attribute(dead, "ApproximateNumberOfMessages"), "5");
  auto slowly = from_dead;
  slowly["MaxNumberOfMessagesPerSecond"] = 1;
  const auto started = call("StartMessageMoveTask", slowly);
  EXPECT_NE(get_string(started, "TaskHandle"), "");
  EXPECT_EQ(error("StartMessageMoveTask", from_dead),
            "There is already a task running. Only one active task is allowed for a source queue arn at a given time.");
  poll_until([&] { return attribute(url, "ApproximateNumberOfMessages") == "1"; });
  stop();
  start();
  poll_until([&] {
    clock_.advance(std::chrono::milliseconds(500));
    return attribute(url, "ApproximateNumberOfMessages") == "5";
  });
  poll_until([&] {
    clock_.advance(std::chrono::milliseconds(500));
    const auto listed = call("ListMessageMoveTasks", from_dead);
    return get_string(find(listed, "Results")->get_array()[0], "Status") == "COMPLETED";
  });
  const auto listed = call("ListMessageMoveTasks", from_dead);
  const auto& result = find(listed, "Results")->get_array()[0];
  EXPECT_EQ(get_int(result, "ApproximateNumberOfMessagesMoved"), 5);
  EXPECT_EQ(get_int(result, "ApproximateNumberOfMessagesToMove"), 5);
  EXPECT_EQ(find(result, "TaskHandle"), nullptr) << "only of running ones";
  const auto home = receive(url);
  EXPECT_EQ(get_string(*find(home[0], "Attributes"), "ApproximateReceiveCount"), "1") << "a new message";
  EXPECT_EQ(error("CancelMessageMoveTask", {{"TaskHandle", "foobared"}}), "Value for parameter TaskHandle is invalid.");
}

TEST_F(SqsService, BatchesFailEntryByEntryOrAsAWhole) {
  const auto url = create("q", {{"MaximumMessageSize", "1024"}});
  const auto batch = [&](const json::array& entries) { return json::object{{"QueueUrl", url}, {"Entries", entries}}; };
  const auto entry = [](const std::string& id, const std::string& body) {
    return json::object{{"Id", id}, {"MessageBody", body}};
  };
  EXPECT_EQ(error("SendMessageBatch", batch({})),
            "There should be at least one SendMessageBatchRequestEntry in the request.");
  EXPECT_EQ(error("SendMessageBatch", batch({entry("a", "x"), entry("a", "y")})), "Id a repeated.");
  EXPECT_EQ(error("SendMessageBatch", batch({entry("a.b", "x")})),
            "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 "
            "letters long.");
  json::array many;
  for (int i = 0; i < 11; ++i) many.push_back(entry(std::to_string(i), "x"));
  EXPECT_EQ(error("SendMessageBatch", batch(many)), "Maximum number of entries per request are 10. You have sent 11.");
  const std::string half(700'000, 'a');
  EXPECT_EQ(error("SendMessageBatch", batch({entry("a", half), entry("b", half)})),
            "Batch requests cannot be longer than 1048576 bytes. You have sent 1400000 bytes.");
  const auto mixed =
      call("SendMessageBatch", batch({entry("good", "x"), entry("long", std::string(1'025, 'a')), entry("bad", "\b")}));
  EXPECT_EQ(get_string(find(mixed, "Successful")->get_array()[0], "Id"), "good");
  const auto& failed = find(mixed, "Failed")->get_array();
  ASSERT_EQ(failed.size(), 2U);
  EXPECT_EQ(get_string(failed[0], "Code"), "InvalidParameterValue");
  EXPECT_EQ(get_string(failed[0], "Message"),
            "One or more parameters cannot be validated. Reason: Message must be shorter than 1024 bytes.");
  EXPECT_EQ(get_string(failed[1], "Code"), "InvalidMessageContents");
  const auto got = receive(url);
  const std::string handle(get_string(got[0], "ReceiptHandle"));
  const json::array ends{json::object{{"Id", "good"}, {"ReceiptHandle", handle}, {"VisibilityTimeout", 1}},
                         json::object{{"Id", "wrong"}, {"ReceiptHandle", "x"}, {"VisibilityTimeout", 1}}};
  for (const char* operation : {"ChangeMessageVisibilityBatch", "DeleteMessageBatch"}) {
    const auto ended = call(operation, batch(ends));
    EXPECT_EQ(get_string(find(ended, "Successful")->get_array()[0], "Id"), "good") << operation;
    EXPECT_EQ(get_string(find(ended, "Failed")->get_array()[0], "Code"), "ReceiptHandleIsInvalid") << operation;
  }
}

TEST_F(SqsService, PurgesWaitAMinute) {
  const auto url = create("q", kNone);
  send(url, "x");
  call("PurgeQueue", {{"QueueUrl", url}});
  EXPECT_TRUE(receive(url).empty());
  EXPECT_EQ(error("PurgeQueue", {{"QueueUrl", url}}, 403),
            "Only one PurgeQueue operation on q is allowed every 60 seconds.");
  clock_.advance(std::chrono::seconds(60));
  call("PurgeQueue", {{"QueueUrl", url}});
}

TEST_F(SqsService, APurgeForgetsDeduplicationIdsForGood) {
  const auto url = create("q.fifo", {{"FifoQueue", "true"}, {"ContentBasedDeduplication", "true"}});
  const auto first = send_fifo(url, "x", "g");
  call("PurgeQueue", {{"QueueUrl", url}});
  stop();
  start();
  const auto second = send_fifo(url, "x", "g");
  EXPECT_NE(second, first);
  EXPECT_EQ(send_fifo(url, "x", "g"), second);
  EXPECT_EQ(bodies(receive(url)), "x ");
}

TEST_F(SqsService, TagsAndPermissionsAreKeptUnderTheirNames) {
  const auto url = create("q", kNone);
  call("TagQueue", {{"QueueUrl", url}, {"Tags", {{"a", "1"}, {"A", ""}}}});
  call("TagQueue", {{"QueueUrl", url}, {"Tags", {{"a", "2"}}}});
  EXPECT_EQ(to_json(*find(call("ListQueueTags", {{"QueueUrl", url}}), "Tags")), R"({"a":"2","A":""})");
  call("UntagQueue", {{"QueueUrl", url}, {"TagKeys", json::array{"a", "A", "b"}}});
  EXPECT_EQ(find(call("ListQueueTags", {{"QueueUrl", url}}), "Tags"), nullptr);
  const json::object permission{{"QueueUrl", url},
                                {"Label", "l"},
                                {"AWSAccountIds", json::array{"111111111111"}},
                                {"Actions", json::array{"SendMessage", "ReceiveMessage"}}};
  call("AddPermission", permission);
  EXPECT_EQ(error("AddPermission", permission), "Value l for parameter Label is invalid. Reason: Already exists.");
  const auto policy = parse_json(attribute(url, "Policy"));
  ASSERT_TRUE(policy);
  EXPECT_EQ(to_json(*find(find(*policy, "Statement")->get_array()[0], "Action")),
            R"(["SQS:SendMessage","SQS:ReceiveMessage"])");
  call("RemovePermission", {{"QueueUrl", url}, {"Label", "l"}});
  EXPECT_EQ(error("RemovePermission", {{"QueueUrl", url}, {"Label", "l"}}),
            "Value l for parameter Label is invalid. Reason: can't find label.");
}

TEST_F(SqsService, EventsBecomeMessagesAndEveryAttemptHasOneId) {
  create("q", kNone);
  delivery::Targets targets;
  sqs_->add_to(targets);
  delivery::Event event;
  event.id = "00000000-0000-4000-8000-000000000007";
  event.payload = "{}";
  event.message_attributes = {{"ERROR_CODE", {{"DataType", "String"}, {"StringValue", "x"}}}};
  std::vector<delivery::Attempt> attempts;
  run([&]() -> Awaitable<void> {
    for (const std::string arn : {"arn:aws:sqs:us-east-1:000000000000:q", "arn:aws:sqs:us-east-1:000000000000:q",
                                  "arn:aws:sqs:us-east-1:000000000000:none"}) {
      attempts.push_back(co_await targets.deliver(arn, event));
    }
  });
  EXPECT_EQ(attempts[0].kind, delivery::Attempt::Kind::kDone);
  EXPECT_EQ(attempts[1].kind, delivery::Attempt::Kind::kDone);
  EXPECT_EQ(attempts[2].kind, delivery::Attempt::Kind::kRefused);
  const auto got = receive("q");
  ASSERT_EQ(got.size(), 1U);
  EXPECT_EQ(get_string(got[0], "MessageId"), event.id);
  EXPECT_NE(find(*find(got[0], "MessageAttributes"), "ERROR_CODE"), nullptr);
}

TEST_F(SqsService, TheFaceForOthersReceivesLooksAndRedrives) {
  create("dead", kNone);
  const auto url = create("q", {{"RedrivePolicy", redrive_policy("dead", 1)}});
  const std::string q = "arn:aws:sqs:us-east-1:000000000000:q";
  const std::string dead = "arn:aws:sqs:us-east-1:000000000000:dead";
  ASSERT_TRUE(sqs_->find(q));
  EXPECT_EQ(sqs_->find(q)->dead_letter_arn, dead);
  EXPECT_FALSE(sqs_->find("arn:aws:sqs:us-east-1:000000000000:none"));
  EXPECT_EQ(sqs_->queues().size(), 2U);
  run([&]() -> Awaitable<void> {
    Outgoing message;
    message.body = "one";
    auto sent = co_await sqs_->send(q, message);
    EXPECT_TRUE(sent);
    ReceiveOptions options;
    options.visibility_timeout = std::chrono::seconds(0);
    auto got = co_await sqs_->receive(q, options);
    EXPECT_EQ(got->size(), 1U);
    EXPECT_EQ(got->front().message_id, *sent);
    got = co_await sqs_->receive(q, options);
    EXPECT_TRUE(got->empty());
    auto lying = co_await sqs_->peek(dead, 0, 10);
    EXPECT_EQ(lying->size(), 1U);
    EXPECT_EQ(lying->front().message.body, "one");
    std::vector<MessagePosition> positions(2);
    positions[0].sequence = lying->front().sequence;
    positions[0].message_id = *sent;
    positions[1].sequence = lying->front().sequence + 1;
    positions[1].message_id = "gone";
    auto moved = co_await sqs_->redrive(dead, "", positions);
    EXPECT_TRUE(moved) << moved.error().message;
    EXPECT_EQ(*moved, 1U);
    options.visibility_timeout = std::chrono::seconds(30);
    got = co_await sqs_->receive(q, options);
    EXPECT_EQ(got->size(), 1U);
    std::vector<std::string> handles{got->front().receipt_handle, "wrong"};
    auto changed = co_await sqs_->change_visibility(q, handles, std::chrono::seconds(60));
    EXPECT_TRUE(changed[0]);
    EXPECT_EQ(changed[1].error().code, ErrorCode::kInvalid);
    auto removed = co_await sqs_->remove(q, handles);
    EXPECT_TRUE(removed[0]);
    EXPECT_FALSE(removed[1]);
    auto counts = co_await sqs_->counts(q);
    EXPECT_EQ(counts->ready + counts->leased, 0U);
  });
}

TEST_F(SqsService, AQueueWithoutARecordIsWhatACrashLeftAndIsRemoved) {
  create("kept", kNone);
  run([&]() -> Awaitable<void> {
    store::QueueName name("sqs/000000000000/us-east-1/half/0123456789abcdef");
    const store::QueueSettings settings;
    EXPECT_TRUE(co_await store_->queue().configure(name, settings));
  });
  stop();
  start();
  run([&]() -> Awaitable<void> {
    auto names = co_await store_->queue().list(std::string(kPortPrefix));
    EXPECT_EQ(names->size(), 1U);
  });
}

}  // namespace
}  // namespace mayfly::sqs
