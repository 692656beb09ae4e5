#include "services/apigatewayv2/apigatewayv2.h"

#include "services/apigatewayv2/core.h"

namespace mayfly::apigatewayv2 {

struct ApiGateway::Impl {
  Impl(store::KeyValue& store, Clock& clock, gateway::Gateway& gateway) : core(store, clock, gateway) {
    bind_apis(service, core);
    bind_routes(service, core);
    bind_integrations(service, core);
    bind_authorizers(service, core);
    bind_stages(service, core);
    bind_deployments(service, core);
    bind_domains(service, core);
    bind_tags(service, core);
    bind_open_api(service, core);
    bind_route_responses(service, core);
    bind_integration_responses(service, core);
  }
  Core core;
  aws::Service service{wire::service()};
};

ApiGateway::ApiGateway(store::KeyValue& store, Clock& clock, gateway::Gateway& gateway)
    : impl_(std::make_unique<Impl>(store, clock, gateway)) {}
ApiGateway::~ApiGateway() = default;

aws::Service& ApiGateway::service() { return impl_->service; }

Awaitable<Result<void>> ApiGateway::load() {
  auto& core = impl_->core;
  auto loaded = co_await core.deployments.load();
  if (loaded) loaded = co_await core.apis.load();
  if (loaded) loaded = co_await core.domains.load();
  if (!loaded) co_return loaded;
  core.loaded = true;
  for (const auto& api : core.apis.list(std::string(ApiRecord::kPrefix))) core.publish_api(api->key());
  for (const auto& domain : core.domains.list(std::string(DomainRecord::kPrefix))) core.publish_domain(domain->key());
  co_return loaded;
}

}  // namespace mayfly::apigatewayv2
