// Event source mappings over a source in memory: batches, filters, partial responses, scaling, failures, states.
#include "services/lambda/batch.h"
#include "services/lambda/poller.h"
#include "services/lambda/test_fakes.h"

namespace mayfly::lambda {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const std::string kQueue = "arn:aws:sqs:us-east-1:000000000000:jobs";

// Records that are received, held and done with; what is neither comes again after a hold of 30 seconds.
struct FakeQueueContent {
  struct Item {
    std::string id;
    std::string body;
    SteadyTime visible_at{};
    std::uint32_t receives = 0;
    std::string receipt;
  };
  std::vector<Item> items;
  std::vector<std::uint32_t> asked;
  bool broken = false;
  Signal arrived;
};

class FakeSource final : public EventSource {
 public:
  FakeSource(std::shared_ptr<FakeQueueContent> content, Clock& clock) : content_(std::move(content)), clock_(clock) {}
  Awaitable<Result<std::vector<SourceRecord>>> receive(ReceiveAsk ask) override {
    content_->asked.push_back(ask.max_records);
    if (content_->broken) co_return fail(ErrorCode::kIo, "broken");
    const auto until = clock_.steady_now() + ask.wait;
    for (;;) {
      auto out = take(ask);
      if (!out.empty() || clock_.steady_now() >= until) co_return out;
      co_await content_->arrived.wait_until(until);
    }
  }
  Awaitable<void> done(std::vector<std::string> receipts) override {
    std::erase_if(content_->items, [&](const auto& item) { return has(receipts, item.receipt); });
    co_return;
  }
  Awaitable<void> hold(std::vector<std::string> receipts, seconds time) override {
    for (auto& item : content_->items) {
      if (has(receipts, item.receipt)) item.visible_at = clock_.steady_now() + time;
    }
    co_return;
  }
  [[nodiscard]] seconds hold_time() const override { return seconds(30); }

 private:
  static bool has(const std::vector<std::string>& all, const std::string& one) {
    return std::find(all.begin(), all.end(), one) != all.end();
  }
  std::vector<SourceRecord> take(const ReceiveAsk& ask) {
    std::vector<SourceRecord> out;
    for (auto& item : content_->items) {
      if (out.size() == ask.max_records) break;
      if (item.visible_at > clock_.steady_now()) continue;
      item.visible_at = clock_.steady_now() + seconds(30);
      item.receipt = item.id + "#" + std::to_string(++item.receives);
      SourceRecord record;
      record.id = item.id;
      record.receipt = item.receipt;
      record.receive_count = item.receives;
      json::object text;
      text["messageId"] = item.id;
      text["body"] = item.body;
      record.text = to_json(text);
      out.push_back(std::move(record));
    }
    return out;
  }
  std::shared_ptr<FakeQueueContent> content_;
  Clock& clock_;
};

class FakeSources final : public EventSources {
 public:
  FakeSources(std::shared_ptr<FakeQueueContent> content, Clock& clock) : content_(std::move(content)), clock_(clock) {}
  [[nodiscard]] aws::ApiResult<void> check(const std::string& arn, seconds) const override {
    if (arn == kQueue || arn == kQueue + ".fifo") return {};
    return refuse_parameter("no such queue");
  }
  [[nodiscard]] bool is_ordered(const std::string& arn) const override { return arn.ends_with(".fifo"); }
  [[nodiscard]] std::unique_ptr<EventSource> open(const std::string&) const override {
    return std::make_unique<FakeSource>(content_, clock_);
  }

