// Asynchronous invocations over fakes and a virtual clock: waits, attempts, throttles, dead letters, destinations.
#include "services/lambda/test_fakes.h"

namespace mayfly::lambda {
namespace {

using std::chrono::seconds;

const std::string kLetters = "arn:aws:sqs:us-east-1:000000000000:letters";

class AsyncInvoke : public LambdaService {
 protected:
  void invoke_event(const std::string& name, const std::string& payload, int status) {
    aws::CallContext context;
    context.request_id = "00000000-0000-4000-8000-00000000000" + std::to_string(next_++);
    context.principal.account = "000000000000";
    context.region = "us-east-1";
    FakeRequest request;
    request.head.method = "POST";
    request.head.target = "/2015-03-31/functions/" + name + "/invocations";
    request.head.headers.set("X-Amz-Invocation-Type", "Event");
    response_ = std::make_unique<FakeResponse>();
    run([&]() -> Awaitable<void> { return lambda_->service().serve(context, request, payload, *response_); });
    EXPECT_EQ(response_->got.head.status, status) << response_->got.body;
    settle();
  }
  void fail_with(const std::string& message) {
    dispatch::Outcome outcome;
    outcome.status = dispatch::OutcomeStatus::kFunctionError;
    outcome.function_error = "Unhandled";
    outcome.payload = R"({"errorMessage":")" + message + R"("})";
    invoker_.answer = outcome;
  }
  int next_ = 1;
};

TEST_F(AsyncInvoke, IsAcceptedDurablyAndRun) {
  create("f", "", 201);
  const auto writes = queue_.writes;
  invoke_event("f", R"({"a":1})", 202);
  EXPECT_EQ(response_->got.body, "");
  EXPECT_EQ(queue_.writes, writes + 1);
  ASSERT_EQ(invoker_.all.size(), 1U);
  EXPECT_EQ(invoker_.all[0].payload, R"({"a":1})");
  EXPECT_EQ(invoker_.all[0].request_id, "00000000-0000-4000-8000-000000000001");
  EXPECT_EQ(invoker_.all[0].invoked_function_arn, "arn:aws:lambda:us-east-1:000000000000:function:f");
}

TEST_F(AsyncInvoke, RefusesWhatCannotBeAccepted) {
  create("f", "", 201);
  invoke_event("nobody", "{}", 404);
  invoke_event("f", "no json", 400);
  invoke_event("f", "\"" + std::string(1024UL * 1024, 'x') + "\"", 413);
  EXPECT_NE(response_->got.body.find("1048578 byte payload is too large for the Event invocation type (limit 1048576"),
            std::string::npos);
  queue_.broken = true;
  invoke_event("f", "{}", 500);
  EXPECT_TRUE(invoker_.all.empty());
}

TEST_F(AsyncInvoke, RetriesAfterOneMinuteAndAfterTwoWithTheSameRequestId) {
  create("f", "", 201);
  fail_with("boom");
  invoke_event("f", "{}", 202);
  EXPECT_EQ(invoker_.all.size(), 1U);
  pass(seconds(59));
  EXPECT_EQ(invoker_.all.size(), 1U);
  pass(seconds(1));
  EXPECT_EQ(invoker_.all.size(), 2U);
  pass(seconds(119));
  EXPECT_EQ(invoker_.all.size(), 2U);
  pass(seconds(1));
  ASSERT_EQ(invoker_.all.size(), 3U);
  EXPECT_EQ(invoker_.all[2].request_id, invoker_.all[0].request_id);
  pass(seconds(3600));
  EXPECT_EQ(invoker_.all.size(), 3U);
}

TEST_F(AsyncInvoke, AThrottleIsRetriedWithoutUsingAttempts) {
  create("f", "", 201);
  call("PUT", "/2019-09-25/functions/f/event-invoke-config", R"({"MaximumRetryAttempts":0})", 200);
  invoker_.answer = fail(ErrorCode::kThrottled, "ReservedFunctionConcurrentInvocationLimitExceeded");
  invoke_event("f", "{}", 202);
  pass(seconds(600));
  EXPECT_GT(invoker_.all.size(), 5U);
  const auto tried = invoker_.all.size();
  invoker_.answer = dispatch::Outcome();
  // A change of the function wakes what waits for it.
  call("PUT", "/2017-10-31/functions/f/concurrency", R"({"ReservedConcurrentExecutions":5})", 200);
  settle();
  EXPECT_EQ(invoker_.all.size(), tried + 1);
}

TEST_F(AsyncInvoke, TheDeadLetterTargetGetsTheEventAndWhyItFailed) {
  create("f", R"("DeadLetterConfig":{"TargetArn":")" + kLetters + R"("},)", 201);
  call("PUT", "/2019-09-25/functions/f/event-invoke-config", R"({"MaximumRetryAttempts":0})", 200);
  fail_with("boom");
  invoke_event("f", R"({"raise":1})", 202);
  ASSERT_EQ(delivered_.size(), 1U);
  EXPECT_EQ(delivered_[0].first, "sqs:letters");
  EXPECT_EQ(delivered_[0].second.payload, R"({"raise":1})");
  EXPECT_EQ(to_json(delivered_[0].second.message_attributes),
            R"({"RequestID":{"DataType":"String","StringValue":"00000000-0000-4000-8000-000000000001"},)"
            R"("ErrorCode":{"DataType":"Number","StringValue":"200"},)"
            R"("ErrorMessage":{"DataType":"String","StringValue":"boom"}})");
}

TEST_F(AsyncInvoke, DestinationsGetTheRecordOfTheInvocation) {
  create("f", "", 201);
  create("g", "", 201);
  call("PUT", "/2019-09-25/functions/f/event-invoke-config",
       R"({"MaximumRetryAttempts":0,"DestinationConfig":{"OnSuccess":{"Destination":)"
       R"("arn:aws:lambda:us-east-1:000000000000:function:g"},"OnFailure":{"Destination":)"
       R"("arn:aws:events:us-east-1:000000000000:event-bus/default"}}})",
       200);
  dispatch::Outcome good;
  good.payload = R"({"ok":true})";
  good.executed_version = "$LATEST";
  invoker_.answer = good;
  invoke_event("f", "{}", 202);
  ASSERT_EQ(invoker_.all.size(), 2U);
  const auto record = parse_json(invoker_.all[1].payload);
  ASSERT_TRUE(record);
  EXPECT_EQ(get_string(record->at("requestContext"), "condition"), "Success");
  EXPECT_EQ(to_json(record->at("responsePayload")), R"({"ok":true})");
  fail_with("boom");
  invoke_event("f", "{}", 202);
  ASSERT_EQ(delivered_.size(), 1U);
  const auto& event = delivered_[0].second;
  EXPECT_EQ(get_string(event.parameters, "Source"), "lambda");
  EXPECT_EQ(get_string(event.parameters, "DetailType"), "Lambda Function Invocation Result - Failure");
  EXPECT_EQ(event.parameters.at("Resources").get_array().size(), 2U);
}

TEST_F(AsyncInvoke, TheAgeOfAnEventEndsItsRetries) {
  create("f", "", 201);
  call("PUT", "/2019-09-25/functions/f/event-invoke-config",
       R"({"MaximumEventAgeInSeconds":60,"DestinationConfig":{"OnFailure":{"Destination":")" + kLetters + R"("}}})",
       200);
  fail_with("boom");
  invoke_event("f", "{}", 202);
  pass(seconds(61));
  EXPECT_EQ(invoker_.all.size(), 1U);
  ASSERT_EQ(delivered_.size(), 1U);
  const auto record = parse_json(delivered_[0].second.payload);
  ASSERT_TRUE(record);
  EXPECT_EQ(get_string(record->at("requestContext"), "condition"), "EventAgeExceeded");
  EXPECT_EQ(get_int(record->at("requestContext"), "approximateInvokeCount"), 1);
}

TEST_F(AsyncInvoke, WhatWaitedRunsAfterARestart) {
  create("f", "", 201);
  invoker_.answer = fail(ErrorCode::kThrottled, "ConcurrentInvocationLimitExceeded");
  invoke_event("f", R"({"n":7})", 202);
  stop();
  invoker_.answer = dispatch::Outcome();
  invoker_.all.clear();
  start();
  settle();
  ASSERT_EQ(invoker_.all.size(), 1U);
  EXPECT_EQ(invoker_.all[0].payload, R"({"n":7})");
}

TEST_F(AsyncInvoke, EventsOfOthersAreInvocationsOfTypeEvent) {
  create("f", "", 201);
  const auto give = [&] {
    delivery::Event event;
    event.id = "11111111-2222-4333-8444-555555555555";
    event.payload = R"({"from":"a rule"})";
    delivery::Attempt out;
    run([&]() -> Awaitable<void> {
      out = co_await targets_of_run_.deliver("arn:aws:lambda:us-east-1:000000000000:function:f", event);
    });
    settle();
    return out.kind;
  };
  EXPECT_EQ(give(), delivery::Attempt::Kind::kDone);
  EXPECT_EQ(give(), delivery::Attempt::Kind::kDone);  // the hand-over is repeated, the execution is not
  EXPECT_EQ(invoker_.all.size(), 1U);
  EXPECT_EQ(invoker_.all[0].request_id, "11111111-2222-4333-8444-555555555555");
}

TEST_F(AsyncInvoke, EventsOfOthersLieInTheFunctionsLaneAtOnce) {
  create("f", "", 201);
  const auto writes = queue_.writes;
  delivery::Request request;
  request.target_arn = "arn:aws:lambda:us-east-1:000000000000:function:f";
  request.event.id = "11111111-2222-4333-8444-555555555555";
  request.event.payload = R"({"from":"a rule"})";
  request.dedupe_key = "once";
  const auto submit = [&](delivery::Request given) {
    run([&]() -> Awaitable<void> { EXPECT_TRUE(co_await delivery_->submit(std::move(given))); });
    settle();
  };
  submit(request);
  EXPECT_EQ(queue_.writes, writes + 1);
  submit(request);
  ASSERT_EQ(invoker_.all.size(), 1U);
  EXPECT_EQ(invoker_.all[0].request_id, request.event.id);
  // What the function's lane would not take goes the ordinary way, to the sender's own dead letters.
  request.dedupe_key.clear();
  request.event.payload = "no json";
  request.policy.dead_letter_arn = kLetters;
  submit(request);
  ASSERT_EQ(delivered_.size(), 1U);
  EXPECT_EQ(delivered_[0].first, "sqs:letters");
}

// Whoever asks whether there is a function, and so whether its policy must allow, reads ARNs as whoever runs it.
TEST_F(AsyncInvoke, AnArnOfAnotherPartitionNamesNoFunction) {
  create("f", "", 201);
  EXPECT_TRUE(lambda_->has("arn:aws:lambda:us-east-1:000000000000:function:f"));
  EXPECT_TRUE(lambda_->has("arn:aws:lambda:us-east-1:000000000000:function:f:$LATEST"));
  for (const auto* arn :
       {"arn:aws-cn:lambda:us-east-1:000000000000:function:f", "arn:aws:lambda:us-east-1:000000000000:layer:f",
        "arn:aws:sqs:us-east-1:000000000000:function:f"}) {
    EXPECT_FALSE(lambda_->has(arn)) << arn;
    delivery::Request request;
    request.target_arn = arn;
    request.event.payload = "{}";
    run([&]() -> Awaitable<void> { std::ignore = co_await delivery_->submit(std::move(request)); });
    settle();
  }
  EXPECT_TRUE(invoker_.all.empty());
}

TEST_F(AsyncInvoke, ConfigurationsAreWrittenReadChangedAndDeleted) {
  create("f", R"("Publish":true,)", 201);
  const std::string path = "/2019-09-25/functions/f/event-invoke-config";
  EXPECT_EQ(get_string(call("PUT", path, "{}", 400), "message"),
            "You must specify at least one of error handling or destination setting.");
  EXPECT_EQ(get_string(call("PUT", "/2019-09-25/functions/x/event-invoke-config", R"({"MaximumRetryAttempts":1})", 404),
                       "Message"),
            "The function doesn't exist.");
  call("PUT", path, R"({"MaximumRetryAttempts":3})", 400);
  call("PUT", path, R"({"MaximumEventAgeInSeconds":59})", 400);
  const auto put = call("PUT", path, R"({"MaximumRetryAttempts":1})", 200);
  EXPECT_EQ(to_json(put.at("DestinationConfig")), R"({"OnSuccess":{},"OnFailure":{}})");
  EXPECT_EQ(get_string(put, "FunctionArn"), "arn:aws:lambda:us-east-1:000000000000:function:f:$LATEST");
  const auto updated = call("POST", path, R"({"MaximumEventAgeInSeconds":60})", 200);
  EXPECT_EQ(get_int(updated, "MaximumRetryAttempts"), 1);
  EXPECT_EQ(get_int(updated, "MaximumEventAgeInSeconds"), 60);
  call("PUT", path + "?Qualifier=1", R"({"MaximumRetryAttempts":2})", 200);
  EXPECT_EQ(call("GET", path + "/list", "", 200).at("FunctionEventInvokeConfigs").get_array().size(), 2U);
  EXPECT_EQ(get_string(call("PUT", path,
                            R"({"DestinationConfig":{"OnSuccess":{"Destination":)"
                            R"("arn:aws:lambda:us-east-1:000000000000:function:f"}}})",
                            400),
                       "message"),
            "You can't specify the function as a destination for itself.");
  EXPECT_EQ(get_string(call("PUT", path,
                            R"({"DestinationConfig":{"OnSuccess":{"Destination":)"
                            R"("arn:aws:iam:us-east-1:000000000000:function:f"}}})",
                            400),
                       "message"),
            "The provided destination config DestinationConfig(onSuccess=OnSuccess(destination="
            "arn:aws:iam:us-east-1:000000000000:function:f), onFailure=null) is invalid.");
  stop();
  start();
  call("GET", path + "?Qualifier=1", "", 200);
  call("DELETE", path, "", 204);
  EXPECT_EQ(get_string(call("GET", path, "", 404), "Message"),
            "The function arn:aws:lambda:us-east-1:000000000000:function:f:$LATEST doesn't have an EventInvokeConfig");
}

}  // namespace
}  // namespace mayfly::lambda
