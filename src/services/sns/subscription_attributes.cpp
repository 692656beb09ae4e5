// Attributes of subscriptions: what each accepts, how they are shown.
#include <fmt/core.h>

#include "services/sns/core.h"
#include "services/sns/filter.h"

namespace mayfly::sns {
namespace {

aws::ApiResult<void> set_filter(SubscriptionRecord& subscription, std::string policy, std::string_view where) {
  if (policy.empty() || policy == "{}") {
    subscription.attributes.erase("FilterPolicy");
    subscription.filter.reset();
    return {};
  }
  auto filter = parse_filter(policy, subscription.filters_body(), where);
  if (!filter) return std::unexpected(std::move(filter.error()));
  subscription.filter = std::move(*filter);
  subscription.attributes["FilterPolicy"] = std::move(policy);
  return {};
}

aws::ApiResult<void> set_scope(SubscriptionRecord& subscription, const std::string& scope, std::string_view where) {
  if (scope != "MessageAttributes" && scope != "MessageBody") {
    return refuse_parameter(fmt::format(
        "{}FilterPolicyScope: Invalid value [{}]. Please use either MessageBody or MessageAttributes", where, scope));
  }
  subscription.attributes["FilterPolicyScope"] = scope;
  return set_filter(subscription, std::string(subscription.attribute("FilterPolicy")), where);
}

aws::ApiResult<void> set_redrive(SubscriptionRecord& subscription, const TopicRecord& topic, std::string policy,
                                 std::string_view where) {
  if (policy.empty()) {
    subscription.attributes.erase("RedrivePolicy");
    return {};
  }
  const auto parsed = parse_json(policy);
  if (!parsed || !parsed->is_object()) {
    return refuse_parameter(fmt::format("{}RedrivePolicy: failed to parse JSON.", where));
  }
  const auto arn = delivery::parse_arn(get_string(*parsed, "deadLetterTargetArn"));
  if (!arn || arn->service != "sqs") {
    return refuse_parameter(fmt::format("{}RedrivePolicy: deadLetterTargetArn is an invalid arn", where));
  }
  if (topic.fifo() && subscription.endpoint.ends_with(".fifo") && !arn->resource.ends_with(".fifo")) {
    return refuse_parameter(
        fmt::format("{}RedrivePolicy: must use a FIFO queue as DLQ for a FIFO Subscription to a FIFO Topic.", where));
  }
  subscription.attributes["RedrivePolicy"] = std::move(policy);
  return {};
}

aws::ApiResult<void> set_raw(SubscriptionRecord& subscription, std::string_view value, std::string_view where) {
  if (!iequals(value, "true") && !iequals(value, "false")) {
    return refuse_parameter(
        fmt::format("{}RawMessageDelivery: Invalid value [{}]. Must be true or false.", where, value));
  }
  if (subscription.protocol == "lambda" && iequals(value, "true")) {
    return refuse_parameter(
        fmt::format("{}Delivery protocol [{}] does not support raw message delivery.", where, subscription.protocol));
  }
  subscription.attributes["RawMessageDelivery"] = to_lower(value);
  return {};
}

aws::ApiResult<void> set_delivery(SubscriptionRecord& subscription, std::string policy, std::string_view where) {
  if (subscription.protocol != "http" && subscription.protocol != "https") {
    return refuse_parameter(
        fmt::format("{}Delivery protocol [{}] does not support delivery policies.", where, subscription.protocol));
  }
  if (policy.empty()) {
    subscription.attributes.erase("DeliveryPolicy");
    return {};
  }
  if (auto good = check_subscription_policy(policy, where); !good) return good;
  subscription.attributes["DeliveryPolicy"] = std::move(policy);
  return {};
}

Awaitable<aws::ApiResult<wire::GetSubscriptionAttributesResponse>> get_attributes(
    Core& core, const aws::CallContext& context, wire::GetSubscriptionAttributesInput request) {
  const auto arn = request.SubscriptionArn.value_or("");
  if (auto good = check_arn(arn, "SubscriptionArn"); !good) co_return std::unexpected(std::move(good.error()));
  const auto subscription = subscription_by_arn(core, arn);
  if (subscription == nullptr || subscription->place.account != context.principal.account) {
    co_return refuse_subscription_missing();
  }
  std::map<std::string, std::string> shown(subscription->attributes.begin(), subscription->attributes.end());
  if (shown.contains("FilterPolicy")) {
    shown.emplace("FilterPolicyScope", "MessageAttributes");
  } else {
    shown.erase("FilterPolicyScope");
  }
  shown.emplace("RawMessageDelivery", "false");
  shown["ConfirmationWasAuthenticated"] = subscription->authenticated ? "true" : "false";
  const auto topic = core.topics.find(topic_key(subscription->place, subscription->topic));
  if (topic != nullptr && (subscription->protocol == "http" || subscription->protocol == "https")) {
    shown["EffectiveDeliveryPolicy"] = effective_delivery_policy(*subscription, *topic);
  }
  shown["Endpoint"] = subscription->endpoint;
  shown["Owner"] = subscription->place.account;
  shown["PendingConfirmation"] = subscription->pending ? "true" : "false";
  shown["Protocol"] = subscription->protocol;
  shown["SubscriptionArn"] = subscription->arn();
  shown["SubscriptionPrincipal"] = subscription->principal_arn;
  shown["TopicArn"] = subscription->topic_arn();
  wire::GetSubscriptionAttributesResponse out;
  out.Attributes.emplace(shown.begin(), shown.end());
  co_return out;
}

Awaitable<aws::ApiResult<aws::Empty>> set_attributes(Core& core, const aws::CallContext& context,
                                                     wire::SetSubscriptionAttributesInput request) {
  const auto arn = request.SubscriptionArn.value_or("");
  if (auto good = check_arn(arn, "SubscriptionArn"); !good) co_return std::unexpected(std::move(good.error()));
  const auto subscription = subscription_by_arn(core, arn);
  if (subscription == nullptr || subscription->place.account != context.principal.account) {
    co_return refuse_subscription_missing();
  }
  const auto topic = core.topics.find(topic_key(subscription->place, subscription->topic));
  if (topic == nullptr) co_return refuse_subscription_missing();
  Table<SubscriptionRecord>::Edit edit = [&request, &topic](SubscriptionRecord& record) {
    return set_attribute(record, *topic, request.AttributeName.value_or(""), request.AttributeValue.value_or(""), "");
  };
  auto changed = co_await core.subscriptions.change(subscription->key(), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  if (*changed == nullptr) co_return refuse_subscription_missing();
  co_return aws::Empty();
}

}  // namespace

aws::ApiResult<void> set_attribute(SubscriptionRecord& subscription, const TopicRecord& topic, const std::string& name,
                                   std::string value, std::string_view where) {
  if (name == "FilterPolicy") return set_filter(subscription, std::move(value), where);
  if (name == "FilterPolicyScope") return set_scope(subscription, value, where);
  if (name == "RawMessageDelivery") return set_raw(subscription, value, where);
  if (name == "RedrivePolicy") return set_redrive(subscription, topic, std::move(value), where);
  if (name == "DeliveryPolicy") return set_delivery(subscription, std::move(value), where);
  if (name == "SubscriptionRoleArn" || name == "ReplayPolicy" || name == "ReplayStatus") {
    return refuse_unsupported(std::string(where) + name);
  }
  return refuse_parameter(where.empty() ? "AttributeName" : fmt::format("{}Unknown attribute {}", where, name));
}

void bind_subscription_attributes(aws::Service& service, Core& core) {
  bind<wire::GetSubscriptionAttributes>(service, core, get_attributes);
  bind<wire::SetSubscriptionAttributes>(service, core, set_attributes);
}

}  // namespace mayfly::sns
