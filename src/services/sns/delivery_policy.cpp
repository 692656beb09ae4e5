#include "services/sns/delivery_policy.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <span>

#include "services/sns/errors.h"

namespace mayfly::sns {
namespace {

constexpr std::string_view kDefaultPolicy =
    R"({"http":{"defaultHealthyRetryPolicy":{"minDelayTarget":20,"maxDelayTarget":20,"numRetries":3,)"
    R"("numMaxDelayRetries":0,"numNoDelayRetries":0,"numMinDelayRetries":0,"backoffFunction":"linear"},)"
    R"("disableSubscriptionOverrides":false,"defaultRequestPolicy":{"headerContentType":"text/plain; charset=UTF-8"}}})";

constexpr std::int64_t kMostRetries = 100;
constexpr std::int64_t kLongestDelay = 3'600;
constexpr std::int64_t kMostPerSecond = 100'000;
constexpr std::array<std::string_view, 4> kFunctions{"linear", "arithmetic", "geometric", "exponential"};

// The parts of a policy: a topic's have other names than a subscription's.
struct PartNames {
  std::string_view retry;
  std::string_view throttle;
  std::string_view request;
};
constexpr PartNames kOfTopic{
    .retry = "defaultHealthyRetryPolicy", .throttle = "defaultThrottlePolicy", .request = "defaultRequestPolicy"};
constexpr PartNames kOfSubscription{
    .retry = "healthyRetryPolicy", .throttle = "throttlePolicy", .request = "requestPolicy"};

// One policy as it is checked: errors name the attribute and the path of the member.
class PolicyCheck {
 public:
  PolicyCheck(std::string_view where, std::string path) : where_(where), path_(std::move(path)) {}

  [[nodiscard]] std::unexpected<aws::ApiError> wrong(std::string_view member, std::string_view why) const {
    return refuse_parameter(fmt::format("{}DeliveryPolicy: {}{} {}", where_, path_, member, why));
  }
  [[nodiscard]] aws::ApiResult<void> number(const json::value& part, std::string_view part_name,
                                            std::string_view member, std::int64_t least, std::int64_t most) const {
    const auto* value = find(part, member);
    if (value == nullptr) return {};
    if (!value->is_int64() && !value->is_uint64()) return wrong(named(part_name, member), "must be an integer");
    const auto given = get_int(part, member, least - 1);
    if (given < least) {
      return wrong(named(part_name, member), fmt::format("must be greater than or equal to {}", least));
    }
    if (given > most) return wrong(named(part_name, member), fmt::format("must be less than or equal to {}", most));
    return {};
  }
  [[nodiscard]] aws::ApiResult<void> members(const json::value& part, std::string_view part_name,
                                             std::span<const std::string_view> known) const {
    if (!part.is_object()) return wrong(part_name, "must be an object");
    for (const auto& member : part.get_object()) {
      // Clients write out what they do not set.
      const bool set = !member.value().is_null() && member.value() != json::value(false);
      if (set && std::ranges::find(known, std::string_view(member.key())) == known.end()) {
        return wrong(part_name.empty() ? std::string(member.key()) : named(part_name, member.key()),
                     "is not supported");
      }
    }
    return {};
  }
  [[nodiscard]] aws::ApiResult<void> retry(const json::value& part, std::string_view name) const {
    constexpr std::array<std::string_view, 7> kMembers{"minDelayTarget",     "maxDelayTarget",    "numRetries",
                                                       "numMaxDelayRetries", "numNoDelayRetries", "numMinDelayRetries",
                                                       "backoffFunction"};
    if (auto good = members(part, name, kMembers); !good) return good;
    for (const auto member : {"minDelayTarget", "maxDelayTarget"}) {
      if (auto good = number(part, name, member, 1, kLongestDelay); !good) return good;
    }
    for (const auto member : {"numRetries", "numMaxDelayRetries", "numNoDelayRetries", "numMinDelayRetries"}) {
      if (auto good = number(part, name, member, 0, kMostRetries); !good) return good;
    }
    if (get_int(part, "maxDelayTarget", 20) < get_int(part, "minDelayTarget", std::int64_t{1})) {
      return wrong(named(name, "maxDelayTarget"), "must be greater than or equal to minDelayTarget");
    }
    const auto phases = get_int(part, "numNoDelayRetries", 0) + get_int(part, "numMinDelayRetries", 0) +
                        get_int(part, "numMaxDelayRetries", 0);
    if (get_int(part, "numRetries", 3) < phases) {
      return wrong(named(name, "numRetries"),
                   "must be greater than or equal to total of numMinDelayRetries, numNoDelayRetries and "
                   "numMaxDelayRetries");
    }
    const auto function = get_string(part, "backoffFunction");
    if (!function.empty() && std::ranges::find(kFunctions, function) == kFunctions.end()) {
      return wrong(named(name, "backoffFunction"), "must be one of: linear, arithmetic, geometric, exponential");
    }
    return {};
  }
  [[nodiscard]] aws::ApiResult<void> parts(const json::value& policy, const PartNames& names) const {
    constexpr std::array<std::string_view, 1> kRate{"maxReceivesPerSecond"};
    constexpr std::array<std::string_view, 1> kHeader{"headerContentType"};
    if (const auto* part = given(policy, names.retry)) {
      if (auto good = retry(*part, names.retry); !good) return good;
    }
    if (const auto* part = given(policy, names.throttle)) {
      if (auto good = members(*part, names.throttle, kRate); !good) return good;
      if (auto good = number(*part, names.throttle, kRate[0], 1, kMostPerSecond); !good) return good;
    }
    if (const auto* part = given(policy, names.request)) {
      if (auto good = members(*part, names.request, kHeader); !good) return good;
      const auto type = get_string(*part, kHeader[0]);
      if (std::ranges::any_of(type, [](char c) { return c < ' ' || c == 0x7F; })) {
        return wrong(named(names.request, kHeader[0]), "is not a content type");
      }
    }
    return {};
  }

