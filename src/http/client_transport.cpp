#include "http/client_transport.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

#include "base/encoding.h"
#include "base/fd.h"

namespace mayfly::http {
namespace {

struct Address {
  sockaddr_storage name{};
  socklen_t size = 0;
  int family = AF_INET;
};

Result<void> wait_for(int fd, short events, std::chrono::nanoseconds timeout) {
  pollfd watched{.fd = fd, .events = events, .revents = 0};
  const auto millis = std::chrono::ceil<std::chrono::milliseconds>(timeout).count();
  for (;;) {
    const int ready = ::poll(&watched, 1, static_cast<int>(std::min<long long>(millis, 24LL * 3600 * 1000)));
    if (ready > 0) return Result<void>();
    if (ready == 0) return fail(ErrorCode::kTimeout, "the server did not answer in time");
    if (errno != EINTR) return fail_errno("poll");
  }
}

Address loopback(int family, std::uint16_t port) {
  Address address;
  address.family = family;
  if (family == AF_INET) {
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_port = htons(port);
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.size = sizeof(name);
    std::memcpy(&address.name, &name, sizeof(name));
  } else {
    sockaddr_in6 name{};
    name.sin6_family = AF_INET6;
    name.sin6_port = htons(port);
    name.sin6_addr = in6addr_loopback;
    address.size = sizeof(name);
    std::memcpy(&address.name, &name, sizeof(name));
  }
  return address;
}

Result<std::vector<Address>> resolve(const Url& url) {
  std::vector<Address> found;
  // localhost and all below it are this machine by rule (RFC 6761), whatever a resolver says or does not know.
  const std::string host = to_lower(url.host);
  if (host == "localhost" || host.ends_with(".localhost")) {
    const auto port = static_cast<std::uint16_t>(std::stoul(url.port));
    found.push_back(loopback(AF_INET, port));
    found.push_back(loopback(AF_INET6, port));
    return found;
  }
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  const int status = ::getaddrinfo(url.host.c_str(), url.port.c_str(), &hints, &list);
  if (status != 0) return fail(ErrorCode::kIo, "cannot resolve " + url.host + ": " + ::gai_strerror(status));
  for (const addrinfo* entry = list; entry != nullptr; entry = entry->ai_next) {
    if (entry->ai_addrlen > sizeof(sockaddr_storage)) continue;
    Address address;
    std::memcpy(&address.name, entry->ai_addr, entry->ai_addrlen);
    address.size = entry->ai_addrlen;
    address.family = entry->ai_family;
    found.push_back(address);
  }
  ::freeaddrinfo(list);
  return found;
}

// "192.0.2.1", "2001:db8::1"
std::string text_of(const Address& address) {
  std::array<char, NI_MAXHOST> text{};
  // SAFETY: the socket API's own cast; `size` says how much of the storage is the address.
  const int status = ::getnameinfo(reinterpret_cast<const sockaddr*>(&address.name), address.size, text.data(),
                                   text.size(), nullptr, 0, NI_NUMERICHOST);
  return status == 0 ? std::string(text.data()) : std::string();
}

Result<UniqueFd> connect_one(const Address& address, const Url& url, std::chrono::nanoseconds timeout) {
  const std::string what = "connecting to " + url.authority();
  UniqueFd fd(::socket(address.family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fail_errno(what);
  const int on = 1;
  static_cast<void>(::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)));
  // SAFETY: the socket API's own cast; `size` says how much of the storage is the address.
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address.name), address.size) != 0) {
    if (errno != EINPROGRESS) return fail_errno(what);
    if (auto ready = wait_for(fd.get(), POLLOUT, timeout); !ready) return std::unexpected(ready.error());
    int error = 0;
    socklen_t size = sizeof(error);
    if (::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) return fail_errno(what);
    if (error != 0) return std::unexpected(errno_error(error, what));
  }
  return fd;
}

