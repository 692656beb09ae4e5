// Addresses and networks of IPv4 and IPv6, as policies and settings write them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace mayfly::identity {

struct Network {
  bool v6 = false;
  std::string bytes;    // 4 or 16
  unsigned prefix = 0;  // bits; of one address all of them
};

// "192.0.2.7", "10.0.0.0/8", "2001:db8::/32". An IPv4 address mapped into IPv6 is that IPv4 address.
std::optional<Network> parse_network(std::string_view text);
bool within(const Network& address, const Network& network);

}  // namespace mayfly::identity
