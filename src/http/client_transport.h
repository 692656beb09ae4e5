// A blocking connection of the client: TCP, or TLS over it, each wait bounded by a timeout.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"

namespace mayfly::http {

struct Url {
  std::string host;
  std::string port;
  std::string prefix;  // a path before every target; "" or "/something"
  bool tls = false;

  [[nodiscard]] std::string authority() const;  // for Host: the port only where it is not the scheme's own
};
Result<Url> parse_url(const std::string& text);

class ClientTransport {
 public:
  ClientTransport() = default;
  ClientTransport(const ClientTransport&) = delete;
  ClientTransport& operator=(const ClientTransport&) = delete;
  virtual ~ClientTransport() = default;
  virtual Result<void> write(std::string_view data) = 0;
  // 0 at the peer's end.
  virtual Result<std::size_t> read(char* data, std::size_t size) = 0;
};

// `timeout` bounds each connection attempt, write and read. `ca_file` may be empty: the system's store. `may_connect`
// is asked for each address, after its name was resolved; it may be empty.
Result<std::unique_ptr<ClientTransport>> connect_to(const Url& url, const std::string& ca_file,
                                                    std::chrono::nanoseconds timeout,
                                                    const std::function<bool(const std::string&)>& may_connect);

}  // namespace mayfly::http
