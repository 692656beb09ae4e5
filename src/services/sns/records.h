// What SNS stores: topics and subscriptions, and their text in the store. Immutable once they are shared.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/json.h"
#include "pattern/pattern.h"

namespace mayfly::sns {

struct Place {
  std::string account;
  std::string region;
};

using Attributes = std::map<std::string, std::string, std::less<>>;  // as set; defaults are not in it

struct TopicRecord {
  Place place;
  std::string name;
  Attributes attributes;
  std::map<std::string, std::string> tags;
  std::int64_t deleted_subscriptions = 0;

  [[nodiscard]] bool fifo() const { return name.ends_with(".fifo"); }
  [[nodiscard]] std::string arn() const;
  [[nodiscard]] std::string key() const;
  [[nodiscard]] std::string_view attribute(std::string_view attribute_name, std::string_view fallback = {}) const;
};

struct SubscriptionRecord {
  Place place;
  std::string topic;
  std::string id;  // a UUID
  std::string protocol;
  std::string endpoint;
  std::string principal_arn;  // who subscribed
  Attributes attributes;
  bool pending = false;
  std::string token;          // of a pending one; a secret of its endpoint
  bool authenticated = true;  // it was confirmed by a signed request
  bool authenticate_on_unsubscribe = false;
  SystemTime created;
  std::optional<pattern::Pattern> filter;  // of the attributes; not stored

  [[nodiscard]] std::string topic_arn() const;
  [[nodiscard]] std::string arn() const;
  [[nodiscard]] std::string key() const;
  [[nodiscard]] std::string_view attribute(std::string_view attribute_name, std::string_view fallback = {}) const;
  [[nodiscard]] bool raw() const { return attribute("RawMessageDelivery") == "true"; }
  [[nodiscard]] bool filters_body() const { return attribute("FilterPolicyScope") == "MessageBody"; }
};

inline constexpr std::string_view kTopicPrefix = "sns/topic/";
inline constexpr std::string_view kSubscriptionPrefix = "sns/subscription/";

std::string topic_arn(const Place& place, std::string_view name);
std::string topic_key(const Place& place, std::string_view name);
// Of all subscriptions of a topic: what their keys begin with.
std::string subscriptions_prefix(const Place& place, std::string_view topic);

std::string to_text(const TopicRecord& record);
std::string to_text(const SubscriptionRecord& record);
void read_record(const json::value& text, TopicRecord& out);
Result<void> read_record(const json::value& text, SubscriptionRecord& out);

}  // namespace mayfly::sns
