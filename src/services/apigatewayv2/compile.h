// Records to plans: what the gateway serves.
#pragma once

#include "gateway/plan.h"
#include "services/apigatewayv2/core.h"

namespace mayfly::apigatewayv2 {

gateway::ApiPtr compile(Core& core, const ApiRecord& record);
gateway::DomainPtr compile(const DomainRecord& record);

}  // namespace mayfly::apigatewayv2
