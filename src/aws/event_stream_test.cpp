#include "aws/event_stream.h"

#include <gtest/gtest.h>

#include "aws/checksum.h"
#include "base/encoding.h"

namespace mayfly::aws {
namespace {

TEST(Checksums, CheckValues) {
  EXPECT_EQ(crc32("123456789"), 0xCBF43926U);
  EXPECT_EQ(crc32("6789", crc32("12345")), 0xCBF43926U);
  EXPECT_EQ(crc32c("123456789"), 0xE3069283U);
  EXPECT_EQ(crc64_nvme("123456789"), 0xAE8B14860A799888ULL);
}

// The format's published example has other headers; the frame of a message without any is fixed by it too.
TEST(EventStream, FrameHasLengthsAndChecksums) {
  const auto message = encode_event("PayloadChunk", "application/octet-stream", "hello");
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(message[i]); };
  const auto word = [&](std::size_t i) {
    return (std::uint32_t{byte(i)} << 24U) | (std::uint32_t{byte(i + 1)} << 16U) | (std::uint32_t{byte(i + 2)} << 8U) |
           std::uint32_t{byte(i + 3)};
  };
  ASSERT_EQ(word(0), message.size());
  const auto headers = word(4);
  EXPECT_EQ(headers + 16 + 5, message.size());
  EXPECT_EQ(word(8), crc32(message.substr(0, 8)));
  EXPECT_EQ(message.substr(12, 12), std::string("\x0b:event-type", 12));
  EXPECT_EQ(message.substr(12 + headers, 5), "hello");
  EXPECT_EQ(word(message.size() - 4), crc32(message.substr(0, message.size() - 4)));
}

// Decoded and re-encoded with the event stream code of a client library.
TEST(EventStream, KnownVector) {
  EXPECT_EQ(hex_encode(encode_event("InvokeComplete", "application/json", "{}")),
            "00000066000000541f56c8690b3a6576656e742d7479706507000e496e766f6b65436f6d706c6574650d3a636f6e74656e742d7479"
            "70650700106170706c69636174696f6e2f6a736f6e0d3a6d6573736167652d747970650700056576656e747b7d7006d467");
}

TEST(EventStream, ExceptionNamesItsType) {
  const auto message = encode_exception("ServiceException", "application/json", "{}");
  EXPECT_NE(message.find(":exception-type"), std::string::npos);
  EXPECT_NE(message.find("ServiceException"), std::string::npos);
}

}  // namespace
}  // namespace mayfly::aws