 private:
  static std::string named(std::string_view part, std::string_view member) {
    return fmt::format("{}.{}", part, member);
  }
  static const json::value* given(const json::value& policy, std::string_view name) {
    const auto* part = find(policy, name);
    return part == nullptr || part->is_null() ? nullptr : part;
  }

  std::string_view where_;
  std::string path_;
};

json::value effective_topic_policy(std::string_view given) {
  auto out = parse_json(kDefaultPolicy).value();
  const auto set = parse_json(given);
  const auto* http = set ? find(*set, "http") : nullptr;
  if (http == nullptr || !http->is_object()) return out;
  auto& mine = out.get_object()["http"].get_object();
  for (const auto& part : http->get_object()) {
    auto& slot = mine[part.key()];
    if (slot.is_object() && part.value().is_object()) {
      for (const auto& item : part.value().get_object()) slot.get_object()[item.key()] = item.value();
    } else {
      slot = part.value();
    }
  }
  return out;
}

// The topic's effective policy under the names of a subscription's, with the subscription's own parts over it.
json::object effective_policy(const SubscriptionRecord& subscription, const TopicRecord& topic) {
  const auto of_topic = effective_topic_policy(topic.attribute("DeliveryPolicy"));
  const auto& http = *find(of_topic, "http");
  auto own = parse_json(subscription.attribute("DeliveryPolicy"));
  const bool overrides = own && own->is_object() && !get_bool(http, "disableSubscriptionOverrides", false);
  json::object out;
  for (const auto& [mine, theirs] :
       {std::pair(kOfSubscription.retry, kOfTopic.retry), std::pair(kOfSubscription.throttle, kOfTopic.throttle),
        std::pair(kOfSubscription.request, kOfTopic.request)}) {
    const auto* part = find(http, theirs);
    auto& slot = out[mine];
    if (part != nullptr) slot = *part;
    const auto* over = overrides ? find(*own, mine) : nullptr;
    if (over == nullptr || !over->is_object()) continue;
    if (!slot.is_object()) slot.emplace_object();
    for (const auto& item : over->get_object()) slot.get_object()[item.key()] = item.value();
  }
  return out;
}

// How far the `at`th of `count` retries of the back-off phase is on its way from the least delay to the most, in [0,
// 1].
double share_of(std::string_view function, std::int64_t at, std::int64_t count) {
  if (count < 2) return 0;
  const auto i = static_cast<double>(at);
  const auto n = static_cast<double>(count - 1);
  if (function == "arithmetic") return i * (i + 1) / (n * (n + 1));
  if (function == "exponential") return (std::exp2(i) - 1) / (std::exp2(n) - 1);
  return i / n;
}

std::vector<std::chrono::milliseconds> waits_of(const json::value& retry) {
  const auto number = [&](std::string_view name, std::int64_t fallback, std::int64_t least, std::int64_t most) {
    return std::clamp(get_int(retry, name, fallback), least, most);
  };
  const auto all = number("numRetries", 3, 0, kMostRetries);
  const auto least = number("minDelayTarget", 20, 1, kLongestDelay);
  const auto most = std::max(number("maxDelayTarget", 20, 1, kLongestDelay), least);
  const auto at_once = number("numNoDelayRetries", 0, 0, all);
  const auto at_least = number("numMinDelayRetries", 0, 0, all - at_once);
  const auto at_most = number("numMaxDelayRetries", 0, 0, all - at_once - at_least);
  const auto growing = all - at_once - at_least - at_most;
  const auto function = get_string(retry, "backoffFunction");
  std::vector<std::chrono::milliseconds> out(static_cast<std::size_t>(at_once), std::chrono::milliseconds(0));
  out.insert(out.end(), static_cast<std::size_t>(at_least), std::chrono::seconds(least));
  for (std::int64_t i = 0; i < growing; ++i) {
    const auto share = share_of(function, i, growing);
    const auto from = static_cast<double>(least);
    const auto to = static_cast<double>(most);
    const auto wait = function == "geometric" ? from * std::pow(to / from, share) : from + (to - from) * share;
    out.emplace_back(std::llround(wait * 1'000));
  }
  out.insert(out.end(), static_cast<std::size_t>(at_most), std::chrono::seconds(most));
  return out;
}

HttpPolicy http_policy_of(const json::value& policy) {
  HttpPolicy out;
  out.waits = waits_of(*find(policy, kOfSubscription.retry));
  const auto& throttle = *find(policy, kOfSubscription.throttle);
  out.per_second = static_cast<std::uint32_t>(
      std::clamp(get_int(throttle, "maxReceivesPerSecond", 0), std::int64_t{0}, kMostPerSecond));
  out.content_type = get_string(*find(policy, kOfSubscription.request), "headerContentType");
  if (out.content_type.empty()) out.content_type = "text/plain; charset=UTF-8";
  return out;
}

}  // namespace

HttpPolicy http_policy(const SubscriptionRecord& subscription, const TopicRecord& topic) {
  constexpr std::string_view kAttribute = "DeliveryPolicy";
  static const HttpPolicy kUsual = http_policy_of(json::value(effective_policy(SubscriptionRecord(), TopicRecord())));
  if (subscription.attribute(kAttribute).empty() && topic.attribute(kAttribute).empty()) return kUsual;
  return http_policy_of(json::value(effective_policy(subscription, topic)));
}

aws::ApiResult<void> check_topic_policy(std::string_view text, std::string_view where) {
  const auto parsed = parse_json(text);
  if (!parsed || !parsed->is_object()) {
    return refuse_parameter(fmt::format("{}DeliveryPolicy: failed to parse JSON.", where));
  }
  constexpr std::array<std::string_view, 1> kHttp{"http"};
  if (auto good = PolicyCheck(where, "").members(*parsed, "", kHttp); !good) return good;
  const auto* http = find(*parsed, "http");
  if (http == nullptr) return {};
  const PolicyCheck check(where, "http.");
  const std::array<std::string_view, 4> known{kOfTopic.retry, kOfTopic.throttle, kOfTopic.request,
                                              "disableSubscriptionOverrides"};
  if (auto good = check.members(*http, "", known); !good) return good;
  return check.parts(*http, kOfTopic);
}

aws::ApiResult<void> check_subscription_policy(std::string_view text, std::string_view where) {
  const auto parsed = parse_json(text);
  if (!parsed || !parsed->is_object()) {
    return refuse_parameter(fmt::format("{}DeliveryPolicy: failed to parse JSON.", where));
  }
  const PolicyCheck check(where, "");
  const std::array<std::string_view, 3> known{kOfSubscription.retry, kOfSubscription.throttle, kOfSubscription.request};
  if (auto good = check.members(*parsed, "", known); !good) return good;
  return check.parts(*parsed, kOfSubscription);
}

std::string effective_delivery_policy(std::string_view given) { return to_json(effective_topic_policy(given)); }

std::string effective_delivery_policy(const SubscriptionRecord& subscription, const TopicRecord& topic) {
  auto out = effective_policy(subscription, topic);
  out["sicklyRetryPolicy"] = nullptr;
  out["guaranteed"] = false;
  return to_json(out);
}

}  // namespace mayfly::sns
