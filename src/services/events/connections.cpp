// Connections: the credentials that API destinations are called with.
#include <fmt/core.h>

#include "base/ids.h"
#include "services/events/core.h"
#include "services/events/secrets.h"
#include "vault/sealed_records.h"

namespace mayfly::events {
namespace {

using Parameters = wire::CreateConnectionAuthRequestParameters;

aws::ApiError connection_missing(std::string_view verb, std::string_view name) {
  return error_of(wire::errors::ResourceNotFoundException,
                  fmt::format("Failed to {} the connection(s). Connection '{}' does not exist.", verb, name));
}

aws::ApiResult<void> check_private(const auto& request) {
  if (request.InvocationConnectivityParameters)
    return refuse_unsupported("InvocationConnectivityParameters", "there are no private connections");
  if (request.KmsKeyIdentifier && !request.KmsKeyIdentifier->empty())
    return refuse_unsupported("KmsKeyIdentifier", "connections are not encrypted with keys of one's own");
  return {};
}

// A connection that needs a token first is authorized when it is first used.
std::string first_state(const std::string& authorization_type) {
  return authorization_type == "OAUTH_CLIENT_CREDENTIALS" ? "AUTHORIZING" : "AUTHORIZED";
}

template <typename Response>
Response response_of(const ConnectionRecord& connection) {
  Response response;
  response.ConnectionArn = connection.arn();
  response.ConnectionState = connection.state;
  response.CreationTime = connection.created;
  response.LastModifiedTime = connection.modified;
  return response;
}

Awaitable<aws::ApiResult<wire::CreateConnectionResponse>> create_connection(Core& core, const aws::CallContext& context,
                                                                            wire::CreateConnectionRequest request) {
  auto allowed = check_private(request);
  if (!allowed) co_return std::unexpected(std::move(allowed.error()));
  const auto parameters = request.AuthParameters.value_or(Parameters());
  auto checked = check_parameters(request.AuthorizationType.value_or(""), parameters);
  if (!checked) co_return std::unexpected(std::move(checked.error()));
  ConnectionRecord connection;
  connection.place = core.place(context);
  connection.name = request.Name.value_or("");
  connection.id = uuid4();
  connection.secret = uuid4() + "-" + random_alphanumeric(6);
  connection.description = request.Description.value_or("");
  connection.authorization_type = request.AuthorizationType.value_or("");
  connection.state = first_state(connection.authorization_type);
  to_document(parameters, connection.parameters);
  connection.created = connection.modified = connection.authorized = core.now();
  const std::string name = connection.name;
  auto created = co_await core.connections.create(std::move(connection));
  if (!created && created.error().code == ErrorCode::kExists)
    co_return refuse(wire::errors::ResourceAlreadyExistsException, fmt::format("Connection {} already exists.", name));
  if (!created) co_return refuse_internal(created.error());
  auto shown = co_await sync_secret(core, (*created)->key(), (*created)->secret_arn());
  if (!shown) {
    // A repeated request begins anew.
    [[maybe_unused]] const auto undone = co_await core.connections.erase((*created)->key());
    co_return refuse_internal(shown.error());
  }
  co_return response_of<wire::CreateConnectionResponse>(**created);
}

Awaitable<aws::ApiResult<wire::DescribeConnectionResponse>> describe_connection(
    Core& core, const aws::CallContext& context, wire::DescribeConnectionRequest request) {
  const auto name = request.Name.value_or("");
  const auto connection = core.connections.find(place_key(ConnectionRecord::kPrefix, core.place(context), name));
  if (!connection) co_return std::unexpected(connection_missing("describe", name));
  auto response = response_of<wire::DescribeConnectionResponse>(*connection);
  response.Name = connection->name;
  response.Description = some(connection->description);
  response.AuthorizationType = connection->authorization_type;
  response.SecretArn = connection->secret_arn();
  response.AuthParameters = shown_parameters(*connection);
  response.LastAuthorizedTime = connection->authorized;
  co_return response;
}

Awaitable<aws::ApiResult<wire::ListConnectionsResponse>> list_connections(Core& core, const aws::CallContext& context,
                                                                          wire::ListConnectionsRequest request) {
  auto all =
      core.connections.list(place_key(ConnectionRecord::kPrefix, core.place(context), request.NamePrefix.value_or("")));
  std::erase_if(
      all, [&](const ConnectionPtr& one) { return request.ConnectionState && one->state != *request.ConnectionState; });
  const auto name_of = [](const ConnectionPtr& one) { return one->name; };
  auto [page, next] =
      services::page_of(std::move(all), name_of, decode_token(request.NextToken), page_limit(request.Limit));
  wire::ListConnectionsResponse response;
  response.Connections.emplace();
  for (const auto& connection : page) {
    auto shown = response_of<wire::Connection>(*connection);
    shown.Name = connection->name;
    shown.AuthorizationType = connection->authorization_type;
    shown.LastAuthorizedTime = connection->authorized;
    response.Connections->push_back(std::move(shown));
  }
  response.NextToken = encode_token(next);
  co_return response;
}

// What an update gives replaces what was there; parameters of another kind than before need the new type, too.
Awaitable<aws::ApiResult<wire::UpdateConnectionResponse>> update_connection(Core& core, const aws::CallContext& context,
                                                                            wire::UpdateConnectionRequest request) {
  auto allowed = check_private(request);
  if (!allowed) co_return std::unexpected(std::move(allowed.error()));
  ConnectionTable::Edit edit = [&request, &core](ConnectionRecord& connection) -> aws::ApiResult<void> {
    if (request.Description) connection.description = *request.Description;
    const bool other_type = request.AuthorizationType && *request.AuthorizationType != connection.authorization_type;
    if (request.AuthorizationType) connection.authorization_type = *request.AuthorizationType;
    if (request.AuthParameters) {
      json::object given;
      to_document(*request.AuthParameters, given);
      if (other_type || vault::locked(json::value(connection.parameters))) connection.parameters.clear();
      for (const auto& member : given) {
        auto& kept = connection.parameters[member.key()];
        if (kept.is_object() && member.value().is_object() && member.key() != "InvocationHttpParameters") {
          for (const auto& part : member.value().get_object()) kept.get_object()[part.key()] = part.value();
        } else {
          kept = member.value();
        }
      }
    }
    Parameters parameters;
    from_document(connection.parameters, parameters);
    if (auto checked = check_parameters(connection.authorization_type, parameters); !checked) return checked;
    connection.state = first_state(connection.authorization_type);
    connection.modified = connection.authorized = core.now();
    return {};
  };
  const auto name = request.Name.value_or("");
  auto missing = connection_missing("update", name);
  auto key = place_key(ConnectionRecord::kPrefix, core.place(context), name);
  auto changed = co_await core.connections.change(std::move(key), std::move(missing), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  auto shown = co_await sync_secret(core, (*changed)->key(), (*changed)->secret_arn());
  if (!shown) co_return refuse_internal(shown.error());
  auto response = response_of<wire::UpdateConnectionResponse>(**changed);
  response.LastAuthorizedTime = (*changed)->authorized;
  co_return response;
}

Awaitable<aws::ApiResult<wire::DeauthorizeConnectionResponse>> deauthorize_connection(
    Core& core, const aws::CallContext& context, wire::DeauthorizeConnectionRequest request) {
  ConnectionTable::Edit edit = [&core](ConnectionRecord& connection) -> aws::ApiResult<void> {
    connection.parameters.clear();
    connection.state = "DEAUTHORIZED";
    connection.modified = core.now();
    return {};
  };
  const auto name = request.Name.value_or("");
  auto missing = connection_missing("deauthorize", name);
  auto key = place_key(ConnectionRecord::kPrefix, core.place(context), name);
  auto changed = co_await core.connections.change(std::move(key), std::move(missing), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  auto hidden = co_await sync_secret(core, (*changed)->key(), (*changed)->secret_arn());
  if (!hidden) co_return refuse_internal(hidden.error());
  auto response = response_of<wire::DeauthorizeConnectionResponse>(**changed);
  response.LastAuthorizedTime = (*changed)->authorized;
  co_return response;
}

Awaitable<aws::ApiResult<wire::DeleteConnectionResponse>> delete_connection(Core& core, const aws::CallContext& context,
                                                                            wire::DeleteConnectionRequest request) {
  const auto name = request.Name.value_or("");
  const auto key = place_key(ConnectionRecord::kPrefix, core.place(context), name);
  const auto connection = core.connections.find(key);
  if (!connection) co_return std::unexpected(connection_missing("delete", name));
  for (const auto& destination :
       core.destinations.list(place_key(DestinationRecord::kPrefix, core.place(context), ""))) {
    if (destination->connection_arn == connection->arn())
      co_return refuse_validation(fmt::format("Connection {} is used by API destination {}.", name, destination->name));
  }
  // The secret first: a crash in between leaves a connection, which makes it again at the start.
  const auto arn = connection->secret_arn();
  if (core.settings.secrets.remove) {
    auto hidden = co_await core.settings.secrets.remove(arn);
    if (!hidden) co_return refuse_internal(hidden.error());
  }
  auto erased = co_await core.connections.erase(key);
  if (!erased) co_return refuse_internal(erased.error());
  // An update that came in between may have shown it again.
  auto synced = co_await sync_secret(core, key, arn);
  if (!synced) co_return refuse_internal(synced.error());
  auto response = response_of<wire::DeleteConnectionResponse>(*connection);
  response.ConnectionState = "DELETING";
  response.LastAuthorizedTime = connection->authorized;
  co_return response;
}

wire::ConnectionHttpParameters without_secrets(wire::ConnectionHttpParameters parameters) {
  const auto hide = [](auto& list) {
    if (!list) return;
    for (auto& parameter : *list) {
      if (parameter.IsValueSecret.value_or(false)) parameter.Value.reset();
    }
  };
  hide(parameters.HeaderParameters);
  hide(parameters.QueryStringParameters);
  hide(parameters.BodyParameters);
  return parameters;
}

}  // namespace

aws::ApiResult<void> check_parameters(const std::string& type, const Parameters& parameters) {
  if (parameters.ConnectivityParameters)
    return refuse_unsupported("ConnectivityParameters", "there are no private connections");
  const bool fits = (type == "BASIC" && parameters.BasicAuthParameters && !parameters.ApiKeyAuthParameters &&
                     !parameters.OAuthParameters) ||
                    (type == "API_KEY" && parameters.ApiKeyAuthParameters && !parameters.BasicAuthParameters &&
                     !parameters.OAuthParameters) ||
                    (type == "OAUTH_CLIENT_CREDENTIALS" && parameters.OAuthParameters &&
                     !parameters.BasicAuthParameters && !parameters.ApiKeyAuthParameters);
  if (!fits)
    return refuse_validation(
        fmt::format("AuthParameters must hold the parameters of the authorization type {} and no others.", type));
  return {};
}

wire::ConnectionAuthResponseParameters shown_parameters(const ConnectionRecord& connection) {
  Parameters parameters;
  from_document(connection.parameters, parameters);
  wire::ConnectionAuthResponseParameters shown;
  if (parameters.BasicAuthParameters) {
    shown.BasicAuthParameters.emplace();
    shown.BasicAuthParameters->Username = parameters.BasicAuthParameters->Username;
  }
  if (parameters.ApiKeyAuthParameters) {
    shown.ApiKeyAuthParameters.emplace();
    shown.ApiKeyAuthParameters->ApiKeyName = parameters.ApiKeyAuthParameters->ApiKeyName;
  }
  if (const auto& oauth = parameters.OAuthParameters) {
    auto& out = shown.OAuthParameters.emplace();
    out.AuthorizationEndpoint = oauth->AuthorizationEndpoint;
    out.HttpMethod = oauth->HttpMethod;
    if (oauth->ClientParameters) {
      out.ClientParameters.emplace();
      out.ClientParameters->ClientID = oauth->ClientParameters->ClientID;
    }
    if (oauth->OAuthHttpParameters) out.OAuthHttpParameters = without_secrets(*oauth->OAuthHttpParameters);
  }
  if (parameters.InvocationHttpParameters)
    shown.InvocationHttpParameters = without_secrets(*parameters.InvocationHttpParameters);
  return shown;
}

void bind_connections(aws::Service& service, Core& core) {
  bind<wire::CreateConnection>(service, core, create_connection);
  bind<wire::DescribeConnection>(service, core, describe_connection);
  bind<wire::ListConnections>(service, core, list_connections);
  bind<wire::UpdateConnection>(service, core, update_connection);
  bind<wire::DeauthorizeConnection>(service, core, deauthorize_connection);
  bind<wire::DeleteConnection>(service, core, delete_connection);
}

}  // namespace mayfly::events
