#include "app/http_apis.h"

namespace mayfly::app {

Awaitable<Result<void>> HttpApis::load() {
  auto loaded = co_await http_.load();
  if (loaded) loaded = co_await rest_.load();
  co_return loaded;
}

void HttpApis::serve_at(Front& front) {
  // Both sign for one name; what lies below /v2/ is of HTTP APIs.
  front.add_service("apigateway", rest_.service());
  front.add_service_below("apigateway", "/v2/", http_.service());
  front.set_gateway(gateway_);
}

Awaitable<void> HttpApis::stop() {
  co_await gateway_.stop();
  co_await rest_.stop();
}

}  // namespace mayfly::app
