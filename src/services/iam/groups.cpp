// Groups and who is in them. Membership is kept with the user.
#include <algorithm>

#include "base/encoding.h"
#include "services/iam/shown.h"

namespace mayfly::iam {
namespace {

constexpr std::size_t kMostGroups = 10;

Awaitable<aws::ApiResult<wire::CreateGroupResponse>> create_group(Core& core, const aws::CallContext& context,
                                                                  wire::CreateGroupRequest request) {
  Entity group;
  group.kind = EntityKind::kGroup;
  group.account = context.principal.account;
  group.name = request.GroupName.value_or("");
  group.path = request.Path.value_or("/");
  group.id = new_id("AGPA");
  group.created = core.now();
  auto created = co_await create_entity(core, std::move(group));
  if (!created) co_return std::unexpected(std::move(created.error()));
  wire::CreateGroupResponse out;
  out.Group = shown_group(**created);
  co_return out;
}

std::vector<EntityPtr> members(const Core& core, const Entity& group) {
  std::vector<EntityPtr> out;
  for (const auto& user : core.all(EntityKind::kUser, group.account)) {
    if (std::ranges::find(user->groups, group.name) != user->groups.end()) out.push_back(user);
  }
  return out;
}

Awaitable<aws::ApiResult<wire::GetGroupResponse>> get_group(Core& core, const aws::CallContext& context,
                                                            wire::GetGroupRequest request) {
  const auto name = request.GroupName.value_or("");
  const auto group = core.entity(EntityKind::kGroup, context.principal.account, name);
  if (!group) co_return std::unexpected(missing(EntityKind::kGroup, name));
  std::vector<wire::User> all;
  for (const auto& user : members(core, *group)) all.push_back(shown_user(*user));
  wire::GetGroupResponse out;
  out.Group = shown_group(*group);
  const auto key_of = [](const wire::User& user) { return to_lower(*user.UserName); };
  out.Users = page(out, std::move(all), key_of, request);
  co_return out;
}

Awaitable<aws::ApiResult<wire::DeleteGroup::Response>> delete_group(Core& core, const aws::CallContext& context,
                                                                    wire::DeleteGroupRequest request) {
  const auto name = request.GroupName.value_or("");
  const auto group = core.entity(EntityKind::kGroup, context.principal.account, name);
  if (group && !members(core, *group).empty()) {
    co_return refuse(wire::errors::DeleteConflictException,
                     "Cannot delete entity, must remove users from group first.");
  }
  auto erased = co_await erase_entity(core, EntityKind::kGroup, context.principal.account, name);
  if (!erased) co_return std::unexpected(std::move(erased.error()));
  co_return wire::DeleteGroup::Response();
}

Awaitable<aws::ApiResult<wire::ListGroupsResponse>> list_groups(Core& core, const aws::CallContext& context,
                                                                wire::ListGroupsRequest request) {
  std::vector<wire::Group> all;
  for (const auto& group : core.all(EntityKind::kGroup, context.principal.account)) {
    if (group->path.starts_with(request.PathPrefix.value_or("/"))) all.push_back(shown_group(*group));
  }
  wire::ListGroupsResponse out;
  const auto key_of = [](const wire::Group& group) { return to_lower(*group.GroupName); };
  out.Groups = page(out, std::move(all), key_of, request);
  co_return out;
}

Awaitable<aws::ApiResult<wire::AddUserToGroup::Response>> add_user(Core& core, const aws::CallContext& context,
                                                                   wire::AddUserToGroupRequest request) {
  const auto name = request.GroupName.value_or("");
  const auto group = core.entity(EntityKind::kGroup, context.principal.account, name);
  if (!group) co_return std::unexpected(missing(EntityKind::kGroup, name));
  EntityEdit edit = [group = group->name](Entity& user) -> aws::ApiResult<void> {
    if (std::ranges::find(user.groups, group) != user.groups.end()) return {};
    if (user.groups.size() >= kMostGroups) {
      return refuse(wire::errors::LimitExceededException, "Cannot exceed quota for GroupsPerUser: 10");
    }
    user.groups.push_back(group);
    return {};
  };
  const auto user = request.UserName.value_or("");
  auto none = missing(EntityKind::kUser, user);
  auto changed = co_await core.entities.change(entity_key(EntityKind::kUser, context.principal.account, user),
                                               std::move(none), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return wire::AddUserToGroup::Response();
}

Awaitable<aws::ApiResult<wire::RemoveUserFromGroup::Response>> remove_user(Core& core, const aws::CallContext& context,
                                                                           wire::RemoveUserFromGroupRequest request) {
  const auto name = request.GroupName.value_or("");
  const auto group = core.entity(EntityKind::kGroup, context.principal.account, name);
  if (!group) co_return std::unexpected(missing(EntityKind::kGroup, name));
  EntityEdit edit = [group = group->name](Entity& user) -> aws::ApiResult<void> {
    std::erase(user.groups, group);
    return {};
  };
  const auto user = request.UserName.value_or("");
  auto none = missing(EntityKind::kUser, user);
  auto changed = co_await core.entities.change(entity_key(EntityKind::kUser, context.principal.account, user),
                                               std::move(none), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return wire::RemoveUserFromGroup::Response();
}

}  // namespace

void bind_groups(aws::Service& service, Core& core) {
  bind<wire::CreateGroup>(service, core, create_group);
  bind<wire::GetGroup>(service, core, get_group);
  bind<wire::DeleteGroup>(service, core, delete_group);
  bind<wire::ListGroups>(service, core, list_groups);
  bind<wire::AddUserToGroup>(service, core, add_user);
  bind<wire::RemoveUserFromGroup>(service, core, remove_user);
}

}  // namespace mayfly::iam
