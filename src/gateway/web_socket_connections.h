// The live connections of all WebSocket APIs, by id.
//
// Operation.   A connection is added before its $connect route is asked, opened when its handshake is answered, and
//              removed when it ends. Only an open one is found.
// Concurrency. Any thread; one short lock. What a Connection holds does not change once it is open, but for `in_flight`
//              and `room`, which belong to its reactor.
// Limits.      kMost connections, of which kNewPerSecond may begin in a second for each account and region.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/async.h"
#include "base/clock.h"
#include "base/token_bucket.h"
#include "gateway/payload.h"
#include "http/web_socket.h"

namespace mayfly::gateway {

struct Connection {
  std::string id;
  SystemTime connected_at;
  EventInput client;  // what all its events say: API, stage, domain, address, User-Agent, authorizer
  std::shared_ptr<http::WebSocket> socket;
  std::size_t in_flight = 0;  // messages that are being worked on
  Signal room;                // one less of them
};
using ConnectionPtr = std::shared_ptr<Connection>;

class WebSocketConnections {
 public:
  // A quarter of the server's connections stays for requests, @connections among them.
  static constexpr std::size_t kMost = 3'072;
  // "New connections per second per account per Region", as documented.
  static constexpr double kNewPerSecond = 500;
  static constexpr std::size_t kMostScopes = 1'000;

  // Zero, or how long until another connection may begin. `scope` is an account and a region.
  std::chrono::nanoseconds take(const std::string& scope, SteadyTime now);

  // Removes its connection when it goes.
  class Entry {
   public:
    Entry(WebSocketConnections& all, ConnectionPtr connection) : all_(&all), connection_(std::move(connection)) {}
    ~Entry() { leave(); }
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;
    void leave();

   private:
    WebSocketConnections* all_;
    ConnectionPtr connection_;
  };
  // Null where there are too many.
  std::unique_ptr<Entry> add(ConnectionPtr connection);
  void open(const ConnectionPtr& connection, std::shared_ptr<http::WebSocket> socket);

  [[nodiscard]] ConnectionPtr find(std::string_view api_id, std::string_view stage, const std::string& id) const;
  [[nodiscard]] std::size_t size() const;

  // Those that `which` is true for.
  void close(const std::function<bool(const Connection&)>& which, std::uint16_t code, const std::string& reason);

 private:
  void remove(const std::string& id);

  mutable std::mutex mutex_;
  std::unordered_map<std::string, ConnectionPtr> connections_;
  TokenBuckets rates_{kMostScopes};
};

}  // namespace mayfly::gateway
