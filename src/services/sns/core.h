// What every topic of the service works with. Operations are free coroutines, one file for each topic, bound to the
// service in bind_<topic>().
#pragma once

#include <atomic>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/async.h"
#include "base/encoding.h"
#include "base/signing_key.h"
#include "services/operation.h"
#include "services/sns/deduplication.h"
#include "services/sns/delivery_policy.h"
#include "services/sns/message.h"
#include "services/sns/sns.h"
#include "services/sns/table.h"

namespace mayfly::sns {

struct Core {
  Core(store::KeyValue& store_in, store::Queue& queue_in, Sns::Submit submit_in, Sns::Deliver deliver_in,
       BlockingPool& pool_in, Clock& clock_in, SnsSettings settings_in);

  store::KeyValue& store;
  Sns::Submit submit;
  Sns::Deliver deliver;
  BlockingPool& pool;
  Clock& clock;
  SnsSettings settings;
  Table<TopicRecord> topics;
  Table<SubscriptionRecord> subscriptions;
  Deduplication deduplication;
  Throttle throttle;
  std::atomic<std::uint64_t> last_sequence{0};
  BlockingPool calls;             // to HTTP endpoints, which may be slow
  std::optional<SigningKey> key;  // from load() on

  [[nodiscard]] Signer signer() const;
  void set_signer(Signer signer);
  [[nodiscard]] std::string next_sequence();
  // What an earlier run gave; "" : nothing.
  void continue_after(std::string_view sequence);
  Awaitable<aws::ApiResult<void>> submit_all(std::vector<delivery::Request> requests);
  Awaitable<aws::ApiResult<void>> submit_one(delivery::Request request);

 private:
  mutable std::mutex signer_mutex_;
  Signer signer_;
};

using services::bind;

void bind_topics(aws::Service& service, Core& core);
void bind_permissions(aws::Service& service, Core& core);
void bind_subscriptions(aws::Service& service, Core& core);
void bind_subscription_attributes(aws::Service& service, Core& core);
void bind_publish(aws::Service& service, Core& core);

// --- topics.cpp
// "arn:aws:sns:<region>:<account>:<name>" of the caller's region, as the key of a topic; `parameter` is its name in
// errors.
aws::ApiResult<std::string> topic_key_of(const aws::CallContext& context, std::string_view arn,
                                         std::string_view parameter);
aws::ApiResult<TopicPtr> find_topic(Core& core, const aws::CallContext& context, const std::optional<std::string>& arn,
                                    std::string_view parameter);
// Any colon-separated text with at least six parts.
aws::ApiResult<void> check_arn(std::string_view arn, std::string_view parameter);
std::string default_policy(const TopicRecord& topic);

// One page of `all`: a token is the key of its last item, encoded.
template <typename Ptr>
std::pair<std::vector<Ptr>, std::optional<std::string>> page_of(std::vector<Ptr> all,
                                                                const std::optional<std::string>& token);

// --- subscriptions.cpp
// The subscription that an ARN names, whoever asks; null where there is none.
SubscriptionPtr subscription_by_arn(const Core& core, std::string_view arn);
// Confirms by token; null where no subscription of the topic waits for it.
Awaitable<aws::ApiResult<SubscriptionPtr>> confirm(Core& core, std::string topic, std::string token, bool authenticated,
                                                   bool authenticate_on_unsubscribe);
Awaitable<aws::ApiResult<void>> unsubscribe(Core& core, SubscriptionPtr subscription);
// Checks one attribute and sets it. `where` is what stands between "Invalid parameter: " and its name in errors.
aws::ApiResult<void> set_attribute(SubscriptionRecord& subscription, const TopicRecord& topic, const std::string& name,
                                   std::string value, std::string_view where);

// --- publish.cpp
struct PublishedMessage {
  std::string id;
  std::string sequence;
};
Awaitable<aws::ApiResult<PublishedMessage>> publish_to(Core& core, TopicPtr topic, Message message);
delivery::Policy delivery_policy(const SubscriptionRecord& subscription, const TopicRecord& topic);

// --- endpoints.cpp
inline constexpr std::string_view kEndpointHandler = "sns-http";
// A notification for an HTTP endpoint, as a request to delivery.
delivery::Request endpoint_request(const SubscriptionRecord& subscription, const TopicRecord& topic,
                                   std::string_view type, std::string_view message_id, std::string body);
// To the endpoint of the subscription that `target` names; done where it is not there any more.
Awaitable<delivery::Attempt> call_endpoint(Core& core, delivery::Arn target, delivery::Event event);

template <typename Ptr>
std::pair<std::vector<Ptr>, std::optional<std::string>> page_of(std::vector<Ptr> all,
                                                                const std::optional<std::string>& token) {
  constexpr std::size_t kPage = 100;
  std::string after;
  if (token && !token->empty()) after = base64_decode(*token).value_or("");
  std::vector<Ptr> page;
  std::optional<std::string> next;
  for (auto& item : all) {
    if (!after.empty() && item->key() <= after) continue;
    if (page.size() == kPage) {
      next = base64_encode(page.back()->key());
      break;
    }
    page.push_back(std::move(item));
  }
  return {std::move(page), std::move(next)};
}

}  // namespace mayfly::sns
