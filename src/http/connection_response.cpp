// The response, as the handler writes it.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "base/encoding.h"
#include "base/time_format.h"
#include "http/connection.h"

namespace mayfly::http {
namespace {

constexpr std::uint64_t kUnreadBytes = 256UL * 1024;
const std::string kNothing;
const std::string kChunkEnd = "\r\n";
const std::string kLastChunk = "0\r\n\r\n";

// One text for each second and thread: making it anew for each response costs more than the rest of the head.
const std::string& date_text(const Clock& clock) {
  thread_local std::chrono::sys_seconds shown{std::chrono::seconds(-1)};
  thread_local std::string text;
  const SystemTime now = clock.now();
  const auto second = std::chrono::floor<std::chrono::seconds>(now);
  if (second != shown) {
    text = http_date(now);
    shown = second;
  }
  return text;
}

bool is_ours(std::string_view name) {
  return iequals(name, "content-length") || iequals(name, "transfer-encoding") || iequals(name, "connection") ||
         iequals(name, "date");
}

// A line break in a field would let whoever supplied the value write fields, or a response, of his own.
bool is_safe(std::string_view text) {
  return std::ranges::none_of(text, [](char c) { return c == '\r' || c == '\n' || c == '\0'; });
}

std::optional<std::uint64_t> announced_length(const Headers& headers) {
  const std::string* text = headers.find("content-length");
  if (text == nullptr || text->empty() || text->size() > 18) return std::nullopt;
  if (!std::ranges::all_of(*text, [](char c) { return c >= '0' && c <= '9'; })) return std::nullopt;
  return std::stoull(*text);
}

}  // namespace

bool Connection::will_close() const {
  if (close_after_ || !parsed_.keep_alive || group_->draining || input_ended_) return true;
  if (body_done_) return false;
  // Cases where discard_body() will not make the connection usable again: better said than shown.
  if (parsed_.expects_continue && !continue_sent_ && !body_is_here()) return true;
  return parsed_.framing == BodyFraming::kLength && body_left_ > kUnreadBytes;
}

Result<void> Connection::add_fields(const Headers& headers) {
  for (const auto& [name, value] : headers) {
    if (!is_safe(name) || !is_safe(value)) return fail(ErrorCode::kInvalid, "a header field holds a line break");
    if (is_ours(name)) {
      if (iequals(name, "connection") && iequals(value, "close")) close_after_ = true;
      continue;
    }
    output_.append(name).append(": ").append(value).append("\r\n");
  }
  return Result<void>();
}

Result<void> Connection::write_head(const ResponseHead& response, std::optional<std::uint64_t> length) {
  close_after_ = will_close();
  // Without a length and without chunks the end of the connection is the end of the body.
  if (!length && !chunked_ && !bodyless_) close_after_ = true;
  output_.clear();
  auto out = std::back_inserter(output_);
  fmt::format_to(out, "HTTP/1.1 {} {}\r\nDate: {}\r\n", response.status, reason_phrase(response.status),
                 date_text(reactor_.clock()));
  if (auto added = add_fields(response.headers); !added) return added;
  if (length) fmt::format_to(out, "Content-Length: {}\r\n", *length);
  if (chunked_) output_.append("Transfer-Encoding: chunked\r\n");
  if (close_after_) {
    output_.append("Connection: close\r\n");
  } else if (!parsed_.is_http_1_1) {
    output_.append("Connection: keep-alive\r\n");
  }
  output_.append("\r\n");
  return Result<void>();
}

// output_, then `body`, then `tail`.
Awaitable<Result<void>> Connection::flush(const std::string& body, const std::string& tail) {
  timed_out_ = false;
  set_deadline(group_->limits.write_timeout);
  auto written = co_await stream_->write(output_, body, tail);
  clear_deadline();
  output_.clear();
  if (written) co_return written;
  close_after_ = true;
  if (timed_out_) co_return fail(ErrorCode::kTimeout, "the peer takes the response too slowly");
  co_return fail(ErrorCode::kClosed, "the peer closed the connection");
}

Awaitable<Result<void>> Connection::send(Response response) {
  if (sent_ != Sent::kNothing) co_return fail(ErrorCode::kInternal, "a response was sent already");
  const int status = response.head.status;
  bodyless_ = head.method == "HEAD" || status == 204 || status == 304;
  std::optional<std::uint64_t> length = response.body.size();
  if (bodyless_) {
    // HEAD may announce the length that GET would have; 204 has none.
    const auto announced = announced_length(response.head.headers);
    if (announced) length = announced;
    if (status == 204 || (status == 304 && !announced)) length.reset();
    response.body.clear();
  }
  chunked_ = false;
  auto ready = write_head(response.head, length);
  if (!ready) co_return ready;
  sent_ = Sent::kHead;
  auto flushed = co_await flush(response.body, kNothing);
  if (flushed) sent_ = Sent::kAll;
  co_return flushed;
}

Awaitable<Result<void>> Connection::begin(ResponseHead response) {
  if (sent_ != Sent::kNothing) co_return fail(ErrorCode::kInternal, "a response was begun already");
  bodyless_ = head.method == "HEAD" || response.status == 204 || response.status == 304;
  response_left_ = announced_length(response.headers);
  chunked_ = !bodyless_ && !response_left_ && parsed_.is_http_1_1;
  auto ready = write_head(response, response_left_);
  if (!ready) co_return ready;
  sent_ = Sent::kHead;
  co_return co_await flush(kNothing, kNothing);
}

Awaitable<Result<void>> Connection::write(std::string data) {
  if (sent_ != Sent::kHead) co_return fail(ErrorCode::kInternal, "no response is under way");
  // An empty chunk would end the body.
  if (bodyless_ || data.empty()) co_return Result<void>();
  if (chunked_) {
    fmt::format_to(std::back_inserter(output_), "{:x}\r\n", data.size());
    co_return co_await flush(data, kChunkEnd);
  }
  if (response_left_) {
    if (data.size() > *response_left_) co_return fail(ErrorCode::kInternal, "the body is longer than announced");
    *response_left_ -= data.size();
  }
  co_return co_await flush(data, kNothing);
}

Awaitable<Result<void>> Connection::finish() {
  if (sent_ != Sent::kHead) co_return fail(ErrorCode::kInternal, "no response is under way");
  if (!bodyless_ && response_left_.value_or(0) > 0) {
    co_return fail(ErrorCode::kInternal, "the body is shorter than announced");
  }
  if (chunked_) {
    auto flushed = co_await flush(kLastChunk, kNothing);
    if (!flushed) co_return flushed;
  }
  sent_ = Sent::kAll;
  co_return Result<void>();
}

}  // namespace mayfly::http
