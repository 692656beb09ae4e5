// The service over fakes: a store in memory, an invoker that answers by itself, requests without sockets.
#include "services/lambda/test_fakes.h"

namespace mayfly::lambda {
namespace {

TEST_F(LambdaService, ACreatedFunctionIsPendingThenActiveAndSurvivesARestart) {
  const auto created = create("hello", R"("Tags":{"a":"b"},)", 201);
  EXPECT_EQ(get_string(created, "State"), "Pending");
  EXPECT_EQ(get_string(created, "FunctionArn"), "arn:aws:lambda:us-east-1:000000000000:function:hello");
  EXPECT_EQ(get_string(*find(created, "LoggingConfig"), "LogGroup"), "/aws/lambda/hello");
  stop();
  std::filesystem::remove_all(folder_);
  start();
  const auto got = call("GET", "/2015-03-31/functions/hello", "", 200);
  EXPECT_EQ(get_string(*find(got, "Configuration"), "State"), "Active");
  EXPECT_EQ(get_string(*find(got, "Tags"), "a"), "b");
  const auto sha = hex_encode(*base64_decode(get_string(created, "CodeSha256")));
  EXPECT_TRUE(std::filesystem::exists(folder_ / sha / "index.py")) << "code is unpacked again";
}

TEST_F(LambdaService, PackagesThatNothingNamesAreRemovedAfterAnHourAndAtStart) {
  const auto sha_of = [&](const json::value& created) {
    return hex_encode(*base64_decode(get_string(created, "CodeSha256")));
  };
  const auto kept = sha_of(create("kept", "", 201));
  const auto gone = sha_of(create("gone", "", 201));
  lambda_->start_janitor(reactor_);
  call("DELETE", "/2015-03-31/functions/gone", "", 204);
  const auto pass_an_hour = [&] {
    clock_.advance(std::chrono::hours(1));
    // A sweep works on the pool's threads.
    for (int i = 0; i < 1000; ++i) run([]() -> Awaitable<void> { co_return; });
  };
  pass_an_hour();
  EXPECT_TRUE(std::filesystem::exists(folder_ / gone)) << "an instance may be running it";
  const auto again = sha_of(create("again", "", 201));
  call("DELETE", "/2015-03-31/functions/again", "", 204);
  for (int i = 0; i < 100 && blob_.blobs.contains(gone); ++i) pass_an_hour();  // its blob goes last
  EXPECT_FALSE(std::filesystem::exists(folder_ / gone));
  EXPECT_FALSE(blob_.blobs.contains(gone));
  EXPECT_TRUE(std::filesystem::exists(folder_ / kept / "index.py"));
  EXPECT_TRUE(blob_.blobs.contains(kept));
  const auto last = sha_of(create("last", "", 201));
  call("DELETE", "/2015-03-31/functions/last", "", 204);
  stop();
  start();
  EXPECT_FALSE(std::filesystem::exists(folder_ / last)) << "nothing runs at start";
  EXPECT_FALSE(blob_.blobs.contains(again));
  EXPECT_TRUE(blob_.blobs.contains(kept));
}

TEST_F(LambdaService, NamesAreTakenOnceAndMissingOnesSaySo) {
  create("one", "", 201);
  EXPECT_EQ(get_string(create("one", "", 409), "message"), "Function already exist: one");
  const auto missing = call("GET", "/2015-03-31/functions/two", "", 404);
  EXPECT_EQ(get_string(missing, "Message"), "Function not found: arn:aws:lambda:us-east-1:000000000000:function:two");
  call("DELETE", "/2015-03-31/functions/one", "", 204);
  create("one", "", 201);
}

TEST_F(LambdaService, SettingsThatWouldNotBeCarriedOutAreRefusedByName) {
  const auto vpc = create("f", R"("VpcConfig":{"SubnetIds":["subnet-1"]},)", 400);
  EXPECT_NE(get_string(vpc, "message").find("VpcConfig"), std::string_view::npos);
  create("f", R"("TracingConfig":{"Mode":"Active"},)", 400);
  create("f", R"("Tags":{"mayfly:network":"everywhere"},)", 400);
  create("f", R"("Environment":{"Variables":{"AWS_REGION":"x"}},)", 400);
  EXPECT_TRUE(store_.entries.empty());
}

TEST_F(LambdaService, InvocationsReachTheVersionThatTheQualifierNames) {
  create("f", R"("Publish":true,"Tags":{"mayfly:network":"10.0.0.0/8 192.0.2.1/32"},)", 201);
  call("POST", "/2015-03-31/functions/f/aliases", R"({"Name":"live","FunctionVersion":"1"})", 201);
  dispatch::Outcome outcome;
  outcome.payload = R"({"ok":true})";
  outcome.executed_version = "1";
  invoker_.answer = outcome;
  const auto answer = call("POST", "/2015-03-31/functions/f/invocations?Qualifier=live", R"({"a":1})", 200);
  EXPECT_TRUE(get_bool(answer, "ok", false));
  EXPECT_EQ(invoker_.target->version, "1");
  EXPECT_EQ(invoker_.target->network.value().networks.size(), 2U);
  EXPECT_EQ(invoker_.invocation.invoked_function_arn, "arn:aws:lambda:us-east-1:000000000000:function:f:live");
  EXPECT_EQ(invoker_.invocation.payload, R"({"a":1})");
  EXPECT_EQ(response_->got.head.headers.get("X-Amz-Executed-Version"), "1");
  const auto bad = call("POST", "/2015-03-31/functions/f/invocations", "{", 400);
  EXPECT_EQ(response_->got.head.headers.get("x-amzn-ErrorType"), "InvalidRequestContentException");
  invoker_.answer = fail(ErrorCode::kThrottled, "ReservedFunctionConcurrentInvocationLimitExceeded");
  const auto throttled = call("POST", "/2015-03-31/functions/f/invocations", "{}", 429);
  EXPECT_EQ(get_string(throttled, "Reason"), "ReservedFunctionConcurrentInvocationLimitExceeded");
}

TEST_F(LambdaService, VersionsArePublishedOnceForTheSameContent) {
  create("f", "", 201);
  EXPECT_EQ(get_string(call("POST", "/2015-03-31/functions/f/versions", "{}", 201), "Version"), "1");
  EXPECT_EQ(get_string(call("POST", "/2015-03-31/functions/f/versions", R"({"Description":"x"})", 201), "Version"),
            "1");
  call("PUT", "/2015-03-31/functions/f/configuration", R"({"Timeout":9})", 200);
  EXPECT_EQ(invoker_.drained.size(), 1U) << "old instances of $LATEST are retired";
  EXPECT_EQ(get_string(call("POST", "/2015-03-31/functions/f/versions", "{}", 201), "Version"), "2");
  const auto wrong = call("PUT", "/2015-03-31/functions/f/configuration", R"({"Timeout":9,"RevisionId":"no"})", 412);
  EXPECT_EQ(find(call("GET", "/2015-03-31/functions/f/versions?MaxItems=2", "", 200), "NextMarker") != nullptr, true);
}

TEST_F(LambdaService, FunctionUrlsMapRequestsAndStreams) {
  create("f", "", 201);
  const auto url =
      call("POST", "/2021-10-31/functions/f/url", R"({"AuthType":"NONE","InvokeMode":"RESPONSE_STREAM"})", 201);
  const std::string text(get_string(url, "FunctionUrl"));
  ASSERT_TRUE(text.starts_with("http://"));
  aws::CallContext context;
  context.host = text.substr(7, text.size() - 8);
  EXPECT_TRUE(lambda_->is_function_url_host(context.host)) << context.host;
  EXPECT_FALSE(lambda_->function_url_needs_caller(context.host));
  invoker_.parts = {"Hello, ", "world!"};
  FakeRequest request;
  request.head.method = "GET";
  request.head.target = "/x";
  FakeResponse response;
  run([&]() -> Awaitable<void> { return lambda_->serve_function_url(context, std::nullopt, true, request, response); });
  EXPECT_EQ(response.got.body, "Hello, world!");
  EXPECT_TRUE(response.finished);
  context.host = "unknown.lambda-url.us-east-1.localhost:4566";
  FakeResponse unknown;
  run([&]() -> Awaitable<void> { return lambda_->serve_function_url(context, std::nullopt, true, request, unknown); });
  EXPECT_EQ(unknown.got.head.status, 403);
  EXPECT_EQ(unknown.got.body, R"({"Message":null})");
}

TEST_F(LambdaService, CodeLinksWorkUntilTheyExpire) {
  create("f", "", 201);
  const auto got = call("GET", "/2015-03-31/functions/f", "", 200);
  const std::string link(get_string(*find(got, "Code"), "Location"));
  FakeRequest request;
  request.head.method = "GET";
  request.head.target = link.substr(link.find("/_mayfly"));
  EXPECT_TRUE(Lambda::is_code_path(request.head.path()));
  FakeResponse response;
  run([&]() -> Awaitable<void> { return lambda_->serve_code(request, response); });
  EXPECT_EQ(response.got.head.status, 200);
  EXPECT_EQ(response.got.body, blob_.blobs.begin()->second);
  clock_.advance(std::chrono::minutes(11));
  FakeResponse late;
  run([&]() -> Awaitable<void> { return lambda_->serve_code(request, late); });
  EXPECT_EQ(late.got.head.status, 403);
}

}  // namespace
}  // namespace mayfly::lambda
