// Records to what the gateway serves.
#pragma once

#include <string>

#include "services/apigateway/core.h"

namespace mayfly::apigateway {

gateway::ApiPtr compile(Core& core, const ApiRecord& record);
// The API's policy with its short resources ("execute-api:/stage/GET/pets") written out as ARNs.
std::string whole_policy(const ApiRecord& record, const std::string& policy);
// An API with nothing but its root.
ApiRecord new_api(const aws::CallContext& context, double now);

}  // namespace mayfly::apigateway
