#include "base/async.h"

#include <sched.h>

#include <atomic>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <condition_variable>
#include <deque>
#include <map>
#include <thread>
#include <unordered_map>

#include "base/log.h"

namespace mayfly {
namespace asio = boost::asio;

namespace {
thread_local Reactor* current_reactor = nullptr;

class EnterReactor {
 public:
  explicit EnterReactor(Reactor* reactor) : before_(std::exchange(current_reactor, reactor)) {}
  ~EnterReactor() { current_reactor = before_; }
  EnterReactor(const EnterReactor&) = delete;
  EnterReactor& operator=(const EnterReactor&) = delete;

 private:
  Reactor* before_;
};

std::string describe(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& e) {
    return e.what();
  } catch (...) {
    return "an exception of unknown type";
  }
}
}  // namespace

// --- Reactor ---------------------------------------------------------------------------------------------------------

struct Reactor::Impl : std::enable_shared_from_this<Reactor::Impl> {
  explicit Impl(Clock& c) : clock(c) {}
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  // Callbacks go while the event loop lives: they may hold the last reference to something that belongs to it.
  ~Impl() { std::exchange(timers, {}).clear(); }

  Clock& clock;
  // Timers first: what the event loop still holds at its end may cancel one.
  std::map<std::pair<SteadyTime, TimerId>, std::function<void()>> timers;
  std::unordered_map<TimerId, SteadyTime> due;
  TimerId last_timer = 0;
  SteadyTime armed_for = kNoDeadline;
  asio::io_context io{1};
  asio::executor_work_guard<asio::io_context::executor_type> work{io.get_executor()};
  asio::steady_timer driver{io};

  bool linger();
  void fire() {
    armed_for = kNoDeadline;
    const SteadyTime now = clock.steady_now();
    while (!timers.empty() && timers.begin()->first.first <= now) {
      auto callback = std::move(timers.begin()->second);
      due.erase(timers.begin()->first.second);
      timers.erase(timers.begin());
      callback();
    }
    arm();
  }

  // One kernel timer serves them all; it is moved only when an earlier deadline comes.
  void arm() {
    if (!clock.is_real() || timers.empty()) return;
    const SteadyTime earliest = timers.begin()->first.first;
    if (earliest >= armed_for) return;
    armed_for = earliest;
    driver.expires_at(earliest);
    driver.async_wait([this](boost::system::error_code ec) {
      if (!ec) fire();
    });
  }
};

Reactor::Reactor(Clock& clock, std::string name)
    : clock_(clock), name_(std::move(name)), impl_(std::make_shared<Impl>(clock)) {
  if (!clock.is_real()) {
    clock.on_advance([weak = std::weak_ptr<Impl>(impl_)] {
      if (auto impl = weak.lock()) asio::post(impl->io, [raw = impl.get()] { raw->fire(); });
    });
  }
}

Reactor::~Reactor() = default;

void Reactor::post(std::function<void()> work) { asio::post(impl_->io, std::move(work)); }

Reactor::TimerId Reactor::call_at(SteadyTime when, std::function<void()> callback) {
  const TimerId id = ++impl_->last_timer;
  impl_->timers.emplace(std::pair(when, id), std::move(callback));
  impl_->due.emplace(id, when);
  if (impl_->clock.is_real()) {
    impl_->arm();
  } else if (when <= impl_->clock.steady_now()) {
    post([impl = impl_.get()] { impl->fire(); });
  }
  return id;
}

void Reactor::cancel_timer(TimerId id) {
  const auto it = impl_->due.find(id);
  if (it == impl_->due.end()) return;
  impl_->timers.erase({it->second, id});
  impl_->due.erase(it);
}

Awaitable<void> Reactor::yield() {
  auto token = asio::use_awaitable;
  co_await asio::post(impl_->io, token);
}

Awaitable<void> Reactor::sleep_until(SteadyTime when) {
  Signal never;
  co_await never.wait_until(when);
}

Awaitable<void> Reactor::sleep_for(std::chrono::nanoseconds duration) { return sleep_until(steady_now() + duration); }

