#include "http/web_socket_session.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include "base/log.h"

namespace mayfly::http {
namespace {

constexpr std::size_t kReadBytes = 8UL * 1024;
// What a peer may still send behind its own failure before the connection is cut.
constexpr std::size_t kLingerBytes = 1UL * 1024 * 1024;
const std::string kNoTail;

std::unexpected<Error> closed() { return fail(ErrorCode::kClosed, "the WebSocket is closed"); }

}  // namespace

WebSocketSession::WebSocketSession(Reactor& reactor, Stream& stream, WebSocketLimits limits, std::string received)
    : reactor_(reactor),
      stream_(&stream),
      limits_(limits),
      parser_(limits.frame_bytes, limits.message_bytes),
      input_(std::move(received)),
      until_(reactor.steady_now() + limits.lifetime),
      active_(reactor.steady_now()),
      active_at_(reactor.clock().now()) {}

void WebSocketSession::start() { set_timer(); }

Awaitable<Result<WebSocketMessage>> WebSocketSession::read() {
  using Kind = WebSocketEvent::Kind;
  for (;;) {
    auto event = parser_.parse(input_);
    input_.erase(0, event.consumed);
    if (event.kind != Kind::kNeedMore) touch();
    switch (event.kind) {
      case Kind::kMessage: {
        const std::lock_guard lock(mutex_);
        // What comes behind our close frame is nobody's.
        if (settled_) continue;
        WebSocketMessage message{.data = std::move(event.payload), .binary = event.binary};
        co_return message;
      }
      case Kind::kPing:
        answer_ping(std::move(event.payload));
        continue;
      case Kind::kPong:
        continue;
      case Kind::kClose:
        settle({.code = event.code, .reason = std::move(event.payload), .by_peer = true});
        input_ended_ = true;
        co_await flush();
        co_return closed();
      case Kind::kFailed:
        settle({.code = event.code, .reason = std::move(event.payload), .by_peer = false});
        co_await linger();
        co_return closed();
      case Kind::kNeedMore:
        break;
    }
    const auto more = co_await fill();
    if (more) continue;
    {
      const std::lock_guard lock(mutex_);
      settled_ = true;  // end_ stays what it was: abnormal, or our own close
    }
    co_return closed();
  }
}

Awaitable<Result<void>> WebSocketSession::fill() {
  if (input_ended_ || cut_) co_return closed();
  const std::size_t before = input_.size();
  input_.resize(before + kReadBytes);
  const auto count = co_await stream_->read_some(input_.data() + before, kReadBytes);
  input_.resize(before + (count ? *count : 0));
  if (count && *count > 0) co_return Result<void>();
  input_ended_ = true;
  co_return closed();
}

// Closing with bytes unread makes the kernel send a reset, which may overtake the close frame.
Awaitable<void> WebSocketSession::linger() {
  begin_closing();
  co_await flush();
  if (cut_) co_return;
  co_await stream_->shutdown();
  for (std::size_t dropped = 0; dropped < kLingerBytes; dropped += input_.size()) {
    input_.clear();
    const auto more = co_await fill();
    if (!more) co_return;
  }
}

Awaitable<Result<void>> WebSocketSession::send(WebSocketMessage message) {
  if (message.data.size() > limits_.message_bytes) co_return fail(ErrorCode::kTooLarge, "the message is too large");
  OneShot<Result<void>> written;
  {
    const std::lock_guard lock(mutex_);
    if (settled_) co_return closed();
    if (queued_bytes_ + message.data.size() > limits_.queue_bytes) {
      co_return fail(ErrorCode::kThrottled, "the peer does not take its messages fast enough");
    }
    const auto opcode = message.binary ? WebSocketOpcode::kBinary : WebSocketOpcode::kText;
    queued_bytes_ += message.data.size();
    queue_.push_back(
        {.head = web_socket_head(opcode, message.data.size()), .data = std::move(message.data), .written = written});
  }
  wake_writer();
  auto result = co_await written.get_until(kNoDeadline);
  co_return std::move(*result);
}

void WebSocketSession::answer_ping(std::string payload) {
  {
    const std::lock_guard lock(mutex_);
    // "May elect to send a pong for only the most recently processed ping" (5.5.3): a flood fills no memory.
    if (settled_ || queued_bytes_ + payload.size() > limits_.queue_bytes) return;
    queued_bytes_ += payload.size();
    auto head = web_socket_head(WebSocketOpcode::kPong, payload.size());
    queue_.push_back({.head = std::move(head), .data = std::move(payload), .written = {}});
  }
  wake_writer();
}

bool WebSocketSession::settle(WebSocketEnd end) {
  {
    const std::lock_guard lock(mutex_);
    if (settled_) return false;
    settled_ = true;
    std::string payload;
    // An empty close is answered by an empty one.
    if (end.code != close_code::kNoStatus) payload = web_socket_close_payload(end.code, end.reason);
    end_ = std::move(end);
    auto head = web_socket_head(WebSocketOpcode::kClose, payload.size());
    queue_.push_back({.head = std::move(head), .data = std::move(payload), .written = {}});
  }
  wake_writer();
  return true;
}

void WebSocketSession::close(std::uint16_t code, std::string reason) {
  if (!settle({.code = code, .reason = std::move(reason), .by_peer = false})) return;
  std::weak_ptr<WebSocketSession> weak = weak_from_this();
  reactor_.post([weak] {
    const auto self = weak.lock();
    if (self && self->stream_ != nullptr) self->begin_closing();
  });
}

WebSocketEnd WebSocketSession::end() const {
  const std::lock_guard lock(mutex_);
  return end_;
}

SystemTime WebSocketSession::last_active() const {
  const std::lock_guard lock(mutex_);
  return active_at_;
}

void WebSocketSession::touch() {
  const std::lock_guard lock(mutex_);
  active_ = reactor_.steady_now();
  active_at_ = reactor_.clock().now();
}

void WebSocketSession::wake_writer() {
  if (reactor_.in_this_thread()) {
    start_writer();
    return;
  }
  reactor_.post([self = shared_from_this()] { self->start_writer(); });
}

void WebSocketSession::start_writer() {
  if (writing_ || stream_ == nullptr || cut_) return;
  {
    const std::lock_guard lock(mutex_);
    if (queue_.empty()) return;
  }
  writing_ = true;
  auto self = shared_from_this();
  boost::asio::co_spawn(reactor_.io(), write_queue(), [self](const std::exception_ptr& error) {
    if (error) log(Level::kError, "an exception left the writer of a WebSocket");
    self->writing_ = false;
    self->start_writer();  // for what was queued since it looked last
    if (!self->writing_) self->write_done_.notify_all();
  });
}

Awaitable<void> WebSocketSession::write_queue() {
  for (;;) {
    Outgoing next;
    {
      const std::lock_guard lock(mutex_);
      if (queue_.empty() || cut_) co_return;
      next = std::move(queue_.front());
      queue_.pop_front();
    }
    write_deadline_ = reactor_.steady_now() + limits_.write_timeout;
    set_timer();
    auto written = co_await stream_->write(next.head, next.data, kNoTail);
    write_deadline_ = kNoDeadline;
    if (written) touch();
    {
      const std::lock_guard lock(mutex_);
      queued_bytes_ -= std::min(queued_bytes_, next.data.size());
      // Its reader hears of it by its own read.
      if (!written) settled_ = true;
    }
    if (next.written) next.written->set(written ? Result<void>() : closed());
    if (written) continue;
    cut_ = true;
    stream_->close();
    drop_queue();
    co_return;
  }
}

// Until what is queued has been written, or never will be.
Awaitable<void> WebSocketSession::flush() {
  start_writer();
  while (writing_) static_cast<void>(co_await write_done_.wait_until(kNoDeadline));
}

void WebSocketSession::drop_queue() {
  std::deque<Outgoing> dropped;
  {
    const std::lock_guard lock(mutex_);
    dropped.swap(queue_);
    queued_bytes_ = 0;
  }
  for (auto& one : dropped) {
    if (one.written) one.written->set(closed());
  }
}

Awaitable<void> WebSocketSession::finish() {
  // A handler that returned before the end: there is nobody to read any more.
  settle({.code = close_code::kInternalError, .reason = {}, .by_peer = false});
  begin_closing();
  co_await flush();
  drop_queue();
  if (timer_) reactor_.cancel_timer(*timer_);
  timer_.reset();
  stream_ = nullptr;
}

void WebSocketSession::begin_closing() {
  if (close_deadline_ == kNoDeadline) close_deadline_ = reactor_.steady_now() + limits_.close_timeout;
  set_timer();
}

SteadyTime WebSocketSession::next_check() const {
  const std::lock_guard lock(mutex_);
  const auto idle = settled_ ? kNoDeadline : std::min(active_ + limits_.idle_timeout, until_);
  return std::min({idle, write_deadline_, close_deadline_});
}

// A deadline that moves on costs no timer operation: the timer looks again when it fires.
void WebSocketSession::set_timer() {
  const auto when = next_check();
  if (timer_ && timer_at_ <= when) return;
  if (timer_) reactor_.cancel_timer(*timer_);
  timer_.reset();
  if (when == kNoDeadline) return;
  timer_at_ = when;
  std::weak_ptr<WebSocketSession> weak = weak_from_this();
  timer_ = reactor_.call_at(when, [weak] {
    if (auto self = weak.lock()) self->check_time();
  });
}

void WebSocketSession::check_time() {
  timer_.reset();
  if (stream_ == nullptr) return;
  const auto now = reactor_.steady_now();
  if (now >= write_deadline_ || now >= close_deadline_) {
    cut_ = true;
    stream_->close();
    drop_queue();
    return;
  }
  if (now >= next_check()) close(close_code::kGoingAway, "Going away");
  set_timer();
}

}  // namespace mayfly::http
