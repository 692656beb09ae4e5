// What the gateway asks of the rest of the server.
#pragma once

#include "app/front.h"
#include "gateway/gateway.h"
#include "gateway/outbound.h"
#include "observe/log_store.h"
#include "services/lambda/lambda.h"

namespace mayfly::app {

// All of them outlive the gateway. `front` is looked up at each call: it is made after the gateway.
struct GatewayParts {
  Clock& clock;
  lambda::Lambda& lambda;
  observe::LogStore& logs;
  const std::atomic<Front*>& front;
  gateway::LinkLocal link_local = gateway::LinkLocal::kRefused;
};
gateway::Ports gateway_ports(const GatewayParts& parts);

}  // namespace mayfly::app
