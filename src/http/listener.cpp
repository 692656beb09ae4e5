#include "http/listener.h"

#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <charconv>
#include <optional>

#include "base/log.h"
#include "http/transport.h"

namespace mayfly::http {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
// While descriptors are short, accepting again at once would spin; the waiting connections stay in the backlog.
constexpr std::chrono::milliseconds kBackOff{100};

bool is_shortage(const error_code& error) {
  return error == boost::system::errc::too_many_files_open ||
         error == boost::system::errc::too_many_files_open_in_system || error == boost::system::errc::no_buffer_space ||
         error == boost::system::errc::not_enough_memory;
}

std::optional<asio::ip::tcp::endpoint> parse_endpoint(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  const std::string_view port_text = text.substr(colon + 1);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  if (host == "localhost") host = "127.0.0.1";
  std::uint16_t port = 0;
  const auto [end, fault] = std::from_chars(port_text.data(), port_text.data() + port_text.size(), port);
  if (fault != std::errc() || end != port_text.data() + port_text.size()) return std::nullopt;
  error_code error;
  const auto address = asio::ip::make_address(std::string(host), error);
  if (error) return std::nullopt;
  return asio::ip::tcp::endpoint(address, port);
}

Error listen_error(const std::string& address, const error_code& error) {
  Error failure = errno_error(error.value(), "listening on " + address);
  if (error == asio::error::address_in_use)
    failure.hint = "another program uses the port; choose another, or 0 for any";
  return failure;
}

}  // namespace

void task_started(ConnectionGroup& group) {
  std::lock_guard lock(group.mutex);
  ++group.tasks;
}

void task_ended(ConnectionGroup& group) {
  std::lock_guard lock(group.mutex);
  --group.tasks;
  group.changed.notify_all();
  if (group.tasks > 0) return;
  group.all_ended.notify_all();
  group.all_ended.notify();  // for one that has looked and not yet begun to wait
}

Listener::Listener(std::shared_ptr<ConnectionGroup> group, Reactor& reactor, ChooseReactor choose,
                   std::shared_ptr<asio::ssl::context> tls)
    : group_(std::move(group)),
      reactor_(reactor),
      choose_(std::move(choose)),
      tls_(std::move(tls)),
      acceptor_(reactor.io()) {}

Result<std::uint16_t> Listener::bind(const std::string& address) {
  const auto endpoint = parse_endpoint(address);
  if (!endpoint) {
    return fail(ErrorCode::kInvalid, "not an address to listen on: " + address, "give it as 127.0.0.1:4566 or [::1]:0");
  }
  error_code error;
  acceptor_.open(endpoint->protocol(), error);
  if (!error) acceptor_.set_option(asio::ip::tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor_.bind(*endpoint, error);
  if (!error) acceptor_.listen(SOMAXCONN, error);
  if (error) return std::unexpected(listen_error(address, error));
  const auto bound = acceptor_.local_endpoint(error);
  if (error) return std::unexpected(listen_error(address, error));
  return bound.port();
}

Result<void> Listener::adopt(UniqueFd listening_socket) {
  sockaddr_storage name{};
  socklen_t size = sizeof(name);
  // SAFETY: the kernel's own pattern: a sockaddr_storage is large enough and aligned for each kind of address.
  if (::getsockname(listening_socket.get(), reinterpret_cast<sockaddr*>(&name), &size) != 0) {
    return fail_errno("the address of an adopted listening socket");
  }
  const auto protocol = name.ss_family == AF_INET6 ? asio::ip::tcp::v6() : asio::ip::tcp::v4();
  error_code error;
  acceptor_.assign(protocol, listening_socket.get(), error);
  if (error) return std::unexpected(errno_error(error.value(), "adopting a listening socket"));
  static_cast<void>(listening_socket.release());
  return Result<void>();
}

void Listener::start() {
  task_started(*group_);
  auto self = shared_from_this();
  asio::co_spawn(reactor_.io(), accept(), [self](const std::exception_ptr& error) {
    if (error) log(Level::kError, "an exception left the accepting of HTTP connections");
    task_ended(*self->group_);
  });
}

void Listener::close() {
  error_code ignored;
  acceptor_.close(ignored);
}

Awaitable<void> Listener::accept() {
  while (acceptor_.is_open()) {
    Reactor& target = choose_();
    auto [error, socket] = co_await acceptor_.async_accept(target.io(), kAwait);
    if (!error) {
      begin_connection(target, std::move(socket));
      continue;
    }
    if (!acceptor_.is_open()) co_return;
    // Anything else belongs to the one connection that failed, such as a peer that gave up in the backlog.
    if (!is_shortage(error)) continue;
    log(Level::kWarn, "cannot accept connections for now", {{"error", error.message()}});
    co_await reactor_.sleep_for(kBackOff);
  }
}

void Listener::begin_connection(Reactor& reactor, asio::ip::tcp::socket socket) {
  std::unique_ptr<Stream> stream =
      tls_ ? make_tls_stream(std::move(socket), tls_) : make_plain_stream(std::move(socket));
  if (group_->accepted) group_->accepted();
  spawn_connection(group_, reactor, std::move(stream), Arrival::kAccepted);
}

void spawn_connection(const std::shared_ptr<ConnectionGroup>& group, Reactor& reactor, std::unique_ptr<Stream> stream,
                      Arrival arrival) {
  auto connection = std::make_shared<Connection>(group, reactor, std::move(stream), arrival);
  bool refused = false;
  {
    std::lock_guard lock(group->mutex);
    // One that moves is counted twice for a moment.
    refused = arrival == Arrival::kAccepted && group->connections.size() >= group->limits.connections;
    // Refusing politely takes a moment each, so that is bounded too.
    if (refused && group->tasks > 2 * group->limits.connections + 64) return;
    if (!refused) group->connections.emplace(connection.get(), connection);
    ++group->tasks;
  }
  auto work = refused ? connection->run_refused() : connection->run();
  asio::co_spawn(reactor.io(), std::move(work), [group, connection](const std::exception_ptr& error) {
    if (error) log(Level::kError, "an exception left an HTTP connection");
    {
      std::lock_guard lock(group->mutex);
      group->connections.erase(connection.get());
    }
    task_ended(*group);
  });
}

}  // namespace mayfly::http
