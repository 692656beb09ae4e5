#include "identity/network.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace mayfly::identity {

std::optional<Network> parse_network(std::string_view text) {
  Network out;
  const auto slash = text.find('/');
  const std::string host(text.substr(0, slash));
  std::array<char, 16> bytes{};
  if (::inet_pton(AF_INET, host.c_str(), bytes.data()) == 1) {
    out.bytes.assign(bytes.data(), 4);
  } else if (::inet_pton(AF_INET6, host.c_str(), bytes.data()) == 1) {
    out.bytes.assign(bytes.data(), 16);
    out.v6 = true;
  } else {
    return std::nullopt;
  }
  const auto bits = static_cast<unsigned>(out.bytes.size() * 8);
  out.prefix = bits;
  if (slash != std::string_view::npos) {
    const auto digits = text.substr(slash + 1);
    const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), out.prefix);
    if (read.ec != std::errc() || read.ptr != digits.data() + digits.size() || out.prefix > bits) return std::nullopt;
  }
  // An IPv4 peer of a dual-stack socket is still that IPv4 peer.
  constexpr std::string_view kMapped("\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);
  if (out.v6 && out.prefix >= 96 && std::string_view(out.bytes).starts_with(kMapped)) {
    out.bytes.erase(0, kMapped.size());
    out.prefix -= 96;
    out.v6 = false;
  }
  return out;
}

bool within(const Network& address, const Network& network) {
  if (address.v6 != network.v6) return false;
  for (unsigned bit = 0; bit < network.prefix; bit += 8) {
    const unsigned left = std::min(8U, network.prefix - bit);
    const auto mask = static_cast<unsigned char>(0xff00U >> left);
    const auto difference = static_cast<unsigned char>(address.bytes[bit / 8] ^ network.bytes[bit / 8]);
    if ((difference & mask) != 0) return false;
  }
  return true;
}

}  // namespace mayfly::identity
