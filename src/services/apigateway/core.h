// What the service's operations work with. Operations are free coroutines, one file for each topic.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gateway/gateway.h"
#include "services/apigateway/apigateway.h"
#include "services/apigateway/key_records.h"
#include "services/apigateway/patch.h"
#include "services/apigateway/records.h"
#include "services/apigateway/usage_writer.h"
#include "services/documents.h"
#include "services/operation.h"
#include "services/record_table.h"

namespace mayfly::apigateway {

using ApiPtr = std::shared_ptr<const ApiRecord>;
using KeyPtr = std::shared_ptr<const KeyRecord>;
using KeyEdit = services::RecordTable<KeyRecord>::Edit;
using PlanPtr = std::shared_ptr<const PlanRecord>;
using PlanEdit = services::RecordTable<PlanRecord>::Edit;
using ApiEdit = services::RecordTable<ApiRecord>::Edit;
using Pairs = gateway::Pairs;
using Strings = std::vector<std::string>;
using Patches = std::vector<wire::PatchOperation>;

inline constexpr std::size_t kMostApis = 600;  // of an account and region
inline constexpr std::size_t kMostResources = 300;
inline constexpr std::size_t kMostAuthorizers = 10;
inline constexpr std::size_t kMostStages = 10;
inline constexpr std::size_t kMostDeployments = 100;
inline constexpr std::size_t kMostKeys = 10'000;  // of an account and region, and of a plan
inline constexpr std::size_t kMostPlans = 300;
inline constexpr std::size_t kMostTags = 50;
inline constexpr std::size_t kLongestPolicy = 8'192;
// Credentials of an integration that are the caller's own.
inline constexpr std::string_view kCallerCredentials = "arn:aws:iam::*:user/*";
inline constexpr std::int32_t kLongestTimeout = 29'000;

struct Core {
  Core(store::KeyValue& records, Clock& clock_in, gateway::Gateway& gateway_in);

  Clock& clock;
  gateway::Gateway& gateway;
  services::RecordTable<ApiRecord> apis;
  services::RecordTable<DeploymentRecord> deployments;
  services::RecordTable<KeyRecord> keys;
  services::RecordTable<PlanRecord> plans;
  UsageWriter usage;
  std::atomic<bool> loaded{false};  // nothing is published before: an API needs its deployments

  [[nodiscard]] double now() const;
  void publish(const std::string& key);
  void publish_key(const std::string& key);
  void publish_plan(const std::string& key);
  // The API of a request, in the caller's account and region.
  [[nodiscard]] aws::ApiResult<ApiPtr> api(const aws::CallContext& context, const std::optional<std::string>& id) const;

 private:
  // Looking a record up and publishing it is one step, so that no older plan replaces a newer one.
  std::mutex publishing_;
  std::map<std::string, std::string> hashes_;  // of published keys, by their records' keys
};

using services::bind;
using services::converted;
using services::merge;

void bind_apis(aws::Service& service, Core& core);
void bind_imports(aws::Service& service, Core& core);
void bind_resources(aws::Service& service, Core& core);
void bind_methods(aws::Service& service, Core& core);
void bind_integrations(aws::Service& service, Core& core);
void bind_authorizers(aws::Service& service, Core& core);
void bind_answers(aws::Service& service, Core& core);
void bind_deployments(aws::Service& service, Core& core);
void bind_stages(aws::Service& service, Core& core);
void bind_keys(aws::Service& service, Core& core);
void bind_plans(aws::Service& service, Core& core);
void bind_tags(aws::Service& service, Core& core);

Awaitable<aws::ApiResult<ApiPtr>> change_api(Core& core, const aws::CallContext& context, std::string api_id,
                                             ApiEdit edit);

using services::refuse;
std::unexpected<aws::ApiError> refuse_input(std::string message);  // BadRequestException
// A setting that would not be carried out, refused by its name.
std::unexpected<aws::ApiError> refuse_unsupported(std::string_view setting, std::string_view why);
std::unexpected<aws::ApiError> refuse_missing(std::string_view kind);  // "Invalid Resource identifier specified"
std::unexpected<aws::ApiError> refuse_limit(std::string_view quota, std::size_t limit);
// The caller hands these roles to the gateway: may they? `request` names the API that the operation is about.
aws::ApiResult<void> check_roles(const aws::CallContext& context, const aws::OperationModel& operation,
                                 json::object request, const Strings& roles);

// Where things are in a record; null and the error of the operation where they are not.
aws::ApiResult<wire::Resource*> resource_of(Configuration& configuration, const std::optional<std::string>& id);
aws::ApiResult<wire::Method*> method_of(Configuration& configuration, const std::optional<std::string>& resource_id,
                                        const std::optional<std::string>& method);
aws::ApiResult<wire::Integration*> integration_of(Configuration& configuration,
                                                  const std::optional<std::string>& resource_id,
                                                  const std::optional<std::string>& method);
template <typename T>
T* find_pair(std::optional<std::vector<std::pair<std::string, T>>>& pairs, std::string_view key) {
  if (!pairs) return nullptr;
  for (auto& [name, value] : *pairs) {
    if (name == key) return &value;
  }
  return nullptr;
}
template <typename T>
void set_pair(std::optional<std::vector<std::pair<std::string, T>>>& pairs, const std::string& key, T value) {
  if (!pairs) pairs.emplace();
  for (auto& [name, present] : *pairs) {
    if (name != key) continue;
    present = std::move(value);
    return;
  }
  pairs->emplace_back(key, std::move(value));
}

// Checks of what routes requests, for requests, patches and imported documents alike. They fill in defaults.
aws::ApiResult<void> check_api(const wire::RestApi& api);
aws::ApiResult<void> check_policy(const ApiRecord& record, const std::string& policy);
aws::ApiResult<void> check_path_part(std::string_view part);
aws::ApiResult<void> check_method(const Configuration& configuration, wire::Method& method);
aws::ApiResult<void> check_integration(wire::Integration& integration);
aws::ApiResult<void> check_integration_response(const wire::IntegrationResponse& response);
aws::ApiResult<void> check_authorizer(wire::Authorizer& authorizer);
aws::ApiResult<void> check_answer(const wire::GatewayResponse& answer);
aws::ApiResult<void> check_stage(const wire::Stage& stage);
aws::ApiResult<void> check_tags(const std::optional<Pairs>& tags);
// The resource at this path, made with those above it where it is missing; its id.
aws::ApiResult<std::string> resource_at(Configuration& configuration, std::string_view path);
const wire::Resource& root_of(const Configuration& configuration);

wire::RestApi shown(const ApiRecord& record);

// A structure after its patches.
template <typename T>
aws::ApiResult<void> patch(T& value, const std::optional<Patches>& patches, std::span<const PatchRule> rules) {
  json::object document;
  to_document(value, document);
  if (auto done = apply_patches(document, patches.value_or(Patches()), rules); !done) return done;
  T patched;
  from_document(document, patched);
  value = std::move(patched);
  return {};
}

// One page of a list.
template <typename Response, typename T, typename KeyOf, typename Request>
void page(Response& response, std::vector<T> all, KeyOf key_of, const Request& request, std::size_t usual = 25) {
  const auto limit = request.limit ? static_cast<std::size_t>(std::clamp(*request.limit, 1, 500)) : usual;
  auto [items, next] = services::page_of(std::move(all), key_of, request.position, limit);
  response.items = std::move(items);
  response.position = std::move(next);
}

}  // namespace mayfly::apigateway
