#include "services/events/api_client.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/encoding.h"
#include "base/log.h"
#include "base/time_format.h"
#include "services/events/cloud_events.h"
#include "vault/sealed_records.h"

namespace mayfly::events {
namespace {

constexpr std::size_t kThreads = 16;
constexpr std::size_t kWaiting = 1'024;
constexpr std::size_t kMostAnswer = 1024UL * 1024;
constexpr auto kTimeout = std::chrono::seconds(5);
constexpr auto kTokenMargin = std::chrono::seconds(30);
constexpr std::int64_t kTokenSeconds = 3'600;  // where the endpoint does not say

using Parameters = wire::CreateConnectionAuthRequestParameters;

delivery::Attempt attempt_of(delivery::Attempt::Kind kind, std::string code, std::string message,
                             std::uint32_t status) {
  delivery::Attempt attempt;
  attempt.kind = kind;
  attempt.error_code = std::move(code);
  attempt.error_message = std::move(message);
  attempt.status = status;
  return attempt;
}

// "http://host:port/path?query" in what a client request is made of.
struct Address {
  std::string base;
  std::string path = "/";
  std::string query;
};

Address address_of(const std::string& endpoint) {
  Address address;
  const auto start = endpoint.find("://") + 3;
  const auto slash = std::min(endpoint.find_first_of("/?", start), endpoint.size());
  address.base = endpoint.substr(0, slash);
  const auto question = std::min(endpoint.find('?', slash), endpoint.size());
  if (question > slash) address.path = endpoint.substr(slash, question - slash);
  if (question < endpoint.size()) address.query = endpoint.substr(question + 1);
  return address;
}

void add_query(Address& address, std::string_view name, std::string_view value) {
  if (!address.query.empty()) address.query += '&';
  address.query += percent_encode(name, Slash::kEncode) + "=" + percent_encode(value, Slash::kEncode);
}

// Members that a connection adds to every body that is a JSON object.
void add_body_parameters(std::string& body, const std::vector<wire::ConnectionBodyParameter>& parameters) {
  auto document = parse_json(body);
  if (parameters.empty() || !document || !document->is_object()) return;
  for (const auto& parameter : parameters)
    document->get_object()[parameter.Key.value_or("")] = parameter.Value.value_or("");
  body = to_json(*document);
}

struct Outgoing {
  http::ClientRequest request;
  Address address;

