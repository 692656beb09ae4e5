// For tests: a server on its own reactors with a port of its own, and a raw peer that sends exactly what a test says.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <memory>
#include <string>

#include "base/clock.h"
#include "base/fd.h"
#include "http/server.h"

namespace mayfly::http::testing {

class Peer {
 public:
  explicit Peer(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_port = htons(port);
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd_.get(), reinterpret_cast<sockaddr*>(&name), sizeof(name)), 0);
  }
  void send(const std::string& text) const {
    std::size_t at = 0;
    while (at < text.size()) {
      const ssize_t sent = ::send(fd_.get(), text.data() + at, text.size() - at, MSG_NOSIGNAL);
      if (sent <= 0) return;
      at += static_cast<std::size_t>(sent);
    }
  }
  // Up to and with the first `mark`; all there was when the peer closed or fell silent for 10 s before.
  std::string read_until(const std::string& mark) {
    for (;;) {
      const auto at = received_.find(mark);
      if (at != std::string::npos) {
        std::string text = received_.substr(0, at + mark.size());
        received_.erase(0, at + mark.size());
        return text;
      }
      if (!receive()) return std::exchange(received_, {});
    }
  }
  // To the peer's end.
  std::string read_all() {
    while (receive()) {
    }
    return std::exchange(received_, {});
  }
  void shutdown_send() const { ::shutdown(fd_.get(), SHUT_WR); }
  void close() { fd_.reset(); }
  [[nodiscard]] bool silent() const { return silent_; }

 private:
  bool receive() {
    pollfd watched{.fd = fd_.get(), .events = POLLIN, .revents = 0};
    if (::poll(&watched, 1, 10'000) != 1) {
      silent_ = true;
      return false;
    }
    char buffer[16384];
    const ssize_t got = ::recv(fd_.get(), buffer, sizeof(buffer), 0);
    if (got <= 0) return false;
    received_.append(buffer, static_cast<std::size_t>(got));
    return true;
  }

  UniqueFd fd_;
  std::string received_;
  bool silent_ = false;
};

class TestServer {
 public:
  explicit TestServer(Handler handler, ServerLimits limits = {}, const std::optional<TlsFiles>& tls = std::nullopt,
                      std::size_t reactors = 2)
      : reactors_(clock_, reactors), server_(reactors_, limits, std::move(handler)) {
    reactors_.start();
    auto port = server_.listen("127.0.0.1:0", tls);
    EXPECT_TRUE(port.has_value()) << port.error().message;
    if (port) port_ = *port;
  }
  ~TestServer() { static_cast<void>(server_.drain_blocking(std::chrono::seconds(5))); }
  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] std::string url(const std::string& scheme = "http") const {
    return scheme + "://127.0.0.1:" + std::to_string(port_);
  }
  Server& server() { return server_; }
  Reactors& reactors() { return reactors_; }

 private:
  RealClock clock_;
  Reactors reactors_;
  Server server_;
  std::uint16_t port_ = 0;
};

// Answers with what came: method, target, body, and the trailer "x-sum" where there is one.
inline Handler echo() {
  return [](Request& request, ResponseWriter& writer) -> Awaitable<void> {
    auto body = co_await request.read_all(1024UL * 1024 * 1024);
    if (!body) co_return;
    Response response;
    response.body = request.head.method + " " + request.head.target + " " + *body;
    if (!request.trailers().get("x-sum").empty()) {
      response.body += " " + std::string(request.trailers().get("x-sum"));
    }
    static_cast<void>(co_await writer.send(std::move(response)));
  };
}

}  // namespace mayfly::http::testing
