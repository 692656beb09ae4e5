#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>

#include "base/fd.h"
#include "http/transport.h"

namespace mayfly::http {

namespace asio = boost::asio;
using boost::system::error_code;

Error stream_error(const error_code& error) {
  if (error == asio::error::operation_aborted || error == asio::error::bad_descriptor) {
    return Error{.code = ErrorCode::kCancelled, .message = "the operation was cancelled", .hint = {}};
  }
  if (error == asio::error::eof || error == asio::error::connection_reset || error == asio::error::broken_pipe) {
    return Error{.code = ErrorCode::kClosed, .message = "the peer closed the connection", .hint = {}};
  }
  return Error{.code = ErrorCode::kIo, .message = error.message(), .hint = {}};
}

std::string address_of_peer(const asio::ip::tcp::socket& socket) {
  error_code error;
  const auto endpoint = socket.remote_endpoint(error);
  if (error) return {};
  const std::string address = endpoint.address().to_string();
  const std::string port = std::to_string(endpoint.port());
  return endpoint.address().is_v6() ? "[" + address + "]:" + port : address + ":" + port;
}

namespace {

constexpr auto kAwaitPlain = asio::as_tuple(asio::use_awaitable);

class PlainStream final : public Stream {
 public:
  explicit PlainStream(asio::ip::tcp::socket socket)
      : socket_(std::move(socket)), peer_address_(address_of_peer(socket_)) {
    error_code ignored;
    socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
    socket_.native_non_blocking(true, ignored);
  }

  PlainStream(asio::ip::tcp::socket socket, std::string peer_address)
      : socket_(std::move(socket)), peer_address_(std::move(peer_address)) {}

  Awaitable<Result<void>> handshake() override { co_return Result<void>(); }

  Awaitable<Result<std::size_t>> read_some(char* data, std::size_t size) override {
    const auto buffer = asio::buffer(data, size);
    auto [error, count] = co_await socket_.async_read_some(buffer, kAwaitPlain);
    if (error == asio::error::eof) co_return std::size_t{0};
    if (error) co_return std::unexpected(stream_error(error));
    co_return count;
  }

  // The kernel almost always takes a response at once, so the write is tried before anything waits or is queued.
  Awaitable<Result<void>> write(const std::string& first, const std::string& second,
                                const std::string& third) override {
    std::array<iovec, 3> parts{};
    std::size_t count = 0;
    for (const std::string* text : {&first, &second, &third}) {
      if (text->empty()) continue;
      // SAFETY: sendmsg only reads through iov_base; the cast is for its C signature.
      parts[count].iov_base = const_cast<char*>(text->data());  // NOLINT(cppcoreguidelines-pro-type-const-cast)
      parts[count].iov_len = text->size();
      ++count;
    }
    std::size_t at = 0;
    while (at < count) {
      msghdr message{};
      message.msg_iov = &parts[at];
      message.msg_iovlen = count - at;
      const ssize_t sent = ::sendmsg(socket_.native_handle(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent >= 0) {
        auto left = static_cast<std::size_t>(sent);
        while (at < count && left >= parts[at].iov_len) left -= parts[at++].iov_len;
        if (at < count) {
          parts[at].iov_base = static_cast<char*>(parts[at].iov_base) + left;
          parts[at].iov_len -= left;
        }
        continue;
      }
      if (errno == EINTR) continue;
      if (errno != EAGAIN && errno != EWOULDBLOCK) {
        co_return std::unexpected(stream_error(error_code(errno, boost::system::system_category())));
      }
      auto [error] = co_await socket_.async_wait(asio::ip::tcp::socket::wait_write, kAwaitPlain);
      if (error) co_return std::unexpected(stream_error(error));
    }
    co_return Result<void>();
  }

  Awaitable<void> shutdown() override {
    error_code ignored;
    socket_.shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
    co_return;
  }
  void cancel() override {
    error_code ignored;
    socket_.cancel(ignored);
  }
  void close() override {
    error_code ignored;
    socket_.close(ignored);
  }
  void abort() override {
    error_code ignored;
    socket_.set_option(asio::socket_base::linger(true, 0), ignored);
    socket_.close(ignored);
  }
  bool peer_is_there() override {
    char byte = 0;
    const ssize_t got = ::recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return got > 0 || (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR));
  }
  std::unique_ptr<Stream> move_to(Reactor& reactor) override {
    error_code error;
    const auto protocol = peer_address_.starts_with('[') ? asio::ip::tcp::v6() : asio::ip::tcp::v4();
    UniqueFd fd(socket_.release(error));
    if (error) return nullptr;
    asio::ip::tcp::socket socket(reactor.io());
    socket.assign(protocol, fd.get(), error);
    // It is let go of in any case: where the other side cannot take it, the connection ends.
    if (!error) static_cast<void>(fd.release());
    return std::make_unique<PlainStream>(std::move(socket), std::move(peer_address_));
  }
  const std::string& peer_address() const override { return peer_address_; }
  bool is_tls() const override { return false; }

 private:
  asio::ip::tcp::socket socket_;
  std::string peer_address_;
};

}  // namespace

std::unique_ptr<Stream> make_plain_stream(asio::ip::tcp::socket socket) {
  return std::make_unique<PlainStream>(std::move(socket));
}

}  // namespace mayfly::http
