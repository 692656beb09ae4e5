#include "services/iam/core.h"

#include <algorithm>

#include "base/encoding.h"
#include "base/ids.h"
#include "base/time_format.h"
#include "services/iam/aws_policies.h"

namespace mayfly::iam {
namespace {

// More compiled documents than any deployment has roles; past it everything is compiled anew once.
constexpr std::size_t kMostCompiled = 65'536;

}  // namespace

Core::Core(store::KeyValue& store, Clock& clock_in, identity::ServerKey key_in, IamSettings settings_in)
    : clock(clock_in),
      key(std::move(key_in)),
      settings(std::move(settings_in)),
      entities(store),
      policies(store),
      providers(store) {
  entities.on_change([this](const std::string& entity_key) {
    index_keys(entity_key);
    ++generation_;
  });
  policies.on_change([this](const std::string&) { ++generation_; });
  for (const auto& given : aws_policies()) {
    auto policy = std::make_shared<ManagedPolicy>();
    policy->account = "aws";
    policy->name = given.name;
    policy->path = given.path;
    policy->id = "ANPA" + to_upper(hex_encode(given.name.substr(0, 8)));
    policy->versions[1] = {.document = std::string(given.document), .created = 0};
    aws_managed_.emplace(policy->key(), std::move(policy));
  }
}

void Core::index_keys(const std::string& entity_key) {
  const auto record = entities.find(entity_key);
  const std::lock_guard lock(mutex_);
  for (const auto& old : keys_of_entity_[entity_key]) key_owners_.erase(old);
  keys_of_entity_.erase(entity_key);
  effective_.erase(entity_key);
  if (!record || record->access_keys.empty()) return;
  for (const auto& access : record->access_keys) {
    key_owners_[access.id] = entity_key;
    keys_of_entity_[entity_key].push_back(access.id);
  }
}

EntityPtr Core::entity(EntityKind kind, std::string_view account, std::string_view name) const {
  return entities.find(entity_key(kind, account, name));
}

EntityPtr Core::role_by_arn(std::string_view arn) const {
  constexpr std::string_view kStart = "arn:aws:iam::";
  const auto marker = arn.find(":role/");
  if (!arn.starts_with(kStart) || marker == std::string_view::npos) return nullptr;
  const auto account = arn.substr(kStart.size(), marker - kStart.size());
  auto found = entity(EntityKind::kRole, account, arn.substr(arn.rfind('/') + 1));
  return found && found->arn() == arn ? found : nullptr;
}

ManagedPtr Core::managed(std::string_view arn) const {
  const auto wanted = policy_key(arn);
  const auto of_aws = aws_managed_.find(wanted);
  auto found = of_aws != aws_managed_.end() ? of_aws->second : policies.find(wanted);
  return found && found->arn() == arn ? found : nullptr;
}

std::vector<EntityPtr> Core::all(EntityKind kind, std::string_view account) const {
  return entities.list(entity_key(kind, account, ""));
}

EntityPtr Core::owner_of_key(std::string_view access_key_id, bool& active) const {
  std::string owner;
  {
    const std::lock_guard lock(mutex_);
    const auto found = key_owners_.find(std::string(access_key_id));
    if (found == key_owners_.end()) return nullptr;
    owner = found->second;
  }
  auto user = entities.find(owner);
  active = user && std::ranges::any_of(user->access_keys,
                                       [&](const auto& key) { return key.id == access_key_id && key.active; });
  return user;
}

Result<identity::PolicyPtr> Core::compiled(identity::PolicyKind kind, const std::string& document) const {
  {
    const std::lock_guard lock(mutex_);
    const auto& known = compiled_[kind];
    if (const auto found = known.find(document); found != known.end()) return found->second;
  }
  auto policy = identity::Policy::parse(document, kind, identity::Policy::kLongest);
  if (!policy) return policy;
  const std::lock_guard lock(mutex_);
  auto& known = compiled_[kind];
  if (known.size() >= kMostCompiled) known.clear();
  known[document] = *policy;
  return policy;
}

EffectivePtr Core::effective(const EntityPtr& entity) const {
  const auto name = entity->key();
  const auto generation = generation_.load();
  {
    const std::lock_guard lock(mutex_);
    const auto found = effective_.find(name);
    if (found != effective_.end() && found->second->generation == generation && found->second->id == entity->id) {
      return found->second;
    }
  }
  auto out = std::make_shared<Effective>();
  out->generation = generation;
  out->id = entity->id;
  const auto add = [&](std::vector<identity::NamedPolicy>& to, std::string policy_name, const std::string& document) {
    auto policy = compiled(identity::PolicyKind::kIdentity, document);
    out->broken = out->broken || !policy;
    if (policy) to.push_back({.name = std::move(policy_name), .policy = std::move(*policy)});
  };
  const auto add_managed = [&](std::vector<identity::NamedPolicy>& to, const std::string& arn) {
    const auto policy = managed(arn);
    // Gone policies allow nothing; a service-linked role's is known by its name alone.
    if (policy) add(to, arn, policy->versions.at(policy->default_version).document);
  };
  const auto add_all_of = [&](const Entity& one) {
    for (const auto& [policy_name, document] : one.inline_policies) add(out->identity, policy_name, document);
    for (const auto& arn : one.attached) add_managed(out->identity, arn);
  };
  add_all_of(*entity);
  for (const auto& group : entity->groups) {
    if (const auto record = this->entity(EntityKind::kGroup, entity->account, group)) add_all_of(*record);
  }
  out->has_boundary = !entity->boundary.empty();
  if (out->has_boundary) add_managed(out->boundary, entity->boundary);
  const std::lock_guard lock(mutex_);
  effective_[name] = out;
  return out;
}

double Core::now() const { return static_cast<double>(static_cast<std::int64_t>(epoch_seconds(clock.now()))); }

aws::ApiError missing(EntityKind kind, std::string_view name) {
  return refuse(wire::errors::NoSuchEntityException,
                fmt::format("The {} with name {} cannot be found.", kind_name(kind), name))
      .error();
}

std::unexpected<aws::ApiError> refuse_missing_policy(std::string_view arn) {
  return refuse(wire::errors::NoSuchEntityException, fmt::format("Policy {} was not found.", arn));
}

std::unexpected<aws::ApiError> refuse_store(const Error& error) { return services::refuse_internal(error); }

aws::ApiResult<void> check_document(const Core&, const std::string& document, identity::PolicyKind kind,
                                    std::size_t limit, std::string_view quota) {
  const auto policy = identity::Policy::parse(document, kind, limit);
  if (policy) return {};
  if (policy.error().code == ErrorCode::kTooLarge) {
    return refuse(wire::errors::LimitExceededException, fmt::format("Cannot exceed quota for {}: {}", quota, limit));
  }
  return refuse(wire::errors::MalformedPolicyDocumentException, policy.error().message);
}

aws::ApiResult<Tags> read_tags(const std::optional<std::vector<wire::Tag>>& tags) {
  constexpr std::size_t kMost = 50;
  Tags out;
  if (!tags) return out;
  for (const auto& tag : *tags) {
    const auto same = [&](const auto& present) { return iequals(present.first, tag.Key.value_or("")); };
    if (std::ranges::any_of(out, same)) {
      return refuse(wire::errors::InvalidInputException,
                    "Duplicate tag keys found. Please note that Tag keys are case insensitive.");
    }
    out.emplace_back(tag.Key.value_or(""), tag.Value.value_or(""));
  }
  if (out.size() > kMost)
    return refuse(wire::errors::LimitExceededException, "Cannot exceed quota for TagsPerResource: 50");
  return out;
}

std::vector<wire::Tag> shown_tags(const Tags& tags) {
  std::vector<wire::Tag> out;
  for (const auto& [name, value] : tags) {
    wire::Tag tag;
    tag.Key = name;
    tag.Value = value;
    out.push_back(std::move(tag));
  }
  return out;
}

std::optional<std::vector<wire::Tag>> some_tags(const Tags& tags) {
  if (tags.empty()) return std::nullopt;
  return shown_tags(tags);
}

std::string new_id(std::string_view prefix) {
  constexpr std::size_t kRandom = 17;
  return std::string(prefix) + to_upper(random_alphanumeric(kRandom));
}

std::string shown_document(const std::string& document) { return percent_encode(document, Slash::kEncode); }

}  // namespace mayfly::iam
