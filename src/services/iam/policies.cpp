// Managed policies and their versions.
#include <algorithm>
#include <charconv>

#include "base/encoding.h"
#include "services/iam/aws_policies.h"
#include "services/iam/shown.h"

namespace mayfly::iam {
namespace {

constexpr std::size_t kManagedLimit = 6144;

std::string version_name(std::uint32_t version) { return fmt::format("v{}", version); }

std::uint32_t version_number(std::string_view name) {
  std::uint32_t number = 0;
  if (name.starts_with('v')) std::from_chars(name.data() + 1, name.data() + name.size(), number);
  return number;
}

std::vector<EntityPtr> attached_to(const Core& core, const std::string& account, const std::string& arn) {
  std::vector<EntityPtr> out;
  for (const auto kind : {EntityKind::kUser, EntityKind::kRole, EntityKind::kGroup}) {
    for (const auto& entity : core.all(kind, account)) {
      if (std::ranges::find(entity->attached, arn) != entity->attached.end()) out.push_back(entity);
    }
  }
  return out;
}

std::size_t boundary_of(const Core& core, const std::string& account, const std::string& arn) {
  std::size_t count = 0;
  for (const auto kind : {EntityKind::kUser, EntityKind::kRole}) {
    count += static_cast<std::size_t>(
        std::ranges::count_if(core.all(kind, account), [&](const auto& one) { return one->boundary == arn; }));
  }
  return count;
}

wire::Policy shown(const Core& core, const aws::CallContext& context, const ManagedPolicy& policy) {
  wire::Policy out;
  out.PolicyName = policy.name;
  out.PolicyId = policy.id;
  out.Arn = policy.arn();
  out.Path = policy.path;
  out.DefaultVersionId = version_name(policy.default_version);
  const auto& account = context.principal.account;
  out.AttachmentCount = static_cast<std::int32_t>(attached_to(core, account, *out.Arn).size());
  out.PermissionsBoundaryUsageCount = static_cast<std::int32_t>(boundary_of(core, account, *out.Arn));
  out.IsAttachable = true;
  if (!policy.description.empty()) out.Description = policy.description;
  out.CreateDate = policy.created;
  out.UpdateDate = policy.updated;
  out.Tags = some_tags(policy.tags);
  return out;
}

wire::PolicyVersion shown_version(const ManagedPolicy& policy, std::uint32_t version) {
  wire::PolicyVersion out;
  out.VersionId = version_name(version);
  out.IsDefaultVersion = version == policy.default_version;
  out.CreateDate = policy.versions.at(version).created;
  return out;
}

Awaitable<aws::ApiResult<wire::CreatePolicyResponse>> create_policy(Core& core, const aws::CallContext& context,
                                                                    wire::CreatePolicyRequest request) {
  const auto document = request.PolicyDocument.value_or("");
  auto good = check_document(core, document, identity::PolicyKind::kIdentity, kManagedLimit, "PolicySize");
  if (!good) co_return std::unexpected(std::move(good.error()));
  auto tags = read_tags(request.Tags);
  if (!tags) co_return std::unexpected(std::move(tags.error()));
  ManagedPolicy policy;
  policy.account = context.principal.account;
  policy.name = request.PolicyName.value_or("");
  policy.path = request.Path.value_or("/");
  policy.id = new_id("ANPA");
  policy.description = request.Description.value_or("");
  policy.created = core.now();
  policy.updated = policy.created;
  policy.tags = std::move(*tags);
  policy.versions[1] = PolicyVersionRecord{.document = document, .created = policy.created};
  auto created = co_await core.policies.create(std::move(policy));
  if (!created) {
    if (created.error().code != ErrorCode::kExists) co_return refuse_store(created.error());
    co_return refuse(wire::errors::EntityAlreadyExistsException,
                     fmt::format("A policy called {} already exists. Duplicate names are not allowed.",
                                 request.PolicyName.value_or("")));
  }
  wire::CreatePolicyResponse out;
  out.Policy = shown(core, context, **created);
  co_return out;
}

// A policy of the caller's account, or of AWS to be read.
aws::ApiResult<ManagedPtr> find_policy(Core& core, const aws::CallContext& context, const std::string& arn) {
  auto found = core.managed(arn);
  if (found && (found->account == context.principal.account || found->account == "aws")) return found;
  return refuse_missing_policy(arn);
}

aws::ApiResult<ManagedPtr> find_own(Core& core, const aws::CallContext& context, const std::string& arn) {
  auto found = find_policy(core, context, arn);
  if (found && (*found)->account == "aws") {
    return refuse(aws::common_errors::AccessDeniedException,
                  fmt::format("The policy {} is managed by AWS and cannot be changed.", arn));
  }
  return found;
}

Awaitable<aws::ApiResult<wire::GetPolicyResponse>> get_policy(Core& core, const aws::CallContext& context,
                                                              wire::GetPolicyRequest request) {
  auto policy = find_policy(core, context, request.PolicyArn.value_or(""));
  if (!policy) co_return std::unexpected(std::move(policy.error()));
  wire::GetPolicyResponse out;
  out.Policy = shown(core, context, **policy);
  co_return out;
}

Awaitable<aws::ApiResult<wire::DeletePolicy::Response>> delete_policy(Core& core, const aws::CallContext& context,
                                                                      wire::DeletePolicyRequest request) {
  const auto arn = request.PolicyArn.value_or("");
  auto policy = find_own(core, context, arn);
  if (!policy) co_return std::unexpected(std::move(policy.error()));
  if (!attached_to(core, context.principal.account, arn).empty() ||
      boundary_of(core, context.principal.account, arn) != 0) {
    co_return refuse(wire::errors::DeleteConflictException, "Cannot delete a policy attached to entities.");
  }
  if ((*policy)->versions.size() > 1) {
    co_return refuse(wire::errors::DeleteConflictException,
                     "This policy has more than one version. Before you delete a policy, you must delete the policy's "
                     "versions. The default version is deleted with the policy.");
  }
  auto erased = co_await core.policies.erase((*policy)->key());
  if (!erased) co_return refuse_store(erased.error());
  co_return wire::DeletePolicy::Response();
}

Awaitable<aws::ApiResult<wire::ListPoliciesResponse>> list_policies(Core& core, const aws::CallContext& context,
                                                                    wire::ListPoliciesRequest request) {
  const auto scope = request.Scope.value_or("All");
  std::vector<ManagedPtr> candidates;
  if (scope != "AWS") {
    const auto prefix = fmt::format("{}{}/", ManagedPolicy::kPrefix, context.principal.account);
    candidates = core.policies.list(prefix);
  }
  if (scope != "Local") {
    for (const auto& given : aws_policies()) {
      candidates.push_back(core.managed(fmt::format("arn:aws:iam::aws:policy{}{}", given.path, given.name)));
    }
  }
  std::vector<wire::Policy> all;
  for (const auto& policy : candidates) {
    if (!policy->path.starts_with(request.PathPrefix.value_or("/"))) continue;
    auto one = shown(core, context, *policy);
    one.Tags.reset();
    one.Description.reset();
    if (!request.OnlyAttached.value_or(false) || *one.AttachmentCount > 0) all.push_back(std::move(one));
  }
  const auto key_of = [](const wire::Policy& policy) { return *policy.Arn; };
  std::ranges::sort(all, {}, key_of);
  wire::ListPoliciesResponse out;
  out.Policies = page(out, std::move(all), key_of, request);
  co_return out;
}

Awaitable<aws::ApiResult<wire::CreatePolicyVersionResponse>> create_version(Core& core, const aws::CallContext& context,
                                                                            wire::CreatePolicyVersionRequest request) {
  const auto arn = request.PolicyArn.value_or("");
  auto policy = find_own(core, context, arn);
  if (!policy) co_return std::unexpected(std::move(policy.error()));
  const auto document = request.PolicyDocument.value_or("");
  auto good = check_document(core, document, identity::PolicyKind::kIdentity, kManagedLimit, "PolicySize");
  if (!good) co_return std::unexpected(std::move(good.error()));
  const bool make_default = request.SetAsDefault.value_or(false);
  const auto now = core.now();
  PolicyEdit edit = [document, make_default, now](ManagedPolicy& record) -> aws::ApiResult<void> {
    if (record.versions.size() >= ManagedPolicy::kMostVersions) {
      return refuse(wire::errors::LimitExceededException,
                    "A managed policy can have up to 5 versions. Before you create a new version, you must delete an "
                    "existing version.");
    }
    ++record.last_version;
    record.versions[record.last_version] = {.document = document, .created = now};
    record.updated = now;
    if (make_default) record.default_version = record.last_version;
    return {};
  };
  auto none = refuse_missing_policy(arn).error();
  auto changed = co_await core.policies.change((*policy)->key(), std::move(none), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  wire::CreatePolicyVersionResponse out;
  out.PolicyVersion = shown_version(**changed, (*changed)->last_version);
  co_return out;
}

std::unexpected<aws::ApiError> refuse_missing_version(const std::string& arn, const std::string& version) {
  return refuse(wire::errors::NoSuchEntityException,
                fmt::format("Policy {} version {} does not exist or is not attachable.", arn, version));
}

Awaitable<aws::ApiResult<wire::GetPolicyVersionResponse>> get_version(Core& core, const aws::CallContext& context,
                                                                      wire::GetPolicyVersionRequest request) {
  const auto arn = request.PolicyArn.value_or("");
  auto policy = find_policy(core, context, arn);
  if (!policy) co_return std::unexpected(std::move(policy.error()));
  const auto version = version_number(request.VersionId.value_or(""));
  const auto found = (*policy)->versions.find(version);
  if (found == (*policy)->versions.end()) co_return refuse_missing_version(arn, request.VersionId.value_or(""));
  auto shown_one = shown_version(**policy, version);
  shown_one.Document = shown_document(found->second.document);
  wire::GetPolicyVersionResponse out;
  out.PolicyVersion = std::move(shown_one);
  co_return out;
}

Awaitable<aws::ApiResult<wire::ListPolicyVersionsResponse>> list_versions(Core& core, const aws::CallContext& context,
                                                                          wire::ListPolicyVersionsRequest request) {
  auto policy = find_policy(core, context, request.PolicyArn.value_or(""));
  if (!policy) co_return std::unexpected(std::move(policy.error()));
  std::vector<wire::PolicyVersion> all;
  for (const auto& [version, body] : (*policy)->versions) all.push_back(shown_version(**policy, version));
  std::ranges::reverse(all);
  wire::ListPolicyVersionsResponse out;
  // At most five: one page, newest first.
  out.IsTruncated = false;
  out.Versions = std::move(all);
  co_return out;
}

Awaitable<aws::ApiResult<wire::SetDefaultPolicyVersion::Response>> set_default(
    Core& core, const aws::CallContext& context, wire::SetDefaultPolicyVersionRequest request) {
  const auto arn = request.PolicyArn.value_or("");
  auto policy = find_own(core, context, arn);
  if (!policy) co_return std::unexpected(std::move(policy.error()));
  const auto name = request.VersionId.value_or("");
  PolicyEdit edit = [arn, name](ManagedPolicy& record) -> aws::ApiResult<void> {
    if (!record.versions.contains(version_number(name))) return refuse_missing_version(arn, name);
    record.default_version = version_number(name);
    return {};
  };
  auto none = refuse_missing_policy(arn).error();
  auto changed = co_await core.policies.change((*policy)->key(), std::move(none), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return wire::SetDefaultPolicyVersion::Response();
}

Awaitable<aws::ApiResult<wire::DeletePolicyVersion::Response>> delete_version(
    Core& core, const aws::CallContext& context, wire::DeletePolicyVersionRequest request) {
  const auto arn = request.PolicyArn.value_or("");
  auto policy = find_own(core, context, arn);
  if (!policy) co_return std::unexpected(std::move(policy.error()));
  const auto name = request.VersionId.value_or("");
  PolicyEdit edit = [arn, name](ManagedPolicy& record) -> aws::ApiResult<void> {
    const auto number = version_number(name);
    if (!record.versions.contains(number)) return refuse_missing_version(arn, name);
    if (number == record.default_version) {
      return refuse(wire::errors::DeleteConflictException, "Cannot delete the default version of a policy.");
    }
    record.versions.erase(number);
    return {};
  };
  auto none = refuse_missing_policy(arn).error();
  auto changed = co_await core.policies.change((*policy)->key(), std::move(none), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return wire::DeletePolicyVersion::Response();
}

Awaitable<aws::ApiResult<wire::ListEntitiesForPolicyResponse>> list_entities(
    Core& core, const aws::CallContext& context, wire::ListEntitiesForPolicyRequest request) {
  const auto arn = request.PolicyArn.value_or("");
  auto policy = find_policy(core, context, arn);
  if (!policy) co_return std::unexpected(std::move(policy.error()));
  wire::ListEntitiesForPolicyResponse out;
  out.PolicyGroups.emplace();
  out.PolicyUsers.emplace();
  out.PolicyRoles.emplace();
  for (const auto& entity : attached_to(core, context.principal.account, arn)) {
    if (entity->kind == EntityKind::kGroup) {
      wire::PolicyGroup group;
      group.GroupName = entity->name;
      group.GroupId = entity->id;
      out.PolicyGroups->push_back(std::move(group));
    } else if (entity->kind == EntityKind::kUser) {
      wire::PolicyUser user;
      user.UserName = entity->name;
      user.UserId = entity->id;
      out.PolicyUsers->push_back(std::move(user));
    } else {
      wire::PolicyRole role;
      role.RoleName = entity->name;
      role.RoleId = entity->id;
      out.PolicyRoles->push_back(std::move(role));
    }
  }
  out.IsTruncated = false;
  co_return out;
}

Awaitable<aws::ApiResult<wire::TagPolicy::Response>> tag_policy(Core& core, const aws::CallContext& context,
                                                                wire::TagPolicyRequest request) {
  const auto arn = request.PolicyArn.value_or("");
  auto policy = find_own(core, context, arn);
  if (!policy) co_return std::unexpected(std::move(policy.error()));
  auto tags = read_tags(request.Tags);
  if (!tags) co_return std::unexpected(std::move(tags.error()));
  PolicyEdit edit = [added = *tags](ManagedPolicy& record) -> aws::ApiResult<void> {
    for (const auto& tag : added) {
      std::erase_if(record.tags, [&](const auto& present) { return iequals(present.first, tag.first); });
      record.tags.push_back(tag);
    }
    return {};
  };
  auto none = refuse_missing_policy(arn).error();
  auto changed = co_await core.policies.change((*policy)->key(), std::move(none), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return wire::TagPolicy::Response();
}

Awaitable<aws::ApiResult<wire::UntagPolicy::Response>> untag_policy(Core& core, const aws::CallContext& context,
                                                                    wire::UntagPolicyRequest request) {
  const auto arn = request.PolicyArn.value_or("");
  auto policy = find_own(core, context, arn);
  if (!policy) co_return std::unexpected(std::move(policy.error()));
  PolicyEdit edit =
      [keys = request.TagKeys.value_or(std::vector<std::string>())](ManagedPolicy& record) -> aws::ApiResult<void> {
    for (const auto& key : keys) {
      std::erase_if(record.tags, [&](const auto& present) { return iequals(present.first, key); });
    }
    return {};
  };
  auto none = refuse_missing_policy(arn).error();
  auto changed = co_await core.policies.change((*policy)->key(), std::move(none), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return wire::UntagPolicy::Response();
}

Awaitable<aws::ApiResult<wire::ListPolicyTagsResponse>> list_policy_tags(Core& core, const aws::CallContext& context,
                                                                         wire::ListPolicyTagsRequest request) {
  auto policy = find_policy(core, context, request.PolicyArn.value_or(""));
  if (!policy) co_return std::unexpected(std::move(policy.error()));
  auto all = shown_tags((*policy)->tags);
  const auto key_of = [](const wire::Tag& one) { return *one.Key; };
  std::ranges::sort(all, {}, key_of);
  wire::ListPolicyTagsResponse out;
  out.Tags = page(out, std::move(all), key_of, request);
  co_return out;
}

}  // namespace

void bind_policies(aws::Service& service, Core& core) {
  bind<wire::CreatePolicy>(service, core, create_policy);
  bind<wire::GetPolicy>(service, core, get_policy);
  bind<wire::DeletePolicy>(service, core, delete_policy);
  bind<wire::ListPolicies>(service, core, list_policies);
  bind<wire::CreatePolicyVersion>(service, core, create_version);
  bind<wire::GetPolicyVersion>(service, core, get_version);
  bind<wire::ListPolicyVersions>(service, core, list_versions);
  bind<wire::SetDefaultPolicyVersion>(service, core, set_default);
  bind<wire::DeletePolicyVersion>(service, core, delete_version);
  bind<wire::ListEntitiesForPolicy>(service, core, list_entities);
  bind<wire::TagPolicy>(service, core, tag_policy);
  bind<wire::UntagPolicy>(service, core, untag_policy);
  bind<wire::ListPolicyTags>(service, core, list_policy_tags);
}

}  // namespace mayfly::iam
