// Queue: durable messages that are leased, and acknowledged or released. What SQS queues, asynchronous invokes, bus
// targets, topics and schedules are made of.
//
// Promises. A call that returned success is durable. A message that was published is leased at least once until it is
//           acknowledged, purged or too old; never by two holders whose leases are both alive. Publishing an id that
//           the queue holds, or a dedupe id that it has seen within its window, changes nothing and succeeds. In an
//           ordered queue the messages of a group are leased in the order of their sequence, and none of them while an
//           earlier one of the group is leased or released with a delay. Consumers are idempotent: a crash between a
//           lease and its acknowledgement gives the message again once the lease has run out.
// Queues.   Exist from their first configure() to remove(). Settings are their owner's: they are not stored here, and
//           messages of a queue that nobody has configured since the start wait until somebody does.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/async.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/ids.h"

namespace mayfly::store {

using QueueName = Id<struct QueueNameTag>;  // "sqs/<account>/<region>/<name>/<generation>", at most 1,024 bytes

struct QueueSettings {
  std::chrono::seconds retention{345'600};  // a message older than this is gone, leased or not
  std::chrono::seconds dedupe_window{300};  // 0: no deduplication
  // Groups are leased in order; messages without a group form one. Not changed while the queue holds messages
  // (kConflict).
  bool ordered = false;
  bool dedupe_by_group = false;        // the window is each group's own (SQS: DeduplicationScope messageGroup)
  std::uint32_t max_leased = 120'000;  // beyond it lease() answers kThrottled
};

struct NewMessage {
  std::string id;         // the publisher's, unique for ever: a UUID. At most 256 bytes
  std::string body;       // any bytes, at most 2 MiB
  std::string group;      // "" : none
  std::string dedupe_id;  // "" : none
  std::chrono::microseconds delay{0};
  // Of a message that is moved from another queue; nullopt: now.
  std::optional<SystemTime> sent_at;
};

struct Published {
  std::string id;              // of the message that stands for it: another one's where it was deduplicated
  std::uint64_t sequence = 0;  // grows within the whole store; never given twice
  bool duplicate = false;
};

// Names one lease of one message. Opaque; at most 128 bytes; survives a restart.
using LeaseToken = Id<struct LeaseTokenTag>;

struct Leased {
  LeaseToken token;
  std::string id;
  std::string body;
  std::string group;
  std::string dedupe_id;
  std::string state;  // what the last release() left with it
  std::uint64_t sequence = 0;
  std::uint32_t receive_count = 1;  // leases so far, with this one
  SystemTime sent_at;
  SystemTime first_leased_at;
  SystemTime leased_until;
};

struct LeaseRequest {
  std::uint32_t max_messages = 1;                // at most 10,000
  std::uint64_t max_bytes = 16UL * 1024 * 1024;  // of bodies; one message is always given
  std::chrono::microseconds duration{30'000'000};
  SteadyTime wait_until{};  // waits for a first message until then; the past: does not wait
};

struct QueueCounts {
  std::uint64_t ready = 0;    // could be leased, by time (SQS: ApproximateNumberOfMessages)
  std::uint64_t leased = 0;   // SQS: ...NotVisible
  std::uint64_t delayed = 0;  // SQS: ...Delayed
  std::uint64_t bytes = 0;    // of all bodies
  std::optional<SystemTime> oldest_sent_at;
};

// A message as it lies there, for people who look. Changes nothing.
struct PeekedMessage {
  std::string id;
  std::string body;
  std::string group;
  std::string state;
  std::uint64_t sequence = 0;
  std::uint32_t receive_count = 0;
  SystemTime sent_at;
  SystemTime available_at;  // in the future: delayed or leased
  bool leased = false;
};

class Queue {
 public:
  virtual ~Queue() = default;

  // Creates the queue or changes its settings, which hold for the messages in it, too. Needed once after each start.
  virtual Awaitable<Result<void>> configure(QueueName queue, QueueSettings settings) = 0;
  // Removes the queue and its messages. Waiting leases end with kNotFound. Removing nothing is success.
  virtual Awaitable<Result<void>> remove(QueueName queue) = 0;
  // Every queue that holds messages or is configured, by name; for owners to find what they have forgotten.
  virtual Awaitable<Result<std::vector<QueueName>>> list(std::string prefix) = 0;

  // All or none; answers in order. kNotFound, kTooLarge, kThrottled (too much waits for the disk), kIo (disk full).
  virtual Awaitable<Result<std::vector<Published>>> publish(QueueName queue, std::vector<NewMessage> messages) = 0;
  // One durable write to many queues: where it fails, nothing was published.
  struct Fanout {
    QueueName queue;
    NewMessage message;
  };
  virtual Awaitable<Result<void>> publish_to_many(std::vector<Fanout> messages) = 0;

  // In order of availability; ordered queues: of sequence within each group. Empty when the wait ended without one.
  virtual Awaitable<Result<std::vector<Leased>>> lease(QueueName queue, LeaseRequest request) = 0;
  // The lease ends `duration` from now; 0 makes the message ready at once. kNotFound: no such lease (it ran out and the
  // message was leased again, or is gone; in an ordered queue: it ran out); kInvalid: not a token of this queue.
  virtual Awaitable<Result<void>> extend(QueueName queue, LeaseToken token, std::chrono::microseconds duration) = 0;
  // Gives it back: ready again after `delay`, with `state` kept for the next holder. Errors as extend().
  virtual Awaitable<Result<void>> release(QueueName queue, LeaseToken token, std::chrono::microseconds delay,
                                          std::string state) = 0;
  // The message is done with. A token whose lease has run out still does so where nobody leased it again.
  // Errors as extend(); a message that is gone already is success.
  virtual Awaitable<Result<void>> acknowledge(QueueName queue, LeaseToken token) = 0;
  // Many at once, each with its own answer.
  virtual Awaitable<std::vector<Result<void>>> acknowledge_all(QueueName queue, std::vector<LeaseToken> tokens) = 0;

  // Removes the messages, and what was seen of dedupe ids.
  virtual Awaitable<Result<void>> purge(QueueName queue) = 0;
  // From memory. kNotFound.
  virtual Awaitable<Result<QueueCounts>> counts(QueueName queue) = 0;
  // In order of sequence, from the first one greater than `after`.
  virtual Awaitable<Result<std::vector<PeekedMessage>>> peek(QueueName queue, std::uint64_t after,
                                                             std::size_t limit) = 0;
  // Takes out one message by its id, whether it is leased or not (an operator's redrive). kNotFound.
  virtual Awaitable<Result<void>> take_out(QueueName queue, std::string id) = 0;
};

}  // namespace mayfly::store
