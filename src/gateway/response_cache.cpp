#include "gateway/response_cache.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/encoding.h"
#include "gateway/gateway.h"

namespace mayfly::gateway {
namespace {

constexpr std::size_t kOverhead = 256;  // of an entry besides its texts

std::size_t size_of(const std::string& key, const http::Response& answer) {
  std::size_t bytes = kOverhead + 2 * key.size() + answer.body.size();
  for (const auto& [name, value] : answer.head.headers) bytes += name.size() + value.size() + kOverhead / 4;
  return bytes;
}

}  // namespace

void ResponseCache::drop(Entries::iterator entry) {
  bytes_ -= entry->bytes;
  by_key_.erase(entry->key);
  entries_.erase(entry);
}

ResponseCache::Answer ResponseCache::find(const std::string& key, SteadyTime now) {
  const std::lock_guard lock(mutex_);
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return nullptr;
  if (found->second->until <= now) {
    drop(found->second);
    return nullptr;
  }
  entries_.splice(entries_.begin(), entries_, found->second);
  return found->second->answer;
}

void ResponseCache::keep(const std::string& key, Answer answer, SteadyTime until) {
  const auto bytes = size_of(key, *answer);
  if (bytes > kMostAnswer) return;
  const std::lock_guard lock(mutex_);
  if (const auto present = by_key_.find(key); present != by_key_.end()) drop(present->second);
  while (bytes_ + bytes > kMostBytes) drop(std::prev(entries_.end()));
  entries_.push_front({.key = key, .answer = std::move(answer), .until = until, .bytes = bytes});
  by_key_[key] = entries_.begin();
  bytes_ += bytes;
}

void ResponseCache::flush(std::string_view prefix) {
  const std::lock_guard lock(mutex_);
  for (auto at = entries_.begin(); at != entries_.end();) {
    const auto next = std::next(at);
    if (at->key.starts_with(prefix)) drop(at);
    at = next;
  }
}

std::size_t ResponseCache::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

std::string cache_prefix(std::string_view api_id, std::string_view stage) {
  return fmt::format("{}/{}/", api_id, stage);
}

std::string cache_key(const Exchange& exchange) {
  auto key = cache_prefix(exchange.api->id, exchange.stage->name);
  const auto add = [&](std::string_view part) { key += fmt::format("{}:{}", part.size(), part); };
  add(exchange.stage->rest->deployment_id);
  add(exchange.event.head.method);
  add(exchange.path_in_stage);
  // What is called with the caller's rights answers nobody else.
  const auto& integration = exchange.route->integration;
  if (integration && integration->as_caller) add(to_json(exchange.event.authorizer));
  for (const auto& parameter : exchange.route->cache->parameters) {
    const auto value = parameter.value(exchange);
    key += value ? "=" : "-";
    if (value) add(*value);
  }
  return key;
}

bool asks_for_fresh(const http::Headers& headers) { return headers.lists("Cache-Control", "max-age=0"); }

bool Gateway::may_invalidate(const Exchange& exchange) const {
  if (!exchange.route->cache->invalidation_needs_right) return true;
  if (exchange.route->access != Route::Access::kIam) return false;  // whoever has no identity has no right
  const SignedRequest request{.head = exchange.event.head,
                              .body = exchange.event.body,
                              .resource = exchange.arn(exchange.resource),
                              .source_ip = exchange.event.source_ip,
                              .tls = exchange.event.tls,
                              .action = "execute-api:InvalidateCache"};
  return ports_.check_signature(request).allowed;
}

Awaitable<Gateway::Verdict> Gateway::answer_by_cache(Exchange& exchange) {
  using Unauthorized = CacheRule::Unauthorized;
  const auto rule = exchange.route->cache;
  bool fresh = asks_for_fresh(exchange.event.head.headers);
  bool warns = false;
  if (fresh && !may_invalidate(exchange)) {
    if (rule->unauthorized == Unauthorized::kRefuse)
      co_return rest_refusal("ACCESS_DENIED", "the caller may not invalidate the cache");
    fresh = false;
    warns = rule->unauthorized == Unauthorized::kWarn;
  }
  // Before the integration: its mappings change the request.
  const auto key = cache_key(exchange);
  const auto kept = fresh ? nullptr : responses_.find(key, clock_.steady_now());
  if (kept) {
    exchange.response = *kept;
    exchange.integration_status = kept->head.status;
  } else {
    auto refusal = co_await integrate(exchange);
    if (refusal) co_return refusal;
    constexpr int kOk = 200;
    if (exchange.response.head.status == kOk) {
      responses_.keep(key, std::make_shared<const http::Response>(exchange.response), clock_.steady_now() + rule->ttl);
    }
  }
  if (warns)
    exchange.response.head.headers.set("Warning", "199 - \"Cache-Control was ignored: the caller may not invalidate\"");
  co_return std::nullopt;
}

}  // namespace mayfly::gateway
