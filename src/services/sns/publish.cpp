// Publishing: messages checked against their topic, and given to every subscriber that they pass.
#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "base/crypto.h"
#include "base/ids.h"
#include "services/sns/core.h"
#include "services/sns/filter.h"

namespace mayfly::sns {
namespace {

constexpr std::size_t kMostEntries = 10;
constexpr std::size_t kLongestGroup = 128;

// Letters, digits and punctuation.
bool is_fifo_id(std::string_view text) {
  return !text.empty() && text.size() <= kLongestGroup &&
         std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7F; });
}

aws::ApiResult<void> check_for_topic(const TopicRecord& topic, Message& message) {
  if (message.group_id && !is_fifo_id(*message.group_id)) {
    return refuse_parameter(
        "MessageGroupId Reason: MessageGroupId can only include alphanumeric and punctuation characters. 1 to 128 in "
        "length");
  }
  if (!topic.fifo()) {
    if (message.dedupe_id) {
      return refuse_parameter(
          "MessageDeduplicationId Reason: The request includes MessageDeduplicationId parameter that is not valid for "
          "this topic type");
    }
    return {};
  }
  if (!message.group_id) return refuse_parameter("The MessageGroupId parameter is required for FIFO topics");
  if (message.dedupe_id) {
    if (is_fifo_id(*message.dedupe_id)) return {};
    return refuse_parameter(
        "MessageDeduplicationId Reason: MessageDeduplicationId can only include alphanumeric and punctuation "
        "characters. 1 to 128 in length");
  }
  if (topic.attribute("ContentBasedDeduplication") != "true") {
    return refuse_parameter(
        "The topic should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided "
        "explicitly");
  }
  message.dedupe_id = hex_encode(sha256(message.text));
  return {};
}

// Signatures of one message, by what is signed: most messages have one body for everybody.
class Signatures {
 public:
  Signatures(const Core& core, const TopicRecord& topic, const Message& message)
      : signer_(core.signer()), topic_(topic), message_(message) {}
  [[nodiscard]] const Signer& signer() const { return signer_; }
  const Signed& of(const std::string& body) {
    const auto found = made_.find(body);
    if (found != made_.end()) return found->second;
    return made_.emplace(body, sign_notification(signer_, topic_, message_, body)).first->second;
  }

 private:
  Signer signer_;
  const TopicRecord& topic_;
  const Message& message_;
  std::map<std::string, Signed> made_;
};

delivery::Request request_for(const TopicRecord& topic, const SubscriptionRecord& subscription, const Message& message,
                              Signatures& signatures) {
  const auto& body = message.body_for(subscription.protocol);
  delivery::Request request;
  if (subscription.protocol == "http" || subscription.protocol == "https") {
    auto text =
        subscription.raw() ? body : notification(signatures.signer(), signatures.of(body), subscription, message, body);
    request = endpoint_request(subscription, topic, "Notification", message.id, std::move(text));
  } else {
    request.target_arn = subscription.endpoint;
    request.event.id = uuid4();
    request.event.source_arn = topic.arn();
    if (subscription.protocol == "lambda") {
      request.event.payload = lambda_event(signatures.signer(), signatures.of(body), subscription, message, body);
    } else if (subscription.raw()) {
      request.event.payload = body;
      request.event.message_attributes = queue_attributes(message);
    } else {
      // FIFO topics' messages are not signed.
      static const Signed kNone;
      const auto& signature = topic.fifo() ? kNone : signatures.of(body);
      request.event.payload = notification(signatures.signer(), signature, subscription, message, body);
    }
    if (message.group_id) request.event.group_id = *message.group_id;
    if (message.dedupe_id && subscription.endpoint.ends_with(".fifo")) request.event.dedupe_id = *message.dedupe_id;
  }
  request.event.trace_id = message.trace_id;
  request.policy = delivery_policy(subscription, topic);
  return request;
}

// What every subscriber that the message passes is to get, in the order of their ids.
void collect(const Core& core, const TopicRecord& topic, const Message& message,
             std::vector<delivery::Request>& requests) {
  Signatures signatures(core, topic, message);
  for (const auto& subscription : core.subscriptions.with_prefix(subscriptions_prefix(topic.place, topic.name))) {
    if (subscription->pending) continue;
    if (subscription->filter && !passes(*subscription->filter, subscription->filters_body(), message,
                                        message.body_for(subscription->protocol))) {
      continue;
    }
    requests.push_back(request_for(topic, *subscription, message, signatures));
  }
}

