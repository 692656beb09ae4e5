// A connection's bytes, plain or TLS, behind one interface, so that the protocol is compiled once and sees no Asio.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "base/async.h"
#include "base/error.h"

namespace mayfly::http {

// Belongs to one reactor. One read and one write may be under way at the same time.
class Stream {
 public:
  Stream() = default;
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  virtual ~Stream() = default;

  virtual Awaitable<Result<void>> handshake() = 0;
  // At least one byte, or 0 at the peer's end. kCancelled after cancel().
  virtual Awaitable<Result<std::size_t>> read_some(char* data, std::size_t size) = 0;
  // All three in order, in one system call where the kernel takes them. They outlive the call.
  virtual Awaitable<Result<void>> write(const std::string& first, const std::string& second,
                                        const std::string& third) = 0;
  // Tells the peer that nothing more comes.
  virtual Awaitable<void> shutdown() = 0;
  virtual void cancel() = 0;  // what is under way ends with kCancelled
  virtual void close() = 0;   // and no more of it
  virtual void abort() = 0;   // close, and let the peer see a reset
  // False once the peer sends no more and all that it sent was read.
  virtual bool peer_is_there() { return true; }
  // The same bytes on another reactor, while nothing is under way; null where that cannot be, and this one stays.
  virtual std::unique_ptr<Stream> move_to(Reactor&) { return nullptr; }
  [[nodiscard]] virtual const std::string& peer_address() const = 0;
  [[nodiscard]] virtual bool is_tls() const = 0;
};

}  // namespace mayfly::http