// A thread that sleeps costs its waker an interrupt to an idle processor, some 20 us on a virtual machine, which is
// more than the work of most messages. So a reactor that was at work looks for more for a moment before it sleeps. It
// gives way to whatever else wants the processor, and only as many reactors do it at once as leave half of the machine
// alone.
bool Reactor::Impl::linger() {
  constexpr std::chrono::microseconds kLinger{50};
  static std::atomic<int> lingering{0};
  static const int most = std::max(1, static_cast<int>(std::thread::hardware_concurrency()) / 2);
  if (lingering.fetch_add(1, std::memory_order_relaxed) >= most) {
    lingering.fetch_sub(1, std::memory_order_relaxed);
    return false;
  }
  const SteadyTime until = clock.steady_now() + kLinger;
  bool found = false;
  while (!found && !io.stopped() && clock.steady_now() < until) {
    ::sched_yield();
    found = io.poll() > 0;
  }
  lingering.fetch_sub(1, std::memory_order_relaxed);
  return found;
}

void Reactor::run() {
  const EnterReactor enter(this);
  while (!impl_->io.stopped()) {
    try {
      if (impl_->io.poll() > 0 || (impl_->clock.is_real() && impl_->linger())) continue;
      impl_->io.run_one();
    } catch (const std::exception& e) {
      log(Level::kError, "a callback on a reactor failed", {{"reactor", name_}, {"error", e.what()}});
    }
  }
}

void Reactor::stop() { impl_->io.stop(); }

std::size_t Reactor::poll() {
  const EnterReactor enter(this);
  impl_->io.restart();
  return impl_->io.poll();
}

bool Reactor::in_this_thread() const { return current_reactor == this; }
boost::asio::io_context& Reactor::io() const { return impl_->io; }
Reactor& Reactor::current() {
  MAYFLY_ASSERT(current_reactor != nullptr);
  return *current_reactor;
}
Reactor* Reactor::current_or_null() { return current_reactor; }

// --- Reactors --------------------------------------------------------------------------------------------------------

Reactors::Reactors(Clock& clock, std::size_t count) {
  MAYFLY_ASSERT(count > 0);
  for (std::size_t i = 0; i < count; ++i) {
    reactors_.push_back(std::make_unique<Reactor>(clock, "reactor-" + std::to_string(i)));
  }
}

Reactors::~Reactors() { stop(); }

void Reactors::start() {
  for (auto& reactor : reactors_) threads_.emplace_back([r = reactor.get()] { r->run(); });
}

void Reactors::stop() {
  for (auto& reactor : reactors_) reactor->stop();
  for (auto& thread : threads_) thread.join();
  threads_.clear();
}

Reactor& Reactors::next() { return *reactors_[next_.fetch_add(1, std::memory_order_relaxed) % reactors_.size()]; }

// --- Signal ----------------------------------------------------------------------------------------------------------

// A waiter is an Asio timer that is cancelled to wake it: the pending wait belongs to the event loop, so that ending
// the loop frees the coroutine, which a stored handler would not.
struct Signal::Impl {
  struct Waiter {
    explicit Waiter(Reactor& r) : reactor(r), timer(r.io()) {}
    Reactor& reactor;
    asio::steady_timer timer;
    bool notified = false;
  };

  std::mutex mutex;
  bool set = false;
  std::deque<std::shared_ptr<Waiter>> waiters;

  // Takes the waiter over: its timer must not be destroyed by the notifying thread, which may outlive the reactor.
  static void wake(std::shared_ptr<Waiter> waiter) {
    Reactor& reactor = waiter->reactor;
    if (reactor.in_this_thread()) {
      waiter->timer.cancel();
    } else {
      asio::post(reactor.io(), [owned = std::move(waiter)] { owned->timer.cancel(); });
    }
  }
};

namespace {

// Takes a waiter out of its signal when the wait ends, also when the coroutine is destroyed with its reactor: a timer
// that the signal still held would outlive its event loop.
template <typename Impl, typename Waiter>
class Leaving {
 public:
  Leaving(std::shared_ptr<Impl> impl, std::shared_ptr<Waiter> waiter)
      : impl_(std::move(impl)), waiter_(std::move(waiter)) {}
  ~Leaving() {
    const std::lock_guard lock(impl_->mutex);
    if (!waiter_->notified) std::erase(impl_->waiters, waiter_);
  }
  Leaving(const Leaving&) = delete;
  Leaving& operator=(const Leaving&) = delete;