  void add_http(const wire::ConnectionHttpParameters& parameters) {
    for (const auto& one : parameters.HeaderParameters.value_or(std::vector<wire::ConnectionHeaderParameter>()))
      request.head.headers.set(one.Key.value_or(""), one.Value.value_or(""));
    for (const auto& one :
         parameters.QueryStringParameters.value_or(std::vector<wire::ConnectionQueryStringParameter>()))
      add_query(address, one.Key.value_or(""), one.Value.value_or(""));
    add_body_parameters(request.body, parameters.BodyParameters.value_or(std::vector<wire::ConnectionBodyParameter>()));
  }
  // What the rule's target adds: values for the "*" of the path, headers and query.
  void add_target(const wire::HttpParameters& parameters) {
    for (const auto& value : parameters.PathParameterValues.value_or(std::vector<std::string>())) {
      const auto star = address.path.find('*');
      if (star == std::string::npos) break;
      address.path.replace(star, 1, percent_encode(value, Slash::kEncode));
    }
    using Pairs = std::vector<std::pair<std::string, std::string>>;
    for (const auto& [name, value] : parameters.HeaderParameters.value_or(Pairs()))
      request.head.headers.set(name, value);
    for (const auto& [name, value] : parameters.QueryStringParameters.value_or(Pairs()))
      add_query(address, name, value);
  }
  http::ClientRequest finish() {
    request.url_base = address.base;
    request.head.target = address.query.empty() ? address.path : address.path + "?" + address.query;
    request.timeout = kTimeout;
    return std::move(request);
  }
};

http::ClientRequest token_request(const wire::CreateConnectionOAuthRequestParameters& oauth) {
  Outgoing out;
  out.address = address_of(oauth.AuthorizationEndpoint.value_or(""));
  const auto client = oauth.ClientParameters.value_or(wire::CreateConnectionOAuthClientRequestParameters());
  out.request.head.method = oauth.HttpMethod.value_or("POST");
  const auto form = [](std::string_view name, std::string_view value) {
    return fmt::format("{}={}", name, percent_encode(value, Slash::kEncode));
  };
  out.request.body = fmt::format("grant_type=client_credentials&{}&{}", form("client_id", client.ClientID.value_or("")),
                                 form("client_secret", client.ClientSecret.value_or("")));
  out.request.head.headers.set("Content-Type", "application/x-www-form-urlencoded");
  const auto http = oauth.OAuthHttpParameters.value_or(wire::ConnectionHttpParameters());
  for (const auto& one : http.BodyParameters.value_or(std::vector<wire::ConnectionBodyParameter>()))
    out.request.body += "&" + form(percent_encode(one.Key.value_or(""), Slash::kEncode), one.Value.value_or(""));
  out.add_http(http);
  return out.finish();
}

delivery::Attempt attempt_for(const Result<http::Response>& answer) {
  using Kind = delivery::Attempt::Kind;
  // As EventBridge names them in dead letters.
  if (!answer) {
    // Too many calls wait already: not tried.
    if (answer.error().code == ErrorCode::kThrottled)
      return attempt_of(Kind::kThrottled, "THROTTLING", answer.error().message, 429);
    const bool late = answer.error().code == ErrorCode::kTimeout;
    return attempt_of(Kind::kRetry, late ? "TIMEOUT" : "CONNECTION_FAILURE", answer.error().message, 500);
  }
  const int status = answer->head.status;
  if (status / 100 == 2) return delivery::Attempt();
  const bool again = status == 409 || status == 429 || status / 100 == 5;
  auto attempt = attempt_of(again ? Kind::kRetry : Kind::kRefused, "ERROR_FROM_TARGET",
                            fmt::format("The endpoint answered {}", status), static_cast<std::uint32_t>(status));
  attempt.response = answer->body.substr(0, 1'024);
  return attempt;
}

}  // namespace

ApiClient::ApiClient(Clock& clock, ConnectionTable& connections, const DestinationTable& destinations)
    : clock_(clock), connections_(connections), destinations_(destinations), pool_(kThreads, kWaiting) {}

bool ApiClient::take(const DestinationRecord& destination) {
  const double rate = std::max(destination.rate_limit, 1);
  return buckets_.take(destination.key(), {.rate = rate, .burst = rate}, clock_.steady_now()).count() == 0;
}

Awaitable<Result<http::Response>> ApiClient::fetch(http::ClientRequest request) {
  const auto shared = std::make_shared<http::ClientRequest>(std::move(request));
  std::function<Result<http::Response>()> job = [shared] { return http::fetch(*shared, kMostAnswer); };
  co_return co_await pool_.run(std::move(job));
}

Awaitable<Result<std::string>> ApiClient::token_for(ConnectionPtr connection) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = tokens_.find(connection->key());
    if (found != tokens_.end() && found->second.modified == connection->modified &&
        found->second.until > clock_.steady_now())
      co_return found->second.value;
  }
  Parameters parameters;
  from_document(connection->parameters, parameters);
  auto answer = co_await fetch(
      token_request(parameters.OAuthParameters.value_or(wire::CreateConnectionOAuthRequestParameters())));
  if (!answer) co_return std::unexpected(std::move(answer.error()));
  const auto document = parse_json(answer->body);
  const auto value = document ? std::string(get_string(*document, "access_token")) : std::string();
  if (answer->head.status / 100 != 2 || value.empty())
    co_return fail(ErrorCode::kUnauthorized,
                   fmt::format("The authorization endpoint answered {} and no token", answer->head.status));
  Token token;
  token.value = "Bearer " + value;
  token.until =
      clock_.steady_now() + std::chrono::seconds(get_int(*document, "expires_in", kTokenSeconds)) - kTokenMargin;
  token.modified = connection->modified;
  if (connection->state != "AUTHORIZED") {
    ConnectionTable::Edit edit = [this](ConnectionRecord& record) -> aws::ApiResult<void> {
      if (record.state == "AUTHORIZING") record.state = "AUTHORIZED";
      record.authorized = epoch_seconds(clock_.now());
      return {};
    };
    aws::ApiError gone = error_of(wire::errors::ResourceNotFoundException, "The connection is gone.");
    auto changed = co_await connections_.change(connection->key(), std::move(gone), std::move(edit));
    if (!changed) log(Level::kWarn, "a connection's state could not be written", {{"connection", connection->arn()}});
  }
  const std::lock_guard lock(mutex_);
  tokens_[connection->key()] = token;
  co_return token.value;
}

