// Accepting: a listening socket's coroutine and the start of each connection's, counted by their group.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <functional>
#include <memory>

#include "http/connection.h"

namespace mayfly::http {

// Where the next connection runs.
using ChooseReactor = std::function<Reactor&()>;

// One listening socket on one reactor. Kept alive by its own coroutine while that runs.
class Listener final : public std::enable_shared_from_this<Listener> {
 public:
  Listener(std::shared_ptr<ConnectionGroup> group, Reactor& reactor, ChooseReactor choose,
           std::shared_ptr<boost::asio::ssl::context> tls);
  // From any thread, before start().
  Result<std::uint16_t> bind(const std::string& address);
  Result<void> adopt(UniqueFd listening_socket);
  void start();  // from any thread
  void close();  // on the reactor's thread

 private:
  Awaitable<void> accept();
  void begin_connection(Reactor& reactor, boost::asio::ip::tcp::socket socket);

  std::shared_ptr<ConnectionGroup> group_;
  Reactor& reactor_;
  ChooseReactor choose_;
  std::shared_ptr<boost::asio::ssl::context> tls_;
  boost::asio::ip::tcp::acceptor acceptor_;
};

void task_started(ConnectionGroup& group);
void task_ended(ConnectionGroup& group);

}  // namespace mayfly::http
