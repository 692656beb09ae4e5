// What pools and instances share: the outside world, the counters of admission, the memory budget, the map of pools.
//
// Concurrency. Thread safe. The map of pools is cut into shards so that invocations of different functions do not meet
//              at one lock; counters are atomic. Lock order: a pool's mutex is never held while a shard's, another
//              pool's or starved_mutex_ is taken.
#pragma once

#include <array>
#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/async.h"
#include "dispatch/code_cache.h"
#include "dispatch/dispatcher.h"
#include "dispatch/ticket.h"

namespace mayfly::dispatch {

class FunctionPool;
class Instance;

class Engine : public std::enable_shared_from_this<Engine> {
 public:
  Engine(Reactors& reactors, Clock& clock, sandbox::Launcher& launcher, const sandbox::Runtimes& runtimes,
         observe::LogStore& logs, observe::Metrics& metrics, DispatcherSettings settings);

  Reactors& reactors;
  Clock& clock;
  sandbox::Launcher& launcher;
  const sandbox::Runtimes& runtimes;
  observe::LogStore& logs;
  observe::Metrics& metrics;
  const DispatcherSettings settings;
  CodeCache code_cache;
  Scope scope{"dispatch"};
  Signal quiet;                       // notified when the last running invocation has ended
  std::atomic<bool> stopping{false};  // no new invocations; idle instances go
  std::atomic<bool> aborting{false};  // what runs still is given up

  std::shared_ptr<FunctionPool> pool(const std::string& function_arn);
  [[nodiscard]] std::vector<std::shared_ptr<FunctionPool>> pools() const;

  // Concurrency of functions without a reservation: what the account has left of reservations.
  bool admit_unreserved();
  void leave_unreserved() { unreserved_running_.fetch_sub(1); }
  void change_reserved_total(std::int64_t by) { reserved_total_.fetch_add(by); }
  void invocation_began() { running_.fetch_add(1); }
  void invocation_ended();
  [[nodiscard]] std::uint64_t running() const { return running_.load(); }

  // Takes `mb` of the budget, retiring the instances that were idle longest where it must. False: nothing is idle.
  bool reserve_memory(std::uint64_t mb) { return reserve_memory(mb, SteadyTime::max()); }
  void release_memory(std::uint64_t mb);
  // The same, retiring only what has been idle since before that time.
  bool reserve_memory(std::uint64_t mb, SteadyTime idle_before);
  // A pool that could not start an instance for want of memory; tried again when an instance is idle or gone.
  void starve(const std::shared_ptr<FunctionPool>& pool);
  void retry_starved();

  // Initialising ahead, a few at a time. Where all places are taken the pool is asked again when one is free.
  bool begin_preparation(const std::shared_ptr<FunctionPool>& pool);
  bool try_begin_preparation();  // does not wait for a place
  void end_preparation();
  void wake_preparation();  // of those that wait for a place, the first one, where there is a place

  void expect_exit(const sandbox::SandboxId& id, const std::shared_ptr<Instance>& instance);
  void forget_exit(const sandbox::SandboxId& id);
  void exited(const sandbox::Exited& exit);

 private:
  struct Shard {
    mutable std::mutex mutex;
    std::unordered_map<std::string, std::shared_ptr<FunctionPool>> pools;
  };
  std::array<Shard, 64> shards_;
  std::uint64_t memory_budget_mb_;
  std::atomic<std::uint64_t> memory_used_mb_{0};
  std::atomic<std::uint64_t> running_{0};
  std::atomic<std::uint64_t> unreserved_running_{0};
  std::atomic<std::int64_t> reserved_total_{0};
  std::mutex starved_mutex_;
  std::vector<std::shared_ptr<FunctionPool>> starved_;
  std::atomic<bool> any_starved_{false};
  std::mutex preparations_mutex_;
  std::deque<std::shared_ptr<FunctionPool>> preparations_waiting_;
  std::size_t preparations_ = 0;
  std::mutex exits_mutex_;
  std::unordered_map<sandbox::SandboxId, std::weak_ptr<Instance>> exits_;
};

using EnginePtr = std::shared_ptr<Engine>;

}  // namespace mayfly::dispatch