 private:
  std::shared_ptr<Impl> impl_;
  std::shared_ptr<Waiter> waiter_;
};

}  // namespace

Signal::Signal() : impl_(std::make_shared<Impl>()) {}
Signal::~Signal() = default;

void Signal::notify() {
  std::shared_ptr<Impl::Waiter> waiter;
  {
    const std::lock_guard lock(impl_->mutex);
    if (impl_->waiters.empty()) {
      impl_->set = true;
      return;
    }
    waiter = std::move(impl_->waiters.front());
    impl_->waiters.pop_front();
    waiter->notified = true;
  }
  Impl::wake(std::move(waiter));
}

void Signal::notify_all() {
  std::deque<std::shared_ptr<Impl::Waiter>> waiters;
  {
    const std::lock_guard lock(impl_->mutex);
    waiters.swap(impl_->waiters);
    for (auto& waiter : waiters) waiter->notified = true;
  }
  for (auto& waiter : waiters) Impl::wake(std::move(waiter));
}

Awaitable<bool> Signal::wait_until(SteadyTime deadline) {
  auto impl = impl_;
  Reactor& reactor = Reactor::current();
  auto waiter = std::make_shared<Impl::Waiter>(reactor);
  {
    const std::lock_guard lock(impl->mutex);
    if (impl->set) {
      impl->set = false;
      co_return true;
    }
    impl->waiters.push_back(waiter);
  }
  const Leaving leaving(impl, waiter);
  Reactor::TimerId timer = 0;
  const bool real = reactor.clock().is_real();
  if (real || deadline == kNoDeadline) {
    waiter->timer.expires_at(deadline);
  } else {
    waiter->timer.expires_at(kNoDeadline);
    timer = reactor.call_at(deadline, [waiter] { waiter->timer.cancel(); });
  }
  auto token = asio::as_tuple(asio::use_awaitable);
  co_await waiter->timer.async_wait(token);
  if (timer != 0) reactor.cancel_timer(timer);
  const std::lock_guard lock(impl->mutex);
  co_return waiter->notified;
}

namespace {

// Wakes a signal's waiter from another clock; destroyed with the coroutine that waits, however that ends.
class ForeignTimer {
 public:
  ForeignTimer(VirtualClock& clock, SteadyTime when, std::function<void()> wake)
      : clock_(clock), id_(clock.call_at(when, std::move(wake))) {}
  ~ForeignTimer() { clock_.cancel(id_); }
  ForeignTimer(const ForeignTimer&) = delete;
  ForeignTimer& operator=(const ForeignTimer&) = delete;

 private:
  VirtualClock& clock_;
  VirtualClock::TimerId id_;
};

}  // namespace

Awaitable<bool> Signal::wait_until(Clock& clock, SteadyTime deadline) {
  Reactor& reactor = Reactor::current();
  const bool own = &clock == &reactor.clock() || clock.is_real() == reactor.clock().is_real();
  if (own || deadline == kNoDeadline) co_return co_await wait_until(deadline);
  // A real deadline on a reactor that somebody else moves would never come.
  MAYFLY_ASSERT(!clock.is_real());
  auto& foreign = static_cast<VirtualClock&>(clock);
  if (foreign.steady_now() >= deadline) co_return co_await wait_until(reactor.steady_now());
  auto impl = impl_;
  auto waiter = std::make_shared<Impl::Waiter>(reactor);
  {
    const std::lock_guard lock(impl->mutex);
    if (impl->set) {
      impl->set = false;
      co_return true;
    }
    impl->waiters.push_back(waiter);
  }
  const Leaving leaving(impl, waiter);
  waiter->timer.expires_at(kNoDeadline);
  // Posted also from this thread: the timer takes a cancellation only once it is waited for.
  std::function<void()> wake = [waiter] { asio::post(waiter->reactor.io(), [waiter] { waiter->timer.cancel(); }); };
  // The clock may move between the look at it and the timer's making.
  const ForeignTimer timer(foreign, deadline, wake);
  if (foreign.steady_now() >= deadline) wake();
  auto token = asio::as_tuple(asio::use_awaitable);
  co_await waiter->timer.async_wait(token);
  const std::lock_guard lock(impl->mutex);
  co_return waiter->notified;
}