Awaitable<delivery::Attempt> ApiClient::call(delivery::Arn target, delivery::Event event) {
  using Kind = delivery::Attempt::Kind;
  const Place place{.account = target.account, .region = target.region};
  const auto path = std::string_view(target.resource).substr(target.resource.find('/') + 1);
  const auto name = path.substr(0, path.find('/'));
  const auto destination = destinations_.find(place_key(DestinationRecord::kPrefix, place, name));
  if (!destination)
    co_return attempt_of(Kind::kRefused, "ResourceNotFoundException", "There is no such API destination.", 404);
  const auto connection_name = parse_resource_arn(destination->connection_arn);
  const auto connection =
      connection_name ? connections_.find(place_key(ConnectionRecord::kPrefix, place, connection_name->name)) : nullptr;
  if (!connection || connection->state == "DEAUTHORIZED")
    co_return attempt_of(Kind::kRetry, "CONNECTION_NOT_AUTHORIZED", "The connection is gone or not authorized.", 401);
  if (const auto locked = vault::locked(json::value(connection->parameters)))
    co_return attempt_of(Kind::kRetry, "CONNECTION_NOT_AUTHORIZED",
                         "The connection's credentials cannot be decrypted: " + vault::why_locked(*locked) + ".", 401);
  if (!take(*destination))
    co_return attempt_of(Kind::kThrottled, "RATE_LIMIT", "The destination's rate is used up.", 429);
  Parameters parameters;
  from_document(connection->parameters, parameters);
  Outgoing out;
  out.address = address_of(destination->endpoint);
  out.request.head.method = destination->method;
  out.request.body = event.payload;
  out.request.head.headers.set("Content-Type", "application/json; charset=utf-8");
  out.request.head.headers.set("User-Agent", "Amazon/EventBridge/ApiDestinations");
  if (const auto* http = event.parameters.if_contains("HttpParameters"); http != nullptr && http->is_object()) {
    wire::HttpParameters target_parameters;
    from_document(http->get_object(), target_parameters);
    out.add_target(target_parameters);
  }
  as_cloud_event(out.request.head.headers, out.request.body, event);
  if (parameters.InvocationHttpParameters) out.add_http(*parameters.InvocationHttpParameters);
  if (const auto& basic = parameters.BasicAuthParameters)
    out.request.head.headers.set(
        "Authorization", "Basic " + base64_encode(basic->Username.value_or("") + ":" + basic->Password.value_or("")));
  if (const auto& key = parameters.ApiKeyAuthParameters)
    out.request.head.headers.set(key->ApiKeyName.value_or(""), key->ApiKeyValue.value_or(""));
  if (parameters.OAuthParameters) {
    auto token = co_await token_for(connection);
    if (!token) co_return attempt_of(Kind::kRetry, "CONNECTION_NOT_AUTHORIZED", token.error().message, 401);
    out.request.head.headers.set("Authorization", *token);
  }
  auto answer = co_await fetch(out.finish());
  if (answer && answer->head.status == 401 && parameters.OAuthParameters) {
    const std::lock_guard lock(mutex_);
    tokens_.erase(connection->key());
  }
  co_return attempt_for(answer);
}

}  // namespace mayfly::events
