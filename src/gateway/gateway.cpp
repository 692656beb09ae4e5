#include "gateway/gateway.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <tuple>

#include "base/encoding.h"
#include "base/ids.h"
#include "base/log.h"
#include "gateway/rest_answers.h"

namespace mayfly::gateway {
namespace {

constexpr std::string_view kMarker = "execute-api";
constexpr std::string_view kPathForm = "/_aws/execute-api/";

std::string_view without_port(std::string_view host) { return host.substr(0, host.find(':')); }

// "abc123" of "abc123.execute-api.localhost"; "" of any other host.
std::string_view api_of(std::string_view host) {
  const auto dot = host.find('.');
  if (dot == std::string_view::npos) return {};
  const auto rest = host.substr(dot + 1);
  const auto end = rest.find('.');
  return end != std::string_view::npos && iequals(rest.substr(0, end), kMarker) ? host.substr(0, dot)
                                                                                : std::string_view();
}

std::string message_body(std::string_view message) {
  json::object body;
  body["message"] = message;
  return to_json(body);
}

// "/v1/pets" below "v1" is "/pets"; nullopt where the path is not below it.
std::optional<std::string> below(std::string_view path, std::string_view key) {
  if (key.empty()) return std::string(path);
  if (!path.starts_with('/') || !path.substr(1).starts_with(key)) return std::nullopt;
  const auto rest = path.substr(1 + key.size());
  if (rest.empty()) return "/";
  return rest.starts_with('/') ? std::optional<std::string>(rest) : std::nullopt;
}

}  // namespace

Gateway::Gateway(Clock& clock, Ports ports)
    : clock_(clock),
      ports_(std::move(ports)),
      issuers_(clock, [this](std::string url) { return fetch_document(std::move(url)); }) {}
Gateway::~Gateway() = default;

void Gateway::publish(ApiPtr api) {
  {
    const std::unique_lock lock(mutex_);
    apis_[api->id] = api;
  }
  if (!api->is_web_socket) return;
  // Connections of a stage that has gone have nobody to talk to.
  const auto stranded = [&](const Connection& one) {
    return one.client.api_id == api->id && !api->stages.contains(one.client.stage);
  };
  connections_.close(stranded, http::close_code::kGoingAway, "Going away");
}

void Gateway::withdraw(const std::string& api_id) {
  {
    const std::unique_lock lock(mutex_);
    apis_.erase(api_id);
  }
  const auto stranded = [&](const Connection& one) { return one.client.api_id == api_id; };
  connections_.close(stranded, http::close_code::kGoingAway, "Going away");
}

void Gateway::publish_domain(DomainPtr domain) {
  const std::unique_lock lock(mutex_);
  domains_[to_lower(domain->name)] = std::move(domain);
}

void Gateway::withdraw_domain(const std::string& name) {
  const std::unique_lock lock(mutex_);
  domains_.erase(to_lower(name));
}

std::shared_ptr<TokenBucket> Gateway::bucket(const std::string& name, const std::optional<RateLimits>& limits) {
  const std::unique_lock lock(mutex_);
  if (!limits) {
    buckets_.erase(name);
    return nullptr;
  }
  auto& slot = buckets_[name];
  auto present = slot.lock();
  if (!present || present->limits() != *limits) {
    present = std::make_shared<TokenBucket>(*limits);
    slot = present;
  }
  std::erase_if(buckets_, [](const auto& entry) { return entry.second.expired(); });
  return present;
}

void Gateway::forget_authorizations(const std::string& api_id) {
  const std::lock_guard lock(cache_mutex_);
  std::erase_if(cache_, [&](const auto& entry) { return entry.first.starts_with(api_id + "/"); });
}

bool Gateway::is_for(std::string_view host) const {
  const auto name = without_port(host);
  if (!api_of(name).empty()) return true;
  const std::shared_lock lock(mutex_);
  if (domains_.empty()) return false;
  const auto lower = to_lower(name);
  return domains_.contains(lower) || domains_.contains("*" + lower.substr(std::min(lower.find('.'), lower.size())));
}

bool Gateway::is_for_path(std::string_view path) { return path.starts_with(kPathForm); }

std::optional<Gateway::Place> Gateway::stage_of(const ApiPtr& api, std::string_view path) {
  const auto end = std::min(path.find('/', 1), path.size());
  const auto first = path.substr(std::min<std::size_t>(1, path.size()), end - std::min<std::size_t>(1, end));
  // "$default" is no path segment: it is reached without any.
  if (const auto named = api->stages.find(first); named != api->stages.end() && first != "$default") {
    const auto rest = path.substr(end);
    return Place{.api = api, .stage = named->second, .path = rest.empty() ? "/" : std::string(rest)};
  }
  const auto fallback = api->stages.find("$default");
  if (fallback == api->stages.end()) return std::nullopt;
  return Place{.api = api, .stage = fallback->second, .path = std::string(path)};
}

std::optional<Gateway::Place> Gateway::place_of(std::string_view host, std::string_view path) const {
  const auto name = without_port(host);
  const std::shared_lock lock(mutex_);
  if (const auto id = api_of(name); !id.empty()) {
    const auto found = apis_.find(to_lower(id));
    if (found == apis_.end() || found->second->own_address_disabled) return std::nullopt;
    return stage_of(found->second, path);
  }
  const auto lower = to_lower(name);
  auto domain = domains_.find(lower);
  if (domain == domains_.end()) domain = domains_.find("*" + lower.substr(std::min(lower.find('.'), lower.size())));
  if (domain == domains_.end()) return std::nullopt;
  for (const auto& target : domain->second->targets) {
    auto rest = below(path, target.key);
    if (!rest) continue;
    const auto api = apis_.find(target.api_id);
    if (api == apis_.end()) return std::nullopt;
    const auto stage = api->second->stages.find(target.stage);
    if (stage == api->second->stages.end()) return std::nullopt;
    return Place{.api = api->second, .stage = stage->second, .path = std::move(*rest)};
  }
  return std::nullopt;
}

std::optional<Gateway::Place> Gateway::place_of_path(EventInput& event) const {
  auto rest = std::string_view(event.path).substr(kPathForm.size());
  const std::string id(rest.substr(0, rest.find('/')));
  rest.remove_prefix(std::min(id.size(), rest.size()));
  std::string path = rest.empty() ? "/" : std::string(rest);
  event.path = path;
  event.domain = id + ".execute-api.localhost";
  event.domain_prefix = id;
  return place_of(event.domain, path);
}

void Gateway::refuse(Exchange& exchange, const Refusal& refusal) {
  exchange.response = http::Response();
  exchange.error = refusal.reason.empty() ? refusal.message : refusal.reason;
  if (exchange.socket && refusal.status != 426) {
    refuse_web_socket(exchange, refusal);
  } else if (exchange.api && exchange.api->is_rest) {
    answer_as_rest(exchange, refusal.type.empty() ? rest_type(refusal.status) : refusal.type, refusal.text);
  } else {
    exchange.response.head.status = refusal.status;
    exchange.response.head.headers.set("Content-Type", "application/json");
    exchange.response.body = message_body(refusal.message);
  }
  for (const auto& [name, value] : refusal.headers) exchange.response.head.headers.set(name, value);
}

Gateway::Refusal Gateway::rest_refusal(std::string_view type, std::string reason) {
  const auto& answer = rest_answer(type);
  return Refusal{.status = answer.status,
                 .message = std::string(answer.message),
                 .reason = std::move(reason),
                 .headers = {},
                 .type = std::string(type),
                 .text = {}};
}

Gateway::Refusal Gateway::no_place(std::string_view host, Exchange& exchange) const {
  {
    const std::shared_lock lock(mutex_);
    const auto found = apis_.find(to_lower(api_of(without_port(host))));
    if (found != apis_.end() && found->second->is_rest) exchange.api = found->second;
    if (found != apis_.end() && found->second->is_web_socket)
      return Refusal{.status = 403, .message = "Forbidden", .reason = "no such stage", .headers = {}};
  }
  constexpr std::string_view kReason = "no such API or stage";
  if (exchange.api) return rest_refusal("INVALID_API_KEY", std::string(kReason));  // Forbidden, as documented
  return Refusal{.status = 404, .message = "Not Found", .reason = std::string(kReason), .headers = {}};
}

Gateway::Verdict Gateway::begin(Exchange& exchange, const Place& place) const {
  exchange.api = place.api;
  exchange.stage = place.stage;
  auto& event = exchange.event;
  event.api_id = place.api->id;
  event.account = place.api->account;
  event.stage = place.stage->name;
  event.stage_variables = place.stage->variables;
  exchange.path_in_stage = place.path;
  const auto path = split_path(place.path);
  if (!path) return Refusal{.status = 400, .message = "Bad Request", .reason = "the path is not taken"};
  auto match = place.stage->table.find(event.head.method, *path);
  if (!match) return Refusal{.status = 404, .message = "Not Found", .reason = "no route matches"};
  exchange.route = &place.stage->routes.at(match->route);
  event.route_key = exchange.route->text;
  event.path_parameters = std::move(match->parameters);
  exchange.raw_path_parameters = std::move(match->raw_parameters);
  if (exchange.route->key.is_default) {
    exchange.resource = exchange.route_resource = "$default";
  } else {
    exchange.resource = event.head.method + place.path;
    exchange.route_resource = event.head.method + exchange.route->key.path;
  }
  if (exchange.route->has_no_method) return rest_refusal("MISSING_AUTHENTICATION_TOKEN", "the path has no such method");
  return std::nullopt;
}

Gateway::Verdict Gateway::throttle(const Exchange& exchange) const {
  const auto now = clock_.steady_now();
  const auto own = exchange.route == nullptr ? nullptr : exchange.route->bucket;
  for (const auto& bucket : {own, exchange.stage->bucket}) {
    if (!bucket) continue;
    const auto wait = bucket->take(now);
    if (wait == std::chrono::nanoseconds(0)) continue;
    Refusal refusal{.status = 429, .message = "Too Many Requests", .reason = "", .headers = {}};
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(wait).count();
    refusal.headers.emplace_back("Retry-After", std::to_string(seconds));
    return refusal;
  }
  return std::nullopt;
}

Awaitable<void> Gateway::answer(Exchange& exchange, const Place& place, http::Request& request) {
  auto refusal = begin(exchange, place);
  if (!refusal) refusal = throttle(exchange);
  if (!refusal) refusal = check_policy(exchange);
  const bool is_signed = exchange.route != nullptr && exchange.route->access == Route::Access::kIam;
  // Who is refused by a header alone need not send a body; a signature covers it.
  if (!refusal && !is_signed) refusal = co_await authorize(exchange);
  if (!refusal && !is_signed) refusal = check_key(exchange);
  if (!refusal) {
    auto body = co_await request.read_all(kMostBody);
    if (body) {
      exchange.event.body = std::move(*body);
    } else if (body.error().code == ErrorCode::kTooLarge) {
      refusal = Refusal{.status = 413, .message = "Request Entity Too Large", .reason = "", .headers = {}};
    } else {
      refusal = Refusal{.status = 400, .message = "Bad Request", .reason = body.error().message, .headers = {}};
    }
  }
  if (!refusal && is_signed) refusal = co_await authorize(exchange);
  if (!refusal && is_signed) refusal = check_key(exchange);
  if (!refusal && exchange.route->cache) {
    refusal = co_await answer_by_cache(exchange);
  } else if (!refusal) {
    refusal = co_await integrate(exchange);
  }
  if (refusal) refuse(exchange, *refusal);
}

void Gateway::write_access(const Exchange& exchange) const {
  if (exchange.stage == nullptr || exchange.stage->log_group.empty()) return;
  const auto escape = exchange.stage->log_is_json ? Template::Escape::kJson : Template::Escape::kNone;
  ports_.write_log(exchange.stage->log_group, exchange.stage->name, exchange.stage->log_format.fill(exchange, escape));
}

Awaitable<void> Gateway::serve(http::Request& request, http::ResponseWriter& response) {
  const auto began = clock_.steady_now();
  Exchange exchange;
  auto& event = exchange.event;
  event.head = request.head;
  event.path = request.head.path();
  event.source_ip = http::address_of(request.peer_address());
  event.request_id = uuid4();
  event.domain = to_lower(without_port(request.head.headers.get("Host")));
  event.domain_prefix = event.domain.substr(0, event.domain.find('.'));
  event.tls = request.is_tls();
  event.now = clock_.now();
  const auto place =
      is_for_path(event.path) && !is_for(event.domain) ? place_of_path(event) : place_of(event.domain, event.path);
  if (place && place->api->is_web_socket) {
    co_await serve_web_socket(exchange, *place, request, response);
    co_return;
  }
  const auto* cors = place && place->stage->cors ? &*place->stage->cors : nullptr;
  if (!place) {
    const auto unknown = no_place(event.domain, exchange);
    refuse(exchange, unknown);
  } else if (cors != nullptr && is_preflight(request.head)) {
    exchange.api = place->api;
    exchange.stage = place->stage;
    exchange.response.head.status = 204;
  } else {
    co_await answer(exchange, *place, request);
  }
  auto& head = exchange.response.head;
  if (cors != nullptr) {
    drop_cors(head.headers);
    add_cors(*cors, request.head, head.headers);
  }
  if (exchange.api && exchange.api->is_rest) {
    head.headers.set("x-amzn-RequestId", event.request_id);
    head.headers.set("x-amz-apigw-id", event.request_id);
  } else {
    head.headers.set("apigw-requestid", event.request_id);
  }
  exchange.latency = std::chrono::duration_cast<std::chrono::microseconds>(clock_.steady_now() - began);
  write_access(exchange);
  if (head.status >= 400 && !exchange.error.empty()) {
    log(Level::kDebug, "the gateway refused a request",
        {{"request", event.request_id}, {"api", event.api_id}, {"status", head.status}, {"reason", exchange.error}});
  }
  if (exchange.served_on != nullptr) response.prefer(*exchange.served_on);
  // A peer that has gone is no concern of ours here.
  std::ignore = co_await response.send(std::move(exchange.response));
}

Awaitable<void> Gateway::stop() {
  sockets_scope_.stop();
  scope_.stop();
  co_await sockets_scope_.join();
  co_await scope_.join();
}

}  // namespace mayfly::gateway
