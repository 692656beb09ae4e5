// API Gateway v2: the control plane of HTTP APIs and WebSocket APIs. What it keeps is compiled and published to the
// gateway, which serves.
//
// Operation.   Each API is one record, changed by one durable compare-and-set; after each change its plan is compiled
//              and published whole. A stage that deploys automatically serves the API as it is; another one serves what
//              its deployment holds.
// Concurrency. Any reactor; nothing is locked across a wait.
// Limits.      600 APIs, 120 domain names; of an API 10,000 routes and integrations, 10 authorizers, 10 stages, 100
//              deployments.
// Recovery.    load() reads all records and publishes them.
#pragma once

#include <memory>

#include "aws/api.h"
#include "base/async.h"
#include "base/clock.h"
#include "gateway/gateway.h"
#include "store/key_value.h"

namespace mayfly::apigatewayv2 {

class ApiGateway {
 public:
  ApiGateway(store::KeyValue& store, Clock& clock, gateway::Gateway& gateway);
  ~ApiGateway();
  ApiGateway(const ApiGateway&) = delete;
  ApiGateway& operator=(const ApiGateway&) = delete;

  Awaitable<Result<void>> load();
  [[nodiscard]] aws::Service& service();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mayfly::apigatewayv2
