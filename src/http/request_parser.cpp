#include "http/request_parser.h"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <optional>

#include "base/encoding.h"

namespace mayfly::http {
namespace {

namespace beast = boost::beast;
using BeastError = beast::http::error;

std::string_view view(beast::string_view text) { return {text.data(), text.size()}; }

// Beast's recogniser with the fields going straight into our own values.
class Recogniser final : public beast::http::basic_parser<true> {
 public:
  Recogniser() {
    eager(false);
    body_limit(boost::none);
    // The size was checked before the bytes came here.
    header_limit(std::numeric_limits<std::uint32_t>::max());
  }

  ParsedHead* head = nullptr;
  Headers* trailers = nullptr;
  std::string* body = nullptr;
  std::uint64_t body_room = 0;
  std::uint64_t chunk_left = 0;

 private:
  void on_request_impl(beast::http::verb, beast::string_view method, beast::string_view target, int version,
                       beast::error_code&) override {
    head->head.method.assign(method.data(), method.size());
    head->head.target.assign(target.data(), target.size());
    head->is_http_1_1 = version >= 11;
  }
  void on_response_impl(int, beast::string_view, int, beast::error_code&) override {}
  void on_field_impl(beast::http::field, beast::string_view name, beast::string_view value,
                     beast::error_code&) override {
    Headers& fields = trailers != nullptr ? *trailers : head->head.headers;
    fields.add(std::string(view(name)), std::string(view(value)));
  }
  void on_header_impl(beast::error_code&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, beast::error_code&) override {}
  std::size_t on_body_impl(beast::string_view data, beast::error_code&) override { return data.size(); }
  void on_chunk_header_impl(std::uint64_t size, beast::string_view, beast::error_code& error) override {
    if (size > body_room) {
      error = BeastError::body_limit;
      return;
    }
    body_room -= size;
    chunk_left = size;
  }
  std::size_t on_chunk_body_impl(std::uint64_t, beast::string_view data, beast::error_code&) override {
    body->append(data.data(), data.size());
    chunk_left -= data.size();
    return data.size();
  }
  void on_finish_impl(beast::error_code&) override {}
};

ParseOutcome reject(int status, std::string_view reason) {
  return ParseOutcome{.kind = ParseOutcome::Kind::kRejected, .consumed = 0, .status = status, .reason = reason};
}

// Line ends are CRLF and nothing else, and no field goes on in the next line: forms that others read differently.
std::optional<std::string_view> bad_line(std::string_view head) {
  for (auto at = head.find('\n'); at != std::string_view::npos; at = head.find('\n', at + 1)) {
    if (at == 0 || head[at - 1] != '\r') return "a line ends in a bare LF";
    if (at + 1 < head.size() && (head[at + 1] == ' ' || head[at + 1] == '\t')) return "a header field is folded";
  }
  for (auto at = head.find('\r'); at != std::string_view::npos; at = head.find('\r', at + 1)) {
    if (at + 1 == head.size() || head[at + 1] != '\n') return "a line holds a bare CR";
  }
  if (head.find('\0') != std::string_view::npos) return "the head holds a NUL";
  return std::nullopt;
}

// The framing, where a message must not be readable in two ways (RFC 9112, section 6).
std::optional<ParseOutcome> find_framing(ParsedHead& out) {
  const std::string* length = nullptr;
  const std::string* coding = nullptr;
  std::size_t hosts = 0;
  for (const auto& [name, value] : out.head.headers) {
    if (iequals(name, "content-length")) {
      if (length != nullptr) return reject(400, "Content-Length is repeated");
      length = &value;
    } else if (iequals(name, "transfer-encoding")) {
      if (coding != nullptr) return reject(400, "Transfer-Encoding is repeated");
      coding = &value;
    } else if (iequals(name, "host")) {
      ++hosts;
    } else if (iequals(name, "expect")) {
      if (!iequals(value, "100-continue")) return reject(417, "the expectation is not known");
      out.expects_continue = out.is_http_1_1;
    }
  }
  if (hosts > 1 || (hosts == 0 && out.is_http_1_1)) return reject(400, "exactly one Host is needed");
  if (length != nullptr && coding != nullptr) return reject(400, "both Content-Length and Transfer-Encoding");
  if (coding != nullptr) {
    if (!out.is_http_1_1) return reject(400, "Transfer-Encoding needs HTTP/1.1");
    if (!iequals(*coding, "chunked")) return reject(501, "only the transfer coding chunked is known");
    out.framing = BodyFraming::kChunked;
  }
  if (length != nullptr) {
    // 18 digits cannot overflow, and nobody sends more.
    const bool digits = std::ranges::all_of(*length, [](char c) { return c >= '0' && c <= '9'; });
    if (length->empty() || length->size() > 18 || !digits) return reject(400, "Content-Length is malformed");
    out.content_length = std::stoull(*length);
    if (out.content_length > 0) out.framing = BodyFraming::kLength;
  }
  return std::nullopt;
}

// The absolute form is for proxies but must be understood (RFC 9112, section 3.2.2): what follows its authority is
// kept.
bool normalise_target(RequestHead& head) {
  if (head.target.starts_with('/')) return true;
  if (head.target == "*") return head.method == "OPTIONS";
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (head.target.size() < scheme.size() || !iequals(head.target.substr(0, scheme.size()), scheme)) continue;
    const auto rest = head.target.find_first_of("/?", scheme.size());
    std::string origin = rest == std::string::npos ? std::string("/") : head.target.substr(rest);
    if (origin.front() == '?') origin.insert(0, "/");
    head.target = std::move(origin);
    return true;
  }
  return false;
}

ParseOutcome rejection_of(const beast::error_code& error) {
  if (error == BeastError::body_limit) return reject(413, "the body is too large");
  if (error == BeastError::bad_version) return reject(505, "the HTTP version is not 1.0 or 1.1");
  if (error == BeastError::bad_method) return reject(400, "the method is malformed");
  if (error == BeastError::bad_target) return reject(400, "the target is malformed");
  if (error == BeastError::bad_field || error == BeastError::bad_value || error == BeastError::bad_obs_fold) {
    return reject(400, "a header field is malformed");
  }
  if (error == BeastError::bad_chunk || error == BeastError::bad_chunk_extension) {
    return reject(400, "a chunk is malformed");
  }
  return reject(400, "the request is malformed");
}

}  // namespace

