#include "services/apigateway/records.h"

#include <fmt/core.h>

#include "services/documents.h"

namespace mayfly::apigateway {
using services::map_document;
using services::map_read;

std::string api_key(std::string_view account, std::string_view region, std::string_view id) {
  return fmt::format("{}{}/{}/{}", ApiRecord::kPrefix, account, region, id);
}
std::string deployment_key(std::string_view api_id, std::string_view id) {
  return fmt::format("{}{}/{}", DeploymentRecord::kPrefix, api_id, id);
}

json::object Configuration::document() const {
  json::object out;
  out["resources"] = map_document(resources);
  out["authorizers"] = map_document(authorizers);
  out["answers"] = map_document(answers);
  if (policy) out["policy"] = *policy;
  json::array types;
  for (const auto& type : binary_types) types.emplace_back(type);
  out["binaryTypes"] = std::move(types);
  out["keySource"] = key_source;
  return out;
}

Configuration Configuration::read(const json::value& document) {
  Configuration out;
  out.resources = map_read<wire::Resource>(document, "resources");
  out.authorizers = map_read<wire::Authorizer>(document, "authorizers");
  out.answers = map_read<wire::GatewayResponse>(document, "answers");
  if (find(document, "policy") != nullptr) out.policy = std::string(get_string(document, "policy"));
  if (const auto* types = find(document, "binaryTypes"); types != nullptr && types->is_array()) {
    for (const auto& type : types->get_array()) {
      if (type.is_string()) out.binary_types.emplace_back(type.get_string());
    }
  }
  out.key_source = get_string(document, "keySource", "HEADER");
  return out;
}

std::string ApiRecord::key() const { return api_key(account, region, id()); }

json::object ApiRecord::document() const {
  json::object out;
  out["account"] = account;
  out["region"] = region;
  out["generation"] = generation;
  json::object described;
  to_document(api, described);
  out["api"] = std::move(described);
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
  if (const auto* api = find(whole, "api"); api != nullptr && api->is_object())
    from_document(api->get_object(), out.api);
  if (!out.api.id) return fail(ErrorCode::kCorrupt, "the API has no id");
  if (const auto* configuration = find(whole, "configuration")) out.now = Configuration::read(*configuration);
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
  if (const auto* held = find(whole, "configuration")) out.configuration = Configuration::read(*held);
  return out;
}

}  // namespace mayfly::apigateway
