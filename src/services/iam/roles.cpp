// Roles, their trust policies, and roles that belong to a service.
#include <algorithm>
#include <array>

#include "base/encoding.h"
#include "base/ids.h"
#include "services/iam/linked_services.h"
#include "services/iam/shown.h"

namespace mayfly::iam {
namespace {

constexpr std::size_t kTrustLimit = 2048;

aws::ApiResult<void> check_trust(const Core& core, const std::string& document) {
  return check_document(core, document, identity::PolicyKind::kTrust, kTrustLimit, "ACLSizePerRole");
}

wire::Role shown_new(const Entity& role) {
  auto out = shown_role(role);
  out.MaxSessionDuration.reset();  // CreateRole does not tell it
  return out;
}

Awaitable<aws::ApiResult<wire::CreateRoleResponse>> create_role(Core& core, const aws::CallContext& context,
                                                                wire::CreateRoleRequest request) {
  const auto trust = request.AssumeRolePolicyDocument.value_or("");
  if (auto good = check_trust(core, trust); !good) co_return std::unexpected(std::move(good.error()));
  auto tags = read_tags(request.Tags);
  if (!tags) co_return std::unexpected(std::move(tags.error()));
  const auto boundary = request.PermissionsBoundary.value_or("");
  if (!boundary.empty() && !core.managed(boundary)) co_return refuse_missing_policy(boundary);
  const auto path = request.Path.value_or("/");
  if (path.starts_with("/aws-service-role/")) {
    co_return refuse(wire::errors::InvalidInputException,
                     "Cannot perform the operation on a reserved path; use CreateServiceLinkedRole.");
  }
  Entity role;
  role.kind = EntityKind::kRole;
  role.account = context.principal.account;
  role.name = request.RoleName.value_or("");
  role.path = path;
  role.id = new_id("AROA");
  role.created = core.now();
  role.tags = std::move(*tags);
  role.boundary = boundary;
  role.trust = trust;
  role.description = request.Description.value_or("");
  role.max_session_seconds = request.MaxSessionDuration.value_or(3600);
  auto created = co_await create_entity(core, std::move(role));
  if (!created) co_return std::unexpected(std::move(created.error()));
  wire::CreateRoleResponse out;
  out.Role = shown_new(**created);
  if (request.MaxSessionDuration) out.Role->MaxSessionDuration = request.MaxSessionDuration;
  co_return out;
}

Awaitable<aws::ApiResult<wire::GetRoleResponse>> get_role(Core& core, const aws::CallContext& context,
                                                          wire::GetRoleRequest request) {
  const auto name = request.RoleName.value_or("");
  const auto role = core.entity(EntityKind::kRole, context.principal.account, name);
  if (!role) co_return std::unexpected(missing(EntityKind::kRole, name));
  wire::GetRoleResponse out;
  out.Role = shown_role(*role);
  out.Role->RoleLastUsed.emplace();
  co_return out;
}

Awaitable<aws::ApiResult<wire::ListRolesResponse>> list_roles(Core& core, const aws::CallContext& context,
                                                              wire::ListRolesRequest request) {
  std::vector<wire::Role> all;
  for (const auto& role : core.all(EntityKind::kRole, context.principal.account)) {
    if (!role->path.starts_with(request.PathPrefix.value_or("/"))) continue;
    auto shown = shown_role(*role);
    shown.Tags.reset();
    shown.PermissionsBoundary.reset();
    all.push_back(std::move(shown));
  }
  const auto key_of = [](const wire::Role& role) { return to_lower(*role.RoleName); };
  wire::ListRolesResponse out;
  out.Roles = page(out, std::move(all), key_of, request);
  co_return out;
}

Awaitable<aws::ApiResult<EntityPtr>> change_role(Core& core, const aws::CallContext& context, std::string name,
                                                 EntityEdit edit) {
  EntityEdit guarded = [edit = std::move(edit)](Entity& role) -> aws::ApiResult<void> {
    if (!role.linked_service.empty()) {
      return refuse(wire::errors::UnmodifiableEntityException,
                    fmt::format("Cannot perform the operation on the protected role '{}' - this role is only "
                                "modifiable by AWS",
                                role.name));
    }
    return edit(role);
  };
  auto none = missing(EntityKind::kRole, name);
  co_return co_await core.entities.change(entity_key(EntityKind::kRole, context.principal.account, name),
                                          std::move(none), std::move(guarded));
}

Awaitable<aws::ApiResult<wire::UpdateAssumeRolePolicy::Response>> update_trust(
    Core& core, const aws::CallContext& context, wire::UpdateAssumeRolePolicyRequest request) {
  const auto trust = request.PolicyDocument.value_or("");
  if (auto good = check_trust(core, trust); !good) co_return std::unexpected(std::move(good.error()));
  EntityEdit edit = [trust](Entity& role) -> aws::ApiResult<void> {
    role.trust = trust;
    return {};
  };
  auto changed = co_await change_role(core, context, request.RoleName.value_or(""), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return wire::UpdateAssumeRolePolicy::Response();
}

Awaitable<aws::ApiResult<wire::UpdateRoleResponse>> update_role(Core& core, const aws::CallContext& context,
                                                                wire::UpdateRoleRequest request) {
  EntityEdit edit = [request](Entity& role) -> aws::ApiResult<void> {
    if (request.Description) role.description = *request.Description;
    if (request.MaxSessionDuration) role.max_session_seconds = *request.MaxSessionDuration;
    return {};
  };
  auto changed = co_await change_role(core, context, request.RoleName.value_or(""), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return wire::UpdateRoleResponse();
}

Awaitable<aws::ApiResult<wire::UpdateRoleDescriptionResponse>> update_description(
    Core& core, const aws::CallContext& context, wire::UpdateRoleDescriptionRequest request) {
  EntityEdit edit = [request](Entity& role) -> aws::ApiResult<void> {
    role.description = request.Description.value_or("");
    return {};
  };
  auto changed = co_await change_role(core, context, request.RoleName.value_or(""), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  wire::UpdateRoleDescriptionResponse out;
  out.Role = shown_role(**changed);
  co_return out;
}

Awaitable<aws::ApiResult<wire::DeleteRole::Response>> delete_role(Core& core, const aws::CallContext& context,
                                                                  wire::DeleteRoleRequest request) {
  const auto name = request.RoleName.value_or("");
  const auto role = core.entity(EntityKind::kRole, context.principal.account, name);
  if (role && !role->linked_service.empty()) {
    co_return refuse(wire::errors::UnmodifiableEntityException,
                     fmt::format("Cannot perform the operation on the protected role '{}' - this role is only "
                                 "modifiable by AWS",
                                 name));
  }
  auto erased = co_await erase_entity(core, EntityKind::kRole, context.principal.account, name);
  if (!erased) co_return std::unexpected(std::move(erased.error()));
  co_return wire::DeleteRole::Response();
}

Awaitable<aws::ApiResult<wire::CreateServiceLinkedRoleResponse>> create_linked(
    Core& core, const aws::CallContext& context, wire::CreateServiceLinkedRoleRequest request) {
  const auto service = request.AWSServiceName.value_or("");
  const auto* linked = find_linked_service(service);
  if (linked == nullptr) {
    co_return refuse(wire::errors::InvalidInputException,
                     fmt::format("Service linked roles are not known for {}.", service));
  }
  Entity role;
  role.kind = EntityKind::kRole;
  role.account = context.principal.account;
  role.name = linked->role;
  if (request.CustomSuffix) role.name += "_" + *request.CustomSuffix;
  role.path = fmt::format("/aws-service-role/{}/", service);
  role.id = new_id("AROA");
  role.created = core.now();
  role.description = request.Description.value_or("");
  role.linked_service = service;
  role.trust = fmt::format(
      R"({{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{{"Service":"{}"}},"Action":"sts:AssumeRole"}}]}})",
      service);
  role.attached.push_back(fmt::format("arn:aws:iam::aws:policy/aws-service-role/{}", linked->policy));
  const auto name = role.name;
  auto created = co_await core.entities.create(std::move(role));
  if (!created) {
    if (created.error().code != ErrorCode::kExists) co_return refuse_store(created.error());
    co_return refuse(
        wire::errors::InvalidInputException,
        fmt::format("Service role name {} has been taken in this account, please try a different suffix.", name));
  }
  wire::CreateServiceLinkedRoleResponse out;
  out.Role = shown_new(**created);
  co_return out;
}

Awaitable<aws::ApiResult<wire::DeleteServiceLinkedRoleResponse>> delete_linked(
    Core& core, const aws::CallContext& context, wire::DeleteServiceLinkedRoleRequest request) {
  const auto name = request.RoleName.value_or("");
  const auto role = core.entity(EntityKind::kRole, context.principal.account, name);
  if (!role || role->linked_service.empty()) co_return std::unexpected(missing(EntityKind::kRole, name));
  auto erased = co_await core.entities.erase(role->key());
  if (!erased) co_return refuse_store(erased.error());
  wire::DeleteServiceLinkedRoleResponse out;
  out.DeletionTaskId = fmt::format("task/aws-service-role/{}/{}/{}", role->linked_service, role->name, uuid4());
  co_return out;
}

Awaitable<aws::ApiResult<wire::GetServiceLinkedRoleDeletionStatusResponse>> linked_status(
    Core& core, const aws::CallContext& context, wire::GetServiceLinkedRoleDeletionStatusRequest request) {
  // "task/aws-service-role/<service>/<role>/<uuid>". Deletion is done when it is answered.
  const auto task = request.DeletionTaskId.value_or("");
  const auto last = task.rfind('/');
  const auto before = last == std::string::npos || last == 0 ? std::string::npos : task.rfind('/', last - 1);
  if (!task.starts_with("task/") || before == std::string::npos) {
    co_return refuse(wire::errors::NoSuchEntityException, fmt::format("Deletion task {} cannot be found.", task));
  }
  const auto name = task.substr(before + 1, last - before - 1);
  wire::GetServiceLinkedRoleDeletionStatusResponse out;
  out.Status = core.entity(EntityKind::kRole, context.principal.account, name) ? "IN_PROGRESS" : "SUCCEEDED";
  co_return out;
}

// There are no machines here that could have a profile; deploy tools ask all the same before they delete a role.
Awaitable<aws::ApiResult<wire::ListInstanceProfilesForRoleResponse>> profiles_for_role(
    Core& core, const aws::CallContext& context, wire::ListInstanceProfilesForRoleRequest request) {
  const auto name = request.RoleName.value_or("");
  if (!core.entity(EntityKind::kRole, context.principal.account, name)) {
    co_return std::unexpected(missing(EntityKind::kRole, name));
  }
  wire::ListInstanceProfilesForRoleResponse out;
  out.InstanceProfiles.emplace();
  out.IsTruncated = false;
  co_return out;
}

Awaitable<aws::ApiResult<wire::ListInstanceProfilesResponse>> profiles(Core&, const aws::CallContext&,
                                                                       wire::ListInstanceProfilesRequest) {
  wire::ListInstanceProfilesResponse out;
  out.InstanceProfiles.emplace();
  out.IsTruncated = false;
  co_return out;
}

Awaitable<aws::ApiResult<wire::ListAccountAliasesResponse>> aliases(Core&, const aws::CallContext&,
                                                                    wire::ListAccountAliasesRequest) {
  wire::ListAccountAliasesResponse out;
  out.AccountAliases.emplace();
  out.IsTruncated = false;
  co_return out;
}

}  // namespace

void bind_roles(aws::Service& service, Core& core) {
  bind<wire::CreateRole>(service, core, create_role);
  bind<wire::GetRole>(service, core, get_role);
  bind<wire::ListRoles>(service, core, list_roles);
  bind<wire::UpdateAssumeRolePolicy>(service, core, update_trust);
  bind<wire::UpdateRole>(service, core, update_role);
  bind<wire::UpdateRoleDescription>(service, core, update_description);
  bind<wire::DeleteRole>(service, core, delete_role);
  bind<wire::CreateServiceLinkedRole>(service, core, create_linked);
  bind<wire::DeleteServiceLinkedRole>(service, core, delete_linked);
  bind<wire::GetServiceLinkedRoleDeletionStatus>(service, core, linked_status);
  bind<wire::ListInstanceProfilesForRole>(service, core, profiles_for_role);
  bind<wire::ListInstanceProfiles>(service, core, profiles);
  bind<wire::ListAccountAliases>(service, core, aliases);
}

}  // namespace mayfly::iam