struct RequestParser::Impl {
  std::optional<Recogniser> recogniser;
};

RequestParser::RequestParser(std::size_t header_bytes) : header_bytes_(header_bytes), impl_(std::make_unique<Impl>()) {}
RequestParser::~RequestParser() = default;

void RequestParser::reset() {
  scanned_ = 0;
  impl_->recogniser.emplace();
}

ParseOutcome RequestParser::parse_head(std::string_view bytes, ParsedHead& out) {
  // One empty line before a request is a known client error that is forgiven (RFC 9112, section 2.2).
  const std::size_t skipped = bytes.starts_with("\r\n") ? 2 : 0;
  const std::string_view from_line = bytes.substr(skipped);
  // What was searched before is not searched again: a head sent byte by byte must not cost its square.
  const auto end = from_line.find("\r\n\r\n", scanned_);
  if (end == std::string_view::npos) {
    scanned_ = from_line.size() < 3 ? 0 : from_line.size() - 3;
    if (from_line.size() > header_bytes_) return reject(431, "the head is too large");
    // A peer whose lines end in LF would never send what we wait for: it is told at once.
    if (from_line.find("\n\n") != std::string_view::npos) return reject(400, "a line ends in a bare LF");
    return ParseOutcome{};
  }
  const std::size_t size = end + 4;
  if (size > header_bytes_) return reject(431, "the head is too large");
  const std::string_view head = from_line.substr(0, size);
  if (auto reason = bad_line(head)) return reject(400, *reason);

  out = ParsedHead{};
  Recogniser& recogniser = *impl_->recogniser;
  recogniser.head = &out;
  beast::error_code error;
  const std::size_t used = recogniser.put(boost::asio::const_buffer(head.data(), head.size()), error);
  // Beast finds faults of its own in repeated lengths; ours come first, as they name the fault.
  if (error) return rejection_of(error);
  if (used != size || !recogniser.is_header_done()) return reject(400, "the request is malformed");
  if (auto refused = find_framing(out)) return *refused;
  if (!normalise_target(out.head)) return reject(400, "the target is malformed");
  out.keep_alive = recogniser.keep_alive();
  ParseOutcome outcome;
  outcome.kind = ParseOutcome::Kind::kComplete;
  outcome.consumed = skipped + size;
  return outcome;
}

ParseOutcome RequestParser::decode_chunks(std::string_view bytes, std::uint64_t body_bytes, std::string& body,
                                          Headers& trailers) {
  Recogniser& recogniser = *impl_->recogniser;
  if (recogniser.trailers == nullptr) recogniser.body_room = body_bytes;
  recogniser.trailers = &trailers;
  recogniser.body = &body;
  recogniser.eager(true);
  // What is left of a chunked body outside of a chunk's data is never shorter than "0\r\n\r\n". Beast asserts that when
  // it sees the last chunk's line again, so a peer that sent "0\r\n" and then one byte would end the process.
  if (recogniser.chunk_left == 0 && bytes.size() < 5) return ParseOutcome{};
  beast::error_code error;
  ParseOutcome outcome;
  outcome.consumed = recogniser.put(boost::asio::const_buffer(bytes.data(), bytes.size()), error);
  recogniser.body = nullptr;
  if (error && error != BeastError::need_more) return rejection_of(error);
  if (recogniser.is_done()) outcome.kind = ParseOutcome::Kind::kComplete;
  // A chunk's header or the trailer that fills more than a head may is somebody filling our memory.
  if (outcome.kind == ParseOutcome::Kind::kNeedMore && bytes.size() - outcome.consumed > header_bytes_) {
    return reject(431, "the trailer is too large");
  }
  return outcome;
}

}  // namespace mayfly::http
