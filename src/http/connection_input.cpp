// Reading into the connection's buffer, the watch for the peer's end, and the deadline.
#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <cstring>

#include "base/log.h"
#include "http/connection.h"

namespace mayfly::http {
namespace {

constexpr std::size_t kFirstBufferBytes = 16UL * 1024;
// Beyond the largest head: what of a body came along with it.
constexpr std::size_t kSpareBytes = 16UL * 1024;
constexpr std::size_t kLeastReadBytes = 4096;

}  // namespace

bool Connection::make_room() {
  if (input_begin_ == input_end_) {
    input_begin_ = input_end_ = 0;
  } else if (input_.size() - input_end_ < kLeastReadBytes && input_begin_ > 0) {
    std::memmove(input_.data(), input_.data() + input_begin_, input_end_ - input_begin_);
    input_end_ -= input_begin_;
    input_begin_ = 0;
  }
  if (input_.size() - input_end_ >= kLeastReadBytes) return true;
  const std::size_t most = group_->limits.header_bytes + kSpareBytes;
  if (input_.size() >= most && input_.size() == input_end_) return false;
  input_.resize(std::clamp(input_.size() * 2, std::min(kFirstBufferBytes, most), most));
  return input_.size() > input_end_;
}

// More bytes in the buffer, or kTimeout, kClosed (also at the peer's end), kTooLarge (no room).
Awaitable<Result<void>> Connection::fill() {
  timed_out_ = false;
  if (reading_) {
    // The watch's read is under way; what it brings is ours.
    const std::size_t before = input_end_;
    while (reading_) static_cast<void>(co_await read_done_.wait_until(kNoDeadline));
    if (input_end_ > before) co_return Result<void>();
    if (timed_out_) co_return fail(ErrorCode::kTimeout, "the peer is too slow");
  }
  if (input_ended_) co_return fail(ErrorCode::kClosed, "the peer closed the connection");
  if (!make_room()) co_return fail(ErrorCode::kTooLarge, "the input buffer is full");
  const auto count = co_await stream_->read_some(input_.data() + input_end_, input_.size() - input_end_);
  if (count && *count > 0) {
    input_end_ += *count;
    co_return Result<void>();
  }
  if (timed_out_) co_return fail(ErrorCode::kTimeout, "the peer is too slow");
  input_ended_ = true;
  co_return fail(ErrorCode::kClosed, "the peer closed the connection");
}

void Connection::on_peer_closed(std::function<void()> callback) {
  on_closed_ = std::move(callback);
  if (!on_closed_) return;
  if (input_ended_) {
    // Soon, but not within this call: the handler has not gone on to wait for what its callback will say.
    auto self = shared_from_this();
    reactor_.post([self] { self->peer_ended(); });
    return;
  }
  watch_for_end();
}

// The end can be seen only by reading, so a read is kept under way while the handler works. It is never cancelled: the
// next request's first bytes complete it. It starts when no byte of the body is still to come, as until then the
// handler's own reads see the end.
void Connection::watch_for_end() {
  if (reading_ || input_ended_ || !on_closed_ || !in_handler_ || !body_is_here()) return;
  if (!make_room()) return;
  reading_ = true;
  auto self = shared_from_this();
  boost::asio::co_spawn(reactor_.io(), watch(), [self](const std::exception_ptr& error) {
    if (error) log(Level::kError, "an exception left the watch of an HTTP connection");
    self->reading_ = false;
    self->read_done_.notify();
    if (self->input_ended_) self->peer_ended();
  });
}

Awaitable<void> Connection::watch() {
  for (;;) {
    const auto count = co_await stream_->read_some(input_.data() + input_end_, input_.size() - input_end_);
    if (!count || *count == 0) {
      // Our own deadline is not the peer's end.
      input_ended_ = !timed_out_;
      co_return;
    }
    input_end_ += *count;
    // A pipelined request: the peer is there. The buffer must not move while the handler may hold views of it, so the
    // watch goes on only as far as there is room.
    if (!on_closed_ || input_end_ == input_.size()) co_return;
  }
}

void Connection::peer_ended() {
  if (!on_closed_) return;
  const auto callback = std::exchange(on_closed_, nullptr);
  callback();
}

void Connection::set_deadline(std::chrono::nanoseconds from_now) {
  deadline_ = reactor_.steady_now() + from_now;
  if (timer_ && timer_at_ <= deadline_) return;
  if (timer_) reactor_.cancel_timer(*timer_);
  // The timer comes at least as often as the shortest timeout, so that no deadline set later lies before it.
  const auto& limits = group_->limits;
  const auto shortest =
      std::min({limits.header_timeout, limits.body_timeout, limits.write_timeout, limits.idle_timeout, from_now});
  set_timer(reactor_.steady_now() + shortest);
}

void Connection::set_timer(SteadyTime when) {
  timer_at_ = when;
  std::weak_ptr<Connection> weak = weak_from_this();
  timer_ = reactor_.call_at(when, [weak] {
    if (auto self = weak.lock()) self->check_deadline();
  });
}

void Connection::check_deadline() {
  timer_.reset();
  const SteadyTime now = reactor_.steady_now();
  if (deadline_ <= now) {
    timed_out_ = true;
    clear_deadline();
    stream_->cancel();
    return;
  }
  const auto& limits = group_->limits;
  const auto shortest =
      std::min({limits.header_timeout, limits.body_timeout, limits.write_timeout, limits.idle_timeout});
  // While a handler works nothing is waited for, and the next deadline sets the timer again.
  if (deadline_ != kNoDeadline) set_timer(std::min(deadline_, now + shortest));
}

}  // namespace mayfly::http
