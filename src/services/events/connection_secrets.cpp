// The secrets of connections: what they hold, and where they are shown.
#include "services/events/core.h"
#include "services/events/secrets.h"
#include "vault/sealed_records.h"

namespace mayfly::events {
namespace {

using AuthParameters = wire::CreateConnectionAuthRequestParameters;

template <typename Parameter>
void add_list(json::object& out, std::string_view name, const std::optional<std::vector<Parameter>>& list) {
  if (!list) return;
  json::array all;
  for (const auto& one : *list) {
    json::object member;
    member["key"] = one.Key.value_or("");
    member["value"] = one.Value.value_or("");
    member["is_value_secret"] = one.IsValueSecret.value_or(false);
    all.push_back(std::move(member));
  }
  out[name] = std::move(all);
}

json::object http_parameters(const wire::ConnectionHttpParameters& parameters) {
  json::object out;
  add_list(out, "header_parameters", parameters.HeaderParameters);
  add_list(out, "query_string_parameters", parameters.QueryStringParameters);
  add_list(out, "body_parameters", parameters.BodyParameters);
  return out;
}

}  // namespace

std::string secret_value(const ConnectionRecord& connection) {
  AuthParameters parameters;
  from_document(connection.parameters, parameters);
  json::object out;
  if (const auto& basic = parameters.BasicAuthParameters) {
    out["username"] = basic->Username.value_or("");
    out["password"] = basic->Password.value_or("");
  }
  if (const auto& key = parameters.ApiKeyAuthParameters) {
    out["api_key_name"] = key->ApiKeyName.value_or("");
    out["api_key_value"] = key->ApiKeyValue.value_or("");
  }
  if (const auto& oauth = parameters.OAuthParameters) {
    const auto client = oauth->ClientParameters.value_or(wire::CreateConnectionOAuthClientRequestParameters());
    out["client_id"] = client.ClientID.value_or("");
    out["client_secret"] = client.ClientSecret.value_or("");
    out["authorization_endpoint"] = oauth->AuthorizationEndpoint.value_or("");
    out["http_method"] = oauth->HttpMethod.value_or("");
    if (oauth->OAuthHttpParameters) out["oauth_http_parameters"] = http_parameters(*oauth->OAuthHttpParameters);
  }
  if (const auto& http = parameters.InvocationHttpParameters) {
    out["invocation_http_parameters"] = http_parameters(*http);
  }
  return to_json(out);
}

Awaitable<Result<void>> sync_secret(Core& core, std::string key, std::string arn) {
  const auto& secrets = core.settings.secrets;
  if (!secrets.put || !secrets.remove) co_return Result<void>();
  for (;;) {
    const auto connection = core.connections.find(key);
    if (!connection || connection->secret_arn() != arn || connection->parameters.empty()) {
      auto removed = co_await secrets.remove(arn);
      if (!removed) co_return removed;
    } else if (!vault::locked(json::value(connection->parameters))) {
      auto value = secret_value(*connection);
      auto put = co_await secrets.put(arn, std::move(value));
      if (!put) co_return put;
    }
    // Where the record changed meanwhile, the two writes may have passed each other.
    if (core.connections.find(key) == connection) co_return Result<void>();
  }
}

}  // namespace mayfly::events
