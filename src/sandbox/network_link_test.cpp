// The outbound policy, tried on real links. Everything happens in network namespaces made here: one plays the host, one
// the world outside, one a second network of the host; the machine's own network is not touched.
//
// Whether a packet is refused is told without waiting for a silence: after the packets that must not arrive, one that
// must is sent on the same way; once it is there, the others would have been.
#include "sandbox/network_link.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <gtest/gtest.h>
#include <ifaddrs.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace mayfly::sandbox {
namespace {

constexpr int kDeadlineMs = 5000;
constexpr std::uint16_t kPort = 4566;
constexpr std::uint16_t kFencePort = 7;
constexpr const char* kPublic = "11.22.33.44";
constexpr const char* kHostAddress = "203.0.113.1";
constexpr const char* kGateway = "203.0.113.2";
constexpr const char* kCorporate = "10.99.0.5";
constexpr const char* kMetadata = "169.254.169.254";
constexpr const char* kLan = "192.168.7.2";

std::uint32_t number_of(const std::string& address) {
  in_addr parsed{};
  EXPECT_EQ(::inet_pton(AF_INET, address.c_str(), &parsed), 1) << address;
  return parsed.s_addr;
}

sockaddr_in endpoint(const std::string& address, std::uint16_t port) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_port = htons(port);
  out.sin_addr.s_addr = number_of(address);
  return out;
}

// SAFETY: sockaddr_in is a sockaddr by the socket interface's own convention.
const sockaddr* generic(const sockaddr_in& address) { return reinterpret_cast<const sockaddr*>(&address); }
sockaddr* generic(sockaddr_in& address) { return reinterpret_cast<sockaddr*>(&address); }

void must(const Result<void>& result) {
  if (!result) FAIL() << result.error().message;
}

