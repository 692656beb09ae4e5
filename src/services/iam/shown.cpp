#include "services/iam/shown.h"

#include "base/encoding.h"

namespace mayfly::iam {
namespace {

std::optional<wire::AttachedPermissionsBoundary> shown_boundary(const Entity& entity) {
  if (entity.boundary.empty()) return std::nullopt;
  wire::AttachedPermissionsBoundary out;
  out.PermissionsBoundaryType = "Policy";
  out.PermissionsBoundaryArn = entity.boundary;
  return out;
}

std::string titled(EntityKind kind) {
  std::string out(kind_name(kind));
  out.front() = static_cast<char>(out.front() - 32);
  return out;
}

}  // namespace

wire::User shown_user(const Entity& user) {
  wire::User out;
  out.Path = user.path;
  out.UserName = user.name;
  out.UserId = user.id;
  out.Arn = user.arn();
  out.CreateDate = user.created;
  out.PermissionsBoundary = shown_boundary(user);
  out.Tags = some_tags(user.tags);
  return out;
}

wire::Role shown_role(const Entity& role) {
  wire::Role out;
  out.Path = role.path;
  out.RoleName = role.name;
  out.RoleId = role.id;
  out.Arn = role.arn();
  out.CreateDate = role.created;
  out.AssumeRolePolicyDocument = shown_document(role.trust);
  if (!role.description.empty()) out.Description = role.description;
  out.MaxSessionDuration = role.max_session_seconds;
  out.PermissionsBoundary = shown_boundary(role);
  out.Tags = some_tags(role.tags);
  return out;
}

wire::Group shown_group(const Entity& group) {
  wire::Group out;
  out.Path = group.path;
  out.GroupName = group.name;
  out.GroupId = group.id;
  out.Arn = group.arn();
  out.CreateDate = group.created;
  return out;
}

aws::ApiResult<void> check_deletable(const Entity& entity) {
  const auto conflict = [](std::string_view what) {
    return refuse(wire::errors::DeleteConflictException, fmt::format("Cannot delete entity, must {} first.", what));
  };
  if (!entity.attached.empty()) return conflict("detach all policies");
  if (!entity.inline_policies.empty()) return conflict("delete policies");
  if (!entity.access_keys.empty()) return conflict("delete access keys");
  if (!entity.groups.empty()) return conflict("remove users from group");
  return {};
}

aws::ApiResult<std::string> user_name(const aws::CallContext& context, const std::optional<std::string>& named) {
  if (named && !named->empty()) return *named;
  if (context.who && context.who->caller.kind == identity::Caller::Kind::kUser) return context.who->username;
  return refuse(aws::common_errors::ValidationException,
                "Must specify userName when calling with non-User credentials");
}

Awaitable<aws::ApiResult<EntityPtr>> create_entity(Core& core, Entity entity) {
  const auto kind = entity.kind;
  const auto name = entity.name;
  auto created = co_await core.entities.create(std::move(entity));
  if (!created) {
    if (created.error().code != ErrorCode::kExists) co_return refuse_store(created.error());
    co_return refuse(wire::errors::EntityAlreadyExistsException,
                     fmt::format("{} with name {} already exists.", titled(kind), name));
  }
  co_return std::move(*created);
}

Awaitable<aws::ApiResult<void>> erase_entity(Core& core, EntityKind kind, std::string account, std::string name) {
  const auto entity = core.entity(kind, account, name);
  if (!entity) co_return std::unexpected(missing(kind, name));
  if (auto good = check_deletable(*entity); !good) co_return good;
  auto erased = co_await core.entities.erase(entity->key());
  if (!erased) co_return refuse_store(erased.error());
  if (!*erased) co_return std::unexpected(missing(kind, name));
  co_return aws::ApiResult<void>();
}

}  // namespace mayfly::iam
