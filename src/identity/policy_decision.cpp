#include "identity/policy_decision.h"

#include <fmt/core.h>

#include <algorithm>
#include <optional>

namespace mayfly::identity {
namespace {

struct Hit {
  const NamedPolicy* policy = nullptr;
  const Statement* statement = nullptr;
  Grant grant = Grant::kNone;
};

// The first statement of this effect that applies.
Hit first_hit(std::span<const NamedPolicy> policies, const Question& question, bool allow) {
  for (const auto& named : policies) {
    for (const auto& statement : named.policy->statements()) {
      if (statement.allow == allow && statement.applies(question)) {
        return {.policy = &named, .statement = &statement, .grant = Grant::kExactly};
      }
    }
  }
  return {};
}

// Of a resource's policies: the statement that names the caller most exactly.
Hit best_grant(std::span<const NamedPolicy> policies, const Question& question, bool allow) {
  Hit best;
  for (const auto& named : policies) {
    for (const auto& statement : named.policy->statements()) {
      if (statement.allow != allow) continue;
      const auto grant = statement.grant(question.caller);
      if (grant <= best.grant || !statement.applies(question)) continue;
      best = {.policy = &named, .statement = &statement, .grant = grant};
    }
  }
  return best;
}

Decision by(const Hit& hit, PolicyRole role) {
  Decision decision;
  decision.allowed = hit.statement->allow;
  decision.explicitly = !decision.allowed;
  decision.role = role;
  decision.policy = hit.policy->name;
  decision.statement = hit.statement->label();
  return decision;
}

Decision lacking(PolicyRole role) {
  Decision decision;
  decision.role = role;
  return decision;
}

std::optional<Decision> explicit_deny(const Question& question, const Policies& policies) {
  if (const auto hit = first_hit(policies.identity, question, false); hit.statement != nullptr) {
    return by(hit, PolicyRole::kIdentity);
  }
  if (const auto hit = best_grant(policies.resource, question, false); hit.statement != nullptr) {
    return by(hit, PolicyRole::kResource);
  }
  if (const auto hit = first_hit(policies.boundary, question, false); hit.statement != nullptr) {
    return by(hit, PolicyRole::kBoundary);
  }
  if (const auto hit = first_hit(policies.session, question, false); hit.statement != nullptr) {
    return by(hit, PolicyRole::kSession);
  }
  return std::nullopt;
}

// Whether boundary and session policies leave room; else which of them does not.
std::optional<Decision> cut(const Question& question, const Policies& policies) {
  if (policies.has_boundary && first_hit(policies.boundary, question, true).statement == nullptr) {
    return lacking(PolicyRole::kBoundary);
  }
  if (policies.has_session && first_hit(policies.session, question, true).statement == nullptr) {
    return lacking(PolicyRole::kSession);
  }
  return std::nullopt;
}

bool has_own_policies(const Caller& caller) {
  using Kind = Caller::Kind;
  return caller.kind == Kind::kRoot || caller.kind == Kind::kUser || caller.kind == Kind::kRoleSession ||
         caller.kind == Kind::kFederated;
}

// The caller's side alone: its policies, cut by boundary and session.
Decision own_side(const Question& question, const Policies& policies) {
  if (question.caller.kind == Caller::Kind::kRoot) {
    Decision decision;
    decision.allowed = true;
    decision.by_root = true;
    return decision;
  }
  const auto hit = first_hit(policies.identity, question, true);
  if (hit.statement == nullptr) return lacking(PolicyRole::kIdentity);
  if (auto denied = cut(question, policies)) return std::move(*denied);
  return by(hit, PolicyRole::kIdentity);
}

std::string_view kind_of(PolicyRole role) {
  switch (role) {
    case PolicyRole::kResource:
      return "resource-based policy";
    case PolicyRole::kBoundary:
      return "permissions boundary";
    case PolicyRole::kSession:
      return "session policy";
    default:
      return "identity-based policy";
  }
}

}  // namespace

Decision decide(const Question& question, const Policies& policies) {
  const auto& caller = question.caller;
  const bool same_account = !caller.account.empty() && caller.account == question.resource_account;
  if (caller.kind == Caller::Kind::kRoot && same_account && !question.resource_policy_required) {
    return own_side(question, policies);
  }
  if (auto denied = explicit_deny(question, policies)) return std::move(*denied);
  const auto hit = best_grant(policies.resource, question, true);
  if (!has_own_policies(caller)) {
    return hit.statement != nullptr ? by(hit, PolicyRole::kResource) : lacking(PolicyRole::kResource);
  }
  if (!same_account) {
    auto own = own_side(question, policies);
    if (!own.allowed) return own;
    return hit.statement != nullptr ? by(hit, PolicyRole::kResource) : lacking(PolicyRole::kResource);
  }
  if (hit.grant == Grant::kExactly) return by(hit, PolicyRole::kResource);
  if (hit.grant == Grant::kRole || hit.grant == Grant::kEveryone) {
    if (auto denied = cut(question, policies)) return std::move(*denied);
    return by(hit, PolicyRole::kResource);
  }
  if (question.resource_policy_required && hit.statement == nullptr) return lacking(PolicyRole::kResource);
  return own_side(question, policies);
}

std::string denial_message(const Question& question, const Decision& decision) {
  const auto& caller = question.caller;
  const auto who = caller.kind == Caller::Kind::kService ? caller.service
                   : caller.arn.empty()                  ? std::string("anonymous")
                                                         : caller.arn;
  const auto start =
      fmt::format("User: {} is not authorized to perform: {} on resource: {}", who, question.action, question.resource);
  const auto kind = kind_of(decision.role);
  if (decision.explicitly) {
    const std::string_view article = decision.role == PolicyRole::kIdentity ? "an" : "a";
    return fmt::format("{} with an explicit deny in {} {}", start, article, kind);
  }
  return fmt::format("{} because no {} allows the {} action", start, kind, question.action);
}

std::string explanation(const Question& question, const Decision& decision) {
  const std::string_view verdict = decision.allowed ? "allowed" : "denied";
  if (decision.by_root) return "allowed: the caller is the account's root user";
  if (decision.policy.empty()) {
    return fmt::format("{}: no {} allows {} on {}", verdict, kind_of(decision.role), question.action,
                       question.resource);
  }
  return fmt::format("{}: {} of the {} {}{}", verdict, decision.statement, kind_of(decision.role), decision.policy,
                     decision.explicitly ? " denies it explicitly" : "");
}

}  // namespace mayfly::identity
