#include "aws/compression.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>

#include "aws/json_wire.h"
#include "base/encoding.h"

namespace mayfly::aws {

namespace {

constexpr std::size_t kChunk = 64UL * 1024;

ApiError too_large() {
  static const ErrorModel kModel{.code = "RequestEntityTooLargeException", .status = 413, .sender_fault = true};
  ApiError error;
  error.model = &kModel;
  error.message = fmt::format("The request is larger than {} bytes when it is decompressed", kMostUncompressedBytes);
  return error;
}

class Inflater {
 public:
  Inflater() {
    constexpr int kGzipOnly = 16;
    MAYFLY_ASSERT(inflateInit2(&stream_, kGzipOnly + MAX_WBITS) == Z_OK);
  }
  ~Inflater() { inflateEnd(&stream_); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  ApiResult<std::string> run(std::string& body) {
    // SAFETY: char and unsigned char may alias; zlib only reads it.
    stream_.next_in = reinterpret_cast<Bytef*>(body.data());
    stream_.avail_in = static_cast<uInt>(body.size());
    std::string out;
    std::string chunk(kChunk, '\0');
    for (;;) {
      // SAFETY: as above.
      stream_.next_out = reinterpret_cast<Bytef*>(chunk.data());
      stream_.avail_out = static_cast<uInt>(chunk.size());
      const int state = inflate(&stream_, Z_NO_FLUSH);
      out.append(chunk, 0, chunk.size() - stream_.avail_out);
      if (out.size() > kMostUncompressedBytes) return std::unexpected(too_large());
      if (state == Z_STREAM_END && stream_.avail_in == 0) return out;
      // One gzip member may follow another.
      if (state == Z_STREAM_END && inflateReset(&stream_) == Z_OK) continue;
      if (state != Z_OK) return std::unexpected(serialization_error("The body is not valid gzip"));
    }
  }

 private:
  z_stream stream_{};
};

}  // namespace

ApiResult<void> undo_gzip(http::Headers& headers, std::string& body) {
  const std::string encodings(headers.get("Content-Encoding"));
  const auto comma = encodings.rfind(',');
  const auto last =
      comma == std::string::npos ? std::string_view(encodings) : std::string_view(encodings).substr(comma + 1);
  if (!iequals(trim(last), "gzip")) return {};
  auto plain = Inflater().run(body);
  if (!plain) return std::unexpected(std::move(plain.error()));
  body = std::move(*plain);
  if (comma == std::string::npos) {
    headers.erase("Content-Encoding");
  } else {
    headers.set("Content-Encoding", std::string(trim(std::string_view(encodings).substr(0, comma))));
  }
  return {};
}

}  // namespace mayfly::aws
