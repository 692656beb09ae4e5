// Records as responses show them.
#pragma once

#include "services/iam/core.h"

namespace mayfly::iam {

wire::User shown_user(const Entity& user);
wire::Role shown_role(const Entity& role);
wire::Group shown_group(const Entity& group);

// What stands in the way of deleting an entity, or nothing.
aws::ApiResult<void> check_deletable(const Entity& entity);
// The user that a request is about: the named one, or the caller.
aws::ApiResult<std::string> user_name(const aws::CallContext& context, const std::optional<std::string>& named);
// Creates an entity; EntityAlreadyExists in the words of its kind.
Awaitable<aws::ApiResult<EntityPtr>> create_entity(Core& core, Entity entity);
Awaitable<aws::ApiResult<void>> erase_entity(Core& core, EntityKind kind, std::string account, std::string name);

}  // namespace mayfly::iam
