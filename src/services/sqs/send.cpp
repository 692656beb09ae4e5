// SendMessage and SendMessageBatch. A batch is one publish of the port.
#include <fmt/core.h>

#include <algorithm>

#include "base/crypto.h"
#include "base/encoding.h"
#include "base/ids.h"
#include "services/sqs/content.h"
#include "services/sqs/core.h"
#include "services/sqs/limits.h"

namespace mayfly::sqs {
namespace {

constexpr std::string_view kTraceHeader = "AWSTraceHeader";

// SenderId: the account of the root, and the name at the end of the ARN of everybody else.
std::string sender_of(const aws::Principal& principal) {
  if (principal.arn.empty() || principal.arn.ends_with(":root")) return principal.account;
  const auto at = principal.arn.find_last_of("/:");
  return principal.arn.substr(at + 1);
}

using SystemAttributes = std::vector<std::pair<std::string, wire::MessageSystemAttributeValue>>;

aws::ApiResult<std::string> trace_header_of(const std::optional<SystemAttributes>& attributes) {
  std::string out;
  if (!attributes) return out;
  for (const auto& [name, value] : *attributes) {
    if (name != kTraceHeader) {
      return refuse_value(
          fmt::format("The message system attribute '{}' is invalid. The set of supported message "
                      "system attributes is AWSTraceHeader.",
                      name));
    }
    if (value.DataType.value_or("") != "String" || !value.StringValue || value.StringValue->empty()) {
      return refuse_value("The message system attribute 'AWSTraceHeader' must be a non-empty String.");
    }
    out = *value.StringValue;
  }
  return out;
}

// The members that SendMessage and the entries of a batch share.
template <typename Request>
aws::ApiResult<Outgoing> outgoing(const aws::CallContext& context, Request& request) {
  Outgoing out;
  auto trace = trace_header_of(request.MessageSystemAttributes);
  if (!trace) return std::unexpected(std::move(trace.error()));
  out.trace_header = std::move(*trace);
  if (!request.MessageBody || request.MessageBody->empty()) return refuse_missing("MessageBody");
  out.body = std::move(*request.MessageBody);
  if (request.MessageAttributes) out.attributes = from_wire(std::move(*request.MessageAttributes));
  out.group_id = std::move(request.MessageGroupId);
  out.dedupe_id = std::move(request.MessageDeduplicationId);
  if (request.DelaySeconds) out.delay = std::chrono::seconds(*request.DelaySeconds);
  out.sender_id = sender_of(context.principal);
  return out;
}

aws::ApiResult<void> check_content(const QueueRecord& queue, const Outgoing& message, std::string_view invalid) {
  if (!has_only_allowed_characters(message.body)) {
    return refuse(wire::errors::InvalidMessageContents,
                  "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to "
                  "#xFFFD | #x10000 to #x10FFFF.");
  }
  if (auto good = check_attributes(message.attributes); !good) return good;
  const auto limit = static_cast<std::size_t>(queue.max_message_bytes);
  if (counted_bytes(message.body, message.attributes) > limit) {
    return refuse_value(
        fmt::format("One or more parameters {}. Reason: Message must be shorter than {} bytes.", invalid, limit));
  }
  return {};
}

aws::ApiResult<void> check_delay(const QueueRecord& queue, const Outgoing& message) {
  if (!message.delay) return {};
  const auto seconds = message.delay->count();
  if (seconds < 0 || seconds > kDelaySeconds) {
    return refuse_parameter(std::to_string(seconds), "DelaySeconds",
                            fmt::format("DelaySeconds must be >= 0 and <= {}.", kDelaySeconds));
  }
  if (queue.fifo && seconds != 0) {
    return refuse_parameter(std::to_string(seconds), "DelaySeconds",
                            "The request include parameter that is not valid for this queue type.");
  }
  return {};
}

aws::ApiResult<void> check_ids(const QueueRecord& queue, const Outgoing& message) {
  if (message.group_id && !is_group_id(*message.group_id)) {
    return refuse_parameter(
        *message.group_id, "MessageGroupId",
        "MessageGroupId can only include alphanumeric and punctuation characters. 1 to 128 in length.");
  }
  if (!queue.fifo) {
    if (!message.dedupe_id) return {};
    return refuse_parameter(*message.dedupe_id, "MessageDeduplicationId",
                            "The request includes a parameter that is not valid for this queue type.");
  }
  if (!message.group_id) return refuse_missing("MessageGroupId");
  if (message.dedupe_id && !is_group_id(*message.dedupe_id)) {
    return refuse_parameter(
        *message.dedupe_id, "MessageDeduplicationId",
        "MessageDeduplicationId can only include alphanumeric and punctuation characters. 1 to 128 in length.");
  }
  if (!message.dedupe_id && !queue.content_dedupe) {
    return refuse_value(
        "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly");
  }
  return {};
}

Awaitable<aws::ApiResult<wire::SendMessageResult>> send_message(Core& core, const aws::CallContext& context,
                                                                wire::SendMessageRequest request) {
  const auto queue = find_queue(core, context, request.QueueUrl);
  if (!queue) co_return std::unexpected(queue.error());
  auto message = outgoing(context, request);
  if (!message) co_return std::unexpected(std::move(message.error()));
  auto prepared = prepare(**queue, std::move(*message), "are invalid");
  if (!prepared) co_return std::unexpected(std::move(prepared.error()));
  std::vector<store::NewMessage> messages;
  messages.push_back(std::move(prepared->message));
  auto published = co_await core.port.publish((*queue)->port_name(), std::move(messages));
  if (!published) co_return refuse_store(published.error());
  wire::SendMessageResult out;
  out.MessageId = published->front().id;
  out.MD5OfMessageBody = std::move(prepared->md5);
  if (!prepared->attributes_md5.empty()) out.MD5OfMessageAttributes = std::move(prepared->attributes_md5);
  if (!prepared->system_attributes_md5.empty()) {
    out.MD5OfMessageSystemAttributes = std::move(prepared->system_attributes_md5);
  }
  if ((*queue)->fifo) out.SequenceNumber = sequence_text(published->front().sequence);
  co_return out;
}

// The whole batch counts, attributes included.
aws::ApiResult<void> check_batch_bytes(const std::vector<wire::SendMessageBatchRequestEntry>& entries) {
  std::size_t bytes = 0;
  for (const auto& entry : entries) {
    bytes += entry.MessageBody ? entry.MessageBody->size() : 0;
    if (!entry.MessageAttributes) continue;
    for (const auto& [name, value] : *entry.MessageAttributes) {
      bytes += name.size();
      for (const auto& text : {&value.DataType, &value.StringValue, &value.BinaryValue}) {
        if (*text) bytes += (*text)->size();
      }
    }
  }
  if (bytes <= kMessageBytes) return {};
  return refuse(
      wire::errors::BatchRequestTooLong,
      fmt::format("Batch requests cannot be longer than {} bytes. You have sent {} bytes.", kMessageBytes, bytes));
}

struct PreparedBatch {
  std::vector<store::NewMessage> messages;
  std::vector<wire::SendMessageBatchResultEntry> sent;  // beside messages; without what only the port knows
  std::vector<wire::BatchResultErrorEntry> failed;
};

aws::ApiResult<PreparedBatch> prepare_batch(const QueueRecord& queue, const aws::CallContext& context,
                                            std::vector<wire::SendMessageBatchRequestEntry> entries) {
  std::vector<std::string_view> ids;
  for (const auto& entry : entries) ids.emplace_back(entry.Id ? std::string_view(*entry.Id) : std::string_view());
  if (auto good = check_batch(ids, "SendMessageBatchRequestEntry"); !good) return std::unexpected(good.error());
  if (auto good = check_batch_bytes(entries); !good) return std::unexpected(good.error());
  // Recorded: one entry without a group refuses the batch, with a code of its own.
  if (queue.fifo && std::ranges::any_of(entries, [](const auto& entry) { return !entry.MessageGroupId; })) {
    return refuse_value("The request must contain the parameter MessageGroupId.");
  }
  PreparedBatch out;
  for (auto& entry : entries) {
    auto message = outgoing(context, entry);
    auto prepared = message ? prepare(queue, std::move(*message), "cannot be validated")
                            : aws::ApiResult<Prepared>(std::unexpected(std::move(message.error())));
    if (!prepared) {
      out.failed.push_back(batch_error(std::move(*entry.Id), prepared.error()));
      continue;
    }
    wire::SendMessageBatchResultEntry sent;
    sent.Id = std::move(entry.Id);
    sent.MD5OfMessageBody = std::move(prepared->md5);
    if (!prepared->attributes_md5.empty()) sent.MD5OfMessageAttributes = std::move(prepared->attributes_md5);
    if (!prepared->system_attributes_md5.empty()) {
      sent.MD5OfMessageSystemAttributes = std::move(prepared->system_attributes_md5);
    }
    out.sent.push_back(std::move(sent));
    out.messages.push_back(std::move(prepared->message));
  }
  return out;
}

Awaitable<aws::ApiResult<wire::SendMessageBatchResult>> send_batch(Core& core, const aws::CallContext& context,
                                                                   wire::SendMessageBatchRequest request) {
  const auto queue = find_queue(core, context, request.QueueUrl);
  if (!queue) co_return std::unexpected(queue.error());
  auto entries = std::move(request.Entries).value_or(std::vector<wire::SendMessageBatchRequestEntry>());
  auto batch = prepare_batch(**queue, context, std::move(entries));
  if (!batch) co_return std::unexpected(std::move(batch.error()));
  if (!batch->messages.empty()) {
    auto published = co_await core.port.publish((*queue)->port_name(), std::move(batch->messages));
    if (!published) co_return refuse_store(published.error());
    for (std::size_t i = 0; i < batch->sent.size(); ++i) {
      batch->sent[i].MessageId = std::move((*published)[i].id);
      if ((*queue)->fifo) batch->sent[i].SequenceNumber = sequence_text((*published)[i].sequence);
    }
  }
  wire::SendMessageBatchResult out;
  if (!batch->sent.empty()) out.Successful = std::move(batch->sent);
  if (!batch->failed.empty()) out.Failed = std::move(batch->failed);
  co_return out;
}

}  // namespace

std::string sequence_text(std::uint64_t sequence) { return fmt::format("{:020}", sequence); }

aws::ApiResult<Prepared> prepare(const QueueRecord& queue, Outgoing message, std::string_view invalid) {
  if (message.body.empty()) return refuse_missing("MessageBody");
  if (auto good = check_content(queue, message, invalid); !good) return std::unexpected(good.error());
  if (auto good = check_delay(queue, message); !good) return std::unexpected(good.error());
  if (auto good = check_ids(queue, message); !good) return std::unexpected(good.error());
  Prepared out;
  Envelope envelope;
  envelope.md5 = md5(message.body);
  if (message.sender_id.empty()) message.sender_id = queue.place.account;
  envelope.sender_id = std::move(message.sender_id);
  if (!message.trace_header.empty()) {
    std::vector<MessageAttribute> system;
    system.push_back({.name = std::string(kTraceHeader), .data_type = "String", .value = message.trace_header});
    out.system_attributes_md5 = attributes_md5(std::move(system));
    envelope.trace_header = std::move(message.trace_header);
  }
  out.md5 = hex_encode(envelope.md5);
  out.attributes_md5 = attributes_md5(message.attributes);
  envelope.attributes = std::move(message.attributes);
  std::ranges::sort(envelope.attributes, {}, &MessageAttribute::name);
  out.message.id = message.id.empty() ? uuid4() : std::move(message.id);
  out.message.group = std::move(message.group_id).value_or("");
  if (queue.fifo) {
    out.message.dedupe_id = message.dedupe_id ? std::move(*message.dedupe_id) : hex_encode(sha256(message.body));
  }
  const auto delay = message.delay && !queue.fifo ? *message.delay : std::chrono::seconds(queue.delay);
  out.message.delay = delay;
  out.message.body = seal(envelope, message.body);
  return out;
}

void bind_send(aws::Service& service, Core& core) {
  bind<wire::SendMessage>(service, core, send_message);
  bind<wire::SendMessageBatch>(service, core, send_batch);
}

}  // namespace mayfly::sqs
