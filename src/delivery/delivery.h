// Durable asynchronous delivery: an accepted event is given to its target at least once, retried with care, and never
// silently lost. Asynchronous invokes, rules, schedules and topics hand their events over here.
//
// Operation.   submit() makes the event durable in the queue of its lane and returns; workers lease it, attempt it
//              through Targets, and acknowledge it, or release it with exponential back-off and full jitter. What has
//              used up its attempts or its age goes to the dead-letter target and the failure destination of its
//              policy, by delivery itself; where neither is set it is dropped, counted and logged. What the target
//              refuses for good goes there at once; without either it is kept, shown and tried until its age runs out.
//              A throttled attempt does not count. A circuit breaker for each lane stops calling what cannot be
//              reached and half-opens; a function that was reached and failed is no reason for it to open.
// Concurrency. Any reactor. One mutex, never held across a wait. Lanes take turns: one flooded target never starves
//              another, because a lane may hold at most as many attempts as are left for all the others together.
// Limits.      max_in_flight attempts in all, max_in_flight_per_target in one lane, events of 2 MiB with everything
//              that belongs to them, targets of 900 bytes. An idle lane is a record in memory and nothing else.
// Recovery.    All state of an event (attempts, first try, last error) lies with its message in the queue. What was
//              being attempted when the server was killed is attempted again once its lease of `lease` has run out.
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

namespace mayfly::observe {
class Metrics;
}

namespace mayfly::delivery {

// Which message attributes a dead letter carries; each service documents its own.
enum class DeadLetterForm : std::uint8_t {
  kRule,          // EventBridge and Scheduler: ERROR_CODE, ERROR_MESSAGE, RULE_ARN, TARGET_ARN, RETRY_ATTEMPTS, ..
  kFunction,      // Lambda: RequestID, ErrorCode (the status, a Number), ErrorMessage (its first KB)
  kSubscription,  // SNS: RequestID, ErrorCode, ErrorMessage
};

struct Policy {
  std::uint32_t max_attempts = 3;        // the first try is one of them; 0: as many as its age allows
  std::chrono::seconds max_age{21'600};  // from acceptance; at most kLongestAge
  std::chrono::milliseconds first_back_off{1'000};
  std::chrono::milliseconds max_back_off{300'000};
  std::vector<std::chrono::milliseconds> waits;  // before the first retries, exactly; what is above holds behind them
  bool jitter = true;                            // false: exactly first_back_off, then twice that, ..
  std::string dead_letter_arn;                   // gets the event itself, with message attributes by `dead_letter_form`
  DeadLetterForm dead_letter_form = DeadLetterForm::kRule;
  std::vector<std::pair<std::string, std::string>> dead_letter_facts;  // further attributes of its message
  std::string on_success_arn;  // destinations get Lambda's destination record (delivery/records.h)
  std::string on_failure_arn;
};

inline constexpr std::chrono::seconds kLongestAge{24UL * 86'400};
inline constexpr std::size_t kMaxTargetBytes = 900;

struct Request {
  std::string target_arn;
  Event event;
  Policy policy;
  std::chrono::microseconds delay{0};
  std::string dedupe_key;  // "" : none. Two requests of one key and target within five minutes are one execution
  std::string via;         // the handler of Targets, where it is not the one of the ARN's service; a lane of its own
};

// What is waiting for one target, and how it fares. Counters are of this run.
struct LaneInfo {
  std::string target_arn;
  std::string via;
  store::QueueCounts counts;
  std::string breaker;  // "closed", "open", "half-open"
  std::uint64_t in_flight = 0;
  std::uint64_t delivered = 0;
  std::uint64_t failed_attempts = 0;
  std::uint64_t throttled_attempts = 0;
  std::uint64_t dead = 0;     // given up: sent to a dead-letter target, a failure destination, or dropped
  std::uint64_t dropped = 0;  // of these, those that nobody wanted
  std::string last_error_code;
  std::string last_error_message;
};

// One event that waits, for people who look.
struct WaitingEvent {
  std::string id;
  std::uint64_t sequence = 0;
  std::size_t payload_bytes = 0;
  std::uint32_t attempts = 0;
  std::string last_error_code;
  std::string last_error_message;
  SystemTime accepted_at;
  SystemTime next_attempt_at;
};

struct DeliverySettings {
  std::uint32_t max_in_flight = 1'000;  // attempts at a time, all targets together
  std::uint32_t max_in_flight_per_target = 100;
  std::chrono::seconds attempt_time{960};  // how long an attempt keeps its event; longer than any function runs
  std::chrono::seconds lease{30};          // renewed while an attempt runs
  std::uint32_t breaker_failures = 10;     // in a row until the breaker opens
  std::chrono::milliseconds breaker_first{1'000};
  std::chrono::milliseconds breaker_longest{60'000};
  std::chrono::milliseconds throttle_first{250};
  std::chrono::milliseconds throttle_longest{60'000};
  std::uint32_t workers = 8;  // lanes served at a time
  std::uint64_t seed = 0;     // of the jitter; 0: from the kernel
};

class Delivery {
 public:
  Delivery(store::Queue& queue, const Targets& targets, Reactors& reactors, Clock& clock, DeliverySettings settings);
  ~Delivery();
  Delivery(const Delivery&) = delete;
  Delivery& operator=(const Delivery&) = delete;

  // Counts what becomes of attempts. Before start().
  void report_to(observe::Metrics& metrics);
  // Takes up what an earlier run left. After the targets have registered, before the first submit().
  Awaitable<Result<void>> start();
  // Starts no more attempts, and waits at most so long for those under way. What waits stays for the next start.
  Awaitable<void> stop(std::chrono::nanoseconds at_most);
  // Until no attempt is left. After stop(), and after whatever ends attempts that run on (dispatch) has ended them.
  Awaitable<void> join();

  // Durable on return. kInvalid: no target, or one that is too long; kTooLarge; errors of store::Queue.
  Awaitable<Result<void>> submit(Request request);
  // One durable write for all of them: all or none.
  Awaitable<Result<void>> submit_all(std::vector<Request> requests);
  // The target was changed so that it may take events now: waits for throttles and the breaker end.
  void wake(const std::string& target_arn, const std::string& via);

  // Nothing is under way and nothing is due before time moves on. For clocks that are moved by hand.
  [[nodiscard]] bool is_quiet() const;
  Awaitable<std::vector<LaneInfo>> lanes();
  // In order of acceptance. kNotFound where there is no such lane.
  Awaitable<Result<std::vector<WaitingEvent>>> waiting(std::string target_arn, std::string via, std::uint64_t after,
                                                       std::size_t limit);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mayfly::delivery
