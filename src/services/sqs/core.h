// What every topic of the service works with. Operations are free coroutines, one file for each topic, bound to the
// service in bind_<topic>().
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/async.h"
#include "services/operation.h"
#include "services/sqs/attempts.h"
#include "services/sqs/envelope.h"
#include "services/sqs/moves.h"
#include "services/sqs/receipt.h"
#include "services/sqs/sqs.h"
#include "services/sqs/tables.h"

namespace mayfly::sqs {

struct Core {
  Core(store::KeyValue& store, store::Queue& port_in, Clock& clock_in, SqsSettings settings_in);

  store::Queue& port;
  Clock& clock;
  SqsSettings settings;
  Tables tables;
  Moves moves;
  Attempts attempts;
  std::atomic<bool> interrupted{false};  // long polls end

  // Whether a purge may begin now; remembers that it does.
  bool begin_purge(const QueueRecord& queue);

 private:
  std::mutex mutex_;
  std::map<std::string, SteadyTime> purges_;  // by generation; those of the last minute
};

using services::bind;

void bind_queues(aws::Service& service, Core& core);
void bind_tags(aws::Service& service, Core& core);
void bind_send(aws::Service& service, Core& core);
void bind_receive(aws::Service& service, Core& core);
void bind_delete(aws::Service& service, Core& core);
void bind_moves(aws::Service& service, Core& core);

Place place_of(const aws::CallContext& context);
// The queue of a request: its URL, by path whatever the host, or its name alone.
aws::ApiResult<QueuePtr> find_queue(const Core& core, const aws::CallContext& context,
                                    const std::optional<std::string>& url);
// "http://<the host that the client used>/<account>/<name>".
std::string queue_url(const aws::CallContext& context, const QueueRecord& queue);

// A page's marker is the last key of the page before.
std::string encode_marker(std::string_view key);
std::optional<std::string> decode_marker(std::string_view marker);
// MaxResults as the two lists take it.
aws::ApiResult<std::size_t> check_max_results(std::optional<std::int32_t> max_results);

// The rules for the entries of a batch: how many, distinct, well-formed ids. `entry` is "SendMessageBatchRequestEntry".
aws::ApiResult<void> check_batch(const std::vector<std::string_view>& ids, std::string_view entry);
wire::BatchResultErrorEntry batch_error(std::string id, const aws::ApiError& error);

// --- sending (send.cpp)

struct Prepared {
  store::NewMessage message;
  std::string md5;
  std::string attributes_md5;  // "" where there is none
  std::string system_attributes_md5;
};
// Checks a message as SendMessage does and makes it ready for the port. `invalid` begins the refusal of what is too
// long: "are invalid", or "cannot be validated" in a batch.
aws::ApiResult<Prepared> prepare(const QueueRecord& queue, Outgoing message, std::string_view invalid);
std::string sequence_text(std::uint64_t sequence);  // twenty digits

// --- receiving (receive.cpp)

struct LeaseOptions {
  std::uint32_t max_messages = 1;
  std::uint64_t max_bytes = 16UL * 1024 * 1024;
  std::chrono::seconds visibility{30};
  SteadyTime deadline{};                          // waits for a first message until then; the reactor's time
  std::shared_ptr<const std::atomic<bool>> gone;  // whether nobody waits for the answer any more; may be null
};
struct LeasedMessage {
  store::Leased lease;
  Envelope envelope;
  std::size_t text_at = 0;
};
// What the queue gives, after dead letters have been sorted out. Empty where the wait ended without a message.
Awaitable<Result<std::vector<LeasedMessage>>> lease_messages(Core& core, QueuePtr queue, LeaseOptions options);
// With all system attributes.
Message to_message(const QueueRecord& queue, LeasedMessage leased);
// Of messages that lie in a queue, for people who look.
Result<LyingMessage> to_lying(const QueueRecord& queue, store::PeekedMessage peeked);

// --- deleting (delete.cpp)

// The handle of a message of this queue: ReceiptHandleIsInvalid for any other text.
aws::ApiResult<Receipt> check_receipt(const QueueRecord& queue, const std::optional<std::string>& handle);
// The ends of several leases at once, so that they share one write of the port.
Awaitable<std::vector<Result<void>>> extend_all(store::Queue& port, store::QueueName name,
                                                std::vector<store::LeaseToken> tokens,
                                                std::vector<std::chrono::microseconds> durations);

}  // namespace mayfly::sqs
