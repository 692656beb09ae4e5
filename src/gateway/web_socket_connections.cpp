#include "gateway/web_socket_connections.h"

#include <utility>
#include <vector>

namespace mayfly::gateway {

std::chrono::nanoseconds WebSocketConnections::take(const std::string& scope, SteadyTime now) {
  constexpr RateLimits kLimits{.rate = kNewPerSecond, .burst = kNewPerSecond};
  return rates_.take(scope, kLimits, now);
}

void WebSocketConnections::Entry::leave() {
  if (connection_) all_->remove(connection_->id);
  connection_.reset();
}

std::unique_ptr<WebSocketConnections::Entry> WebSocketConnections::add(ConnectionPtr connection) {
  {
    const std::lock_guard lock(mutex_);
    if (connections_.size() >= kMost || !connections_.emplace(connection->id, connection).second) return nullptr;
  }
  return std::make_unique<Entry>(*this, std::move(connection));
}

void WebSocketConnections::open(const ConnectionPtr& connection, std::shared_ptr<http::WebSocket> socket) {
  const std::lock_guard lock(mutex_);
  connection->socket = std::move(socket);
}

ConnectionPtr WebSocketConnections::find(std::string_view api_id, std::string_view stage, const std::string& id) const {
  const std::lock_guard lock(mutex_);
  const auto found = connections_.find(id);
  if (found == connections_.end() || !found->second->socket) return nullptr;
  const auto& client = found->second->client;
  return client.api_id == api_id && client.stage == stage ? found->second : nullptr;
}

std::size_t WebSocketConnections::size() const {
  const std::lock_guard lock(mutex_);
  return connections_.size();
}

void WebSocketConnections::close(const std::function<bool(const Connection&)>& which, std::uint16_t code,
                                 const std::string& reason) {
  std::vector<std::shared_ptr<http::WebSocket>> chosen;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, connection] : connections_) {
      if (connection->socket && which(*connection)) chosen.push_back(connection->socket);
    }
  }
  for (const auto& socket : chosen) socket->close(code, reason);
}

void WebSocketConnections::remove(const std::string& id) {
  const std::lock_guard lock(mutex_);
  connections_.erase(id);
}

}  // namespace mayfly::gateway
