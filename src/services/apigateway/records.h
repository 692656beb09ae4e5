// REST APIs and their deployments as they lie in the store.
//
// Form. An API is one record with its resources, methods, authorizers, stages and the list of its deployments, so that
//       every change of it is one compare-and-set. What a deployment holds is a record of its own.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "aws/gen/apigateway.h"
#include "base/error.h"
#include "base/json.h"

namespace mayfly::apigateway {

namespace wire = aws::apigateway;

// What routes requests: of an API as it is now, or as it was deployed.
struct Configuration {
  std::map<std::string, wire::Resource> resources;  // by id, with their methods
  std::map<std::string, wire::Authorizer> authorizers;
  std::map<std::string, wire::GatewayResponse> answers;  // by type
  std::optional<std::string> policy;
  std::vector<std::string> binary_types;
  std::string key_source = "HEADER";

  [[nodiscard]] json::object document() const;
  static Configuration read(const json::value& document);
};

struct ApiRecord {
  static constexpr std::string_view kPrefix = "apigateway/rest/";
  std::string account;
  std::string region;
  wire::RestApi api;             // but for what is in its configuration
  std::uint64_t generation = 0;  // of its configuration
  Configuration now;
  std::map<std::string, wire::Stage> stages;  // by name
  std::map<std::string, wire::Deployment> deployments;

  [[nodiscard]] const std::string& id() const { return *api.id; }
  [[nodiscard]] std::string key() const;
  [[nodiscard]] json::object document() const;
  static Result<ApiRecord> read(const json::object& document);
};
std::string api_key(std::string_view account, std::string_view region, std::string_view id);

struct DeploymentRecord {
  static constexpr std::string_view kPrefix = "apigateway/rest-deployment/";
  std::string api_id;
  std::string id;
  Configuration configuration;

  [[nodiscard]] std::string key() const;
  [[nodiscard]] json::object document() const;
  static Result<DeploymentRecord> read(const json::object& document);
};
std::string deployment_key(std::string_view api_id, std::string_view id);

}  // namespace mayfly::apigateway
