// What IAM's and STS's operations work with: the records, the compiled policies of each principal, and small things
// that topics share. Operations are free coroutines, one file for each topic.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "aws/gen/iam.h"
#include "services/iam/iam.h"
#include "services/iam/records.h"
#include "services/operation.h"
#include "services/record_table.h"

namespace mayfly::iam {

namespace wire = aws::iam;

using EntityPtr = std::shared_ptr<const Entity>;
using ManagedPtr = std::shared_ptr<const ManagedPolicy>;
using EntityEdit = services::RecordTable<Entity>::Edit;
using PolicyEdit = services::RecordTable<ManagedPolicy>::Edit;

// What a principal's own policies are, compiled.
struct Effective {
  std::uint64_t generation = 0;
  std::string id;  // of the entity
  std::vector<identity::NamedPolicy> identity;
  std::vector<identity::NamedPolicy> boundary;
  bool has_boundary = false;
  bool broken = false;  // a stored document could not be read: nothing is allowed
};
using EffectivePtr = std::shared_ptr<const Effective>;

struct Core {
  Core(store::KeyValue& store, Clock& clock_in, identity::ServerKey key_in, IamSettings settings_in);

  Clock& clock;
  identity::ServerKey key;
  IamSettings settings;
  services::RecordTable<Entity> entities;
  services::RecordTable<ManagedPolicy> policies;
  services::RecordTable<OidcProvider> providers;
  identity::IssuerKeys* issuers = nullptr;  // null: no token is verified

  [[nodiscard]] EntityPtr entity(EntityKind kind, std::string_view account, std::string_view name) const;
  [[nodiscard]] EntityPtr role_by_arn(std::string_view arn) const;
  // Those that AWS manages too.
  [[nodiscard]] ManagedPtr managed(std::string_view arn) const;
  [[nodiscard]] std::vector<EntityPtr> all(EntityKind kind, std::string_view account) const;
  // The user that an access key belongs to; null where none does or the key is not active.
  [[nodiscard]] EntityPtr owner_of_key(std::string_view access_key_id, bool& active) const;
  [[nodiscard]] EffectivePtr effective(const EntityPtr& entity) const;
  [[nodiscard]] double now() const;

  // Compiled documents by their text, so that equal ones are compiled once.
  [[nodiscard]] Result<identity::PolicyPtr> compiled(identity::PolicyKind kind, const std::string& document) const;

 private:
  void index_keys(const std::string& entity_key);

  mutable std::mutex mutex_;
  std::atomic<std::uint64_t> generation_{1};
  std::unordered_map<std::string, std::string> key_owners_;          // access key id to entity key
  std::map<std::string, std::vector<std::string>> keys_of_entity_;   // entity key to access key ids
  mutable std::unordered_map<std::string, EffectivePtr> effective_;  // by entity key
  using Compiled = std::unordered_map<std::string, identity::PolicyPtr>;
  mutable std::map<identity::PolicyKind, Compiled> compiled_;   // by document
  std::map<std::string, ManagedPtr, std::less<>> aws_managed_;  // by policy key
};

using services::bind;

void bind_users(aws::Service& service, Core& core);
void bind_roles(aws::Service& service, Core& core);
void bind_groups(aws::Service& service, Core& core);
void bind_policies(aws::Service& service, Core& core);
void bind_entity_policies(aws::Service& service, Core& core);
void bind_simulation(aws::Service& service, Core& core);
void bind_sts(aws::Service& service, Core& core);
void bind_web_identity(aws::Service& service, Core& core);
void bind_oidc_providers(aws::Service& service, Core& core);

// The caller's policies and the resource's, in the documented order. Fills in the caller and its own context keys.
identity::Decision decide(const Core& core, const identity::Authenticated& who, identity::Question& question,
                          std::span<const identity::NamedPolicy> resource);

using services::refuse;
// "The role with name x cannot be found."
aws::ApiError missing(EntityKind kind, std::string_view name);
std::unexpected<aws::ApiError> refuse_missing_policy(std::string_view arn);
std::unexpected<aws::ApiError> refuse_store(const Error& error);
// MalformedPolicyDocument with reason and place, LimitExceeded with the limit.
aws::ApiResult<void> check_document(const Core& core, const std::string& document, identity::PolicyKind kind,
                                    std::size_t limit, std::string_view quota);
aws::ApiResult<Tags> read_tags(const std::optional<std::vector<wire::Tag>>& tags);
std::vector<wire::Tag> shown_tags(const Tags& tags);
std::optional<std::vector<wire::Tag>> some_tags(const Tags& tags);  // nullopt where there are none
std::string new_id(std::string_view prefix);                        // "AIDA" and 17 more
std::string shown_document(const std::string& document);            // as IAM answers documents: percent encoded

// One page: fills in IsTruncated and Marker of a response.
template <typename Response, typename T, typename KeyOf, typename Request>
std::vector<T> page(Response& response, std::vector<T> all, KeyOf key_of, const Request& request) {
  const auto limit = static_cast<std::size_t>(request.MaxItems.value_or(100));
  auto [items, next] = services::page_of(std::move(all), key_of, request.Marker, limit);
  response.IsTruncated = next.has_value();
  response.Marker = std::move(next);
  return std::move(items);
}

}  // namespace mayfly::iam
