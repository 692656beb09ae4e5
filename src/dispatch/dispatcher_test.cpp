// The dispatcher with runtimes that the tests play (dispatch/test_world.h).
#include "dispatch/dispatcher.h"

#include <gtest/gtest.h>

#include "dispatch/sandbox_plan.h"
#include "dispatch/test_world.h"

namespace mayfly::dispatch {
namespace {

using std::chrono::seconds;
using testing::echo;
using testing::exit_status;
using testing::FakeLauncher;
using testing::member;
using testing::package_folder;
using testing::Reply;
using testing::RuntimeClient;
using testing::runtimes;
using testing::World;

TEST(Dispatcher, ReusesAnInstanceAndReportsColdAndWarm) {
  World world([](RuntimeClient& client, int) {
    client.print("init line\n");
    while (auto event = client.next()) {
      EXPECT_EQ(event->headers.at("lambda-runtime-trace-id"), "Root=1-2-3");
      EXPECT_EQ(event->headers.at("lambda-runtime-deadline-ms"), "1767225603000");
      EXPECT_EQ(event->headers.at("lambda-runtime-client-context"), "{ \"custom\":1}");
      client.print("hello\npartial");
      const auto reply = client.respond(*event, "{\"n\":" + event->body + "}");
      if (!reply) break;
      EXPECT_EQ(reply->status, 202);
      EXPECT_EQ(reply->body, "{\"status\":\"OK\"}\n");
    }
    return exit_status(0);
  });
  const Outcome cold = world.invoke_now(world.target(), "1");
  EXPECT_EQ(cold.status, OutcomeStatus::kSuccess);
  EXPECT_EQ(cold.payload, "{\"n\":1}");
  EXPECT_TRUE(cold.cold_start);
  EXPECT_EQ(cold.max_memory_mb, 33U);
  EXPECT_NE(cold.log_tail.find("init line\nSTART RequestId: " + cold.request_id), std::string::npos) << cold.log_tail;
  EXPECT_NE(cold.log_tail.find("hello\npartial\nEND RequestId: "), std::string::npos) << cold.log_tail;
  const Outcome warm = world.invoke_now(world.target(), "2");
  EXPECT_EQ(warm.payload, "{\"n\":2}");
  EXPECT_FALSE(warm.cold_start);
  EXPECT_EQ(warm.instance_id, cold.instance_id);
  EXPECT_TRUE(warm.log_tail.starts_with("START RequestId: " + warm.request_id)) << warm.log_tail;
  EXPECT_EQ(world.launcher.started_count, 1);
  EXPECT_EQ(world.states(), "idle");
}

TEST(Dispatcher, ScalesOutAndThrottlesAtTheLimits) {
  DispatcherSettings settings;
  settings.account_concurrency = 3;
  std::atomic<bool> go{false};
  World world(
      [&go](RuntimeClient& client, int number) {
        while (auto event = client.next()) {
          while (!go) std::this_thread::yield();
          if (!client.respond(*event, std::to_string(number))) break;
        }
        return exit_status(0);
      },
      settings);
  auto reserved = world.target("r");
  reserved->reserved_concurrency = 1;
  auto a = world.begin(world.target(), "1");
  auto b = world.begin(world.target(), "2");
  auto r = world.begin(reserved, "3");
  world.until([&] { return world.states() == "busy,busy,busy"; });
  auto refused = world.begin(reserved, "4");
  world.until([&] { return refused->done(); });
  EXPECT_EQ(refused->result->error().code, ErrorCode::kThrottled);
  EXPECT_EQ(refused->result->error().message, "ReservedFunctionConcurrentInvocationLimitExceeded");
  auto over = world.begin(world.target(), "5");
  world.until([&] { return over->done(); });
  EXPECT_EQ(over->result->error().message, "ConcurrentInvocationLimitExceeded");
  go = true;
  for (const auto& call : {a, b, r}) world.finish(call);
  EXPECT_NE(a->outcome().instance_id, b->outcome().instance_id);
  world.dispatcher.set_reserved_concurrency(reserved->function_arn, 0);
  auto none = world.begin(reserved, "6");
  world.until([&] { return none->done(); });
  EXPECT_FALSE(none->result->has_value());
}

TEST(Dispatcher, KillsAFunctionWhoseTimeIsOver) {
  World world([](RuntimeClient& client, int number) {
    if (number > 0) return echo(client, number);
    const auto event = client.next();
    client.print("working\n");
    client.next();  // refused; then it hangs until the kill
    client.raw("");
    return exit_status(0);
  });
  auto call = world.begin(world.target(), "1");
  world.until([&] { return world.states() == "busy"; });
  world.clock.advance(seconds(2));
  world.until([&] { return world.states() == "busy"; });
  EXPECT_FALSE(call->done());
  world.clock.advance(seconds(1));
  world.finish(call);
  EXPECT_EQ(call->outcome().status, OutcomeStatus::kTimedOut);
  EXPECT_EQ(call->outcome().payload, "{\"errorType\":\"Sandbox.Timedout\",\"errorMessage\":\"RequestId: " +
                                         call->request_id + " Error: Task timed out after 3.00 seconds\"}");
  EXPECT_EQ(call->outcome().billed_ms, 3000U);
  EXPECT_EQ(world.invoke_now(world.target(), "2").payload, "2");
}

TEST(Dispatcher, AnswersACrashAndReplacesTheInstance) {
  World world([](RuntimeClient& client, int number) {
    if (number > 1) return echo(client, number);
    client.next();
    return number == 0 ? exit_status(1) : SIGKILL;
  });
  const Outcome crashed = world.invoke_now(world.target(), "1");
  EXPECT_EQ(crashed.status, OutcomeStatus::kCrashed);
  EXPECT_EQ(crashed.function_error, "Unhandled");
  EXPECT_EQ(member(crashed.payload, "errorType"), "Runtime.ExitError");
  EXPECT_EQ(member(crashed.payload, "errorMessage"),
            "RequestId: " + crashed.request_id + " Error: Runtime exited with error: exit status 1");
  world.launcher.out_of_memory = true;
  const Outcome killed = world.invoke_now(world.target(), "1");
  EXPECT_EQ(killed.status, OutcomeStatus::kOutOfMemory);
  EXPECT_NE(member(killed.payload, "errorMessage").find("signal: killed"), std::string::npos);
  EXPECT_EQ(world.invoke_now(world.target(), "2").payload, "2");
}

TEST(Dispatcher, GivesInitErrorsToTheInvocationThatWaited) {
  World world([](RuntimeClient& client, int number) {
    if (number == 0) {
      const auto reply = client.call("POST", "/2018-06-01/runtime/init/error",
                                     "{\"errorType\":\"Runtime.ImportModuleError\",\"errorMessage\":\"no\"}",
                                     "Lambda-Runtime-Function-Error-Type: Runtime.ImportModuleError\r\n");
      EXPECT_TRUE(reply && reply->status == 202);
      client.raw("");
    }
    if (number == 2) client.raw("");  // hangs in its initialization
    return exit_status(0);
  });
  const Outcome failed = world.invoke_now(world.target(), "1");
  EXPECT_EQ(failed.status, OutcomeStatus::kInitFailed);
  EXPECT_EQ(member(failed.payload, "errorType"), "Runtime.ImportModuleError");
  const Outcome silent = world.invoke_now(world.target(), "1");
  EXPECT_EQ(silent.status, OutcomeStatus::kInitFailed);
  EXPECT_NE(member(silent.payload, "errorMessage").find("Runtime exited without providing a reason"),
            std::string::npos);
  auto slow = world.begin(world.target(), "1");
  world.until([&] { return world.launcher.started_count == 3; });
  // The timer of the initialization is set after the launcher's answer, which is some turns away.
  world.until([&, turns = 0]() mutable { return ++turns > 1000; });
  world.clock.advance(seconds(10));
  world.finish(slow);
  EXPECT_EQ(member(slow->outcome().payload, "errorType"), "Sandbox.Timedout");
}

TEST(Dispatcher, SaysWhyThereIsNoSandbox) {
  World world(echo);
  world.launcher.refuse = true;
  auto call = world.begin(world.target(), "1");
  world.until([&] { return call->done(); });
  EXPECT_EQ(call->result->error().code, ErrorCode::kIo);
  auto unknown = world.target("u");
  unknown->runtime = "cobol85";
  auto other = world.begin(unknown, "1");
  world.until([&] { return other->done(); });
  EXPECT_EQ(other->result->error().code, ErrorCode::kUnsupported);
}

TEST(Dispatcher, ScalesToZeroAfterTheIdleTime) {
  World world(echo);
  world.invoke_now(world.target(), "1");
  world.clock.advance(seconds(299));
  world.invoke_now(world.target(), "1");
  EXPECT_EQ(world.launcher.started_count, 1);
  world.clock.advance(seconds(299));
  world.until([&, turns = 0]() mutable { return ++turns > 1000; });
  EXPECT_EQ(world.states(), "idle");
  world.clock.advance(seconds(1));
  world.until([&] { return world.states().empty(); });
  EXPECT_EQ(world.launcher.ended_count, 1);
}

TEST(Dispatcher, DrainsIdleInstancesNowAndBusyOnesAfterTheirInvocation) {
  std::atomic<bool> go{false};
  World world([&go](RuntimeClient& client, int) {
    while (auto event = client.next()) {
      while (!go && event->body == "\"slow\"") std::this_thread::yield();
      if (!client.respond(*event, event->body)) break;
    }
    return exit_status(0);
  });
  auto slow = world.begin(world.target(), "\"slow\"");
  world.until([&] { return world.states() == "busy"; });
  world.invoke_now(world.target(), "1");
  EXPECT_EQ(world.launcher.started_count, 2);
  world.dispatcher.drain(world.target()->function_arn, "$LATEST", "fg2");
  world.until([&] { return world.states() == "busy"; });
  const Outcome fresh = world.invoke_now(world.target("f", "g2"), "2");
  EXPECT_TRUE(fresh.cold_start);
  EXPECT_FALSE(slow->done());
  go = true;
  world.finish(slow);
  EXPECT_EQ(slow->outcome().payload, "\"slow\"");
  world.until([&] { return world.states() == "idle"; });
  EXPECT_EQ(world.launcher.ended_count, 2);
}

TEST(Dispatcher, GivesAnEventThatADyingRuntimeDidNotTakeToAnotherInstance) {
  std::atomic<bool> die{false};
  World world([&die](RuntimeClient& client, int number) {
    if (number > 0) return echo(client, number);
    const auto event = client.next();
    client.respond(*event, "0");
    while (!die) std::this_thread::yield();  // idle for the pool, and never asks again
    return exit_status(7);
  });
  EXPECT_EQ(world.invoke_now(world.target(), "1").payload, "0");
  auto call = world.begin(world.target(), "2");
  world.until([&] { return world.states() == "busy"; });
  EXPECT_FALSE(call->done());
  die = true;
  world.finish(call);
  EXPECT_EQ(call->outcome().payload, "2");
  EXPECT_TRUE(call->outcome().cold_start);
}

TEST(Dispatcher, LosesAndRepeatsNothingWhileRuntimesDieBetweenInvocations) {
  std::mutex mutex;
  std::map<std::string, int> runs;
  World world([&](RuntimeClient& client, int number) {
    for (int served = 0; served <= number % 3; ++served) {
      const auto event = client.next();
      if (!event) break;
      {
        std::lock_guard lock(mutex);
        ++runs[RuntimeClient::id(*event)];
      }
      if (!client.respond(*event, event->body)) break;
    }
    return exit_status(0);
  });
  for (int round = 0; round < 20; ++round) {
    std::vector<std::shared_ptr<World::Call>> calls;
    for (int i = 0; i < 5; ++i) calls.push_back(world.begin(world.target(), std::to_string(i)));
    for (int i = 0; i < 5; ++i) {
      world.finish(calls[static_cast<std::size_t>(i)]);
      EXPECT_EQ(calls[static_cast<std::size_t>(i)]->outcome().payload, std::to_string(i));
    }
  }
  std::lock_guard lock(mutex);
  EXPECT_EQ(runs.size(), 100U);
  for (const auto& [id, count] : runs) EXPECT_EQ(count, 1) << id;
}

TEST(Dispatcher, EvictsTheInstanceThatWasIdleLongestForMemory) {
  DispatcherSettings settings;
  settings.memory_budget_mb = 300;
  World world(echo, settings);
  const std::string first = world.invoke_now(world.target("a"), "1").instance_id;
  world.clock.advance(seconds(1));
  world.invoke_now(world.target("b"), "1");
  world.clock.advance(seconds(1));
  EXPECT_EQ(world.invoke_now(world.target("c"), "1").payload, "1");
  world.until([&] { return world.states() == "idle,idle"; });
  for (const auto& info : world.dispatcher.instances()) EXPECT_NE(info.id, first);
}

TEST(Dispatcher, WaitsForMemoryThatIsInUse) {
  DispatcherSettings settings;
  settings.memory_budget_mb = 128;
  std::atomic<bool> go{false};
  World world(
      [&go](RuntimeClient& client, int) {
        while (auto event = client.next()) {
          while (!go) std::this_thread::yield();
          if (!client.respond(*event, event->body)) break;
        }
        return exit_status(0);
      },
      settings);
  auto a = world.begin(world.target("a"), "1");
  world.until([&] { return world.states() == "busy"; });
  auto b = world.begin(world.target("b"), "2");
  auto c = world.begin(world.target("c"), "3");
  world.until([&, turns = 0]() mutable { return ++turns > 1000; });
  EXPECT_EQ(world.launcher.started_count, 1);
  go = true;
  for (const auto& call : {a, b, c}) world.finish(call);
  EXPECT_EQ(world.launcher.started_count, 3);
}

TEST(Dispatcher, StreamsAResponseWithItsTrailers) {
  World world([](RuntimeClient& client, int) {
    while (auto event = client.next()) {
      const std::string trailer = event->body == "1" ? "\r\n"
                                                     : "Lambda-Runtime-Function-Error-Type: Boom\r\n"
                                                       "Lambda-Runtime-Function-Error-Body: " +
                                                           base64_encode("{\"errorMessage\":\"midway\"}") + "\r\n\r\n";
      const auto reply = client.raw("POST /2018-06-01/runtime/invocation/" + RuntimeClient::id(*event) +
                                    "/response HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n"
                                    "Lambda-Runtime-Function-Response-Mode: streaming\r\n"
                                    "Trailer: Lambda-Runtime-Function-Error-Type\r\n"
                                    "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n" +
                                    trailer);
      if (!reply) break;
      EXPECT_EQ(reply->status, 202);
    }
    return exit_status(0);
  });
  std::string type;
  std::string got;
  const auto sink = std::make_shared<ResponseSink>();
  sink->on_start = [&](std::string content_type) { type = std::move(content_type); };
  sink->on_data = [&got](std::string data) -> Awaitable<bool> {
    got += data;
    co_return true;
  };
  auto call = world.begin(world.target(), "1", sink);
  world.finish(call);
  EXPECT_EQ(type, "text/plain");
  EXPECT_EQ(got, "hello world");
  EXPECT_EQ(call->outcome().status, OutcomeStatus::kSuccess);
  EXPECT_EQ(world.invoke_now(world.target(), "1").payload, "hello world");
  auto failed = world.begin(world.target(), "2", sink);
  world.finish(failed);
  EXPECT_EQ(failed->outcome().stream_error_type, "Boom");
  EXPECT_EQ(failed->outcome().payload, "{\"errorMessage\":\"midway\"}");
}

TEST(Dispatcher, RefusesAResponseThatIsTooLargeAndGoesOn) {
  std::atomic<int> status{0};
  World world([&status](RuntimeClient& client, int) {
    while (auto event = client.next()) {
      const auto reply = client.respond(*event, event->body == "1" ? std::string(2000, 'x') : event->body);
      if (!reply) break;
      if (event->body == "1") status = reply->status;
    }
    return exit_status(0);
  });
  auto call = world.begin(world.target(), "1", nullptr, 1000);
  world.finish(call);
  EXPECT_EQ(call->outcome().status, OutcomeStatus::kFunctionError);
  EXPECT_EQ(member(call->outcome().payload, "errorType"), "Function.ResponseSizeTooLarge");
  EXPECT_EQ(world.invoke_now(world.target(), "2").payload, "2");
  EXPECT_EQ(status, 413);
}

TEST(Dispatcher, HoldsTheRuntimeApiToItsProtocol) {
  std::mutex mutex;
  std::vector<int> statuses;
  World world([&](RuntimeClient& client, int) {
    const auto note = [&](const std::optional<Reply>& reply) {
      std::lock_guard lock(mutex);
      statuses.push_back(reply ? reply->status : 0);
    };
    note(client.call("POST", "/2020-01-01/extension/register", "{}"));
    const auto event = client.next();
    note(client.next());
    note(client.call("POST", "/2018-06-01/runtime/invocation/other/response", "1"));
    note(client.call("POST", "/2018-06-01/runtime/init/error", "{}"));
    note(client.call("GET", "/2018-06-01/runtime/else"));
    note(client.call("POST", "/2018-06-01/runtime/invocation/" + RuntimeClient::id(*event) + "/error",
                     "{\"errorType\":\"E\",\"errorMessage\":\"m\"}", "Lambda-Runtime-Function-Error-Type: E\r\n"));
    note(client.respond(*event, "late"));
    client.next();
    return exit_status(0);
  });
  const Outcome failed = world.invoke_now(world.target(), "1");
  EXPECT_EQ(failed.status, OutcomeStatus::kFunctionError);
  EXPECT_EQ(failed.function_error, "Unhandled");
  EXPECT_EQ(failed.payload, "{\"errorType\":\"E\",\"errorMessage\":\"m\"}");
  world.until([&] {
    std::lock_guard lock(mutex);
    return statuses.size() == 7;
  });
  const std::vector<int> expected = {501, 403, 400, 403, 404, 202, 403};
  EXPECT_EQ(statuses, expected);
}

TEST(Dispatcher, GivesTheNextEventInPlaceOfAReceipt) {
  World world([](RuntimeClient& client, int) {
    auto event = client.next();
    while (event && event->status == 200) {
      const std::string path = "/2018-06-01/runtime/invocation/" + RuntimeClient::id(*event);
      // A refused answer is told as ever, and takes no event.
      const auto refused = client.call("POST", path + "x/response", "1", "Mayfly-Then-Next: 1\r\n");
      if (refused) EXPECT_EQ(refused->status, 400);
      const char* call = event->body == "\"bad\"" ? "/error" : "/response";
      event = client.call("POST", path + call, event->body, "Mayfly-Then-Next: 1\r\n");
    }
    return exit_status(0);
  });
  const auto target = world.target();
  for (const std::string payload : {"1", "\"bad\"", "3"}) {
    const Outcome& outcome = world.invoke_now(target, payload);
    EXPECT_EQ(outcome.payload, payload);
    EXPECT_EQ(outcome.function_error, payload == "\"bad\"" ? "Unhandled" : "");
  }
  EXPECT_EQ(world.launcher.started_count, 1);
}

TEST(Dispatcher, StopFinishesWhatRunsAndRefusesTheRest) {
  std::atomic<bool> go{false};
  World world([&go](RuntimeClient& client, int) {
    while (auto event = client.next()) {
      while (!go) std::this_thread::yield();
      if (!client.respond(*event, event->body)) break;
    }
    return exit_status(0);
  });
  auto call = world.begin(world.target(), "1");
  world.until([&] { return world.states() == "busy"; });
  world.run("stop", [&world] { return world.dispatcher.stop(seconds(5)); });
  world.until([&, turns = 0]() mutable { return ++turns > 100; });
  auto refused = world.begin(world.target(), "2");
  world.until([&] { return refused->done(); });
  EXPECT_EQ(refused->result->error().code, ErrorCode::kCancelled);
  go = true;
  world.finish(call);
  EXPECT_EQ(call->outcome().payload, "1");
}

TEST(Dispatcher, StopGivesUpWhatDoesNotEndInTime) {
  std::shared_ptr<World::Call> call;
  World world([](RuntimeClient& client, int) {
    client.next();
    client.raw("");
    return exit_status(0);
  });
  call = world.begin(world.target(), "1");
  world.until([&] { return world.states() == "busy"; });
  world.run("stop", [&world] { return world.dispatcher.stop(seconds(1)); });
  world.until([&, turns = 0]() mutable { return ++turns > 100; });
  world.clock.advance(seconds(1));
  world.until([&] { return call->done(); });
  EXPECT_EQ(call->result->error().code, ErrorCode::kCancelled);
  world.until([&] { return world.states().empty(); });
}

// Callers on two reactors, in real time, while runtimes die between invocations.
class Load {
 public:
  Load(Dispatcher& dispatcher, std::shared_ptr<const Target> target)
      : dispatcher_(dispatcher), target_(std::move(target)) {}
  Awaitable<void> caller(int count) {
    for (int i = 0; i < count; ++i) {
      Invocation invocation;
      invocation.request_id = uuid4();
      invocation.payload = "\"" + invocation.request_id + "\"";
      const std::string expected = invocation.payload;
      auto result = co_await dispatcher_.invoke(target_, std::move(invocation));
      if (result && result->payload == expected) ++right;
    }
  }
  std::atomic<int> right{0};

