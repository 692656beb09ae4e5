// Statements of resource policies, as AddPermission makes them and GetPolicy shows them.
#pragma once

#include <string>

#include "services/lambda/core.h"

namespace mayfly::lambda {

// kExists of a statement id as ResourceConflictException.
aws::ApiResult<void> add_statement(Policy& policy, json::object statement);
// False where no statement has that id.
bool remove_statement(Policy& policy, std::string_view statement_id);
// "*", {"Service": ...} or {"AWS": ...}; an error where the text is no principal.
aws::ApiResult<json::value> principal_value(const std::string& principal);

}  // namespace mayfly::lambda
