// Lines that go on for as long as somebody reads them: logs and events that are followed.
#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <string>

#include "base/async.h"
#include "http/server.h"

namespace mayfly::app {

// What another thread hands to a follower's coroutine.
struct Tail {
  std::mutex mutex;
  std::deque<std::string> lines;
  std::size_t dropped = 0;
  bool closed = false;
  Signal ready;

  void push(std::string line);
  void close();
  std::string take();
  bool is_closed();
};

// Writes what comes until the reader goes or the server stops. The response has begun.
Awaitable<void> follow(std::shared_ptr<Tail> tail, const std::atomic<bool>& stopping, http::ResponseWriter& response);

}  // namespace mayfly::app
