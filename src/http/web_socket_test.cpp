// WebSockets over real sockets: the handshake, messages both ways, and each way in which a connection ends.
#include "http/web_socket.h"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <future>

#include "http/test_frames.h"
#include "http/test_peer.h"

namespace mayfly::http {
namespace {

using testing::client_frame;
using testing::Peer;
using testing::TestServer;

const std::string kHandshake =
    "GET /chat HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

std::string close_frame(std::uint16_t code, const std::string& reason) {
  std::string payload{static_cast<char>(code >> 8U), static_cast<char>(code & 0xFFU)};
  return "\x88" + std::string(1, static_cast<char>(2 + reason.size())) + payload + reason;
}

// Sends each message back, and tells how the last connection ended.
class Echo {
 public:
  explicit Echo(WebSocketLimits limits = {}, std::size_t reactors = 2)
      : server_([this, limits](Request&, ResponseWriter& writer) { return serve(writer, limits); }, {}, std::nullopt,
                reactors) {}
  // The handshake is done when this returns.
  Peer connect() {
    Peer peer(server_.port());
    peer.send(kHandshake);
    EXPECT_TRUE(peer.read_until("\r\n\r\n").starts_with("HTTP/1.1 101 Switching Protocols\r\n"));
    return peer;
  }
  WebSocketEnd end() { return ended_.get_future().get(); }
  std::shared_ptr<WebSocket> socket() { return opened_.get_future().get(); }
  TestServer& server() { return server_; }

 private:
  Awaitable<void> serve(ResponseWriter& writer, WebSocketLimits limits) {
    Headers none;
    auto socket = co_await writer.upgrade(std::move(none), limits);
    if (!socket) {
      Response response;
      response.head.status = 400;
      response.body = socket.error().message;
      static_cast<void>(co_await writer.send(std::move(response)));
      co_return;
    }
    opened_.set_value(*socket);
    for (;;) {
      auto message = co_await (*socket)->read();
      if (!message) break;
      if (message->data == "return") co_return;
      static_cast<void>(co_await (*socket)->send(std::move(*message)));
    }
    ended_.set_value((*socket)->end());
  }

