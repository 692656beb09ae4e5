#include "services/apigateway/apigateway.h"

#include <set>

#include "services/apigateway/compile.h"
#include "services/apigateway/core.h"

namespace mayfly::apigateway {

struct RestApis::Impl {
  Impl(store::KeyValue& records, Clock& clock, gateway::Gateway& gateway) : core(records, clock, gateway) {
    bind_apis(service, core);
    bind_imports(service, core);
    bind_resources(service, core);
    bind_methods(service, core);
    bind_integrations(service, core);
    bind_authorizers(service, core);
    bind_answers(service, core);
    bind_deployments(service, core);
    bind_stages(service, core);
    bind_keys(service, core);
    bind_plans(service, core);
    bind_tags(service, core);
  }
  Core core;
  aws::Service service{wire::service()};
};

RestApis::RestApis(store::KeyValue& records, Clock& clock, gateway::Gateway& gateway)
    : impl_(std::make_unique<Impl>(records, clock, gateway)) {}
RestApis::~RestApis() = default;

aws::Service& RestApis::service() { return impl_->service; }

Awaitable<Result<void>> RestApis::load() {
  auto& core = impl_->core;
  auto loaded = co_await core.deployments.load();
  if (loaded) loaded = co_await core.apis.load();
  if (loaded) loaded = co_await core.keys.load();
  if (loaded) loaded = co_await core.plans.load();
  std::set<std::string> known;
  for (const auto& plan : core.plans.list(std::string(PlanRecord::kPrefix))) {
    for (const auto& id : plan->keys) known.insert(usage_key(plan->id(), id));
  }
  UsageWriter::IsKnown is_known = [&known](const std::string& plan, const std::string& key) {
    return known.contains(usage_key(plan, key));
  };
  if (loaded) loaded = co_await core.usage.load(std::move(is_known));
  if (!loaded) co_return loaded;
  core.loaded = true;
  for (const auto& api : core.apis.list(std::string(ApiRecord::kPrefix))) core.publish(api->key());
  co_return loaded;
}

void RestApis::start(Reactor& reactor) { impl_->core.usage.start(reactor); }

Awaitable<void> RestApis::stop() { return impl_->core.usage.stop(); }

std::optional<std::string> RestApis::resource_policy(std::string_view arn) const {
  // arn:aws:execute-api:<region>:<account>:<api>/<stage>/...
  std::vector<std::string> parts;
  constexpr std::size_t kParts = 6;
  while (parts.size() + 1 < kParts) {
    const auto colon = arn.find(':');
    if (colon == std::string_view::npos) return std::nullopt;
    parts.emplace_back(arn.substr(0, colon));
    arn.remove_prefix(colon + 1);
  }
  const auto slash = arn.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto rest = arn.substr(slash + 1);
  const auto& core = impl_->core;
  const auto record = core.apis.find(api_key(parts[4], parts[3], arn.substr(0, slash)));
  if (!record) return std::nullopt;
  const auto stage = record->stages.find(std::string(rest.substr(0, rest.find('/'))));
  if (stage == record->stages.end()) return std::nullopt;
  const auto deployed = core.deployments.find(deployment_key(record->id(), stage->second.deploymentId.value_or("")));
  if (!deployed || !deployed->configuration.policy) return std::nullopt;
  return whole_policy(*record, *deployed->configuration.policy);
}

}  // namespace mayfly::apigateway