 private:
  std::shared_ptr<FakeQueueContent> content_;
  Clock& clock_;
};

class EventSourceMappings : public LambdaService {
 protected:
  EventSourceMappings() { begin(); }
  void begin() {
    lambda_->read_from("sqs", std::make_unique<FakeSources>(content_, clock_), reactors_);
    create("f", "", 201);
    invoker_.all.clear();
  }
  json::value map(const std::string& more, int status = 202, const std::string& arn = kQueue) {
    const auto out = call("POST", "/2015-03-31/event-source-mappings",
                          R"({"FunctionName":"f","EventSourceArn":")" + arn + "\"" + more + "}", status);
    settle();
    return out;
  }
  std::string path_of(const json::value& mapping) {
    return "/2015-03-31/event-source-mappings/" + std::string(get_string(mapping, "UUID"));
  }
  void send(const std::string& id, const std::string& body = "text") {
    FakeQueueContent::Item item;
    item.id = id;
    item.body = body;
    content_->items.push_back(std::move(item));
    content_->arrived.notify();
    settle();
  }
  void send_many(int count) {
    for (int i = 0; i < count; ++i) {
      FakeQueueContent::Item item;
      item.id = "m" + std::to_string(i);
      content_->items.push_back(std::move(item));
    }
    content_->arrived.notify();
    settle();
  }
  static std::vector<std::string> ids(const dispatch::Invocation& invocation) {
    std::vector<std::string> out;
    const auto event = parse_json(invocation.payload);
    if (!event) return out;
    for (const auto& record : event->at("Records").get_array()) out.emplace_back(get_string(record, "messageId"));
    return out;
  }
  void answer(const std::string& payload, const std::string& error = "") {
    dispatch::Outcome outcome;
    outcome.payload = payload;
    outcome.function_error = error;
    invoker_.answer = outcome;
  }
  std::shared_ptr<FakeQueueContent> content_ = std::make_shared<FakeQueueContent>();
};

TEST_F(EventSourceMappings, ShowTheirStatesAsRecorded) {
  const auto created = map("");
  EXPECT_EQ(get_string(created, "State"), "Creating");
  EXPECT_EQ(get_string(created, "StateTransitionReason"), "USER_INITIATED");
  EXPECT_EQ(get_int(created, "BatchSize"), 10);
  EXPECT_EQ(get_int(created, "MaximumBatchingWindowInSeconds", -1), 0);
  EXPECT_EQ(get_string(created, "EventSourceMappingArn"),
            "arn:aws:lambda:us-east-1:000000000000:event-source-mapping:" + std::string(get_string(created, "UUID")));
  EXPECT_EQ(to_json(created.at("FunctionResponseTypes")), "[]");
  EXPECT_EQ(get_string(call("GET", path_of(created), "", 200), "State"), "Enabled");
  EXPECT_EQ(get_string(map("", 409), "message"), "An event source mapping with SQS arn (\" " + kQueue +
                                                     " \") and function (\" f \") already exists. Please "
                                                     "update or delete the existing mapping with UUID " +
                                                     std::string(get_string(created, "UUID")));
  EXPECT_EQ(get_string(call("PUT", path_of(created), R"({"Enabled":false})", 202), "State"), "Disabling");
  pass(seconds(4));
  EXPECT_EQ(get_string(call("GET", path_of(created), "", 200), "State"), "Disabled");
  send("a");
  pass(seconds(10));
  EXPECT_TRUE(invoker_.all.empty());
  EXPECT_EQ(get_string(call("PUT", path_of(created), R"({"Enabled":true})", 202), "State"), "Enabling");
  settle();
  EXPECT_EQ(invoker_.all.size(), 1U);
  EXPECT_EQ(call("GET", "/2015-03-31/event-source-mappings?FunctionName=f", "", 200)
                .at("EventSourceMappings")
                .get_array()
                .size(),
            1U);
  EXPECT_EQ(get_string(call("DELETE", path_of(created), "", 202), "State"), "Deleting");
  call("GET", path_of(created), "", 404);
  map("");
}

