// The instances of one function, by generation: who is idle, who waits, who is started for whom.
//
// Operation.   An invocation takes the most recently used idle instance, or waits in line while an instance is started
//              for it; whichever instance is free first, warm or new, serves the first in line. An instance is claimed
//              and retired only by taking it out of `idle` under the mutex, so that never both happen.
// Concurrency. Thread safe; the mutex is never held over co_await, a call into an instance, or another pool's mutex.
//              Instances are told what to do by a message to their reactor.
// Limits.      Waiters are admitted invocations, so the concurrency limits bound them.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "dispatch/dispatcher.h"
#include "dispatch/rhythm.h"
#include "dispatch/start_demand.h"
#include "dispatch/ticket.h"

namespace mayfly::dispatch {

class Engine;
class Instance;
enum class StartReason : std::uint8_t { kInvocation, kProvisioned, kPrepared, kWarmed };
using InstancePtr = std::shared_ptr<Instance>;

enum class InstanceState : std::uint8_t { kStarting, kPrepared, kIdle, kBusy, kDraining };

// The pool's own record of an instance, guarded by the pool's mutex.
struct PoolRecord {
  InstanceState state = InstanceState::kStarting;
  SystemTime since;
  SteadyTime idle_since;
  std::uint64_t invocations = 0;
  StartReason reason = StartReason::kInvocation;
  bool ahead = false;  // it starts without an invocation and holds a place of Engine::begin_preparation()
  bool memory_released = false;
};

// What an instance does that has nothing to do.
struct AfterWork {
  TicketPtr ticket;  // its to run; null: it is idle or to be retired
  bool retire = false;
  SteadyTime idle_until;  // of an idle one
};

class FunctionPool : public std::enable_shared_from_this<FunctionPool> {
 public:
  FunctionPool(Engine& engine, std::string function_arn);

  // Null where admitted, else the limit's name. leave() gives the place back.
  const char* admit(Ticket& ticket);
  void leave(const Ticket& ticket);
  void set_reserved(std::optional<std::uint32_t> limit);

  // An admitted invocation is given to an instance now or later.
  void submit(const TicketPtr& ticket);
  // The instance that had it died before it took the event: to the front of the line.
  void resubmit(const TicketPtr& ticket);
  // True where the ticket was still waiting and nothing was being started for it; it is out of the line then.
  bool give_up(const TicketPtr& ticket);
  void start_for_waiters();

  // Called by instances on their reactors.
  AfterWork ready(const InstancePtr& instance);
  AfterWork released(const InstancePtr& instance);
  // It did not start: the invocation that fails with it, if any waits.
  TicketPtr start_failed(const InstancePtr& instance);
  // True when the instance was idle and is the caller's to close; false when an invocation has claimed it.
  bool retire_if_idle(const InstancePtr& instance);
  void closing(const InstancePtr& instance);  // out of idle, its memory is free again
  void gone(const InstancePtr& instance);

  void set_provisioned(const std::shared_ptr<const Target>& target, std::uint32_t count);
  [[nodiscard]] ProvisionedState provisioned(const std::string& generation) const;
  // In pool_prepared.cpp: the instances that SnapStart keeps.
  void set_snap_start(const std::shared_ptr<const Target>& target, SnapshotOrigin origin);
  [[nodiscard]] SnapshotState snapshot(const std::string& generation) const;
  // Starts what is wanted and not there. Never on the way of an invocation.
  void prepare();
  // It has initialised. The ticket is the invocation that restores it; null: it waits, or is to be retired.
  AfterWork prepared(const InstancePtr& instance);
  // It did not initialise, or ended while it waited or was restored.
  void note_failure(const InstancePtr& instance, const std::string& reason);
  // True where it waited and is the caller's to close: it is too old, or one too many.
  bool retire_prepared(const InstancePtr& instance, bool too_old);

