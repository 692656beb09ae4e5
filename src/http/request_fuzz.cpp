// libFuzzer entry for what the server accepts: no input may crash, be consumed twice, or break the parser's bounds.
// The first byte chooses the step in which a chunked body arrives.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "http/request_parser.h"

using mayfly::http::BodyFraming;
using mayfly::http::Headers;
using mayfly::http::ParsedHead;
using mayfly::http::ParseOutcome;
using mayfly::http::RequestParser;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  constexpr std::size_t kHeadBytes = 4096;
  constexpr std::uint64_t kBodyBytes = 64UL * 1024;
  const std::size_t step = std::size_t{data[0]} + 1;
  // SAFETY: any byte may be seen as a char.
  std::string_view rest(reinterpret_cast<const char*>(data + 1), size - 1);

  RequestParser parser(kHeadBytes);
  while (!rest.empty()) {
    parser.reset();
    ParsedHead head;
    const ParseOutcome outcome = parser.parse_head(rest, head);
    if (outcome.kind != ParseOutcome::Kind::kComplete) return 0;
    MAYFLY_ASSERT(outcome.consumed > 0 && outcome.consumed <= rest.size());
    MAYFLY_ASSERT(head.head.target.starts_with('/') || head.head.target == "*");
    rest.remove_prefix(outcome.consumed);
    if (head.framing == BodyFraming::kLength) {
      if (head.content_length >= rest.size()) return 0;
      rest.remove_prefix(head.content_length);
    } else if (head.framing == BodyFraming::kChunked) {
      std::string body;
      Headers trailers;
      std::size_t shown = 0;
      for (;;) {
        if (shown == rest.size()) return 0;
        shown = std::min(rest.size(), shown + step);
        const ParseOutcome part = parser.decode_chunks(rest.substr(0, shown), kBodyBytes, body, trailers);
        MAYFLY_ASSERT(body.size() <= kBodyBytes);
        if (part.kind == ParseOutcome::Kind::kRejected) return 0;
        MAYFLY_ASSERT(part.consumed <= shown);
        rest.remove_prefix(part.consumed);
        shown -= part.consumed;
        if (part.kind == ParseOutcome::Kind::kComplete) break;
      }
    }
  }
  return 0;
}
