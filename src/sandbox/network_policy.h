// Where a sandbox may connect to, in the one form that people write it in: the configuration's sandbox.network and the
// tag mayfly:network of a function.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "sandbox/spec.h"

namespace mayfly::sandbox {

struct NetworkPolicy {
  NetworkMode mode = NetworkMode::kOutbound;
  std::vector<std::string> networks;  // CIDR; with kAllowList only
  bool operator==(const NetworkPolicy&) const = default;
};

// "none", "outbound", or IPv4 networks separated by spaces: "10.1.0.0/16 192.0.2.7/32". kInvalid, kUnsupported (IPv6)
// and kTooLarge (more than kMaxAllowedNetworks), each naming what is wrong.
Result<NetworkPolicy> parse_network_policy(std::string_view text);

// Whether everything that `wanted` lets through, `bound` does.
bool allows(const NetworkPolicy& bound, const NetworkPolicy& wanted);

// What both let through. Of two lists that share nothing, nothing is left.
NetworkPolicy narrower(const NetworkPolicy& a, const NetworkPolicy& b);

}  // namespace mayfly::sandbox
