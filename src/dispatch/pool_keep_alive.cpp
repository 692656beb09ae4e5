// How long the last idle instance of a version is kept, and when one is started in advance: what follows from the
// pauses between its invocations (rhythm.h). Instances beyond the last one are kept for idle_timeout.
//
// Operation.   A pause begins when all instances of the version are idle and ends with the next invocation. A version
// whose
//              last instance was retired has one started for it at the time of its plan, once in a pause, where there
//              is a place for it and memory that nothing has used for a while.
#include <algorithm>

#include "dispatch/engine.h"
#include "dispatch/instance.h"
#include "dispatch/pool.h"

namespace mayfly::dispatch {
namespace {

// Memory for a start in advance is taken from what has been idle for so long.
constexpr std::chrono::seconds kRetireForWarming{60};
// Above so many instances it is not looked whether all but one are about to end.
constexpr std::size_t kFew = 4;

}  // namespace

void FunctionPool::begin_pause(Generation& generation) {
  if (!engine_.settings.learn_idle || generation.pauses->since) return;
  // Those that are about to end do not count; where there are many the next pause will do.
  const std::size_t there = generation.instances.size() <= kFew ? live(generation) : generation.instances.size();
  if (generation.idle.size() + generation.snapshots.waiting.size() < there) return;
  generation.pauses->since = engine_.clock.steady_now();
}

void FunctionPool::end_pause(Generation& generation) {
  Pauses& pauses = *generation.pauses;
  if (!pauses.since) return;
  const auto length = std::chrono::duration_cast<Rhythm::Duration>(engine_.clock.steady_now() - *pauses.since);
  pauses.since.reset();
  ++pauses.count;
  if (length < Rhythm::kShortest) return;
  pauses.rhythm.paused(length);
  pauses.plan = pauses.rhythm.plan(engine_.settings.idle_timeout);
}

SteadyTime FunctionPool::idle_deadline(const InstancePtr& instance) const {
  std::lock_guard lock(mutex_);
  const auto found = generations_.find(instance->target().generation);
  if (found != generations_.end()) {
    const auto record = found->second.instances.find(instance);
    if (record != found->second.instances.end() && record->second.state == InstanceState::kIdle) {
      return idle_deadline(found->second, record->second);
    }
  }
  return engine_.clock.steady_now() + engine_.settings.idle_timeout;
}

SteadyTime FunctionPool::idle_deadline(const Generation& gen, const PoolRecord& record) const {
  const Pauses& pauses = *gen.pauses;
  const bool last = gen.instances.size() <= kFew && live(gen) - gen.snapshots.waiting.size() <= 1;
  if (!pauses.plan || !pauses.since || !last) return record.idle_since + engine_.settings.idle_timeout;
  const bool warmed = record.reason == StartReason::kWarmed && record.invocations == 0;
  if (pauses.plan->warm_after == Rhythm::Duration(0) || warmed) return *pauses.since + pauses.plan->keep;
  const Rhythm::Duration idle_timeout = engine_.settings.idle_timeout;
  return *pauses.since + std::min(Rhythm::kShortest, idle_timeout);
}

void FunctionPool::warm_later(const std::shared_ptr<const Target>& target, Reactor& reactor) {
  if (target->snap_start) return;  // has one that rests
  SteadyTime when;
  std::uint64_t pause = 0;
  {
    std::lock_guard lock(mutex_);
    const auto found = pauses_.find(target->version);
    if (found == pauses_.end() || !found->second->plan || !found->second->since) return;
    when = *found->second->since + found->second->plan->warm_after;
    pause = found->second->count;
  }
  if (when <= engine_.clock.steady_now()) return;  // it is the one that was started in advance
  const std::weak_ptr<FunctionPool> weak = weak_from_this();
  reactor.call_at(when, [weak, target, pause, &reactor] {
    if (const auto pool = weak.lock()) pool->warm(target, pause, reactor);
  });
}

void FunctionPool::warm(const std::shared_ptr<const Target>& target, std::uint64_t pause, Reactor& reactor) {
  {
    // Most timers come after their pause has ended: nothing is taken for those.
    std::lock_guard lock(mutex_);
    const auto found = pauses_.find(target->version);
    if (found == pauses_.end() || found->second->count != pause) return;
  }
  if (engine_.stopping.load() || !engine_.try_begin_preparation()) return;
  // As for any start the memory comes first: a waiter that sees an instance being started counts on it.
  const bool memory = engine_.reserve_memory(target->memory_mb, engine_.clock.steady_now() - kRetireForWarming);
  bool begun = false;
  if (memory) {
    std::lock_guard lock(mutex_);
    const auto found = pauses_.find(target->version);
    if (found != pauses_.end() && found->second->count == pause) {
      Generation& gen = generation(target);
      begun = !gen.draining && live(gen) == 0;
      if (begun) {
        ++gen.starting;
        ++gen.unlisted;
      } else {
        erase_where_over(target->generation);
      }
    }
  }
  if (begun) {
    launch(target, reactor, StartReason::kWarmed);
    return;
  }
  if (memory) engine_.release_memory(target->memory_mb);
  engine_.end_preparation();
}

}  // namespace mayfly::dispatch