// --- Scope -----------------------------------------------------------------------------------------------------------

struct Scope::Impl {
  std::string name;
  mutable std::mutex mutex;
  std::condition_variable empty;
  std::size_t running = 0;
  std::size_t failures = 0;
  bool stopping = false;
  Signal done;
};

Scope::Scope(std::string name) : impl_(std::make_shared<Impl>()) { impl_->name = std::move(name); }

Scope::~Scope() { MAYFLY_ASSERT(running() == 0); }

bool Scope::spawn(Reactor& reactor, std::string_view task_name, std::function<Awaitable<void>()> task) {
  {
    const std::lock_guard lock(impl_->mutex);
    if (impl_->stopping) return false;
    ++impl_->running;
  }
  // The token counts the task out when the last trace of it is gone, also when its reactor ends before it.
  std::shared_ptr<void> token(nullptr, [impl = impl_](void*) {
    bool last = false;
    {
      const std::lock_guard lock(impl->mutex);
      last = --impl->running == 0;
      if (last) impl->empty.notify_all();
    }
    if (last) impl->done.notify();
  });
  auto shared_task = std::make_shared<std::function<Awaitable<void>()>>(std::move(task));
  auto start = [impl = impl_, token, shared_task, name = std::string(task_name), &reactor] {
    asio::co_spawn(
        reactor.io(), [shared_task]() -> Awaitable<void> { return (*shared_task)(); },
        [impl, token, shared_task, name](const std::exception_ptr& error) {
          if (!error) return;
          log(Level::kError, "a task failed", {{"scope", impl->name}, {"task", name}, {"error", describe(error)}});
          const std::lock_guard lock(impl->mutex);
          ++impl->failures;
        });
  };
  if (reactor.in_this_thread()) {
    start();
  } else {
    reactor.post(std::move(start));
  }
  return true;
}

bool Scope::stopping() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->stopping;
}

void Scope::stop() {
  const std::lock_guard lock(impl_->mutex);
  impl_->stopping = true;
}

Awaitable<void> Scope::join() {
  auto impl = impl_;
  for (;;) {
    {
      const std::lock_guard lock(impl->mutex);
      if (impl->running == 0) break;
    }
    co_await impl->done.wait_until(kNoDeadline);
  }
  impl->done.notify();  // Another joiner may wait for the same end.
}

bool Scope::join_blocking(std::chrono::nanoseconds at_most) {
  std::unique_lock lock(impl_->mutex);
  return impl_->empty.wait_for(lock, at_most, [&] { return impl_->running == 0; });
}

std::size_t Scope::running() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->running;
}

std::size_t Scope::failures() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->failures;
}

// --- BlockingPool ----------------------------------------------------------------------------------------------------

struct BlockingPool::Impl {
  std::mutex mutex;
  std::condition_variable ready;
  std::deque<std::function<void()>> queue;
  std::size_t limit = 0;
  bool stopping = false;
  std::vector<std::thread> threads;

  void work() {
    for (;;) {
      std::function<void()> job;
      {
        std::unique_lock lock(mutex);
        ready.wait(lock, [&] { return stopping || !queue.empty(); });
        if (queue.empty()) return;
        job = std::move(queue.front());
        queue.pop_front();
      }
      job();
    }
  }
};

BlockingPool::BlockingPool(std::size_t threads, std::size_t queue_limit) : impl_(std::make_unique<Impl>()) {
  impl_->limit = queue_limit;
  for (std::size_t i = 0; i < threads; ++i) impl_->threads.emplace_back([impl = impl_.get()] { impl->work(); });
}

BlockingPool::~BlockingPool() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
  }
  impl_->ready.notify_all();
  for (auto& thread : impl_->threads) thread.join();
}

bool BlockingPool::submit(std::function<void()> work) {
  {
    const std::lock_guard lock(impl_->mutex);
    if (impl_->stopping || impl_->queue.size() >= impl_->limit) return false;
    impl_->queue.push_back(std::move(work));
  }
  impl_->ready.notify_one();
  return true;
}

}  // namespace mayfly