  std::promise<WebSocketEnd> ended_;
  std::promise<std::shared_ptr<WebSocket>> opened_;
  TestServer server_;
};

TEST(WebSocket, EchoesMessagesAnswersPingsAndCloses) {
  Echo echo;
  Peer peer(echo.server().port());
  // The first message comes with the handshake.
  peer.send(kHandshake + client_frame(1, "one"));
  const auto head = peer.read_until("\r\n\r\n");
  EXPECT_NE(head.find("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), std::string::npos) << head;
  EXPECT_NE(head.find("Upgrade: websocket\r\nConnection: Upgrade\r\n"), std::string::npos) << head;
  EXPECT_EQ(peer.read_until("one"), "\x81\x03one");
  const std::string large(32 * 1024, 'x');
  peer.send(client_frame(2, large + "", false) + client_frame(9, "p") + client_frame(0, large + ""));
  EXPECT_EQ(peer.read_until("p"), "\x8a\x01p");
  const auto back = peer.read_until(large + large);
  EXPECT_EQ(back.size(), 2 * large.size() + 10);
  EXPECT_EQ(back.substr(0, 2), "\x82\x7f");
  peer.send(client_frame(8, std::string("\x03\xe8", 2) + "bye"));
  EXPECT_EQ(peer.read_all(), close_frame(1000, "bye"));
  const auto end = echo.end();
  EXPECT_EQ(end.code, 1000);
  EXPECT_EQ(end.reason, "bye");
  EXPECT_TRUE(end.by_peer);
}

TEST(WebSocket, RefusesAHandshakeThatIsNone) {
  Echo echo;
  const auto answer_to = [&](const std::string& from, const std::string& to) {
    auto text = kHandshake;
    text.replace(text.find(from), from.size(), to);
    Peer peer(echo.server().port());
    peer.send(text);
    peer.shutdown_send();
    auto all = peer.read_all();
    return all.substr(all.find("\r\n\r\n") + 4);
  };
  EXPECT_EQ(answer_to("Version: 13", "Version: 8"), "the version of the WebSocket protocol is 13");
  EXPECT_EQ(answer_to("dGhlIHNhbXBsZSBub25jZQ==", "dGhl"), "Sec-WebSocket-Key is not 16 bytes of base64");
  EXPECT_EQ(answer_to("keep-alive, Upgrade", "keep-alive"), "Connection does not name Upgrade");
  EXPECT_EQ(answer_to("GET", "PUT"), "the method of a WebSocket handshake is GET");
  EXPECT_EQ(answer_to("HTTP/1.1", "HTTP/1.0"), "a WebSocket needs HTTP/1.1");
  EXPECT_EQ(answer_to("Upgrade: websocket", "Upgrade: h2c"), "the request asks for no WebSocket");
  EXPECT_EQ(answer_to("\r\n\r\n", "\r\nContent-Length: 1\r\n\r\nx"), "a WebSocket handshake has no body");
}

TEST(WebSocket, EndsWhatBreaksTheProtocolWithItsCode) {
  const auto end_of = [](const std::string& bytes, const std::string& expected) {
    Echo echo;
    auto peer = echo.connect();
    peer.send(bytes);
    EXPECT_EQ(peer.read_until(expected), expected);
    peer.close();
    const auto end = echo.end();
    EXPECT_FALSE(end.by_peer);
    return end.code;
  };
  EXPECT_EQ(end_of("\x81\x02hi", close_frame(1002, "a client's frame must be masked")), 1002);
  EXPECT_EQ(end_of(client_frame(1, std::string(33 * 1024, 'x')), close_frame(1009, "the frame is too large")), 1009);
  EXPECT_EQ(end_of(client_frame(1, "\xff"), close_frame(1007, "a text is no UTF-8")), 1007);
}

TEST(WebSocket, KnowsAPeerThatIsGoneWithoutAWord) {
  Echo echo;
  auto peer = echo.connect();
  const auto socket = echo.socket();
  peer.close();
  EXPECT_EQ(echo.end().code, close_code::kAbnormal);
  auto sent = boost::asio::co_spawn(
      echo.server().reactors().at(0).io(),
      [socket]() -> Awaitable<ErrorCode> {
        WebSocketMessage message{.data = "late"};
        const auto result = co_await socket->send(std::move(message));
        co_return result ? ErrorCode::kInternal : result.error().code;
      },
      boost::asio::use_future);
  EXPECT_EQ(sent.get(), ErrorCode::kClosed);
}

TEST(WebSocket, TakesMessagesFromAnyThreadInOrder) {
  Echo echo;
  auto peer = echo.connect();
  const auto socket = echo.socket();
  std::vector<std::future<bool>> all;
  for (std::size_t i = 0; i < 50; ++i) {
    all.push_back(boost::asio::co_spawn(
        echo.server().reactors().at(i % 2).io(),
        [socket]() -> Awaitable<bool> {
          WebSocketMessage message{.data = "m"};
          const auto result = co_await socket->send(std::move(message));
          co_return result.has_value();
        },
        boost::asio::use_future));
  }
  for (auto& one : all) EXPECT_TRUE(one.get());
  socket->close(1000, "done");
  std::string expected;
  for (int i = 0; i < 50; ++i) expected += "\x81\x01m";
  EXPECT_EQ(peer.read_until("done"), expected + close_frame(1000, "done"));
  peer.send(client_frame(8, std::string("\x03\xe8", 2)));
  EXPECT_EQ(peer.read_all(), "");
  EXPECT_FALSE(echo.end().by_peer);
}

TEST(WebSocket, BoundsWhatAPeerDoesNotTake) {
  Echo echo(WebSocketLimits{.queue_bytes = 256UL * 1024});
  auto peer = echo.connect();
  const auto socket = echo.socket();
  // The peer reads nothing: the kernel's buffers fill, then the queue, then sending fails.
  std::vector<std::future<ErrorCode>> all;
  for (int i = 0; i < 200; ++i) {
    all.push_back(boost::asio::co_spawn(
        echo.server().reactors().at(0).io(),
        [socket]() -> Awaitable<ErrorCode> {
          WebSocketMessage message{.data = std::string(128UL * 1024, 'x')};
          const auto result = co_await socket->send(std::move(message));
          co_return result ? ErrorCode::kInternal : result.error().code;
        },
        boost::asio::use_future));
  }
  EXPECT_EQ(all.back().get(), ErrorCode::kThrottled);
  peer.close();
  for (std::size_t i = 0; i + 1 < all.size(); ++i) static_cast<void>(all[i].get());
  EXPECT_EQ(echo.end().code, close_code::kAbnormal);
}

TEST(WebSocket, EndsByTimeAndWithTheServer) {
  {
    Echo echo(WebSocketLimits{.idle_timeout = std::chrono::milliseconds(20)});
    auto peer = echo.connect();
    EXPECT_EQ(peer.read_until("away"), close_frame(1001, "Going away"));
    peer.close();
    EXPECT_EQ(echo.end().code, 1001);
  }
  {
    Echo echo(
        WebSocketLimits{.lifetime = std::chrono::milliseconds(20), .close_timeout = std::chrono::milliseconds(20)});
    auto peer = echo.connect();
    // The peer does not answer the close frame.
    EXPECT_EQ(peer.read_all(), close_frame(1001, "Going away"));
    EXPECT_EQ(echo.end().code, 1001);
  }
  {
    Echo echo;
    auto peer = echo.connect();
    auto drained =
        std::async(std::launch::async, [&] { return echo.server().server().drain_blocking(std::chrono::seconds(5)); });
    EXPECT_EQ(peer.read_until("away"), close_frame(1001, "Going away"));
    peer.send(client_frame(8, std::string("\x03\xe9", 2)));
    EXPECT_TRUE(drained.get());
    EXPECT_EQ(echo.end().code, 1001);
  }
}

TEST(WebSocket, AHandlerThatReturnsEarlyEndsIt) {
  Echo echo;
  auto peer = echo.connect();
  peer.send(client_frame(1, "return"));
  EXPECT_EQ(peer.read_all(), close_frame(1011, ""));
}

}  // namespace
}  // namespace mayfly::http
