#include "base/async.h"

#include <gtest/gtest.h>

#include <atomic>

namespace mayfly {
namespace {

using std::chrono::seconds;

struct World {
  VirtualClock clock;
  Reactor reactor{clock, "test"};
  Scope scope{"test"};
  void settle() {
    while (reactor.poll() > 0) {
    }
  }
};

TEST(Reactor, FiresTimersInOrderWhenTimeAdvances) {
  World w;
  std::string order;
  w.reactor.call_at(SteadyTime(seconds(2)), [&] { order += 'b'; });
  w.reactor.call_at(SteadyTime(seconds(1)), [&] { order += 'a'; });
  const auto cancelled = w.reactor.call_at(SteadyTime(seconds(1)), [&] { order += 'x'; });
  w.reactor.cancel_timer(cancelled);
  w.settle();
  EXPECT_EQ(order, "");
  w.clock.advance(seconds(1));
  w.settle();
  EXPECT_EQ(order, "a");
  w.clock.advance(seconds(5));
  w.settle();
  EXPECT_EQ(order, "ab");
}

TEST(Signal, RemembersOneNotification) {
  World w;
  Signal signal;
  signal.notify();
  signal.notify();
  int woken = 0;
  const auto task = [&]() -> Awaitable<void> {
    if (co_await signal.wait_until(SteadyTime(seconds(10)))) ++woken;
    if (co_await signal.wait_until(SteadyTime(seconds(10)))) ++woken;
  };
  w.scope.spawn(w.reactor, "waiter", task);
  w.settle();
  EXPECT_EQ(woken, 1);
  w.clock.advance(seconds(10));
  w.settle();
  EXPECT_EQ(woken, 1);
  EXPECT_EQ(w.scope.running(), 0U);
}

TEST(Signal, NotifyWakesOneWaiterAndNotifyAllEveryone) {
  World w;
  Signal signal;
  int woken = 0;
  const auto task = [&]() -> Awaitable<void> {
    if (co_await signal.wait_until(kNoDeadline)) ++woken;
  };
  for (int i = 0; i < 3; ++i) w.scope.spawn(w.reactor, "waiter", task);
  w.settle();
  signal.notify();
  w.settle();
  EXPECT_EQ(woken, 1);
  signal.notify_all();
  w.settle();
  EXPECT_EQ(woken, 3);
}

TEST(OneShot, GivesItsValueOnceAndTimesOut) {
  World w;
  OneShot<int> slot;
  std::optional<int> early = 1;
  std::optional<int> late;
  const auto task = [&]() -> Awaitable<void> {
    early = co_await slot.get_until(SteadyTime(seconds(1)));
    late = co_await slot.get_until(kNoDeadline);
  };
  w.scope.spawn(w.reactor, "consumer", task);
  w.settle();
  w.clock.advance(seconds(1));
  w.settle();
  EXPECT_FALSE(early.has_value());
  EXPECT_TRUE(slot.set(7));
  EXPECT_FALSE(slot.set(8));
  w.settle();
  EXPECT_EQ(late, 7);
}

TEST(Scope, CountsFailuresAndRefusesAfterStop) {
  World w;
  const auto failing = []() -> Awaitable<void> {
    throw std::runtime_error("a defect");
    co_return;
  };
  w.scope.spawn(w.reactor, "failing", failing);
  w.settle();
  EXPECT_EQ(w.scope.failures(), 1U);
  EXPECT_EQ(w.scope.running(), 0U);
  w.scope.stop();
  EXPECT_FALSE(w.scope.spawn(w.reactor, "late", failing));
}

TEST(Scope, JoinWaitsForTheLastTask) {
  World w;
  Scope inner("inner");
  Signal go;
  bool joined = false;
  const auto task = [&]() -> Awaitable<void> { co_await go.wait_until(kNoDeadline); };
  const auto joiner = [&]() -> Awaitable<void> {
    co_await inner.join();
    joined = true;
  };
  inner.spawn(w.reactor, "task", task);
  w.scope.spawn(w.reactor, "joiner", joiner);
  w.settle();
  EXPECT_FALSE(joined);
  go.notify();
  w.settle();
  EXPECT_TRUE(joined);
}

TEST(Reactors, ValuesCrossBetweenReactors) {
  RealClock clock;
  Reactors reactors(clock, 2);
  reactors.start();
  Scope scope("test");
  constexpr int kRounds = 2000;
  std::atomic<int> sum{0};
  for (int i = 0; i < kRounds; ++i) {
    OneShot<int> slot;
    scope.spawn(reactors.at(0), "consumer", [slot, &sum]() mutable -> Awaitable<void> {
      const auto value = co_await slot.get_until(kNoDeadline);
      sum += *value;
    });
    scope.spawn(reactors.at(1), "producer", [slot]() mutable -> Awaitable<void> {
      slot.set(1);
      co_return;
    });
  }
  EXPECT_TRUE(scope.join_blocking(seconds(30)));
  EXPECT_EQ(sum, kRounds);
}

TEST(Signals, WaitForAClockThatIsNotTheirReactors) {
  RealClock real;
  VirtualClock moved;
  Reactors reactors(real, 2);
  reactors.start();
  Scope scope("test");
  constexpr int kWaiters = 50;
  std::atomic<int> timed_out{0};
  std::atomic<int> notified{0};
  Signal never;
  Signal soon;
  for (int i = 0; i < kWaiters; ++i) {
    const auto deadline = moved.steady_now() + seconds(i + 1);
    scope.spawn(reactors.at(static_cast<std::size_t>(i % 2)), "waiter", [&, deadline]() -> Awaitable<void> {
      if (!co_await never.wait_until(moved, deadline)) ++timed_out;
    });
    scope.spawn(reactors.at(static_cast<std::size_t>(i % 2)), "notified", [&, deadline]() -> Awaitable<void> {
      if (co_await soon.wait_until(moved, deadline)) ++notified;
    });
  }
  while (notified < kWaiters) {
    soon.notify();
    std::this_thread::yield();
  }
  EXPECT_EQ(timed_out, 0);
  for (int i = 0; i < kWaiters; ++i) {
    moved.advance(seconds(1));
    while (timed_out < i + 1) std::this_thread::yield();
  }
  EXPECT_TRUE(scope.join_blocking(seconds(30)));
  EXPECT_EQ(moved.next_timer(), std::nullopt);
}

TEST(BlockingPool, RunsWorkAndComesBackToTheReactor) {
  RealClock clock;
  Reactors reactors(clock, 1);
  reactors.start();
  Scope scope("test");
  BlockingPool pool(2, 16);
  std::atomic<bool> same_thread{false};
  scope.spawn(reactors.at(0), "task", [&]() -> Awaitable<void> {
    std::function<Result<int>()> work = [] { return Result<int>(5); };
    const auto result = co_await pool.run(std::move(work));
    same_thread = result == 5 && reactors.at(0).in_this_thread();
  });
  EXPECT_TRUE(scope.join_blocking(seconds(30)));
  EXPECT_TRUE(same_thread);
}

TEST(BlockingPool, RefusesWhatItsQueueCannotHold) {
  std::mutex gate;
  std::unique_lock hold(gate);
  BlockingPool pool(1, 1);
  std::atomic<bool> running{false};
  ASSERT_TRUE(pool.submit([&] {
    running = true;
    const std::lock_guard wait(gate);
  }));
  while (!running) std::this_thread::yield();
  EXPECT_TRUE(pool.submit([] {}));
  EXPECT_FALSE(pool.submit([] {}));
  hold.unlock();
}

}  // namespace
}  // namespace mayfly
