#include "http/server.h"

#include <vector>

#include "base/log.h"
#include "http/listener.h"
#include "http/transport.h"

namespace mayfly::http {
namespace {

// Cut connections end at once but for handlers that do not listen; drain_blocking() waits this long for those.
constexpr std::chrono::seconds kAfterCut{5};

std::vector<std::shared_ptr<Connection>> connections_of(const ConnectionGroup& group) {
  std::vector<std::shared_ptr<Connection>> all;
  std::lock_guard lock(group.mutex);
  all.reserve(group.connections.size());
  for (const auto& [key, connection] : group.connections) all.push_back(connection);
  return all;
}

}  // namespace

Awaitable<Result<std::shared_ptr<WebSocket>>> ResponseWriter::upgrade(Headers, WebSocketLimits) {
  co_return fail(ErrorCode::kUnsupported, "no WebSocket here");
}

struct Server::Impl {
  Impl(Reactors& the_reactors, ServerLimits limits, Handler handler)
      : reactors(the_reactors), group(std::make_shared<ConnectionGroup>(limits, std::move(handler))) {
    group->may_move = true;
  }
  Reactors& reactors;
  std::shared_ptr<ConnectionGroup> group;
  std::mutex mutex;
  std::vector<std::shared_ptr<Listener>> listeners;
};

Server::Server(Reactors& reactors, ServerLimits limits, Handler handler)
    : impl_(std::make_shared<Impl>(reactors, limits, std::move(handler))) {}

Server::~Server() {
  std::lock_guard lock(impl_->mutex);
  MAYFLY_ASSERT(impl_->listeners.empty());  // drain_blocking() was not called
}

Result<std::uint16_t> Server::listen(const std::string& address, const std::optional<TlsFiles>& tls) {
  std::shared_ptr<boost::asio::ssl::context> context;
  if (tls) {
    auto made = make_tls_context(*tls);
    if (!made) return std::unexpected(made.error());
    context = std::move(*made);
  }
  Reactors& reactors = impl_->reactors;
  auto listener = std::make_shared<Listener>(
      impl_->group, reactors.at(0), [&reactors]() -> Reactor& { return reactors.next(); }, std::move(context));
  auto port = listener->bind(address);
  if (!port) return port;
  listener->start();
  std::lock_guard lock(impl_->mutex);
  impl_->listeners.push_back(std::move(listener));
  return port;
}

bool Server::drain_blocking(std::chrono::nanoseconds at_most) {
  ConnectionGroup& group = *impl_->group;
  std::vector<std::shared_ptr<Listener>> listeners;
  {
    std::lock_guard lock(impl_->mutex);
    listeners.swap(impl_->listeners);
  }
  group.draining = true;
  for (const auto& listener : listeners) {
    impl_->reactors.at(0).post([listener] { listener->close(); });
  }
  for (const auto& connection : connections_of(group)) {
    connection->reactor().post([connection] { connection->drain(); });
  }
  std::unique_lock lock(group.mutex);
  const auto ended = [&group] { return group.tasks == 0; };
  if (group.changed.wait_for(lock, at_most, ended)) return true;
  lock.unlock();
  const auto left = connections_of(group);
  log(Level::kWarn, "cutting connections that did not end in time", {{"connections", left.size()}});
  for (const auto& connection : left) {
    connection->reactor().post([connection] { connection->cut(); });
  }
  lock.lock();
  if (!group.changed.wait_for(lock, kAfterCut, ended)) {
    log(Level::kError, "HTTP handlers did not end after their connections were cut", {{"tasks", group.tasks}});
  }
  return false;
}

std::size_t Server::open_connections() const {
  std::lock_guard lock(impl_->group->mutex);
  return impl_->group->connections.size();
}

struct AdoptedListener::Impl {
  std::shared_ptr<ConnectionGroup> group;
  std::shared_ptr<Listener> listener;
  Reactor* reactor = nullptr;
};

AdoptedListener::AdoptedListener(Reactor& reactor, UniqueFd listening_socket, ServerLimits limits, Handler handler,
                                 std::function<void()> accepted)
    : impl_(std::make_shared<Impl>()) {
  impl_->group = std::make_shared<ConnectionGroup>(limits, std::move(handler));
  impl_->reactor = &reactor;
  impl_->group->accepted = std::move(accepted);
  impl_->listener =
      std::make_shared<Listener>(impl_->group, reactor, [&reactor]() -> Reactor& { return reactor; }, nullptr);
  auto adopted = impl_->listener->adopt(std::move(listening_socket));
  if (!adopted) {
    log(Level::kError, "a listening socket could not be adopted", {{"error", adopted.error().message}});
    impl_->group->draining = true;
    return;
  }
  impl_->listener->start();
}

AdoptedListener::~AdoptedListener() {
  if (impl_->reactor->in_this_thread()) {
    close();
    return;
  }
  auto impl = impl_;
  impl_->reactor->post([impl] {
    impl->group->draining = true;
    impl->listener->close();
    for (const auto& connection : connections_of(*impl->group)) connection->cut();
  });
}

void AdoptedListener::close() {
  if (impl_->group->draining.exchange(true)) return;
  impl_->listener->close();
  for (const auto& connection : connections_of(*impl_->group)) connection->cut();
}

Awaitable<void> AdoptedListener::closed() {
  auto group = impl_->group;
  for (;;) {
    {
      std::lock_guard lock(group->mutex);
      if (group->tasks == 0) co_return;
    }
    static_cast<void>(co_await group->all_ended.wait_until(kNoDeadline));
  }
}

}  // namespace mayfly::http
