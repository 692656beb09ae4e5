#include "gateway/rest_policy.h"

#include "base/time_format.h"
#include "gateway/gateway.h"

namespace mayfly::gateway {
namespace {

identity::Question question_of(const Exchange& exchange) {
  const auto& event = exchange.event;
  identity::Question question;
  question.action = "execute-api:Invoke";
  question.resource = exchange.arn(exchange.resource);
  question.resource_account = exchange.api->account;
  auto& context = question.context;
  context.set("aws:SourceIp", event.source_ip);
  context.set("aws:SecureTransport", event.tls ? "true" : "false");
  context.set("aws:UserAgent", std::string(event.head.headers.get("User-Agent")));
  context.set("aws:CurrentTime", iso8601_millis(event.now));
  context.set("aws:EpochTime", std::to_string(static_cast<std::int64_t>(epoch_seconds(event.now))));
  return question;
}

std::shared_ptr<const identity::Policy> own_policy(const Exchange& exchange) {
  return exchange.stage->rest ? exchange.stage->rest->policy : nullptr;
}

}  // namespace

identity::Decision decide_anonymously(const Exchange& exchange) {
  const identity::NamedPolicy own{.name = "the API's policy", .policy = own_policy(exchange)};
  identity::Policies policies;
  if (own.policy) policies.resource = {&own, 1};
  return identity::decide(question_of(exchange), policies);
}

identity::Decision decide_by_authorizer(const Exchange& exchange, const std::string& policy) {
  auto parsed = identity::Policy::parse(policy, identity::PolicyKind::kIdentity, identity::Policy::kLongest);
  if (!parsed) return identity::Decision();
  auto question = question_of(exchange);
  question.caller.kind = identity::Caller::Kind::kUser;  // whoever the policy is for
  question.caller.account = exchange.api->account;
  const identity::NamedPolicy said{.name = "the authorizer's policy", .policy = std::move(*parsed)};
  const identity::NamedPolicy own{.name = "the API's policy", .policy = own_policy(exchange)};
  identity::Policies policies;
  policies.identity = {&said, 1};
  if (own.policy) policies.resource = {&own, 1};
  return identity::decide(question, policies);
}

std::string masked_arn(const Exchange& exchange) {
  auto arn = exchange.arn(exchange.resource);
  const auto& account = exchange.api->account;
  const auto at = arn.find(account);
  constexpr std::size_t kShown = 4;
  if (account.size() > kShown && at != std::string::npos)
    arn.replace(at, account.size() - kShown, std::string(account.size() - kShown, '*'));
  return arn;
}

Gateway::Verdict Gateway::check_policy(const Exchange& exchange) {
  const auto* rest = exchange.stage->rest.get();
  if (rest == nullptr || (!rest->policy && !rest->policy_is_broken)) return std::nullopt;
  if (rest->policy_is_broken) return rest_refusal("ACCESS_DENIED", "the API's policy does not parse");
  const auto access = exchange.route->access;
  if (access == Route::Access::kIam) return std::nullopt;  // decided with the caller's own policies
  const auto decision = decide_anonymously(exchange);
  // An authorizer may still allow what the policy is silent about.
  if (access == Route::Access::kAuthorizer ? !decision.explicitly : decision.allowed) return std::nullopt;
  auto refusal = rest_refusal("ACCESS_DENIED", "the API's policy does not allow it");
  refusal.text =
      "User: anonymous is not authorized to perform: execute-api:Invoke on resource: " + masked_arn(exchange);
  if (decision.explicitly) refusal.text += " with an explicit deny";
  return refusal;
}

}  // namespace mayfly::gateway
