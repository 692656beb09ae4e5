// What instances may reach, as text for nftables: the one place where the outbound policy is written. No system call is
// made here. docs/security.md states the same policy for people.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace mayfly::sandbox {

struct Cidr {
  std::uint32_t address = 0;  // host byte order, bits beyond the prefix are zero
  std::uint8_t bits = 32;
  [[nodiscard]] bool contains(const Cidr& other) const;
  [[nodiscard]] bool overlaps(const Cidr& other) const { return contains(other) || other.contains(*this); }
  [[nodiscard]] std::string text() const;  // "10.0.0.0/8"
  bool operator==(const Cidr&) const = default;
};

std::string address_text(std::uint32_t address);
// "10.0.0.0/8" or one address. kInvalid for anything else; kUnsupported for IPv6, which instances do not have.
Result<Cidr> parse_cidr(std::string_view text);
// Parsed, sorted, and without those that lie inside another one: an interval set refuses overlaps.
// kTooLarge beyond kMaxAllowedNetworks.
inline constexpr std::size_t kMaxAllowedNetworks = 64;
Result<std::vector<Cidr>> parse_allow_list(const std::vector<std::string>& texts);

// Every link of every Mayfly server on the host starts with this, so that servers side by side refuse each other's.
inline constexpr std::string_view kLinkPrefix = "mfy";
inline constexpr std::string_view kTablePrefix = "mayfly_";
// The most connections that one instance may have in the host's connection table (conntrack), which all share.
inline constexpr unsigned kConnectionsPerInstance = 1024;

struct RuleParameters {
  std::string table;                     // "mayfly_<suffix>"
  std::string link_prefix;               // of this server; then 'o' for open links, 'r' for restricted ones
  Cidr instances;                        // addresses of this server's links
  std::vector<Cidr> attached;            // networks directly on the host's interfaces
  std::vector<std::uint32_t> resolvers;  // name servers that instances may ask on port 53
  bool guard_forwarding = false;         // the host was no router before: forward nothing but instances' packets
};

std::string table_text(const RuleParameters& parameters);
std::string allow_text(std::string_view table, std::string_view link, const std::vector<Cidr>& networks);
std::string forget_text(std::string_view table, std::string_view link, const std::vector<Cidr>& networks);

// What the tables of other (or crashed) Mayfly servers claim, read from `nft list ruleset`.
struct ForeignTable {
  std::string name;
  bool guards_forwarding = false;
  std::vector<Cidr> instances;
};
std::vector<ForeignTable> find_tables(std::string_view ruleset);

// The name servers of a resolv.conf which an instance can be let to: not loopback, not IPv6.
std::vector<std::uint32_t> parse_resolvers(std::string_view resolv_conf);

}  // namespace mayfly::sandbox
