#include "http/request_parser.h"

#include <gtest/gtest.h>

namespace mayfly::http {
namespace {

constexpr std::size_t kLimit = 1024;

ParseOutcome parse(std::string_view text, ParsedHead& head) {
  RequestParser parser(kLimit);
  parser.reset();
  return parser.parse_head(text, head);
}

int status_of(std::string_view text) {
  ParsedHead head;
  const auto outcome = parse(text, head);
  if (outcome.kind == ParseOutcome::Kind::kNeedMore) return 100;
  return outcome.kind == ParseOutcome::Kind::kComplete ? 200 : outcome.status;
}

TEST(RequestParser, ReadsAHeadAndLeavesTheRest) {
  ParsedHead head;
  const std::string text = "POST /a?b HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nX-A:  b \r\n\r\n";
  const auto outcome = parse(text + "abcGET", head);
  ASSERT_EQ(outcome.kind, ParseOutcome::Kind::kComplete) << outcome.reason;
  EXPECT_EQ(outcome.consumed, text.size());
  EXPECT_EQ(head.head.method, "POST");
  EXPECT_EQ(head.head.target, "/a?b");
  EXPECT_EQ(head.head.headers.get("x-a"), "b");
  EXPECT_EQ(head.framing, BodyFraming::kLength);
  EXPECT_EQ(head.content_length, 3U);
  EXPECT_TRUE(head.keep_alive);
}

TEST(RequestParser, TakesAHeadByteByByte) {
  const std::string text = "\r\nGET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
  RequestParser parser(kLimit);
  parser.reset();
  ParsedHead head;
  for (std::size_t size = 0; size < text.size(); ++size) {
    ASSERT_EQ(parser.parse_head(text.substr(0, size), head).kind, ParseOutcome::Kind::kNeedMore) << size;
  }
  ASSERT_EQ(parser.parse_head(text, head).kind, ParseOutcome::Kind::kComplete);
  EXPECT_FALSE(head.keep_alive);
}

TEST(RequestParser, RefusesWhatCouldBeReadInTwoWays) {
  const std::string start = "POST / HTTP/1.1\r\nHost: h\r\n";
  EXPECT_EQ(status_of(start + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"), 400);
  EXPECT_EQ(status_of(start + "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n"), 400);
  EXPECT_EQ(status_of(start + "Content-Length: 3\r\nContent-Length: 3\r\n\r\n"), 400);
  EXPECT_EQ(status_of(start + "Content-Length: 3, 3\r\n\r\n"), 400);
  EXPECT_EQ(status_of(start + "Content-Length: +3\r\n\r\n"), 400);
  EXPECT_EQ(status_of(start + "Content-Length: 0x3\r\n\r\n"), 400);
  EXPECT_EQ(status_of(start + "Content-Length: \r\n\r\n"), 400);
  EXPECT_EQ(status_of(start + "Content-Length: 99999999999999999999\r\n\r\n"), 400);
  EXPECT_EQ(status_of(start + "Content-Length : 3\r\n\r\n"), 400);
  EXPECT_EQ(status_of(start + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"), 400);
  EXPECT_EQ(status_of(start + "Transfer-Encoding: gzip, chunked\r\n\r\n"), 501);
  EXPECT_EQ(status_of(start + "Transfer-Encoding: xchunked\r\n\r\n"), 501);
  EXPECT_EQ(status_of("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400);
  EXPECT_EQ(status_of(start + "X: a\r\n b\r\n\r\n"), 400);
  EXPECT_EQ(status_of(start + "X: a\nY: b\r\n\r\n"), 400);
  EXPECT_EQ(status_of(start + "X: a\rY: b\r\n\r\n"), 400);
  EXPECT_EQ(status_of("GET / HTTP/1.1\nHost: h\n\n"), 400);
  EXPECT_EQ(status_of(start + std::string("X: a\0b\r\n\r\n", 10)), 400);
  EXPECT_EQ(status_of("GET / HTTP/1.1\r\n Host: h\r\n\r\n"), 400);
}

TEST(RequestParser, RefusesMalformedHeads) {
  EXPECT_EQ(status_of("GET / HTTP/1.1\r\n\r\n"), 400);  // no Host
  EXPECT_EQ(status_of("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), 400);
  EXPECT_EQ(status_of("GET a HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
  EXPECT_EQ(status_of("G@T / HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
  EXPECT_EQ(status_of("GET / HTTP/2.0\r\nHost: a\r\n\r\n"), 505);
  EXPECT_EQ(status_of("GET  / HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
  EXPECT_EQ(status_of("\x16\x03\x01 TLS to a plain port \r\n\r\n"), 400);
  EXPECT_EQ(status_of("GET / HTTP/1.1\r\nHost: a\r\nExpect: wonders\r\n\r\n"), 417);
  EXPECT_EQ(status_of("GET / HTTP/1.0\r\n\r\n"), 200);
}

TEST(RequestParser, BoundsTheHead) {
  EXPECT_EQ(status_of("GET /" + std::string(kLimit, 'a')), 431);
  EXPECT_EQ(status_of("GET /" + std::string(kLimit, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n"), 431);
}

TEST(RequestParser, KeepsThePathOfAnAbsoluteTarget) {
  ParsedHead head;
  parse("GET http://h:1/a?b HTTP/1.1\r\nHost: h\r\n\r\n", head);
  EXPECT_EQ(head.head.target, "/a?b");
  parse("GET http://h?b HTTP/1.1\r\nHost: h\r\n\r\n", head);
  EXPECT_EQ(head.head.target, "/?b");
}

struct Decoded {
  ParseOutcome last;
  std::string body;
  Headers trailers;
};

// Feeds `text` in steps of `step` bytes as a connection does: what is not consumed comes again.
Decoded decode(const std::string& text, std::size_t step, std::uint64_t limit = 1000) {
  RequestParser parser(kLimit);
  parser.reset();
  ParsedHead head;
  parser.parse_head("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n", head);
  Decoded result;
  std::string buffered;
  for (std::size_t at = 0; at < text.size() && result.last.kind == ParseOutcome::Kind::kNeedMore; at += step) {
    buffered += text.substr(at, step);
    result.last = parser.decode_chunks(buffered, limit, result.body, result.trailers);
    buffered.erase(0, result.last.consumed);
  }
  return result;
}

TEST(RequestParser, DecodesChunksAtEverySplit) {
  const std::string text = "5\r\nhello\r\n6;ext=1\r\n world\r\n0\r\nX-Sum: 9\r\n\r\n";
  for (std::size_t step = 1; step <= text.size(); ++step) {
    const auto decoded = decode(text, step);
    EXPECT_EQ(decoded.last.kind, ParseOutcome::Kind::kComplete) << step << decoded.last.reason;
    EXPECT_EQ(decoded.body, "hello world") << step;
    EXPECT_EQ(decoded.trailers.get("x-sum"), "9") << step;
  }
}

TEST(RequestParser, TakesAnEmptyBodyAtEverySplit) {
  const std::string text = "0\r\n\r\n";
  for (std::size_t step = 1; step <= text.size(); ++step) {
    EXPECT_EQ(decode(text, step).last.kind, ParseOutcome::Kind::kComplete) << step;
  }
}

TEST(RequestParser, RefusesBadAndLargeChunks) {
  EXPECT_EQ(decode("x\r\n\r\n", 9).last.status, 400);
  EXPECT_EQ(decode("5\nhello\r\n0\r\n\r\n", 99).last.status, 400);
  EXPECT_EQ(decode("5\r\nhelloX\r\n0\r\n\r\n", 99).last.status, 400);
  EXPECT_EQ(decode("-5\r\nhello\r\n", 99).last.status, 400);
  EXPECT_EQ(decode("0x5\r\nhello\r\n\r\n", 99).last.status, 400);
  EXPECT_EQ(decode("fffffffffffffffff\r\n", 99).last.status, 400);
  EXPECT_EQ(decode("6\r\nhello!\r\n5\r\n", 99, 10).last.status, 413);
  EXPECT_EQ(decode("0\r\nX: " + std::string(3 * kLimit, 'a'), 512).last.status, 431);
}

}  // namespace
}  // namespace mayfly::http
