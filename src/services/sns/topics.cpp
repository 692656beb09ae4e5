// Topics: their records, attributes and tags.
#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "identity/policy_document.h"
#include "services/sns/core.h"

namespace mayfly::sns {
namespace {

constexpr std::size_t kMostTags = 50;
constexpr std::size_t kLongestName = 256;
// Settings of the API that this server would not carry out.
constexpr std::array<std::string_view, 5> kUnsupported{"KmsMasterKeyId", "ArchivePolicy", "DataProtectionPolicy",
                                                       "BeginningArchiveTime", "MessageArchive"};

bool is_boolean(std::string_view text) { return iequals(text, "true") || iequals(text, "false"); }

bool is_topic_name(std::string_view name) {
  if (name.ends_with(".fifo")) name.remove_suffix(5);
  return !name.empty() && std::ranges::all_of(name, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
  });
}

bool is_feedback(std::string_view name) {
  return name.ends_with("FeedbackRoleArn") || name.ends_with("FeedbackSampleRate");
}

// Checks an attribute and sets it; `where` as in set_attribute() of subscriptions.
aws::ApiResult<void> set_topic_attribute(TopicRecord& topic, const std::string& name, std::string value,
                                         std::string_view where) {
  if (std::ranges::find(kUnsupported, name) != kUnsupported.end() || is_feedback(name)) {
    if (value.empty()) return {};
    return refuse_unsupported(where.empty() ? name : std::string(where) + name);
  }
  if (name == "ContentBasedDeduplication") {
    if (!topic.fifo() || !is_boolean(value)) return refuse_parameter(fmt::format("{}{}", where, name));
    value = to_lower(value);
  } else if (name == "FifoThroughputScope") {
    if (!topic.fifo() || (value != "Topic" && value != "MessageGroup")) {
      return refuse_parameter(fmt::format("{}{}", where, name));
    }
  } else if (name == "SignatureVersion") {
    if (value != "1" && value != "2") return refuse_parameter(fmt::format("{}SignatureVersion", where));
  } else if (name == "TracingConfig") {
    if (value == "Active") return refuse_unsupported("TracingConfig Active");
    if (value != "PassThrough") return refuse_parameter(fmt::format("{}TracingConfig", where));
  } else if (name == "Policy") {
    // What is stored takes part in every decision about the topic, so it must be a policy.
    if (!value.empty() &&
        !identity::Policy::parse(value, identity::PolicyKind::kResource, identity::Policy::kLongest)) {
      return refuse_parameter(fmt::format("{}Policy Error: null", where));
    }
  } else if (name == "DeliveryPolicy") {
    if (!value.empty()) {
      if (auto good = check_topic_policy(value, where); !good) return good;
    }
  } else if (name == "DisplayName") {
    constexpr std::size_t kLongestDisplayName = 100;
    if (value.size() > kLongestDisplayName) return refuse_parameter(fmt::format("{}DisplayName", where));
  } else {
    return refuse_parameter(where.empty() ? std::string_view("AttributeName") : std::string_view("Attributes"));
  }
  if (value.empty()) {
    topic.attributes.erase(name);
  } else {
    topic.attributes[name] = std::move(value);
  }
  return {};
}

aws::ApiResult<void> add_tags(TopicRecord& topic, const std::optional<std::vector<wire::Tag>>& tags) {
  for (const auto& tag : tags.value_or(std::vector<wire::Tag>())) {
    topic.tags[tag.Key.value_or("")] = tag.Value.value_or("");
  }
  if (topic.tags.size() > kMostTags) {
    return refuse(wire::errors::TagLimitExceededException,
                  "Could not complete request: tag quota of per resource exceeded");
  }
  return {};
}

// A topic that is there already stands for the new one where nothing contradicts it.
aws::ApiResult<void> check_same(const TopicRecord& topic, const wire::CreateTopicInput& request,
                                const TopicRecord& wanted) {
  if (request.Tags) {
    for (const auto& [key, value] : wanted.tags) {
      const auto found = topic.tags.find(key);
      if (found == topic.tags.end() || found->second != value) {
        return refuse_parameter("Tags Reason: Topic already exists with different tags");
      }
    }
  }
  for (const auto& [name, value] : wanted.attributes) {
    if (topic.attribute(name) != value) {
      return refuse_parameter("Attributes Reason: Topic already exists with different attributes");
    }
  }
  return {};
}

Awaitable<aws::ApiResult<wire::CreateTopicResponse>> create_topic(Core& core, const aws::CallContext& context,
                                                                  wire::CreateTopicInput request) {
  TopicRecord record;
  record.place = {.account = context.principal.account, .region = context.region};
  record.name = request.Name.value_or("");
  if (request.DataProtectionPolicy) co_return refuse_unsupported("DataProtectionPolicy");
  bool fifo = false;
  for (const auto& [name, value] : request.Attributes.value_or(std::vector<std::pair<std::string, std::string>>())) {
    if (name != "FifoTopic") continue;
    if (!is_boolean(value)) co_return refuse_parameter("Attributes Reason: FifoTopic");
    fifo = iequals(value, "true");
  }
  if (!is_topic_name(record.name) || record.name.size() > kLongestName || fifo != record.fifo()) {
    co_return refuse_parameter("Topic Name");
  }
  for (auto& [name, value] : request.Attributes.value_or(std::vector<std::pair<std::string, std::string>>())) {
    if (name == "FifoTopic") continue;
    auto set = set_topic_attribute(record, name, value, "Attributes Reason: ");
    if (!set) co_return std::unexpected(std::move(set.error()));
  }
  if (auto added = add_tags(record, request.Tags); !added) co_return std::unexpected(std::move(added.error()));
  const TopicRecord wanted = record;
  auto created = co_await core.topics.create(std::move(record));
  if (!created) co_return std::unexpected(std::move(created.error()));
  if (*created == nullptr) {
    const auto present = core.topics.find(wanted.key());
    if (present != nullptr) {
      auto same = check_same(*present, request, wanted);
      if (!same) co_return std::unexpected(std::move(same.error()));
    }
  }
  wire::CreateTopicResponse out;
  out.TopicArn = wanted.arn();
  co_return out;
}

Awaitable<aws::ApiResult<aws::Empty>> delete_topic(Core& core, const aws::CallContext& context,
                                                   wire::DeleteTopicInput request) {
  auto key = topic_key_of(context, request.TopicArn.value_or(""), "TopicArn");
  if (!key) co_return std::unexpected(std::move(key.error()));
  const auto topic = core.topics.find(*key);
  if (topic != nullptr) {
    // First what it remembers, so that no topic of its name inherits that: a crash in between costs a topic that was
    // going anyway its memory.
    if (topic->fifo()) {
      auto forgotten = co_await core.deduplication.forget(*key);
      if (!forgotten) co_return refuse_internal(forgotten.error());
    }
    auto erased = co_await core.topics.erase(*key);
    if (!erased) co_return std::unexpected(std::move(erased.error()));
    // Without its topic a subscription gets nothing; a crash in between leaves it for the next topic of that name to
    // find, so load() looks for such.
    for (const auto& subscription : core.subscriptions.with_prefix(subscriptions_prefix(topic->place, topic->name))) {
      auto removed = co_await core.subscriptions.erase(subscription->key());
      if (!removed) co_return std::unexpected(std::move(removed.error()));
      core.throttle.forget(subscription->key());
    }
  }
  co_return aws::Empty();
}

Awaitable<aws::ApiResult<wire::ListTopicsResponse>> list_topics(Core& core, const aws::CallContext& context,
                                                                wire::ListTopicsInput request) {
  const Place place{.account = context.principal.account, .region = context.region};
  auto [page, next] = page_of(core.topics.with_prefix(topic_key(place, "")), request.NextToken);
  wire::ListTopicsResponse out;
  out.Topics.emplace();
  for (const auto& topic : page) out.Topics->emplace_back().TopicArn = topic->arn();
  out.NextToken = std::move(next);
  co_return out;
}

Awaitable<aws::ApiResult<wire::GetTopicAttributesResponse>> get_attributes(Core& core, const aws::CallContext& context,
                                                                           wire::GetTopicAttributesInput request) {
  auto found = find_topic(core, context, request.TopicArn, "TopicArn");
  if (!found) co_return std::unexpected(std::move(found.error()));
  const auto& topic = **found;
  std::int64_t confirmed = 0;
  std::int64_t pending = 0;
  for (const auto& subscription : core.subscriptions.with_prefix(subscriptions_prefix(topic.place, topic.name))) {
    ++(subscription->pending ? pending : confirmed);
  }
  std::map<std::string, std::string> shown(topic.attributes.begin(), topic.attributes.end());
  shown["TopicArn"] = topic.arn();
  shown["Owner"] = topic.place.account;
  shown["SubscriptionsConfirmed"] = std::to_string(confirmed);
  shown["SubscriptionsPending"] = std::to_string(pending);
  shown["SubscriptionsDeleted"] = std::to_string(topic.deleted_subscriptions);
  shown["EffectiveDeliveryPolicy"] = effective_delivery_policy(topic.attribute("DeliveryPolicy"));
  shown.emplace("DisplayName", "");
  shown.emplace("Policy", default_policy(topic));
  if (topic.fifo()) {
    shown["FifoTopic"] = "true";
    shown.emplace("ContentBasedDeduplication", "false");
  }
  wire::GetTopicAttributesResponse out;
  out.Attributes.emplace(shown.begin(), shown.end());
  co_return out;
}

Awaitable<aws::ApiResult<aws::Empty>> set_attributes(Core& core, const aws::CallContext& context,
                                                     wire::SetTopicAttributesInput request) {
  auto found = find_topic(core, context, request.TopicArn, "TopicArn");
  if (!found) co_return std::unexpected(std::move(found.error()));
  Table<TopicRecord>::Edit edit = [&request](TopicRecord& topic) {
    return set_topic_attribute(topic, request.AttributeName.value_or(""), request.AttributeValue.value_or(""), "");
  };
  auto changed = co_await core.topics.change((*found)->key(), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  if (*changed == nullptr) co_return refuse_topic_missing();
  co_return aws::Empty();
}

std::unexpected<aws::ApiError> refuse_resource_missing() {
  return refuse(wire::errors::ResourceNotFoundException, "Resource does not exist");
}

Awaitable<aws::ApiResult<wire::ListTagsForResourceResponse>> list_tags(Core& core, const aws::CallContext& context,
                                                                       wire::ListTagsForResourceRequest request) {
  auto key = topic_key_of(context, request.ResourceArn.value_or(""), "ResourceArn");
  if (!key) co_return std::unexpected(std::move(key.error()));
  const auto topic = core.topics.find(*key);
  if (topic == nullptr) co_return refuse_resource_missing();
  wire::ListTagsForResourceResponse out;
  out.Tags.emplace();
  for (const auto& [name, value] : topic->tags) {
    auto& tag = out.Tags->emplace_back();
    tag.Key = name;
    tag.Value = value;
  }
  co_return out;
}

Awaitable<aws::ApiResult<void>> change_tags(Core& core, const aws::CallContext& context, std::string arn,
                                            Table<TopicRecord>::Edit edit) {
  auto key = topic_key_of(context, arn, "ResourceArn");
  if (!key) co_return std::unexpected(std::move(key.error()));
  auto changed = co_await core.topics.change(std::move(*key), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  if (*changed == nullptr) co_return refuse_resource_missing();
  co_return aws::ApiResult<void>();
}

Awaitable<aws::ApiResult<wire::TagResourceResponse>> tag_resource(Core& core, const aws::CallContext& context,
                                                                  wire::TagResourceRequest request) {
  Table<TopicRecord>::Edit edit = [&request](TopicRecord& topic) { return add_tags(topic, request.Tags); };
  auto changed = co_await change_tags(core, context, request.ResourceArn.value_or(""), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return wire::TagResourceResponse();
}

Awaitable<aws::ApiResult<wire::UntagResourceResponse>> untag_resource(Core& core, const aws::CallContext& context,
                                                                      wire::UntagResourceRequest request) {
  Table<TopicRecord>::Edit edit = [&request](TopicRecord& topic) -> aws::ApiResult<void> {
    for (const auto& name : request.TagKeys.value_or(std::vector<std::string>())) topic.tags.erase(name);
    return {};
  };
  auto changed = co_await change_tags(core, context, request.ResourceArn.value_or(""), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return wire::UntagResourceResponse();
}

}  // namespace

aws::ApiResult<void> check_arn(std::string_view arn, std::string_view parameter) {
  constexpr std::int64_t kParts = 6;
  const auto parts = std::ranges::count(arn, ':') + 1;
  if (parts < kParts) {
    return refuse_parameter(fmt::format("{} Reason: An ARN must have at least 6 elements, not {}", parameter, parts));
  }
  return {};
}

aws::ApiResult<std::string> topic_key_of(const aws::CallContext& context, std::string_view arn,
                                         std::string_view parameter) {
  if (auto good = check_arn(arn, parameter); !good) return std::unexpected(std::move(good.error()));
  const auto parsed = delivery::parse_arn(arn);
  if (!parsed || parsed->service != "sns" || parsed->region != context.region || parsed->resource.contains(':')) {
    return refuse_parameter(parameter);
  }
  return topic_key({.account = parsed->account, .region = parsed->region}, parsed->resource);
}

aws::ApiResult<TopicPtr> find_topic(Core& core, const aws::CallContext& context, const std::optional<std::string>& arn,
                                    std::string_view parameter) {
  const auto key = topic_key_of(context, arn.value_or(""), parameter);
  if (!key) return std::unexpected(key.error());
  auto topic = core.topics.find(*key);
  if (topic == nullptr) return refuse_topic_missing();
  return topic;
}

std::string default_policy(const TopicRecord& topic) {
  json::array actions;
  for (const auto* action : {"GetTopicAttributes", "SetTopicAttributes", "AddPermission", "RemovePermission",
                             "DeleteTopic", "Subscribe", "ListSubscriptionsByTopic", "Publish"}) {
    actions.emplace_back(fmt::format("SNS:{}", action));
  }
  json::object owner{{"StringEquals", json::object{{"AWS:SourceOwner", topic.place.account}}}};
  json::object statement{
      {"Sid", "__default_statement_ID"}, {"Effect", "Allow"},       {"Principal", json::object{{"AWS", "*"}}},
      {"Action", std::move(actions)},    {"Resource", topic.arn()}, {"Condition", std::move(owner)}};
  json::array statements;
  statements.push_back(std::move(statement));
  return to_json(
      json::object{{"Version", "2008-10-17"}, {"Id", "__default_policy_ID"}, {"Statement", std::move(statements)}});
}

void bind_topics(aws::Service& service, Core& core) {
  bind<wire::CreateTopic>(service, core, create_topic);
  bind<wire::DeleteTopic>(service, core, delete_topic);
  bind<wire::ListTopics>(service, core, list_topics);
  bind<wire::GetTopicAttributes>(service, core, get_attributes);
  bind<wire::SetTopicAttributes>(service, core, set_attributes);
  bind<wire::ListTagsForResource>(service, core, list_tags);
  bind<wire::TagResource>(service, core, tag_resource);
  bind<wire::UntagResource>(service, core, untag_resource);
}

}  // namespace mayfly::sns