  // In pool_keep_alive.cpp: what follows from the pauses between a version's invocations.
  // When an idle instance is to be retired.
  [[nodiscard]] SteadyTime idle_deadline(const InstancePtr& instance) const;
  // The version's last instance has been retired: another one is started before the next invocation, where that is
  // known to be of use.
  void warm_later(const std::shared_ptr<const Target>& target, Reactor& reactor);

  // When a provisioned instance that did not initialise is to be tried again.
  [[nodiscard]] std::optional<SteadyTime> provision_again() const;
  void drain(const std::string& version, const std::string& keep_generation);
  [[nodiscard]] std::optional<SteadyTime> oldest_idle() const;
  void evict_oldest_idle();
  std::vector<TicketPtr> take_waiters();
  void close_all();
  void list(std::vector<InstanceInfo>& into) const;

 private:
  struct Snapshots {
    bool asked = false;
    bool settled = false;  // the first one has come up, or could not
    std::string failure;   // why the last one could not; empty where it could
    std::uint32_t failures = 0;
    SteadyTime not_before = SteadyTime::min();
    std::vector<InstancePtr> waiting;  // initialised; back: the youngest
    std::size_t starting = 0;
    StartDemand demand;
  };
  // The pauses of a version, whatever its code and configuration are.
  struct Pauses {
    Rhythm rhythm;
    std::optional<Rhythm::Plan> plan;
    std::optional<SteadyTime> since;  // nothing of the version has been at work since
    std::uint64_t count = 0;          // what is meant for one pause does not happen in another
  };
  struct Generation {
    std::shared_ptr<Pauses> pauses;
    std::shared_ptr<const Target> target;
    std::vector<InstancePtr> idle;  // back: most recently used
    std::deque<TicketPtr> waiters;
    std::map<InstancePtr, PoolRecord> instances;
    std::size_t starting = 0;
    std::size_t unlisted = 0;       // of starting: not among the instances yet
    std::uint32_t provisioned = 0;  // instances to be kept
    bool provision_failed = false;
    SteadyTime provision_not_before;
    Snapshots snapshots;
    bool draining = false;
  };

  Generation& generation(const std::shared_ptr<const Target>& target);
  Generation* find(const Instance& instance);
  [[nodiscard]] static std::size_t live(const Generation& generation);
  [[nodiscard]] bool wants_provisioned(const Generation& generation) const;
  [[nodiscard]] bool wants_prepared(const Generation& generation) const;
  [[nodiscard]] std::shared_ptr<const Target> next_to_prepare() const;
  bool begin_prepared(const Target& target);
  [[nodiscard]] SteadyTime retire_for_preparation(const Target& target) const;
  void no_memory_to_prepare(const Target& target);
  void launch(const std::shared_ptr<const Target>& target, Reactor& reactor, StartReason reason);
  bool end_start(Generation& generation, PoolRecord& record);
  void begin_pause(Generation& generation);
  void end_pause(Generation& generation);
  void warm(const std::shared_ptr<const Target>& target, std::uint64_t pause, Reactor& reactor);
  InstancePtr take_prepared(Generation& generation);
  [[nodiscard]] InstancePtr find_oldest_idle() const;  // null where nothing idle may go
  void erase_where_over(const std::string& generation);
  InstancePtr take_idle(Generation& generation, const Reactor* preferred);
  void set_state(PoolRecord& record, InstanceState state);
  AfterWork serve_or_idle(const InstancePtr& instance);
  [[nodiscard]] SteadyTime idle_deadline(const Generation& gen, const PoolRecord& record) const;
  void release_memory(Generation& generation, PoolRecord& record);
  void enqueue(const TicketPtr& ticket, bool front);

  Engine& engine_;
  const std::string function_arn_;
  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Pauses>> pauses_;  // by version
  std::map<std::string, Generation> generations_;
  std::optional<std::uint32_t> reserved_;
  bool reserved_was_set_ = false;
  std::uint32_t running_ = 0;
};

}  // namespace mayfly::dispatch
