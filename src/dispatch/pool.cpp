#include "dispatch/pool.h"

#include <algorithm>
#include <iterator>

#include "dispatch/engine.h"
#include "dispatch/instance.h"
#include "observe/metrics.h"

namespace mayfly::dispatch {
namespace {

// How far down the idle stack an instance of the caller's own reactor is preferred to the most recent one.
constexpr std::size_t kAffinityDepth = 16;
constexpr std::chrono::seconds kProvisionBackOff{30};
constexpr std::chrono::seconds kPrepareAfterEviction{60};

const char* to_text(InstanceState state) {
  switch (state) {
    case InstanceState::kStarting:
      return "starting";
    case InstanceState::kPrepared:
      return "prepared";
    case InstanceState::kIdle:
      return "idle";
    case InstanceState::kBusy:
      return "busy";
    case InstanceState::kDraining:
      return "draining";
  }
  return "";
}

}  // namespace

FunctionPool::FunctionPool(Engine& engine, std::string function_arn)
    : engine_(engine), function_arn_(std::move(function_arn)) {}

const char* FunctionPool::admit(Ticket& ticket) {
  std::lock_guard lock(mutex_);
  if (!reserved_was_set_ && reserved_ != ticket.target->reserved_concurrency) {
    engine_.change_reserved_total(std::int64_t{ticket.target->reserved_concurrency.value_or(0)} -
                                  std::int64_t{reserved_.value_or(0)});
    reserved_ = ticket.target->reserved_concurrency;
  }
  if (reserved_) {
    if (running_ >= *reserved_) return "ReservedFunctionConcurrentInvocationLimitExceeded";
  } else {
    if (!engine_.admit_unreserved()) return "ConcurrentInvocationLimitExceeded";
    ticket.counted_unreserved = true;
  }
  ++running_;
  engine_.invocation_began();
  return nullptr;
}

void FunctionPool::leave(const Ticket& ticket) {
  {
    std::lock_guard lock(mutex_);
    --running_;
  }
  if (ticket.counted_unreserved) engine_.leave_unreserved();
  engine_.invocation_ended();
}

void FunctionPool::set_reserved(std::optional<std::uint32_t> limit) {
  std::lock_guard lock(mutex_);
  engine_.change_reserved_total(std::int64_t{limit.value_or(0)} - std::int64_t{reserved_.value_or(0)});
  reserved_ = limit;
  reserved_was_set_ = true;
}

FunctionPool::Generation& FunctionPool::generation(const std::shared_ptr<const Target>& target) {
  Generation& found = generations_[target->generation];
  if (!found.target) {
    found.target = target;
    auto& pauses = pauses_[target->version];
    if (!pauses) pauses = std::make_shared<Pauses>();
    found.pauses = pauses;
  }
  return found;
}

FunctionPool::Generation* FunctionPool::find(const Instance& instance) {
  const auto found = generations_.find(instance.target().generation);
  return found == generations_.end() ? nullptr : &found->second;
}

void FunctionPool::set_state(PoolRecord& record, InstanceState state) {
  record.state = state;
  record.since = engine_.clock.now();
}

InstancePtr FunctionPool::take_idle(Generation& generation, const Reactor* preferred) {
  if (generation.idle.empty()) return nullptr;
  auto chosen = std::prev(generation.idle.end());
  std::size_t depth = 0;
  for (auto it = generation.idle.rbegin(); it != generation.idle.rend() && depth < kAffinityDepth; ++it, ++depth) {
    if (&(*it)->reactor() == preferred) {
      chosen = std::prev(it.base());
      break;
    }
  }
  InstancePtr instance = std::move(*chosen);
  generation.idle.erase(chosen);
  return instance;
}

void FunctionPool::submit(const TicketPtr& ticket) { enqueue(ticket, false); }
void FunctionPool::resubmit(const TicketPtr& ticket) { enqueue(ticket, true); }

void FunctionPool::enqueue(const TicketPtr& ticket, bool front) {
  InstancePtr instance;
  InstancePtr restored;
  {
    std::lock_guard lock(mutex_);
    Generation& gen = generation(ticket->target);
    end_pause(gen);
    instance = take_idle(gen, ticket->reactor);
    if (!instance) restored = take_prepared(gen);
    if (instance || restored) {
      set_state(gen.instances.at(instance ? instance : restored), InstanceState::kBusy);
    } else if (front) {
      gen.waiters.push_front(ticket);
    } else {
      gen.waiters.push_back(ticket);
    }
  }
  if (instance) {
    instance->post_deliver(ticket);
  } else if (restored) {
    restored->post_restore(ticket);
  } else {
    start_for_waiters();
  }
}

bool FunctionPool::give_up(const TicketPtr& ticket) {
  std::lock_guard lock(mutex_);
  const auto gen = generations_.find(ticket->target->generation);
  if (gen == generations_.end() || gen->second.starting > 0) return false;
  auto& waiters = gen->second.waiters;
  const auto found = std::find(waiters.begin(), waiters.end(), ticket);
  if (found == waiters.end()) return false;
  waiters.erase(found);
  return true;
}

std::size_t FunctionPool::live(const Generation& generation) {
  const auto serving = std::count_if(generation.instances.begin(), generation.instances.end(),
                                     [](const auto& entry) { return entry.second.state != InstanceState::kDraining; });
  return static_cast<std::size_t>(serving) + generation.unlisted;
}

bool FunctionPool::wants_provisioned(const Generation& generation) const {
  return generation.provisioned > 0 && live(generation) < generation.provisioned && !engine_.stopping.load() &&
         engine_.clock.steady_now() >= generation.provision_not_before;
}

void FunctionPool::set_provisioned(const std::shared_ptr<const Target>& target, std::uint32_t count) {
  {
    std::lock_guard lock(mutex_);
    if (count == 0 && !generations_.contains(target->generation)) return;
    Generation& gen = generation(target);
    if (gen.draining) return;
    gen.provisioned = count;
    gen.provision_failed = false;
    gen.provision_not_before = SteadyTime::min();
  }
  start_for_waiters();
}

std::optional<SteadyTime> FunctionPool::provision_again() const {
  std::lock_guard lock(mutex_);
  std::optional<SteadyTime> when;
  for (const auto& [name, gen] : generations_) {
    if (gen.provisioned == 0 || !gen.provision_failed) continue;
    if (!when || gen.provision_not_before < *when) when = gen.provision_not_before;
  }
  return when;
}

ProvisionedState FunctionPool::provisioned(const std::string& generation) const {
  std::lock_guard lock(mutex_);
  ProvisionedState state;
  const auto found = generations_.find(generation);
  if (found == generations_.end()) return state;
  const Generation& gen = found->second;
  std::uint32_t initialised = 0;
  for (const auto& [instance, record] : gen.instances) {
    if (record.state == InstanceState::kIdle || record.state == InstanceState::kBusy) ++initialised;
  }
  state.allocated = std::min(gen.provisioned, initialised);
  state.available = std::min(gen.provisioned, static_cast<std::uint32_t>(gen.idle.size()));
  state.failed = gen.provision_failed;
  return state;
}

void FunctionPool::start_for_waiters() {
  for (;;) {
    // The place is taken before the memory is, so that two callers do not start two instances for one waiter.
    std::shared_ptr<const Target> target;
    Reactor* reactor = nullptr;
    StartReason reason = StartReason::kInvocation;
    {
      std::lock_guard lock(mutex_);
      for (auto& [name, gen] : generations_) {
        const bool awaited = gen.starting < gen.waiters.size();
        if (!awaited && !wants_provisioned(gen)) continue;
        target = gen.target;
        if (awaited) reactor = gen.waiters[gen.starting]->reactor;
        if (!awaited) reason = StartReason::kProvisioned;
        ++gen.starting;
        ++gen.unlisted;
        break;
      }
    }
    if (!target) return;
    if (!engine_.reserve_memory(target->memory_mb)) {
      {
        std::lock_guard lock(mutex_);
        --generation(target).starting;
        --generation(target).unlisted;
      }
      engine_.starve(shared_from_this());
      // What was given back before the pool stood in that list woke nobody.
      if (!engine_.reserve_memory(target->memory_mb)) return;
      engine_.release_memory(target->memory_mb);
      continue;
    }
    if (reactor == nullptr) reactor = &engine_.reactors.next();
    launch(target, *reactor, reason);
  }
}

// The place and the memory are taken already.
void FunctionPool::launch(const std::shared_ptr<const Target>& target, Reactor& reactor, StartReason reason) {
  auto instance = std::make_shared<Instance>(engine_.shared_from_this(), shared_from_this(), target, reactor, reason);
  {
    std::lock_guard lock(mutex_);
    --generation(target).unlisted;
    PoolRecord& record = generation(target).instances[instance];
    record.reason = reason;
    record.ahead = reason == StartReason::kPrepared || reason == StartReason::kWarmed;
    set_state(record, InstanceState::kStarting);
  }
  if (instance->start()) return;
  // The scope refuses because the dispatcher stops; stop() answers who waits.
  closing(instance);
  gone(instance);
}

// True where a place for initialising ahead is free again; the caller gives it back when it holds no lock.
bool FunctionPool::end_start(Generation& generation, PoolRecord& record) {
  --generation.starting;
  if (!record.ahead) return false;
  record.ahead = false;
  if (record.reason == StartReason::kPrepared) --generation.snapshots.starting;
  return true;
}

AfterWork FunctionPool::serve_or_idle(const InstancePtr& instance) {
  Generation* gen = find(*instance);
  PoolRecord& record = gen->instances.at(instance);
  AfterWork out;
  if (!gen->waiters.empty()) {
    out.ticket = std::move(gen->waiters.front());
    gen->waiters.pop_front();
    set_state(record, InstanceState::kBusy);
    return out;
  }
  if (gen->draining || engine_.stopping.load()) {
    set_state(record, InstanceState::kDraining);
    out.retire = true;
    return out;
  }
  set_state(record, InstanceState::kIdle);
  record.idle_since = engine_.clock.steady_now();
  gen->idle.push_back(instance);
  begin_pause(*gen);
  out.idle_until = idle_deadline(*gen, record);
  return out;
}

AfterWork FunctionPool::ready(const InstancePtr& instance) {
  bool place_is_free = false;
  AfterWork out;
  {
    std::lock_guard lock(mutex_);
    Generation* gen = find(*instance);
    place_is_free = end_start(*gen, gen->instances.at(instance));
    gen->provision_failed = false;
    out = serve_or_idle(instance);
  }
  if (place_is_free) engine_.end_preparation();
  return out;
}

AfterWork FunctionPool::released(const InstancePtr& instance) {
  std::lock_guard lock(mutex_);
  ++find(*instance)->instances.at(instance).invocations;
  return serve_or_idle(instance);
}

TicketPtr FunctionPool::start_failed(const InstancePtr& instance) {
  TicketPtr ticket;
  bool place_is_free = false;
  {
    std::lock_guard lock(mutex_);
    Generation* gen = find(*instance);
    PoolRecord& record = gen->instances.at(instance);
    place_is_free = end_start(*gen, record);
    set_state(record, InstanceState::kDraining);
    if (gen->provisioned > 0) {
      gen->provision_failed = true;
      gen->provision_not_before = engine_.clock.steady_now() + kProvisionBackOff;
    }
    if (!gen->waiters.empty()) {
      ticket = std::move(gen->waiters.front());
      gen->waiters.pop_front();
    }
  }
  if (place_is_free) engine_.end_preparation();
  return ticket;
}

bool FunctionPool::retire_if_idle(const InstancePtr& instance) {
  std::lock_guard lock(mutex_);
  Generation* gen = find(*instance);
  if (gen == nullptr || live(*gen) <= gen->provisioned) return false;
  const auto found = std::find(gen->idle.begin(), gen->idle.end(), instance);
  if (found == gen->idle.end()) return false;
  gen->idle.erase(found);
  set_state(gen->instances.at(instance), InstanceState::kDraining);
  return true;
}

void FunctionPool::release_memory(Generation& generation, PoolRecord& record) {
  if (std::exchange(record.memory_released, true)) return;
  engine_.release_memory(generation.target->memory_mb);
}

void FunctionPool::closing(const InstancePtr& instance) {
  bool place_is_free = false;
  {
    std::lock_guard lock(mutex_);
    Generation* gen = find(*instance);
    if (gen == nullptr) return;
    std::erase(gen->idle, instance);
    std::erase(gen->snapshots.waiting, instance);
    PoolRecord& record = gen->instances.at(instance);
    // An instance closed before it was ready leaves its place to another that waiters may need.
    if (record.state == InstanceState::kStarting) place_is_free = end_start(*gen, record);
    set_state(record, InstanceState::kDraining);
    release_memory(*gen, record);
  }
  if (place_is_free) engine_.end_preparation();
}

void FunctionPool::gone(const InstancePtr& instance) {
  std::lock_guard lock(mutex_);
  Generation* gen = find(*instance);
  if (gen == nullptr) return;
  gen->instances.erase(instance);
  erase_where_over(instance->target().generation);
}

void FunctionPool::erase_where_over(const std::string& generation) {
  const Generation& gen = generations_.at(generation);
  const bool wanted = gen.provisioned > 0 || gen.snapshots.asked;
  if (!wanted && gen.instances.empty() && gen.waiters.empty() && gen.starting == 0) generations_.erase(generation);
}

void FunctionPool::drain(const std::string& version, const std::string& keep_generation) {
  std::vector<InstancePtr> idle;
  {
    std::lock_guard lock(mutex_);
    if (version.empty() && keep_generation.empty()) {
      // The function was deleted; one of the same name begins without its reservation.
      engine_.change_reserved_total(-std::int64_t{reserved_.value_or(0)});
      reserved_.reset();
      reserved_was_set_ = false;
    }
    // Nothing is started in advance for what was; the next pause begins with what is.
    std::erase_if(pauses_, [&](auto& entry) {
      if (!version.empty() && entry.first != version) return false;
      entry.second->since.reset();
      ++entry.second->count;
      return keep_generation.empty();  // the version itself is gone
    });
    std::vector<std::string> drained;
    for (auto& [name, gen] : generations_) {
      if (name == keep_generation || (!version.empty() && gen.target->version != version)) continue;
      gen.draining = true;
      gen.provisioned = 0;
      for (const auto& instance : gen.idle) set_state(gen.instances.at(instance), InstanceState::kDraining);
      auto& waiting = gen.snapshots.waiting;
      for (const auto& instance : waiting) set_state(gen.instances.at(instance), InstanceState::kDraining);
      std::move(gen.idle.begin(), gen.idle.end(), std::back_inserter(idle));
      std::move(waiting.begin(), waiting.end(), std::back_inserter(idle));
      gen.idle.clear();
      waiting.clear();
      gen.snapshots.asked = false;
      drained.push_back(name);
    }
    for (const auto& name : drained) erase_where_over(name);
  }
  for (const auto& instance : idle) instance->post_close();
}

InstancePtr FunctionPool::find_oldest_idle() const {
  InstancePtr oldest;
  SteadyTime since;
  for (const auto& [name, gen] : generations_) {
    if (live(gen) <= gen.provisioned) continue;
    for (const auto* list : {&gen.idle, &gen.snapshots.waiting}) {
      for (const auto& instance : *list) {
        const SteadyTime idle_since = gen.instances.at(instance).idle_since;
        if (oldest && idle_since >= since) continue;
        oldest = instance;
        since = idle_since;
      }
    }
  }
  return oldest;
}

std::optional<SteadyTime> FunctionPool::oldest_idle() const {
  std::lock_guard lock(mutex_);
  const InstancePtr oldest = find_oldest_idle();
  if (!oldest) return std::nullopt;
  return generations_.at(oldest->target().generation).instances.at(oldest).idle_since;
}

void FunctionPool::evict_oldest_idle() {
  InstancePtr evicted;
  {
    std::lock_guard lock(mutex_);
    evicted = find_oldest_idle();
    if (!evicted) return;
    Generation* from = find(*evicted);
    std::erase(from->idle, evicted);
    // What had to go for want of memory is not made again at once.
    if (std::erase(from->snapshots.waiting, evicted) > 0) {
      from->snapshots.not_before = engine_.clock.steady_now() + kPrepareAfterEviction;
    }
    PoolRecord& record = from->instances.at(evicted);
    set_state(record, InstanceState::kDraining);
    release_memory(*from, record);
  }
  evicted->post_close();
}

std::vector<TicketPtr> FunctionPool::take_waiters() {
  std::vector<TicketPtr> waiters;
  std::lock_guard lock(mutex_);
  for (auto& [name, gen] : generations_) {
    std::move(gen.waiters.begin(), gen.waiters.end(), std::back_inserter(waiters));
    gen.waiters.clear();
  }
  return waiters;
}

void FunctionPool::close_all() {
  std::vector<InstancePtr> all;
  {
    std::lock_guard lock(mutex_);
    for (const auto& [name, gen] : generations_) {
      for (const auto& [instance, record] : gen.instances) all.push_back(instance);
    }
  }
  for (const auto& instance : all) instance->post_abort();
}

void FunctionPool::list(std::vector<InstanceInfo>& into) const {
  std::lock_guard lock(mutex_);
  for (const auto& [name, gen] : generations_) {
    for (const auto& [instance, record] : gen.instances) {
      InstanceInfo info;
      info.id = instance->id().str();
      info.function_arn = function_arn_;
      info.version = gen.target->version;
      info.state = to_text(record.state);
      info.since = record.since;
      info.invocations = record.invocations;
      into.push_back(std::move(info));
    }
  }
}

}  // namespace mayfly::dispatch