TEST_F(EventSourceMappings, ShowHowTheirLastBatchEnded) {
  const auto created = map(R"(,"FunctionResponseTypes":["ReportBatchItemFailures"])");
  const auto last = [&] {
    return std::string(get_string(call("GET", path_of(created), "", 200), "LastProcessingResult"));
  };
  EXPECT_EQ(last(), "");
  answer(R"({"batchItemFailures":[]})");
  send("a");
  EXPECT_EQ(last(), "OK");
  answer("{}", "Unhandled");
  send("b");
  EXPECT_EQ(last(), "PROBLEM: Function call failed");
  answer(R"({"batchItemFailures":[{"itemIdentifier":"nobody"}]})");
  pass(seconds(3));
  send("c");
  EXPECT_EQ(last(), "PROBLEM: The function's partial batch response cannot be read");
}

TEST_F(EventSourceMappings, RefuseWhatTheyWouldNotCarryOut) {
  map(R"(,"BatchSize":11)", 400);
  map(R"(,"BatchSize":10001,"MaximumBatchingWindowInSeconds":1)", 400);
  map(R"(,"MaximumBatchingWindowInSeconds":1)", 400, kQueue + ".fifo");
  map(R"(,"ScalingConfig":{"MaximumConcurrency":1})", 400);
  EXPECT_EQ(get_string(map(R"(,"FilterCriteria":{"Filters":[{"Pattern":"{\"eventSource\": []}"}]})", 400), "message"),
            "Invalid filter pattern definition.");
  map(R"(,"ParallelizationFactor":2)", 400);
  map(R"(,"StartingPosition":"LATEST")", 400);
  map("", 400, "arn:aws:kinesis:us-east-1:000000000000:stream/s");
  map("", 400, kQueue + "2");
}

TEST_F(EventSourceMappings, GiveBatchesAndDeleteWhatSucceeded) {
  map(R"(,"BatchSize":3)");
  send("a", "x\"y");
  EXPECT_EQ(invoker_.all.at(0).payload, R"({"Records":[{"messageId":"a","body":"x\"y"}]})");
  EXPECT_EQ(invoker_.all[0].invoked_function_arn, "arn:aws:lambda:us-east-1:000000000000:function:f");
  EXPECT_TRUE(content_->items.empty());
  send_many(7);
  EXPECT_EQ(invoker_.all.size(), 4U);
  EXPECT_EQ(ids(invoker_.all[1]).size(), 3U);
  EXPECT_TRUE(content_->items.empty());
}

TEST_F(EventSourceMappings, WaitForMoreWithinTheWindow) {
  map(R"(,"BatchSize":100,"MaximumBatchingWindowInSeconds":20)");
  send("a");
  pass(seconds(19));
  send("b");
  EXPECT_TRUE(invoker_.all.empty());
  pass(seconds(1));
  ASSERT_EQ(invoker_.all.size(), 1U);
  EXPECT_EQ(ids(invoker_.all[0]), (std::vector<std::string>{"a", "b"}));
}

TEST_F(EventSourceMappings, AFailedBatchComesAgainWhenItsHoldHasRunOut) {
  map("");
  answer(R"({"errorMessage":"boom"})", "Unhandled");
  send("a");
  EXPECT_EQ(content_->items.size(), 1U);
  pass(seconds(29));
  EXPECT_EQ(invoker_.all.size(), 1U);
  answer("null");
  pass(seconds(4));
  EXPECT_EQ(invoker_.all.size(), 2U);
  EXPECT_TRUE(content_->items.empty());
}

TEST_F(EventSourceMappings, PartialResponsesKeepOnlyWhatFailed) {
  map(R"(,"FunctionResponseTypes":["ReportBatchItemFailures"])");
  answer(R"({"batchItemFailures":[{"itemIdentifier":"m1"}]})");
  send_many(3);
  ASSERT_EQ(content_->items.size(), 1U);
  EXPECT_EQ(content_->items[0].id, "m1");
  answer(R"({"batchItemFailures":[]})");
  pass(seconds(34));
  EXPECT_TRUE(content_->items.empty());
}

