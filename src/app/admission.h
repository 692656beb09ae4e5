// Who may speak to this server at all, and how often one caller may ask.
//
// Operation.   Networks that are let in and networks that are kept out, before anything of a request is looked at; the
//              machine itself always gets in. A caller is a user or a role, with all its keys and sessions, whatever
//              names those are given; each has a token bucket. The account's root user has none, so that who runs the
//              server can always reach it.
// Concurrency. Any thread; one short lock for the buckets.
// Limits.      kMostCallers buckets; past it another one is forgotten for each new one.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/token_bucket.h"
#include "identity/network.h"
#include "services/iam/iam.h"

namespace mayfly::app {

using Networks = std::vector<identity::Network>;
// "10.0.0.0/8 192.0.2.7 2001:db8::/32": networks and single addresses, separated by spaces. kInvalid names the bad one.
Result<Networks> parse_networks(std::string_view text);

struct AdmissionSettings {
  Networks allow;      // empty: everybody
  Networks deny;       // before `allow`
  RateLimits callers;  // a rate of zero: no limit
};

class Admission {
 public:
  static constexpr std::size_t kMostCallers = 65'536;

  Admission(const Clock& clock, AdmissionSettings settings) : clock_(clock), settings_(std::move(settings)) {}

  // An address without its port. What is no address (a peer that is gone) is admitted where there are no lists.
  [[nodiscard]] bool admits(std::string_view address) const;
  // Zero where the caller may go on, else how long until it may.
  [[nodiscard]] std::chrono::nanoseconds take(const identity::Authenticated& who);

 private:
  const Clock& clock_;
  const AdmissionSettings settings_;
  TokenBuckets buckets_{kMostCallers};  // by account, kind and name
};

}  // namespace mayfly::app
