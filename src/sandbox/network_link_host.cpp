#include "sandbox/network_link_host.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <linux/rtnetlink.h>
#include <sched.h>
extern "C" {
#include <nftables/libnftables.h>
}

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>

namespace mayfly::sandbox {

namespace {

constexpr const char* kForwarding = "/proc/sys/net/ipv4/ip_forward";

std::string read_text(const char* path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::uint32_t network_number(std::string_view bytes) {
  std::uint32_t value = 0;
  if (bytes.size() >= sizeof value) std::memcpy(&value, bytes.data(), sizeof value);
  return ntohl(value);
}

}  // namespace

void Nftables::Free::operator()(nft_ctx* context) const { nft_ctx_free(context); }

Result<Nftables> Nftables::open() {
  Nftables nftables(nft_ctx_new(NFT_CTX_DEFAULT));
  nft_ctx* context = nftables.context_.get();
  if (context == nullptr || nft_ctx_buffer_error(context) != 0 || nft_ctx_buffer_output(context) != 0) {
    return fail(ErrorCode::kIo, "nftables could not be opened");
  }
  return nftables;
}

Result<std::string> Nftables::run(const std::string& commands) {
  const int status = nft_run_cmd_from_buffer(context_.get(), commands.c_str());
  // Reading either buffer also empties it, which the next command relies on.
  std::string errors = nft_ctx_get_error_buffer(context_.get());
  std::string output = nft_ctx_get_output_buffer(context_.get());
  if (status != 0) {
    return fail(ErrorCode::kIo, fmt::format("nftables refused: {}", errors.substr(0, errors.find('\n'))),
                "the kernel needs nf_tables with NAT, fib and connection limits");
  }
  return output;
}

Result<std::vector<ForeignTable>> Nftables::tables() {
  auto names = run("list tables inet");
  if (!names) return std::unexpected(names.error());
  std::vector<ForeignTable> found;
  for (const ForeignTable& named : find_tables(*names)) {
    // A table may be removed by its owner between the two commands; it then claims nothing.
    const auto text = run(fmt::format("list table inet {}", named.name));
    if (!text) continue;
    std::ranges::move(find_tables(*text), std::back_inserter(found));
  }
  return found;
}

Result<HostRoutes> read_routes(Netlink& netlink) {
  HostRoutes routes;
  rtmsg any{};
  any.rtm_family = AF_INET;
  auto dumped = netlink.dump(NetlinkRequest(RTM_GETROUTE, NLM_F_DUMP).fixed(any), [&](const NetlinkObject& object) {
    rtmsg route{};
    if (object.type != RTM_NEWROUTE || object.payload.size() < sizeof route) return;
    std::memcpy(&route, object.payload.data(), sizeof route);
    if (route.rtm_type != RTN_UNICAST || route.rtm_dst_len == 0) return;
    const Cidr network{.address = network_number(object.attribute(sizeof route, RTA_DST)), .bits = route.rtm_dst_len};
    routes.all.push_back(network);
    const bool direct = object.attribute(sizeof route, RTA_GATEWAY).empty() &&
                        object.attribute(sizeof route, RTA_VIA).empty() &&
                        object.attribute(sizeof route, RTA_MULTIPATH).empty();
    if (direct) routes.attached.push_back(network);
  });
  if (!dumped) return std::unexpected(dumped.error());
  return routes;
}

Result<std::vector<std::string>> links_with_prefix(Netlink& netlink, std::string_view prefix) {
  std::vector<std::string> names;
  const ifinfomsg any{};
  auto dumped = netlink.dump(NetlinkRequest(RTM_GETLINK, NLM_F_DUMP).fixed(any), [&](const NetlinkObject& object) {
    const std::string_view name = object.attribute(sizeof(ifinfomsg), IFLA_IFNAME);
    if (name.starts_with(prefix)) names.emplace_back(name.substr(0, name.find('\0')));
  });
  if (!dumped) return std::unexpected(dumped.error());
  return names;
}

Result<void> delete_links(Netlink& netlink, std::uint32_t group, std::string_view prefix) {
  auto names = links_with_prefix(netlink, prefix);
  if (!names) return std::unexpected(names.error());
  if (names->empty()) return {};
  const ifinfomsg any{};
  // Whether this worked is seen below: a link may be leaving by itself, because its namespace ended.
  static_cast<void>(netlink.execute({NetlinkRequest(RTM_DELLINK, NLM_F_ACK).fixed(any).number(IFLA_GROUP, group)}, ""));
  names = links_with_prefix(netlink, prefix);
  if (!names) return std::unexpected(names.error());
  for (const std::string& name : *names) {
    auto deleted = netlink.execute({NetlinkRequest(RTM_DELLINK, NLM_F_ACK).fixed(any).text(IFLA_IFNAME, name)},
                                   fmt::format("delete the link {}", name));
    if (!deleted && !deleted.error().message.contains("No such device")) return deleted;
  }
  return {};
}

Result<bool> forwarding_enabled() {
  const std::string text = read_text(kForwarding);
  if (text.empty()) return fail(ErrorCode::kIo, fmt::format("{} cannot be read", kForwarding));
  return text.front() != '0';
}

Result<void> set_forwarding(bool enabled) {
  const UniqueFd file(::open(kForwarding, O_WRONLY | O_CLOEXEC));
  if (!file || ::write(file.get(), enabled ? "1" : "0", 1) != 1)
    return fail_errno(fmt::format("write {}", kForwarding));
  return {};
}

std::vector<std::uint32_t> host_resolvers() {
  auto resolvers = parse_resolvers(read_text("/etc/resolv.conf"));
  if (resolvers.empty()) resolvers = parse_resolvers(read_text("/run/systemd/resolve/resolv.conf"));
  return resolvers;
}

Result<InsideNetwork> InsideNetwork::enter(int netns_fd, int home_fd) {
  if (::setns(netns_fd, CLONE_NEWNET) != 0) return fail_errno("enter the instance's network namespace");
  return InsideNetwork(home_fd);
}

InsideNetwork::~InsideNetwork() {
  if (home_fd_ >= 0) MAYFLY_ASSERT(::setns(home_fd_, CLONE_NEWNET) == 0);
}

}  // namespace mayfly::sandbox
