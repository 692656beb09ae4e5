// What users, roles and groups have in common: inline and attached policies, boundaries, tags. One template for each
// operation; the request's type says which kind of entity it is about.
#include <algorithm>

#include "base/encoding.h"
#include "services/iam/core.h"

namespace mayfly::iam {
namespace {

constexpr std::size_t kMostAttached = 10;

template <typename Request>
EntityKind kind_of() {
  if constexpr (requires(Request r) { r.RoleName; }) return EntityKind::kRole;
  if constexpr (requires(Request r) { r.GroupName; }) return EntityKind::kGroup;
  return EntityKind::kUser;
}

template <typename Message>
auto& name_in(Message& message) {
  if constexpr (requires { message.RoleName; }) {
    return message.RoleName;
  } else if constexpr (requires { message.GroupName; }) {
    return message.GroupName;
  } else {
    return message.UserName;
  }
}

std::size_t inline_limit(EntityKind kind) {
  constexpr std::size_t kUser = 2048;
  constexpr std::size_t kRole = 10'240;
  constexpr std::size_t kGroup = 5120;
  return kind == EntityKind::kUser ? kUser : kind == EntityKind::kRole ? kRole : kGroup;
}

// Roles that belong to a service change through it alone.
aws::ApiResult<void> check_own(const Entity& entity) {
  if (entity.linked_service.empty()) return {};
  return refuse(wire::errors::UnmodifiableEntityException,
                fmt::format("Cannot perform the operation on the protected role '{}' - this role is only modifiable "
                            "by AWS",
                            entity.name));
}

template <typename Op>
Awaitable<aws::ApiResult<typename Op::Response>> change(Core& core, const aws::CallContext& context,
                                                        const std::string& name, EntityEdit edit) {
  constexpr auto kind = kind_of<typename Op::Request>;
  auto guarded = [edit = std::move(edit)](Entity& entity) -> aws::ApiResult<void> {
    if (auto own = check_own(entity); !own) return own;
    return edit(entity);
  };
  auto none = missing(kind(), name);
  auto changed = co_await core.entities.change(entity_key(kind(), context.principal.account, name), std::move(none),
                                               std::move(guarded));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return typename Op::Response();
}

template <typename Op>
aws::ApiResult<EntityPtr> find_entity(Core& core, const aws::CallContext& context, const std::string& name) {
  const auto kind = kind_of<typename Op::Request>();
  auto found = core.entity(kind, context.principal.account, name);
  if (!found) return std::unexpected(missing(kind, name));
  return found;
}

std::unexpected<aws::ApiError> refuse_missing_inline(EntityKind kind, const std::string& policy) {
  return refuse(wire::errors::NoSuchEntityException,
                fmt::format("The {} policy with name {} cannot be found.", kind_name(kind), policy));
}

template <typename Op>
Awaitable<aws::ApiResult<typename Op::Response>> put_inline(Core& core, const aws::CallContext& context,
                                                            typename Op::Request request) {
  const auto limit = inline_limit(kind_of<typename Op::Request>());
  const auto document = request.PolicyDocument.value_or("");
  if (auto good = check_document(core, document, identity::PolicyKind::kIdentity, limit, "PolicySize"); !good) {
    co_return std::unexpected(std::move(good.error()));
  }
  const auto policy = request.PolicyName.value_or("");
  EntityEdit edit = [policy, document, limit](Entity& entity) -> aws::ApiResult<void> {
    entity.inline_policies[policy] = document;
    std::size_t sum = 0;
    for (const auto& [name, body] : entity.inline_policies) sum += body.size();
    if (sum > limit && entity.inline_policies.size() > 1) {
      return refuse(wire::errors::LimitExceededException,
                    fmt::format("Maximum policy size of {} bytes exceeded for {} {}", limit, kind_name(entity.kind),
                                entity.name));
    }
    return {};
  };
  const auto name = name_in(request).value_or("");
  co_return co_await change<Op>(core, context, name, std::move(edit));
}

template <typename Op>
Awaitable<aws::ApiResult<typename Op::Response>> get_inline(Core& core, const aws::CallContext& context,
                                                            typename Op::Request request) {
  auto entity = find_entity<Op>(core, context, name_in(request).value_or(""));
  if (!entity) co_return std::unexpected(std::move(entity.error()));
  const auto found = (*entity)->inline_policies.find(request.PolicyName.value_or(""));
  if (found == (*entity)->inline_policies.end()) {
    co_return refuse_missing_inline((*entity)->kind, request.PolicyName.value_or(""));
  }
  typename Op::Response out;
  name_in(out) = (*entity)->name;
  out.PolicyName = found->first;
  out.PolicyDocument = shown_document(found->second);
  co_return out;
}

template <typename Op>
Awaitable<aws::ApiResult<typename Op::Response>> delete_inline(Core& core, const aws::CallContext& context,
                                                               typename Op::Request request) {
  const auto policy = request.PolicyName.value_or("");
  EntityEdit edit = [policy](Entity& entity) -> aws::ApiResult<void> {
    if (entity.inline_policies.erase(policy) == 0) return refuse_missing_inline(entity.kind, policy);
    return {};
  };
  const auto name = name_in(request).value_or("");
  co_return co_await change<Op>(core, context, name, std::move(edit));
}

template <typename Op>
Awaitable<aws::ApiResult<typename Op::Response>> list_inline(Core& core, const aws::CallContext& context,
                                                             typename Op::Request request) {
  auto entity = find_entity<Op>(core, context, name_in(request).value_or(""));
  if (!entity) co_return std::unexpected(std::move(entity.error()));
  std::vector<std::string> names;
  for (const auto& [name, body] : (*entity)->inline_policies) names.push_back(name);
  typename Op::Response out;
  out.PolicyNames = page(out, std::move(names), [](const std::string& name) { return name; }, request);
  co_return out;
}

template <typename Op>
Awaitable<aws::ApiResult<typename Op::Response>> attach(Core& core, const aws::CallContext& context,
                                                        typename Op::Request request) {
  const auto arn = request.PolicyArn.value_or("");
  if (!core.managed(arn)) {
    if (!arn.starts_with("arn:")) {
      co_return refuse(wire::errors::InvalidInputException, fmt::format("ARN {} is not valid.", arn));
    }
    co_return refuse(wire::errors::NoSuchEntityException,
                     fmt::format("Policy {} does not exist or is not attachable.", arn));
  }
  EntityEdit edit = [arn](Entity& entity) -> aws::ApiResult<void> {
    if (std::ranges::find(entity.attached, arn) != entity.attached.end()) return {};
    if (entity.attached.size() >= kMostAttached) {
      return refuse(wire::errors::LimitExceededException, fmt::format("Cannot exceed quota for PoliciesPer{}: {}",
                                                                      entity.kind == EntityKind::kRole   ? "Role"
                                                                      : entity.kind == EntityKind::kUser ? "User"
                                                                                                         : "Group",
                                                                      kMostAttached));
    }
    entity.attached.push_back(arn);
    return {};
  };
  const auto name = name_in(request).value_or("");
  co_return co_await change<Op>(core, context, name, std::move(edit));
}

template <typename Op>
Awaitable<aws::ApiResult<typename Op::Response>> detach(Core& core, const aws::CallContext& context,
                                                        typename Op::Request request) {
  const auto arn = request.PolicyArn.value_or("");
  EntityEdit edit = [arn](Entity& entity) -> aws::ApiResult<void> {
    if (std::erase(entity.attached, arn) == 0) return refuse_missing_policy(arn);
    return {};
  };
  const auto name = name_in(request).value_or("");
  co_return co_await change<Op>(core, context, name, std::move(edit));
}

template <typename Op>
Awaitable<aws::ApiResult<typename Op::Response>> list_attached(Core& core, const aws::CallContext& context,
                                                               typename Op::Request request) {
  auto entity = find_entity<Op>(core, context, name_in(request).value_or(""));
  if (!entity) co_return std::unexpected(std::move(entity.error()));
  std::vector<wire::AttachedPolicy> all;
  for (const auto& arn : (*entity)->attached) {
    wire::AttachedPolicy one;
    one.PolicyName = arn.substr(arn.rfind('/') + 1);
    one.PolicyArn = arn;
    const auto path = arn.substr(arn.find(":policy") + 7);
    if (path.starts_with(request.PathPrefix.value_or("/"))) all.push_back(std::move(one));
  }
  const auto key_of = [](const wire::AttachedPolicy& one) { return *one.PolicyArn; };
  std::ranges::sort(all, {}, key_of);
  typename Op::Response out;
  out.AttachedPolicies = page(out, std::move(all), key_of, request);
  co_return out;
}

template <typename Op>
Awaitable<aws::ApiResult<typename Op::Response>> put_boundary(Core& core, const aws::CallContext& context,
                                                              typename Op::Request request) {
  const auto arn = request.PermissionsBoundary.value_or("");
  if (!core.managed(arn)) {
    co_return refuse(wire::errors::NoSuchEntityException,
                     fmt::format("Scope ARN: {} does not exist or is not attachable.", arn));
  }
  EntityEdit edit = [arn](Entity& entity) -> aws::ApiResult<void> {
    entity.boundary = arn;
    return {};
  };
  const auto name = name_in(request).value_or("");
  co_return co_await change<Op>(core, context, name, std::move(edit));
}

template <typename Op>
Awaitable<aws::ApiResult<typename Op::Response>> delete_boundary(Core& core, const aws::CallContext& context,
                                                                 typename Op::Request request) {
  EntityEdit edit = [](Entity& entity) -> aws::ApiResult<void> {
    if (entity.boundary.empty()) {
      return refuse(wire::errors::NoSuchEntityException,
                    fmt::format("No permissions boundary attached to {} {}", kind_name(entity.kind), entity.name));
    }
    entity.boundary.clear();
    return {};
  };
  const auto name = name_in(request).value_or("");
  co_return co_await change<Op>(core, context, name, std::move(edit));
}

template <typename Op>
Awaitable<aws::ApiResult<typename Op::Response>> tag(Core& core, const aws::CallContext& context,
                                                     typename Op::Request request) {
  auto tags = read_tags(request.Tags);
  if (!tags) co_return std::unexpected(std::move(tags.error()));
  EntityEdit edit = [added = *tags](Entity& entity) -> aws::ApiResult<void> {
    constexpr std::size_t kMost = 50;
    for (const auto& [name, value] : added) {
      const auto present = std::ranges::find_if(entity.tags, [&](const auto& t) { return iequals(t.first, name); });
      if (present != entity.tags.end()) {
        *present = {name, value};
      } else {
        entity.tags.emplace_back(name, value);
      }
    }
    if (entity.tags.size() > kMost) {
      return refuse(wire::errors::LimitExceededException, "Cannot exceed quota for TagsPerResource: 50");
    }
    return {};
  };
  const auto name = name_in(request).value_or("");
  co_return co_await change<Op>(core, context, name, std::move(edit));
}

template <typename Op>
Awaitable<aws::ApiResult<typename Op::Response>> untag(Core& core, const aws::CallContext& context,
                                                       typename Op::Request request) {
  EntityEdit edit = [keys =
                         request.TagKeys.value_or(std::vector<std::string>())](Entity& entity) -> aws::ApiResult<void> {
    std::erase_if(entity.tags, [&](const auto& present) {
      return std::ranges::any_of(keys, [&](const std::string& key) { return iequals(key, present.first); });
    });
    return {};
  };
  const auto name = name_in(request).value_or("");
  co_return co_await change<Op>(core, context, name, std::move(edit));
}

template <typename Op>
Awaitable<aws::ApiResult<typename Op::Response>> list_tags(Core& core, const aws::CallContext& context,
                                                           typename Op::Request request) {
  auto entity = find_entity<Op>(core, context, name_in(request).value_or(""));
  if (!entity) co_return std::unexpected(std::move(entity.error()));
  auto all = shown_tags((*entity)->tags);
  const auto key_of = [](const wire::Tag& one) { return *one.Key; };
  std::ranges::sort(all, {}, key_of);
  typename Op::Response out;
  out.Tags = page(out, std::move(all), key_of, request);
  co_return out;
}

}  // namespace

void bind_entity_policies(aws::Service& service, Core& core) {
  bind<wire::PutUserPolicy>(service, core, put_inline<wire::PutUserPolicy>);
  bind<wire::PutRolePolicy>(service, core, put_inline<wire::PutRolePolicy>);
  bind<wire::PutGroupPolicy>(service, core, put_inline<wire::PutGroupPolicy>);
  bind<wire::GetUserPolicy>(service, core, get_inline<wire::GetUserPolicy>);
  bind<wire::GetRolePolicy>(service, core, get_inline<wire::GetRolePolicy>);
  bind<wire::GetGroupPolicy>(service, core, get_inline<wire::GetGroupPolicy>);
  bind<wire::DeleteUserPolicy>(service, core, delete_inline<wire::DeleteUserPolicy>);
  bind<wire::DeleteRolePolicy>(service, core, delete_inline<wire::DeleteRolePolicy>);
  bind<wire::DeleteGroupPolicy>(service, core, delete_inline<wire::DeleteGroupPolicy>);
  bind<wire::ListUserPolicies>(service, core, list_inline<wire::ListUserPolicies>);
  bind<wire::ListRolePolicies>(service, core, list_inline<wire::ListRolePolicies>);
  bind<wire::ListGroupPolicies>(service, core, list_inline<wire::ListGroupPolicies>);
  bind<wire::AttachUserPolicy>(service, core, attach<wire::AttachUserPolicy>);
  bind<wire::AttachRolePolicy>(service, core, attach<wire::AttachRolePolicy>);
  bind<wire::AttachGroupPolicy>(service, core, attach<wire::AttachGroupPolicy>);
  bind<wire::DetachUserPolicy>(service, core, detach<wire::DetachUserPolicy>);
  bind<wire::DetachRolePolicy>(service, core, detach<wire::DetachRolePolicy>);
  bind<wire::DetachGroupPolicy>(service, core, detach<wire::DetachGroupPolicy>);
  bind<wire::ListAttachedUserPolicies>(service, core, list_attached<wire::ListAttachedUserPolicies>);
  bind<wire::ListAttachedRolePolicies>(service, core, list_attached<wire::ListAttachedRolePolicies>);
  bind<wire::ListAttachedGroupPolicies>(service, core, list_attached<wire::ListAttachedGroupPolicies>);
  bind<wire::PutUserPermissionsBoundary>(service, core, put_boundary<wire::PutUserPermissionsBoundary>);
  bind<wire::PutRolePermissionsBoundary>(service, core, put_boundary<wire::PutRolePermissionsBoundary>);
  bind<wire::DeleteUserPermissionsBoundary>(service, core, delete_boundary<wire::DeleteUserPermissionsBoundary>);
  bind<wire::DeleteRolePermissionsBoundary>(service, core, delete_boundary<wire::DeleteRolePermissionsBoundary>);
  bind<wire::TagUser>(service, core, tag<wire::TagUser>);
  bind<wire::TagRole>(service, core, tag<wire::TagRole>);
  bind<wire::UntagUser>(service, core, untag<wire::UntagUser>);
  bind<wire::UntagRole>(service, core, untag<wire::UntagRole>);
  bind<wire::ListUserTags>(service, core, list_tags<wire::ListUserTags>);
  bind<wire::ListRoleTags>(service, core, list_tags<wire::ListRoleTags>);
}

}  // namespace mayfly::iam
