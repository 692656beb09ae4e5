// What a server accepts as an HTTP/1.1 request, without sockets: bytes in, a head or decoded chunks or a refusal out.
// Beast recognises the grammar; the rules beyond it (what a proxy in front might read differently) are checked here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "http/message.h"

namespace mayfly::http {

enum class BodyFraming : std::uint8_t { kNone, kLength, kChunked };

struct ParsedHead {
  RequestHead head;
  BodyFraming framing = BodyFraming::kNone;
  std::uint64_t content_length = 0;
  bool is_http_1_1 = true;
  bool keep_alive = true;
  bool expects_continue = false;
};

struct ParseOutcome {
  enum class Kind : std::uint8_t { kNeedMore, kComplete, kRejected };
  Kind kind = Kind::kNeedMore;
  std::size_t consumed = 0;   // bytes of the input that are done with
  int status = 0;             // of a refusal: 400, 413, 431, 501, 505
  std::string_view reason{};  // of a refusal; static text
};

// One request: reset(), parse_head() until it is complete, and for a chunked body decode_chunks() until it is.
class RequestParser {
 public:
  explicit RequestParser(std::size_t header_bytes);
  ~RequestParser();
  RequestParser(const RequestParser&) = delete;
  RequestParser& operator=(const RequestParser&) = delete;

  void reset();
  // `bytes` starts at the head and grows from call to call. Nothing is consumed before the head is whole.
  ParseOutcome parse_head(std::string_view bytes, ParsedHead& out);
  // Appends the data of what chunks `bytes` holds to `body`. More than `body_bytes` in all is refused with 413.
  ParseOutcome decode_chunks(std::string_view bytes, std::uint64_t body_bytes, std::string& body, Headers& trailers);

 private:
  struct Impl;
  std::size_t header_bytes_;
  std::size_t scanned_ = 0;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mayfly::http
