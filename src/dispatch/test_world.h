// For tests: the dispatcher against a launcher that makes no sandboxes. Each instance is a loopback socket and a thread
// that plays a runtime's part. Time is virtual; the test's thread is the one reactor.
#pragma once

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
#include "dispatch/dispatcher.h"
#include "observe/log_store.h"
#include "observe/metrics.h"

namespace mayfly::dispatch::testing {

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

inline int exit_status(int code) { return code << 8; }

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
inline int echo(RuntimeClient& client, int) {
  while (auto event = client.next()) {
    if (!client.respond(*event, event->body)) break;
  }
  return exit_status(0);
}

// A package as it lies on the host: the plan of an instance looks for its bootstrap.
inline const std::string& package_folder() {
  static const std::string folder = [] {
    const std::filesystem::path path = std::filesystem::path(::testing::TempDir()) / "mayfly-dispatch-test-package";
    std::filesystem::create_directories(path);
    std::ofstream(path / "bootstrap") << "#!/bin/sh\n";
    return path.string();
  }();
  return folder;
}

inline const sandbox::Runtimes& runtimes() {
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

inline std::string member(const std::string& text, std::string_view name) {
  const auto value = parse_json(text);
  return value ? std::string(get_string(*value, name)) : text;
}

}  // namespace mayfly::dispatch::testing
