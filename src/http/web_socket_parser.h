// What a client of a WebSocket sends, without sockets: bytes in, messages and control frames out (RFC 6455, 5).
//
// Of our own, and not Beast's: that one owns its socket, where ours are behind one interface (Stream), and has a bound
// for a message but none for a frame.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace mayfly::http {

struct WebSocketEvent {
  enum class Kind : std::uint8_t { kNeedMore, kMessage, kPing, kPong, kClose, kFailed };
  Kind kind = Kind::kNeedMore;
  std::size_t consumed = 0;   // bytes of the input that are done with
  bool binary = false;        // of a message
  std::string payload{};      // of a message, a ping, a pong; the reason of a close or a failure
  std::uint16_t code = 1005;  // of a close (kNoStatus where it named none) or a failure
};

class WebSocketParser {
 public:
  WebSocketParser(std::size_t frame_bytes, std::size_t message_bytes)
      : frame_bytes_(frame_bytes), message_bytes_(message_bytes) {}
  // Takes what it can up to the first event. `bytes` goes on where the last call's `consumed` ended. After kFailed
  // nothing that follows has a meaning.
  WebSocketEvent parse(std::string_view bytes);

 private:
  // The frame whose payload is being taken.
  struct Frame {
    bool final = false;
    std::uint8_t opcode = 0;
    std::uint64_t left = 0;
    std::array<char, 4> mask{};
    std::size_t mask_at = 0;
  };
  // The head's length, 0 when it is not whole; `failed` is set where it may not be.
  std::size_t parse_head(std::string_view bytes, WebSocketEvent& failed);
  WebSocketEvent finish_frame();
  static WebSocketEvent close_event(std::string payload);

  const std::size_t frame_bytes_;
  const std::size_t message_bytes_;
  Frame frame_;
  bool in_frame_ = false;
  bool in_message_ = false;  // fragments of `message_` have come and the last one has not
  bool binary_ = false;
  std::string message_;
  std::string control_;
};

// The head of a frame that a server sends: whole messages, never masked.
enum class WebSocketOpcode : std::uint8_t {
  kContinuation = 0,
  kText = 1,
  kBinary = 2,
  kClose = 8,
  kPing = 9,
  kPong = 10
};
std::string web_socket_head(WebSocketOpcode opcode, std::size_t payload_bytes);
// A close frame's payload; what of the reason is beyond 123 bytes is cut at a character's end.
std::string web_socket_close_payload(std::uint16_t code, std::string_view reason);
// Sec-WebSocket-Accept for a Sec-WebSocket-Key.
std::string web_socket_accept(std::string_view key);

}  // namespace mayfly::http
