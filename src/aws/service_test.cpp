// A service bound to functions, seen over the wire forms: routing, validation in AWS's words, errors.
#include <gtest/gtest.h>

#include <set>

#include "aws/conformance_test.h"
#include "aws/gen/lambda.h"
#include "aws/router.h"
#include "aws/validate.h"

namespace mayfly::aws {
namespace {

class FakeRequest final : public http::Request {
 public:
  Awaitable<Result<std::string>> read() override { co_return std::string(); }
  Awaitable<Result<std::string>> read_all(std::size_t) override { co_return std::string(); }
  const http::Headers& trailers() const override { return none_; }
  std::optional<std::uint64_t> content_length() const override { return std::nullopt; }
  std::string_view peer_address() const override { return "127.0.0.1:1"; }
  bool is_tls() const override { return false; }

 private:
  http::Headers none_;
};

class FakeResponse final : public http::ResponseWriter {
 public:
  Awaitable<Result<void>> send(http::Response response) override {
    sent = std::move(response);
    started_ = true;
    co_return Result<void>();
  }
  Awaitable<Result<void>> begin(http::ResponseHead) override {
    started_ = true;
    co_return Result<void>();
  }
  Awaitable<Result<void>> write(std::string) override { co_return Result<void>(); }
  Awaitable<Result<void>> finish() override { co_return Result<void>(); }
  bool started() const override { return started_; }
  void on_peer_closed(std::function<void()>) override {}

  http::Response sent;

 private:
  bool started_ = false;
};

class ServiceTest : public testing::Test {
 protected:
  ServiceTest() : service_(lambda::service()) {
    service_.bind<lambda::Invoke>(
        [](const CallContext&, lambda::InvocationRequest request) { return invoke(std::move(request)); });
    service_.bind<lambda::CreateFunction>(
        [](const CallContext&, lambda::CreateFunctionRequest request) { return create(std::move(request)); });
    service_.bind<lambda::DeleteAlias>(
        [](const CallContext&, lambda::DeleteAliasRequest request) { return delete_alias(std::move(request)); });
    service_.bind<lambda::PutProvisionedConcurrencyConfig>(
        [](const CallContext&, lambda::PutProvisionedConcurrencyConfigRequest) { return throwing(); });
    context_.request_id = "request-1";
  }

  static Awaitable<ApiResult<lambda::InvocationResponse>> invoke(lambda::InvocationRequest request) {
    if (*request.FunctionName == "absent") {
      ApiError error;
      error.model = &lambda::errors::ResourceNotFoundException;
      error.message = "Function not found: absent";
      co_return std::unexpected(std::move(error));
    }
    lambda::InvocationResponse response;
    response.StatusCode = 202;
    response.FunctionError = request.FunctionName;
    response.Payload = std::move(request.Payload);
    co_return response;
  }
  static Awaitable<ApiResult<lambda::FunctionConfiguration>> create(lambda::CreateFunctionRequest request) {
    lambda::FunctionConfiguration out;
    out.FunctionName = request.FunctionName;
    out.Description = request.Code->ZipFile;
    if (request.Environment) {
      out.Environment.emplace().Variables = request.Environment->Variables;
    }
    out.MemorySize = request.MemorySize;
    co_return out;
  }
  static Awaitable<ApiResult<Empty>> delete_alias(lambda::DeleteAliasRequest) {
    Empty nothing;
    co_return nothing;
  }
  static Awaitable<ApiResult<lambda::PutProvisionedConcurrencyConfigResponse>> throwing() {
    throw std::runtime_error("a defect");
    co_return lambda::PutProvisionedConcurrencyConfigResponse{};
  }

  http::Response call(std::string method, std::string target, std::string body) {
    VirtualClock clock;
    Reactor reactor(clock, "test");
    Scope scope("test");
    FakeRequest request;
    request.head.method = std::move(method);
    request.head.target = std::move(target);
    FakeResponse response;
    scope.spawn(reactor, "call", [&] { return service_.serve(context_, request, std::move(body), response); });
    while (scope.running() > 0) reactor.poll();
    scope.stop();
    EXPECT_TRUE(scope.join_blocking(std::chrono::seconds(1)));
    return response.sent;
  }

