#include "services/apigatewayv2/records.h"

#include <fmt/core.h>

#include "base/encoding.h"
#include "services/documents.h"

namespace mayfly::apigatewayv2 {
namespace {

using services::map_document;
using services::map_read;

template <typename T>
T one_read(const json::object& document, std::string_view name) {
  T out;
  const auto* value = document.if_contains(name);
  if (value != nullptr && value->is_object()) from_document(value->get_object(), out);
  return out;
}

template <typename T>
json::object one_document(const T& value) {
  json::object out;
  to_document(value, out);
  return out;
}

}  // namespace

std::string api_key(std::string_view account, std::string_view region, std::string_view id) {
  return fmt::format("{}{}/{}/{}", ApiRecord::kPrefix, account, region, id);
}
std::string deployment_key(std::string_view api_id, std::string_view id) {
  return fmt::format("{}{}/{}", DeploymentRecord::kPrefix, api_id, id);
}
std::string domain_key(std::string_view name) { return std::string(DomainRecord::kPrefix) + to_lower(name); }

json::object Configuration::document() const {
  json::object out;
  out["routes"] = map_document(routes);
  out["integrations"] = map_document(integrations);
  out["authorizers"] = map_document(authorizers);
  if (cors) out["cors"] = one_document(*cors);
  if (!route_selection.empty()) out["routeSelection"] = route_selection;
  if (!route_responses.empty()) out["routeResponses"] = map_document(route_responses);
  if (!integration_responses.empty()) out["integrationResponses"] = map_document(integration_responses);
  return out;
}

Configuration Configuration::read(const json::value& document) {
  Configuration out;
  out.routes = map_read<wire::Route>(document, "routes");
  out.integrations = map_read<wire::Integration>(document, "integrations");
  out.authorizers = map_read<wire::Authorizer>(document, "authorizers");
  out.route_selection = get_string(document, "routeSelection");
  out.route_responses = map_read<wire::RouteResponse>(document, "routeResponses");
  out.integration_responses = map_read<wire::IntegrationResponse>(document, "integrationResponses");
  if (const auto* cors = find(document, "cors"); cors != nullptr && cors->is_object()) {
    from_document(cors->get_object(), out.cors.emplace());
  }
  return out;
}

std::string ApiRecord::key() const { return api_key(account, region, id()); }

json::object ApiRecord::document() const {
  json::object out;
  out["account"] = account;
  out["region"] = region;
  out["generation"] = generation;
  out["api"] = one_document(api);
  out["configuration"] = now.document();
  out["stages"] = map_document(stages);
  out["deployments"] = map_document(deployments);
  return out;
}

Result<ApiRecord> ApiRecord::read(const json::object& document) {
  ApiRecord out;
  const json::value whole(document);
  out.account = get_string(whole, "account");
  out.region = get_string(whole, "region");
  out.generation = static_cast<std::uint64_t>(get_int(whole, "generation"));
  out.api = one_read<wire::Api>(document, "api");
  if (!out.api.ApiId) return fail(ErrorCode::kCorrupt, "the API has no id");
  if (const auto* configuration = document.if_contains("configuration")) out.now = Configuration::read(*configuration);
  out.stages = map_read<wire::Stage>(whole, "stages");
  out.deployments = map_read<wire::Deployment>(whole, "deployments");
  return out;
}

std::string DeploymentRecord::key() const { return deployment_key(api_id, id); }

json::object DeploymentRecord::document() const {
  json::object out;
  out["api"] = api_id;
  out["id"] = id;
  out["configuration"] = configuration.document();
  return out;
}

Result<DeploymentRecord> DeploymentRecord::read(const json::object& document) {
  DeploymentRecord out;
  const json::value whole(document);
  out.api_id = get_string(whole, "api");
  out.id = get_string(whole, "id");
  if (out.id.empty()) return fail(ErrorCode::kCorrupt, "the deployment has no id");
  if (const auto* held = document.if_contains("configuration")) out.configuration = Configuration::read(*held);
  return out;
}

std::string DomainRecord::key() const { return domain_key(domain.DomainName.value_or("")); }

json::object DomainRecord::document() const {
  json::object out;
  out["account"] = account;
  out["region"] = region;
  out["domain"] = one_document(domain);
  out["mappings"] = map_document(mappings);
  return out;
}

Result<DomainRecord> DomainRecord::read(const json::object& document) {
  DomainRecord out;
  const json::value whole(document);
  out.account = get_string(whole, "account");
  out.region = get_string(whole, "region");
  out.domain = one_read<wire::DomainName>(document, "domain");
  if (!out.domain.DomainName) return fail(ErrorCode::kCorrupt, "the domain has no name");
  out.mappings = map_read<wire::ApiMapping>(whole, "mappings");
  return out;
}

}  // namespace mayfly::apigatewayv2
