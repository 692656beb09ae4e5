// Records to plans: what the gateway serves.
#pragma once

#include "gateway/plan.h"
#include "services/apigatewayv2/core.h"

namespace mayfly::apigatewayv2 {

gateway::ApiPtr compile(Core& core, const ApiRecord& record);
gateway::DomainPtr compile(const DomainRecord& record);
// Routes of a stage of a WebSocket API.
void add_web_socket_routes(Core& core, const ApiRecord& record, const wire::Stage& stage,
                           const Configuration& configuration, gateway::Stage& out);
// A route's own limit on a stage; null where it has none.
std::shared_ptr<TokenBucket> route_bucket(Core& core, const ApiRecord& record, const wire::Stage& stage,
                                          const std::string& route_key);

}  // namespace mayfly::apigatewayv2
