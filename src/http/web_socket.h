// A WebSocket connection (RFC 6455) of the server: whole messages in and out, no extensions and no subprotocols of its
// own.
//
// Operation.   A handler upgrades its request (ResponseWriter::upgrade), reads messages until read() fails, and
// returns.
//              Pings are answered, fragments put together, a close answered, all within read(). Messages to the peer
//              may come from anywhere: they are queued and written in order by the connection.
// Concurrency. read() on the connection's reactor; everything else from any thread. The object may outlive the
//              connection: send() then fails.
// Limits.      WebSocketLimits. Whatever breaks the protocol or a limit ends the connection with its close code.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/async.h"
#include "base/clock.h"
#include "base/error.h"
#include "http/message.h"

namespace mayfly::http {

// Close codes of RFC 6455, 7.4.1.
namespace close_code {
inline constexpr std::uint16_t kNormal = 1000;
inline constexpr std::uint16_t kGoingAway = 1001;
inline constexpr std::uint16_t kProtocolError = 1002;
inline constexpr std::uint16_t kUnsupportedData = 1003;
inline constexpr std::uint16_t kNoStatus = 1005;  // never sent: the peer's close frame named none
inline constexpr std::uint16_t kAbnormal = 1006;  // never sent: the connection ended without a close frame
inline constexpr std::uint16_t kInvalidData = 1007;
inline constexpr std::uint16_t kPolicyViolation = 1008;
inline constexpr std::uint16_t kTooBig = 1009;
inline constexpr std::uint16_t kInternalError = 1011;
}  // namespace close_code

struct WebSocketLimits {
  std::size_t frame_bytes = 32UL * 1024;        // of one frame's payload; more is closed with 1009
  std::size_t message_bytes = 128UL * 1024;     // of a message's frames together; more is closed with 1009
  std::size_t queue_bytes = 1UL * 1024 * 1024;  // of messages that the peer has not taken; send() then fails
  std::chrono::nanoseconds idle_timeout = std::chrono::minutes(10);  // without a message or a ping; closed with 1001
  std::chrono::nanoseconds lifetime = std::chrono::hours(2);         // closed with 1001
  std::chrono::nanoseconds write_timeout = std::chrono::seconds(60);
  std::chrono::nanoseconds close_timeout = std::chrono::seconds(5);  // for the peer's answer to a close
};

struct WebSocketMessage {
  std::string data;  // UTF-8 unless binary
  bool binary = false;
};

// How a connection ended: by the peer's close frame, ours, or without one.
struct WebSocketEnd {
  std::uint16_t code = close_code::kAbnormal;
  std::string reason;
  bool by_peer = false;  // the peer said it first
};

class WebSocket {
 public:
  WebSocket() = default;
  WebSocket(const WebSocket&) = delete;
  WebSocket& operator=(const WebSocket&) = delete;
  virtual ~WebSocket() = default;

  // The next message. kClosed when there will be none: end() then says how. By one reader.
  virtual Awaitable<Result<WebSocketMessage>> read() = 0;
  // Done when the message is given to the kernel. kClosed, kThrottled (the queue is full), kTooLarge (message_bytes).
  virtual Awaitable<Result<void>> send(WebSocketMessage message) = 0;
  // Sends what is queued and a close frame, and waits for the peer's (close_timeout). read() then ends.
  virtual void close(std::uint16_t code, std::string reason) = 0;
  [[nodiscard]] virtual WebSocketEnd end() const = 0;
  // When the last message or control frame of either side passed.
  [[nodiscard]] virtual SystemTime last_active() const = 0;
};

// Whether a request asks for a WebSocket ("Upgrade: websocket" among its upgrades), rightly or not.
bool asks_for_web_socket(const RequestHead& head);
// What is wrong with the handshake: kInvalid (method, key, a body; answered 400), kUnsupported (a version that is not
// 13; answered 426 with the field "Sec-WebSocket-Version: 13").
Result<void> check_web_socket(const RequestHead& head);

}  // namespace mayfly::http