class PlainTransport final : public ClientTransport {
 public:
  PlainTransport(UniqueFd fd, std::chrono::nanoseconds timeout) : fd_(std::move(fd)), timeout_(timeout) {}

  Result<void> write(std::string_view data) override {
    while (!data.empty()) {
      const ssize_t sent = ::send(fd_.get(), data.data(), data.size(), MSG_NOSIGNAL);
      if (sent >= 0) {
        data.remove_prefix(static_cast<std::size_t>(sent));
      } else if (errno == EAGAIN) {
        if (auto ready = wait_for(fd_.get(), POLLOUT, timeout_); !ready) return ready;
      } else if (errno != EINTR) {
        return fail(ErrorCode::kClosed, errno_error(errno, "sending the request").message);
      }
    }
    return Result<void>();
  }

  Result<std::size_t> read(char* data, std::size_t size) override {
    for (;;) {
      const ssize_t got = ::recv(fd_.get(), data, size, 0);
      if (got >= 0) return static_cast<std::size_t>(got);
      if (errno == EAGAIN) {
        if (auto ready = wait_for(fd_.get(), POLLIN, timeout_); !ready) return std::unexpected(ready.error());
      } else if (errno != EINTR) {
        return fail(ErrorCode::kClosed, errno_error(errno, "reading the response").message);
      }
    }
  }

 private:
  UniqueFd fd_;
  std::chrono::nanoseconds timeout_;
};

struct FreeContext {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
struct FreeSsl {
  void operator()(SSL* ssl) const { SSL_free(ssl); }
};

std::string tls_fault() {
  const unsigned long code = ERR_get_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  ERR_clear_error();
  return reason == nullptr ? "the TLS connection failed" : reason;
}

class TlsTransport final : public ClientTransport {
 public:
  TlsTransport(UniqueFd fd, std::chrono::nanoseconds timeout) : fd_(std::move(fd)), timeout_(timeout) {}

  Result<void> handshake(const Url& url, const std::string& ca_file) {
    context_.reset(SSL_CTX_new(TLS_client_method()));
    if (!context_) return fail(ErrorCode::kInternal, tls_fault());
    SSL_CTX_set_min_proto_version(context_.get(), TLS1_2_VERSION);
    SSL_CTX_set_verify(context_.get(), SSL_VERIFY_PEER, nullptr);
    const int loaded = ca_file.empty() ? SSL_CTX_set_default_verify_paths(context_.get())
                                       : SSL_CTX_load_verify_file(context_.get(), ca_file.c_str());
    if (loaded != 1) return fail(ErrorCode::kInvalid, "cannot load the certificate authorities: " + tls_fault());
    ssl_.reset(SSL_new(context_.get()));
    if (!ssl_) return fail(ErrorCode::kInternal, tls_fault());
    X509_VERIFY_PARAM* parameters = SSL_get0_param(ssl_.get());
    // An address is compared with the certificate's addresses, a name with its names.
    if (X509_VERIFY_PARAM_set1_ip_asc(parameters, url.host.c_str()) != 1) {
      ERR_clear_error();
      SSL_set1_host(ssl_.get(), url.host.c_str());
      SSL_set_tlsext_host_name(ssl_.get(), url.host.c_str());
    }
    SSL_set_fd(ssl_.get(), fd_.get());
    for (;;) {
      const int status = SSL_connect(ssl_.get());
      if (status == 1) return Result<void>();
      if (auto waited = wait_after(status); !waited) {
        const long verdict = SSL_get_verify_result(ssl_.get());
        if (verdict == X509_V_OK) return waited;
        return fail(ErrorCode::kUnauthorized,
                    std::string("the server's certificate is not trusted: ") + X509_verify_cert_error_string(verdict),
                    "name the certificate authority's file");
      }
    }
  }

