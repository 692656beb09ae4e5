#include "http/connection.h"

#include <algorithm>

#include "base/log.h"
#include "http/web_socket_session.h"

namespace mayfly::http {
namespace {

// What a handler left unread is read and dropped up to here, so that the connection can go on.
constexpr std::uint64_t kDiscardBytes = 256UL * 1024;
// Closing with bytes unread makes the kernel send a reset, which may overtake the response. So the rest is dropped for
// a moment first.
constexpr std::uint64_t kLingerBytes = 4UL * 1024 * 1024;
constexpr std::chrono::seconds kLingerTime{2};
// Requests in a row that were worked on by one other reactor before the connection goes there.
constexpr unsigned kMovesAfter = 4;

}  // namespace

Connection::Connection(std::shared_ptr<ConnectionGroup> group, Reactor& reactor, std::unique_ptr<Stream> stream,
                       Arrival arrival)
    : group_(std::move(group)),
      reactor_(reactor),
      stream_(std::move(stream)),
      parser_(group_->limits.header_bytes),
      arrival_(arrival) {}

Awaitable<void> Connection::run() {
  const auto& limits = group_->limits;
  set_deadline(arrival_ == Arrival::kMoved ? limits.idle_timeout : limits.header_timeout);
  bool alive = true;
  if (stream_->is_tls()) alive = (co_await stream_->handshake()).has_value();
  while (alive) {
    alive = co_await serve_one();
    if (alive && move_away()) alive = false;
  }
  stream_->close();
  // The watch uses this object: it ends as soon as its read sees the stream closed.
  while (reading_) static_cast<void>(co_await read_done_.wait_until(kNoDeadline));
  if (timer_) reactor_.cancel_timer(*timer_);
  timer_.reset();
}

void Connection::prefer(Reactor& reactor) {
  if (&reactor == &reactor_ || preferred_ != &reactor) preferences_ = 0;
  preferred_ = &reactor == &reactor_ ? nullptr : &reactor;
  if (preferred_ != nullptr) ++preferences_;
}

bool Connection::move_away() {
  if (preferences_ < kMovesAfter || !group_->may_move || group_->draining) return false;
  if (reading_ || input_ended_ || !buffered().empty()) return false;
  auto stream = stream_->move_to(*preferred_);
  if (!stream) return false;
  spawn_connection(group_, *preferred_, std::move(stream), Arrival::kMoved);
  return true;
}

Awaitable<void> Connection::run_refused() {
  set_deadline(kLingerTime);
  // A handshake for a connection that cannot be served would cost most just when there are too many.
  if (!stream_->is_tls()) {
    forget_head();
    co_await refuse(503);
  }
  stream_->close();
  if (timer_) reactor_.cancel_timer(*timer_);
  timer_.reset();
}

void Connection::drain() {
  if (socket_) socket_->close(close_code::kGoingAway, "Going away");
  if (idle_ && buffered().empty()) stream_->close();
}

void Connection::cut() {
  close_after_ = true;
  stream_->close();
  peer_ended();
}

// False when the connection is to be closed.
Awaitable<bool> Connection::serve_one() {
  const bool whole = co_await read_head();
  if (!whole) co_return false;

  head = std::move(parsed_.head);
  trailers_ = Headers();
  body_left_ = parsed_.content_length;
  body_done_ = parsed_.framing == BodyFraming::kNone;
  body_error_.reset();
  continue_sent_ = false;
  sent_ = Sent::kNothing;
  chunked_ = false;
  bodyless_ = false;
  response_left_.reset();
  close_after_ = false;

  if (parsed_.framing == BodyFraming::kLength && parsed_.content_length > group_->limits.body_bytes) {
    co_await refuse(413);
    co_return false;
  }
  const bool answered = co_await run_handler();
  if (!answered) co_return false;
  if (!close_after_ && !body_done_) {
    const bool discarded = co_await discard_body();
    if (!discarded) close_after_ = true;
  }
  if (close_after_) {
    co_await linger();
    co_return false;
  }
  co_return true;
}

Awaitable<bool> Connection::read_head() {
  parser_.reset();
  if (buffered().empty()) {
    if (group_->draining) co_return false;
    idle_ = true;
    const auto first = co_await fill();
    idle_ = false;
    // Nothing was asked, so nothing is answered, be it the peer's end or time.
    if (!first) co_return false;
  }
  bool waiting = false;
  for (;;) {
    const ParseOutcome outcome = parser_.parse_head(buffered(), parsed_);
    if (outcome.kind == ParseOutcome::Kind::kComplete) {
      consume(outcome.consumed);
      clear_deadline();
      co_return true;
    }
    if (outcome.kind == ParseOutcome::Kind::kRejected) {
      forget_head();
      co_await refuse(outcome.status);
      co_return false;
    }
    // One deadline for the whole head: a byte now and then does not prolong it.
    if (!waiting) set_deadline(group_->limits.header_timeout);
    waiting = true;
    const auto more = co_await fill();
    if (more) continue;
    if (more.error().code == ErrorCode::kTimeout) {
      forget_head();
      co_await refuse(408);
    }
    co_return false;
  }
}

// What follows a head that was not understood is not understood either: it counts as a body that nobody reads.
void Connection::forget_head() {
  parsed_ = ParsedHead();
  head = RequestHead();
  body_done_ = false;
  body_error_.reset();
}

// False when no whole response was sent and the connection must be cut.
Awaitable<bool> Connection::run_handler() {
  bool failed = false;
  in_handler_ = true;
  try {
    co_await group_->handler(*this, *this);
  } catch (const std::exception& error) {
    // A defect in a handler costs its request, never the process.
    log(Level::kError, "an exception left an HTTP handler", {{"what", error.what()}, {"method", head.method}});
    failed = true;
  }
  in_handler_ = false;
  on_closed_ = nullptr;
  if (socket_) {
    co_await socket_->finish();
    co_return true;
  }
  if (sent_ == Sent::kAll) {
    set_deadline(group_->limits.idle_timeout);
    co_return true;
  }
  if (sent_ == Sent::kHead) {
    // A body that ends with its connection looks whole unless the peer sees a reset.
    if (!chunked_ && !response_left_) stream_->abort();
    co_return false;
  }
  int status = 500;
  if (body_error_ == ErrorCode::kClosed || body_error_ == ErrorCode::kIo) co_return false;
  if (body_error_ == ErrorCode::kTooLarge) status = 413;
  if (body_error_ == ErrorCode::kTimeout) status = 408;
  if (body_error_ == ErrorCode::kInvalid) status = 400;
  if (status == 500 && !failed) log(Level::kError, "an HTTP handler gave no response", {{"method", head.method}});
  co_await refuse(status);
  co_return false;
}

Awaitable<bool> Connection::discard_body() {
  // A peer that still waits for the invitation may never send the body, or may: what comes next cannot be told.
  if (parsed_.expects_continue && !continue_sent_ && !body_is_here()) co_return false;
  if (parsed_.framing == BodyFraming::kLength && body_left_ > kDiscardBytes) co_return false;
  std::uint64_t dropped = 0;
  while (!body_done_) {
    const auto part = co_await read();
    if (!part) co_return false;
    dropped += part->size();
    if (dropped > kDiscardBytes) co_return false;
  }
  set_deadline(group_->limits.idle_timeout);
  co_return true;
}

// The server's own answer, after which the connection is closed.
Awaitable<void> Connection::refuse(int status) {
  close_after_ = true;
  sent_ = Sent::kNothing;
  Response response;
  response.head.status = status;
  response.head.headers.add("Content-Type", "text/plain");
  response.body = std::string(reason_phrase(status)) + "\n";
  const auto sent = co_await send(std::move(response));
  if (sent) co_await linger();
}

Awaitable<void> Connection::linger() {
  set_deadline(kLingerTime);
  if (stream_->is_tls() && reading_) {
    // TLS ends by an exchange of messages, which cannot go on while another read is waiting for the peer's.
    stream_->cancel();
    while (reading_) static_cast<void>(co_await read_done_.wait_until(kNoDeadline));
  }
  co_await stream_->shutdown();
  // Nothing of the request is left to come, so nothing can cause a reset.
  if (body_done_ && !body_error_ && buffered().empty()) co_return;
  std::uint64_t dropped = 0;
  while (!input_ended_ && dropped < kLingerBytes) {
    dropped += buffered().size();
    consume(buffered().size());
    const auto more = co_await fill();
    if (!more) co_return;
  }
}

}  // namespace mayfly::http
