// For tests: a request and its response without sockets.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "http/server.h"

namespace mayfly::http {

class FakeRequest final : public Request {
 public:
  Headers none;
  Awaitable<Result<std::string>> read() override { co_return std::string(); }
  Awaitable<Result<std::string>> read_all(std::size_t) override { co_return std::string(); }
  [[nodiscard]] const Headers& trailers() const override { return none; }
  [[nodiscard]] std::optional<std::uint64_t> content_length() const override { return 0; }
  [[nodiscard]] std::string_view peer_address() const override { return "127.0.0.1:1"; }
  [[nodiscard]] bool is_tls() const override { return false; }
};

class FakeResponse final : public ResponseWriter {
 public:
  Response got;
  Awaitable<Result<void>> send(Response response) override {
    got = std::move(response);
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
  [[nodiscard]] bool started() const override { return false; }
  void on_peer_closed(std::function<void()>) override {}
};

}  // namespace mayfly::http
