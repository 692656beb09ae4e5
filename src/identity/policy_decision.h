// The decision: who may do what. Pure; the same question with the same policies gives the same answer.
//
// Order, as documented for AWS: an explicit Deny in any policy decides. Then, inside one account, either the resource's
// policy or the caller's own policies must allow, and the caller's boundary and session policies must not fall short;
// a resource policy that names a user or a session exactly is not cut by them. Across accounts both sides must allow.
// Callers that are services or nobody have no policies of their own: the resource's must allow.
// The root user of the resource's account may do everything, but for what needs the resource's consent.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "identity/policy_document.h"

namespace mayfly::identity {

struct NamedPolicy {
  std::string name;  // an ARN or the name of an inline policy
  PolicyPtr policy;
};

// All of what can bear on a decision. A boundary or session that exists and holds nothing allows nothing.
struct Policies {
  std::span<const NamedPolicy> identity;
  std::span<const NamedPolicy> boundary;
  bool has_boundary = false;
  std::span<const NamedPolicy> session;
  bool has_session = false;
  std::span<const NamedPolicy> resource;
};

enum class PolicyRole : std::uint8_t { kNone, kIdentity, kResource, kBoundary, kSession };

struct Decision {
  bool allowed = false;
  bool explicitly = false;  // a Deny statement said no
  PolicyRole role = PolicyRole::kNone;
  std::string policy;     // whose statement decided; "" where none did
  std::string statement;  // its Sid or number
  bool by_root = false;
};

Decision decide(const Question& question, const Policies& policies);

// "User: <arn> is not authorized to perform: <action> on resource: <resource> because no identity-based policy allows
// the <action> action", and its kin, word for word as AWS.
std::string denial_message(const Question& question, const Decision& decision);
// One line for people: which statement of which policy decided, or which kind of policy lacks an Allow.
std::string explanation(const Question& question, const Decision& decision);

}  // namespace mayfly::identity