// Given to each queue before the answer, one after the other: the order of a group is that of its publishing.
Awaitable<aws::ApiResult<void>> deliver_in_order(Core& core, std::vector<delivery::Request> requests) {
  for (auto& request : requests) {
    auto attempt = co_await core.deliver(request.target_arn, request.event);
    if (attempt.kind == delivery::Attempt::Kind::kDone) continue;
    if (attempt.kind == delivery::Attempt::Kind::kRefused && !request.policy.dead_letter_arn.empty()) {
      attempt = co_await core.deliver(request.policy.dead_letter_arn, request.event);
      if (attempt.kind == delivery::Attempt::Kind::kDone) continue;
    }
    auto submitted = co_await core.submit_one(std::move(request));
    if (!submitted) co_return submitted;
  }
  co_return aws::ApiResult<void>();
}

std::string dedupe_key(const TopicRecord& topic, const Message& message) {
  const bool by_group = topic.attribute("FifoThroughputScope") == "MessageGroup";
  return fmt::format("{}\n{}\n{}", topic.key(), by_group ? *message.group_id : "", *message.dedupe_id);
}

Awaitable<aws::ApiResult<PublishedMessage>> publish_fifo(Core& core, TopicPtr topic, Message message) {
  const auto key = dedupe_key(*topic, message);
  if (auto seen = co_await core.deduplication.claim(key)) {
    co_return PublishedMessage{.id = std::move(seen->message_id), .sequence = std::move(seen->sequence)};
  }
  message.sequence = core.next_sequence();
  std::vector<delivery::Request> requests;
  collect(core, *topic, message, requests);
  auto delivered = co_await deliver_in_order(core, std::move(requests));
  if (!delivered) {
    core.deduplication.abandon(key);
    co_return std::unexpected(std::move(delivered.error()));
  }
  Deduplication::Seen seen{.message_id = message.id, .sequence = message.sequence};
  auto remembered = co_await core.deduplication.remember(key, std::move(seen));
  if (!remembered) co_return refuse_internal(remembered.error());
  co_return PublishedMessage{.id = std::move(message.id), .sequence = std::move(message.sequence)};
}

aws::ApiResult<TopicPtr> topic_of(Core& core, const aws::CallContext& context, const wire::PublishInput& request) {
  if (request.PhoneNumber) {
    const auto& number = *request.PhoneNumber;
    const bool valid = number.size() > 1 && number.front() == '+' &&
                       std::ranges::all_of(number.substr(1), [](char c) { return c >= '0' && c <= '9'; });
    if (valid) return refuse_unsupported("PhoneNumber");
    return refuse_parameter(fmt::format("PhoneNumber Reason: {} is not valid to publish to", number));
  }
  if (request.TopicArn) return find_topic(core, context, request.TopicArn, "TopicArn");
  if (!request.TargetArn) {
    return refuse_parameter("TopicArn or TargetArn Reason: no value for required parameter");
  }
  if (request.TargetArn->contains(":endpoint/")) {
    return refuse_parameter("TargetArn Reason: No endpoint found for the target arn specified");
  }
  return find_topic(core, context, request.TargetArn, "TargetArn");
}

Awaitable<aws::ApiResult<wire::PublishResponse>> publish(Core& core, const aws::CallContext& context,
                                                         wire::PublishInput request) {
  auto topic = topic_of(core, context, request);
  if (!topic) co_return std::unexpected(std::move(topic.error()));
  auto message = read_message(std::move(request.Message).value_or(""), std::move(request.Subject),
                              request.MessageStructure, request.MessageAttributes);
  if (!message) co_return std::unexpected(std::move(message.error()));
  message->group_id = std::move(request.MessageGroupId);
  message->dedupe_id = std::move(request.MessageDeduplicationId);
  auto published = co_await publish_to(core, std::move(*topic), std::move(*message));
  if (!published) co_return std::unexpected(std::move(published.error()));
  wire::PublishResponse out;
  out.MessageId = std::move(published->id);
  if (!published->sequence.empty()) out.SequenceNumber = std::move(published->sequence);
  co_return out;
}

bool is_entry_id(std::string_view id) {
  constexpr std::size_t kLongestId = 80;
  return !id.empty() && id.size() <= kLongestId && std::ranges::all_of(id, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
  });
}

aws::ApiResult<void> check_entries(const std::vector<wire::PublishBatchRequestEntry>& entries) {
  if (entries.empty()) {
    return refuse(wire::errors::EmptyBatchRequestException, "The batch request doesn't contain any entries.");
  }
  if (entries.size() > kMostEntries) {
    return refuse(wire::errors::TooManyEntriesInBatchRequestException,
                  "The batch request contains more entries than permissible.");
  }
  std::set<std::string_view> ids;
  for (const auto& entry : entries) {
    if (!is_entry_id(*entry.Id)) {
      return refuse(wire::errors::InvalidBatchEntryIdException,
                    "The Id of a batch entry in a batch request doesn't abide by the specification.");
    }
    if (!ids.insert(*entry.Id).second) {
      return refuse(wire::errors::BatchEntryIdsNotDistinctException,
                    "Two or more batch entries in the request have the same Id.");
    }
  }
  return {};
}