  Result<void> write(std::string_view data) override {
    while (!data.empty()) {
      std::size_t sent = 0;
      const int status = SSL_write_ex(ssl_.get(), data.data(), data.size(), &sent);
      if (status == 1) {
        data.remove_prefix(sent);
      } else if (auto waited = wait_after(status); !waited) {
        return waited;
      }
    }
    return Result<void>();
  }

  Result<std::size_t> read(char* data, std::size_t size) override {
    for (;;) {
      std::size_t got = 0;
      const int status = SSL_read_ex(ssl_.get(), data, size, &got);
      if (status == 1) return got;
      if (SSL_get_error(ssl_.get(), status) == SSL_ERROR_ZERO_RETURN) return std::size_t{0};
      if (auto waited = wait_after(status); !waited) return std::unexpected(waited.error());
    }
  }

 private:
  Result<void> wait_after(int status) {
    switch (SSL_get_error(ssl_.get(), status)) {
      case SSL_ERROR_WANT_READ:
        return wait_for(fd_.get(), POLLIN, timeout_);
      case SSL_ERROR_WANT_WRITE:
        return wait_for(fd_.get(), POLLOUT, timeout_);
      default:
        return fail(ErrorCode::kClosed, tls_fault());
    }
  }

  UniqueFd fd_;
  std::chrono::nanoseconds timeout_;
  std::unique_ptr<SSL_CTX, FreeContext> context_;
  std::unique_ptr<SSL, FreeSsl> ssl_;
};

}  // namespace

std::string Url::authority() const {
  const std::string name = host.find(':') == std::string::npos ? host : "[" + host + "]";
  return port == (tls ? "443" : "80") ? name : name + ":" + port;
}

Result<Url> parse_url(const std::string& text) {
  const auto bad = [&text] { return fail(ErrorCode::kInvalid, "not an http or https URL: " + text); };
  Url url;
  std::string_view rest = text;
  if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
  } else if (rest.starts_with("https://")) {
    rest.remove_prefix(8);
    url.tls = true;
  } else {
    return bad();
  }
  const auto slash = rest.find('/');
  std::string_view authority = rest.substr(0, slash);
  if (slash != std::string_view::npos) url.prefix = rest.substr(slash);
  while (url.prefix.ends_with('/')) url.prefix.pop_back();
  url.port = url.tls ? "443" : "80";
  const auto bracket = authority.rfind(']');
  const auto colon = authority.rfind(':');
  if (colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket)) {
    url.port = authority.substr(colon + 1);
    authority = authority.substr(0, colon);
  }
  if (authority.starts_with('[') && authority.ends_with(']')) authority = authority.substr(1, authority.size() - 2);
  url.host = authority;
  const bool port_is_number =
      !url.port.empty() && url.port.size() <= 5 && url.port.find_first_not_of("0123456789") == std::string::npos;
  if (url.host.empty() || !port_is_number || std::stoul(url.port) > 65535) return bad();
  return url;
}

Result<std::unique_ptr<ClientTransport>> connect_to(const Url& url, const std::string& ca_file,
                                                    std::chrono::nanoseconds timeout,
                                                    const std::function<bool(const std::string&)>& may_connect) {
  const auto addresses = resolve(url);
  if (!addresses) return std::unexpected(addresses.error());
  Error last{.code = ErrorCode::kIo, .message = url.host + " has no address", .hint = {}};
  for (const Address& address : *addresses) {
    if (may_connect && !may_connect(text_of(address))) {
      last =
          Error{.code = ErrorCode::kForbidden, .message = url.host + " has an address that is not allowed", .hint = {}};
      continue;
    }
    auto fd = connect_one(address, url, timeout);
    if (!fd) {
      last = fd.error();
      continue;
    }
    if (!url.tls) return std::make_unique<PlainTransport>(std::move(*fd), timeout);
    auto transport = std::make_unique<TlsTransport>(std::move(*fd), timeout);
    if (auto done = transport->handshake(url, ca_file); !done) return std::unexpected(done.error());
    return transport;
  }
  return std::unexpected(last);
}

}  // namespace mayfly::http
