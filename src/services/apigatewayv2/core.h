// What the service's operations work with. Operations are free coroutines, one file for each topic.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gateway/gateway.h"
#include "services/apigatewayv2/apigatewayv2.h"
#include "services/apigatewayv2/records.h"
#include "services/documents.h"
#include "services/operation.h"
#include "services/record_table.h"

namespace mayfly::apigatewayv2 {

using ApiPtr = std::shared_ptr<const ApiRecord>;
using ApiEdit = services::RecordTable<ApiRecord>::Edit;
using DomainPtr = std::shared_ptr<const DomainRecord>;
using DomainEdit = services::RecordTable<DomainRecord>::Edit;

inline constexpr std::size_t kMostApis = 600;  // of an account and region
inline constexpr std::size_t kMostRoutes = 10'000;
inline constexpr std::size_t kMostIntegrations = 10'000;
inline constexpr std::size_t kMostAuthorizers = 10;
inline constexpr std::size_t kMostStages = 10;
inline constexpr std::size_t kMostDeployments = 100;
inline constexpr std::size_t kMostDomains = 120;
inline constexpr std::size_t kMostMappings = 200;
inline constexpr std::size_t kMostTags = 50;
inline constexpr std::int32_t kShortestTimeout = 50;
inline constexpr std::int32_t kLongestTimeout = 30'000;
inline constexpr std::int32_t kLongestWebSocketTimeout = 29'000;

struct Core {
  Core(store::KeyValue& store, Clock& clock_in, gateway::Gateway& gateway_in);

  Clock& clock;
  gateway::Gateway& gateway;
  services::RecordTable<ApiRecord> apis;
  services::RecordTable<DeploymentRecord> deployments;
  services::RecordTable<DomainRecord> domains;
  std::atomic<bool> loaded{false};  // nothing is published before: an API needs its deployments

  [[nodiscard]] double now() const;
  void publish_api(const std::string& key);
  void publish_domain(const std::string& key);
  // The API of a request, in the caller's account and region.
  [[nodiscard]] aws::ApiResult<ApiPtr> api(const aws::CallContext& context, const std::optional<std::string>& id) const;

 private:
  // Looking a record up and publishing it is one step, so that no older plan replaces a newer one.
  std::mutex publishing_;
};

using services::bind;
using services::converted;
using services::merge;

void bind_apis(aws::Service& service, Core& core);
void bind_routes(aws::Service& service, Core& core);
void bind_integrations(aws::Service& service, Core& core);
void bind_authorizers(aws::Service& service, Core& core);
void bind_stages(aws::Service& service, Core& core);
void bind_deployments(aws::Service& service, Core& core);
void bind_domains(aws::Service& service, Core& core);
void bind_tags(aws::Service& service, Core& core);
void bind_open_api(aws::Service& service, Core& core);
void bind_route_responses(aws::Service& service, Core& core);
void bind_integration_responses(aws::Service& service, Core& core);

// Changes what routes requests; stages that deploy by themselves follow.
Awaitable<aws::ApiResult<ApiPtr>> change_configuration(Core& core, const aws::CallContext& context, std::string api_id,
                                                       ApiEdit edit);
// Changes anything else of the record.
Awaitable<aws::ApiResult<ApiPtr>> change_api(Core& core, const aws::CallContext& context, std::string api_id,
                                             ApiEdit edit);
// A new configuration of stages that deploy by themselves.
void deploy_automatically(ApiRecord& record, double now);

using services::refuse;
std::unexpected<aws::ApiError> refuse_input(std::string message);  // BadRequestException
// A setting that would not be carried out, refused by its name.
std::unexpected<aws::ApiError> refuse_unsupported(std::string_view setting, std::string_view why);
std::unexpected<aws::ApiError> refuse_missing(std::string_view kind);  // "Invalid Route identifier specified"
std::unexpected<aws::ApiError> refuse_limit(std::string_view quota, std::size_t limit);
std::string new_id(std::size_t length);

// Checks of what routes requests, for requests and imported documents alike. They fill in defaults.
aws::ApiResult<void> check_cors(const wire::Cors& cors);
aws::ApiResult<void> check_integration(wire::Integration& integration);
aws::ApiResult<void> check_authorizer(wire::Authorizer& authorizer);
// The same for a route, but for whether another one takes its requests: check_unique(), which looks at all of them.
aws::ApiResult<void> check_route(const Configuration& configuration, wire::Route& route);
aws::ApiResult<void> check_target(const Configuration& configuration, const wire::Route& route);
aws::ApiResult<void> check_unique(const Configuration& configuration, const wire::Route& route);
// What requests a route key takes: the names of its variables do not matter.
std::string shape_of(std::string_view route_key);
std::unexpected<aws::ApiError> refuse_duplicate(std::string_view route_key);
aws::ApiResult<void> check_stage(const ApiRecord& record, const wire::Stage& stage);
// The same of WebSocket APIs (web_sockets.cpp).
aws::ApiResult<void> check_web_socket_api(const wire::Api& api);
aws::ApiResult<void> check_web_socket_integration(wire::Integration& integration);
aws::ApiResult<void> check_web_socket_authorizer(wire::Authorizer& authorizer);
aws::ApiResult<void> check_web_socket_route(const Configuration& configuration, wire::Route& route);
aws::ApiResult<void> check_tags(const std::optional<gateway::Pairs>& tags);

// "arn:aws:lambda:..." of an integration's or an authorizer's URI; "" where it names no function.
std::string function_of(std::string_view uri);
wire::Api shown(const ApiRecord& record, const aws::CallContext& context);

// Pairs of an update: set one by one, removed where empty.
void merge_pairs(std::optional<gateway::Pairs>& to, const std::optional<gateway::Pairs>& changes);

// One page of a list: MaxResults is a number as text.
template <typename Response, typename T, typename KeyOf, typename Request>
aws::ApiResult<void> page(Response& response, std::vector<T> all, KeyOf key_of, const Request& request) {
  std::size_t limit = 0;
  for (const char c : request.MaxResults.value_or("500")) {
    if (c < '0' || c > '9' || limit > 100'000) return refuse_input("Invalid value for maxResults");
    limit = limit * 10 + static_cast<std::size_t>(c - '0');
  }
  auto [items, next] = services::page_of(std::move(all), key_of, request.NextToken, std::max<std::size_t>(limit, 1));
  response.Items = std::move(items);
  response.NextToken = std::move(next);
  return {};
}

}  // namespace mayfly::apigatewayv2
