// Who may use a route: tokens of an issuer, an authorizer's function, signatures. Whatever cannot be decided is
// refused.
#include <fmt/core.h>

#include <algorithm>

#include "base/encoding.h"
#include "base/ids.h"
#include "base/json.h"
#include "base/log.h"
#include "gateway/gateway.h"
#include "gateway/rest_payload.h"
#include "gateway/rest_policy.h"
#include "gateway/web_socket_payload.h"

namespace mayfly::gateway {
namespace {

constexpr std::size_t kMostDocument = 1024UL * 1024;
constexpr std::chrono::seconds kFetchTimeout{5};
constexpr std::size_t kMostIdentity = 8UL * 1024;

struct Asked {
  std::vector<std::string> values;
  bool complete = true;
};

// The values of an authorizer's identity sources; none may be missing.
Asked ask(const Authorizer& authorizer, const Exchange& exchange) {
  Asked out;
  for (const auto& source : authorizer.sources) {
    auto value = source.value(exchange);
    out.complete = out.complete && value && !value->empty();
    out.values.push_back(value.value_or(""));
  }
  return out;
}

std::string_view without_bearer(std::string_view text) {
  constexpr std::string_view kBearer = "bearer ";
  if (text.size() > kBearer.size() && iequals(text.substr(0, kBearer.size()), kBearer)) {
    text.remove_prefix(kBearer.size());
  }
  return trim(text);
}

json::object jwt_identity(const json::object& claims, const std::vector<std::string>& wanted_scopes) {
  json::object shown;
  for (const auto& [name, value] : claims) shown[name] = identity::claim_text(value);
  json::object jwt;
  jwt["claims"] = std::move(shown);
  jwt["scopes"] = nullptr;
  if (!wanted_scopes.empty()) {
    json::array scopes;
    for (const auto& scope : identity::scopes_of(claims)) scopes.emplace_back(scope);
    jwt["scopes"] = std::move(scopes);
  }
  json::object out;
  out["jwt"] = std::move(jwt);
  return out;
}

std::string authorizer_event_v2(const Exchange& exchange, const std::string& arn, const Asked& asked) {
  const auto& input = exchange.event;
  json::array sources;
  for (const auto& value : asked.values) sources.emplace_back(value);
  json::object event;
  event["version"] = "2.0";
  event["type"] = "REQUEST";
  event["routeArn"] = arn;
  event["identitySource"] = sources.empty() ? json::value() : json::value(std::move(sources));
  event["routeKey"] = input.route_key;
  event["rawPath"] = input.path;
  event["rawQueryString"] = input.head.query();
  auto parts = header_parts(input);
  if (!parts.cookies.empty()) event["cookies"] = std::move(parts.cookies);
  event["headers"] = std::move(parts.headers);
  if (!input.head.query().empty()) event["queryStringParameters"] = query_parameters(input.head.query());
  event["requestContext"] = request_context_v2(input);
  if (!input.path_parameters.empty()) event["pathParameters"] = object_of(input.path_parameters);
  if (!input.stage_variables.empty()) event["stageVariables"] = object_of(input.stage_variables);
  return to_json(event);
}

std::string authorizer_event_v1(const Exchange& exchange, const std::string& arn, const Asked& asked) {
  const auto& input = exchange.event;
  std::string sources;
  for (const auto& value : asked.values) sources += (sources.empty() ? "" : ",") + value;
  json::object headers;
  for (const auto& [name, value] : input.head.headers) headers[name] = value;
  auto context = request_context_v1(input);
  json::object event;
  event["version"] = "1.0";
  event["type"] = "REQUEST";
  event["methodArn"] = arn;
  event["identitySource"] = sources;
  event["authorizationToken"] = sources;
  event["resource"] = context["resourcePath"];
  event["path"] = input.path;
  event["httpMethod"] = input.head.method;
  event["headers"] = std::move(headers);
  event["queryStringParameters"] = query_parameters(input.head.query());
  event["pathParameters"] = object_of(input.path_parameters);
  event["stageVariables"] = object_of(input.stage_variables);
  event["requestContext"] = std::move(context);
  return to_json(event);
}

// What authorizers of an API may be asked about: "TOKEN" is given the one value that it is named after.
std::string authorizer_event(const Exchange& exchange, const Authorizer& authorizer, const std::string& arn,
                             const Asked& asked) {
  if (authorizer.is_token) return token_event(arn, asked.values.empty() ? std::string() : asked.values.front());
  if (exchange.socket) return web_socket_authorizer_event(exchange, arn);
  if (exchange.api->is_rest) return rest_authorizer_event(exchange, arn);
  return authorizer.format_v1 ? authorizer_event_v1(exchange, arn, asked) : authorizer_event_v2(exchange, arn, asked);
}

}  // namespace

Awaitable<Result<std::string>> Gateway::fetch_document(std::string url) {
  const auto start = std::min(url.find("://"), url.size());
  const auto authority = url.substr(std::min(start + 3, url.size()), url.find('/', start + 3) - (start + 3));
  const auto host = authority.substr(0, authority.rfind(':'));
  const bool secure = url.starts_with("https://");
  const bool here = host == "127.0.0.1" || host == "localhost";
  // Keys over plain HTTP are anybody's on the way.
  if (!secure && !(url.starts_with("http://") && here))
    co_return fail(ErrorCode::kForbidden, "keys are fetched over https alone");
  const auto slash = std::min(url.find('/', start + 3), url.size());
  auto request = std::make_shared<http::ClientRequest>();
  request->url_base = url.substr(0, slash);
  request->head.method = "GET";
  request->head.target = slash == url.size() ? "/" : url.substr(slash);
  request->timeout = kFetchTimeout;
  const auto fetch = ports_.fetch;
  OneShot<Result<http::Response>> slot;
  std::function<void()> job = [slot, request, fetch]() mutable { slot.set(fetch(*request, kMostDocument)); };
  if (!key_fetches_.submit(std::move(job))) co_return fail(ErrorCode::kThrottled, "too many keys are being fetched");
  const auto deadline = clock_.steady_now() + kFetchTimeout;
  auto answered = co_await slot.get_until(deadline);
  if (!answered) co_return fail(ErrorCode::kTimeout, "the issuer did not answer in time");
  if (!*answered) co_return std::unexpected(std::move((*answered).error()));
  if ((*answered)->head.status != 200)
    co_return fail(ErrorCode::kIo, fmt::format("the issuer answered {}", (*answered)->head.status));
  co_return std::move((*answered)->body);
}

Awaitable<Gateway::Verdict> Gateway::authorize(Exchange& exchange) {
  const auto& route = *exchange.route;
  if (route.access == Route::Access::kOpen) co_return std::nullopt;
  Verdict refusal =
      Refusal{.status = 500, .message = "Internal Server Error", .reason = "no authorizer", .headers = {}};
  if (route.access == Route::Access::kIam) {
    refusal = authorize_signature(exchange);
  } else if (route.access == Route::Access::kAuthorizer && route.authorizer) {
    if (route.authorizer->kind == Authorizer::Kind::kJwt) {
      refusal = co_await authorize_token(exchange);
    } else {
      refusal = co_await authorize_by_function(exchange);
    }
  }
  if (refusal) {
    exchange.authorizer_error = refusal->reason;
    log(Level::kInfo, "the gateway refused a caller",
        {{"request", exchange.event.request_id},
         {"api", exchange.api->id},
         {"route", route.text},
         {"source_ip", exchange.event.source_ip},
         {"reason", refusal->reason}});
  }
  co_return refusal;
}

Gateway::Verdict Gateway::authorize_signature(Exchange& exchange) const {
  const SignedRequest request{.head = exchange.event.head,
                              .body = exchange.event.body,
                              .resource = exchange.arn(exchange.resource),
                              .source_ip = exchange.event.source_ip,
                              .tls = exchange.event.tls};
  auto answer = ports_.check_signature(request);
  if (!answer.allowed && exchange.api->is_rest) {
    const auto& head = exchange.event.head;
    const bool unsigned_request =
        head.headers.get("Authorization").empty() && !query_value(head.query(), "X-Amz-Signature");
    auto refusal = rest_refusal(unsigned_request       ? "MISSING_AUTHENTICATION_TOKEN"
                                : answer.authenticated ? "ACCESS_DENIED"
                                                       : "INVALID_SIGNATURE",
                                answer.reason);
    if (answer.authenticated) refusal.text = std::move(answer.reason);
    return refusal;
  }
  if (!answer.allowed) {
    return Refusal{.status = 403, .message = "Forbidden", .reason = std::move(answer.reason), .headers = {}};
  }
  exchange.event.authorizer["iam"] = std::move(answer.identity);
  exchange.caller = std::move(answer.who);
  return std::nullopt;
}

Awaitable<Gateway::Verdict> Gateway::authorize_token(Exchange& exchange) {
  const auto authorizer = exchange.route->authorizer;
  Refusal unauthorized{.status = 401, .message = "Unauthorized", .reason = "there is no token", .headers = {}};
  unauthorized.headers.emplace_back("WWW-Authenticate", "Bearer");
  const auto asked = ask(*authorizer, exchange);
  if (!asked.complete || asked.values.empty()) co_return unauthorized;
  std::string token(without_bearer(asked.values.front()));
  auto issuer = authorizer->issuer;
  auto audience = authorizer->audience;
  auto claims = co_await issuers_.verify(std::move(token), std::move(issuer), std::move(audience));
  if (!claims) {
    unauthorized.reason = std::move(claims.error().message);
    co_return unauthorized;
  }
  const auto& wanted = exchange.route->scopes;
  const auto scopes = identity::scopes_of(*claims);
  const auto has = [&](const std::string& scope) { return std::ranges::find(scopes, scope) != scopes.end(); };
  if (!wanted.empty() && std::ranges::none_of(wanted, has)) {
    Refusal forbidden{.status = 403, .message = "Forbidden", .reason = "the token lacks a scope", .headers = {}};
    forbidden.headers.emplace_back("WWW-Authenticate", "Bearer error=\"insufficient_scope\"");
    co_return forbidden;
  }
  exchange.event.authorizer = jwt_identity(*claims, wanted);
  co_return std::nullopt;
}

Gateway::Verdict Gateway::apply(Exchange& exchange, const Authorization& authorization) const {
  // A policy is kept and decided anew for each route; a simple answer holds for every route it is cached for.
  identity::Decision decision;
  decision.allowed = authorization.allowed;
  if (authorization.by_policy) decision = decide_by_authorizer(exchange, authorization.policy);
  if (!decision.allowed) {
    Refusal denied{.status = 403, .message = "Forbidden", .reason = "the authorizer denies", .headers = {}};
    if (decision.explicitly) denied.text = "User is not authorized to access this resource with an explicit deny";
    return denied;
  }
  exchange.usage_key = authorization.usage_key;
  exchange.event.authorizer["lambda"] = authorization.context;
  return std::nullopt;
}

Awaitable<Gateway::Verdict> Gateway::authorize_by_function(Exchange& exchange) {
  const auto authorizer = exchange.route->authorizer;
  const auto asked = ask(*authorizer, exchange);
  const bool malformed = authorizer->is_token && authorizer->is_valid_token && !asked.values.empty() &&
                         !authorizer->is_valid_token(asked.values.front());
  if (!asked.complete || malformed) {
    co_return Refusal{
        .status = 401, .message = "Unauthorized", .reason = "an identity source is missing", .headers = {}};
  }
  std::string key =
      fmt::format("{}/{}/{}/{}", exchange.api->id, exchange.stage->name, authorizer->id, authorizer->generation);
  for (const auto& value : asked.values) key += fmt::format("/{}:{}", value.size(), value);
  // $context.routeKey among the sources makes answers a route's own, as documented.
  const bool cached = authorizer->ttl.count() > 0 && !asked.values.empty() && key.size() <= kMostIdentity;
  if (cached) {
    std::optional<Authorization> known;
    {
      const std::lock_guard lock(cache_mutex_);
      const auto found = cache_.find(key);
      if (found != cache_.end() && found->second.until > clock_.steady_now()) known = found->second;
    }
    if (known) co_return apply(exchange, *known);
  }
  FunctionCall call;
  call.function_arn = authorizer->function_arn;
  call.source_arn = fmt::format("arn:aws:execute-api:{}:{}:{}/authorizers/{}", exchange.api->region,
                                exchange.api->account, exchange.api->id, authorizer->id);
  call.account = exchange.api->account;
  call.credentials_arn = authorizer->credentials_arn;
  call.request_id = uuid4();  // an invocation of its own
  const auto arn = exchange.arn(exchange.resource);
  call.payload = authorizer_event(exchange, *authorizer, arn, asked);
  constexpr std::chrono::milliseconds kTimeout{10'000};
  auto result = co_await invoke(std::move(call), kTimeout);
  Refusal broken{.status = 500, .message = "Internal Server Error", .reason = "", .headers = {}};
  broken.type = "AUTHORIZER_FAILURE";
  if (!result) {
    broken.reason = std::move(result.error().message);
    co_return broken;
  }
  auto document = parse_json(result->payload);
  if (!result->function_error.empty()) {
    if (document && get_string(*document, "errorMessage") == "Unauthorized") {
      co_return Refusal{
          .status = 401, .message = "Unauthorized", .reason = "the authorizer says Unauthorized", .headers = {}};
    }
    broken.reason = "the authorizer's function ended with an error";
    co_return broken;
  }
  if (!document || !document->is_object()) {
    broken.reason = "the authorizer's answer is no object";
    co_return broken;
  }
  Authorization authorization;
  if (authorizer->simple) {
    authorization.allowed = get_bool(*document, "isAuthorized", false);
  } else {
    const auto* policy = find(*document, "policyDocument");
    if (policy == nullptr || get_string(*document, "principalId").empty()) {
      broken.reason = "the authorizer's answer has no principalId and policyDocument";
      co_return broken;
    }
    authorization.by_policy = true;
    authorization.policy = to_json(*policy);
    authorization.usage_key = get_string(*document, "usageIdentifierKey");
  }
  if (const auto* context = find(*document, "context"); context != nullptr && context->is_object()) {
    authorization.context = context->get_object();
  }
  if (!authorizer->simple) authorization.context["principalId"] = get_string(*document, "principalId");
  if (cached) {
    authorization.until = clock_.steady_now() + authorizer->ttl;
    const std::lock_guard lock(cache_mutex_);
    if (cache_.size() >= kMostCached) cache_.clear();
    cache_[key] = authorization;
  }
  co_return apply(exchange, authorization);
}

}  // namespace mayfly::gateway
