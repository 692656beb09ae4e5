// Delivery policies of HTTP endpoints: which are taken, which one holds for a subscription, and when its retries are
// due.
#pragma once

#include <chrono>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "aws/api.h"
#include "base/token_bucket.h"
#include "services/sns/records.h"

namespace mayfly::sns {

// What holds for one subscription: its own policy, the topic's, or the default.
struct HttpPolicy {
  std::vector<std::chrono::milliseconds> waits;  // one for each retry
  std::uint32_t per_second = 0;                  // deliveries; 0: as many as come
  std::string content_type;
};
HttpPolicy http_policy(const SubscriptionRecord& subscription, const TopicRecord& topic);

// What SetTopicAttributes and its siblings check; `where` stands before the attribute's name in errors.
aws::ApiResult<void> check_topic_policy(std::string_view text, std::string_view where);
aws::ApiResult<void> check_subscription_policy(std::string_view text, std::string_view where);

// A topic's own policy over the default, as EffectiveDeliveryPolicy shows it; and the same of a subscription.
std::string effective_delivery_policy(std::string_view given);
std::string effective_delivery_policy(const SubscriptionRecord& subscription, const TopicRecord& topic);

// How many notifications each endpoint may get in a second. Any thread.
class Throttle {
 public:
  // False where the subscription has had its share. A second's worth may come at once.
  bool take(const std::string& subscription, std::uint32_t per_second, SteadyTime now) {
    const double rate = per_second;
    return per_second == 0 || buckets_.take(subscription, {.rate = rate, .burst = rate}, now).count() == 0;
  }
  void forget(const std::string& subscription) { buckets_.forget(subscription); }

 private:
  TokenBuckets buckets_{std::numeric_limits<std::size_t>::max()};  // as many as there are subscriptions
};

}  // namespace mayfly::sns
