// What IAM keeps: users, roles and groups as one kind of record, and managed policies. Everything of an entity is one
// record, so that every change of it is one atomic write. Names are unique without regard to case, as AWS has it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/json.h"

namespace mayfly::iam {

using Tags = std::vector<std::pair<std::string, std::string>>;

enum class EntityKind : std::uint8_t { kUser, kRole, kGroup };

// Its secret is derived from its id (identity/server_key.h) and not kept.
struct AccessKeyRecord {
  std::string id;
  bool active = true;
  double created = 0;
};

struct Entity {
  static constexpr std::string_view kPrefix = "iam/entity/";

  EntityKind kind = EntityKind::kUser;
  std::string account;
  std::string name;
  std::string path = "/";
  std::string id;  // "AIDA...", "AROA...", "AGPA..."
  double created = 0;
  Tags tags;
  std::map<std::string, std::string> inline_policies;  // name to document
  std::vector<std::string> attached;                   // ARNs, in order of attachment
  std::string boundary;                                // ARN, or ""
  // Users:
  std::vector<std::string> groups;
  std::vector<AccessKeyRecord> access_keys;
  // Roles:
  std::string trust;
  std::string description;
  std::int32_t max_session_seconds = 3600;
  std::string linked_service;  // of a service-linked role, else ""

  [[nodiscard]] std::string arn() const;
  [[nodiscard]] std::string key() const;
  [[nodiscard]] json::object document() const;
  static Result<Entity> read(const json::object& document);
};

struct PolicyVersionRecord {
  std::string document;
  double created = 0;
};

struct ManagedPolicy {
  static constexpr std::string_view kPrefix = "iam/policy/";
  static constexpr std::size_t kMostVersions = 5;

  std::string account;  // "aws" for those that AWS manages, which are in no store
  std::string name;
  std::string path = "/";
  std::string id;
  std::string description;
  double created = 0;
  double updated = 0;
  Tags tags;
  std::map<std::uint32_t, PolicyVersionRecord> versions;
  std::uint32_t default_version = 1;
  std::uint32_t last_version = 1;

  [[nodiscard]] std::string arn() const;
  [[nodiscard]] std::string key() const;
  [[nodiscard]] json::object document() const;
  static Result<ManagedPolicy> read(const json::object& document);
};

// An issuer of tokens whose holders may assume roles that trust it.
struct OidcProvider {
  static constexpr std::string_view kPrefix = "iam/oidc-provider/";

  std::string account;
  std::string url;                      // the issuer, scheme and all
  std::vector<std::string> client_ids;  // audiences
  std::vector<std::string> thumbprints;
  double created = 0;
  Tags tags;

  [[nodiscard]] std::string name() const;  // the URL without its scheme, as in ARNs and condition keys
  [[nodiscard]] std::string arn() const;
  [[nodiscard]] std::string key() const;
  [[nodiscard]] json::object document() const;
  static Result<OidcProvider> read(const json::object& document);
};
std::string oidc_provider_key(std::string_view account, std::string_view name);

std::string_view kind_name(EntityKind kind);  // "user", "role", "group"
std::string entity_key(EntityKind kind, std::string_view account, std::string_view name);
std::string policy_key(std::string_view arn);

}  // namespace mayfly::iam
