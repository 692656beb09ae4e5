// For tests: a request, its response and a WebSocket without sockets.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/server.h"

namespace mayfly::http {

class FakeRequest final : public Request {
 public:
  Headers none;
  std::string body;
  Awaitable<Result<std::string>> read() override { co_return std::exchange(body, {}); }
  Awaitable<Result<std::string>> read_all(std::size_t limit) override {
    if (body.size() > limit) co_return fail(ErrorCode::kTooLarge, "the body is too large");
    co_return std::exchange(body, {});
  }
  [[nodiscard]] const Headers& trailers() const override { return none; }
  [[nodiscard]] std::optional<std::uint64_t> content_length() const override { return body.size(); }
  [[nodiscard]] std::string_view peer_address() const override { return "127.0.0.1:1"; }
  [[nodiscard]] bool is_tls() const override { return false; }
};

// Its peer is the test, on the same reactor.
class FakeWebSocket final : public WebSocket {
 public:
  FakeWebSocket(Reactor& reactor, WebSocketLimits limits) : reactor_(reactor), limits_(limits) {}

  // The peer's side.
  void say(WebSocketMessage message) {
    said_.push_back(std::move(message));
    heard_.notify();
  }
  void leave(std::uint16_t code, std::string reason) {
    finish({.code = code, .reason = std::move(reason), .by_peer = true});
  }
  std::vector<std::string> got;
  std::optional<ErrorCode> send_fails;
  std::size_t reads = 0;

  Awaitable<Result<WebSocketMessage>> read() override {
    ++reads;
    while (said_.empty() && !end_) {
      [[maybe_unused]] const bool heard = co_await heard_.wait_until(kNoDeadline);
    }
    if (said_.empty()) co_return fail(ErrorCode::kClosed, "the connection has ended");
    auto message = std::move(said_.front());
    said_.pop_front();
    co_return message;
  }
  Awaitable<Result<void>> send(WebSocketMessage message) override {
    if (end_) co_return fail(ErrorCode::kClosed, "the connection has ended");
    if (send_fails) co_return fail(*send_fails, "as the test wants it");
    if (message.data.size() > limits_.message_bytes) co_return fail(ErrorCode::kTooLarge, "the message is too large");
    got.push_back(std::move(message.data));
    co_return Result<void>();
  }
  void close(std::uint16_t code, std::string reason) override {
    said_.clear();
    finish({.code = code, .reason = std::move(reason)});
  }
  [[nodiscard]] WebSocketEnd end() const override { return end_.value_or(WebSocketEnd()); }
  [[nodiscard]] bool has_ended() const { return end_.has_value(); }
  [[nodiscard]] SystemTime last_active() const override { return reactor_.clock().now(); }

 private:
  void finish(WebSocketEnd end) {
    if (!end_) end_ = std::move(end);
    heard_.notify();
  }

  Reactor& reactor_;
  const WebSocketLimits limits_;
  std::deque<WebSocketMessage> said_;
  Signal heard_;
  std::optional<WebSocketEnd> end_;
};

class FakeResponse final : public ResponseWriter {
 public:
  Response got;
  bool sent = false;
  Reactor* preferred = nullptr;
  std::shared_ptr<FakeWebSocket> socket;  // of an upgrade, whose fields are those of `got`
  Awaitable<Result<void>> send(Response response) override {
    got = std::move(response);
    sent = true;
    co_return Result<void>();
  }
  Awaitable<Result<void>> begin(ResponseHead head) override {
    got.head = std::move(head);
    co_return Result<void>();
  }
  Awaitable<Result<void>> write(std::string data) override {
    got.body += data;
    co_return Result<void>();
  }
  Awaitable<Result<void>> finish() override { co_return Result<void>(); }
  Awaitable<Result<std::shared_ptr<WebSocket>>> upgrade(Headers headers, WebSocketLimits limits) override {
    got.head.status = 101;
    got.head.headers = std::move(headers);
    socket = std::make_shared<FakeWebSocket>(Reactor::current(), limits);
    std::shared_ptr<WebSocket> out = socket;
    co_return out;
  }
  [[nodiscard]] bool started() const override { return false; }
  void on_peer_closed(std::function<void()>) override {}
  void prefer(Reactor& reactor) override { preferred = &reactor; }
};

}  // namespace mayfly::http
