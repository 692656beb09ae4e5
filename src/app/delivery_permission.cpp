#include "app/delivery_permission.h"

#include <fmt/core.h>

namespace mayfly::app {
namespace {

using delivery::Attempt;

// What giving an event to this target is called in policies; "" where that is not decided here.
std::string action_on(const delivery::Arn& target) {
  if (target.service == "lambda") return "lambda:InvokeFunction";
  if (target.service == "sqs") return "sqs:SendMessage";
  if (target.service == "sns") return "sns:Publish";
  if (target.service != "events") return {};
  return target.resource.starts_with("api-destination/") ? "events:InvokeApiDestination" : "events:PutEvents";
}

// As the senders themselves name it in dead letters.
std::string_view error_code_of(std::string_view service) {
  if (service == "events") return "NO_PERMISSIONS";
  return service == "sns" ? "AccessDenied" : "AccessDeniedException";
}

}  // namespace

struct DeliveryPermission::Sender {
  delivery::Arn arn;
  std::string text;       // of the ARN
  std::string principal;  // "events.amazonaws.com"
  std::string action;
  std::string target;
  std::string target_account;

  [[nodiscard]] identity::Question question() const {
    identity::Question out;
    out.action = action;
    out.resource = target;
    out.resource_account = target_account;
    out.context.set("aws:SourceArn", text);
    out.context.set("aws:SourceAccount", arn.account);
    return out;
  }
};

bool DeliveryPermission::role_allows(const Sender& sender, const std::string& role) const {
  if (!iam_.role_trusts(role, sender.principal)) return false;
  const auto who = iam_.principal(role);
  return who != nullptr && authorizer_.allows(*who, sender.question());
}

bool DeliveryPermission::target_allows(const Sender& sender) const {
  auto question = sender.question();
  auto& caller = question.caller;
  if (sender.action == "events:PutEvents" || sender.action == "events:InvokeApiDestination") {
    caller.kind = identity::Caller::Kind::kRoot;
    caller.account = sender.arn.account;
    caller.arn = fmt::format("arn:aws:iam::{}:root", caller.account);
  } else {
    caller.kind = identity::Caller::Kind::kService;
    caller.service = sender.principal;
    question.context.set("aws:PrincipalIsAWSService", "true");
    question.context.set("aws:PrincipalServiceName", sender.principal);
  }
  return authorizer_.allows_by_resource(std::move(question));
}

bool DeliveryPermission::target_is_gone(const Sender& sender) const {
  const auto service = std::string_view(sender.action).substr(0, sender.action.find(':'));
  const auto found = exists_.find(service);
  return found != exists_.end() && !found->second(sender.target);
}

std::optional<Attempt> DeliveryPermission::check(const delivery::Arn& target, const delivery::Event& event) const {
  auto source = delivery::parse_arn(event.source_arn);
  if (!source || (source->service != "events" && source->service != "scheduler" && source->service != "sns")) {
    return std::nullopt;
  }
  Sender sender;
  sender.action = action_on(target);
  if (sender.action.empty()) return std::nullopt;
  sender.arn = std::move(*source);
  sender.text = event.source_arn;
  sender.principal = sender.arn.service + ".amazonaws.com";
  sender.target = fmt::format("arn:{}:{}:{}:{}:{}", target.partition, target.service, target.region, target.account,
                              target.resource);
  sender.target_account = target.account;
  const bool by_role = !event.role_arn.empty();
  if (by_role && role_allows(sender, event.role_arn)) return std::nullopt;
  // A schedule acts as its role alone. A rule's own principal may still be allowed by the target's policy.
  if (sender.arn.service != "scheduler" && (target_allows(sender) || target_is_gone(sender))) return std::nullopt;
  Attempt refused;
  refused.kind = Attempt::Kind::kRefused;
  refused.status = 403;
  refused.error_code = error_code_of(sender.arn.service);
  refused.error_message = fmt::format("{} is not authorized to perform: {} on resource: {}",
                                      by_role ? event.role_arn : sender.principal, sender.action, sender.target);
  return refused;
}

}  // namespace mayfly::app
