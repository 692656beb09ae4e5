// Compressed requests: undone once, bounded, and left alone where they are somebody else's.
#include "aws/compression.h"

#include <gtest/gtest.h>
#include <zlib.h>

namespace mayfly::aws {
namespace {

std::string gzip(const std::string& text) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(compressBound(text.size()) + 64, '\0');
  std::string copy = text;
  stream.next_in = reinterpret_cast<Bytef*>(copy.data());
  stream.avail_in = static_cast<uInt>(copy.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

TEST(Compression, TheLastEncodingIsUndone) {
  http::Headers headers;
  headers.set("Content-Encoding", "custom, gzip");
  auto body = gzip("hello") + gzip(" there");
  ASSERT_TRUE(undo_gzip(headers, body));
  EXPECT_EQ(body, "hello there");
  EXPECT_EQ(headers.get("Content-Encoding"), "custom");
  ASSERT_TRUE(undo_gzip(headers, body));
  EXPECT_EQ(body, "hello there");
  headers.set("Content-Encoding", "GZIP");
  body = gzip("once");
  ASSERT_TRUE(undo_gzip(headers, body));
  EXPECT_EQ(headers.find("Content-Encoding"), nullptr);
}

TEST(Compression, ABombIsRefusedBeforeItIsHeld) {
  http::Headers headers;
  headers.set("Content-Encoding", "gzip");
  auto body = gzip(std::string(kMostUncompressedBytes + 1, 'a'));
  ASSERT_LT(body.size(), kMostUncompressedBytes / 100);
  const auto refused = undo_gzip(headers, body);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().model->status, 413);
}

TEST(Compression, WhatIsNotGzipIsRefused) {
  http::Headers headers;
  headers.set("Content-Encoding", "gzip");
  for (auto body : {std::string(), std::string("plain"), gzip("cut off").substr(0, 12), gzip("more") + "x"}) {
    const auto refused = undo_gzip(headers, body);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().model, &common_errors::SerializationException);
  }
}

}  // namespace
}  // namespace mayfly::aws
