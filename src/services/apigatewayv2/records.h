// APIs, deployments and custom domain names as they lie in the store.
//
// Form. An API is one record with its routes, integrations, authorizers, stages and the list of its deployments, so
// that
//       every change of it is one compare-and-set. What a deployment holds is a record of its own.
#pragma once

#include <map>
#include <ranges>
#include <string>
#include <string_view>

#include "aws/gen/apigatewayv2.h"
#include "base/error.h"
#include "base/json.h"

namespace mayfly::apigatewayv2 {

namespace wire = aws::apigatewayv2;

// What routes requests: of an API as it is now, or as it was deployed.
struct Configuration {
  std::map<std::string, wire::Route> routes;  // by id
  std::map<std::string, wire::Integration> integrations;
  std::map<std::string, wire::Authorizer> authorizers;
  std::optional<wire::Cors> cors;
  // Of WebSocket APIs.
  std::string route_selection;
  std::map<std::string, wire::RouteResponse> route_responses;              // by "route/id"
  std::map<std::string, wire::IntegrationResponse> integration_responses;  // by "integration/id"

  [[nodiscard]] json::object document() const;
  static Configuration read(const json::value& document);
};

// The entries of a map by "parent/id" that are of `parent`: found and not searched for.
template <typename T>
auto entries_below(const std::map<std::string, T>& all, const std::string& parent) {
  constexpr char kAfterSlash = '/' + 1;
  return std::ranges::subrange(all.lower_bound(parent + "/"), all.lower_bound(parent + kAfterSlash));
}

struct ApiRecord {
  static constexpr std::string_view kPrefix = "apigateway/api/";
  std::string account;
  std::string region;
  wire::Api api;                 // but for its endpoint and CORS
  std::uint64_t generation = 0;  // of its configuration
  Configuration now;
  std::map<std::string, wire::Stage> stages;  // by name
  std::map<std::string, wire::Deployment> deployments;

  [[nodiscard]] const std::string& id() const { return *api.ApiId; }
  [[nodiscard]] bool is_web_socket() const { return api.ProtocolType == "WEBSOCKET"; }
  [[nodiscard]] std::string key() const;
  [[nodiscard]] json::object document() const;
  static Result<ApiRecord> read(const json::object& document);
};
std::string api_key(std::string_view account, std::string_view region, std::string_view id);

struct DeploymentRecord {
  static constexpr std::string_view kPrefix = "apigateway/deployment/";
  std::string api_id;
  std::string id;
  Configuration configuration;

  [[nodiscard]] std::string key() const;
  [[nodiscard]] json::object document() const;
  static Result<DeploymentRecord> read(const json::object& document);
};
std::string deployment_key(std::string_view api_id, std::string_view id);

struct DomainRecord {
  static constexpr std::string_view kPrefix = "apigateway/domain/";
  std::string account;
  std::string region;
  wire::DomainName domain;
  std::map<std::string, wire::ApiMapping> mappings;  // by id

  [[nodiscard]] std::string key() const;
  [[nodiscard]] json::object document() const;
  static Result<DomainRecord> read(const json::object& document);
};
// A name belongs to one account and region of a server.
std::string domain_key(std::string_view name);

}  // namespace mayfly::apigatewayv2
