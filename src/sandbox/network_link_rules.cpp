#include "sandbox/network_link_rules.h"

#include <arpa/inet.h>
#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

namespace mayfly::sandbox {

namespace {

// Refused always, also where an allow list names them: nothing a function needs lives there, and what does live there
// hands out the host's credentials (metadata services) or is the host itself.
constexpr std::string_view kNever =
    "0.0.0.0/8, 127.0.0.0/8, "
    "169.254.0.0/16, "           // link-local; metadata services of most clouds
    "100.100.100.200, "          // Alibaba Cloud's metadata service
    "168.63.129.16, "            // Azure's host agent
    "192.0.0.0/24, "             // protocol assignments; Oracle Cloud's metadata service at .192
    "224.0.0.0/4, 240.0.0.0/4";  // multicast, reserved, broadcast
// Refused unless an allow list names them: a function on Lambda outside a VPC has the public internet only.
constexpr std::string_view kPrivate = "10.0.0.0/8, 100.64.0.0/10, 172.16.0.0/12, 192.168.0.0/16, 198.18.0.0/15";

std::string joined(const std::vector<Cidr>& networks) {
  std::vector<std::string> texts;
  for (const Cidr& network : networks) texts.push_back(network.text());
  return fmt::format("{}", fmt::join(texts, ", "));
}

std::string elements(std::string_view link, const std::vector<Cidr>& networks) {
  std::vector<std::string> texts;
  for (const Cidr& network : networks) texts.push_back(fmt::format("\"{}\" . {}", link, network.text()));
  return fmt::format("{}", fmt::join(texts, ", "));
}

std::uint32_t mask_of(std::uint8_t bits) { return bits == 0 ? 0 : ~std::uint32_t{0} << (32 - bits); }

std::string_view next_line(std::string_view& text) {
  const std::size_t end = std::min(text.find('\n'), text.size());
  std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
  return line;
}

}  // namespace

bool Cidr::contains(const Cidr& other) const {
  return bits <= other.bits && (other.address & mask_of(bits)) == address;
}

std::string Cidr::text() const { return fmt::format("{}/{}", address_text(address), bits); }

std::string address_text(std::uint32_t address) {
  return fmt::format("{}.{}.{}.{}", address >> 24, (address >> 16) & 255, (address >> 8) & 255, address & 255);
}

Result<Cidr> parse_cidr(std::string_view text) {
  const std::size_t slash = text.find('/');
  const std::string address(text.substr(0, slash));
  in6_addr six{};
  if (::inet_pton(AF_INET6, address.c_str(), &six) == 1) {
    return fail(ErrorCode::kUnsupported, fmt::format("network '{}': instances have IPv4 only", text));
  }
  in_addr four{};
  unsigned bits = 32;
  bool valid = ::inet_pton(AF_INET, address.c_str(), &four) == 1;
  if (valid && slash != std::string_view::npos) {
    const std::string_view digits = text.substr(slash + 1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
    valid = error == std::errc{} && end == digits.data() + digits.size() && bits <= 32;
  }
  if (!valid) {
    return fail(ErrorCode::kInvalid, fmt::format("'{}' is not a network", text), "write it as 203.0.113.0/24");
  }
  const auto prefix = static_cast<std::uint8_t>(bits);
  return Cidr{.address = ntohl(four.s_addr) & mask_of(prefix), .bits = prefix};
}

Result<std::vector<Cidr>> parse_allow_list(const std::vector<std::string>& texts) {
  if (texts.size() > kMaxAllowedNetworks) {
    return fail(ErrorCode::kTooLarge,
                fmt::format("{} allowed networks; at most {}", texts.size(), kMaxAllowedNetworks));
  }
  std::vector<Cidr> parsed;
  for (const std::string& text : texts) {
    auto network = parse_cidr(text);
    if (!network) return std::unexpected(network.error());
    parsed.push_back(*network);
  }
  // Widest first, so that whatever lies inside another comes after it.
  std::ranges::sort(parsed, {}, [](const Cidr& network) { return std::pair(network.bits, network.address); });
  std::vector<Cidr> disjoint;
  for (const Cidr& network : parsed) {
    const bool covered = std::ranges::any_of(disjoint, [&](const Cidr& wider) { return wider.contains(network); });
    if (!covered) disjoint.push_back(network);
  }
  return disjoint;
}

std::string table_text(const RuleParameters& parameters) {
  std::vector<std::string> resolvers;
  for (const std::uint32_t address : parameters.resolvers) resolvers.push_back(address_text(address));
  const std::string resolver_elements =
      resolvers.empty() ? "" : fmt::format("elements = {{ {} }};", fmt::join(resolvers, ", "));
  std::string refused(kPrivate);
  if (!parameters.attached.empty()) refused += ", " + joined(parameters.attached);
  // The guard keeps a host that was no router before from becoming one for its neighbours. It lets every Mayfly
  // server's packets pass, so that servers side by side do not stop each other.
  const std::string guard = parameters.guard_forwarding ? fmt::format(R"(
  chain guard {{
    type filter hook forward priority filter - 20; policy drop;
    iifname "{0}*" accept
    oifname "{0}*" accept
  }})",
                                                                      kLinkPrefix)
                                                        : "";
  // The policy stands before destination NAT (priority raw), where packets still carry the address that the function
  // asked for: a port that the host publishes for a container is an address of the host, and refused as such.
  return fmt::format(R"(table inet {table} {{
  set instances {{ type ipv4_addr; flags interval; elements = {{ {instances} }}; }}
  set never {{ type ipv4_addr; flags interval; auto-merge; elements = {{ {never} }}; }}
  set refused {{ type ipv4_addr; flags interval; auto-merge; elements = {{ {refused} }}; }}
  set resolvers {{ type ipv4_addr; {resolvers} }}
  set allowed {{ type ifname . ipv4_addr; flags interval; }}
  set connections {{ type ipv4_addr; flags dynamic; size 65535; }}
  chain from_instance {{
    meta nfproto != ipv4 drop
    meta l4proto != {{ tcp, udp, icmp }} drop
    fib saddr . iif oif missing drop
    fib daddr type != unicast drop
    ip daddr @instances drop
    iifname "{prefix}r*" iifname . ip daddr != @allowed drop
    meta l4proto {{ tcp, udp }} th dport 53 ip daddr @resolvers accept
    ip daddr @never drop
    iifname "{prefix}r*" accept
    iifname "{prefix}o*" ip daddr != @refused accept
    drop
  }}
  chain prerouting {{
    type filter hook prerouting priority raw; policy accept;
    iifname "{prefix}*" jump from_instance
  }}
  chain input {{
    type filter hook input priority filter - 10; policy accept;
    iifname "{prefix}*" drop
  }}
  chain forward {{
    type filter hook forward priority filter - 10; policy accept;
    iifname "{prefix}*" oifname "{any}*" drop
    oifname "{prefix}*" ct state established,related accept
    oifname "{prefix}*" drop
    iifname "{prefix}*" ct state new add @connections {{ ip saddr ct count over {connections} }} drop
    iifname "{prefix}*" tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu
  }}
  chain postrouting {{
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr @instances masquerade
  }}{guard}
}}
)",
                     fmt::arg("table", parameters.table), fmt::arg("instances", parameters.instances.text()),
                     fmt::arg("never", kNever), fmt::arg("refused", refused), fmt::arg("resolvers", resolver_elements),
                     fmt::arg("prefix", parameters.link_prefix), fmt::arg("any", kLinkPrefix),
                     fmt::arg("connections", kConnectionsPerInstance), fmt::arg("guard", guard));
}

