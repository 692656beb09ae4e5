// The dispatcher against a launcher that makes no sandboxes: each instance is a loopback socket and a thread that plays
// a runtime's part. Time is virtual; the test's thread is the one reactor.
#include "dispatch/dispatcher.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

#include "base/encoding.h"
#include "base/ids.h"
#include "base/json.h"
#include "dispatch/sandbox_plan.h"
#include "observe/log_store.h"
#include "observe/metrics.h"

namespace mayfly::dispatch {
namespace {

using std::chrono::seconds;

struct Reply {
  int status = 0;
  std::map<std::string, std::string> headers;  // lower case
  std::string body;
};

// A runtime's blocking HTTP client on one connection. Every call fails once the sandbox is "killed".
class RuntimeClient {
 public:
  RuntimeClient(std::uint16_t port, int output) : output_(output) {
    socket_ = UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }
  void cut() { ::shutdown(socket_.get(), SHUT_RDWR); }
  void print(const std::string& text) const {
    EXPECT_EQ(::write(output_, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  std::optional<Reply> call(const std::string& method, const std::string& path, const std::string& body = {},
                            const std::string& headers = {}) {
    return raw(method + " " + path + " HTTP/1.1\r\nHost: x\r\n" + headers +
               "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  }
  std::optional<Reply> raw(const std::string& bytes) {
    if (!connected_) return std::nullopt;
    if (::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) < 0) return std::nullopt;
    return read_reply();
  }
  std::optional<Reply> next() { return call("GET", "/2018-06-01/runtime/invocation/next"); }
  std::optional<Reply> respond(const Reply& event, const std::string& body) {
    return call("POST", "/2018-06-01/runtime/invocation/" + id(event) + "/response", body);
  }
  static std::string id(const Reply& event) { return event.headers.at("lambda-runtime-aws-request-id"); }

 private:
  std::optional<Reply> read_reply() {
    std::size_t head_end = 0;
    while ((head_end = buffer_.find("\r\n\r\n")) == std::string::npos) {
      if (!more()) return std::nullopt;
    }
    Reply reply;
    const std::string head = buffer_.substr(0, head_end + 2);
    buffer_.erase(0, head_end + 4);
    reply.status = std::stoi(head.substr(9, 3));
    for (std::size_t at = head.find("\r\n") + 2; at < head.size();) {
      const auto end = head.find("\r\n", at);
      const auto colon = head.find(':', at);
      reply.headers[to_lower(head.substr(at, colon - at))] =
          std::string(trim(std::string_view(head).substr(colon + 1, end - colon - 1)));
      at = end + 2;
    }
    const std::size_t length = std::stoul(reply.headers.at("content-length"));
    while (buffer_.size() < length) {
      if (!more()) return std::nullopt;
    }
    reply.body = buffer_.substr(0, length);
    buffer_.erase(0, length);
    return reply;
  }
  bool more() {
    char piece[65536];
    const ssize_t got = ::recv(socket_.get(), piece, sizeof piece, 0);
    if (got <= 0) return false;
    buffer_.append(piece, static_cast<std::size_t>(got));
    return true;
  }
  UniqueFd socket_;
  int output_;
  bool connected_ = false;
  std::string buffer_;
};

// What the runtime of the n-th instance does; its value is the wait status it ends with.
using Script = std::function<int(RuntimeClient&, int instance)>;

int exit_status(int code) { return code << 8; }

class FakeLauncher final : public sandbox::Launcher {
 public:
  explicit FakeLauncher(Script script) : script_(std::move(script)) {}
  ~FakeLauncher() override {
    std::vector<std::thread> threads;
    {
      std::lock_guard lock(mutex_);
      for (auto& [id, box] : boxes_) box->client->cut();
      threads.swap(threads_);
    }
    for (auto& thread : threads) thread.join();
  }

  void expect(sandbox::SandboxSpec) override {}
  Awaitable<Result<sandbox::Started>> start(sandbox::SandboxSpec spec) override {
    if (refuse) co_return fail(ErrorCode::kIo, "no sandbox today");
    sandbox::Started started;
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    started.runtime_api = UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    EXPECT_EQ(::bind(started.runtime_api.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(started.runtime_api.get(), 16), 0);
    EXPECT_EQ(::getsockname(started.runtime_api.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    started.output = UniqueFd(ends[0]);
    ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
    auto box = std::make_shared<Box>();
    box->output = UniqueFd(ends[1]);
    box->client = std::make_unique<RuntimeClient>(ntohs(address.sin_port), ends[1]);
    std::lock_guard lock(mutex_);
    specs.push_back(spec);
    boxes_[spec.id] = box;
    const int number = started_count++;
    threads_.emplace_back([this, box, number, id = spec.id] {
      const int status = script_(*box->client, number);
      report(id, box->killed ? SIGKILL : status, box->out_of_memory);
    });
    co_return started;
  }
  void kill(sandbox::SandboxId id) override {
    std::lock_guard lock(mutex_);
    const auto box = boxes_.find(id);
    if (box == boxes_.end()) return;
    box->second->killed = true;
    box->second->client->cut();
  }
  void limit_cpu(sandbox::SandboxId, std::uint32_t) override {}
  Awaitable<Result<std::uint64_t>> peak_memory_bytes(sandbox::SandboxId) override { co_return std::uint64_t{33} << 20; }
  void on_exit(std::function<void(const sandbox::Exited&)> callback) override { on_exit_ = std::move(callback); }
  Awaitable<void> shutdown() override { co_return; }

  std::atomic<bool> refuse{false};
  std::atomic<bool> out_of_memory{false};
  std::atomic<int> started_count{0};
  std::atomic<int> ended_count{0};
  std::vector<sandbox::SandboxSpec> specs;

 private:
  struct Box {
    std::unique_ptr<RuntimeClient> client;
    UniqueFd output;
    std::atomic<bool> killed{false};
    bool out_of_memory = false;
  };
  void report(const sandbox::SandboxId& id, int status, bool) {
    sandbox::Exited exit;
    exit.id = id;
    exit.status = status;
    exit.out_of_memory = out_of_memory;
    {
      std::lock_guard lock(mutex_);
      boxes_.at(id)->client->cut();
      boxes_.at(id)->output.reset();
    }
    ++ended_count;
    on_exit_(exit);
  }
  Script script_;
  std::mutex mutex_;
  std::map<sandbox::SandboxId, std::shared_ptr<Box>> boxes_;
  std::vector<std::thread> threads_;
  std::function<void(const sandbox::Exited&)> on_exit_;
};

// Answers every event with itself.
int echo(RuntimeClient& client, int) {
  while (auto event = client.next()) {
    if (!client.respond(*event, event->body)) break;
  }
  return exit_status(0);
}

// A package as it lies on the host: the plan of an instance looks for its bootstrap.
const std::string& package_folder() {
  static const std::string folder = [] {
    const std::filesystem::path path = std::filesystem::path(::testing::TempDir()) / "mayfly-dispatch-test-package";
    std::filesystem::create_directories(path);
    std::ofstream(path / "bootstrap") << "#!/bin/sh\n";
    return path.string();
  }();
  return folder;
}

const sandbox::Runtimes& runtimes() {
  static const sandbox::Runtimes found = [] {
    const auto folder = std::filesystem::temp_directory_path() / ("mayfly-dispatch-test-" + random_hex(8));
    std::filesystem::create_directories(folder);
    auto discovered = sandbox::Runtimes::discover(folder.string(), {});
    EXPECT_TRUE(discovered.has_value());
    std::filesystem::remove_all(folder);
    return std::move(*discovered);
  }();
  return found;
}

class World {
 public:
  explicit World(Script script, DispatcherSettings settings = {})
      : folder_(std::filesystem::temp_directory_path() / ("mayfly-dispatch-test-" + random_hex(8))),
        reactors_(clock, 1),
        launcher(std::move(script)),
        logs_(std::move(*observe::LogStore::open(folder_, 1 << 20))),
        dispatcher(reactors_, clock, launcher, runtimes(), *logs_, metrics, settings) {}
  ~World() {
    run("stop", [this] { return dispatcher.stop(seconds(0)); });
    until([this] { return scope_.running() == 0; });
    EXPECT_EQ(scope_.failures(), 0U);
    EXPECT_EQ(dispatcher.concurrent_executions(), 0U);
    EXPECT_TRUE(dispatcher.instances().empty());
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  std::shared_ptr<Target> target(const std::string& name = "f", const std::string& generation = "g1") const {
    auto made = std::make_shared<Target>();
    made->function_arn = "arn:aws:lambda:eu-west-1:000000000000:function:" + name;
    made->function_name = name;
    made->version = "$LATEST";
    made->generation = name + generation;
    made->region = "eu-west-1";
    made->runtime = "provided.al2023";
    made->handler = "main.handler";
    made->code_directory = package_folder();
    made->log_group = "/aws/lambda/" + name;
    return made;
  }

  struct Call {
    std::string request_id = uuid4();
    std::optional<Result<Outcome>> result;
    [[nodiscard]] bool done() const { return result.has_value(); }
    Outcome& outcome() { return result->value(); }
  };
  std::shared_ptr<Call> begin(std::shared_ptr<const Target> target, std::string payload,
                              std::shared_ptr<ResponseSink> sink = nullptr, std::size_t limit = 6UL << 20) {
    auto call = std::make_shared<Call>();
    auto invocation = std::make_shared<Invocation>();
    invocation->request_id = call->request_id;
    invocation->payload = std::move(payload);
    invocation->invoked_function_arn = target->function_arn;
    invocation->trace_id = "Root=1-2-3";
    invocation->client_context = "{\n\"custom\":1}";
    invocation->sink = std::move(sink);
    invocation->response_limit = limit;
    run("invoke", [this, call, target, invocation] { return invoke(call, target, invocation); });
    return call;
  }
  Outcome& invoke_now(std::shared_ptr<const Target> target, std::string payload) {
    last_ = begin(std::move(target), std::move(payload));
    finish(last_);
    return last_->outcome();
  }
  void finish(const std::shared_ptr<Call>& call) {
    until([&] { return call->done(); });
    ASSERT_TRUE(call->done());
    ASSERT_TRUE(call->result->has_value()) << call->result->error().message;
  }
  // Lets everything run until `condition`; the bound is on turns, not on time.
  void until(const std::function<bool()>& condition) {
    for (int turn = 0; turn < 5'000'000; ++turn) {
      if (condition()) return;
      if (reactors_.at(0).poll() == 0) std::this_thread::yield();
    }
    ADD_FAILURE() << "what was waited for did not happen";
  }
  std::string states() const {
    std::string all;
    for (const auto& info : dispatcher.instances()) all += (all.empty() ? "" : ",") + info.state;
    return all;
  }
  void run(const char* name, std::function<Awaitable<void>()> task) {
    scope_.spawn(reactors_.at(0), name, std::move(task));
  }

  VirtualClock clock;

 private:
  std::filesystem::path folder_;
  Reactors reactors_;
  Scope scope_{"test"};

 public:
  FakeLauncher launcher;

 private:
  std::unique_ptr<observe::LogStore> logs_;

 public:
  observe::Metrics metrics;
  Dispatcher dispatcher;

 private:
  Awaitable<void> invoke(std::shared_ptr<Call> call, std::shared_ptr<const Target> target,
                         std::shared_ptr<Invocation> invocation) {
    auto result = co_await dispatcher.invoke(std::move(target), std::move(*invocation));
    call->result.emplace(std::move(result));
  }
  std::shared_ptr<Call> last_;
};

std::string member(const std::string& text, std::string_view name) {
  const auto value = parse_json(text);
  return value ? std::string(get_string(*value, name)) : text;
}

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

TEST(Dispatcher, KeepsProvisionedInstances) {
  DispatcherSettings settings;
  settings.idle_timeout = seconds(10);
  World world(echo, settings);
  const auto target = world.target();
  world.dispatcher.set_provisioned(target, 2);
  world.until([&] { return world.states() == "idle,idle"; });
  EXPECT_EQ(world.dispatcher.provisioned(*target).allocated, 2U);
  EXPECT_EQ(world.dispatcher.provisioned(*target).available, 2U);
  EXPECT_FALSE(world.invoke_now(target, "1").cold_start);
  for (int i = 0; i < 5; ++i) {
    world.clock.advance(seconds(11));
    EXPECT_FALSE(world.invoke_now(target, "2").cold_start);
  }
  EXPECT_EQ(world.launcher.started_count, 2);
  world.dispatcher.set_provisioned(target, 0);
  world.clock.advance(seconds(11));
  world.until([&] { return world.states().empty(); });
}

TEST(Dispatcher, TriesAProvisionedInstanceThatDidNotInitialiseAgainLater) {
  World world([](RuntimeClient& client, int number) { return number == 0 ? exit_status(1) : echo(client, number); });
  const auto target = world.target();
  world.dispatcher.set_provisioned(target, 1);
  world.until([&] { return world.dispatcher.provisioned(*target).failed && world.states().empty(); });
  EXPECT_EQ(world.launcher.started_count, 1);
  world.clock.advance(seconds(30));
  world.until([&] { return world.dispatcher.provisioned(*target).allocated == 1; });
  EXPECT_FALSE(world.dispatcher.provisioned(*target).failed);
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
