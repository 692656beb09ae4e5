// The request's body, as the handler reads it.
#include <algorithm>

#include "http/connection.h"

namespace mayfly::http {
namespace {

constexpr std::size_t kPartBytes = 64UL * 1024;
const std::string kNone;
const std::string kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

}  // namespace

std::optional<std::uint64_t> Connection::content_length() const {
  if (parsed_.framing == BodyFraming::kChunked) return std::nullopt;
  return parsed_.content_length;
}

bool Connection::body_is_here() const {
  if (body_done_) return true;
  return parsed_.framing == BodyFraming::kLength && body_left_ <= buffered().size();
}

std::unexpected<Error> Connection::body_failed(ErrorCode code, const char* message) {
  body_error_ = code;
  close_after_ = true;
  return fail(code, message);
}

Awaitable<Result<std::string>> Connection::read() {
  if (body_error_) co_return fail(*body_error_, "the body failed before");
  if (body_done_) co_return std::string();
  const auto invited = co_await invite_body();
  if (!invited) co_return body_failed(ErrorCode::kClosed, "the peer closed the connection");
  if (parsed_.framing == BodyFraming::kLength) co_return co_await read_length();
  co_return co_await read_chunks();
}

// "100 Continue" when the peer waits for it, at the first sign that somebody wants the body.
Awaitable<Result<void>> Connection::invite_body() {
  if (!parsed_.expects_continue || continue_sent_ || sent_ != Sent::kNothing) co_return Result<void>();
  continue_sent_ = true;
  if (!buffered().empty()) co_return Result<void>();
  set_deadline(group_->limits.write_timeout);
  co_return co_await stream_->write(kContinue, kNone, kNone);
}

Awaitable<Result<std::string>> Connection::read_length() {
  std::string part;
  if (buffered().empty()) {
    // Straight into the part: a long body passes no buffer in between.
    if (input_ended_) co_return body_failed(ErrorCode::kClosed, "the body ended early");
    part.resize(std::min<std::uint64_t>(body_left_, kPartBytes));
    timed_out_ = false;
    set_deadline(group_->limits.body_timeout);
    const auto count = co_await stream_->read_some(part.data(), part.size());
    clear_deadline();
    if (!count || *count == 0) {
      if (timed_out_) co_return body_failed(ErrorCode::kTimeout, "the body came too slowly");
      input_ended_ = true;
      co_return body_failed(ErrorCode::kClosed, "the body ended early");
    }
    part.resize(*count);
  } else {
    part = buffered().substr(0, std::min<std::uint64_t>(body_left_, buffered().size()));
    consume(part.size());
  }
  body_left_ -= part.size();
  if (body_left_ == 0) {
    body_done_ = true;
    watch_for_end();
  }
  co_return part;
}

Awaitable<Result<std::string>> Connection::read_chunks() {
  std::string part;
  for (;;) {
    if (!buffered().empty()) {
      const ParseOutcome outcome = parser_.decode_chunks(buffered(), group_->limits.body_bytes, part, trailers_);
      if (outcome.kind == ParseOutcome::Kind::kRejected) {
        if (outcome.status == 413) co_return body_failed(ErrorCode::kTooLarge, "the body is too large");
        co_return body_failed(ErrorCode::kInvalid, "a chunk is malformed");
      }
      consume(outcome.consumed);
      if (outcome.kind == ParseOutcome::Kind::kComplete) {
        body_done_ = true;
        watch_for_end();
        co_return part;
      }
      if (!part.empty()) co_return part;
    }
    set_deadline(group_->limits.body_timeout);
    const auto more = co_await fill();
    clear_deadline();
    if (more) continue;
    if (more.error().code == ErrorCode::kTimeout) co_return body_failed(ErrorCode::kTimeout, "the body is too slow");
    if (more.error().code == ErrorCode::kTooLarge) co_return body_failed(ErrorCode::kInvalid, "a chunk is malformed");
    co_return body_failed(ErrorCode::kClosed, "the body ended early");
  }
}

Awaitable<Result<std::string>> Connection::read_all(std::size_t limit) {
  if (body_error_) co_return fail(*body_error_, "the body failed before");
  if (parsed_.framing == BodyFraming::kLength && body_left_ > limit) {
    co_return body_failed(ErrorCode::kTooLarge, "the body is too large");
  }
  auto all = co_await read();
  if (!all) co_return all;
  // The common body came with its head: it is whole now and was copied once.
  if (!body_done_ && parsed_.framing == BodyFraming::kLength) {
    all->reserve(std::min<std::uint64_t>(all->size() + body_left_, limit));
  }
  while (!body_done_) {
    if (all->size() > limit) co_return body_failed(ErrorCode::kTooLarge, "the body is too large");
    const auto part = co_await read();
    if (!part) co_return std::unexpected(part.error());
    all->append(*part);
  }
  if (all->size() > limit) co_return body_failed(ErrorCode::kTooLarge, "the body is too large");
  co_return all;
}

}  // namespace mayfly::http
