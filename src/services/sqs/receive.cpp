// ReceiveMessage, and the way of what has been received too often to the dead-letter queue.
#include <fmt/core.h>

#include <algorithm>

#include "base/encoding.h"
#include "base/log.h"
#include "base/time_format.h"
#include "services/sqs/content.h"
#include "services/sqs/core.h"
#include "services/sqs/limits.h"

namespace mayfly::sqs {
namespace {

constexpr std::chrono::seconds kStep{1};  // how soon a long poll sees that the server stops

constexpr std::string_view kSystemAttributes[] = {"SenderId",
                                                  "SentTimestamp",
                                                  "ApproximateReceiveCount",
                                                  "ApproximateFirstReceiveTimestamp",
                                                  "SequenceNumber",
                                                  "MessageDeduplicationId",
                                                  "MessageGroupId",
                                                  "AWSTraceHeader",
                                                  "DeadLetterQueueSourceArn"};

std::string millis(SystemTime time) {
  return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count());
}

// The queue for what this one gave out too often; null where nothing is to be sorted out.
QueuePtr dead_letters_of(const Core& core, const QueueRecord& queue) {
  if (queue.dead_letter_arn.empty()) return nullptr;
  auto target = core.tables.find_arn(queue.dead_letter_arn);
  // One that has been deleted, or allows it no more: messages go on being given out.
  if (!target || target->fifo != queue.fifo || !allows_redrive(*target, queue.arn())) return nullptr;
  return target;
}

store::NewMessage dead_letter(const QueueRecord& queue, LeasedMessage& message) {
  auto& lease = message.lease;
  auto& envelope = message.envelope;
  envelope.receives_before += lease.receive_count - 1;  // this lease is not given out
  envelope.source_arn = queue.arn();
  if (envelope.dedupe_id.empty()) envelope.dedupe_id = lease.dedupe_id;
  store::NewMessage out;
  out.id = lease.id;
  out.body = seal(envelope, std::string_view(lease.body).substr(message.text_at));
  out.group = lease.group;
  // A standard queue's message keeps its age; a FIFO queue's begins anew (documented).
  if (!queue.fifo) out.sent_at = lease.sent_at;
  return out;
}

// First there, then gone here: a crash between the two repeats the first, which changes nothing.
Awaitable<void> bury(Core& core, QueuePtr queue, QueuePtr target, std::vector<LeasedMessage> dead) {
  std::vector<store::NewMessage> messages;
  std::vector<store::LeaseToken> tokens;
  for (auto& message : dead) {
    messages.push_back(dead_letter(*queue, message));
    tokens.push_back(std::move(message.lease.token));
  }
  auto published = co_await core.port.publish(target->port_name(), std::move(messages));
  if (!published) {
    // They stay leased and are sorted out again once that has ended.
    log(Level::kWarn, "dead letters could not be moved; they are tried again",
        {{"queue", queue->arn()}, {"error", published.error().message}});
    co_return;
  }
  auto ended = co_await core.port.acknowledge_all(queue->port_name(), std::move(tokens));
  for (const auto& one : ended) {
    if (!one) log(Level::kWarn, "a dead letter could not be removed", {{"error", one.error().message}});
  }
}

// What came for a client that had gone: visible again at once.
Awaitable<void> give_back(Core& core, QueuePtr queue, std::vector<LeasedMessage> messages) {
  std::vector<store::LeaseToken> tokens;
  for (auto& message : messages) tokens.push_back(std::move(message.lease.token));
  std::vector<std::chrono::microseconds> durations(tokens.size());
  auto ended = co_await extend_all(core.port, queue->port_name(), std::move(tokens), std::move(durations));
  for (const auto& one : ended) {
    if (!one) log(Level::kDebug, "a message that nobody waited for is visible again later", {});
  }
}

struct Sorted {
  std::vector<LeasedMessage> good;
  std::vector<LeasedMessage> dead;
};

Sorted sort_out(const QueueRecord& queue, bool buries, std::vector<store::Leased> leased) {
  Sorted out;
  for (auto& lease : leased) {
    auto opened = open(lease.body);
    if (!opened) {
      log(Level::kError, "a stored message cannot be read", {{"queue", queue.arn()}, {"message", lease.id}});
      continue;
    }
    const bool dead = buries && lease.receive_count > static_cast<std::uint32_t>(queue.max_receive_count);
    LeasedMessage message;
    message.lease = std::move(lease);
    message.envelope = std::move(opened->envelope);
    message.text_at = opened->text_at;
    (dead ? out.dead : out.good).push_back(std::move(message));
  }
  return out;
}

std::string receive_count_text(const LeasedMessage& message) {
  return std::to_string(message.envelope.receives_before + message.lease.receive_count);
}

// One system attribute, or nullopt where the message has none of that name.
std::optional<std::string> system_attribute(const QueueRecord& queue, const LeasedMessage& message,
                                            std::string_view name) {
  const auto& [lease, envelope, text_at] = message;
  const auto unless_empty = [](const std::string& text) {
    return text.empty() ? std::nullopt : std::optional<std::string>(text);
  };
  if (name == "SenderId") return unless_empty(envelope.sender_id);
  if (name == "SentTimestamp") return millis(lease.sent_at);
  if (name == "ApproximateReceiveCount") return receive_count_text(message);
  if (name == "ApproximateFirstReceiveTimestamp") return millis(lease.first_leased_at);
  if (name == "MessageGroupId") return unless_empty(lease.group);
  if (name == "AWSTraceHeader") return unless_empty(envelope.trace_header);
  if (name == "DeadLetterQueueSourceArn") return unless_empty(envelope.source_arn);
  if (!queue.fifo) return std::nullopt;
  if (name == "SequenceNumber") return sequence_text(lease.sequence);
  if (name == "MessageDeduplicationId") {
    return unless_empty(envelope.dedupe_id.empty() ? lease.dedupe_id : envelope.dedupe_id);
  }
  return std::nullopt;
}

// What a request asks to see of each message.
struct Shown {
  std::vector<std::string_view> system;
  bool all_attributes = false;
  std::vector<std::string> names;     // of message attributes
  std::vector<std::string> prefixes;  // "foo.*" without the end
};

aws::ApiResult<Shown> shown_of(const wire::ReceiveMessageRequest& request) {
  Shown out;
  bool all = false;
  for (const auto* asked : {&request.AttributeNames, &request.MessageSystemAttributeNames}) {
    if (!*asked) continue;
    for (const auto& name : **asked) {
      const auto known = std::ranges::find(kSystemAttributes, name);
      const bool queue_attribute = std::ranges::find(attribute_names(), name) != attribute_names().end();
      if (name != "All" && known == std::end(kSystemAttributes) && !queue_attribute) {
        return refuse(wire::errors::InvalidAttributeName, fmt::format("Unknown Attribute {}.", name));
      }
      all = all || name == "All";
      if (known != std::end(kSystemAttributes) && std::ranges::find(out.system, *known) == out.system.end()) {
        out.system.push_back(*known);
      }
    }
  }
  if (all) out.system.assign(std::begin(kSystemAttributes), std::end(kSystemAttributes));
  for (const auto& name : request.MessageAttributeNames.value_or(std::vector<std::string>())) {
    // Recorded: "All", "*" and ".*" are all; "Hel.*" is a prefix; what is no name matches nothing.
    if (name == "All" || name == "*" || name == ".*") {
      out.all_attributes = true;
    } else if (name.ends_with(".*")) {
      out.prefixes.push_back(name.substr(0, name.size() - 2));
    } else {
      out.names.push_back(name);
    }
  }
  return out;
}

bool is_shown(const Shown& shown, const std::string& name) {
  return shown.all_attributes || std::ranges::find(shown.names, name) != shown.names.end() ||
         std::ranges::any_of(shown.prefixes, [&](const std::string& prefix) { return name.starts_with(prefix); });
}

std::string receipt_of(const QueueRecord& queue, store::LeaseToken token, SystemTime now) {
  Receipt receipt;
  receipt.generation = queue.generation;
  receipt.received = static_cast<std::uint32_t>(epoch_seconds(now));
  receipt.token = std::move(token);
  return receipt_text(receipt);
}

wire::Message shown_message(const Shown& shown, Message message) {
  wire::Message out;
  out.MessageId = std::move(message.message_id);
  out.ReceiptHandle = std::move(message.receipt_handle);
  out.MD5OfBody = std::move(message.md5_of_body);
  out.Body = std::move(message.body);
  std::erase_if(message.attributes,
                [&](const auto& item) { return std::ranges::find(shown.system, item.first) == shown.system.end(); });
  if (!message.attributes.empty()) out.Attributes = std::move(message.attributes);
  std::erase_if(message.message_attributes, [&](const auto& attribute) { return !is_shown(shown, attribute.name); });
  if (!message.message_attributes.empty()) {
    // Of what is shown, not of what was sent: clients compute it over what they see.
    out.MD5OfMessageAttributes = attributes_md5(message.message_attributes);
    out.MessageAttributes = to_wire(std::move(message.message_attributes));
  }
  return out;
}

struct Checked {
  LeaseOptions options;
  bool long_poll = false;
};

aws::ApiResult<Checked> check_receive(const aws::CallContext& context, const QueueRecord& queue,
                                      const wire::ReceiveMessageRequest& request) {
  const auto most = request.MaxNumberOfMessages.value_or(1);
  if (most < 1 || most > kReceivedMessages) {
    return refuse_parameter(std::to_string(most), "MaxNumberOfMessages",
                            fmt::format("Must be between 1 and {}, if provided.", kReceivedMessages));
  }
  const auto wait = request.WaitTimeSeconds.value_or(queue.wait);
  if (wait < 0 || wait > kWaitSeconds) {
    return refuse_parameter(std::to_string(wait), "WaitTimeSeconds",
                            fmt::format("Must be >= 0 and <= {}, if provided.", kWaitSeconds));
  }
  const auto visibility = request.VisibilityTimeout.value_or(queue.visibility_timeout);
  if (visibility < 0 || visibility > kVisibilitySeconds) {
    return refuse_parameter(std::to_string(visibility), "VisibilityTimeout",
                            fmt::format("Must be >= 0 and <= {}, if provided.", kVisibilitySeconds));
  }
  if (request.ReceiveRequestAttemptId) {
    if (!queue.fifo) {
      return refuse_parameter(*request.ReceiveRequestAttemptId, "ReceiveRequestAttemptId",
                              "The request includes a parameter that is not valid for this queue type.");
    }
    if (!is_group_id(*request.ReceiveRequestAttemptId)) {
      return refuse_parameter(*request.ReceiveRequestAttemptId, "ReceiveRequestAttemptId",
                              "ReceiveRequestAttemptId can only include alphanumeric and punctuation characters. 1 to "
                              "128 in length.");
    }
  }
  Checked out;
  out.options.max_messages = static_cast<std::uint32_t>(most);
  out.options.visibility = std::chrono::seconds(visibility);
  out.options.deadline = Reactor::current().steady_now() + std::chrono::seconds(wait);
  out.long_poll = wait > 0;
  if (out.long_poll && context.response != nullptr) {
    auto gone = std::make_shared<std::atomic<bool>>(false);
    context.response->on_peer_closed([gone] { *gone = true; });
    out.options.gone = std::move(gone);
  }
  return out;
}

// The answer of an earlier try, where all of its messages are still held by it.
Awaitable<Attempts::Answer> repeated(Core& core, QueuePtr queue, std::string attempt, std::chrono::seconds visibility) {
  auto answer = core.attempts.find(queue->generation, attempt);
  if (!answer) co_return nullptr;
  std::vector<store::LeaseToken> tokens;
  for (const auto& message : *answer) {
    if (auto receipt = parse_receipt(message.receipt_handle)) tokens.push_back(std::move(receipt->token));
  }
  std::vector<std::chrono::microseconds> durations(tokens.size(), visibility);
  auto extended = co_await extend_all(core.port, queue->port_name(), std::move(tokens), std::move(durations));
  if (std::ranges::all_of(extended, [](const auto& one) { return one.has_value(); })) co_return answer;
  core.attempts.forget(queue->generation, attempt);
  co_return nullptr;
}

Awaitable<aws::ApiResult<wire::ReceiveMessageResult>> receive_message(Core& core, const aws::CallContext& context,
                                                                      wire::ReceiveMessageRequest request) {
  auto found = find_queue(core, context, request.QueueUrl);
  if (!found) co_return std::unexpected(std::move(found.error()));
  QueuePtr queue = std::move(*found);
  const auto checked = check_receive(context, *queue, request);
  if (!checked) co_return std::unexpected(checked.error());
  const auto shown = shown_of(request);
  if (!shown) co_return std::unexpected(shown.error());
  const auto attempt = request.ReceiveRequestAttemptId.value_or("");
  std::vector<Message> messages;
  if (!attempt.empty()) {
    const auto before = co_await repeated(core, queue, attempt, checked->options.visibility);
    if (before) messages = *before;
  }
  if (messages.empty()) {
    auto leased = co_await lease_messages(core, queue, checked->options);
    if (!leased) {
      // A long poll that finds too many messages in flight ends without one (documented).
      const bool full = leased.error().code == ErrorCode::kThrottled;
      if (full && (checked->long_poll || queue->fifo)) co_return wire::ReceiveMessageResult();
      if (full) co_return refuse(wire::errors::OverLimit, "Too many messages are in flight.");
      co_return refuse_store(leased.error());
    }
    const auto now = core.clock.now();
    for (auto& message : *leased) {
      auto handle = receipt_of(*queue, message.lease.token, now);
      messages.push_back(to_message(*queue, std::move(message)));
      messages.back().receipt_handle = std::move(handle);
    }
    if (!attempt.empty() && !messages.empty()) {
      core.attempts.remember(queue->generation, attempt, std::make_shared<const std::vector<Message>>(messages));
    }
  }
  wire::ReceiveMessageResult out;
  if (messages.empty()) co_return out;
  std::vector<wire::Message> list;
  list.reserve(messages.size());
  for (auto& message : messages) list.push_back(shown_message(*shown, std::move(message)));
  out.Messages = std::move(list);
  co_return out;
}

}  // namespace

