#include "services/sns/records.h"

#include <fmt/core.h>

#include "base/time_format.h"

namespace mayfly::sns {
namespace {

template <typename Map>
json::object write_map(const Map& map) {
  json::object out;
  for (const auto& [key, value] : map) out.emplace(key, json::string(value));
  return out;
}

template <typename Map>
void read_map(const json::value& source, std::string_view name, Map& out) {
  const auto* found = find(source, name);
  if (found == nullptr || !found->is_object()) return;
  for (const auto& entry : found->get_object()) {
    if (entry.value().is_string()) out.emplace(std::string(entry.key()), std::string(entry.value().get_string()));
  }
}

std::string_view attribute_of(const Attributes& attributes, std::string_view name, std::string_view fallback) {
  const auto found = attributes.find(name);
  return found == attributes.end() ? fallback : std::string_view(found->second);
}

}  // namespace

std::string topic_arn(const Place& place, std::string_view name) {
  return fmt::format("arn:aws:sns:{}:{}:{}", place.region, place.account, name);
}

std::string topic_key(const Place& place, std::string_view name) {
  return fmt::format("{}{}/{}/{}", kTopicPrefix, place.account, place.region, name);
}

std::string subscriptions_prefix(const Place& place, std::string_view topic) {
  return fmt::format("{}{}/{}/{}/", kSubscriptionPrefix, place.account, place.region, topic);
}

std::string TopicRecord::arn() const { return topic_arn(place, name); }
std::string TopicRecord::key() const { return topic_key(place, name); }
std::string_view TopicRecord::attribute(std::string_view attribute_name, std::string_view fallback) const {
  return attribute_of(attributes, attribute_name, fallback);
}

std::string SubscriptionRecord::topic_arn() const { return sns::topic_arn(place, topic); }
std::string SubscriptionRecord::arn() const { return fmt::format("{}:{}", topic_arn(), id); }
std::string SubscriptionRecord::key() const { return subscriptions_prefix(place, topic) + id; }
std::string_view SubscriptionRecord::attribute(std::string_view attribute_name, std::string_view fallback) const {
  return attribute_of(attributes, attribute_name, fallback);
}

std::string to_text(const TopicRecord& record) {
  return to_json(json::object{{"account", record.place.account},
                              {"region", record.place.region},
                              {"name", record.name},
                              {"attributes", write_map(record.attributes)},
                              {"tags", write_map(record.tags)},
                              {"deletedSubscriptions", record.deleted_subscriptions}});
}

std::string to_text(const SubscriptionRecord& record) {
  return to_json(json::object{{"account", record.place.account},
                              {"region", record.place.region},
                              {"topic", record.topic},
                              {"id", record.id},
                              {"protocol", record.protocol},
                              {"endpoint", record.endpoint},
                              {"principal", record.principal_arn},
                              {"attributes", write_map(record.attributes)},
                              {"pending", record.pending},
                              {"token", record.token},
                              {"authenticated", record.authenticated},
                              {"authenticateOnUnsubscribe", record.authenticate_on_unsubscribe},
                              {"created", epoch_seconds(record.created)}});
}

void read_record(const json::value& text, TopicRecord& out) {
  out.place = {.account = std::string(get_string(text, "account")), .region = std::string(get_string(text, "region"))};
  out.name = get_string(text, "name");
  read_map(text, "attributes", out.attributes);
  read_map(text, "tags", out.tags);
  out.deleted_subscriptions = get_int(text, "deletedSubscriptions");
}

Result<void> read_record(const json::value& text, SubscriptionRecord& out) {
  out.place = {.account = std::string(get_string(text, "account")), .region = std::string(get_string(text, "region"))};
  out.topic = get_string(text, "topic");
  out.id = get_string(text, "id");
  out.protocol = get_string(text, "protocol");
  out.endpoint = get_string(text, "endpoint");
  out.principal_arn = get_string(text, "principal");
  read_map(text, "attributes", out.attributes);
  out.pending = get_bool(text, "pending", false);
  out.token = get_string(text, "token");
  out.authenticated = get_bool(text, "authenticated", true);
  out.authenticate_on_unsubscribe = get_bool(text, "authenticateOnUnsubscribe", false);
  if (const auto* created = find(text, "created"); created != nullptr && created->is_number()) {
    out.created = from_epoch_seconds(created->to_number<double>());
  }
  const auto policy = out.attribute("FilterPolicy");
  if (policy.empty()) return {};
  auto pattern = pattern::Pattern::parse(policy);
  if (!pattern) return std::unexpected(std::move(pattern.error()));
  out.filter = std::move(*pattern);
  return {};
}

}  // namespace mayfly::sns
