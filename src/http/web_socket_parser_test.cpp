#include "http/web_socket_parser.h"

#include <gtest/gtest.h>

#include <vector>

#include "http/test_frames.h"
#include "http/web_socket.h"

namespace mayfly::http {
namespace {

using testing::client_frame;
using Kind = WebSocketEvent::Kind;

// All events of `bytes`, which arrive `step` at a time.
std::vector<WebSocketEvent> events_of(const std::string& bytes, std::size_t step) {
  WebSocketParser parser(1000, 2000);
  std::vector<WebSocketEvent> all;
  std::string waiting;
  for (std::size_t at = 0; at < bytes.size(); at += step) {
    waiting += bytes.substr(at, step);
    for (;;) {
      auto event = parser.parse(waiting);
      waiting.erase(0, event.consumed);
      if (event.kind == Kind::kNeedMore) break;
      all.push_back(event);
      if (event.kind == Kind::kFailed) return all;
    }
  }
  return all;
}

TEST(WebSocketParser, TakesMessagesFragmentsAndControlFramesInAnySteps) {
  const std::string bytes = client_frame(1, "hello") + client_frame(1, "fra", false) +
                            client_frame(9, "are you there") + client_frame(0, "gme", false) + client_frame(0, "nts") +
                            client_frame(2, std::string(300, '\xff')) + client_frame(1, "") + client_frame(10, "") +
                            client_frame(8, std::string("\x03\xe8", 2) + "bye");
  for (const std::size_t step : {1UL, 2UL, 7UL, 100UL, bytes.size()}) {
    const auto events = events_of(bytes, step);
    ASSERT_EQ(events.size(), 7U) << step;
    EXPECT_EQ(events[0].payload, "hello");
    EXPECT_FALSE(events[0].binary);
    EXPECT_EQ(events[1].kind, Kind::kPing);
    EXPECT_EQ(events[1].payload, "are you there");
    EXPECT_EQ(events[2].payload, "fragments");
    EXPECT_EQ(events[3].payload, std::string(300, '\xff'));
    EXPECT_TRUE(events[3].binary);
    EXPECT_EQ(events[4].kind, Kind::kMessage);
    EXPECT_EQ(events[4].payload, "");
    EXPECT_EQ(events[5].kind, Kind::kPong);
    EXPECT_EQ(events[6].kind, Kind::kClose);
    EXPECT_EQ(events[6].code, 1000);
    EXPECT_EQ(events[6].payload, "bye");
  }
}

TEST(WebSocketParser, RefusesWhatBreaksTheProtocol) {
  const auto code_of = [](const std::string& bytes) {
    const auto events = events_of(bytes, bytes.size());
    return events.empty() || events.back().kind != Kind::kFailed ? 0 : int{events.back().code};
  };
  EXPECT_EQ(code_of(std::string("\x81\x02hi", 4)), 1002);        // not masked
  EXPECT_EQ(code_of(std::string("\xc1\x80\0\0\0\0", 6)), 1002);  // a reserved bit
  EXPECT_EQ(code_of(client_frame(3, "x")), 1002);                // an unknown opcode
  EXPECT_EQ(code_of(client_frame(11, "x")), 1002);               // and an unknown control one
  EXPECT_EQ(code_of(client_frame(0, "x")), 1002);                // a continuation of nothing
  EXPECT_EQ(code_of(client_frame(1, "a", false) + client_frame(1, "b")), 1002);
  EXPECT_EQ(code_of(client_frame(9, "x", false)), 1002);               // a ping in fragments
  EXPECT_EQ(code_of(client_frame(9, std::string(126, 'x'))), 1002);    // and one that is too long
  EXPECT_EQ(code_of(std::string("\x81\xfe\0\x05\0\0\0\0", 8)), 1002);  // five in two bytes
  EXPECT_EQ(code_of(client_frame(1, "\xed\xa0\x80")), 1007);           // a surrogate
  EXPECT_EQ(code_of(client_frame(1, std::string(1001, 'x'))), 1009);
  EXPECT_EQ(code_of(client_frame(1, std::string(999, 'x'), false) + client_frame(0, std::string(999, 'x'), false) +
                    client_frame(0, "xxx")),
            1009);
  EXPECT_EQ(code_of(std::string("\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0", 14)), 1009);
  EXPECT_EQ(code_of(client_frame(8, "\x03")), 1002);                          // half a code
  EXPECT_EQ(code_of(client_frame(8, std::string("\x03\xed", 2))), 1002);      // 1005
  EXPECT_EQ(code_of(client_frame(8, std::string("\x03\xe8\xff", 3))), 1007);  // a reason that is no text
}

TEST(WebSocketParser, WritesHeadsAndCloses) {
  EXPECT_EQ(web_socket_head(WebSocketOpcode::kText, 125), "\x81\x7d");
  EXPECT_EQ(web_socket_head(WebSocketOpcode::kBinary, 126), std::string("\x82\x7e\0\x7e", 4));
  EXPECT_EQ(web_socket_head(WebSocketOpcode::kText, 65536), std::string("\x81\x7f\0\0\0\0\0\x01\0\0", 10));
  EXPECT_EQ(web_socket_close_payload(1001, "Going away"), "\x03\xe9Going away");
  std::string umlauts;
  for (int i = 0; i < 100; ++i) umlauts += "\xc3\xbc";
  EXPECT_EQ(web_socket_close_payload(1000, umlauts).size(), 2U + 122U);  // no half of a character
  // The example of RFC 6455, 1.3.
  EXPECT_EQ(web_socket_accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

}  // namespace
}  // namespace mayfly::http
