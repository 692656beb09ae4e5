// API Gateway as the server is put together: the data path and its two control planes, HTTP APIs and REST APIs.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "app/front.h"
#include "app/gateway_ports.h"
#include "services/apigateway/apigateway.h"
#include "services/apigatewayv2/apigatewayv2.h"

namespace mayfly::app {

class HttpApis {
 public:
  // `sealed` keeps credentials encrypted: API keys are among its records.
  HttpApis(const GatewayParts& parts, store::KeyValue& records, store::KeyValue& sealed, Clock& time)
      : gateway_(parts.clock, gateway_ports(parts)), http_(records, time, gateway_), rest_(sealed, time, gateway_) {}

  [[nodiscard]] gateway::Gateway& gateway() { return gateway_; }
  [[nodiscard]] std::optional<std::string> resource_policy(std::string_view arn) const {
    return rest_.resource_policy(arn);
  }
  Awaitable<Result<void>> load();
  void start(Reactor& reactor) { rest_.start(reactor); }
  void serve_at(Front& front);
  // After the server's drain.
  Awaitable<void> stop();

 private:
  gateway::Gateway gateway_;
  apigatewayv2::ApiGateway http_;
  apigateway::RestApis rest_;
};

}  // namespace mayfly::app