TEST_F(EventSourceMappings, APoisonRecordEndsAlone) {
  map("");
  answer("{}", "Unhandled");
  send_many(8);
  EXPECT_EQ(invoker_.all.size(), 1U);
  for (int round = 0; round < 4; ++round) pass(seconds(35));
  std::size_t smallest = 100;
  for (const auto& one : invoker_.all) smallest = std::min(smallest, ids(one).size());
  EXPECT_EQ(smallest, 1U);
}

TEST_F(EventSourceMappings, DeleteWhatNoFilterWants) {
  map(R"(,"FilterCriteria":{"Filters":[{"Pattern":"{\"body\":{\"n\":[{\"numeric\":[\">\",5]}]}}"}]})");
  send("a", R"({"n":1})");
  send("b", R"({"n":9})");
  send("c", "no json");
  ASSERT_EQ(invoker_.all.size(), 1U);
  EXPECT_EQ(ids(invoker_.all[0]), std::vector<std::string>{"b"});
  EXPECT_TRUE(content_->items.empty());
}

TEST_F(EventSourceMappings, AThrottledBatchIsHeldAndNotReceivedAgain) {
  map("");
  invoker_.answer = fail(ErrorCode::kThrottled, "ReservedFunctionConcurrentInvocationLimitExceeded");
  send("a");
  pass(seconds(300));
  EXPECT_GT(invoker_.all.size(), 10U);
  EXPECT_LT(invoker_.all.size(), 200U);
  EXPECT_EQ(content_->items.at(0).receives, 1U);
  invoker_.answer = dispatch::Outcome();
  pass(seconds(11));
  EXPECT_TRUE(content_->items.empty());
}

TEST_F(EventSourceMappings, StartWithFiveBatchesAndGrowUpToTheirMaximum) {
  invoker_.hold = true;
  map(R"(,"BatchSize":1,"ScalingConfig":{"MaximumConcurrency":12})");
  send_many(100);
  EXPECT_EQ(invoker_.all.size(), 5U);
  pass(seconds(1));
  EXPECT_EQ(invoker_.all.size(), 10U);
  pass(seconds(10));
  EXPECT_EQ(invoker_.all.size(), 12U);
  invoker_.release();
  settle();
  EXPECT_EQ(invoker_.all.size(), 100U);
  EXPECT_TRUE(content_->items.empty());
}

TEST_F(EventSourceMappings, ADeletedFunctionTakesNothingOut) {
  map("");
  pass(seconds(4));
  call("DELETE", "/2015-03-31/functions/f", "", 204);
  pass(seconds(4));
  send("a");
  pass(seconds(10));
  EXPECT_LE(content_->items.at(0).receives, 1U);
  EXPECT_TRUE(invoker_.all.empty());
}

TEST_F(EventSourceMappings, SurviveARestart) {
  const auto created = map(R"(,"Tags":{"a":"b"})");
  stop();
  start();
  lambda_->read_from("sqs", std::make_unique<FakeSources>(content_, clock_), reactors_);
  lambda_->start_mappings();
  settle();
  send("a");
  EXPECT_EQ(invoker_.all.size(), 1U);
  call("GET", path_of(created), "", 200);
}

TEST_F(EventSourceMappings, AStopGivesBackWhatWasNotInvoked) {
  map("");
  invoker_.answer = fail(ErrorCode::kThrottled, "x");
  send("a");
  stop();
  EXPECT_LE(content_->items.at(0).visible_at, clock_.steady_now());
  start();
}

TEST_F(EventSourceMappings, ABrokenSourceIsAskedAgainAndNotAllTheTime) {
  content_->broken = true;
  map("");
  pass(seconds(100));
  EXPECT_LT(content_->asked.size(), 60U);
  content_->broken = false;
  send("a");
  pass(seconds(11));
  EXPECT_EQ(invoker_.all.size(), 1U);
}

SourceRecord record(const std::string& id, std::uint32_t receives = 1, std::size_t bytes = 10) {
  SourceRecord out;
  out.id = id;
  out.receive_count = receives;
  out.text = std::string(bytes, ' ');
  return out;
}

