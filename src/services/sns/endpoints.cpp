// HTTP and HTTPS endpoints of subscriptions: one POST for each attempt, on a thread of its own.
#include <fmt/core.h>

#include "base/ids.h"
#include "http/client.h"
#include "services/sns/core.h"

namespace mayfly::sns {
namespace {

using delivery::Attempt;

constexpr std::chrono::seconds kTimeout{15};
constexpr std::size_t kMostAnswerBytes = 65'536;

Attempt failed(Attempt::Kind kind, std::string code, std::string message) {
  Attempt attempt;
  attempt.kind = kind;
  attempt.error_code = std::move(code);
  attempt.error_message = std::move(message);
  return attempt;
}

// "http://name:secret@host:80/path?query" in the parts that the client wants.
void set_url(const std::string& url, http::ClientRequest& request) {
  const auto authority = url.find("://") + 3;
  const auto path = std::min(url.find_first_of("/?", authority), url.size());
  std::string host = url.substr(authority, path - authority);
  if (const auto at = host.rfind('@'); at != std::string::npos) {
    const auto user = percent_decode(host.substr(0, at)).value_or("");
    request.head.headers.set("Authorization", "Basic " + base64_encode(user));
    host.erase(0, at + 1);
  }
  request.url_base = url.substr(0, authority) + host;
  request.head.target = url.substr(path, url.find('#') - path);
  if (!request.head.target.starts_with('/')) request.head.target.insert(0, "/");
}

http::ClientRequest request_of(const Core& core, const SubscriptionRecord& subscription, const delivery::Event& event) {
  http::ClientRequest request;
  set_url(subscription.endpoint, request);
  request.head.method = "POST";
  auto& headers = request.head.headers;
  headers.set("x-amz-sns-message-type", std::string(get_string(event.parameters, "Type")));
  headers.set("x-amz-sns-message-id", std::string(get_string(event.parameters, "MessageId")));
  headers.set("x-amz-sns-topic-arn", subscription.topic_arn());
  if (!subscription.pending) headers.set("x-amz-sns-subscription-arn", subscription.arn());
  if (get_bool(event.parameters, "Raw", false)) headers.set("x-amz-sns-rawdelivery", "true");
  headers.set("Content-Type", std::string(get_string(event.parameters, "ContentType")));
  headers.set("User-Agent", "Amazon Simple Notification Service Agent");
  request.body = event.payload;
  request.ca_file = core.settings.ca_file;
  request.timeout = kTimeout;
  return request;
}

Attempt outcome(const Result<http::Response>& response) {
  constexpr int kTooManyRequests = 429;
  if (!response) {
    const auto kind =
        response.error().code == ErrorCode::kThrottled ? Attempt::Kind::kThrottled : Attempt::Kind::kRetry;
    return failed(kind, "ServerError", response.error().message);
  }
  const int status = response->head.status;
  if (status >= 200 && status < 300) return Attempt();
  const bool again = status >= 500 || status == kTooManyRequests;
  auto attempt = failed(again ? Attempt::Kind::kRetry : Attempt::Kind::kRefused, "HttpStatus",
                        fmt::format("the endpoint answered {}", status));
  attempt.status = static_cast<std::uint32_t>(status);
  return attempt;
}

}  // namespace

delivery::Request endpoint_request(const SubscriptionRecord& subscription, const TopicRecord& topic,
                                   std::string_view type, std::string_view message_id, std::string body) {
  delivery::Request request;
  request.target_arn = subscription.arn();
  request.via = kEndpointHandler;
  request.event.id = uuid4();
  request.event.payload = std::move(body);
  request.event.source_arn = subscription.topic_arn();
  request.event.parameters = json::object{{"Type", json::string(type)},
                                          {"MessageId", json::string(message_id)},
                                          {"Raw", subscription.raw() && type == "Notification"},
                                          {"ContentType", http_policy(subscription, topic).content_type}};
  return request;
}

Awaitable<Attempt> call_endpoint(Core& core, delivery::Arn target, delivery::Event event) {
  const auto arn = fmt::format("arn:{}:{}:{}:{}:{}", target.partition, target.service, target.region, target.account,
                               target.resource);
  const auto subscription = subscription_by_arn(core, arn);
  // Whoever has unsubscribed gets nothing more.
  if (subscription == nullptr) co_return Attempt();
  const auto topic = core.topics.find(topic_key(subscription->place, subscription->topic));
  if (topic != nullptr && !subscription->pending) {
    const auto rate = http_policy(*subscription, *topic).per_second;
    if (!core.throttle.take(subscription->key(), rate, core.clock.steady_now())) {
      co_return failed(Attempt::Kind::kThrottled, "Throttled",
                       "the endpoint has had what its policy gives it a second");
    }
  }
  std::function<Result<http::Response>()> call = [request = request_of(core, *subscription, event)] {
    return http::fetch(request, kMostAnswerBytes);
  };
  const auto response = co_await core.calls.run<http::Response>(std::move(call));
  co_return outcome(response);
}

}  // namespace mayfly::sns
