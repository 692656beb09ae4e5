// Users and their access keys.
#include <algorithm>

#include "base/encoding.h"
#include "services/iam/shown.h"

namespace mayfly::iam {
namespace {

constexpr std::size_t kMostKeys = 2;

Awaitable<aws::ApiResult<wire::CreateUserResponse>> create_user(Core& core, const aws::CallContext& context,
                                                                wire::CreateUserRequest request) {
  auto tags = read_tags(request.Tags);
  if (!tags) co_return std::unexpected(std::move(tags.error()));
  const auto boundary = request.PermissionsBoundary.value_or("");
  if (!boundary.empty() && !core.managed(boundary)) co_return refuse_missing_policy(boundary);
  Entity user;
  user.kind = EntityKind::kUser;
  user.account = context.principal.account;
  user.name = request.UserName.value_or("");
  user.path = request.Path.value_or("/");
  user.id = new_id("AIDA");
  user.created = core.now();
  user.tags = std::move(*tags);
  user.boundary = boundary;
  auto created = co_await create_entity(core, std::move(user));
  if (!created) co_return std::unexpected(std::move(created.error()));
  wire::CreateUserResponse out;
  out.User = shown_user(**created);
  co_return out;
}

Awaitable<aws::ApiResult<wire::GetUserResponse>> get_user(Core& core, const aws::CallContext& context,
                                                          wire::GetUserRequest request) {
  wire::GetUserResponse out;
  const bool own = !request.UserName || request.UserName->empty();
  if (own && context.who && context.who->caller.kind == identity::Caller::Kind::kRoot) {
    wire::User root;
    root.UserId = context.principal.account;
    root.Arn = context.principal.arn;
    root.CreateDate = 0.0;
    out.User = std::move(root);
    co_return out;
  }
  auto name = user_name(context, request.UserName);
  if (!name) co_return std::unexpected(std::move(name.error()));
  const auto user = core.entity(EntityKind::kUser, context.principal.account, *name);
  if (!user) co_return std::unexpected(missing(EntityKind::kUser, *name));
  out.User = shown_user(*user);
  co_return out;
}

Awaitable<aws::ApiResult<wire::UpdateUser::Response>> update_user(Core& core, const aws::CallContext& context,
                                                                  wire::UpdateUserRequest request) {
  const auto name = request.UserName.value_or("");
  if (request.NewUserName && !iequals(*request.NewUserName, name)) {
    // A record's name is its key; to move it would take two writes.
    co_return refuse(aws::common_errors::NotImplemented, "NewUserName is not implemented: make a new user");
  }
  EntityEdit edit = [path = request.NewPath](Entity& user) -> aws::ApiResult<void> {
    if (path) user.path = *path;
    return {};
  };
  auto none = missing(EntityKind::kUser, name);
  auto changed = co_await core.entities.change(entity_key(EntityKind::kUser, context.principal.account, name),
                                               std::move(none), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return wire::UpdateUser::Response();
}

Awaitable<aws::ApiResult<wire::DeleteUser::Response>> delete_user(Core& core, const aws::CallContext& context,
                                                                  wire::DeleteUserRequest request) {
  const auto name = request.UserName.value_or("");
  auto erased = co_await erase_entity(core, EntityKind::kUser, context.principal.account, name);
  if (!erased) co_return std::unexpected(std::move(erased.error()));
  co_return wire::DeleteUser::Response();
}

Awaitable<aws::ApiResult<wire::ListUsersResponse>> list_users(Core& core, const aws::CallContext& context,
                                                              wire::ListUsersRequest request) {
  std::vector<wire::User> all;
  for (const auto& user : core.all(EntityKind::kUser, context.principal.account)) {
    if (user->path.starts_with(request.PathPrefix.value_or("/"))) all.push_back(shown_user(*user));
  }
  wire::ListUsersResponse out;
  const auto key_of = [](const wire::User& user) { return to_lower(*user.UserName); };
  out.Users = page(out, std::move(all), key_of, request);
  co_return out;
}

Awaitable<aws::ApiResult<wire::CreateAccessKeyResponse>> create_access_key(Core& core, const aws::CallContext& context,
                                                                           wire::CreateAccessKeyRequest request) {
  auto name = user_name(context, request.UserName);
  if (!name) co_return std::unexpected(std::move(name.error()));
  const AccessKeyRecord key{.id = new_id("AKIA").substr(0, 20), .active = true, .created = core.now()};
  EntityEdit edit = [key](Entity& user) -> aws::ApiResult<void> {
    if (user.access_keys.size() >= kMostKeys) {
      return refuse(wire::errors::LimitExceededException, "Cannot exceed quota for AccessKeysPerUser: 2");
    }
    user.access_keys.push_back(key);
    return {};
  };
  auto none = missing(EntityKind::kUser, *name);
  auto changed = co_await core.entities.change(entity_key(EntityKind::kUser, context.principal.account, *name),
                                               std::move(none), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  wire::AccessKey shown;
  shown.UserName = (*changed)->name;
  shown.AccessKeyId = key.id;
  shown.Status = "Active";
  shown.SecretAccessKey = core.key.secret_of(key.id);
  shown.CreateDate = key.created;
  wire::CreateAccessKeyResponse out;
  out.AccessKey = std::move(shown);
  co_return out;
}

std::unexpected<aws::ApiError> refuse_missing_key(const std::string& id) {
  return refuse(wire::errors::NoSuchEntityException, fmt::format("The Access Key with id {} cannot be found.", id));
}

Awaitable<aws::ApiResult<wire::UpdateAccessKey::Response>> update_access_key(Core& core,
                                                                             const aws::CallContext& context,
                                                                             wire::UpdateAccessKeyRequest request) {
  auto name = user_name(context, request.UserName);
  if (!name) co_return std::unexpected(std::move(name.error()));
  const auto id = request.AccessKeyId.value_or("");
  const bool active = request.Status == "Active";
  EntityEdit edit = [id, active](Entity& user) -> aws::ApiResult<void> {
    const auto found = std::ranges::find(user.access_keys, id, &AccessKeyRecord::id);
    if (found == user.access_keys.end()) return refuse_missing_key(id);
    found->active = active;
    return {};
  };
  auto none = missing(EntityKind::kUser, *name);
  auto changed = co_await core.entities.change(entity_key(EntityKind::kUser, context.principal.account, *name),
                                               std::move(none), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return wire::UpdateAccessKey::Response();
}

Awaitable<aws::ApiResult<wire::DeleteAccessKey::Response>> delete_access_key(Core& core,
                                                                             const aws::CallContext& context,
                                                                             wire::DeleteAccessKeyRequest request) {
  auto name = user_name(context, request.UserName);
  if (!name) co_return std::unexpected(std::move(name.error()));
  const auto id = request.AccessKeyId.value_or("");
  EntityEdit edit = [id](Entity& user) -> aws::ApiResult<void> {
    if (std::erase_if(user.access_keys, [&](const auto& key) { return key.id == id; }) == 0) {
      return refuse_missing_key(id);
    }
    return {};
  };
  auto none = missing(EntityKind::kUser, *name);
  auto changed = co_await core.entities.change(entity_key(EntityKind::kUser, context.principal.account, *name),
                                               std::move(none), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return wire::DeleteAccessKey::Response();
}

Awaitable<aws::ApiResult<wire::ListAccessKeysResponse>> list_access_keys(Core& core, const aws::CallContext& context,
                                                                         wire::ListAccessKeysRequest request) {
  auto name = user_name(context, request.UserName);
  if (!name) co_return std::unexpected(std::move(name.error()));
  const auto user = core.entity(EntityKind::kUser, context.principal.account, *name);
  if (!user) co_return std::unexpected(missing(EntityKind::kUser, *name));
  std::vector<wire::AccessKeyMetadata> all;
  for (const auto& key : user->access_keys) {
    wire::AccessKeyMetadata one;
    one.UserName = user->name;
    one.AccessKeyId = key.id;
    one.Status = key.active ? "Active" : "Inactive";
    one.CreateDate = key.created;
    all.push_back(std::move(one));
  }
  const auto key_of = [](const wire::AccessKeyMetadata& key) { return *key.AccessKeyId; };
  std::ranges::sort(all, {}, key_of);
  wire::ListAccessKeysResponse out;
  out.AccessKeyMetadata = page(out, std::move(all), key_of, request);
  co_return out;
}

Awaitable<aws::ApiResult<wire::ListGroupsForUserResponse>> list_groups_for_user(
    Core& core, const aws::CallContext& context, wire::ListGroupsForUserRequest request) {
  const auto name = request.UserName.value_or("");
  const auto user = core.entity(EntityKind::kUser, context.principal.account, name);
  if (!user) co_return std::unexpected(missing(EntityKind::kUser, name));
  std::vector<wire::Group> all;
  for (const auto& group : user->groups) {
    const auto record = core.entity(EntityKind::kGroup, user->account, group);
    if (record) all.push_back(shown_group(*record));
  }
  const auto key_of = [](const wire::Group& group) { return to_lower(*group.GroupName); };
  std::ranges::sort(all, {}, key_of);
  wire::ListGroupsForUserResponse out;
  out.Groups = page(out, std::move(all), key_of, request);
  co_return out;
}

}  // namespace

void bind_users(aws::Service& service, Core& core) {
  bind<wire::CreateUser>(service, core, create_user);
  bind<wire::GetUser>(service, core, get_user);
  bind<wire::UpdateUser>(service, core, update_user);
  bind<wire::DeleteUser>(service, core, delete_user);
  bind<wire::ListUsers>(service, core, list_users);
  bind<wire::CreateAccessKey>(service, core, create_access_key);
  bind<wire::UpdateAccessKey>(service, core, update_access_key);
  bind<wire::DeleteAccessKey>(service, core, delete_access_key);
  bind<wire::ListAccessKeys>(service, core, list_access_keys);
  bind<wire::ListGroupsForUser>(service, core, list_groups_for_user);
}

}  // namespace mayfly::iam
