// The workers of delivery: which lane has its turn, what is leased for it, what becomes of each attempt.
//
// Operation.   A few workers take turns with the lanes that want one. A turn leases a portion of messages and starts an
//              attempt for each; the lane goes to the end of the line while it has more. A lane with nothing due is
//              looked at again when something comes, when something of it becomes due, or, where the queue holds more
//              than is known here (after a restart), after kProbe. One keeper renews the leases of long attempts.
// Concurrency. Any reactor; `mutex` guards lanes, line, timers and counters, and is never held across a wait. Lanes
// live
//              as long as the engine.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <queue>
#include <random>
#include <unordered_map>

#include "delivery/delivery.h"
#include "delivery/lane.h"
#include "delivery/parcel.h"
#include "delivery/records.h"

namespace mayfly::delivery {

struct Delivery::Impl {
  Impl(store::Queue& queue_in, const Targets& targets_in, Reactors& reactors_in, Clock& clock_in,
       DeliverySettings settings_in);

  struct Turn {
    Lane* lane = nullptr;  // null: nobody's turn before `look_again`
    std::uint32_t count = 0;
    SteadyTime look_again = kNoDeadline;
  };
  // An attempt under way.
  struct Held {
    store::QueueName queue;
    store::LeaseToken token;
    SteadyTime renew_at;
    SteadyTime give_up_at;  // not renewed beyond this
  };

  // What goes into lanes by one durable write, and which of them then have something to do after which delay.
  struct Batch {
    std::vector<store::Queue::Fanout> messages;
    std::vector<std::pair<Lane*, std::chrono::microseconds>> touched;
  };

  // --- lanes.cpp: bookkeeping. Those that say so are called with the mutex held.
  Lane& lane_of(const std::string& target, const std::string& via);  // made where it is missing
  void want_turn(Lane& lane);                                        // with the mutex held
  void look_at(Lane& lane, SteadyTime when);                         // with the mutex held
  Turn next_turn();
  void attempt_ended(Lane& lane);
  Awaitable<Result<void>> configure(Lane& lane);
  Awaitable<Result<void>> add_to_lane(Request request, Batch& batch);
  Awaitable<Result<void>> submit_all(std::vector<Request> requests);
  void want_turns(const Batch& batch);
  Awaitable<Result<void>> take_up();

  // --- engine.cpp
  Awaitable<void> work();
  Awaitable<void> serve(Lane& lane, std::uint32_t count);
  Awaitable<void> keep();
  void start_attempt(Lane& lane, store::Leased message);
  Awaitable<void> attempt(Lane& lane, store::Leased message);
  Awaitable<void> settle(Lane& lane, const store::Leased& message, Parcel& parcel, Progress& progress, Attempt result);
  Awaitable<void> give_up(Lane& lane, const store::Leased& message, Parcel& parcel, Progress& progress, Ending ending);
  // Hands over what follows, then acknowledges. Where that cannot be stored the event stays and comes again.
  Awaitable<bool> finish(Lane& lane, const store::Leased& message, Parcel& parcel, Progress& progress, Ending ending);
  Awaitable<void> put_back(Lane& lane, const store::Leased& message, const Progress& progress,
                           std::chrono::nanoseconds delay);
  void count(const Lane& lane, const char* outcome);
  void remember_error(Lane& lane, const Attempt& result);

  store::Queue& queue;
  const Targets& targets;
  Reactors& reactors;
  Clock& clock;
  const DeliverySettings settings;
  observe::Metrics* metrics = nullptr;

  std::mutex mutex;
  std::unordered_map<std::string, std::unique_ptr<Lane>> lanes;  // by key
  std::deque<Lane*> line;
  std::priority_queue<std::pair<SteadyTime, Lane*>, std::vector<std::pair<SteadyTime, Lane*>>, std::greater<>> timers;
  std::uint32_t in_flight = 0;
  std::uint64_t last_held = 0;
  std::map<std::uint64_t, Held> held;
  std::mt19937_64 random;
  bool stopping = false;
  bool keeping_ended = false;

  Signal work_to_do;
  Signal keeper;  // the first attempt has begun, or keeping ends
  Signal attempt_done;
  Scope workers{"delivery"};
  Scope attempts{"deliveries"};
};

}  // namespace mayfly::delivery
