// For tests: the queue of servers that are killed between any two durable steps.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "delivery/fake_queue.h"
#include "delivery/parcel.h"

namespace mayfly::delivery {

// A server dies at one of its durable steps: what follows never happens.
struct Fate {
  std::uint64_t steps_left = 0;  // 0: it lives on
  bool dead = false;

  Awaitable<void> step() {
    if (steps_left > 0 && --steps_left == 0) dead = true;
    Signal for_ever;
    if (dead) co_await for_ever.wait_until(kNoDeadline);
  }
};

// The queue of all servers, with each durable write between two steps of fate.
class MortalQueue final : public store::Queue {
 public:
  MortalQueue(FakeQueue& queue, Fate& fate) : queue_(queue), fate_(fate) {}
  std::map<std::string, int> accepted;  // messages by the id of their event

  Awaitable<Result<void>> configure(store::QueueName queue, store::QueueSettings settings) override {
    co_return co_await queue_.configure(queue, settings);
  }
  Awaitable<Result<void>> remove(store::QueueName queue) override { co_return co_await queue_.remove(queue); }
  Awaitable<Result<std::vector<store::QueueName>>> list(std::string prefix) override {
    co_return co_await queue_.list(prefix);
  }
  Awaitable<Result<std::vector<store::Published>>> publish(store::QueueName queue,
                                                           std::vector<store::NewMessage> messages) override {
    co_await fate_.step();
    auto done = co_await queue_.publish(queue, std::move(messages));
    co_await fate_.step();
    co_return done;
  }
  Awaitable<Result<void>> publish_to_many(std::vector<Fanout> messages) override {
    co_await fate_.step();
    if (queue_.broken) co_return fail(ErrorCode::kIo, "no space");
    for (auto& one : messages) {
      const auto parcel = parcel_from_text(one.message.body);
      const auto before = queue_.queues[one.queue.str()].messages.size();
      std::vector<Fanout> single;
      single.push_back(std::move(one));
      const auto name = single.front().queue.str();
      [[maybe_unused]] const auto done = co_await queue_.publish_to_many(std::move(single));
      if (queue_.queues[name].messages.size() > before && parcel) ++accepted[name + " " + parcel->event.id];
    }
    co_await fate_.step();
    co_return Result<void>();
  }
  Awaitable<Result<std::vector<store::Leased>>> lease(store::QueueName queue, store::LeaseRequest request) override {
    co_await fate_.step();
    co_return co_await queue_.lease(queue, request);
  }
  Awaitable<Result<void>> extend(store::QueueName queue, store::LeaseToken token,
                                 std::chrono::microseconds duration) override {
    co_return co_await queue_.extend(queue, token, duration);
  }
  Awaitable<Result<void>> release(store::QueueName queue, store::LeaseToken token, std::chrono::microseconds delay,
                                  std::string state) override {
    co_await fate_.step();
    auto done = co_await queue_.release(queue, token, delay, std::move(state));
    co_await fate_.step();
    co_return done;
  }
  Awaitable<Result<void>> acknowledge(store::QueueName queue, store::LeaseToken token) override {
    co_await fate_.step();
    auto done = co_await queue_.acknowledge(queue, token);
    co_await fate_.step();
    co_return done;
  }
  Awaitable<std::vector<Result<void>>> acknowledge_all(store::QueueName queue,
                                                       std::vector<store::LeaseToken> tokens) override {
    co_await fate_.step();
    co_return co_await queue_.acknowledge_all(queue, std::move(tokens));
  }
  Awaitable<Result<void>> purge(store::QueueName queue) override { co_return co_await queue_.purge(queue); }
  Awaitable<Result<store::QueueCounts>> counts(store::QueueName queue) override {
    co_return co_await queue_.counts(queue);
  }
  Awaitable<Result<std::vector<store::PeekedMessage>>> peek(store::QueueName queue, std::uint64_t after,
                                                            std::size_t limit) override {
    co_return co_await queue_.peek(queue, after, limit);
  }
  Awaitable<Result<void>> take_out(store::QueueName queue, std::string id) override {
    co_return co_await queue_.take_out(queue, id);
  }

 private:
  FakeQueue& queue_;
  Fate& fate_;
};

}  // namespace mayfly::delivery
