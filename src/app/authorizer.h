// Whether a caller may run an operation: action and resource out of the request, the resource's own policy, and the
// decision of identity.
//
// Operation.   One call for each operation of each service, after the request is parsed and before it is checked. The
//              account's root user passes without any of that. What cannot be decided is denied.
// Concurrency. Any reactor; holds no state that changes.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "aws/api.h"
#include "base/clock.h"
#include "identity/policy_decision.h"
#include "services/iam/iam.h"

namespace mayfly::app {

// What a request says of itself, for conditions.
struct RequestFacts {
  std::string source_ip;
  std::string user_agent;
  bool tls = false;
};

class Authorizer {
 public:
  // The policy document of a resource by its ARN, or nullopt where it has none.
  using ResourcePolicies = std::function<std::optional<std::string>(std::string_view arn)>;

  // The resources behind a name of the action table ("{secret}") in a request.
  using Names = std::function<std::vector<std::string>(const aws::CallContext&, const json::object& request)>;
  // The tags of a resource by its ARN, for aws:ResourceTag.
  using ResourceTags = std::function<std::vector<std::pair<std::string, std::string>>(std::string_view arn)>;

  Authorizer(const iam::Iam& iam, const Clock& clock) : iam_(iam), clock_(clock) {}
  // `service` as in the ARN. Before the first request.
  void add_resource_policies(std::string service, ResourcePolicies policies);
  void add_resource_tags(std::string service, ResourceTags tags);
  void add_names(std::string name, Names names);

  // nullopt: allowed.
  [[nodiscard]] std::optional<aws::ApiError> check(const aws::CallContext& context, const RequestFacts& facts,
                                                   const aws::ServiceModel& service,
                                                   const aws::OperationModel& operation,
                                                   const json::object& request) const;
  // One action on one resource. `more` are further context keys.
  [[nodiscard]] std::optional<aws::ApiError> check_action(const aws::CallContext& context, const RequestFacts& facts,
                                                          std::string action, std::string resource,
                                                          const identity::Context& more) const;
  // Somebody who has not said who they are.
  [[nodiscard]] bool allows_anonymous(const RequestFacts& facts, std::string action, std::string resource,
                                      const identity::Context& more) const;

  // For those who ask outside a request: deliveries from service to service. `question.caller` is filled in by allows()
  // and the asker's own for allows_by_resource().
  [[nodiscard]] bool allows(const identity::Authenticated& who, identity::Question question) const;
  [[nodiscard]] bool allows_by_resource(identity::Question question) const;

  // An AWS service ("apigateway.amazonaws.com") on behalf of a resource of `account`. By its own name the resource's
  // policy must allow it; with a role, that the role trusts the service and may do it.
  [[nodiscard]] bool allows_service(const std::string& service, const std::string& account,
                                    const std::string& source_arn, std::string action, std::string resource,
                                    const std::string& role_arn) const;

  // What would be decided for a user or a role, as for `mayfly iam explain`; nullopt where there is no such principal.
  struct Explanation {
    bool allowed = false;
    std::string text;
  };
  [[nodiscard]] std::optional<Explanation> explain(std::string_view principal, std::string action,
                                                   std::string resource) const;

 private:
  [[nodiscard]] std::optional<aws::ApiError> check_passed_roles(const aws::CallContext& context,
                                                                const RequestFacts& facts,
                                                                const aws::ServiceModel& service,
                                                                const json::object& request) const;
  void add_clock(identity::Context& context) const;
  void add_facts(const RequestFacts& facts, identity::Context& context) const;
  [[nodiscard]] std::vector<identity::NamedPolicy> policies_of(std::string_view arn) const;

  const iam::Iam& iam_;
  const Clock& clock_;
  std::map<std::string, ResourcePolicies, std::less<>> resource_policies_;
  std::map<std::string, ResourceTags, std::less<>> resource_tags_;
  std::map<std::string, Names, std::less<>> names_;
};

}  // namespace mayfly::app
