// Coroutines on reactors: the only way asynchronous work is started, awaited, timed and stopped. Everything here
// hides Asio but for its awaitable type.
//
// Operation.   A Reactor is one thread with one event loop. A coroutine tree stays on the reactor it was spawned on.
//              Work that blocks runs on the BlockingPool. Values cross reactors only through OneShot and post().
// Concurrency. Signal, OneShot and Reactor::post are thread safe; everything else belongs to one reactor.
// Limits.      Every wait takes a deadline (SteadyTime::max() says "none" out loud).
// House rule.  A statement with co_await holds no braced initialiser, no by-value capture and no ?: ; coroutines take
//              no views, no references to temporaries and no default arguments.
#pragma once

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/error.h"

namespace boost::asio {
class io_context;
}

namespace mayfly {

template <typename T>
using Awaitable = boost::asio::awaitable<T>;

inline constexpr SteadyTime kNoDeadline = SteadyTime::max();

class Reactor {
 public:
  Reactor(Clock& clock, std::string name);
  ~Reactor();
  Reactor(const Reactor&) = delete;
  Reactor& operator=(const Reactor&) = delete;

  // Runs `work` on this reactor's thread, soon. From any thread.
  void post(std::function<void()> work);
  // Runs a callback at a time on this reactor's thread. Both from this reactor's thread only. A cancelled or fired
  // id is ignored by cancel_timer.
  using TimerId = std::uint64_t;
  TimerId call_at(SteadyTime when, std::function<void()> callback);
  void cancel_timer(TimerId id);

  // Goes on after what is ready to run now.
  Awaitable<void> yield();
  Awaitable<void> sleep_until(SteadyTime when);
  Awaitable<void> sleep_for(std::chrono::nanoseconds duration);

  void run();          // until stop(); the caller's thread becomes the reactor's thread
  void stop();         // from any thread
  std::size_t poll();  // runs what is ready and returns how many handlers ran; for tests

  [[nodiscard]] bool in_this_thread() const;
  [[nodiscard]] Clock& clock() const { return clock_; }
  [[nodiscard]] SteadyTime steady_now() const { return clock_.steady_now(); }
  [[nodiscard]] boost::asio::io_context& io() const;  // for http and sandbox only
  [[nodiscard]] const std::string& name() const { return name_; }
  // The reactor whose run() or poll() this thread is in; asserts that there is one.
  static Reactor& current();
  static Reactor* current_or_null();

 private:
  struct Impl;
  Clock& clock_;
  std::string name_;
  std::shared_ptr<Impl> impl_;
};

// The server's reactors, one thread each.
class Reactors {
 public:
  Reactors(Clock& clock, std::size_t count);
  ~Reactors();  // stops and joins
  void start();
  void stop();
  [[nodiscard]] std::size_t size() const { return reactors_.size(); }
  [[nodiscard]] Reactor& at(std::size_t i) { return *reactors_[i]; }
  Reactor& next();  // round robin; thread safe

 private:
  std::vector<std::unique_ptr<Reactor>> reactors_;
  std::vector<std::thread> threads_;
  std::atomic<std::size_t> next_{0};
};

// Counts the tasks it started, names them, hears them fail and waits for them at stop. Nothing is detached. Tasks of
// one scope may run on several reactors. An exception that leaves a task is a defect: it is logged with the task's name
// and counted in failures().
class Scope {
 public:
  explicit Scope(std::string name);
  ~Scope();  // asserts that join() has completed or nothing was spawned
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

  // Starts `task` on `reactor`. From any thread. After stop() nothing new is started and false is returned.
  bool spawn(Reactor& reactor, std::string_view task_name, std::function<Awaitable<void>()> task);
  [[nodiscard]] bool stopping() const;
  void stop();  // refuses new tasks and makes stopping() true; tasks are expected to look at it or be signalled
  Awaitable<void> join();                                // until no task is left
  bool join_blocking(std::chrono::nanoseconds at_most);  // from a thread that is no reactor; false when time ran out
  [[nodiscard]] std::size_t running() const;
  [[nodiscard]] std::size_t failures() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

// A flag that coroutines wait for. notify() wakes one present waiter, or the next to come when there is none (an
// auto-reset event). notify_all() wakes every present waiter and leaves nothing behind. Waiters resume on their own
// reactor. A waiter's coroutine may be destroyed only together with its reactor.
class Signal {
 public:
  Signal();
  ~Signal();
  Signal(const Signal&) = delete;
  Signal& operator=(const Signal&) = delete;
  void notify();
  void notify_all();
  // True when notified, false when `deadline` passed first.
  Awaitable<bool> wait_until(SteadyTime deadline);
  // The same, with a deadline of a clock that may be another one than the reactor's: what a user may move (schedules,
  // retries, visibility) waits on the clock it was given, and sockets, functions and sandboxes on their reactor's.
  Awaitable<bool> wait_until(Clock& clock, SteadyTime deadline);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

// One value from one producer (any thread) to one consumer coroutine. Copies share the same slot.
template <typename T>
class OneShot {
 public:
  // The first call wins and returns true; later ones return false.
  bool set(T value) {
    {
      std::lock_guard lock(state_->mutex);
      if (state_->done) return false;
      state_->value.emplace(std::move(value));
      state_->done = true;
    }
    state_->signal.notify();
    return true;
  }
  [[nodiscard]] bool is_set() const {
    std::lock_guard lock(state_->mutex);
    return state_->done;
  }
  // The value, or nullopt when the deadline passed first (the slot stays usable).
  Awaitable<std::optional<T>> get_until(SteadyTime deadline) {
    auto state = state_;
    for (;;) {
      if (auto value = take(*state)) co_return value;
      const bool notified = co_await state->signal.wait_until(deadline);
      if (!notified) co_return take(*state);
    }
  }

 private:
  struct State {
    std::mutex mutex;
    bool done = false;
    std::optional<T> value;
    Signal signal;
  };
  static std::optional<T> take(State& state) {
    std::lock_guard lock(state.mutex);
    auto value = std::move(state.value);
    state.value.reset();
    return value;
  }
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

// Threads for what blocks: SQLite, fsync, unzip, DNS. The queue is bounded.
class BlockingPool {
 public:
  BlockingPool(std::size_t threads, std::size_t queue_limit);
  ~BlockingPool();  // finishes what is queued, then joins
  // False when the queue is full or the pool is stopping.
  bool submit(std::function<void()> work);
  // Runs `work` on the pool and resumes on the caller's reactor with its result; kThrottled when the queue is full.
  template <typename T>
  Awaitable<Result<T>> run(std::function<Result<T>()> work) {
    OneShot<Result<T>> slot;
    std::function<void()> job = [slot, work = std::move(work)]() mutable { slot.set(work()); };
    if (!submit(std::move(job))) co_return fail(ErrorCode::kThrottled, "the pool for blocking work is full");
    auto result = co_await slot.get_until(kNoDeadline);
    co_return std::move(*result);
  }

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mayfly
