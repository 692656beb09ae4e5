#include "gateway/outbound.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <array>
#include <cstring>

namespace mayfly::gateway {
namespace {

bool is_metadata_v4(std::uint32_t address) {
  constexpr std::uint32_t kLinkLocal = 0xA9FE0000;  // 169.254.0.0/16
  constexpr std::uint32_t kLinkLocalMask = 0xFFFF0000;
  // Documented by their clouds: 100.100.100.200, 192.0.0.192.
  constexpr std::array<std::uint32_t, 2> kOthers = {0x646464C8, 0xC00000C0};
  return (address & kLinkLocalMask) == kLinkLocal || address == kOthers[0] || address == kOthers[1];
}

}  // namespace

bool is_metadata_address(const std::string& address) {
  in_addr four{};
  if (::inet_pton(AF_INET, address.c_str(), &four) == 1) return is_metadata_v4(ntohl(four.s_addr));
  in6_addr six{};
  const auto plain = address.substr(0, address.find('%'));  // fe80::1%eth0
  // What is no address is none that may be reached.
  if (::inet_pton(AF_INET6, plain.c_str(), &six) != 1) return true;
  if (IN6_IS_ADDR_LINKLOCAL(&six)) return true;
  std::uint32_t tail = 0;
  std::memcpy(&tail, &six.s6_addr[12], sizeof(tail));
  if (IN6_IS_ADDR_V4MAPPED(&six) || IN6_IS_ADDR_V4COMPAT(&six)) return is_metadata_v4(ntohl(tail));
  // 64:ff9b::/96 leads to IPv4 through a translator.
  constexpr std::array<std::uint8_t, 12> kTranslated = {0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0};
  if (std::memcmp(six.s6_addr, kTranslated.data(), kTranslated.size()) == 0) return is_metadata_v4(ntohl(tail));
  constexpr std::array<std::uint8_t, 16> kAmazon = {0xfd, 0x00, 0x0e, 0xc2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x54};
  return std::memcmp(six.s6_addr, kAmazon.data(), kAmazon.size()) == 0;
}

Result<http::Response> fetch_outside(Clock& clock, const http::ClientRequest& request, std::size_t limit,
                                     LinkLocal link_local) {
  auto guarded = request;
  if (link_local == LinkLocal::kRefused) {
    guarded.may_connect = [](const std::string& address) { return !is_metadata_address(address); };
  }
  const auto deadline = clock.steady_now() + request.timeout;
  http::Response response;
  bool too_large = false;
  bool late = false;
  const auto on_data = [&](std::string_view data) {
    too_large = data.size() > limit - response.body.size();
    late = clock.steady_now() > deadline;
    if (!too_large && !late) response.body.append(data);
    return !too_large && !late;
  };
  auto head = http::fetch_streaming(guarded, nullptr, on_data);
  if (!head) return std::unexpected(std::move(head.error()));
  if (too_large) return fail(ErrorCode::kTooLarge, "the response is too large");
  if (late) return fail(ErrorCode::kTimeout, "the response did not end in time");
  response.head = std::move(*head);
  return response;
}

}  // namespace mayfly::gateway
