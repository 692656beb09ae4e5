#include "app/tail.h"

#include <fmt/core.h>

#include "base/json.h"

namespace mayfly::app {
namespace {
constexpr std::size_t kFollowQueue = 10'000;  // lines that wait for a slow follower; more are dropped and counted
}  // namespace

void Tail::push(std::string line) {
  {
    const std::lock_guard lock(mutex);
    if (lines.size() >= kFollowQueue) {
      ++dropped;
      return;
    }
    lines.push_back(std::move(line));
  }
  ready.notify();
}

void Tail::close() {
  {
    const std::lock_guard lock(mutex);
    closed = true;
  }
  ready.notify();
}

std::string Tail::take() {
  const std::lock_guard lock(mutex);
  std::string out;
  for (auto& line : lines) out += line;
  lines.clear();
  if (dropped > 0)
    out += to_json(json::object{{"message", fmt::format("{} lines were dropped: this reader is too slow", dropped)}}) +
           "\n";
  dropped = 0;
  return out;
}

bool Tail::is_closed() {
  const std::lock_guard lock(mutex);
  return closed;
}

Awaitable<void> follow(std::shared_ptr<Tail> tail, const std::atomic<bool>& stopping, http::ResponseWriter& response) {
  constexpr auto kStep = std::chrono::milliseconds(500);  // how soon a stop is noticed
  constexpr int kKeepAlive = 20;                          // steps without a line until an empty one is sent
  int quiet = 0;
  while (!stopping && !tail->is_closed()) {
    const SteadyTime deadline = Reactor::current().steady_now() + kStep;
    co_await tail->ready.wait_until(deadline);
    std::string lines = tail->take();
    if (lines.empty() && ++quiet < kKeepAlive) continue;
    quiet = 0;
    if (lines.empty()) lines = "\n";
    const auto written = co_await response.write(std::move(lines));
    if (!written) break;
  }
}

}  // namespace mayfly::app
