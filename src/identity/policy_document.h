// Policy documents: checked once when they are stored, compiled once, then shared and never changed.
//
// Limits. A document's size is the caller's to name (IAM counts characters without white space); nesting 64; what is
//         not part of the policy language is refused, so that no part of a document is silently without effect.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "identity/policy_condition.h"
#include "identity/policy_context.h"
#include "identity/policy_pattern.h"

namespace mayfly::identity {

enum class PolicyKind : std::uint8_t {
  kIdentity,  // of users, groups and roles, boundaries, sessions: no principal
  kResource,  // of a resource: principal and resource
  kTrust,     // of a role: principal and no resource, STS actions
};

// How a statement of a resource policy names the caller. What it grants depends on it.
enum class Grant : std::uint8_t {
  kNone,
  kAccount,   // the caller's account: its own policies must agree
  kEveryone,  // "*"
  kRole,      // the caller's role by ARN
  kExactly,   // this user, this session, this service, this provider
};

struct PrincipalPattern {
  enum class Kind : std::uint8_t { kEveryone, kAccount, kArn, kService, kFederated, kOther };
  Kind kind = Kind::kOther;
  std::string value;
  [[nodiscard]] Grant names(const Caller& caller) const;
};

struct Statement {
  std::string sid;
  std::size_t index = 0;  // in the document, from 0
  bool allow = false;
  bool not_action = false;
  bool not_resource = false;
  bool not_principal = false;
  bool about_any_resource = false;  // the document names none (trust policies)
  std::vector<PrincipalPattern> principals;
  std::vector<Pattern> actions;
  std::vector<Pattern> resources;
  std::vector<Condition> conditions;

  // Whether the statement is about this question, its principal aside.
  [[nodiscard]] bool applies(const Question& question) const;
  [[nodiscard]] Grant grant(const Caller& caller) const;
  // "Sid" or "statement 2", counted from 1.
  [[nodiscard]] std::string label() const;

 private:
  [[nodiscard]] bool about_action(std::string_view action, const Context& context) const;
  [[nodiscard]] bool about_resource(const Question& question) const;
};

class Policy {
 public:
  static constexpr std::size_t kLongest = 131'072;  // characters of any document

  // kTooLarge where it has more than `limit` characters that are not white space; kInvalid else, with the reason and
  // where: "Policy statement must contain actions. (Statement[1], line 4, column 5)".
  static Result<std::shared_ptr<const Policy>> parse(std::string_view text, PolicyKind kind, std::size_t limit);

  [[nodiscard]] const std::vector<Statement>& statements() const { return statements_; }

 private:
  std::vector<Statement> statements_;
};

using PolicyPtr = std::shared_ptr<const Policy>;

// Checks an action as it stands in documents: "*", "lambda:*", "s3:Get*".
bool is_action_pattern(std::string_view text);

}  // namespace mayfly::identity
