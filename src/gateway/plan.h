// An API as the gateway serves it: compiled from its records when they change, immutable, and swapped as a whole.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/token_bucket.h"
#include "gateway/cors.h"
#include "gateway/route_table.h"
#include "gateway/template.h"
#include "identity/policy_document.h"

namespace mayfly::gateway {

// One change of a request before its integration, or of the response behind it.
struct Mapping {
  enum class Action : std::uint8_t { kAppend, kOverwrite, kRemove };
  enum class Part : std::uint8_t { kHeader, kQuery, kPath, kStatus };
  Action action = Action::kOverwrite;
  Part part = Part::kHeader;
  std::string name;
  Template value;
};

// What a MOCK integration answers.
struct MockAnswer {
  int status = 200;
  std::vector<std::pair<std::string, Template>> headers;
  std::string content_type;  // "": no body
  Template body;
};

struct Integration {
  enum class Kind : std::uint8_t { kFunction, kHttp, kMock };
  std::string id;
  Kind kind = Kind::kFunction;
  std::string function_arn;     // of kFunction
  std::string uri;              // of kHttp, with {variables} of the path
  std::string method;           // of kHttp; "ANY" is the request's
  std::string credentials_arn;  // the role that calls; "": the function's policy must allow the gateway
  bool as_caller = false;       // of a REST API: whoever signed the request calls
  bool format_v1 = false;
  std::chrono::milliseconds timeout{30'000};
  std::vector<Mapping> request;
  std::map<int, std::vector<Mapping>> response;  // by status
  bool keeps_base64 = false;                     // of a WebSocket API: what a function answers as base64 stays it
  // kMock: the status that its request template names, and the answer for it.
  std::optional<int> mock_status;
  std::optional<MockAnswer> mock_answer;
};

struct Authorizer {
  enum class Kind : std::uint8_t { kJwt, kFunction };
  std::string id;
  Kind kind = Kind::kJwt;
  std::vector<Template> sources;
  // kJwt
  std::string issuer;
  std::vector<std::string> audience;
  // kFunction
  std::string function_arn;
  std::string credentials_arn;
  bool format_v1 = false;
  bool simple = false;
  std::chrono::seconds ttl{0};
  bool is_token = false;                                 // of a REST API: it is given the token and nothing else
  std::function<bool(std::string_view)> is_valid_token;  // null: every token is
  std::uint64_t generation = 0;                          // what was cached before an authorizer changed is not used
};

// How long answers of a method are kept and what tells its requests apart.
struct CacheRule {
  // What a client gets that asks for a fresh answer and may not.
  enum class Unauthorized : std::uint8_t { kRefuse, kWarn, kIgnore };
  std::chrono::seconds ttl{300};
  std::vector<Template> parameters;
  bool invalidation_needs_right = true;
  Unauthorized unauthorized = Unauthorized::kWarn;
};

struct Route {
  enum class Access : std::uint8_t { kOpen, kIam, kAuthorizer, kClosed };
  RouteKey key;
  std::string text;                 // "GET /pets/{id}"
  Access access = Access::kClosed;  // closed: its authorizer is gone
  std::shared_ptr<const Authorizer> authorizer;
  std::vector<std::string> scopes;
  std::shared_ptr<const Integration> integration;  // null: it has none
  std::shared_ptr<TokenBucket> bucket;             // null: no limit of its own
  // Of REST APIs.
  bool has_no_method = false;  // the path is known, the method is not
  bool needs_key = false;
  std::shared_ptr<const CacheRule> cache;  // null: nothing is kept
  std::string resource_id;
  std::string operation_name;
  // Of WebSocket APIs: whether what its integration answers is sent to the client.
  bool answers = false;
};

// An answer of the gateway itself, as a REST API words it.
struct GatewayAnswer {
  std::optional<int> status;
  std::vector<std::pair<std::string, Template>> headers;
  std::string content_type;  // "": the body is the gateway's own
  Template body;
};

// What REST APIs have and HTTP APIs do not.
struct RestSettings {
  std::string deployment_id;
  std::shared_ptr<const identity::Policy> policy;  // null: none
  bool policy_is_broken = false;                   // it does not parse any more: nobody passes
  std::vector<std::string> binary_types;           // "image/png", "image/*", "*/*"
  bool key_from_authorizer = false;
  std::map<std::string, GatewayAnswer, std::less<>> answers;  // by type: "DEFAULT_4XX", "UNAUTHORIZED"
};

// What WebSocket APIs have: messages name their routes.
struct WebSocketRoutes {
  Template selection;                                   // "$request.body.action"
  std::unordered_map<std::string, std::size_t> by_key;  // "$connect", "$default", "send" to Stage::routes
};

struct Stage {
  std::string name;  // "$default", "dev"
  std::vector<std::pair<std::string, std::string>> variables;
  RouteTable table;
  std::vector<Route> routes;  // by the table's numbers
  std::optional<Cors> cors;
  std::shared_ptr<TokenBucket> bucket;
  std::string log_group;  // "" where access is not logged
  Template log_format;
  bool log_is_json = false;
  std::shared_ptr<const RestSettings> rest;           // null: of an HTTP API
  std::shared_ptr<const WebSocketRoutes> web_socket;  // null: of another API; its table stays empty
};
using StagePtr = std::shared_ptr<const Stage>;

struct Api {
  std::string id;
  std::string account;
  std::string region;
  bool is_rest = false;
  bool is_web_socket = false;
  bool own_address_disabled = false;  // only custom domain names reach it
  std::map<std::string, StagePtr, std::less<>> stages;
};
using ApiPtr = std::shared_ptr<const Api>;

// A custom domain name: the first segments of a path choose the API and the stage.
struct Domain {
  struct Target {
    std::string key;  // "", "v1", "orders/v2"
    std::string api_id;
    std::string stage;
  };
  std::string name;             // "api.example.com", "*.example.com"
  std::vector<Target> targets;  // the longest key first
};
using DomainPtr = std::shared_ptr<const Domain>;

}  // namespace mayfly::gateway
