// Temporary credentials: a session is all in its token, sealed with the server's key; nothing of it is stored. Whoever
// holds the server's key file can check it, on any node and after any restart.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "identity/policy_context.h"
#include "identity/server_key.h"

namespace mayfly::identity {

struct Session {
  std::string access_key_id;  // "ASIA..."
  Caller caller;
  std::string user_id;         // "AROA...:name" as GetCallerIdentity shows it
  std::string principal_name;  // of the user or role whose policies hold; "" for root
  std::string incarnation;     // that user's or role's unique id: a new one of its name is somebody else
  std::string source_identity;
  SystemTime issued;
  SystemTime expires;
  bool has_policies = false;                              // session policies cut it
  std::string policy;                                     // inline document, or ""
  std::vector<std::string> policy_arns;                   // managed ones
  std::vector<std::pair<std::string, std::string>> tags;  // session tags
  std::vector<std::string> transitive_tags;
  bool nothing = false;  // of a function whose role does not exist: may do nothing at all
};

struct TemporaryCredentials {
  std::string access_key_id;
  std::string secret_access_key;
  std::string session_token;
  SystemTime expires;
};

// Gives the session its access key id and seals it.
TemporaryCredentials issue(const ServerKey& key, Session session);
// nullopt where the token is not this server's or belongs to another access key. Expiry is the caller's to check.
std::optional<Session> open_session(const ServerKey& key, std::string_view access_key_id, std::string_view token);

}  // namespace mayfly::identity
