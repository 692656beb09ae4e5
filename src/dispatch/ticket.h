// One admitted invocation on its way to an outcome. Owned by the pool that queues it and the instance that runs it, and
// only watched by the caller: a caller that goes away stops nothing.
#pragma once

#include <memory>
#include <optional>

#include "base/async.h"
#include "dispatch/invocation.h"

namespace mayfly::dispatch {

struct Ticket {
  std::shared_ptr<const Target> target;
  Invocation invocation;
  SteadyTime submitted;
  Reactor* reactor = nullptr;  // the caller's, preferred for its instance; may be null
  OneShot<Result<Outcome>> done;
  bool counted_unreserved = false;  // which concurrency limit it was admitted under
  int attempts = 0;                 // instances that died before they took the event

  // On the instance's reactor only. While the caller's sink is in a call the result is parked, so that the sink never
  // outlives the invoke() it was given to.
  bool sink_active = false;
  std::optional<Result<Outcome>> parked;

  void settle(Result<Outcome> result) {
    if (sink_active) {
      if (!parked) parked.emplace(std::move(result));
      return;
    }
    done.set(std::move(result));
  }
  void sink_left() {
    sink_active = false;
    if (parked) done.set(std::move(*parked));
  }
};

using TicketPtr = std::shared_ptr<Ticket>;

}  // namespace mayfly::dispatch
