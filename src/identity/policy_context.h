// The facts that a policy decision is made from, besides the policies: who asks for which action on which resource, and
// the condition keys of the request. No AWS wire shape is known here.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mayfly::identity {

// Condition keys and their values. Keys compare without case, tag keys inside them too ("aws:PrincipalTag/Team").
class Context {
 public:
  void set(std::string_view key, std::string value);
  void set(std::string_view key, std::vector<std::string> values);
  // `lower_key` is in lower case. Null where the request has no such key.
  [[nodiscard]] const std::vector<std::string>* find(std::string_view lower_key) const;
  [[nodiscard]] auto begin() const { return keys_.begin(); }
  [[nodiscard]] auto end() const { return keys_.end(); }

 private:
  // A request has some ten keys: a search through them in order is faster than a map.
  std::vector<std::pair<std::string, std::vector<std::string>>> keys_;
};

struct Caller {
  enum class Kind : std::uint8_t {
    kAnonymous,
    kRoot,  // of `account`
    kUser,
    kRoleSession,  // AssumeRole and its kin
    kFederated,    // GetFederationToken: a user's rights cut by session policies
    kWebIdentity,  // a token of `federated`, before a role was assumed with it
    kService,      // an AWS service: `service`
  };
  Kind kind = Kind::kAnonymous;
  std::string account;    // 12 digits; "" for anonymous callers and web identities
  std::string arn;        // "arn:aws:sts::000000000000:assumed-role/worker/session"
  std::string role_arn;   // of a role session: "arn:aws:iam::000000000000:role/service-role/worker"
  std::string service;    // "events.amazonaws.com"
  std::string federated;  // ARN of the identity provider
};

struct Question {
  Caller caller;
  std::string action;            // "lambda:InvokeFunction"
  std::string resource;          // an ARN, or "*" where the action is about none
  std::string resource_account;  // whose the resource is
  Context context;
  // The resource's own policy must agree even inside one account (a role's trust policy).
  bool resource_policy_required = false;
};

}  // namespace mayfly::identity
