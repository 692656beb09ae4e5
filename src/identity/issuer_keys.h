// The public keys of token issuers, fetched from where OpenID Connect says they are, and whole tokens checked by them.
//
// Operation.   {issuer}/.well-known/openid-configuration names the key set, which is fetched and kept. A token with an
//              unknown key id makes it fetched again, but not before kPause has passed since the last time, so that
//              made up key ids cost the issuer nothing. One fetch of an issuer is under way at a time; others wait for
//              it.
// Concurrency. Any reactor. The mutex is never held across a wait.
// Limits.      Key sets are used for kFresh, and for kLongest where the issuer cannot be reached; kMostIssuers issuers.
// Failures.    What cannot be fetched or read verifies nothing: kUnauthorized, with the reason for the log.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/async.h"
#include "base/clock.h"
#include "identity/jwt.h"

namespace mayfly::identity {

class IssuerKeys {
 public:
  // The body of a GET, bounded in time and size by whoever fetches.
  using Fetch = std::function<Awaitable<Result<std::string>>(std::string url)>;
  static constexpr std::chrono::seconds kFresh{3'600};
  static constexpr std::chrono::seconds kLongest{7'200};
  static constexpr std::chrono::seconds kPause{10};
  static constexpr std::size_t kMostIssuers = 1'000;

  IssuerKeys(Clock& clock, Fetch fetch) : clock_(clock), fetch_(std::move(fetch)) {}

  // The claims of a token of `issuer` for one of `audience`. kTimeout for one that has expired, kNotFound where its key
  // could not be had, else kUnauthorized; always with the reason.
  Awaitable<Result<json::object>> verify(std::string token, std::string issuer, std::vector<std::string> audience);

 private:
  struct Entry {
    std::map<std::string, Jwk, std::less<>> keys;
    SteadyTime fetched{};  // when it last succeeded
    SteadyTime tried{};
    bool has_keys = false;
    bool was_tried = false;
    bool fetching = false;
    std::string problem;
  };
  using EntryPtr = std::shared_ptr<Entry>;

  Awaitable<Result<Jwk>> key(std::string issuer, std::string id);
  Awaitable<Result<std::vector<Jwk>>> fetch_keys(std::string issuer);
  Result<EntryPtr> entry(const std::string& issuer);

  Clock& clock_;
  const Fetch fetch_;
  std::mutex mutex_;
  std::map<std::string, EntryPtr> entries_;
  Signal fetched_;
};

}  // namespace mayfly::identity
