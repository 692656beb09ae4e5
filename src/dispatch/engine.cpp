#include "dispatch/engine.h"

#include <unistd.h>

#include <algorithm>

#include "dispatch/instance.h"
#include "dispatch/pool.h"

namespace mayfly::dispatch {
namespace {

constexpr std::size_t kMostPreparations = 2;

std::uint64_t budget(std::uint64_t configured_mb) {
  if (configured_mb != 0) return configured_mb;
  const auto pages = static_cast<std::uint64_t>(std::max(0L, ::sysconf(_SC_PHYS_PAGES)));
  const auto page = static_cast<std::uint64_t>(std::max(0L, ::sysconf(_SC_PAGESIZE)));
  return std::max<std::uint64_t>(128, pages * page / (1UL << 20) * 8 / 10);
}

}  // namespace

Engine::Engine(Reactors& reactors_in, Clock& clock_in, sandbox::Launcher& launcher_in,
               const sandbox::Runtimes& runtimes_in, observe::LogStore& logs_in, observe::Metrics& metrics_in,
               DispatcherSettings settings_in)
    : reactors(reactors_in),
      clock(clock_in),
      launcher(launcher_in),
      runtimes(runtimes_in),
      logs(logs_in),
      metrics(metrics_in),
      settings(std::move(settings_in)),
      code_cache(settings.code_cache_mb << 20),
      memory_budget_mb_(budget(settings.memory_budget_mb)) {}

std::shared_ptr<FunctionPool> Engine::pool(const std::string& function_arn) {
  Shard& shard = shards_[std::hash<std::string>{}(function_arn) % shards_.size()];
  std::lock_guard lock(shard.mutex);
  auto& slot = shard.pools[function_arn];
  if (!slot) slot = std::make_shared<FunctionPool>(*this, function_arn);
  return slot;
}

std::vector<std::shared_ptr<FunctionPool>> Engine::pools() const {
  std::vector<std::shared_ptr<FunctionPool>> all;
  for (const Shard& shard : shards_) {
    std::lock_guard lock(shard.mutex);
    for (const auto& [arn, pool] : shard.pools) all.push_back(pool);
  }
  return all;
}

bool Engine::admit_unreserved() {
  const auto left = static_cast<std::int64_t>(settings.account_concurrency) - reserved_total_.load();
  const auto limit = static_cast<std::uint64_t>(std::max<std::int64_t>(0, left));
  if (unreserved_running_.fetch_add(1) < limit) return true;
  unreserved_running_.fetch_sub(1);
  return false;
}

void Engine::invocation_ended() {
  if (running_.fetch_sub(1) == 1) quiet.notify();
}

bool Engine::begin_preparation(const std::shared_ptr<FunctionPool>& pool) {
  std::lock_guard lock(preparations_mutex_);
  if (preparations_ < kMostPreparations) {
    ++preparations_;
    return true;
  }
  auto& waiting = preparations_waiting_;
  if (std::find(waiting.begin(), waiting.end(), pool) == waiting.end()) waiting.push_back(pool);
  return false;
}

bool Engine::try_begin_preparation() {
  std::lock_guard lock(preparations_mutex_);
  if (preparations_ >= kMostPreparations) return false;
  ++preparations_;
  return true;
}

void Engine::end_preparation() {
  {
    std::lock_guard lock(preparations_mutex_);
    --preparations_;
  }
  wake_preparation();
}

void Engine::wake_preparation() {
  std::shared_ptr<FunctionPool> next;
  {
    std::lock_guard lock(preparations_mutex_);
    if (stopping || preparations_ >= kMostPreparations || preparations_waiting_.empty()) return;
    next = std::move(preparations_waiting_.front());
    preparations_waiting_.pop_front();
  }
  // By a message: a long line of pools that find no memory must not become a deep stack. One that wants nothing any
  // more leaves the place to those behind it.
  reactors.next().post([self = shared_from_this(), next] {
    next->prepare();
    self->wake_preparation();
  });
}

bool Engine::reserve_memory(std::uint64_t mb, SteadyTime idle_before) {
  for (;;) {
    std::uint64_t used = memory_used_mb_.load();
    // A function larger than the whole budget still runs, alone.
    while (used + mb <= memory_budget_mb_ || used == 0) {
      if (memory_used_mb_.compare_exchange_weak(used, used + mb)) return true;
    }
    std::shared_ptr<FunctionPool> oldest_pool;
    SteadyTime oldest = idle_before;
    for (const auto& pool : pools()) {
      const auto since = pool->oldest_idle();
      if (since && *since < oldest) {
        oldest = *since;
        oldest_pool = pool;
      }
    }
    if (!oldest_pool) return false;
    oldest_pool->evict_oldest_idle();
  }
}

void Engine::release_memory(std::uint64_t mb) { memory_used_mb_.fetch_sub(mb); }

void Engine::starve(const std::shared_ptr<FunctionPool>& pool) {
  std::lock_guard lock(starved_mutex_);
  if (std::find(starved_.begin(), starved_.end(), pool) == starved_.end()) starved_.push_back(pool);
  any_starved_ = true;
}

void Engine::retry_starved() {
  if (!any_starved_.load()) return;
  std::vector<std::shared_ptr<FunctionPool>> pools;
  {
    std::lock_guard lock(starved_mutex_);
    pools.swap(starved_);
    any_starved_ = false;
  }
  for (const auto& pool : pools) pool->start_for_waiters();
}

void Engine::expect_exit(const sandbox::SandboxId& id, const std::shared_ptr<Instance>& instance) {
  std::lock_guard lock(exits_mutex_);
  exits_[id] = instance;
}

void Engine::forget_exit(const sandbox::SandboxId& id) {
  std::lock_guard lock(exits_mutex_);
  exits_.erase(id);
}

void Engine::exited(const sandbox::Exited& exit) {
  std::shared_ptr<Instance> instance;
  {
    std::lock_guard lock(exits_mutex_);
    const auto found = exits_.find(exit.id);
    if (found != exits_.end()) instance = found->second.lock();
  }
  if (instance) instance->post_exit(exit);
}

}  // namespace mayfly::dispatch
