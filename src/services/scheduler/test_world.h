// What the tests of this folder share: a store and a delivery in memory that outlive servers, requests without
// sockets, and a clock that moves when told to.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/async.h"
#include "base/json.h"
#include "base/time_format.h"
#include "services/scheduler/scheduler.h"

namespace mayfly::scheduler::testing {

class MemoryStore final : public store::KeyValue {
 public:
  std::map<std::string, store::Entry> entries;
  store::Revision last = 0;
  // Asked before and after each write takes place; where it suspends for ever, the server is dead.
  std::function<Awaitable<void>()> hop;
  bool full = false;

  Awaitable<Result<std::optional<store::Entry>>> get(std::string key) override {
    const auto found = entries.find(key);
    if (found == entries.end()) co_return std::optional<store::Entry>();
    co_return std::optional<store::Entry>(found->second);
  }
  Awaitable<Result<store::Revision>> put(std::string key, std::string value) override {
    co_await pause();
    if (full) co_return fail(ErrorCode::kIo, "disk full");
    const auto revision = write(key, value);
    co_await pause();
    co_return revision;
  }
  Awaitable<Result<store::Revision>> compare_and_set(std::string key, std::string value,
                                                     store::Revision expected) override {
    co_await pause();
    if (full) co_return fail(ErrorCode::kIo, "disk full");
    const auto found = entries.find(key);
    if ((found == entries.end() ? 0 : found->second.revision) != expected) {
      co_return fail(ErrorCode::kConflict, "revision");
    }
    const auto revision = write(key, value);
    co_await pause();
    co_return revision;
  }
  Awaitable<Result<void>> remove(std::string key, std::optional<store::Revision> expected) override {
    co_await pause();
    const auto found = entries.find(key);
    if (expected && (found == entries.end() || found->second.revision != *expected)) {
      co_return fail(ErrorCode::kConflict, "revision");
    }
    if (found != entries.end()) entries.erase(found);
    co_await pause();
    co_return Result<void>();
  }
  Awaitable<Result<std::vector<store::Entry>>> list(std::string prefix, std::string after, std::size_t limit) override {
    std::vector<store::Entry> out;
    for (auto at = entries.lower_bound(prefix); at != entries.end() && at->first.starts_with(prefix); ++at) {
      if (at->first > after && out.size() < limit) out.push_back(at->second);
    }
    co_return out;
  }
  std::shared_ptr<void> watch(std::string, std::function<void(const store::WatchEvent&)>) override { return nullptr; }

 private:
  Awaitable<void> pause() {
    if (hop) co_await hop();
  }
  store::Revision write(const std::string& key, const std::string& value) {
    store::Entry entry;
    entry.key = key;
    entry.value = value;
    entry.revision = ++last;
    entries[key] = entry;
    return last;
  }
};

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
  Awaitable<Result<void>> send(http::Response response) override {
    got = std::move(response);
    co_return Result<void>();
  }
  Awaitable<Result<void>> begin(http::ResponseHead) override { co_return Result<void>(); }
  Awaitable<Result<void>> write(std::string) override { co_return Result<void>(); }
  Awaitable<Result<void>> finish() override { co_return Result<void>(); }
  [[nodiscard]] bool started() const override { return false; }
  void on_peer_closed(std::function<void()>) override {}
};

// One call of the service; the status goes to `status`.
inline Awaitable<void> call_service(const Scheduler* scheduler, std::string method, std::string target,
                                    std::string body, int* status, json::value* answer) {
  aws::CallContext context;
  context.request_id = "00000000-0000-4000-8000-000000000001";
  context.principal.account = "000000000000";
  context.region = "us-east-1";
  FakeRequest request;
  request.head.method = method;
  request.head.target = target;
  request.head.headers.set("Content-Type", "application/json");
  FakeResponse response;
  auto& service = const_cast<Scheduler*>(scheduler)->service();
  co_await service.serve(context, request, std::move(body), response);
  *status = response.got.head.status;
  auto parsed = parse_json(response.got.body);
  *answer = parsed ? std::move(*parsed) : json::value(response.got.body);
}

inline constexpr const char* kQueueTarget =
    R"("Target":{"Arn":"arn:aws:sqs:us-east-1:000000000000:jobs","RoleArn":"arn:aws:iam::000000000000:role/r")";

inline bool supports_test_targets(std::string_view arn) {
  const auto parsed = delivery::parse_arn(arn);
  return parsed && (parsed->service == "sqs" || parsed->service == "lambda" || parsed->service == "events");
}

}  // namespace mayfly::scheduler::testing
