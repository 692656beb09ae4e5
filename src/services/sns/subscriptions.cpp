// Subscriptions: made, confirmed, listed, ended.
#include <fmt/core.h>

#include <algorithm>

#include "base/crypto.h"
#include "base/ids.h"
#include "services/sns/core.h"

namespace mayfly::sns {
namespace {

constexpr std::chrono::days kConfirmWithin{3};
constexpr std::size_t kTokenBytes = 128;

bool is_http(std::string_view protocol) { return protocol == "http" || protocol == "https"; }

bool is_phone_number(std::string_view text) {
  constexpr std::size_t kLongest = 16;
  return text.size() > 1 && text.size() <= kLongest && text.front() == '+' &&
         std::ranges::all_of(text.substr(1), [](char c) { return c >= '0' && c <= '9'; });
}

aws::ApiResult<void> check_queue(std::string_view endpoint, const TopicRecord& topic) {
  const auto arn = delivery::parse_arn(endpoint);
  if (!arn || arn->service != "sqs") return refuse_parameter("SQS endpoint ARN");
  if (arn->resource.ends_with(".fifo") && !topic.fifo()) {
    return refuse_parameter(
        "Invalid parameter: Endpoint Reason: FIFO SQS Queues can not be subscribed to standard SNS topics");
  }
  return {};
}

// That an endpoint is one of its protocol. Protocols that are not carried out pass here and are refused later, so that
// what is wrong with a request otherwise is said first, as the service says it.
aws::ApiResult<void> check_endpoint(std::string_view protocol, std::string_view endpoint, const TopicRecord& topic) {
  if (protocol == "sqs") return check_queue(endpoint, topic);
  if (protocol == "lambda") {
    const auto arn = delivery::parse_arn(endpoint);
    if (!arn || arn->service != "lambda") return refuse_parameter("Lambda endpoint ARN");
  } else if (is_http(protocol)) {
    if (!endpoint.starts_with(fmt::format("{}://", protocol))) {
      return refuse_parameter("Endpoint must match the specified protocol");
    }
  } else if (protocol == "sms") {
    if (!is_phone_number(endpoint)) {
      return refuse(wire::errors::InvalidParameterException, fmt::format("Invalid SMS endpoint: {}", endpoint));
    }
  } else if (protocol != "email" && protocol != "email-json" && protocol != "application" && protocol != "firehose") {
    return refuse_parameter(fmt::format("Amazon SNS does not support this protocol string: {}", protocol));
  }
  if (topic.fifo()) {
    return refuse_parameter(
        fmt::format("Invalid parameter: Protocol Reason: FIFO topics do not support the {} protocol", protocol));
  }
  return {};
}

bool is_carried_out(std::string_view protocol) {
  return protocol == "sqs" || protocol == "lambda" || is_http(protocol);
}

// The subscription of an endpoint that is there already: the oldest id where two were made at once.
SubscriptionPtr present(const Core& core, const TopicRecord& topic, std::string_view protocol,
                        std::string_view endpoint) {
  for (auto& subscription : core.subscriptions.with_prefix(subscriptions_prefix(topic.place, topic.name))) {
    if (subscription->protocol == protocol && subscription->endpoint == endpoint) return subscription;
  }
  return nullptr;
}

std::string_view default_of(std::string_view attribute) {
  if (attribute == "RawMessageDelivery") return "false";
  return attribute == "FilterPolicyScope" ? "MessageAttributes" : "";
}

bool has_attributes(const SubscriptionRecord& subscription, const wire::SubscribeInput& request,
                    const SubscriptionRecord& wanted) {
  for (const auto& [name, value] : request.Attributes.value_or(std::vector<std::pair<std::string, std::string>>())) {
    const auto fallback = default_of(name);
    if (subscription.attribute(name, fallback) != wanted.attribute(name, fallback)) return false;
  }
  return true;
}

wire::SubscribeResponse answer(const SubscriptionRecord& subscription, const wire::SubscribeInput& request) {
  wire::SubscribeResponse out;
  const bool shown = !subscription.pending || request.ReturnSubscriptionArn.value_or(false);
  out.SubscriptionArn = shown ? subscription.arn() : "pending confirmation";
  return out;
}

aws::ApiResult<SubscriptionRecord> make_record(Core& core, const aws::CallContext& context, const TopicRecord& topic,
                                               const wire::SubscribeInput& request) {
  SubscriptionRecord record;
  record.place = topic.place;
  record.topic = topic.name;
  record.id = uuid4();
  record.protocol = request.Protocol.value_or("");
  record.endpoint = request.Endpoint.value_or("");
  record.principal_arn = context.principal.arn;
  record.created = core.clock.now();
  if (auto good = check_endpoint(record.protocol, record.endpoint, topic); !good) {
    return std::unexpected(std::move(good.error()));
  }
  // The scope before the policy that it is the scope of.
  auto attributes = request.Attributes.value_or(std::vector<std::pair<std::string, std::string>>());
  std::ranges::partition(attributes, [](const auto& item) { return item.first != "FilterPolicy"; });
  for (auto& [name, value] : attributes) {
    auto set = set_attribute(record, topic, name, std::move(value), "Attributes Reason: ");
    if (!set) return std::unexpected(std::move(set.error()));
  }
  if (!is_carried_out(record.protocol)) return refuse_unsupported(fmt::format("Protocol {}", record.protocol));
  if (is_http(record.protocol)) {
    record.pending = true;
    record.authenticated = false;
    record.token = random_hex(kTokenBytes);
  }
  return record;
}

Awaitable<aws::ApiResult<void>> ask_for_confirmation(Core& core, const TopicRecord& topic,
                                                     SubscriptionPtr subscription) {
  const auto id = uuid4();
  auto body = confirmation(core.signer(), topic, *subscription, id, core.clock.now());
  auto request = endpoint_request(*subscription, topic, "SubscriptionConfirmation", id, std::move(body));
  request.policy = delivery_policy(*subscription, topic);
  request.policy.dead_letter_arn.clear();
  co_return co_await core.submit_one(std::move(request));
}

Awaitable<aws::ApiResult<wire::SubscribeResponse>> subscribe(Core& core, const aws::CallContext& context,
                                                             wire::SubscribeInput request) {
  auto found = find_topic(core, context, request.TopicArn, "TopicArn");
  if (!found) co_return std::unexpected(std::move(found.error()));
  const auto topic = *found;
  auto record = make_record(core, context, *topic, request);
  if (!record) co_return std::unexpected(std::move(record.error()));
  auto subscription = present(core, *topic, record->protocol, record->endpoint);
  if (subscription != nullptr && !has_attributes(*subscription, request, *record)) {
    co_return refuse_parameter("Attributes Reason: Subscription already exists with different attributes");
  }
  if (subscription == nullptr) {
    auto created = co_await core.subscriptions.create(std::move(*record));
    if (!created) co_return std::unexpected(std::move(created.error()));
    // Where two requests made one at once, the first by id stays, and both answer it.
    const auto first = present(core, *topic, (*created)->protocol, (*created)->endpoint);
    if (first != nullptr && first->id != (*created)->id) {
      auto erased = co_await core.subscriptions.erase((*created)->key());
      if (!erased) co_return std::unexpected(std::move(erased.error()));
      co_return answer(*first, request);
    }
    subscription = *created;
  }
  if (subscription->pending) {
    auto asked = co_await ask_for_confirmation(core, *topic, subscription);
    if (!asked) co_return std::unexpected(std::move(asked.error()));
  }
  co_return answer(*subscription, request);
}

Awaitable<aws::ApiResult<wire::ConfirmSubscriptionResponse>> confirm_subscription(
    Core& core, const aws::CallContext& context, wire::ConfirmSubscriptionInput request) {
  auto found = find_topic(core, context, request.TopicArn, "TopicArn");
  if (!found) co_return std::unexpected(std::move(found.error()));
  const bool authenticate = iequals(request.AuthenticateOnUnsubscribe.value_or(""), "true");
  auto confirmed = co_await confirm(core, (*found)->arn(), request.Token.value_or(""), true, authenticate);
  if (!confirmed) co_return std::unexpected(std::move(confirmed.error()));
  if (*confirmed == nullptr) co_return refuse_parameter("Token");
  wire::ConfirmSubscriptionResponse out;
  out.SubscriptionArn = (*confirmed)->arn();
  co_return out;
}

Awaitable<aws::ApiResult<aws::Empty>> end_subscription(Core& core, const aws::CallContext& context,
                                                       wire::UnsubscribeInput request) {
  const auto arn = request.SubscriptionArn.value_or("");
  if (auto good = check_arn(arn, "SubscriptionArn"); !good) co_return std::unexpected(std::move(good.error()));
  auto subscription = subscription_by_arn(core, arn);
  if (subscription != nullptr && subscription->place.account == context.principal.account) {
    auto done = co_await unsubscribe(core, std::move(subscription));
    if (!done) co_return std::unexpected(std::move(done.error()));
  }
  co_return aws::Empty();
}

std::vector<wire::Subscription> listed(const std::vector<SubscriptionPtr>& page) {
  std::vector<wire::Subscription> out;
  for (const auto& subscription : page) {
    auto& item = out.emplace_back();
    item.SubscriptionArn = subscription->pending ? "PendingConfirmation" : subscription->arn();
    item.Owner = subscription->place.account;
    item.Protocol = subscription->protocol;
    item.Endpoint = subscription->endpoint;
    item.TopicArn = subscription->topic_arn();
  }
  return out;
}

Awaitable<aws::ApiResult<wire::ListSubscriptionsResponse>> list_all(Core& core, const aws::CallContext& context,
                                                                    wire::ListSubscriptionsInput request) {
  const auto prefix = fmt::format("{}{}/{}/", kSubscriptionPrefix, context.principal.account, context.region);
  auto [page, next] = page_of(core.subscriptions.with_prefix(prefix), request.NextToken);
  wire::ListSubscriptionsResponse out;
  out.Subscriptions = listed(page);
  out.NextToken = std::move(next);
  co_return out;
}

Awaitable<aws::ApiResult<wire::ListSubscriptionsByTopicResponse>> list_by_topic(
    Core& core, const aws::CallContext& context, wire::ListSubscriptionsByTopicInput request) {
  auto found = find_topic(core, context, request.TopicArn, "TopicArn");
  if (!found) co_return std::unexpected(std::move(found.error()));
  const auto prefix = subscriptions_prefix((*found)->place, (*found)->name);
  auto [page, next] = page_of(core.subscriptions.with_prefix(prefix), request.NextToken);
  wire::ListSubscriptionsByTopicResponse out;
  out.Subscriptions = listed(page);
  out.NextToken = std::move(next);
  co_return out;
}

}  // namespace

SubscriptionPtr subscription_by_arn(const Core& core, std::string_view arn) {
  const auto parsed = delivery::parse_arn(arn);
  if (!parsed || parsed->service != "sns") return nullptr;
  const auto colon = parsed->resource.find(':');
  if (colon == std::string::npos) return nullptr;
  const Place place{.account = parsed->account, .region = parsed->region};
  return core.subscriptions.find(subscriptions_prefix(place, parsed->resource.substr(0, colon)) +
                                 parsed->resource.substr(colon + 1));
}

Awaitable<aws::ApiResult<SubscriptionPtr>> confirm(Core& core, std::string topic, std::string token, bool authenticated,
                                                   bool authenticate_on_unsubscribe) {
  const auto arn = delivery::parse_arn(topic);
  if (!arn || token.empty()) co_return SubscriptionPtr();
  const Place place{.account = arn->account, .region = arn->region};
  SubscriptionPtr waiting;
  for (const auto& subscription : core.subscriptions.with_prefix(subscriptions_prefix(place, arn->resource))) {
    if (!subscription->token.empty() && constant_time_equal(subscription->token, token)) waiting = subscription;
  }
  // A token that has been used is good for the same answer again.
  if (waiting == nullptr || !waiting->pending) co_return waiting;
  if (core.clock.now() - waiting->created > kConfirmWithin) co_return SubscriptionPtr();
  Table<SubscriptionRecord>::Edit edit = [=](SubscriptionRecord& record) -> aws::ApiResult<void> {
    record.pending = false;
    record.authenticated = authenticated;
    record.authenticate_on_unsubscribe = authenticate_on_unsubscribe;
    return {};
  };
  co_return co_await core.subscriptions.change(waiting->key(), std::move(edit));
}

Awaitable<aws::ApiResult<void>> unsubscribe(Core& core, SubscriptionPtr subscription) {
  auto erased = co_await core.subscriptions.erase(subscription->key());
  if (!erased) co_return std::unexpected(std::move(erased.error()));
  core.throttle.forget(subscription->key());
  if (!*erased) co_return aws::ApiResult<void>();
  Table<TopicRecord>::Edit edit = [](TopicRecord& topic) -> aws::ApiResult<void> {
    ++topic.deleted_subscriptions;
    return {};
  };
  auto counted = co_await core.topics.change(topic_key(subscription->place, subscription->topic), std::move(edit));
  if (!counted) co_return std::unexpected(std::move(counted.error()));
  co_return aws::ApiResult<void>();
}

void bind_subscriptions(aws::Service& service, Core& core) {
  bind<wire::Subscribe>(service, core, subscribe);
  bind<wire::ConfirmSubscription>(service, core, confirm_subscription);
  bind<wire::Unsubscribe>(service, core, end_subscription);
  bind<wire::ListSubscriptions>(service, core, list_all);
  bind<wire::ListSubscriptionsByTopic>(service, core, list_by_topic);
}

}  // namespace mayfly::sns
