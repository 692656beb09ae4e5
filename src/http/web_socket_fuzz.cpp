// libFuzzer entry for what a WebSocket's client sends: no input may crash, be consumed twice, or break the parser's
// bounds, and it means the same in whatever steps it arrives. The first byte chooses the step.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "http/web_socket_parser.h"

using mayfly::http::WebSocketEvent;
using mayfly::http::WebSocketParser;

namespace {

constexpr std::size_t kFrameBytes = 300;
constexpr std::size_t kMessageBytes = 700;

std::vector<WebSocketEvent> events_of(std::string_view bytes, std::size_t step) {
  WebSocketParser parser(kFrameBytes, kMessageBytes);
  std::vector<WebSocketEvent> all;
  std::size_t begin = 0;
  for (std::size_t shown = std::min(step, bytes.size());;) {
    auto event = parser.parse(bytes.substr(begin, shown - begin));
    MAYFLY_ASSERT(event.consumed <= shown - begin);
    MAYFLY_ASSERT(event.payload.size() <= kMessageBytes);
    begin += event.consumed;
    if (event.kind != WebSocketEvent::Kind::kNeedMore) {
      const bool failed = event.kind == WebSocketEvent::Kind::kFailed;
      all.push_back(std::move(event));
      if (failed) return all;
      continue;
    }
    if (shown == bytes.size()) return all;
    shown = std::min(shown + step, bytes.size());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  // SAFETY: any byte may be seen as a char.
  const std::string_view bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  const auto whole = events_of(bytes, std::max<std::size_t>(bytes.size(), 1));
  const auto parts = events_of(bytes, std::size_t{data[0]} + 1);
  MAYFLY_ASSERT(whole.size() == parts.size());
  for (std::size_t i = 0; i < whole.size(); ++i) {
    MAYFLY_ASSERT(whole[i].kind == parts[i].kind && whole[i].payload == parts[i].payload);
    MAYFLY_ASSERT(whole[i].code == parts[i].code && whole[i].binary == parts[i].binary);
  }
  return 0;
}
