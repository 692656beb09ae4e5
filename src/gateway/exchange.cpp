#include "gateway/exchange.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "base/encoding.h"

namespace mayfly::gateway {
namespace {

using Getter = std::string (*)(const Exchange&);
struct Variable {
  std::string_view name;
  Getter get;
};

std::string millis_text(std::chrono::microseconds time) {
  return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(time).count());
}

std::string iam_member(const Exchange& exchange, std::string_view member) {
  const auto* iam = exchange.event.authorizer.if_contains("iam");
  return iam == nullptr ? std::string() : std::string(get_string(*iam, member));
}

std::string error_message(const Exchange& exchange) {
  return exchange.shown_error.empty() ? exchange.error : exchange.shown_error;
}

constexpr std::array kVariables = {
    Variable{"accountId", [](const Exchange& x) { return x.event.account; }},
    Variable{"apiId", [](const Exchange& x) { return x.event.api_id; }},
    Variable{"authorizer.error", [](const Exchange& x) { return x.authorizer_error; }},
    Variable{"domainName", [](const Exchange& x) { return x.event.domain; }},
    Variable{"domainPrefix", [](const Exchange& x) { return x.event.domain_prefix; }},
    Variable{"deploymentId",
             [](const Exchange& x) { return x.stage && x.stage->rest ? x.stage->rest->deployment_id : std::string(); }},
    Variable{"error.message", [](const Exchange& x) { return error_message(x); }},
    Variable{"error.messageString", [](const Exchange& x) { return to_json(json::value(error_message(x))); }},
    Variable{"error.responseType", [](const Exchange& x) { return x.shown_type; }},
    Variable{"extendedRequestId", [](const Exchange& x) { return x.event.request_id; }},
    Variable{"httpMethod", [](const Exchange& x) { return x.event.head.method; }},
    Variable{"identity.accountId", [](const Exchange& x) { return iam_member(x, "accountId"); }},
    Variable{"identity.apiKeyId", [](const Exchange& x) { return x.api_key_id; }},
    Variable{"identity.caller", [](const Exchange& x) { return iam_member(x, "callerId"); }},
    Variable{"identity.sourceIp", [](const Exchange& x) { return x.event.source_ip; }},
    Variable{"identity.user", [](const Exchange& x) { return iam_member(x, "userId"); }},
    Variable{"identity.userAgent",
             [](const Exchange& x) { return std::string(x.event.head.headers.get("User-Agent")); }},
    Variable{"identity.userArn", [](const Exchange& x) { return iam_member(x, "userArn"); }},
    Variable{"integration.error", [](const Exchange& x) { return x.error; }},
    Variable{"integration.integrationStatus", [](const Exchange& x) { return std::to_string(x.integration_status); }},
    Variable{"integration.latency", [](const Exchange& x) { return millis_text(x.integration_latency); }},
    Variable{"integration.status", [](const Exchange& x) { return std::to_string(x.integration_status); }},
    Variable{"integrationErrorMessage", [](const Exchange& x) { return x.error; }},
    Variable{"integrationLatency", [](const Exchange& x) { return millis_text(x.integration_latency); }},
    Variable{"integrationStatus", [](const Exchange& x) { return std::to_string(x.integration_status); }},
    Variable{"path", [](const Exchange& x) { return x.event.path; }},
    Variable{"protocol", [](const Exchange&) { return std::string("HTTP/1.1"); }},
    Variable{"requestId", [](const Exchange& x) { return x.event.request_id; }},
    Variable{"requestTime", [](const Exchange& x) { return event_time(x.event.now); }},
    Variable{"requestTimeEpoch", [](const Exchange& x) { return millis_text(x.event.now.time_since_epoch()); }},
    Variable{"resourceId", [](const Exchange& x) { return x.route == nullptr ? std::string() : x.route->resource_id; }},
    Variable{"resourcePath", [](const Exchange& x) { return x.route == nullptr ? std::string() : x.route->key.path; }},
    Variable{"responseLatency", [](const Exchange& x) { return millis_text(x.latency); }},
    Variable{"responseLength", [](const Exchange& x) { return std::to_string(x.response.body.size()); }},
    Variable{"routeKey", [](const Exchange& x) { return x.event.route_key; }},
    Variable{"stage", [](const Exchange& x) { return x.event.stage; }},
    Variable{"status", [](const Exchange& x) { return std::to_string(x.response.head.status); }},
};

// Of WebSocket APIs alone.
constexpr std::array kSocketVariables = {
    Variable{"connectedAt",
             [](const Exchange& x) { return x.socket ? millis_text(x.socket->connected_at.time_since_epoch()) : ""; }},
    Variable{"connectionId", [](const Exchange& x) { return x.socket ? x.socket->connection_id : std::string(); }},
    Variable{"eventType", [](const Exchange& x) { return x.socket ? std::string(event_type(*x.socket)) : ""; }},
    Variable{"messageId", [](const Exchange& x) { return x.socket ? x.socket->message_id : std::string(); }},
};

constexpr std::string_view kAuthorizer = "authorizer.";

// "claims.sub" of a JWT, or a member of what an authorizer's function said.
std::string authorizer_value(const Exchange& exchange, std::string_view name) {
  constexpr std::string_view kClaims = "claims.";
  const auto& given = exchange.event.authorizer;
  const json::value* found = nullptr;
  if (name.starts_with(kClaims)) {
    const auto* jwt = given.if_contains("jwt");
    const auto* claims = jwt == nullptr ? nullptr : find(*jwt, "claims");
    if (claims != nullptr) found = find(*claims, name.substr(kClaims.size()));
  } else if (const auto* function = given.if_contains("lambda")) {
    found = find(*function, name);
  }
  if (found == nullptr) return {};
  return found->is_string() ? std::string(found->get_string()) : to_json(*found);
}

}  // namespace

std::string Exchange::arn(std::string_view of) const {
  return fmt::format("arn:aws:execute-api:{}:{}:{}/{}/{}", api->region, api->account, api->id, stage->name, of);
}

std::string Exchange::context(std::string_view name) const {
  for (const auto& variable : kVariables) {
    if (variable.name == name) return variable.get(*this);
  }
  for (const auto& variable : kSocketVariables) {
    if (variable.name == name) return variable.get(*this);
  }
  if (name.starts_with(kAuthorizer)) return authorizer_value(*this, name.substr(kAuthorizer.size()));
  return {};
}

std::string_view event_type(const SocketEvent& event) {
  switch (event.kind) {
    case SocketEvent::Kind::kConnect:
      return "CONNECT";
    case SocketEvent::Kind::kMessage:
      return "MESSAGE";
    case SocketEvent::Kind::kDisconnect:
      return "DISCONNECT";
  }
  return "";
}

bool is_socket_variable(std::string_view name) {
  return std::ranges::any_of(kSocketVariables, [&](const Variable& variable) { return variable.name == name; });
}

bool is_context_variable(std::string_view name) {
  for (const auto& variable : kVariables) {
    if (variable.name == name) return true;
  }
  return name.starts_with(kAuthorizer);
}

}  // namespace mayfly::gateway
