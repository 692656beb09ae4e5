// Delivery on a virtual clock for tests: one reactor, targets that do as they are told, a queue in memory.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "delivery/delivery.h"
#include "delivery/fake_queue.h"

namespace mayfly::delivery::testing {

inline const std::string kFunction = "arn:aws:lambda:us-east-1:000000000000:function:work";
inline const std::string kQueueArn = "arn:aws:sqs:us-east-1:000000000000:letters";

struct Seen {
  Arn target;
  Event event;
  SteadyTime at;
};

struct World {
  VirtualClock clock;
  FakeQueue queue{clock};
  Reactors reactors{clock, 1};
  Targets targets;
  Scope scope{"test"};
  DeliverySettings settings;
  std::vector<Seen> seen;
  std::map<std::string, std::vector<Attempt>> answers;  // by resource; the last one stays
  std::set<std::string> held;                           // resources whose attempts wait for `gate`
  Signal gate;
  std::size_t running = 0;
  std::size_t most_running = 0;
  std::unique_ptr<Delivery> delivery;

  World() {
    settings.seed = 7;
    for (const char* service : {"lambda", "sqs", "sns"}) {
      targets.add(service, [this](Arn arn, Event event) { return take(std::move(arn), std::move(event)); });
    }
  }
  ~World() { stop(); }

  Awaitable<Attempt> take(Arn arn, Event event) {
    seen.push_back({arn, event, clock.steady_now()});
    const auto resource = arn.resource;
    ++running;
    most_running = std::max(most_running, running);
    while (held.contains(resource)) co_await gate.wait_until(kNoDeadline);
    --running;
    auto& list = answers[resource];
    Attempt out;
    if (!list.empty()) out = list.front();
    if (list.size() > 1) list.erase(list.begin());
    co_return out;
  }
  void settle() {
    while (reactors.at(0).poll() > 0) {
    }
  }
  void start() {
    delivery = std::make_unique<Delivery>(queue, targets, reactors, clock, settings);
    run([this]() -> Awaitable<void> { EXPECT_TRUE(co_await delivery->start()); });
  }
  void stop() {
    if (!delivery) return;
    held.clear();
    gate.notify_all();
    run([this]() -> Awaitable<void> {
      co_await delivery->stop(std::chrono::seconds(1));
      co_await delivery->join();
    });
    delivery.reset();
  }
  void run(const std::function<Awaitable<void>()>& task) {
    scope.spawn(reactors.at(0), "step", task);
    settle();
  }
  Result<void> submit(Request request) {
    Result<void> out = fail(ErrorCode::kInternal, "did not come back");
    run([&]() -> Awaitable<void> { out = co_await delivery->submit(std::move(request)); });
    return out;
  }
  // Moves time in small steps, so that everything in between happens when it is due.
  void pass(std::chrono::nanoseconds time, std::chrono::nanoseconds step) {
    for (auto moved = std::chrono::nanoseconds::zero(); moved < time; moved += step) {
      clock.advance(step);
      settle();
    }
  }
  LaneInfo lane(const std::string& arn) {
    LaneInfo out;
    run([&]() -> Awaitable<void> {
      for (auto& info : co_await delivery->lanes()) {
        if (info.target_arn == arn) out = info;
      }
    });
    return out;
  }
  std::size_t count(std::string_view resource) const {
    return static_cast<std::size_t>(
        std::count_if(seen.begin(), seen.end(), [&](const Seen& s) { return s.target.resource == resource; }));
  }
  const Seen* last(std::string_view resource) const {
    const auto found =
        std::find_if(seen.rbegin(), seen.rend(), [&](const auto& s) { return s.target.resource == resource; });
    return found == seen.rend() ? nullptr : &*found;
  }
};

inline Request request_for(const std::string& arn, std::string payload = R"({"n":1})") {
  Request out;
  out.target_arn = arn;
  out.event.id = "11111111-2222-4333-8444-555555555555";
  out.event.payload = std::move(payload);
  return out;
}

inline Attempt attempt_of(Attempt::Kind kind, std::string code = "", std::string message = "") {
  Attempt out;
  out.kind = kind;
  out.error_code = std::move(code);
  out.error_message = std::move(message);
  return out;
}

}  // namespace mayfly::delivery::testing
