// For tests: a seeded simulation of servers over engines in memory, on a virtual clock. A server is killed between any
// two durable steps and another one begins on what it left; what stands over delivery is the simulation's own.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>
#include <memory>
#include <random>
#include <string>

#include "base/async.h"
#include "base/log.h"
#include "delivery/delivery.h"
#include "delivery/mortal_queue.h"
#include "store/fake_key_value.h"

namespace mayfly::delivery {

class SimulatedServer {
 public:
  explicit SimulatedServer(std::uint64_t seed) : random_(seed) {}
  virtual ~SimulatedServer() = default;
  SimulatedServer(const SimulatedServer&) = delete;
  SimulatedServer& operator=(const SimulatedServer&) = delete;

 protected:
  // Targets before delivery is made, services once it is.
  virtual void add_targets() = 0;
  virtual void make_services() = 0;
  virtual Awaitable<bool> start_services() = 0;  // delivery with them
  virtual Awaitable<void> stop_services() = 0;
  virtual void drop_services() = 0;
  // How long it takes until another server begins.
  virtual std::chrono::nanoseconds away() { return std::chrono::seconds(pick(50)); }

  std::uint64_t pick(std::uint64_t below) { return random_() % below; }

  void begin_server() {
    fate_.dead = false;
    reactors_ = std::make_unique<Reactors>(clock_, 1);
    scope_ = std::make_unique<Scope>("simulation");
    targets_ = std::make_unique<Targets>();
    add_targets();
    DeliverySettings settings;
    settings.seed = 1 + pick(1'000'000);
    delivery_ = std::make_unique<Delivery>(queue_, *targets_, *reactors_, clock_, settings);
    make_services();
    store_.hop = [this] { return fate_.step(); };
    const bool started = task([this]() -> Awaitable<void> {
      const bool begun = co_await start_services();
      if (!begun) wrong_ = "a server does not start";
    });
    if (!started) wrong_ = "a server does not come to an end of its start";
  }
  // Nothing is finished, told or waited for.
  void kill_server() {
    ++kills_;
    slow_ = 0;
    reactors_.reset();
    drop_services();
    delivery_.reset();
    scope_.reset();
  }
  void end_server_and_begin() {
    kill_server();
    clock_.advance(away());
    fate_.steps_left = calm_ || pick(4) != 0 ? 0 : 1 + pick(30);
    begin_server();
    // Killed in its start: again, and in peace.
    if (fate_.dead) {
      wrong_.clear();
      kill_server();
      fate_.steps_left = 0;
      begin_server();
    }
  }
  void stop() {
    task([this]() -> Awaitable<void> { co_await stop_services(); });
    kill_server();
  }

  void settle() {
    constexpr int kMostPolls = 100'000;
    for (int i = 0; i < kMostPolls && !fate_.dead; ++i) {
      if (reactors_->at(0).poll() == 0) return;
    }
  }
  // False where it does not come to its end, though the server lives.
  bool task(std::function<Awaitable<void>()> work) {
    const auto done = std::make_shared<bool>(false);
    scope_->spawn(reactors_->at(0), "task", [done, work = std::move(work)]() -> Awaitable<void> {
      co_await work();
      *done = true;
    });
    settle();
    return *done || fate_.dead;
  }
  // In parts of at most `step`: time does not jump over what an attempt under way has to do meanwhile (renewing its
  // lease).
  void advance(std::chrono::nanoseconds by, std::chrono::nanoseconds step) {
    while (by > by.zero() && !fate_.dead) {
      const auto part = std::min<std::chrono::nanoseconds>(by, slow_ > 0 ? std::chrono::seconds(2) : step);
      clock_.advance(part);
      settle();
      by -= part;
    }
  }

  std::mt19937_64 random_;
  VirtualClock clock_;
  Fate fate_;
  store::FakeKeyValue store_;
  FakeQueue memory_{clock_};
  MortalQueue queue_{memory_, fate_};
  bool calm_ = false;  // from here on everything works
  int kills_ = 0;
  int slow_ = 0;  // attempts under way that take their time
  std::string wrong_;
  std::unique_ptr<Reactors> reactors_;
  std::unique_ptr<Scope> scope_;
  std::unique_ptr<Targets> targets_;
  std::unique_ptr<Delivery> delivery_;
};

// Runs `run` ("" or what is wrong) with seeds from 1 on, or with MAYFLY_TEST_SEED alone; MAYFLY_TEST_SEEDS says another
// number of them. Of the log only that of a failing seed is shown.
inline void simulate(std::uint64_t seeds, Level level, const std::function<std::string(std::uint64_t)>& run) {
  const auto number_from = [](const char* variable, std::uint64_t fallback) {
    const char* text = std::getenv(variable);  // NOLINT(concurrency-mt-unsafe): before any thread
    return text == nullptr ? fallback : std::stoull(text);
  };
  static RealClock real;
  configure_log(level, LogFormat::kText, real);
  const auto only = number_from("MAYFLY_TEST_SEED", 0);
  const auto count = only != 0 ? 1 : number_from("MAYFLY_TEST_SEEDS", seeds);
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto seed = only != 0 ? only : i + 1;
    ::testing::internal::CaptureStderr();
    const auto wrong = run(seed);
    const auto log = ::testing::internal::GetCapturedStderr();
    ASSERT_TRUE(wrong.empty()) << log << "MAYFLY_TEST_SEED=" << seed << ": " << wrong;
  }
}

}  // namespace mayfly::delivery
