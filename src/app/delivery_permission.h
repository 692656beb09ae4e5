// Whether a service may give an event to its target: what a rule, a schedule or a topic sends is decided like a call of
// the service's principal, or of the role that it was given.
//
// Operation.   Asked by delivery::Targets before each attempt. A sender with a role is that role's session: the role
//              must trust the service, and its policies or the target's must allow. A sender without one is the service
//              ("sns.amazonaws.com") with aws:SourceArn and aws:SourceAccount: the target's own policy must allow it.
//              A bus without a role gives to buses as its account. Functions hand on what they were given undecided.
// Concurrency. Any reactor; holds no state that changes.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "app/authorizer.h"
#include "delivery/targets.h"

namespace mayfly::app {

class DeliveryPermission {
 public:
  DeliveryPermission(const iam::Iam& iam, const Clock& clock) : authorizer_(iam, clock), iam_(iam) {}
  // `service` as in the ARN. Before the first attempt.
  void add_resource_policies(std::string service, Authorizer::ResourcePolicies policies) {
    authorizer_.add_resource_policies(std::move(service), std::move(policies));
  }
  // Whether a resource of this service exists. Where it is gone its handler says so, instead of a policy that went
  // with it.
  using Exists = std::function<bool(std::string_view arn)>;
  void add_existence(std::string service, Exists exists) { exists_.emplace(std::move(service), std::move(exists)); }
  // The refusal, or nullopt: allowed.
  [[nodiscard]] std::optional<delivery::Attempt> check(const delivery::Arn& target, const delivery::Event& event) const;

 private:
  struct Sender;
  [[nodiscard]] bool role_allows(const Sender& sender, const std::string& role) const;
  [[nodiscard]] bool target_allows(const Sender& sender) const;
  [[nodiscard]] bool target_is_gone(const Sender& sender) const;

  Authorizer authorizer_;
  std::map<std::string, Exists, std::less<>> exists_;
  const iam::Iam& iam_;
};

}  // namespace mayfly::app
