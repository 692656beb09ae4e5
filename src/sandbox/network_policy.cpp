#include "sandbox/network_policy.h"

#include <algorithm>

#include "sandbox/network_link_rules.h"

namespace mayfly::sandbox {
namespace {

std::vector<std::string> words(std::string_view text) {
  std::vector<std::string> out;
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find(' ', at), text.size());
    if (end > at) out.emplace_back(text.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

// Of lists that have been parsed before; two networks either lie one in the other or share nothing.
std::vector<std::string> common(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  const auto first = parse_allow_list(a);
  const auto second = parse_allow_list(b);
  std::vector<std::string> out;
  if (!first || !second) return out;
  for (const auto& left : *first) {
    for (const auto& right : *second) {
      if (left.contains(right)) {
        out.push_back(right.text());
      } else if (right.contains(left)) {
        out.push_back(left.text());
      }
    }
  }
  return out;
}

}  // namespace

Result<NetworkPolicy> parse_network_policy(std::string_view text) {
  NetworkPolicy policy;
  if (text == "outbound") return policy;
  policy.mode = NetworkMode::kLoopback;
  if (text == "none") return policy;
  auto list = words(text);
  if (list.empty()) return fail(ErrorCode::kInvalid, "no network is named", "write none to allow nothing");
  auto parsed = parse_allow_list(list);
  if (!parsed) return std::unexpected(std::move(parsed.error()));
  policy.mode = NetworkMode::kAllowList;
  for (const auto& network : *parsed) policy.networks.push_back(network.text());
  return policy;
}

bool allows(const NetworkPolicy& bound, const NetworkPolicy& wanted) {
  if (bound.mode == NetworkMode::kOutbound || wanted.mode == NetworkMode::kLoopback) return true;
  if (bound.mode != wanted.mode) return false;
  const auto wider = parse_allow_list(bound.networks);
  const auto asked = parse_allow_list(wanted.networks);
  return wider && asked && std::ranges::all_of(*asked, [&](const Cidr& network) {
           return std::ranges::any_of(*wider, [&](const Cidr& one) { return one.contains(network); });
         });
}

NetworkPolicy narrower(const NetworkPolicy& a, const NetworkPolicy& b) {
  if (a.mode == NetworkMode::kLoopback || b.mode == NetworkMode::kOutbound) return a;
  if (b.mode == NetworkMode::kLoopback || a.mode == NetworkMode::kOutbound) return b;
  NetworkPolicy both{.mode = NetworkMode::kAllowList, .networks = common(a.networks, b.networks)};
  if (both.networks.empty()) both.mode = NetworkMode::kLoopback;
  return both;
}

}  // namespace mayfly::sandbox