 private:
  Dispatcher& dispatcher_;
  std::shared_ptr<const Target> target_;
};

TEST(Dispatcher, ServesCallersOnSeveralReactorsExactlyOnce) {
  constexpr int kCallers = 8;
  constexpr int kCalls = 40;
  std::mutex mutex;
  std::map<std::string, int> runs;
  const auto folder = std::filesystem::temp_directory_path() / ("mayfly-dispatch-test-" + random_hex(8));
  RealClock clock;
  Reactors reactors(clock, 2);
  FakeLauncher launcher([&](RuntimeClient& client, int number) {
    for (int served = 0; served < 3 + number % 20; ++served) {
      const auto event = client.next();
      if (!event || event->status != 200) break;
      {
        const std::lock_guard lock(mutex);
        ++runs[RuntimeClient::id(*event)];
      }
      if (!client.respond(*event, event->body)) break;
    }
    return exit_status(0);
  });
  auto logs = observe::LogStore::open(folder, 1 << 20);
  observe::Metrics metrics;
  Dispatcher dispatcher(reactors, clock, launcher, runtimes(), **logs, metrics, DispatcherSettings());
  auto target = std::make_shared<Target>();
  target->function_arn = "arn";
  target->version = "$LATEST";
  target->generation = "g";
  target->runtime = "provided.al2023";
  target->code_directory = package_folder();
  target->log_group = "/aws/lambda/load";
  target->timeout = seconds(60);
  Load load(dispatcher, target);
  Scope scope("load");
  reactors.start();
  for (int i = 0; i < kCallers; ++i) {
    scope.spawn(reactors.at(static_cast<std::size_t>(i) % 2), "caller", [&load] { return load.caller(kCalls); });
  }
  EXPECT_TRUE(scope.join_blocking(seconds(100)));
  Scope end("end");
  end.spawn(reactors.at(0), "stop", [&dispatcher] { return dispatcher.stop(seconds(10)); });
  EXPECT_TRUE(end.join_blocking(seconds(30)));
  EXPECT_EQ(load.right, kCallers * kCalls);
  const std::lock_guard lock(mutex);
  EXPECT_EQ(runs.size(), static_cast<std::size_t>(kCallers * kCalls));
  for (const auto& [id, count] : runs) EXPECT_EQ(count, 1) << id;
  EXPECT_TRUE(dispatcher.instances().empty());
  reactors.stop();
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
}

TEST(SandboxPlan, KeepsReservedVariablesAndProportionsCpuToMemory) {
  EXPECT_EQ(cpu_milli(1769), 1000U);
  EXPECT_EQ(cpu_milli(128), 72U);
  Target target;
  target.function_name = "f";
  target.region = "eu-west-1";
  target.handler = "a.b";
  target.runtime = "python3.11";
  target.memory_mb = 256;
  target.environment = {{"AWS_REGION", "mars"}, {"PATH", "/mine"}, {"KEY", "value"}};
  sandbox::RuntimePlan plan;
  plan.environment = {{"PATH", "/usr/bin"}};
  DispatcherSettings settings;
  settings.endpoint_url = "http://127.0.0.1:4566";
  target.network = sandbox::NetworkPolicy{.mode = sandbox::NetworkMode::kLoopback, .networks = {}};
  const auto spec = make_spec(target, plan, settings, sandbox::SandboxId("x"), "stream");
  const std::map<std::string, std::string> env(spec.environment.begin(), spec.environment.end());
  EXPECT_EQ(env.at("AWS_REGION"), "eu-west-1");
  EXPECT_EQ(env.at("PATH"), "/mine");
  EXPECT_EQ(env.at("KEY"), "value");
  EXPECT_EQ(env.at("AWS_EXECUTION_ENV"), "AWS_Lambda_python3.11");
  EXPECT_EQ(env.at("AWS_LAMBDA_RUNTIME_API"), "127.0.0.1:9001");
  EXPECT_EQ(env.at("AWS_ENDPOINT_URL"), "http://127.0.0.1:4566");
  EXPECT_EQ(env.size(), spec.environment.size());
  EXPECT_EQ(spec.limits.memory_bytes, 256ULL << 20);
  EXPECT_EQ(spec.network, sandbox::NetworkMode::kLoopback);
}

}  // namespace
}  // namespace mayfly::dispatch
