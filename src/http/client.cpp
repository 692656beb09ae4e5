// One request over one connection. Beast recognises the response; the bytes come from a blocking transport.
#include "http/client.h"

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <limits>

#include "base/encoding.h"
#include "http/client_transport.h"

namespace mayfly::http {
namespace {

namespace beast = boost::beast;

constexpr std::size_t kMostHeadBytes = 1024UL * 1024;
constexpr std::size_t kReadBytes = 64UL * 1024;

class ResponseRecogniser final : public beast::http::basic_parser<false> {
 public:
  ResponseRecogniser(const std::function<void(const ResponseHead&)>& on_head,
                     const std::function<bool(std::string_view)>& on_data)
      : on_head_(on_head), on_data_(on_data) {
    eager(true);
    body_limit(boost::none);
    header_limit(kMostHeadBytes);
  }

  ResponseHead head;
  bool stopped = false;  // the caller wants no more

 private:
  void on_request_impl(beast::http::verb, beast::string_view, beast::string_view, int, beast::error_code&) override {}
  void on_response_impl(int code, beast::string_view, int, beast::error_code&) override { head.status = code; }
  void on_field_impl(beast::http::field, beast::string_view name, beast::string_view value,
                     beast::error_code&) override {
    // Trailer fields join the others, after the head was handed over.
    head.headers.add(std::string(name.data(), name.size()), std::string(value.data(), value.size()));
  }
  void on_header_impl(beast::error_code&) override {
    if (head.status / 100 != 1 && on_head_) on_head_(head);
  }
  void on_body_init_impl(const boost::optional<std::uint64_t>&, beast::error_code&) override {}
  std::size_t on_body_impl(beast::string_view data, beast::error_code& error) override { return take(data, error); }
  void on_chunk_header_impl(std::uint64_t, beast::string_view, beast::error_code&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, beast::string_view data, beast::error_code& error) override {
    return take(data, error);
  }
  void on_finish_impl(beast::error_code&) override {}

  std::size_t take(beast::string_view data, beast::error_code& error) {
    if (!data.empty() && !on_data_({data.data(), data.size()})) {
      stopped = true;
      error = beast::http::error::end_of_stream;
    }
    return data.size();
  }

  const std::function<void(const ResponseHead&)>& on_head_;
  const std::function<bool(std::string_view)>& on_data_;
};

bool is_one_line(std::string_view text) {
  return text.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos;
}

Result<std::string> write_request(const ClientRequest& request, const Url& url) {
  const std::string target = url.prefix + (request.head.target.empty() ? "/" : request.head.target);
  if (!is_one_line(request.head.method) || !is_one_line(target) || target.find(' ') != std::string::npos) {
    return fail(ErrorCode::kInvalid, "the request's method or target holds a space or line break");
  }
  std::string text = request.head.method + " " + target + " HTTP/1.1\r\n";
  if (request.head.headers.find("host") == nullptr) text += "Host: " + url.authority() + "\r\n";
  for (const auto& [name, value] : request.head.headers) {
    if (!is_one_line(name) || !is_one_line(value))
      return fail(ErrorCode::kInvalid, "a header field holds a line break");
    if (iequals(name, "content-length") || iequals(name, "connection")) continue;
    text.append(name).append(": ").append(value).append("\r\n");
  }
  const bool has_body = !request.body.empty() || request.head.method == "POST" || request.head.method == "PUT";
  if (has_body) text += "Content-Length: " + std::to_string(request.body.size()) + "\r\n";
  text += "Connection: close\r\n\r\n";
  return text;
}

// Reads up to the end of one message. `input` keeps what came after it.
Result<void> read_message(ClientTransport& transport, ResponseRecogniser& recogniser, std::string& input) {
  while (!recogniser.is_done()) {
    beast::error_code error;
    std::size_t used = 0;
    if (!input.empty()) {
      used = recogniser.put(boost::asio::const_buffer(input.data(), input.size()), error);
      if (recogniser.stopped) return Result<void>();
      if (error && error != beast::http::error::need_more) {
        return fail(ErrorCode::kInvalid, "the server's response is malformed: " + error.message());
      }
      input.erase(0, used);
      if (recogniser.is_done()) break;
    }
    // Beast keeps a head's bytes unconsumed until it is whole, so what is left here is bounded by its limit.
    if (input.size() > kMostHeadBytes + kReadBytes)
      return fail(ErrorCode::kTooLarge, "the response's head is too large");
    const std::size_t before = input.size();
    input.resize(before + kReadBytes);
    const auto count = transport.read(input.data() + before, kReadBytes);
    input.resize(before + (count ? *count : 0));
    if (!count) return std::unexpected(count.error());
    if (*count > 0) continue;
    if (!recogniser.got_some()) return fail(ErrorCode::kClosed, "the server closed the connection without an answer");
    recogniser.put_eof(error);
    if (error) return fail(ErrorCode::kClosed, "the server closed the connection amid its response");
    break;
  }
  return Result<void>();
}

}  // namespace

Result<ResponseHead> fetch_streaming(const ClientRequest& request,
                                     const std::function<void(const ResponseHead&)>& on_head,
                                     const std::function<bool(std::string_view)>& on_data) {
  const auto url = parse_url(request.url_base);
  if (!url) return std::unexpected(url.error());
  const auto head = write_request(request, *url);
  if (!head) return std::unexpected(head.error());
  auto transport = connect_to(*url, request.ca_file, request.timeout, request.may_connect);
  if (!transport) return std::unexpected(transport.error());
  // A server may refuse a body before it has read all of it: then its answer says more than the failed write.
  auto written = (*transport)->write(*head);
  if (written) written = (*transport)->write(request.body);
  if (!written && written.error().code != ErrorCode::kClosed) return std::unexpected(written.error());

  std::string input;
  for (;;) {
    ResponseRecogniser recogniser(on_head, on_data);
    if (request.head.method == "HEAD") recogniser.skip(true);
    if (auto done = read_message(**transport, recogniser, input); !done) {
      if (!written) return std::unexpected(written.error());
      return std::unexpected(done.error());
    }
    if (recogniser.head.status / 100 != 1 || recogniser.head.status == 101) return std::move(recogniser.head);
  }
}

Result<Response> fetch(const ClientRequest& request, std::size_t limit) {
  Response response;
  bool too_large = false;
  const auto on_data = [&](std::string_view data) {
    too_large = data.size() > limit - response.body.size();
    if (!too_large) response.body.append(data);
    return !too_large;
  };
  auto head = fetch_streaming(request, nullptr, on_data);
  if (!head) return std::unexpected(head.error());
  if (too_large) return fail(ErrorCode::kTooLarge, "the response is larger than " + std::to_string(limit) + " bytes");
  response.head = std::move(*head);
  return response;
}

}  // namespace mayfly::http
