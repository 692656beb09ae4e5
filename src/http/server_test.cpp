// The server over real sockets on a port of its own: what a peer sends byte by byte, and what it gets.
#include "http/server.h"

#include <gtest/gtest.h>

#include <future>
#include <set>

#include "http/test_peer.h"

namespace mayfly::http {
namespace {

using testing::echo;
using testing::Peer;
using testing::TestServer;

const std::string kHost = "Host: h\r\n";

TEST(Server, KeepsTheConnectionAlive) {
  TestServer server(echo());
  Peer peer(server.port());
  for (int i = 0; i < 3; ++i) {
    peer.send("POST /a?b HTTP/1.1\r\n" + kHost + "Content-Length: 2\r\n\r\nhi");
    const std::string head = peer.read_until("\r\n\r\n");
    EXPECT_TRUE(head.starts_with("HTTP/1.1 200 OK\r\nDate: ")) << head;
    EXPECT_NE(head.find("Content-Length: 12\r\n"), std::string::npos) << head;
    EXPECT_EQ(head.find("Connection:"), std::string::npos) << head;
    EXPECT_EQ(peer.read_until("hi"), "POST /a?b hi");
  }
  EXPECT_EQ(server.server().open_connections(), 1U);
}

TEST(Server, AnswersPipelinedRequestsInOrder) {
  TestServer server(echo());
  Peer peer(server.port());
  std::string all;
  for (int i = 0; i < 50; ++i) {
    const std::string body = "body" + std::to_string(i) + ".";
    all += "POST / HTTP/1.1\r\n" + kHost + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  }
  peer.send(all);
  for (int i = 0; i < 50; ++i) {
    EXPECT_TRUE(peer.read_until("body").ends_with("POST / body"));
    EXPECT_EQ(peer.read_until("."), std::to_string(i) + ".");
  }
}

TEST(Server, ReadsChunksAndTrailersAndGoesOn) {
  TestServer server(echo());
  Peer peer(server.port());
  peer.send("PUT /c HTTP/1.1\r\n" + kHost + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\n");
  peer.send("de\r\n0\r\nX-Sum: 5\r\n\r\nGET /next HTTP/1.1\r\n" + kHost + "\r\n");
  EXPECT_TRUE(peer.read_until("PUT /c abcde 5").ends_with("\r\n\r\nPUT /c abcde 5"));
  EXPECT_TRUE(peer.read_until("GET /next ").ends_with("GET /next "));
}

TEST(Server, StreamsChunksToHttp11AndToTheEndForHttp10) {
  TestServer server([](Request&, ResponseWriter& writer) -> Awaitable<void> {
    ResponseHead head;
    static_cast<void>(co_await writer.begin(std::move(head)));
    std::string part = "one";
    static_cast<void>(co_await writer.write(std::move(part)));
    std::string other = "two";
    static_cast<void>(co_await writer.write(std::move(other)));
    static_cast<void>(co_await writer.finish());
  });
  Peer peer(server.port());
  peer.send("GET / HTTP/1.1\r\n" + kHost + "\r\n");
  EXPECT_NE(peer.read_until("\r\n\r\n").find("Transfer-Encoding: chunked\r\n"), std::string::npos);
  EXPECT_EQ(peer.read_until("0\r\n\r\n"), "3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n");
  Peer old(server.port());
  old.send("GET / HTTP/1.0\r\n\r\n");
  const std::string all = old.read_all();
  EXPECT_TRUE(all.ends_with("\r\n\r\nonetwo")) << all;
  EXPECT_EQ(all.find("chunked"), std::string::npos);
}

TEST(Server, StreamsWithAnAnnouncedLength) {
  TestServer server([](Request&, ResponseWriter& writer) -> Awaitable<void> {
    ResponseHead head;
    head.headers.add("Content-Length", "4");
    static_cast<void>(co_await writer.begin(std::move(head)));
    std::string too_long = "12345";
    EXPECT_FALSE((co_await writer.write(std::move(too_long))).has_value());
    std::string part = "1234";
    EXPECT_TRUE((co_await writer.write(std::move(part))).has_value());
    EXPECT_TRUE((co_await writer.finish()).has_value());
  });
  Peer peer(server.port());
  peer.send("GET / HTTP/1.1\r\n" + kHost + "\r\n");
  EXPECT_NE(peer.read_until("\r\n\r\n").find("Content-Length: 4\r\n"), std::string::npos);
  EXPECT_EQ(peer.read_until("4"), "1234");
}

TEST(Server, CutsAStreamedResponseWithoutFinish) {
  TestServer server([](Request&, ResponseWriter& writer) -> Awaitable<void> {
    ResponseHead head;
    static_cast<void>(co_await writer.begin(std::move(head)));
    std::string part = "one";
    static_cast<void>(co_await writer.write(std::move(part)));
  });
  Peer peer(server.port());
  peer.send("GET / HTTP/1.1\r\n" + kHost + "\r\n");
  EXPECT_TRUE(peer.read_all().ends_with("3\r\none\r\n"));
  EXPECT_FALSE(peer.silent());
}

TEST(Server, AnswersHeadWithoutABody) {
  TestServer server([](Request&, ResponseWriter& writer) -> Awaitable<void> {
    Response response;
    response.head.headers.add("Content-Length", "77");
    static_cast<void>(co_await writer.send(std::move(response)));
  });
  Peer peer(server.port());
  peer.send("HEAD / HTTP/1.1\r\n" + kHost + "Connection: close\r\n\r\n");
  const std::string all = peer.read_all();
  EXPECT_NE(all.find("Content-Length: 77\r\n"), std::string::npos) << all;
  EXPECT_TRUE(all.ends_with("Connection: close\r\n\r\n")) << all;
}

TEST(Server, InvitesABodyThatWaits) {
  TestServer server(echo());
  Peer peer(server.port());
  peer.send("PUT / HTTP/1.1\r\n" + kHost + "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  EXPECT_EQ(peer.read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  peer.send("ok");
  EXPECT_TRUE(peer.read_until("PUT / ok").ends_with("PUT / ok"));
}

TEST(Server, RefusesWithTheRightStatus) {
  ServerLimits limits;
  limits.header_bytes = 1000;
  limits.body_bytes = 1000;
  TestServer server(echo(), limits);
  const auto status = [&server](const std::string& text) {
    Peer peer(server.port());
    peer.send(text);
    const std::string all = peer.read_all();
    EXPECT_FALSE(peer.silent());
    EXPECT_NE(all.find("Connection: close\r\n"), std::string::npos) << all;
    return all.substr(0, 12);
  };
  EXPECT_EQ(status("nonsense\r\n\r\n"), "HTTP/1.1 400");
  EXPECT_EQ(status("GET / HTTP/1.1\n" + kHost + "\n\n"), "HTTP/1.1 400");
  EXPECT_EQ(status("GET / HTTP/1.1\r\n" + kHost + "A: " + std::string(2000, 'a')), "HTTP/1.1 431");
  EXPECT_EQ(status("POST / HTTP/1.1\r\n" + kHost + "Content-Length: 1001\r\n\r\n"), "HTTP/1.1 413");
  EXPECT_EQ(status("POST / HTTP/1.1\r\n" + kHost + "Expect: 100-continue\r\nContent-Length: 1001\r\n\r\n"),
            "HTTP/1.1 413");
  EXPECT_EQ(status("POST / HTTP/1.1\r\n" + kHost + "Transfer-Encoding: chunked\r\n\r\n3e9\r\n"), "HTTP/1.1 413");
  EXPECT_EQ(status("POST / HTTP/1.1\r\n" + kHost + "Transfer-Encoding: chunked\r\n\r\nno\r\n\r\n"), "HTTP/1.1 400");
  EXPECT_EQ(status("POST / HTTP/1.1\r\n" + kHost + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"),
            "HTTP/1.1 400");
}

TEST(Server, APeerThatStillSendsSeesTheRefusal) {
  ServerLimits limits;
  limits.body_bytes = 1000;
  TestServer server(echo(), limits);
  Peer peer(server.port());
  peer.send("POST / HTTP/1.1\r\n" + kHost + "Content-Length: 2000000\r\n\r\n" + std::string(2'000'000, 'x'));
  EXPECT_EQ(peer.read_until("\r\n").substr(0, 12), "HTTP/1.1 413");
}

TEST(Server, GivesUpOnSlowPeers) {
  ServerLimits limits;
  limits.header_timeout = std::chrono::milliseconds(50);
  limits.body_timeout = std::chrono::milliseconds(50);
  limits.idle_timeout = std::chrono::milliseconds(80);
  TestServer server(echo(), limits);
  Peer head(server.port());
  head.send("GET / HTTP/1.1\r\nHo");
  Peer body(server.port());
  body.send("POST / HTTP/1.1\r\n" + kHost + "Content-Length: 5\r\n\r\nab");
  Peer idle(server.port());
  idle.send("GET / HTTP/1.1\r\n" + kHost + "\r\n");
  Peer mute(server.port());
  EXPECT_EQ(head.read_until("\r\n"), "HTTP/1.1 408 Request Timeout\r\n");
  EXPECT_EQ(body.read_until("\r\n"), "HTTP/1.1 408 Request Timeout\r\n");
  EXPECT_TRUE(idle.read_all().ends_with("GET / "));
  EXPECT_EQ(mute.read_all(), "");
  for (const Peer* peer : {&head, &body, &idle, &mute}) EXPECT_FALSE(peer->silent());
}

TEST(Server, TimesOutAPeerThatDoesNotRead) {
  ServerLimits limits;
  limits.write_timeout = std::chrono::milliseconds(100);
  std::promise<ErrorCode> outcome;
  TestServer server(
      [&outcome](Request&, ResponseWriter& writer) -> Awaitable<void> {
        Response response;
        response.body.assign(64UL * 1024 * 1024, 'x');
        const auto sent = co_await writer.send(std::move(response));
        outcome.set_value(sent ? ErrorCode::kInternal : sent.error().code);
      },
      limits);
  Peer peer(server.port());
  peer.send("GET / HTTP/1.1\r\n" + kHost + "\r\n");
  auto future = outcome.get_future();
  ASSERT_EQ(future.wait_for(std::chrono::seconds(10)), std::future_status::ready);
  EXPECT_EQ(future.get(), ErrorCode::kTimeout);
}

TEST(Server, ReportsABodyThatEndsEarly) {
  std::promise<ErrorCode> outcome;
  TestServer server([&outcome](Request& request, ResponseWriter&) -> Awaitable<void> {
    const auto body = co_await request.read_all(100);
    outcome.set_value(body ? ErrorCode::kInternal : body.error().code);
  });
  Peer peer(server.port());
  peer.send("POST / HTTP/1.1\r\n" + kHost + "Content-Length: 5\r\n\r\nab");
  peer.shutdown_send();
  EXPECT_EQ(outcome.get_future().get(), ErrorCode::kClosed);
  EXPECT_EQ(peer.read_all(), "");
}

TEST(Server, TellsAWorkingHandlerThatThePeerLeft) {
  std::promise<void> working;
  std::promise<bool> told;
  TestServer server([&](Request& request, ResponseWriter& writer) -> Awaitable<void> {
    OneShot<bool> left;
    std::function<void()> callback = [left]() mutable { left.set(true); };
    writer.on_peer_closed(std::move(callback));
    // The body comes after the callback was set.
    static_cast<void>(co_await request.read_all(100));
    working.set_value();
    const auto deadline = Reactor::current().steady_now() + std::chrono::seconds(10);
    const auto got = co_await left.get_until(deadline);
    told.set_value(got.has_value());
  });
  Peer peer(server.port());
  peer.send("POST / HTTP/1.1\r\n" + kHost + "Content-Length: 2\r\n\r\n");
  peer.send("ab");
  working.get_future().get();
  peer.close();
  EXPECT_TRUE(told.get_future().get());
}

TEST(Server, APipelinedRequestIsNoEndAndIsServedNext) {
  std::atomic<int> told = 0;
  TestServer server([&](Request& request, ResponseWriter& writer) -> Awaitable<void> {
    std::function<void()> callback = [&told] { ++told; };
    writer.on_peer_closed(std::move(callback));
    // Long enough for the watch to take the pipelined bytes in.
    co_await Reactor::current().sleep_for(std::chrono::milliseconds(30));
    Response response;
    response.body = request.head.target;
    static_cast<void>(co_await writer.send(std::move(response)));
  });
  Peer peer(server.port());
  for (const std::string name : {"/one", "/two", "/three"}) peer.send("GET " + name + " HTTP/1.1\r\n" + kHost + "\r\n");
  EXPECT_TRUE(peer.read_until("/one").ends_with("\r\n\r\n/one"));
  EXPECT_TRUE(peer.read_until("/two").ends_with("\r\n\r\n/two"));
  EXPECT_TRUE(peer.read_until("/three").ends_with("\r\n\r\n/three"));
  peer.send("GET /four HTTP/1.1\r\n" + kHost + "\r\n");
  EXPECT_TRUE(peer.read_until("/four").ends_with("\r\n\r\n/four"));
  EXPECT_EQ(told, 0);
}

TEST(Server, DropsASmallUnreadBodyAndClosesAfterALargeOne) {
  TestServer server([](Request& request, ResponseWriter& writer) -> Awaitable<void> {
    Response response;
    response.body = request.head.target;
    static_cast<void>(co_await writer.send(std::move(response)));
  });
  Peer peer(server.port());
  peer.send("POST /a HTTP/1.1\r\n" + kHost + "Content-Length: 50000\r\n\r\n" + std::string(50000, 'x'));
  EXPECT_TRUE(peer.read_until("/a").ends_with("/a"));
  peer.send("POST /b HTTP/1.1\r\n" + kHost + "Content-Length: 5000000\r\n\r\n");
  EXPECT_NE(peer.read_until("\r\n\r\n").find("Connection: close\r\n"), std::string::npos);
}

TEST(Server, SurvivesHandlersThatThrowOrSayNothingOrSplitTheResponse) {
  TestServer server([](Request& request, ResponseWriter& writer) -> Awaitable<void> {
    if (request.head.target == "/throw") throw std::runtime_error("broken");
    if (request.head.target == "/split") {
      Response response;
      response.head.headers.add("X", "a\r\nSet-Cookie: b");
      EXPECT_FALSE((co_await writer.send(std::move(response))).has_value());
    }
  });
  for (const std::string target : {"/throw", "/silent", "/split"}) {
    Peer peer(server.port());
    peer.send("GET " + target + " HTTP/1.1\r\n" + kHost + "\r\n");
    const std::string all = peer.read_all();
    EXPECT_TRUE(all.starts_with("HTTP/1.1 500 ")) << all;
    EXPECT_EQ(all.find("Set-Cookie"), std::string::npos);
  }
}

TEST(Server, RefusesOneConnectionTooMany) {
  ServerLimits limits;
  limits.connections = 1;
  TestServer server(echo(), limits);
  Peer first(server.port());
  first.send("GET / HTTP/1.1\r\n" + kHost + "\r\n");
  first.read_until("GET / ");
  Peer second(server.port());
  EXPECT_EQ(second.read_until("\r\n"), "HTTP/1.1 503 Service Unavailable\r\n");
}

TEST(Server, DrainsIdleAndWorkingConnections) {
  std::promise<void> working;
  OneShot<bool> go;
  TestServer server([&](Request& request, ResponseWriter& writer) -> Awaitable<void> {
    if (request.head.target == "/wait") {
      working.set_value();
      static_cast<void>(co_await go.get_until(kNoDeadline));
    }
    Response response;
    response.body = "done";
    static_cast<void>(co_await writer.send(std::move(response)));
  });
  Peer idle(server.port());
  idle.send("GET / HTTP/1.1\r\n" + kHost + "\r\n");
  idle.read_until("done");
  Peer busy(server.port());
  busy.send("GET /wait HTTP/1.1\r\n" + kHost + "\r\n");
  working.get_future().get();
  auto drained =
      std::async(std::launch::async, [&server] { return server.server().drain_blocking(std::chrono::seconds(10)); });
  EXPECT_EQ(idle.read_all(), "");  // its end says that the drain has begun
  go.set(true);
  const std::string all = busy.read_all();
  EXPECT_NE(all.find("Connection: close\r\n"), std::string::npos) << all;
  EXPECT_TRUE(all.ends_with("done"));
  EXPECT_TRUE(drained.get());
  EXPECT_EQ(server.server().open_connections(), 0U);
}

TEST(Server, CutsWhatDoesNotEndInTime) {
  std::promise<void> working;
  TestServer server([&](Request&, ResponseWriter& writer) -> Awaitable<void> {
    OneShot<bool> left;
    std::function<void()> callback = [left]() mutable { left.set(true); };
    writer.on_peer_closed(std::move(callback));
    working.set_value();
    static_cast<void>(co_await left.get_until(kNoDeadline));
  });
  Peer peer(server.port());
  peer.send("GET / HTTP/1.1\r\n" + kHost + "\r\n");
  working.get_future().get();
  EXPECT_FALSE(server.server().drain_blocking(std::chrono::milliseconds(20)));
  EXPECT_EQ(peer.read_all(), "");
}

TEST(Server, AConnectionGoesWhereItsRequestsAreWorkedOn) {
  Reactors* all = nullptr;
  TestServer server([&all](Request&, ResponseWriter& writer) -> Awaitable<void> {
    const bool first = all->at(0).in_this_thread();
    writer.prefer(all->at(1));
    Response response;
    response.body = first ? "first." : "second.";
    static_cast<void>(co_await writer.send(std::move(response)));
  });
  all = &server.reactors();
  // One of two connections starts on the other reactor.
  Peer one(server.port());
  Peer two(server.port());
  std::set<std::string> begun;
  for (Peer* peer : {&one, &two}) {
    std::string answer;
    for (int i = 0; i < 10; ++i) {
      peer->send("GET / HTTP/1.1\r\n" + kHost + "\r\n");
      static_cast<void>(peer->read_until("\r\n\r\n"));
      answer = peer->read_until(".");
      if (i == 0) begun.insert(answer);
    }
    EXPECT_EQ(answer, "second.");
  }
  EXPECT_EQ(begun.size(), 2U);
  // The one that was left ends after the answer has gone out on the other.
  constexpr int kTries = 1'000;
  for (int i = 0; i < kTries && server.server().open_connections() > 2; ++i) {
    one.send("GET / HTTP/1.1\r\n" + kHost + "\r\n");
    static_cast<void>(one.read_until("."));
  }
  EXPECT_EQ(server.server().open_connections(), 2U);
}

TEST(Server, SaysWhyItCannotListen) {
  TestServer server(echo());
  const auto taken = server.server().listen("127.0.0.1:" + std::to_string(server.port()), std::nullopt);
  ASSERT_FALSE(taken.has_value());
  EXPECT_FALSE(taken.error().hint.empty());
  EXPECT_FALSE(server.server().listen("nowhere", std::nullopt).has_value());
  EXPECT_FALSE(server.server().listen("127.0.0.1:x", std::nullopt).has_value());
}

TEST(AdoptedListener, ServesASocketMadeElsewhereUntilClosed) {
  RealClock clock;
  Reactors reactors(clock, 1);
  reactors.start();
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(name);
  ASSERT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&name), size), 0);
  ASSERT_EQ(::listen(fd.get(), 8), 0);
  ASSERT_EQ(::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&name), &size), 0);

