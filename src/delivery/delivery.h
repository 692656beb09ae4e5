// Durable asynchronous delivery: an accepted event is given to its target at least once, retried with care, and never
// silently lost. Asynchronous invokes, rules, schedules and topics hand their events over here.
//
// Operation.   submit() makes the event durable in the queue of its lane and returns; workers lease it, attempt it
//              through Targets, and acknowledge it, or release it with exponential back-off and full jitter. What has
//              used up its attempts or its age, or is refused, goes to the dead-letter target and the failure
//              destination of its policy; where neither is set it is dropped, counted and logged. A throttled attempt
//              does not count. A circuit breaker for each target stops calling what keeps failing and half-opens.
// Concurrency. Any reactor. Lanes are served fairly: one flooded target never starves another.
// Recovery.    All state of an event (attempts, first try, last error) lies with its message in the queue.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/async.h"
#include "base/clock.h"
#include "base/error.h"
#include "delivery/targets.h"
#include "store/queue.h"

namespace mayfly::delivery {

struct Policy {
  std::uint32_t max_attempts = 3;        // the first try is one of them
  std::chrono::seconds max_age{21'600};  // from acceptance
  std::chrono::milliseconds first_back_off{1'000};
  std::chrono::milliseconds max_back_off{300'000};
  std::string dead_letter_arn;  // gets the event itself, with ERROR_CODE and kin as message attributes
  std::string on_success_arn;   // destinations get the record below (Lambda's destination envelope)
  std::string on_failure_arn;
};

struct Request {
  std::string target_arn;
  Event event;
  Policy policy;
  std::chrono::microseconds delay{0};
  std::string dedupe_key;  // "" : none. Two requests of one key and target within five minutes are one execution
};

// What is waiting for one target, and how it fares.
struct LaneInfo {
  std::string target_arn;
  store::QueueCounts counts;
  std::string breaker;  // "closed", "open", "half-open"
  std::uint64_t delivered = 0;
  std::uint64_t failed_attempts = 0;
  std::uint64_t dead = 0;  // sent to a dead-letter target or dropped
};

struct DeliverySettings {
  std::uint32_t max_in_flight = 1'000;  // attempts at a time, all targets together
  std::uint32_t max_in_flight_per_target = 100;
  std::chrono::seconds attempt_time{960};  // the lease of an attempt; longer than any function runs
};

class Delivery {
 public:
  Delivery(store::Queue& queue, const Targets& targets, Reactors& reactors, Clock& clock, DeliverySettings settings);
  ~Delivery();
  Delivery(const Delivery&) = delete;
  Delivery& operator=(const Delivery&) = delete;

  // Takes up what an earlier run left. Before the first submit().
  Awaitable<Result<void>> start();
  // Ends the workers; what is under way is waited for, the rest stays for the next start.
  Awaitable<void> stop();

  // Durable on return.
  Awaitable<Result<void>> submit(Request request);
  // One durable write for all of them: all or none.
  Awaitable<Result<void>> submit_all(std::vector<Request> requests);

  Awaitable<std::vector<LaneInfo>> lanes();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mayfly::delivery
