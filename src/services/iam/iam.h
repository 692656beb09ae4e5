// IAM and STS: who there is, what they may do, and temporary credentials.
//
// Operation.   Entities and managed policies live in memory (RecordTable) and in the store. Compiled policies are kept
//              for each principal until any record changes. A caller is found by its access key; a decision is made
//              from memory alone.
// Concurrency. Any reactor; nothing is locked across a wait. A change is seen by every decision that starts after the
//              operation that made it has answered.
// Limits.      AWS's own: 10 managed policies an entity, 5 versions, 2 access keys a user, 50 tags; see limits.h.
// Recovery.    load() reads all records; one that cannot be read stops the start.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "aws/api.h"
#include "aws/sigv4.h"
#include "base/async.h"
#include "base/clock.h"
#include "identity/issuer_keys.h"
#include "identity/policy_decision.h"
#include "identity/server_key.h"
#include "identity/session.h"
#include "store/key_value.h"

namespace mayfly::identity {

// Who a request comes from, established by its signature.
struct Authenticated {
  Caller caller;
  std::string user_id;         // as GetCallerIdentity shows it
  std::string principal_name;  // the user or the role whose policies hold
  std::string username;        // aws:username: users only
  std::string access_key_id;
  std::vector<std::pair<std::string, std::string>> principal_tags;
  std::shared_ptr<const Session> session;  // null for long-term keys
  std::vector<NamedPolicy> session_policies;
};

}  // namespace mayfly::identity

namespace mayfly::iam {

using AuthenticatedPtr = std::shared_ptr<const identity::Authenticated>;

struct IamSettings {
  std::string account = "000000000000";
  aws::Secret root;
};

class Iam {
 public:
  Iam(store::KeyValue& store, Clock& clock, identity::ServerKey key, IamSettings settings);
  ~Iam();
  Iam(const Iam&) = delete;
  Iam& operator=(const Iam&) = delete;

  // Who verifies tokens for AssumeRoleWithWebIdentity; before the first request, and it outlives this.
  void verify_tokens_by(identity::IssuerKeys& issuers);

  Awaitable<Result<void>> load();
  [[nodiscard]] aws::Service& iam_service();
  [[nodiscard]] aws::Service& sts_service();

  // The credentials of a key id and, for temporary ones, their token; and whose they are. nullopt for what is unknown.
  struct Found {
    aws::Secret secret;
    std::optional<SystemTime> expires;  // of temporary ones; whoever verifies the request checks it
    AuthenticatedPtr who;
  };
  [[nodiscard]] std::optional<Found> find_credentials(std::string_view access_key_id, std::string_view token) const;

  // A user or a role as a caller, without any request: for explanations. Null where there is none of that ARN.
  [[nodiscard]] AuthenticatedPtr principal(std::string_view arn) const;

  // Decides by the caller's policies and the resource's. `question.caller` and the caller's own keys of the context are
  // filled in here; what the request says of itself is the asker's.
  [[nodiscard]] identity::Decision decide(const identity::Authenticated& who, identity::Question& question,
                                          std::span<const identity::NamedPolicy> resource) const;
  // Compiles a resource's policy, keeping what it compiled. A document that cannot be read denies everything.
  [[nodiscard]] identity::NamedPolicy resource_policy(std::string name, const std::string& document) const;

  // The ARN of what has this name, path and all; of what does not exist the one it would have with path "/".
  enum class Named : std::uint8_t { kUser, kRole, kGroup };
  [[nodiscard]] std::string entity_arn(Named kind, std::string_view account, std::string_view name) const;

  [[nodiscard]] bool role_exists(std::string_view role_arn) const;
  // Whether the role's trust policy lets the service assume it.
  [[nodiscard]] bool role_trusts(std::string_view role_arn, std::string_view service) const;
  // Credentials of a function's role. Of a role that does not exist they allow nothing.
  [[nodiscard]] identity::TemporaryCredentials role_credentials(const std::string& role_arn,
                                                                const std::string& session_name,
                                                                std::chrono::seconds duration) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mayfly::iam
