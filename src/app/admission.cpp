#include "app/admission.h"

#include <fmt/core.h>

#include <algorithm>
#include <optional>

namespace mayfly::app {
namespace {

bool is_loopback(const identity::Network& address) {
  static const auto kV4 = identity::parse_network("127.0.0.0/8");
  static const auto kV6 = identity::parse_network("::1");
  return identity::within(address, *kV4) || identity::within(address, *kV6);
}

bool holds(const Networks& networks, const identity::Network& address) {
  return std::ranges::any_of(networks, [&](const auto& network) { return identity::within(address, network); });
}

}  // namespace

Result<Networks> parse_networks(std::string_view text) {
  Networks out;
  while (!text.empty()) {
    const auto end = std::min(text.find(' '), text.size());
    const auto one = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (one.empty()) continue;
    auto network = identity::parse_network(one);
    if (!network) return fail(ErrorCode::kInvalid, fmt::format("{} is no network, such as 10.0.0.0/8", one));
    out.push_back(std::move(*network));
  }
  return out;
}

bool Admission::admits(std::string_view address) const {
  if (settings_.allow.empty() && settings_.deny.empty()) return true;
  const auto parsed = identity::parse_network(address);
  if (!parsed) return false;
  if (is_loopback(*parsed)) return true;
  if (holds(settings_.deny, *parsed)) return false;
  return settings_.allow.empty() || holds(settings_.allow, *parsed);
}

std::chrono::nanoseconds Admission::take(const identity::Authenticated& who) {
  using Kind = identity::Caller::Kind;
  if (settings_.callers.rate <= 0 || who.caller.kind == Kind::kRoot) return std::chrono::nanoseconds(0);
  // A federated user is the user who made it, under a name of that one's choice.
  const auto* kind = who.caller.kind == Kind::kRoleSession ? "role" : "user";
  const auto name = fmt::format("{}:{}:{}", who.caller.account, kind, who.principal_name);
  return buckets_.take(name, settings_.callers, clock_.steady_now());
}

}  // namespace mayfly::app