std::string allow_text(std::string_view table, std::string_view link, const std::vector<Cidr>& networks) {
  return fmt::format("add element inet {} allowed {{ {} }}", table, elements(link, networks));
}

std::string forget_text(std::string_view table, std::string_view link, const std::vector<Cidr>& networks) {
  return fmt::format("delete element inet {} allowed {{ {} }}", table, elements(link, networks));
}

std::vector<ForeignTable> find_tables(std::string_view ruleset) {
  std::vector<ForeignTable> tables;
  const std::string start = fmt::format("table inet {}", kTablePrefix);
  bool inside = false;
  bool in_instances = false;
  while (!ruleset.empty()) {
    const std::string_view line = next_line(ruleset);
    if (line.starts_with("table ")) {
      inside = line.starts_with(start);
      if (!inside) continue;
      const std::string_view name = line.substr(std::string_view("table inet ").size());
      tables.push_back(
          {.name = std::string(name.substr(0, name.find(' '))), .guards_forwarding = false, .instances = {}});
    }
    if (!inside) continue;
    if (line.starts_with("chain guard")) tables.back().guards_forwarding = true;
    if (line.starts_with("set ")) in_instances = line.starts_with("set instances");
    if (in_instances && line.starts_with("elements = { ")) {
      const std::string_view element = line.substr(std::string_view("elements = { ").size());
      if (auto network = parse_cidr(element.substr(0, element.find_first_of(" ,}")))) {
        tables.back().instances.push_back(*network);
      }
      in_instances = false;
    }
  }
  return tables;
}

std::vector<std::uint32_t> parse_resolvers(std::string_view resolv_conf) {
  std::vector<std::uint32_t> resolvers;
  while (!resolv_conf.empty()) {
    std::string_view line = next_line(resolv_conf);
    if (!line.starts_with("nameserver")) continue;
    line.remove_prefix(std::string_view("nameserver").size());
    line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
    const auto address = parse_cidr(line.substr(0, line.find_first_of(" \t\r#;")));
    if (!address || address->bits != 32 || address->address >> 24 == 127 || address->address == 0) continue;
    if (std::ranges::find(resolvers, address->address) == resolvers.end()) resolvers.push_back(address->address);
  }
  return resolvers;
}

}  // namespace mayfly::sandbox
