// For tests of the service: a store in memory, an invoker that answers as told, requests without sockets, and a fixture
// that has them all.
#pragma once

#include <gtest/gtest.h>
#include <zip.h>

#include <filesystem>
#include <map>

#include "base/crypto.h"
#include "base/encoding.h"
#include "base/ids.h"
#include "base/json.h"
#include "delivery/fake_queue.h"
#include "services/lambda/lambda.h"
#include "store/fake_key_value.h"

namespace mayfly::lambda {

using FakeStore = store::FakeKeyValue;

class FakeBlob final : public store::Blob {
 public:
  std::map<std::string, std::string> blobs;
  Awaitable<Result<store::BlobId>> put(std::string bytes) override {
    const auto id = hex_encode(sha256(bytes));
    blobs[id] = std::move(bytes);
    co_return store::BlobId(id);
  }
  Awaitable<Result<std::string>> get(store::BlobId id, std::size_t) override {
    const auto found = blobs.find(id.str());
    if (found == blobs.end()) co_return fail(ErrorCode::kNotFound, "no blob");
    co_return found->second;
  }
  Awaitable<Result<std::uint64_t>> size(store::BlobId id) override { co_return blobs[id.str()].size(); }
  Awaitable<Result<void>> remove(store::BlobId id) override {
    blobs.erase(id.str());
    co_return Result<void>();
  }
  Awaitable<Result<std::vector<store::BlobId>>> list() override {
    std::vector<store::BlobId> out;
    for (const auto& [id, bytes] : blobs) out.emplace_back(id);
    co_return out;
  }
};

class FakeInvoker final : public Invoker {
 public:
  std::shared_ptr<const dispatch::Target> target;
  dispatch::Invocation invocation;
  Result<dispatch::Outcome> answer = dispatch::Outcome();
  std::vector<std::string> drained;
  std::vector<std::string> parts;  // streamed before the outcome
  std::vector<dispatch::Invocation> all;
  bool hold = false;  // invocations wait for release()
  Signal gate;
  void release() {
    hold = false;
    gate.notify_all();
  }
  Awaitable<Result<dispatch::Outcome>> invoke(std::shared_ptr<const dispatch::Target> to,
                                              dispatch::Invocation what) override {
    target = std::move(to);
    invocation = std::move(what);
    all.push_back(invocation);
    while (hold) co_await gate.wait_until(kNoDeadline);
    if (invocation.sink) {
      invocation.sink->on_start("text/plain");
      for (const auto& part : parts) static_cast<void>(co_await invocation.sink->on_data(part));
    }
    co_return answer;
  }
  void drain(const std::string& arn, const std::string& version, const std::string&) override {
    drained.push_back(arn + ":" + version);
  }
  void set_reserved_concurrency(const std::string&, std::optional<std::uint32_t>) override {}
  std::map<std::string, std::uint32_t> kept;  // by version
  void set_provisioned(const std::shared_ptr<const dispatch::Target>& to, std::uint32_t count) override {
    kept[to->version] = count;
  }
  [[nodiscard]] dispatch::ProvisionedState provisioned(const dispatch::Target& to) const override {
    const auto found = kept.find(to.version);
    const std::uint32_t count = found == kept.end() ? 0 : found->second;
    return {.allocated = count, .available = count, .failed = false};
  }
  std::map<std::string, dispatch::SnapshotOrigin> snapshots;  // by version
  dispatch::SnapshotState snapshot_state;
  void set_snap_start(const std::shared_ptr<const dispatch::Target>& to, dispatch::SnapshotOrigin origin) override {
    snapshots[to->version] = origin;
  }
  [[nodiscard]] dispatch::SnapshotState snapshot(const dispatch::Target& to) const override {
    return snapshots.contains(to.version) ? snapshot_state : dispatch::SnapshotState();
  }
};

class FakeRequest final : public http::Request {
 public:
  std::string body;
  http::Headers none;
  Awaitable<Result<std::string>> read() override { co_return std::exchange(body, std::string()); }
  Awaitable<Result<std::string>> read_all(std::size_t) override { co_return std::exchange(body, std::string()); }
  [[nodiscard]] const http::Headers& trailers() const override { return none; }
  [[nodiscard]] std::optional<std::uint64_t> content_length() const override { return body.size(); }
  [[nodiscard]] std::string_view peer_address() const override { return "127.0.0.1:1"; }
  [[nodiscard]] bool is_tls() const override { return false; }
};

class FakeResponse final : public http::ResponseWriter {
 public:
  http::Response got;
  bool began = false;
  bool finished = false;
  Awaitable<Result<void>> send(http::Response response) override {
    got = std::move(response);
    began = finished = true;
    co_return Result<void>();
  }
  Awaitable<Result<void>> begin(http::ResponseHead head) override {
    got.head = std::move(head);
    began = true;
    co_return Result<void>();
  }
  Awaitable<Result<void>> write(std::string data) override {
    got.body += data;
    co_return Result<void>();
  }
  Awaitable<Result<void>> finish() override {
    finished = true;
    co_return Result<void>();
  }
  [[nodiscard]] bool started() const override { return began; }
  void on_peer_closed(std::function<void()>) override {}
};

inline std::string small_zip(const std::string& text) {
  zip_error_t error;
  zip_error_init(&error);
  zip_source_t* source = zip_source_buffer_create(nullptr, 0, 0, &error);
  zip_source_keep(source);
  zip_t* archive = zip_open_from_source(source, ZIP_TRUNCATE, &error);
  zip_file_add(archive, "index.py", zip_source_buffer(archive, text.data(), text.size(), 0), 0);
  zip_close(archive);
  zip_source_open(source);
  zip_source_seek(source, 0, SEEK_END);
  std::string out(static_cast<std::size_t>(zip_source_tell(source)), '\0');
  zip_source_seek(source, 0, SEEK_SET);
  zip_source_read(source, out.data(), out.size());
  zip_source_close(source);
  zip_source_free(source);
  return out;
}

class LambdaService : public ::testing::Test {
 protected:
  LambdaService() {
    for (const char* service : {"sqs", "sns", "events"}) {
      targets_.add(service, [this](delivery::Arn arn, delivery::Event event) -> Awaitable<delivery::Attempt> {
        delivered_.emplace_back(arn.service + ":" + arn.resource, std::move(event));
        co_return delivery::Attempt();
      });
    }
    start();
  }
  ~LambdaService() override {
    stop();
    lambda_.reset();
    std::filesystem::remove_all(folder_);
  }
  void start() {
    LambdaSettings settings;
    settings.code_directory = folder_.string();
    targets_of_run_ = targets_;
    lambda_ = std::make_unique<Lambda>(store_, blob_, pool_, clock_, invoker_, settings);
    delivery_ = std::make_unique<delivery::Delivery>(queue_, targets_of_run_, reactors_, clock_,
                                                     delivery::DeliverySettings{.seed = 7});
    lambda_->deliver_through(targets_of_run_, *delivery_);
    std::optional<Result<void>> loaded;
    run([&]() -> Awaitable<void> { loaded = co_await lambda_->load(); });
    ASSERT_TRUE(loaded && *loaded);
    run([&]() -> Awaitable<void> { loaded = co_await delivery_->start(); });
    ASSERT_TRUE(loaded && *loaded);
  }
  void stop() {
    invoker_.release();
    bool stopped = false;
    const auto task = [&]() -> Awaitable<void> {
      co_await delivery_->stop(std::chrono::seconds(1));
      co_await lambda_->stop();
      co_await lambda_->join();
      co_await delivery_->join();
      stopped = true;
    };
    ASSERT_TRUE(scope_.spawn(reactor_, "stop", task));
    // A mapping that waits for its source looks up when the wait is over.
    for (int i = 0; i < 10 && !stopped; ++i) pass(std::chrono::seconds(1));
    ASSERT_TRUE(stopped);
  }
  void settle() {
    while (reactor_.poll() > 0) {
    }
  }
  void pass(std::chrono::seconds time) {
    for (std::int64_t i = 0; i < time.count(); ++i) {
      clock_.advance(std::chrono::seconds(1));
      settle();
    }
  }
  void run(std::function<Awaitable<void>()> task) {
    ASSERT_TRUE(scope_.spawn(reactor_, "test", std::move(task)));
    // The pool answers from its own threads, so polling goes on until the task is over.
    while (scope_.running() > 0) {
      if (reactor_.poll() == 0) std::this_thread::yield();
    }
    ASSERT_EQ(scope_.failures(), 0U);
  }
  json::value call(const std::string& method, const std::string& target, const std::string& body, int status) {
    aws::CallContext context;
    context.request_id = "00000000-0000-4000-8000-000000000001";
    context.principal.account = "000000000000";
    context.region = "us-east-1";
    context.host = "localhost:4566";
    FakeRequest request;
    request.head.method = method;
    request.head.target = target;
    request.head.headers.set("Host", "localhost:4566");
    request.head.headers.set("Content-Type", "application/json");
    response_ = std::make_unique<FakeResponse>();
    run([&]() -> Awaitable<void> { return lambda_->service().serve(context, request, body, *response_); });
    EXPECT_EQ(response_->got.head.status, status) << method << " " << target << "\n" << response_->got.body;
    auto value = parse_json(response_->got.body);
    return value ? *value : json::value();
  }
  json::value create(const std::string& name, const std::string& more, int status) {
    return call("POST", "/2015-03-31/functions",
                R"({"FunctionName":")" + name +
                    R"(","Runtime":"python3.12","Handler":"index.handler","Role":"arn:aws:iam::000000000000:role/r",)" +
                    more + R"("Code":{"ZipFile":")" + base64_encode(small_zip(name)) + R"("}})",
                status);
  }

  std::filesystem::path folder_ = std::filesystem::temp_directory_path() / ("mayfly-lambda-" + random_hex(8));
  VirtualClock clock_;
  Reactors reactors_{clock_, 1};  // polled by run(), with no thread of its own
  Reactor& reactor_ = reactors_.at(0);
  Scope scope_{"test"};
  BlockingPool pool_{1, 16};
  FakeStore store_;
  FakeBlob blob_;
  FakeInvoker invoker_;
  delivery::FakeQueue queue_{clock_};
  delivery::Targets targets_;
  delivery::Targets targets_of_run_;
  std::vector<std::pair<std::string, delivery::Event>> delivered_;  // to queues, topics and buses
  std::unique_ptr<delivery::Delivery> delivery_;
  std::unique_ptr<Lambda> lambda_;
  std::unique_ptr<FakeResponse> response_;
};

}  // namespace mayfly::lambda