aws::ApiResult<std::vector<Message>> read_entries(const TopicRecord& topic,
                                                  std::vector<wire::PublishBatchRequestEntry>& entries,
                                                  SystemTime now) {
  std::vector<Message> out;
  std::size_t bytes = 0;
  for (auto& entry : entries) {
    auto message = read_message(std::move(entry.Message).value_or(""), std::move(entry.Subject), entry.MessageStructure,
                                entry.MessageAttributes);
    if (!message) return std::unexpected(std::move(message.error()));
    message->group_id = std::move(entry.MessageGroupId);
    message->dedupe_id = std::move(entry.MessageDeduplicationId);
    message->id = uuid4();
    message->published = now;
    if (auto good = check_for_topic(topic, *message); !good) return std::unexpected(std::move(good.error()));
    bytes += size_of(*message);
    out.push_back(std::move(*message));
  }
  if (bytes > kMostMessageBytes) {
    return refuse(wire::errors::BatchRequestTooLongException,
                  "The length of all the batch messages put together is more than the limit.");
  }
  return out;
}

Awaitable<aws::ApiResult<wire::PublishBatchResponse>> publish_batch(Core& core, const aws::CallContext& context,
                                                                    wire::PublishBatchInput request) {
  auto topic = find_topic(core, context, request.TopicArn, "TopicArn");
  if (!topic) co_return std::unexpected(std::move(topic.error()));
  auto entries = std::move(request.PublishBatchRequestEntries).value_or(std::vector<wire::PublishBatchRequestEntry>());
  if (auto good = check_entries(entries); !good) co_return std::unexpected(std::move(good.error()));
  auto messages = read_entries(**topic, entries, core.clock.now());
  if (!messages) co_return std::unexpected(std::move(messages.error()));
  wire::PublishBatchResponse out;
  out.Failed.emplace();
  out.Successful.emplace();
  std::vector<delivery::Request> requests;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    auto& message = (*messages)[i];
    PublishedMessage published{.id = message.id, .sequence = {}};
    if ((*topic)->fifo()) {
      auto done = co_await publish_fifo(core, *topic, std::move(message));
      if (!done) co_return std::unexpected(std::move(done.error()));
      published = std::move(*done);
    } else {
      collect(core, **topic, message, requests);
    }
    auto& entry = out.Successful->emplace_back();
    entry.Id = entries[i].Id;
    entry.MessageId = std::move(published.id);
    if (!published.sequence.empty()) entry.SequenceNumber = std::move(published.sequence);
  }
  auto submitted = co_await core.submit_all(std::move(requests));
  if (!submitted) co_return std::unexpected(std::move(submitted.error()));
  co_return out;
}

}  // namespace

delivery::Policy delivery_policy(const SubscriptionRecord& subscription, const TopicRecord& topic) {
  delivery::Policy policy;
  policy.dead_letter_form = delivery::DeadLetterForm::kSubscription;
  const auto redrive = parse_json(subscription.attribute("RedrivePolicy"));
  if (redrive) policy.dead_letter_arn = get_string(*redrive, "deadLetterTargetArn");
  if (subscription.protocol == "sqs" || subscription.protocol == "lambda") {
    // What the service documents for targets of its own: 100,015 attempts in 23 days.
    policy.max_attempts = 100'015;
    policy.max_age = std::chrono::days(23);
    policy.first_back_off = std::chrono::seconds(1);
    policy.max_back_off = std::chrono::seconds(20);
    return policy;
  }
  policy.waits = http_policy(subscription, topic).waits;
  policy.max_attempts = static_cast<std::uint32_t>(1 + policy.waits.size());
  policy.max_age = delivery::kLongestAge;
  policy.jitter = false;
  return policy;
}

Awaitable<aws::ApiResult<PublishedMessage>> publish_to(Core& core, TopicPtr topic, Message message) {
  message.id = uuid4();
  message.published = core.clock.now();
  if (auto good = check_for_topic(*topic, message); !good) co_return std::unexpected(std::move(good.error()));
  if (topic->fifo()) co_return co_await publish_fifo(core, std::move(topic), std::move(message));
  std::vector<delivery::Request> requests;
  collect(core, *topic, message, requests);
  auto submitted = co_await core.submit_all(std::move(requests));
  if (!submitted) co_return std::unexpected(std::move(submitted.error()));
  co_return PublishedMessage{.id = std::move(message.id), .sequence = {}};
}

void bind_publish(aws::Service& service, Core& core) {
  bind<wire::Publish>(service, core, publish);
  bind<wire::PublishBatch>(service, core, publish_batch);
}

}  // namespace mayfly::sns
