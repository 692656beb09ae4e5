#include "http/web_socket_parser.h"

#include <openssl/evp.h>

#include <algorithm>

#include "base/encoding.h"
#include "base/error.h"
#include "http/web_socket.h"

namespace mayfly::http {
namespace {

constexpr std::size_t kMostControlBytes = 125;  // of a control frame's payload

std::uint8_t byte_at(std::string_view bytes, std::size_t i) { return static_cast<std::uint8_t>(bytes[i]); }

bool is_control(std::uint8_t opcode) { return (opcode & 8U) != 0; }

WebSocketEvent failure(std::uint16_t code, const char* reason) {
  return WebSocketEvent{.kind = WebSocketEvent::Kind::kFailed, .payload = reason, .code = code};
}

// Codes that an endpoint may put into a close frame (RFC 6455, 7.4): 1004 to 1006 and 1015 stand for what no frame
// said.
bool may_be_sent(std::uint16_t code) {
  if (code >= 3000) return code < 5000;
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014);
}

}  // namespace

std::size_t WebSocketParser::parse_head(std::string_view bytes, WebSocketEvent& failed) {
  if (bytes.size() < 2) return 0;
  const std::uint8_t first = byte_at(bytes, 0);
  const std::uint8_t second = byte_at(bytes, 1);
  const auto refuse = [&](std::uint16_t code, const char* reason) {
    failed = failure(code, reason);
    return std::size_t{0};
  };
  frame_ = Frame();
  frame_.final = (first & 0x80U) != 0;
  frame_.opcode = first & 0x0FU;
  if ((first & 0x70U) != 0) return refuse(close_code::kProtocolError, "a reserved bit is set");
  if ((frame_.opcode & 7U) > 2) return refuse(close_code::kProtocolError, "an opcode that is not known");
  if ((second & 0x80U) == 0) return refuse(close_code::kProtocolError, "a client's frame must be masked");
  std::uint64_t length = second & 0x7FU;
  if (is_control(frame_.opcode)) {
    if (!frame_.final) return refuse(close_code::kProtocolError, "a control frame in fragments");
    if (length > kMostControlBytes) return refuse(close_code::kProtocolError, "a control frame is too long");
  } else if (frame_.opcode == 0 && !in_message_) {
    return refuse(close_code::kProtocolError, "a continuation of nothing");
  } else if (frame_.opcode != 0 && in_message_) {
    return refuse(close_code::kProtocolError, "a message within another one");
  }
  const std::size_t extra = length == 126 ? 2 : length == 127 ? 8 : 0;
  const std::size_t head = 2 + extra + frame_.mask.size();
  if (bytes.size() < head) return 0;
  if (extra > 0) {
    length = 0;
    for (std::size_t i = 0; i < extra; ++i) length = length << 8U | byte_at(bytes, 2 + i);
    // "The minimal number of bytes MUST be used"; the highest bit of eight bytes must be 0, which the bound sees to.
    if (length < (extra == 2 ? 126U : 65536U)) return refuse(close_code::kProtocolError, "a length in too many bytes");
  }
  if (length > frame_bytes_) return refuse(close_code::kTooBig, "the frame is too large");
  if (!is_control(frame_.opcode) && message_.size() + length > message_bytes_) {
    return refuse(close_code::kTooBig, "the message is too large");
  }
  frame_.left = length;
  std::copy_n(bytes.data() + 2 + extra, frame_.mask.size(), frame_.mask.begin());
  return head;
}

WebSocketEvent WebSocketParser::parse(std::string_view bytes) {
  std::size_t consumed = 0;
  for (;;) {
    if (!in_frame_) {
      WebSocketEvent failed;
      const std::size_t head = parse_head(bytes.substr(consumed), failed);
      if (head == 0) {
        failed.consumed = consumed;
        return failed;  // or kNeedMore, which an event is from the start
      }
      consumed += head;
      in_frame_ = true;
      if (!is_control(frame_.opcode) && frame_.opcode != 0) binary_ = frame_.opcode == 2;
    }
    const auto part = bytes.substr(consumed, std::min<std::uint64_t>(frame_.left, bytes.size() - consumed));
    std::string& into = is_control(frame_.opcode) ? control_ : message_;
    const std::size_t before = into.size();
    into.append(part);
    for (std::size_t i = before; i < into.size(); ++i) {
      into[i] = static_cast<char>(into[i] ^ frame_.mask.at(frame_.mask_at++ % frame_.mask.size()));
    }
    consumed += part.size();
    frame_.left -= part.size();
    if (frame_.left > 0) return WebSocketEvent{.consumed = consumed};
    in_frame_ = false;
    auto event = finish_frame();
    if (event.kind == WebSocketEvent::Kind::kNeedMore) continue;
    event.consumed = consumed;
    return event;
  }
}

// The event that a whole frame makes; kNeedMore for a fragment.
WebSocketEvent WebSocketParser::finish_frame() {
  using Kind = WebSocketEvent::Kind;
  WebSocketEvent event;
  if (is_control(frame_.opcode)) {
    event.payload = std::exchange(control_, {});
    if (frame_.opcode == 8) return close_event(std::move(event.payload));
    event.kind = frame_.opcode == 9 ? Kind::kPing : Kind::kPong;
    return event;
  }
  in_message_ = !frame_.final;
  if (in_message_) return event;
  event.kind = Kind::kMessage;
  event.binary = binary_;
  event.payload = std::exchange(message_, {});
  if (!binary_ && !is_valid_utf8(event.payload)) return failure(close_code::kInvalidData, "a text is no UTF-8");
  return event;
}

WebSocketEvent WebSocketParser::close_event(std::string payload) {
  WebSocketEvent event{.kind = WebSocketEvent::Kind::kClose};
  if (payload.empty()) return event;
  if (payload.size() == 1) return failure(close_code::kProtocolError, "half a close code");
  event.code = static_cast<std::uint16_t>(byte_at(payload, 0) << 8U | byte_at(payload, 1));
  if (!may_be_sent(event.code)) return failure(close_code::kProtocolError, "a close code that may not be sent");
  payload.erase(0, 2);
  if (!is_valid_utf8(payload)) return failure(close_code::kInvalidData, "a close reason is no UTF-8");
  event.payload = std::move(payload);
  return event;
}

std::string web_socket_head(WebSocketOpcode opcode, std::size_t payload_bytes) {
  std::string head(1, static_cast<char>(0x80U | static_cast<std::uint8_t>(opcode)));
  std::size_t length_bytes = 0;
  if (payload_bytes < 126) {
    head += static_cast<char>(payload_bytes);
  } else {
    length_bytes = payload_bytes < 65536 ? 2 : 8;
    head += static_cast<char>(length_bytes == 2 ? 126 : 127);
  }
  for (std::size_t i = length_bytes; i-- > 0;) head += static_cast<char>(payload_bytes >> (8U * i) & 0xFFU);
  return head;
}

std::string web_socket_close_payload(std::uint16_t code, std::string_view reason) {
  std::string payload;
  payload += static_cast<char>(code >> 8U);
  payload += static_cast<char>(code & 0xFFU);
  reason = reason.substr(0, kMostControlBytes - payload.size());
  while (!is_valid_utf8(reason)) reason.remove_suffix(1);
  return payload.append(reason);
}

std::string web_socket_accept(std::string_view key) {
  std::string text(key);
  text.append("258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  const int made = EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha1(), nullptr);
  MAYFLY_ASSERT(made == 1);
  // SAFETY: any byte may be seen as a char.
  return base64_encode({reinterpret_cast<const char*>(digest.data()), size});
}

}  // namespace mayfly::http