Awaitable<Result<std::vector<LeasedMessage>>> lease_messages(Core& core, QueuePtr queue, LeaseOptions options) {
  for (;;) {
    store::LeaseRequest request;
    request.max_messages = options.max_messages;
    request.max_bytes = options.max_bytes;
    request.duration = options.visibility;
    const auto now = Reactor::current().steady_now();
    request.wait_until = core.interrupted ? now : std::min(options.deadline, now + kStep);
    auto leased = co_await core.port.lease(queue->port_name(), request);
    if (!leased && leased.error().code == ErrorCode::kThrottled && request.wait_until > now) {
      // Too many in flight: waited out like an empty queue, so that a client that polls does not spin.
      co_await Reactor::current().sleep_until(request.wait_until);
      continue;
    }
    if (!leased) co_return std::unexpected(std::move(leased.error()));
    const bool none = leased->empty();
    const auto target = dead_letters_of(core, *queue);
    auto sorted = sort_out(*queue, target != nullptr, std::move(*leased));
    if (!sorted.dead.empty()) co_await bury(core, queue, target, std::move(sorted.dead));
    const bool gone = options.gone && *options.gone;
    if (gone && !sorted.good.empty()) {
      co_await give_back(core, queue, std::move(sorted.good));
    } else if (!sorted.good.empty()) {
      co_return std::move(sorted.good);
    }
    // Where all were dead the next ones are asked for at once.
    if (gone || (none && (Reactor::current().steady_now() >= options.deadline || core.interrupted))) {
      co_return std::vector<LeasedMessage>();
    }
  }
}