class Namespace {
 public:
  Namespace() {
    const UniqueFd home(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
    EXPECT_EQ(::unshare(CLONE_NEWNET), 0) << std::strerror(errno);
    fd_ = UniqueFd(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
    up("lo");
    EXPECT_EQ(::setns(home.get(), CLONE_NEWNET), 0);
  }
  [[nodiscard]] int fd() const { return fd_.get(); }

  template <typename Body>
  auto inside(Body body) const {
    const UniqueFd home(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
    auto entered = InsideNetwork::enter(fd_.get(), home.get());
    EXPECT_TRUE(entered);
    return body();
  }

  static void up(const std::string& link) {
    ifinfomsg info{};
    info.ifi_index = static_cast<int>(::if_nametoindex(link.c_str()));
    info.ifi_flags = IFF_UP;
    info.ifi_change = IFF_UP;
    must(Netlink::open()->execute({NetlinkRequest(RTM_SETLINK, NLM_F_ACK).fixed(info)}, "up"));
  }

  void address(const std::string& link, const std::string& address, std::uint8_t bits) const {
    inside([&] {
      up(link);
      ifaddrmsg header{};
      header.ifa_family = AF_INET;
      header.ifa_prefixlen = bits;
      header.ifa_index = ::if_nametoindex(link.c_str());
      NetlinkRequest request(RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE);
      request.fixed(header).number(IFA_LOCAL, number_of(address)).number(IFA_ADDRESS, number_of(address));
      must(Netlink::open()->execute({request}, "address"));
      return 0;
    });
  }

  void route(const std::string& network, std::uint8_t bits, const std::string& gateway) const {
    inside([&] {
      rtmsg route{};
      route.rtm_family = AF_INET;
      route.rtm_dst_len = bits;
      route.rtm_table = RT_TABLE_MAIN;
      route.rtm_protocol = RTPROT_STATIC;
      route.rtm_type = RTN_UNICAST;
      NetlinkRequest request(RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE);
      request.fixed(route).number(RTA_DST, number_of(network)).number(RTA_GATEWAY, number_of(gateway));
      must(Netlink::open()->execute({request}, "route"));
      return 0;
    });
  }

  // See network_link.cpp: until the kernel has noticed both ends, the first one drops packets.
  void notice_carrier(const std::string& link) const {
    inside([&] {
      ifinfomsg info{};
      info.ifi_index = static_cast<int>(::if_nametoindex(link.c_str()));
      must(Netlink::open()->execute({NetlinkRequest(RTM_GETLINK, NLM_F_ACK).fixed(info)}, "state"));
      return 0;
    });
  }

  void connect_to(const Namespace& other, const std::string& here, const std::string& there) const {
    inside([&] {
      NetlinkRequest request(RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
      request.fixed(ifinfomsg{}).text(IFLA_IFNAME, here).nested(IFLA_LINKINFO, [&](NetlinkRequest& info) {
        info.text(IFLA_INFO_KIND, "veth").nested(IFLA_INFO_DATA, [&](NetlinkRequest& data) {
          data.nested(VETH_INFO_PEER, [&](NetlinkRequest& peer) {
            peer.fixed(ifinfomsg{})
                .text(IFLA_IFNAME, there)
                .number(IFLA_NET_NS_FD, static_cast<std::uint32_t>(other.fd()));
          });
        });
      });
      must(Netlink::open()->execute({request}, "veth"));
      return 0;
    });
  }

  // A socket of this namespace, bound.
  [[nodiscard]] UniqueFd socket(int type, const std::string& address, std::uint16_t port) const {
    return inside([&] {
      UniqueFd fd(::socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
      const int on = 1;
      ::setsockopt(fd.get(), SOL_IP, IP_FREEBIND, &on, sizeof on);
      const sockaddr_in self = endpoint(address, port);
      EXPECT_EQ(::bind(fd.get(), generic(self), sizeof self), 0) << address << std::strerror(errno);
      return fd;
    });
  }

  [[nodiscard]] std::string forwarding() const {
    return inside([] { return std::string(*forwarding_enabled() ? "on" : "off"); });
  }

 private:
  UniqueFd fd_;
};

bool wait_for(int fd, short what) {
  pollfd one{.fd = fd, .events = what, .revents = 0};
  return ::poll(&one, 1, kDeadlineMs) == 1;
}

void send_to(int fd, const std::string& address, std::uint16_t port, std::string_view text) {
  const sockaddr_in to = endpoint(address, port);
  // A refusal that the sender hears of at once is a refusal as well.
  static_cast<void>(::sendto(fd, text.data(), text.size(), 0, generic(to), sizeof to));
}

// What arrived at a socket, "" for nothing.
std::string take(int fd, std::string* from = nullptr) {
  std::string buffer(64, '\0');
  sockaddr_in sender{};
  socklen_t size = sizeof sender;
  const ssize_t got = ::recvfrom(fd, buffer.data(), buffer.size(), MSG_DONTWAIT, generic(sender), &size);
  if (got < 0) return "";
  if (from != nullptr) *from = address_text(ntohl(sender.sin_addr.s_addr));
  buffer.resize(static_cast<std::size_t>(got));
  return buffer;
}

// lan --- host --- outside, and instances behind the host.
class LinkPoolTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (std::string why; !LinkPool::available(&why)) GTEST_SKIP() << "SKIPPED: no virtual links here: " << why;
    host_.emplace();
    outside_.emplace();
    lan_.emplace();
    // A new namespace takes the machine's own switch over, which a server that runs beside this test has turned on.
    for (const Namespace* host : {&*host_, &*outside_, &*lan_}) {
      host->inside([] { return must(set_forwarding(false)), 0; });
    }
    host_->connect_to(*outside_, "ext0", "ext1");
    host_->connect_to(*lan_, "lan0", "lan1");
    host_->address("ext0", kHostAddress, 24);
    host_->address("lan0", "192.168.7.1", 24);
    lan_->address("lan1", kLan, 24);
    lan_->route("0.0.0.0", 0, "192.168.7.1");
    outside_->address("ext1", kGateway, 24);
    for (const char* address : {kPublic, kCorporate, kMetadata}) outside_->address("lo", address, 32);
    host_->route("0.0.0.0", 0, kGateway);
    outside_->route("10.208.0.0", 12, kHostAddress);
    outside_->route("192.168.7.0", 24, kHostAddress);
    for (const char* link : {"ext0", "lan0"}) host_->notice_carrier(link);
    fence_ = outside_->socket(SOCK_DGRAM, kPublic, kFencePort);
  }

  [[nodiscard]] std::unique_ptr<LinkPool> pool(const std::string& suffix) const {
    return host_->inside([&] {
      auto made = LinkPool::create(suffix);
      EXPECT_TRUE(made) << made.error().message;
      return std::move(*made);
    });
  }

  void attach(LinkPool& links, const Namespace& instance, const std::string& id,
              const std::vector<std::string>& allowed) const {
    host_->inside([&] {
      must(links.attach(instance.fd(), id, allowed));
      return 0;
    });
  }

  // Sends to each target, then through the fence; says which targets were reached.
  std::vector<std::string> reached(const Namespace& from, const std::vector<std::pair<std::string, int>>& targets,
                                   const std::string& fence_address) const {
    const UniqueFd sender = from.socket(SOCK_DGRAM, "0.0.0.0", 0);
    for (const auto& [address, receiver] : targets) send_to(sender.get(), address, kPort, address);
    send_to(sender.get(), fence_address, kFencePort, "fence");
    EXPECT_TRUE(wait_for(fence_.get(), POLLIN)) << "the fence did not arrive";
    EXPECT_EQ(take(fence_.get()), "fence");
    std::vector<std::string> arrived;
    for (const auto& [address, receiver] : targets) {
      for (std::string text = take(receiver); !text.empty(); text = take(receiver)) arrived.push_back(text);
    }
    return arrived;
  }

  // The instance's own address and that of its gateway, the host's end.
  static std::string own_address(const Namespace& instance) {
    return instance.inside([] {
      ifaddrs* list = nullptr;
      std::string found;
      EXPECT_EQ(::getifaddrs(&list), 0);
      for (const ifaddrs* one = list; one != nullptr; one = one->ifa_next) {
        if (std::string_view(one->ifa_name) != "eth0" || one->ifa_addr == nullptr) continue;
        EXPECT_NE(one->ifa_addr->sa_family, AF_INET6) << "the link has an IPv6 address";
        if (one->ifa_addr->sa_family != AF_INET) continue;
        sockaddr_in address{};
        std::memcpy(&address, one->ifa_addr, sizeof address);
        found = address_text(ntohl(address.sin_addr.s_addr));
      }
      ::freeifaddrs(list);
      return found;
    });
  }
  static std::string gateway(const Namespace& instance) {
    return address_text(ntohl(number_of(own_address(instance))) - 1);
  }

  std::optional<Namespace> host_;
  std::optional<Namespace> outside_;
  std::optional<Namespace> lan_;
  UniqueFd fence_;
};

TEST_F(LinkPoolTest, InstanceReachesThePublicInternetFromTheHostsAddress) {
  const auto links = pool("t");
  const Namespace instance;
  attach(*links, instance, "a", {});
  const UniqueFd server = outside_->socket(SOCK_STREAM, kPublic, kPort);
  ASSERT_EQ(::listen(server.get(), 1), 0);
  const UniqueFd client = instance.socket(SOCK_STREAM, "0.0.0.0", 0);
  const sockaddr_in to = endpoint(kPublic, kPort);
  static_cast<void>(::connect(client.get(), generic(to), sizeof to));
  ASSERT_TRUE(wait_for(server.get(), POLLIN));
  sockaddr_in peer{};
  socklen_t size = sizeof peer;
  const UniqueFd accepted(::accept(server.get(), generic(peer), &size));
  EXPECT_EQ(address_text(ntohl(peer.sin_addr.s_addr)), kHostAddress);
  ASSERT_EQ(::send(accepted.get(), "hello", 5, 0), 5);
  ASSERT_TRUE(wait_for(client.get(), POLLIN));
  EXPECT_EQ(take(client.get()), "hello");
}

TEST_F(LinkPoolTest, InstanceReachesNeitherHostNorNeighboursNorMetadataNorPrivateNetworks) {
  const auto links = pool("t");
  const Namespace instance;
  const Namespace neighbour;
  attach(*links, instance, "a", {});
  attach(*links, neighbour, "b", {});
  const UniqueFd host = host_->socket(SOCK_DGRAM, "0.0.0.0", kPort);
  const UniqueFd other = neighbour.socket(SOCK_DGRAM, "0.0.0.0", kPort);
  const UniqueFd outside = outside_->socket(SOCK_DGRAM, "0.0.0.0", kPort);
  const UniqueFd lan = lan_->socket(SOCK_DGRAM, "0.0.0.0", kPort);
  const auto arrived = reached(instance,
                               {{kHostAddress, host.get()},
                                {"192.168.7.1", host.get()},
                                {gateway(instance), host.get()},
                                {gateway(neighbour), host.get()},
                                {own_address(neighbour), other.get()},
                                {kMetadata, outside.get()},
                                {kCorporate, outside.get()},
                                {kGateway, outside.get()},
                                {kLan, lan.get()},
                                {"224.0.0.1", host.get()}},
                               kPublic);
  EXPECT_EQ(arrived, std::vector<std::string>{});
  // The same receivers hear what is allowed: the silence above is the policy, not a mistake of this test.
  EXPECT_EQ(reached(instance, {{kPublic, outside.get()}}, kPublic), std::vector<std::string>{kPublic});
}

TEST_F(LinkPoolTest, TcpToTheHostIsNotAnswered) {
  const auto links = pool("t");
  const Namespace instance;
  attach(*links, instance, "a", {});
  const UniqueFd server = host_->socket(SOCK_STREAM, "0.0.0.0", kPort);
  ASSERT_EQ(::listen(server.get(), 8), 0);
  std::vector<UniqueFd> clients;
  for (const std::string& address : {std::string(kHostAddress), gateway(instance)}) {
    clients.push_back(instance.socket(SOCK_STREAM, "0.0.0.0", 0));
    const sockaddr_in to = endpoint(address, kPort);
    EXPECT_EQ(::connect(clients.back().get(), generic(to), sizeof to), -1);
    EXPECT_EQ(errno, EINPROGRESS);
  }
  EXPECT_TRUE(reached(instance, {}, kPublic).empty());
  EXPECT_EQ(::accept(server.get(), nullptr, nullptr), -1);
}

TEST_F(LinkPoolTest, TheHostsNameServerIsReachedOnItsPortOnly) {
  constexpr std::uint16_t kDns = 53;
  const auto links = host_->inside([] { return *LinkPool::create("t", {ntohl(number_of(kCorporate))}); });
  EXPECT_EQ(links->resolvers(), std::vector<std::string>{kCorporate});
  const Namespace instance;
  const Namespace restricted;
  attach(*links, instance, "a", {});
  attach(*links, restricted, "b", {"11.0.0.0/8"});
  const UniqueFd names = outside_->socket(SOCK_DGRAM, kCorporate, kDns);
  const UniqueFd outside = outside_->socket(SOCK_DGRAM, "0.0.0.0", kPort);
  const UniqueFd asking = instance.socket(SOCK_DGRAM, "0.0.0.0", 0);
  const UniqueFd refused = restricted.socket(SOCK_DGRAM, "0.0.0.0", 0);
  send_to(refused.get(), kCorporate, kDns, "not on the list");
  send_to(asking.get(), kCorporate, kDns, "question");
  EXPECT_TRUE(reached(restricted, {{kCorporate, outside.get()}}, kPublic).empty());
  EXPECT_TRUE(reached(instance, {{kCorporate, outside.get()}}, kPublic).empty());
  EXPECT_EQ(take(names.get()), "question");
  EXPECT_EQ(take(names.get()), "");
}

TEST_F(LinkPoolTest, AllowListOpensWhatItNamesAndNothingElse) {
  const auto links = pool("t");
  const Namespace instance;
  attach(*links, instance, "a", {"10.99.0.0/16", "11.22.33.44/32"});
  const UniqueFd outside = outside_->socket(SOCK_DGRAM, "0.0.0.0", kPort);
  outside_->address("lo", "11.22.33.45", 32);
  const UniqueFd host = host_->socket(SOCK_DGRAM, "0.0.0.0", kPort);
  const std::vector<std::pair<std::string, int>> targets{{kCorporate, outside.get()},
                                                         {kPublic, outside.get()},
                                                         {"11.22.33.45", outside.get()},
                                                         {kGateway, outside.get()},
                                                         {kHostAddress, host.get()}};
  EXPECT_EQ(reached(instance, targets, kPublic), (std::vector<std::string>{kCorporate, kPublic}));
}

TEST_F(LinkPoolTest, NoAllowListOpensHostMetadataOrNeighbours) {
  const auto links = pool("t");
  const Namespace instance;
  const Namespace neighbour;
  attach(*links, instance, "a", {"0.0.0.0/0"});
  attach(*links, neighbour, "b", {"0.0.0.0/0"});
  const UniqueFd host = host_->socket(SOCK_DGRAM, "0.0.0.0", kPort);
  const UniqueFd other = neighbour.socket(SOCK_DGRAM, "0.0.0.0", kPort);
  const UniqueFd outside = outside_->socket(SOCK_DGRAM, "0.0.0.0", kPort);
  const auto arrived = reached(instance,
                               {{kHostAddress, host.get()},
                                {gateway(instance), host.get()},
                                {own_address(neighbour), other.get()},
                                {kMetadata, outside.get()},
                                {kCorporate, outside.get()}},
                               kPublic);
  EXPECT_EQ(arrived, std::vector<std::string>{kCorporate});
}

TEST_F(LinkPoolTest, AllowListOfAnEndedLinkIsForgotten) {
  const auto links = pool("t");
  {
    const Namespace instance;
    attach(*links, instance, "a", {"10.99.0.0/16"});
    links->detach("a");
    links->detach("a");
  }
  const std::string listed =
      host_->inside([&] { return *Nftables::open()->run(fmt::format("list set inet {} allowed", links->table())); });
  EXPECT_FALSE(listed.contains("10.99")) << listed;
}

TEST_F(LinkPoolTest, NobodyOutsideReachesAnInstance) {
  const auto links = pool("t");
  const Namespace instance;
  attach(*links, instance, "a", {});
  const UniqueFd receiver = instance.socket(SOCK_DGRAM, "0.0.0.0", kPort);
  const UniqueFd sender = outside_->socket(SOCK_DGRAM, kPublic, 0);
  send_to(sender.get(), own_address(instance), kPort, "unasked");
  EXPECT_TRUE(reached(instance, {}, kPublic).empty());
  EXPECT_EQ(take(receiver.get()), "");
}

TEST_F(LinkPoolTest, ForgedSenderAddressesAreDropped) {
  const auto links = pool("t");
  const Namespace instance;
  attach(*links, instance, "a", {});
  const UniqueFd outside = outside_->socket(SOCK_DGRAM, "0.0.0.0", kPort);
  for (const char* forged : {kHostAddress, "203.0.113.77", "192.168.7.1"}) {
    const UniqueFd sender = instance.socket(SOCK_DGRAM, forged, 0);
    send_to(sender.get(), kPublic, kPort, forged);
  }
  EXPECT_TRUE(reached(instance, {}, kPublic).empty());
  EXPECT_EQ(take(outside.get()), "");
}

TEST_F(LinkPoolTest, ConnectionsOfOneInstanceAreBounded) {
  const auto links = pool("t");
  const Namespace instance;
  const Namespace neighbour;
  attach(*links, instance, "a", {});
  attach(*links, neighbour, "b", {});
  const UniqueFd outside = outside_->socket(SOCK_DGRAM, "0.0.0.0", kPort);
  unsigned arrived = 0;
  constexpr std::uint16_t kFirstPort = 20000;  // each from another port, so that each is a connection of its own
  for (std::uint16_t i = 0; i < kConnectionsPerInstance + 200; ++i) {
    const UniqueFd sender = instance.socket(SOCK_DGRAM, "0.0.0.0", static_cast<std::uint16_t>(kFirstPort + i));
    send_to(sender.get(), kPublic, kPort, "flow");
    if (!take(outside.get()).empty()) ++arrived;
  }
  EXPECT_TRUE(reached(neighbour, {}, kPublic).empty());  // the neighbour has its own share
  while (!take(outside.get()).empty()) ++arrived;
  EXPECT_GE(arrived, kConnectionsPerInstance - 1);
  EXPECT_LE(arrived, kConnectionsPerInstance + 1);
}

TEST_F(LinkPoolTest, HostThatWasNoRouterForwardsForInstancesOnly) {
  ASSERT_EQ(host_->forwarding(), "off");
  const auto links = pool("t");
  const Namespace instance;
  attach(*links, instance, "a", {});
  ASSERT_EQ(host_->forwarding(), "on");
  const UniqueFd lan = lan_->socket(SOCK_DGRAM, "0.0.0.0", kPort);
  const UniqueFd sender = outside_->socket(SOCK_DGRAM, kGateway, 0);
  send_to(sender.get(), kLan, kPort, "through the host");
  EXPECT_TRUE(reached(instance, {}, kPublic).empty());
  EXPECT_EQ(take(lan.get()), "");
}

TEST_F(LinkPoolTest, ServersSideBySideUseOtherRangesAndRefuseEachOther) {
  auto first = pool("t");
  auto second = pool("u");
  const Namespace instance;
  const Namespace stranger;
  attach(*first, instance, "a", {"0.0.0.0/0"});
  attach(*second, stranger, "a", {"0.0.0.0/0"});
  EXPECT_NE(own_address(instance), own_address(stranger));
  const UniqueFd other = stranger.socket(SOCK_DGRAM, "0.0.0.0", kPort);
  EXPECT_TRUE(reached(instance, {{own_address(stranger), other.get()}}, kPublic).empty());
  EXPECT_TRUE(reached(stranger, {}, kPublic).empty());
  host_->inside([&] { return first.reset(), 0; });
  EXPECT_EQ(host_->forwarding(), "on");
  EXPECT_TRUE(reached(stranger, {}, kPublic).empty());
  host_->inside([&] { return second.reset(), 0; });
  EXPECT_EQ(host_->forwarding(), "off");
}

TEST_F(LinkPoolTest, ShutdownLeavesNothing) {
  const auto links = pool("t");
  const Namespace first;
  const Namespace second;
  attach(*links, first, "a", {});
  attach(*links, second, "b", {"10.0.0.0/8"});
  host_->inside([&] {
    links->shutdown();
    links->shutdown();
    auto netlink = Netlink::open();
    EXPECT_TRUE(links_with_prefix(*netlink, kLinkPrefix)->empty());
    EXPECT_TRUE(Nftables::open()->tables()->empty());
    EXPECT_EQ(links->attach(first.fd(), "c", {}).error().code, ErrorCode::kClosed);
    return 0;
  });
  EXPECT_EQ(host_->forwarding(), "off");
}

TEST_F(LinkPoolTest, WhatACrashLeftIsTakenOver) {
  const Namespace held;  // outlives the crash, and with it the link
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const auto crashed = pool("t");
    attach(*crashed, held, "a", {"10.99.0.0/16"});
    ::_exit(HasFailure() ? 1 : 0);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  ASSERT_EQ(host_->forwarding(), "on");
  auto links = pool("t");
  host_->inside([&] {
    auto netlink = Netlink::open();
    EXPECT_TRUE(links_with_prefix(*netlink, links->link_prefix())->empty());
    return 0;
  });
  const Namespace instance;
  attach(*links, instance, "a", {});
  EXPECT_TRUE(reached(instance, {}, kPublic).empty());
  host_->inside([&] { return links.reset(), 0; });
  EXPECT_EQ(host_->forwarding(), "off");
}

TEST_F(LinkPoolTest, BadRequestsChangeNothing) {
  const auto links = pool("t");
  const Namespace instance;
  host_->inside([&] {
    EXPECT_EQ(links->attach(instance.fd(), "a", {"10.0.0.0/8; flush ruleset"}).error().code, ErrorCode::kInvalid);
    EXPECT_EQ(links->attach(instance.fd(), "a", {"2001:db8::/32"}).error().code, ErrorCode::kUnsupported);
    EXPECT_FALSE(links->attach(-1, "a", {}));
    auto netlink = Netlink::open();
    EXPECT_TRUE(links_with_prefix(*netlink, kLinkPrefix)->empty());
    EXPECT_TRUE(links->attach(instance.fd(), "a", {}));
    EXPECT_EQ(links->attach(instance.fd(), "a", {}).error().code, ErrorCode::kExists);
    EXPECT_EQ(LinkPool::create("no spaces").error().code, ErrorCode::kInvalid);
    return 0;
  });
}

}  // namespace
}  // namespace mayfly::sandbox
