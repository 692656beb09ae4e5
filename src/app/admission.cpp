#include "app/admission.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <optional>

namespace mayfly::app {
namespace {

bool is_loopback(const pattern::Address& address) {
  if (!address.v6) return address.bytes[0] == 127;
  return std::ranges::all_of(address.bytes.begin(), address.bytes.end() - 1, [](auto byte) { return byte == 0; }) &&
         address.bytes.back() == 1;
}

bool holds(const Networks& networks, const pattern::Address& address) {
  return std::ranges::any_of(networks, [&](const auto& range) {
    return range.low.v6 == address.v6 && range.low <= address && address <= range.high;
  });
}

// "10.0.0.0/8", or one address.
std::optional<pattern::AddressRange> parse_network(std::string_view text) {
  const auto slash = text.find('/');
  const auto address = pattern::parse_address(text.substr(0, slash));
  if (!address) return std::nullopt;
  const std::size_t all = address->v6 ? 128 : 32;
  std::size_t bits = all;
  if (slash != std::string_view::npos) {
    const auto* const end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data() + slash + 1, end, bits);
    if (parsed.ec != std::errc() || parsed.ptr != end || bits > all) return std::nullopt;
  }
  pattern::AddressRange range{.low = *address, .high = *address};
  for (std::size_t bit = bits; bit < all; ++bit) {
    const auto mask = static_cast<std::uint8_t>(0x80U >> (bit % 8));
    range.low.bytes.at(bit / 8) &= static_cast<std::uint8_t>(~mask);
    range.high.bytes.at(bit / 8) |= mask;
  }
  return range;
}

}  // namespace

Result<Networks> parse_networks(std::string_view text) {
  Networks out;
  while (!text.empty()) {
    const auto end = std::min(text.find(' '), text.size());
    const auto one = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (one.empty()) continue;
    auto range = parse_network(one);
    if (!range) return fail(ErrorCode::kInvalid, fmt::format("{} is no network, such as 10.0.0.0/8", one));
    out.push_back(*range);
  }
  return out;
}

bool Admission::admits(std::string_view address) const {
  if (settings_.allow.empty() && settings_.deny.empty()) return true;
  const auto parsed = pattern::parse_address(address);
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
  const auto now = clock_.steady_now();
  const std::lock_guard lock(mutex_);
  if (buckets_.size() >= kMostCallers && !buckets_.contains(name)) buckets_.erase(buckets_.begin());
  auto& bucket = buckets_[name];
  if (!bucket) bucket = std::make_unique<gateway::Bucket>(settings_.callers);
  return bucket->take(now);
}

}  // namespace mayfly::app
