#include <openssl/ssl.h>

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "http/transport.h"

namespace mayfly::http {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

constexpr auto kAwaitTls = asio::as_tuple(asio::use_awaitable);

class TlsStream final : public Stream {
 public:
  TlsStream(asio::ip::tcp::socket socket, std::shared_ptr<asio::ssl::context> context)
      : context_(std::move(context)), stream_(std::move(socket), *context_) {
    peer_address_ = address_of_peer(stream_.next_layer());
    error_code ignored;
    stream_.next_layer().set_option(asio::ip::tcp::no_delay(true), ignored);
  }

  Awaitable<Result<void>> handshake() override {
    auto [error] = co_await stream_.async_handshake(asio::ssl::stream_base::server, kAwaitTls);
    if (error) co_return std::unexpected(stream_error(error));
    co_return Result<void>();
  }

  Awaitable<Result<std::size_t>> read_some(char* data, std::size_t size) override {
    const auto buffer = asio::buffer(data, size);
    auto [error, count] = co_await stream_.async_read_some(buffer, kAwaitTls);
    // Many peers end without close_notify. HTTP's own framing tells whether a message was whole.
    if (error == asio::error::eof || error == asio::ssl::error::stream_truncated) co_return std::size_t{0};
    if (error) co_return std::unexpected(stream_error(error));
    co_return count;
  }

  Awaitable<Result<void>> write(const std::string& first, const std::string& second,
                                const std::string& third) override {
    const std::array<asio::const_buffer, 3> parts = {asio::buffer(first), asio::buffer(second), asio::buffer(third)};
    auto [error, count] = co_await asio::async_write(stream_, parts, kAwaitTls);
    if (error) co_return std::unexpected(stream_error(error));
    co_return Result<void>();
  }

  Awaitable<void> shutdown() override {
    // It fails when the peer is gone already, which is as good.
    static_cast<void>(co_await stream_.async_shutdown(kAwaitTls));
    error_code ignored;
    stream_.next_layer().shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
  }
  void cancel() override {
    error_code ignored;
    stream_.next_layer().cancel(ignored);
  }
  void close() override {
    error_code ignored;
    stream_.next_layer().close(ignored);
  }
  void abort() override {
    error_code ignored;
    stream_.next_layer().set_option(asio::socket_base::linger(true, 0), ignored);
    stream_.next_layer().close(ignored);
  }
  const std::string& peer_address() const override { return peer_address_; }
  bool is_tls() const override { return true; }

 private:
  std::shared_ptr<asio::ssl::context> context_;
  asio::ssl::stream<asio::ip::tcp::socket> stream_;
  std::string peer_address_;
};

}  // namespace

std::unique_ptr<Stream> make_tls_stream(asio::ip::tcp::socket socket, std::shared_ptr<asio::ssl::context> context) {
  return std::make_unique<TlsStream>(std::move(socket), std::move(context));
}

Result<std::shared_ptr<asio::ssl::context>> make_tls_context(const TlsFiles& files) {
  auto context = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_server);
  SSL_CTX_set_min_proto_version(context->native_handle(), TLS1_2_VERSION);
  SSL_CTX_set_options(context->native_handle(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_mode(context->native_handle(), SSL_MODE_RELEASE_BUFFERS);
  error_code error;
  context->use_certificate_chain_file(files.certificate_chain_path, error);
  if (error) {
    return fail(ErrorCode::kInvalid, "the TLS certificate " + files.certificate_chain_path + ": " + error.message(),
                "give a readable PEM file with the certificate first and its chain after it");
  }
  context->use_private_key_file(files.private_key_path, asio::ssl::context::pem, error);
  if (error) {
    return fail(ErrorCode::kInvalid, "the TLS key " + files.private_key_path + ": " + error.message(),
                "give the readable PEM file of the certificate's private key, without a passphrase");
  }
  if (SSL_CTX_check_private_key(context->native_handle()) != 1) {
    return fail(ErrorCode::kInvalid, "the TLS key does not belong to the certificate");
  }
  return context;
}

}  // namespace mayfly::http
