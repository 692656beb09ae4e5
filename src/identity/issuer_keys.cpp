#include "identity/issuer_keys.h"

#include <fmt/core.h>

#include <algorithm>
#include <tuple>

namespace mayfly::identity {
namespace {

constexpr std::chrono::seconds kWait{15};
constexpr std::chrono::milliseconds kLook{100};

}  // namespace

Result<IssuerKeys::EntryPtr> IssuerKeys::entry(const std::string& issuer) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(issuer);
  if (found != entries_.end()) return found->second;
  if (entries_.size() >= kMostIssuers) return fail(ErrorCode::kTooLarge, "there are too many issuers");
  auto made = std::make_shared<Entry>();
  entries_.emplace(issuer, made);
  return made;
}

Awaitable<Result<std::vector<Jwk>>> IssuerKeys::fetch_keys(std::string issuer) {
  std::string base = issuer;
  while (base.ends_with('/')) base.pop_back();
  auto text = co_await fetch_(base + "/.well-known/openid-configuration");
  if (!text) co_return std::unexpected(std::move(text.error()));
  const auto document = parse_json(*text);
  if (!document) co_return fail(ErrorCode::kInvalid, "the issuer's configuration is no JSON");
  if (get_string(*document, "issuer") != issuer)
    co_return fail(ErrorCode::kInvalid, "the issuer's configuration is of another issuer");
  std::string address(get_string(*document, "jwks_uri"));
  if (address.empty()) co_return fail(ErrorCode::kInvalid, "the issuer's configuration names no key set");
  auto keys = co_await fetch_(std::move(address));
  if (!keys) co_return std::unexpected(std::move(keys.error()));
  co_return parse_jwks(*keys);
}

Awaitable<Result<Jwk>> IssuerKeys::key(std::string issuer, std::string id) {
  auto found = entry(issuer);
  if (!found) co_return std::unexpected(std::move(found.error()));
  const auto entry = *found;
  const auto give_up = clock_.steady_now() + kWait;
  for (;;) {
    bool mine = false;
    {
      const std::lock_guard lock(mutex_);
      const auto now = clock_.steady_now();
      const bool usable = entry->has_keys && now < entry->fetched + kLongest;
      const auto key = entry->keys.find(id);
      const bool known = usable && key != entry->keys.end();
      if (known && (now < entry->fetched + kFresh || entry->fetching)) co_return key->second;
      const bool may_try = !entry->was_tried || now >= entry->tried + kPause;
      if (!entry->fetching && may_try) {
        mine = entry->fetching = entry->was_tried = true;
        entry->tried = now;
      } else if (!entry->fetching) {
        if (known) co_return key->second;
        const auto why = entry->problem.empty() ? fmt::format("the issuer has no key {}", id) : entry->problem;
        co_return fail(ErrorCode::kUnauthorized, why);
      }
    }
    if (!mine) {
      // A notification may be of another issuer, or may have come before this waits: the loop looks.
      const auto now = clock_.steady_now();
      if (now >= give_up) co_return fail(ErrorCode::kUnauthorized, "the issuer's keys did not come in time");
      std::ignore = co_await fetched_.wait_until(std::min(give_up, now + kLook));
      continue;
    }
    auto keys = co_await fetch_keys(issuer);
    {
      const std::lock_guard lock(mutex_);
      entry->fetching = false;
      entry->tried = clock_.steady_now();
      entry->problem = keys ? std::string() : keys.error().message;
      if (keys) {
        entry->keys.clear();
        for (auto& key : *keys) entry->keys.insert_or_assign(key.id(), key);
        entry->has_keys = true;
        entry->fetched = clock_.steady_now();
      }
    }
    fetched_.notify_all();
  }
}

Awaitable<Result<json::object>> IssuerKeys::verify(std::string token, std::string issuer,
                                                   std::vector<std::string> audience) {
  auto parsed = parse_jwt(token);
  if (!parsed) co_return fail(ErrorCode::kUnauthorized, parsed.error().message);
  // What costs nothing comes first: a token of somebody else makes nothing fetched.
  const JwtRules rules{.issuer = issuer, .audience = audience, .now = clock_.now()};
  if (auto checked = check_claims(*parsed, rules); !checked) co_return std::unexpected(std::move(checked.error()));
  auto found = co_await key(issuer, parsed->key_id);
  if (!found) co_return fail(ErrorCode::kNotFound, found.error().message);
  if (auto verified = found->verify(*parsed); !verified) co_return std::unexpected(std::move(verified.error()));
  co_return std::move(parsed->claims);
}

}  // namespace mayfly::identity
