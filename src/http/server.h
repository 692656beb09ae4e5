// The HTTP/1.1 server: connections on reactors, streaming bodies both ways, bounds on everything a peer sends.
//
// Operation.   A connection is a coroutine on one reactor that reads a request, runs the handler, drains what the
// handler
//              left unread (within a bound, else it closes), and goes on while keep-alive lasts.
// Concurrency. A handler runs on its connection's reactor. Request and ResponseWriter live until the handler returns.
// Limits.      ServerLimits. Over-long heads get 431, over-long bodies 413, malformed requests 400, slow heads and
// bodies 408.
//              A body shorter than announced makes read() fail with kClosed. Request smuggling forms (both lengths,
//              repeated or malformed lengths, bare LF, space before colon) get 400 and close.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/async.h"
#include "base/error.h"
#include "base/fd.h"
#include "http/message.h"
#include "http/web_socket.h"

namespace mayfly::http {

struct ServerLimits {
  std::size_t header_bytes = 64UL * 1024;
  std::size_t body_bytes = 128UL * 1024 * 1024;
  std::size_t connections = 4096;  // more are answered 503 and closed
  std::chrono::nanoseconds header_timeout = std::chrono::seconds(30);
  std::chrono::nanoseconds body_timeout = std::chrono::seconds(30);   // for each chunk read
  std::chrono::nanoseconds write_timeout = std::chrono::seconds(60);  // for each write
  std::chrono::nanoseconds idle_timeout = std::chrono::seconds(120);  // between requests
};

class Request {
 public:
  virtual ~Request() = default;
  RequestHead head;

  // The next part of the body, "" at its end. kTooLarge, kTimeout, kClosed (ended early), kInvalid (bad chunk).
  virtual Awaitable<Result<std::string>> read() = 0;
  // The rest of the body, at most `limit` bytes, else kTooLarge.
  virtual Awaitable<Result<std::string>> read_all(std::size_t limit) = 0;
  // Trailer fields of a chunked body; empty before its end.
  [[nodiscard]] virtual const Headers& trailers() const = 0;
  [[nodiscard]] virtual std::optional<std::uint64_t> content_length() const = 0;
  [[nodiscard]] virtual std::string_view peer_address() const = 0;  // "127.0.0.1:50312"
  [[nodiscard]] virtual bool is_tls() const = 0;
};

class ResponseWriter {
 public:
  virtual ~ResponseWriter() = default;
  // A whole response in one write. The body is moved, never copied.
  virtual Awaitable<Result<void>> send(Response response) = 0;
  // A streamed response: begin, write any number of times, finish. Chunked unless Content-Length is set in the head.
  // Each write is flushed. Without finish() the connection is cut, so that a peer sees the body as incomplete.
  virtual Awaitable<Result<void>> begin(ResponseHead head) = 0;
  virtual Awaitable<Result<void>> write(std::string data) = 0;
  virtual Awaitable<Result<void>> finish() = 0;
  [[nodiscard]] virtual bool started() const = 0;
  // Calls `callback` once, on the connection's reactor, if the peer closes while the handler runs. Cleared when the
  // handler returns.
  virtual void on_peer_closed(std::function<void()> callback) = 0;
  // Whether the peer's end has not been seen: one look at the socket, for a handler that has waited for long.
  [[nodiscard]] virtual bool peer_is_there() { return true; }
  // Answers 101 to a request that check_web_socket() accepts, with further fields (Sec-WebSocket-Protocol). The handler
  // reads the socket until its end and returns; the connection ends with it. kInvalid, kClosed.
  virtual Awaitable<Result<std::shared_ptr<WebSocket>>> upgrade(Headers headers, WebSocketLimits limits);
  // Where the request was worked on. A connection whose requests are, one after the other, worked on elsewhere goes
  // there between two of them: each then needs no message from one reactor to another.
  virtual void prefer(Reactor& reactor) { static_cast<void>(reactor); }
};

using Handler = std::function<Awaitable<void>(Request&, ResponseWriter&)>;

struct TlsFiles {
  std::string certificate_chain_path;  // PEM
  std::string private_key_path;        // PEM
};

class Server {
 public:
  Server(Reactors& reactors, ServerLimits limits, Handler handler);
  ~Server();  // drain_blocking must have been called where listen() was
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Binds and accepts; connections are spread over the reactors. "127.0.0.1:4566", "[::1]:0". Returns the bound port.
  Result<std::uint16_t> listen(const std::string& address, const std::optional<TlsFiles>& tls);
  // Stops accepting, closes idle connections, sends "Connection: close" on those that work, waits for them, then cuts
  // what is left at the deadline. From a thread that is no reactor. True when nothing had to be cut.
  bool drain_blocking(std::chrono::nanoseconds at_most);
  [[nodiscard]] std::size_t open_connections() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

// A listening socket that somebody else made (an instance's Runtime API socket), served on one reactor until close().
// Bodies and heads are bounded by `limits`; handlers still running at close() see their connections cut.
class AdoptedListener {
 public:
  // `accepted` is called for each connection, before anything of it is read; it may be empty.
  AdoptedListener(Reactor& reactor, UniqueFd listening_socket, ServerLimits limits, Handler handler,
                  std::function<void()> accepted);
  ~AdoptedListener();  // closes; safe while handlers run (they keep their own state alive)
  AdoptedListener(const AdoptedListener&) = delete;
  AdoptedListener& operator=(const AdoptedListener&) = delete;
  void close();              // on the reactor's thread; idempotent
  Awaitable<void> closed();  // after close(): until the last handler has returned

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace mayfly::http