  Reactor& reactor = reactors.at(0);
  const ServerLimits limits;
  OneShot<bool> left;
  std::atomic<int> connections{0};
  const auto count = [&connections] { ++connections; };
  auto listener = std::make_unique<AdoptedListener>(
      reactor, std::move(fd), limits,
      [left](Request& request, ResponseWriter& writer) -> Awaitable<void> {
        if (request.head.target == "/wait") {
          std::function<void()> callback = [left]() mutable { left.set(true); };
          writer.on_peer_closed(std::move(callback));
          OneShot<bool> waiting = left;
          static_cast<void>(co_await waiting.get_until(kNoDeadline));
        }
        Response response;
        response.body = "hello";
        static_cast<void>(co_await writer.send(std::move(response)));
      },
      count);
  Peer peer(ntohs(name.sin_port));
  peer.send("GET / HTTP/1.1\r\n" + kHost + "\r\n");
  EXPECT_TRUE(peer.read_until("hello").ends_with("hello"));
  EXPECT_EQ(connections, 1);
  peer.send("GET /wait HTTP/1.1\r\n" + kHost + "\r\n");

  Scope scope("test");
  scope.spawn(reactor, "close", [&listener]() -> Awaitable<void> {
    listener->close();
    listener->close();
    co_await listener->closed();
  });
  EXPECT_EQ(peer.read_all(), "");
  EXPECT_TRUE(scope.join_blocking(std::chrono::seconds(10)));
  listener.reset();
  reactors.stop();
}

}  // namespace
}  // namespace mayfly::http
