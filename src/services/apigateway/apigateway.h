// API Gateway v1: the control plane of REST APIs. What it keeps is compiled and published to the gateway, which serves.
//
// Operation.   Each API is one record, changed by one durable compare-and-set; after each change its plan is compiled
//              and published whole. A stage serves what its deployment holds; its own settings hold at once.
// Concurrency. Any reactor; nothing is locked across a wait.
// Limits.      600 APIs; 10,000 API keys, 300 usage plans; of an API 300 resources, 10 authorizers, 10 stages, 100
// deployments. Recovery.    load() reads all records and publishes them.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "aws/api.h"
#include "base/async.h"
#include "base/clock.h"
#include "gateway/gateway.h"
#include "store/key_value.h"

namespace mayfly::apigateway {

class RestApis {
 public:
  // `records` holds keys and is one that keeps them sealed.
  RestApis(store::KeyValue& records, Clock& clock, gateway::Gateway& gateway);
  ~RestApis();
  RestApis(const RestApis&) = delete;
  RestApis& operator=(const RestApis&) = delete;

  Awaitable<Result<void>> load();
  // What API keys use is written down from now on, until stop().
  void start(Reactor& reactor);
  Awaitable<void> stop();
  [[nodiscard]] aws::Service& service();
  // The policy that a deployed API has, by the ARN of a request to it ("arn:aws:execute-api:...:api/stage/GET/x").
  [[nodiscard]] std::optional<std::string> resource_policy(std::string_view arn) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mayfly::apigateway