Message to_message(const QueueRecord& queue, LeasedMessage leased) {
  Message out;
  for (const auto name : kSystemAttributes) {
    if (auto value = system_attribute(queue, leased, name)) out.attributes.emplace_back(name, std::move(*value));
  }
  out.message_id = std::move(leased.lease.id);
  out.md5_of_body = hex_encode(leased.envelope.md5);
  out.md5_of_message_attributes = attributes_md5(leased.envelope.attributes);
  out.message_attributes = std::move(leased.envelope.attributes);
  out.body = std::move(leased.lease.body);
  out.body.erase(0, leased.text_at);
  return out;
}

Result<LyingMessage> to_lying(const QueueRecord& queue, store::PeekedMessage peeked) {
  auto opened = open(peeked.body);
  if (!opened) return std::unexpected(std::move(opened.error()));
  LyingMessage out;
  out.sequence = peeked.sequence;
  out.receive_count = peeked.receive_count;
  out.available_at = peeked.available_at;
  out.in_flight = peeked.leased;
  LeasedMessage message;
  message.lease.id = std::move(peeked.id);
  message.lease.body = std::move(peeked.body);
  message.lease.group = std::move(peeked.group);
  message.lease.sequence = peeked.sequence;
  message.lease.receive_count = peeked.receive_count;
  message.lease.sent_at = peeked.sent_at;
  message.envelope = std::move(opened->envelope);
  message.text_at = opened->text_at;
  out.message = to_message(queue, std::move(message));
  std::erase_if(out.message.attributes, [](const auto& item) {
    return item.first == "ApproximateFirstReceiveTimestamp";  // a peek does not tell
  });
  return out;
}

void bind_receive(aws::Service& service, Core& core) { bind<wire::ReceiveMessage>(service, core, receive_message); }

}  // namespace mayfly::sqs