  Service service_;
  CallContext context_;
};

TEST_F(ServiceTest, PayloadHeadersAndStatusTravel) {
  const auto answer =
      call("POST", "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3Af/invocations",
           "{\"a\":1}");
  EXPECT_EQ(answer.head.status, 202);
  EXPECT_EQ(answer.body, "{\"a\":1}");
  EXPECT_EQ(answer.head.headers.get("X-Amz-Function-Error"), "arn:aws:lambda:us-east-1:000000000000:function:f");
  EXPECT_EQ(answer.head.headers.get("x-amzn-RequestId"), "request-1");
  EXPECT_EQ(answer.head.headers.get("Content-Type"), "application/json");
}

TEST_F(ServiceTest, ModelledErrorIsWrittenAsLambdaDoes) {
  const auto answer = call("POST", "/2015-03-31/functions/absent/invocations", "");
  EXPECT_EQ(answer.head.status, 404);
  EXPECT_EQ(answer.body, R"({"Type":"User","Message":"Function not found: absent"})");
  EXPECT_EQ(answer.head.headers.get("x-amzn-ErrorType"), "ResourceNotFoundException");
}

TEST_F(ServiceTest, BodyIsReadByTheModel) {
  const auto answer =
      call("POST", "/2015-03-31/functions/",
           R"({"FunctionName":"f","Role":"arn:aws:iam::000000000000:role/r","Code":{"ZipFile":"aGVsbG8="},
                               "MemorySize":256,"Environment":{"Variables":{"BB":"2","AA":"1"}},"Unknown":{"x":1}})");
  EXPECT_EQ(answer.head.status, 201);
  EXPECT_EQ(
      answer.body,
      R"({"FunctionName":"f","Description":"hello","MemorySize":256,"Environment":{"Variables":{"BB":"2","AA":"1"}}})");
}

TEST_F(ServiceTest, NoContentHasNoBody) {
  const auto answer = call("DELETE", "/2015-03-31/functions/f/aliases/live", "");
  EXPECT_EQ(answer.head.status, 204);
  EXPECT_EQ(answer.body, "");
}

TEST_F(ServiceTest, EveryViolationIsTold) {
  const auto answer = call("PUT", "/2019-09-30/functions/f/provisioned-concurrency?Qualifier=live",
                           R"({"ProvisionedConcurrentExecutions":0})");
  EXPECT_EQ(answer.head.status, 400);
  EXPECT_EQ(answer.head.headers.get("x-amzn-ErrorType"), "ValidationException");
  EXPECT_EQ(
      answer.body,
      R"({"message":"1 validation error detected: Value '0' at 'provisionedConcurrentExecutions' failed to satisfy constraint: Member must have value greater than or equal to 1"})");
  const auto two = call("POST", "/2015-03-31/functions", R"({"FunctionName":"f","MemorySize":1})");
  EXPECT_EQ(two.body.find("3 validation errors detected: "), 12U) << two.body;
  EXPECT_NE(two.body.find("Value null at 'role' failed to satisfy constraint: Member must not be null"),
            std::string::npos)
      << two.body;
}

TEST_F(ServiceTest, WrongKindsAreSerializationErrors) {
  const auto answer = call("POST", "/2015-03-31/functions", R"({"FunctionName":1})");
  EXPECT_EQ(answer.head.status, 400);
  EXPECT_EQ(answer.head.headers.get("x-amzn-ErrorType"), "SerializationException");
  EXPECT_EQ(answer.body, R"({"message":"NUMBER_VALUE can not be converted to a String"})");
  EXPECT_EQ(call("POST", "/2015-03-31/functions", "{").head.headers.get("x-amzn-ErrorType"), "SerializationException");
  EXPECT_EQ(call("POST", "/2015-03-31/functions", "[]").head.headers.get("x-amzn-ErrorType"), "SerializationException");
}

TEST_F(ServiceTest, UnboundOperationIsNamed) {
  const auto answer = call("GET", "/2025-11-30/capacity-providers", "");
  EXPECT_EQ(answer.head.status, 501);
  EXPECT_EQ(answer.head.headers.get("x-amzn-ErrorType"), "NotImplemented");
  EXPECT_EQ(
      answer.body,
      R"({"__type":"NotImplemented","message":"The operation ListCapacityProviders of lambda is not implemented"})");
}

TEST_F(ServiceTest, UnknownOperationIs404) {
  const auto answer = call("GET", "/2015-03-31/nonsense", "");
  EXPECT_EQ(answer.head.status, 404);
  EXPECT_EQ(answer.head.headers.get("x-amzn-ErrorType"), "UnknownOperationException");
  EXPECT_EQ(call("PATCH", "/2015-03-31/functions/f", "").head.status, 404);
}

TEST_F(ServiceTest, ADefectIs500AndDoesNotEndTheServer) {
  const auto answer = call("PUT", "/2019-09-30/functions/f/provisioned-concurrency?Qualifier=live",
                           R"({"ProvisionedConcurrentExecutions":1})");
  EXPECT_EQ(answer.head.status, 500);
  EXPECT_EQ(answer.head.headers.get("x-amzn-ErrorType"), "ServiceException");
}

TEST(Router, EveryOperationOfLambdaIsFoundByItsOwnUri) {
  const auto& model = lambda::service();
  const Router router(model.operations);
  for (const auto& operation : model.operations) {
    std::string uri;
    std::size_t labels = 0;
    for (std::size_t i = 0; i < operation.uri.size(); ++i) {
      if (operation.uri[i] == '{') {
        uri += "arn:aws%3Alambda%2Fx";
        ++labels;
        i = operation.uri.find('}', i);
      } else {
        uri += operation.uri[i];
      }
    }
    const auto mark = std::min(uri.find('?'), uri.size());
    const auto route =
        router.find(operation.method, uri.substr(0, mark), mark < uri.size() ? uri.substr(mark + 1) : "");
    ASSERT_TRUE(route) << operation.name;
    EXPECT_EQ(route->operation->name, operation.name);
    ASSERT_EQ(route->labels.size(), labels);
    for (const auto& label : route->labels) EXPECT_EQ(label.second, "arn:aws:lambda/x");
  }
}

TEST(Router, AnArnMayHoldSlashesAtTheEnd) {
  const Router router(lambda::service().operations);
  const auto route = router.find("GET", "/2017-03-31/tags/arn:aws:lambda:eu-west-1:000000000000:x/y/z", "");
  ASSERT_TRUE(route);
  EXPECT_EQ(route->operation->name, "ListTags");
  EXPECT_EQ(route->labels[0].second, "arn:aws:lambda:eu-west-1:000000000000:x/y/z");
  EXPECT_FALSE(router.find("GET", "/2015-03-31/functions/f/nonsense", ""));
  EXPECT_FALSE(router.find("GET", "/2015-03-31/functions//policy", ""));
}

TEST(Patterns, MatchWholeStrings) {
  EXPECT_TRUE(matches_pattern("[a-z]+", "abc"));
  EXPECT_TRUE(matcher_of("[a-z]+")("abc"));
  EXPECT_FALSE(matcher_of("[a-z]+")("abc1"));
  EXPECT_FALSE(matcher_of("("));
  // What takes too long to decide is no match of an expression that decides something.
  EXPECT_FALSE(matcher_of("(a*)*(a*)*(a*)*b")(std::string(5'000, 'a')));
  EXPECT_FALSE(matches_pattern("[a-z]+", "abc1"));
  EXPECT_FALSE(matches_pattern("(?!^[0-9]+$)([a-zA-Z0-9-_]+)", "2024"));
  EXPECT_TRUE(matches_pattern("(?!^[0-9]+$)([a-zA-Z0-9-_]+)", "v2024"));
  EXPECT_TRUE(matches_pattern("[\\w-.]+[^-]", "a-.b"));
  EXPECT_TRUE(matches_pattern("[-a]+", "-a-"));
  EXPECT_FALSE(matches_pattern("[0-9-_]+", "1:_"));
}

void collect(const ShapeModel* shape, std::set<const ShapeModel*>& seen) {
  if (shape == nullptr || !seen.insert(shape).second) return;
  for (const auto& member : shape->members) collect(member.shape, seen);
}

TEST(Patterns, AllOfTheModelAreUnderstood) {
  std::set<const ShapeModel*> seen;
  for (const auto& operation : lambda::service().operations) {
    collect(operation.input, seen);
    collect(operation.output, seen);
  }
  int patterns = 0;
  for (const auto* shape : seen) {
    if (shape->pattern.empty()) continue;
    ++patterns;
    EXPECT_TRUE(is_supported_pattern(shape->pattern)) << shape->name << " " << shape->pattern;
  }
  EXPECT_GT(patterns, 40);
}

TEST(Patterns, FunctionNames) {
  const auto& pattern = lambda::CreateFunction::model().input->members[0].shape->pattern;
  for (const auto* good : {"f", "my-function_1", "arn:aws:lambda:us-east-1:123456789012:function:f", "f:live"}) {
    EXPECT_TRUE(matches_pattern(pattern, good)) << good;
  }
  for (const auto* bad : {"invalid:function:name", "a b", "", "f\n"})
    EXPECT_FALSE(matches_pattern(pattern, bad)) << bad;
}

// Refusals that were recorded from AWS: the same parameters get the same words.
TEST(ValidationConformance, RecordedRefusalsOfLambda) {
  const auto file = conformance_file("aws-traces/index/errors_by_operation.json");
  if (!file) GTEST_SKIP() << "conformance data is missing: set MAYFLY_CONFORMANCE_DIR";
  int same = 0;
  int other = 0;
  for (const auto& operation : lambda::service().operations) {
    const auto* recorded = find(file->at("operations"), "lambda." + std::string(operation.name));
    if (recorded == nullptr || operation.input == nullptr) continue;
    for (const auto& entry : recorded->get_array()) {
      const auto message = text_of(entry.at("message"));
      const auto params = to_json(entry.at("params"));
      const bool usable = get_string(entry, "code") == "ValidationException" &&
                          message.find("validation error") != std::string::npos &&
                          message.find('<') == std::string::npos && params.find("$ref") == std::string::npos;
      if (!usable) continue;
      Call call;
      call.document = entry.at("params").get_object();
      const auto error = validate(*operation.input, call);
      const auto got = error ? error->message : "accepted";
      if (got == message) {
        ++same;
      } else {
        ++other;
        std::printf("%s differs:\n  recorded %.700s\n  got      %.700s\n", std::string(operation.name).c_str(),
                    message.c_str(), got.c_str());
      }
    }
  }
  std::printf("recorded refusals of lambda: %d the same, %d differ\n", same, other);
  EXPECT_GT(same, 8);
}

}  // namespace
}  // namespace mayfly::aws
