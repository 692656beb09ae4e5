// The SQS service: queues, messages, dead letters, moves, over the Queue port.
//
// Operation.   A queue is a record (attributes, tags) in KeyValue and a queue of the port, named with the record's
//              generation, so that a queue made again under its name has nothing of the old one. A message is one port
//              message whose body is an envelope (envelope.h) of attributes and text. What was received more often than
//              the redrive policy allows is published to the dead-letter queue under the same id and then acknowledged,
//              instead of being given out: a crash between the two repeats the publish, which changes nothing.
// Concurrency. Any reactor; nothing is locked across a wait. Message moves run on the reactor that started them.
// Limits.      AWS's own, in limits.h.
// Recovery.    load() reads all records, configures the port's queues, removes those that no record names, and goes on
//              with the moves that were running.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "aws/api.h"
#include "base/async.h"
#include "base/clock.h"
#include "base/error.h"
#include "delivery/targets.h"
#include "store/key_value.h"
#include "store/queue.h"

namespace mayfly::sqs {

struct SqsSettings {
  std::string account = "000000000000";
  std::string region = "us-east-1";
};

// A message attribute as its sender set it.
struct MessageAttribute {
  std::string name;
  std::string data_type;  // "String", "Number", "Binary", each also with a label: "Number.int"
  bool binary = false;    // BinaryValue, as raw bytes; else StringValue
  std::string value;
};

// A message that was received.
struct Message {
  std::string message_id;
  std::string receipt_handle;
  std::string body;
  std::string md5_of_body;                // 32 hex digits
  std::string md5_of_message_attributes;  // "" where it has none
  // All of them, by ReceiveMessage's names: SenderId, SentTimestamp, ApproximateReceiveCount, ... and, where they
  // apply, MessageGroupId, MessageDeduplicationId, SequenceNumber, AWSTraceHeader, DeadLetterQueueSourceArn.
  std::vector<std::pair<std::string, std::string>> attributes;
  std::vector<MessageAttribute> message_attributes;  // by name
};

// A message to send. Checked as SendMessage checks it.
struct Outgoing {
  std::string id;  // a UUID; the same on every attempt. "" : a new one
  std::string body;
  std::vector<MessageAttribute> attributes;
  std::optional<std::string> group_id;
  std::optional<std::string> dedupe_id;
  std::optional<std::chrono::seconds> delay;  // nullopt: the queue's
  std::string trace_header;                   // AWSTraceHeader
  std::string sender_id;                      // "" : the account
};

struct QueueInfo {
  std::string arn;
  std::string name;
  std::string account;
  std::string region;
  bool fifo = false;
  std::chrono::seconds visibility_timeout{30};
  std::string dead_letter_arn;  // of its redrive policy, or ""
  std::uint32_t max_receive_count = 0;
};

struct ReceiveOptions {
  std::uint32_t max_messages = 10;                         // at most 10,000
  std::uint64_t max_bytes = 16UL * 1024 * 1024;            // of bodies; one message is always given
  std::optional<std::chrono::seconds> visibility_timeout;  // nullopt: the queue's
  std::chrono::milliseconds wait{0};                       // for a first message
};

// A message where it lies, for people who look.
struct LyingMessage {
  Message message;  // without a receipt handle
  std::uint64_t sequence = 0;
  std::uint32_t receive_count = 0;
  SystemTime available_at;  // in the future: delayed or in flight
  bool in_flight = false;
};

// Names one message of a peek().
struct MessagePosition {
  std::uint64_t sequence = 0;
  std::string message_id;
};

class Sqs {
 public:
  Sqs(store::KeyValue& store, store::Queue& queue, Clock& clock, SqsSettings settings);
  ~Sqs();
  Sqs(const Sqs&) = delete;
  Sqs& operator=(const Sqs&) = delete;

  // On a reactor, before the first request. Moves that were running go on there.
  Awaitable<Result<void>> load();
  // Ends long polls at once (they answer as if nothing had come) and pauses moves. Before destruction.
  void interrupt();
  Awaitable<void> stop();
  [[nodiscard]] aws::Service& service();
  // Events for "arn:aws:sqs:..." become messages.
  void add_to(delivery::Targets& targets);

  // For others in this process: queues by ARN. kNotFound: no such queue.
  // The queue's own policy document, by its ARN.
  [[nodiscard]] std::optional<std::string> resource_policy(std::string_view arn) const;
  [[nodiscard]] std::optional<QueueInfo> find(std::string_view arn) const;
  [[nodiscard]] std::vector<QueueInfo> queues() const;  // by ARN
  // Empty where the wait ended without a message. kThrottled: too many are in flight.
  Awaitable<Result<std::vector<Message>>> receive(std::string arn, ReceiveOptions options);
  // Each with its own answer, in order. kInvalid: no handle of this queue; kNotFound: it has run out and the message
  // was received again. Deleting what is gone already is success.
  Awaitable<std::vector<Result<void>>> remove(std::string arn, std::vector<std::string> receipt_handles);
  // As remove(); of a message that is gone kNotFound. 0 makes the messages visible at once.
  Awaitable<std::vector<Result<void>>> change_visibility(std::string arn, std::vector<std::string> receipt_handles,
                                                         std::chrono::seconds timeout);
  // Durable on return; answers the message's id. kInvalid with SendMessage's own text where it would refuse.
  Awaitable<Result<std::string>> send(std::string arn, Outgoing message);

  // For people who look, and change nothing.
  Awaitable<Result<store::QueueCounts>> counts(std::string arn);
  Awaitable<Result<std::vector<LyingMessage>>> peek(std::string arn, std::uint64_t after, std::size_t limit);
  // Moves single messages of a dead-letter queue, to `destination_arn` or, where that is "", to the queue each one came
  // from. Answers how many were still there and have been moved.
  Awaitable<Result<std::size_t>> redrive(std::string arn, std::string destination_arn,
                                         std::vector<MessagePosition> messages);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mayfly::sqs