TEST(Batch, PartialResponsesMeanWhatIsDocumented) {
  std::vector<SourceRecord> batch;
  for (const char* id : {"a", "b", "c"}) batch.push_back(record(id));
  const auto failures = [&](const char* response) { return reported_failures(response, batch); };
  for (const char* success : {"null", "{}", "[]", R"("text")", "1", R"({"batchItemFailures":null})",
                              R"({"batchItemFailures":[]})", R"({"other":1})"}) {
    ASSERT_TRUE(failures(success)) << success;
    EXPECT_TRUE(failures(success)->empty()) << success;
  }
  for (const char* bad :
       {"", "{", R"({"batchItemFailures":[{"itemIdentifier":""}]})",
        R"({"batchItemFailures":[{"itemIdentifier":null}]})", R"({"batchItemFailures":[{"foo":"a"}]})",
        R"({"batchItemFailures":[{"itemIdentifier":"z"}]})", R"({"batchItemFailures":{}})"}) {
    EXPECT_FALSE(failures(bad)) << bad;
  }
  EXPECT_EQ(*failures(R"({"batchItemFailures":[{"itemIdentifier":"c"},{"itemIdentifier":"a"}]})"),
            (std::vector<std::string>{"c", "a"}));
}

TEST(Batch, CutsByCountBytesAndHistory) {
  BatchRules rules;
  rules.max_records = 4;
  std::vector<SourceRecord> records;
  for (int i = 0; i < 10; ++i) records.push_back(record(std::to_string(i)));
  EXPECT_EQ(make_batches(records, rules).size(), 3U);
  rules.max_bytes = 40;
  EXPECT_EQ(make_batches(records, rules).size(), 5U);
  rules.max_bytes = 1;  // one is always given
  EXPECT_EQ(make_batches(records, rules).size(), 10U);
  rules.max_bytes = 1000;
  records[0].receive_count = 2;
  records[1].receive_count = 2;
  records[2].receive_count = 2;
  records[3].receive_count = 5;
  EXPECT_EQ(make_batches(records, rules).size(), 3U);
  rules.isolate = true;
  EXPECT_EQ(make_batches(records, rules).size(), 5U);  // 4+2 fresh, 2+1 of the second round, 1 of the fifth
}

TEST(Batch, FiltersCompareBodiesOfTheirKind) {
  const auto filters = [](const char* pattern) { return *parse_filters(std::vector<std::string>(1, pattern)); };
  const auto with_body = [](const std::string& body) {
    SourceRecord out;
    json::object text;
    text["body"] = body;
    text["eventSource"] = "aws:sqs";
    out.text = to_json(text);
    return out;
  };
  EXPECT_TRUE(passes({}, with_body("x")));
  EXPECT_TRUE(passes(filters(R"({"body":["plain"]})"), with_body("plain")));
  EXPECT_FALSE(passes(filters(R"({"body":["plain"]})"), with_body(R"({"plain":1})")));
  EXPECT_FALSE(passes(filters(R"({"body":{"a":["b"]}})"), with_body("plain")));
  EXPECT_TRUE(passes(filters(R"({"body":{"a":["b"]}})"), with_body(R"({"a":"b"})")));
  EXPECT_TRUE(passes(filters(R"({"eventSource":["aws:sqs"]})"), with_body("x")));
  EXPECT_FALSE(parse_filters(std::vector<std::string>(1, "null")));
  // A plain text is taken for a list of it, as recorded; of the body alone.
  EXPECT_FALSE(parse_filters(std::vector<std::string>(1, R"({"eventSource":"aws:sqs"})")));
  EXPECT_TRUE(passes(filters(R"({"body":"plain"})"), with_body("plain")));
  EXPECT_TRUE(passes(filters(R"({"body":"plain"})"), with_body("\"plain\"")));
  EXPECT_FALSE(passes(filters(R"({"body":"plain"})"), with_body(R"({"key":"plain"})")));
}

}  // namespace
}  // namespace mayfly::lambda
