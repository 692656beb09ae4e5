// Decisions about execute-api:Invoke that are made in the gateway: by an API's own policy and by what an authorizer's
// function answered. Both in one account, so that either may allow and each may deny, as documented.
#pragma once

#include <string>

#include "gateway/exchange.h"
#include "identity/policy_decision.h"

namespace mayfly::gateway {

// Of a caller who has not said who they are. Only where there is a policy.
identity::Decision decide_anonymously(const Exchange& exchange);
// Of whoever the authorizer's policy is for. A policy that does not parse allows nothing.
identity::Decision decide_by_authorizer(const Exchange& exchange, const std::string& policy);

// "arn:aws:execute-api:us-east-1:********0000:api/stage/GET/x", as refusals show it.
std::string masked_arn(const Exchange& exchange);

}  // namespace mayfly::gateway
