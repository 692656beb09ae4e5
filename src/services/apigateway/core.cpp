#include "services/apigateway/core.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/time_format.h"
#include "services/apigateway/compile.h"

namespace mayfly::apigateway {

Core::Core(store::KeyValue& records, Clock& clock_in, gateway::Gateway& gateway_in)
    : clock(clock_in),
      gateway(gateway_in),
      apis(records),
      deployments(records),
      keys(records),
      plans(records),
      usage(records, gateway_in.usage()) {
  apis.on_change([this](const std::string& key) { publish(key); });
  keys.on_change([this](const std::string& key) { publish_key(key); });
  plans.on_change([this](const std::string& key) { publish_plan(key); });
}

double Core::now() const { return static_cast<double>(static_cast<std::int64_t>(epoch_seconds(clock.now()))); }

void Core::publish(const std::string& key) {
  if (!loaded) return;
  const std::lock_guard lock(publishing_);
  const auto record = apis.find(key);
  if (record) {
    gateway.publish(compile(*this, *record));
  } else {
    gateway.withdraw(key.substr(key.rfind('/') + 1));
  }
}

void Core::publish_key(const std::string& key) {
  const std::lock_guard lock(publishing_);
  const auto record = keys.find(key);
  // "apigateway/key/<account>/<region>/<id>"
  const auto scope = key.substr(KeyRecord::kPrefix.size(), key.rfind('/') - KeyRecord::kPrefix.size());
  if (record && !record->value.empty()) {
    const auto hash = gateway::Usage::hash_of(record->value);
    hashes_[key] = hash;
    gateway.usage().set_key(scope, hash, {.id = record->id(), .enabled = record->shown.enabled.value_or(false)});
  } else if (const auto known = hashes_.find(key); known != hashes_.end()) {
    gateway.usage().remove_key(scope, known->second);
    hashes_.erase(known);
  }
}

void Core::publish_plan(const std::string& key) {
  const std::lock_guard lock(publishing_);
  const auto record = plans.find(key);
  if (record) {
    gateway.usage().set_plan(compiled(*record));
  } else {
    gateway.usage().remove_plan(key.substr(key.rfind('/') + 1));
  }
}

aws::ApiResult<ApiPtr> Core::api(const aws::CallContext& context, const std::optional<std::string>& id) const {
  auto found = apis.find(api_key(context.principal.account, context.region, id.value_or("")));
  if (!found) {
    return refuse(wire::errors::NotFoundException,
                  fmt::format("Invalid API identifier specified {}:{}", context.principal.account, id.value_or("")));
  }
  return found;
}

Awaitable<aws::ApiResult<ApiPtr>> change_api(Core& core, const aws::CallContext& context, std::string api_id,
                                             ApiEdit edit) {
  const std::optional<std::string> id = api_id;
  auto found = core.api(context, id);
  if (!found) co_return std::unexpected(std::move(found.error()));
  auto missing = refuse_missing("API").error();
  auto key = (*found)->key();
  // Whatever is changed, an authorizer's answers from before it are not used after it.
  ApiEdit counted = [edit = std::move(edit)](ApiRecord& record) -> aws::ApiResult<void> {
    ++record.generation;
    return edit(record);
  };
  co_return co_await core.apis.change(std::move(key), std::move(missing), std::move(counted));
}

std::unexpected<aws::ApiError> refuse_input(std::string message) {
  return refuse(wire::errors::BadRequestException, std::move(message));
}

std::unexpected<aws::ApiError> refuse_unsupported(std::string_view setting, std::string_view why) {
  return refuse_input(fmt::format("{} is not supported: {}", setting, why));
}

std::unexpected<aws::ApiError> refuse_missing(std::string_view kind) {
  return refuse(wire::errors::NotFoundException, fmt::format("Invalid {} specified", kind));
}

std::unexpected<aws::ApiError> refuse_limit(std::string_view quota, std::size_t limit) {
  return refuse(wire::errors::LimitExceededException, fmt::format("Maximum number of {} reached: {}", quota, limit));
}

aws::ApiResult<void> check_roles(const aws::CallContext& context, const aws::OperationModel& operation,
                                 json::object request, const Strings& roles) {
  return services::check_passed_roles(context, wire::service(), operation, std::move(request), "roles", roles);
}

aws::ApiResult<wire::Resource*> resource_of(Configuration& configuration, const std::optional<std::string>& id) {
  const auto found = configuration.resources.find(id.value_or(""));
  if (found == configuration.resources.end()) return refuse_missing("Resource identifier");
  return &found->second;
}

aws::ApiResult<wire::Method*> method_of(Configuration& configuration, const std::optional<std::string>& resource_id,
                                        const std::optional<std::string>& method) {
  auto resource = resource_of(configuration, resource_id);
  if (!resource) return std::unexpected(std::move(resource.error()));
  auto* found = find_pair((*resource)->resourceMethods, method.value_or(""));
  if (found == nullptr) return refuse_missing("Method identifier");
  return found;
}

aws::ApiResult<wire::Integration*> integration_of(Configuration& configuration,
                                                  const std::optional<std::string>& resource_id,
                                                  const std::optional<std::string>& method) {
  auto resource = resource_of(configuration, resource_id);
  if (!resource) return std::unexpected(std::move(resource.error()));
  auto* found = find_pair((*resource)->resourceMethods, method.value_or(""));
  // Whether the method or its integration is missing: the same words.
  if (found == nullptr || !found->methodIntegration) return refuse_missing("Integration identifier");
  return &*found->methodIntegration;
}

}  // namespace mayfly::apigateway
