// The WebSocket of one connection: reading on the connection's coroutine, one writer beside it, one timer for both.
#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "http/stream.h"
#include "http/web_socket.h"
#include "http/web_socket_parser.h"

namespace mayfly::http {

class WebSocketSession final : public WebSocket, public std::enable_shared_from_this<WebSocketSession> {
 public:
  // `received`: bytes that came behind the handshake. The stream lives until finish() has returned.
  WebSocketSession(Reactor& reactor, Stream& stream, WebSocketLimits limits, std::string received);

  // On the reactor's thread:
  void start();              // sets the timer
  Awaitable<void> finish();  // the handler has returned: nothing uses the stream any more

  Awaitable<Result<WebSocketMessage>> read() override;
  Awaitable<Result<void>> send(WebSocketMessage message) override;
  void close(std::uint16_t code, std::string reason) override;
  [[nodiscard]] WebSocketEnd end() const override;
  [[nodiscard]] SystemTime last_active() const override;

 private:
  struct Outgoing {
    std::string head;
    std::string data;
    std::optional<OneShot<Result<void>>> written;  // nobody waits for a control frame
  };

  Awaitable<Result<void>> fill();
  Awaitable<void> linger();
  void touch();
  // What the connection ends by, unless that is settled; the frames behind it are dropped. False when it was settled.
  bool settle(WebSocketEnd end);
  void answer_ping(std::string payload);

  // The writer.
  void wake_writer();
  void start_writer();
  Awaitable<void> write_queue();
  Awaitable<void> flush();
  void drop_queue();

  void begin_closing();
  void set_timer();
  void check_time();
  [[nodiscard]] SteadyTime next_check() const;

  Reactor& reactor_;
  Stream* stream_;  // null behind finish()
  const WebSocketLimits limits_;
  WebSocketParser parser_;
  std::string input_;  // received and not parsed
  bool input_ended_ = false;
  bool writing_ = false;
  Signal write_done_;
  bool cut_ = false;  // a write failed or time ran out: the stream is closed

  const SteadyTime until_;  // the lifetime's end
  SteadyTime write_deadline_ = kNoDeadline;
  SteadyTime close_deadline_ = kNoDeadline;
  SteadyTime timer_at_ = kNoDeadline;
  std::optional<Reactor::TimerId> timer_;

  mutable std::mutex mutex_;  // of what follows
  std::deque<Outgoing> queue_;
  std::size_t queued_bytes_ = 0;
  bool settled_ = false;  // a close frame is queued, or none can be: nothing more is taken
  WebSocketEnd end_;
  SteadyTime active_;
  SystemTime active_at_;
};

}  // namespace mayfly::http
