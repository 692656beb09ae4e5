// The instances that SnapStart keeps: initialised, at rest, and not at work until an invocation finds no other one
// free. Which they are and how many is decided here; what happens in one of them is in instance_prepared.cpp.
#include <algorithm>

#include "dispatch/engine.h"
#include "dispatch/instance.h"
#include "dispatch/pool.h"

namespace mayfly::dispatch {
namespace {

constexpr std::chrono::seconds kFirstBackOff{30};
constexpr std::uint32_t kMostDoublings = 7;  // about an hour
constexpr std::chrono::seconds kMemoryBackOff{30};
constexpr std::chrono::seconds kRetireIdle{60};

}  // namespace

void FunctionPool::set_snap_start(const std::shared_ptr<const Target>& target, SnapshotOrigin origin) {
  {
    std::lock_guard lock(mutex_);
    Generation& gen = generation(target);
    if (gen.draining || gen.snapshots.asked) return;
    gen.snapshots.asked = true;
    gen.snapshots.settled = origin == SnapshotOrigin::kLoaded;
    gen.snapshots.demand.begin(engine_.clock.steady_now());
  }
  prepare();
}

SnapshotState FunctionPool::snapshot(const std::string& generation) const {
  std::lock_guard lock(mutex_);
  SnapshotState state;
  const auto found = generations_.find(generation);
  if (found == generations_.end() || !found->second.snapshots.asked) return state;
  const Snapshots& snapshots = found->second.snapshots;
  state.pending = !snapshots.settled;
  state.failed = !snapshots.failure.empty();
  state.reason = snapshots.failure;
  return state;
}

bool FunctionPool::wants_prepared(const Generation& generation) const {
  const Snapshots& snapshots = generation.snapshots;
  if (!snapshots.asked || generation.draining || engine_.stopping.load()) return false;
  const SteadyTime now = engine_.clock.steady_now();
  const std::size_t wanted = snapshots.demand.wanted(now, engine_.settings.snapshot_keep);
  return snapshots.waiting.size() + snapshots.starting < wanted && now >= snapshots.not_before;
}

std::shared_ptr<const Target> FunctionPool::next_to_prepare() const {
  std::lock_guard lock(mutex_);
  for (const auto& [name, gen] : generations_) {
    if (wants_prepared(gen)) return gen.target;
  }
  return nullptr;
}

// False where it is not wanted any more.
bool FunctionPool::begin_prepared(const Target& target) {
  std::lock_guard lock(mutex_);
  const auto found = generations_.find(target.generation);
  if (found == generations_.end() || !wants_prepared(found->second)) return false;
  ++found->second.starting;
  ++found->second.unlisted;
  ++found->second.snapshots.starting;
  return true;
}

// What goes for it where memory is short: for the first of a version whatever was idle longest, as for an invocation,
// since somebody waits for it; for a further one only what has not been of use for a while.
SteadyTime FunctionPool::retire_for_preparation(const Target& target) const {
  std::lock_guard lock(mutex_);
  const auto found = generations_.find(target.generation);
  const bool first = found != generations_.end() && !found->second.snapshots.settled;
  return first ? SteadyTime::max() : engine_.clock.steady_now() - kRetireIdle;
}

void FunctionPool::no_memory_to_prepare(const Target& target) {
  std::lock_guard lock(mutex_);
  const auto found = generations_.find(target.generation);
  if (found == generations_.end()) return;
  Snapshots& snapshots = found->second.snapshots;
  snapshots.settled = true;
  snapshots.failure = "no memory of the server's budget is free";
  snapshots.not_before = engine_.clock.steady_now() + kMemoryBackOff;
}

void FunctionPool::prepare() {
  while (const auto target = next_to_prepare()) {
    if (!engine_.begin_preparation(shared_from_this())) return;
    // The memory comes first: a waiter that sees an instance being started counts on it.
    const SteadyTime idle_before = retire_for_preparation(*target);
    const bool memory = engine_.reserve_memory(target->memory_mb, idle_before);
    if (!memory) no_memory_to_prepare(*target);
    if (memory && begin_prepared(*target)) {
      launch(target, engine_.reactors.next(), StartReason::kPrepared);
      continue;
    }
    if (memory) engine_.release_memory(target->memory_mb);
    engine_.end_preparation();
  }
}

InstancePtr FunctionPool::take_prepared(Generation& generation) {
  Snapshots& snapshots = generation.snapshots;
  if (!snapshots.asked) return nullptr;
  snapshots.demand.started(engine_.clock.steady_now());
  if (snapshots.waiting.empty()) return nullptr;
  InstancePtr instance = std::move(snapshots.waiting.back());
  snapshots.waiting.pop_back();
  return instance;
}

AfterWork FunctionPool::prepared(const InstancePtr& instance) {
  AfterWork out;
  {
    std::lock_guard lock(mutex_);
    Generation* gen = find(*instance);
    PoolRecord& record = gen->instances.at(instance);
    end_start(*gen, record);
    gen->snapshots.settled = true;
    gen->snapshots.failure.clear();
    gen->snapshots.failures = 0;
    if (!gen->waiters.empty()) {
      out.ticket = std::move(gen->waiters.front());
      gen->waiters.pop_front();
      set_state(record, InstanceState::kBusy);
    } else if (!gen->snapshots.asked || engine_.stopping.load()) {
      set_state(record, InstanceState::kDraining);
      out.retire = true;
    } else {
      set_state(record, InstanceState::kPrepared);
      record.idle_since = engine_.clock.steady_now();
      gen->snapshots.waiting.push_back(instance);
    }
  }
  engine_.end_preparation();
  return out;
}

void FunctionPool::note_failure(const InstancePtr& instance, const std::string& reason) {
  std::lock_guard lock(mutex_);
  Generation* gen = find(*instance);
  if (gen == nullptr) return;
  Snapshots& snapshots = gen->snapshots;
  snapshots.settled = true;
  snapshots.failure = reason;
  // It is tried again with a start that comes later than this: a function that cannot be initialised must not be
  // initialised for ever.
  const std::uint32_t doublings = std::min(snapshots.failures++, kMostDoublings);
  snapshots.not_before = engine_.clock.steady_now() + kFirstBackOff * (1U << doublings);
}

bool FunctionPool::retire_prepared(const InstancePtr& instance, bool too_old) {
  std::lock_guard lock(mutex_);
  Generation* gen = find(*instance);
  if (gen == nullptr) return false;
  auto& waiting = gen->snapshots.waiting;
  const auto found = std::find(waiting.begin(), waiting.end(), instance);
  if (found == waiting.end()) return false;
  const std::size_t wanted = gen->snapshots.demand.wanted(engine_.clock.steady_now(), engine_.settings.snapshot_keep);
  if (!too_old && waiting.size() <= wanted) return false;
  waiting.erase(found);
  set_state(gen->instances.at(instance), InstanceState::kDraining);
  return true;
}

}  // namespace mayfly::dispatch
