// From a request to a WebSocket (RFC 6455, 4.2).
#include <fmt/format.h>

#include <iterator>

#include "base/encoding.h"
#include "http/connection.h"
#include "http/web_socket_session.h"

namespace mayfly::http {
bool asks_for_web_socket(const RequestHead& head) { return head.headers.lists("Upgrade", "websocket"); }

Result<void> check_web_socket(const RequestHead& head) {
  if (head.method != "GET") return fail(ErrorCode::kInvalid, "the method of a WebSocket handshake is GET");
  if (!head.headers.lists("Connection", "Upgrade")) {
    return fail(ErrorCode::kInvalid, "Connection does not name Upgrade");
  }
  if (head.headers.get("Sec-WebSocket-Version") != "13") {
    return fail(ErrorCode::kUnsupported, "the version of the WebSocket protocol is 13");
  }
  const auto key = base64_decode(head.headers.get("Sec-WebSocket-Key"));
  if (!key || key->size() != 16) return fail(ErrorCode::kInvalid, "Sec-WebSocket-Key is not 16 bytes of base64");
  return Result<void>();
}

Awaitable<Result<std::shared_ptr<WebSocket>>> Connection::upgrade(Headers headers, WebSocketLimits limits) {
  if (sent_ != Sent::kNothing) co_return fail(ErrorCode::kInternal, "a response was sent already");
  if (reading_) co_return fail(ErrorCode::kInternal, "a handler that watches for the peer's end cannot upgrade");
  if (!asks_for_web_socket(head)) co_return fail(ErrorCode::kInvalid, "the request asks for no WebSocket");
  const auto checked = check_web_socket(head);
  if (!checked) co_return std::unexpected(checked.error());
  if (!parsed_.is_http_1_1) co_return fail(ErrorCode::kInvalid, "a WebSocket needs HTTP/1.1");
  if (parsed_.framing != BodyFraming::kNone && !body_done_) {
    co_return fail(ErrorCode::kInvalid, "a WebSocket handshake has no body");
  }
  if (group_->draining) co_return fail(ErrorCode::kClosed, "the server is stopping");
  output_.clear();
  fmt::format_to(std::back_inserter(output_),
                 "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 "Sec-WebSocket-Accept: {}\r\n",
                 web_socket_accept(head.headers.get("Sec-WebSocket-Key")));
  const auto added = add_fields(headers);
  if (!added) co_return std::unexpected(added.error());
  output_.append("\r\n");
  sent_ = Sent::kHead;
  const std::string none;
  const auto flushed = co_await flush(none, none);
  if (!flushed) co_return std::unexpected(flushed.error());
  sent_ = Sent::kAll;
  close_after_ = true;
  std::string received(buffered());
  consume(received.size());
  socket_ = std::make_shared<WebSocketSession>(reactor_, *stream_, limits, std::move(received));
  socket_->start();
  if (group_->draining) drain();
  std::shared_ptr<WebSocket> out = socket_;
  co_return out;
}

}  // namespace mayfly::http
