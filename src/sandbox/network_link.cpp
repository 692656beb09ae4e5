#include "sandbox/network_link.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/log.h"

namespace mayfly::sandbox {

namespace {

constexpr const char* kInstanceInterface = "eth0";  // as on Lambda
constexpr std::uint32_t kFirstRange = (10U << 24) | (213U << 16);
constexpr std::uint8_t kRangeBits = 18;
constexpr std::uint32_t kRanges = 16;
constexpr std::uint32_t kRangeSize = 1U << (32 - kRangeBits);
static_assert(LinkPool::kLinks * 2 <= kRangeSize, "each link takes two addresses");
// A link whose namespace has not ended yet keeps its number; as many are passed over before attach() gives up.
constexpr int kBusyNumbers = 64;
constexpr const char* kLock = "/run/mayfly-links.lock";

// FNV-1a: five characters keep servers on one host apart, and are stable over restarts, which std::hash is not.
std::uint32_t digest(std::string_view text) {
  std::uint32_t hash = 2166136261U;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
  return hash;
}

std::string link_prefix(std::uint32_t hash) { return fmt::format("{}{:05x}", kLinkPrefix, hash & 0xFFFFF); }

bool valid_suffix(const std::string& suffix) {
  constexpr std::size_t kLongest = 32;
  return !suffix.empty() && suffix.size() <= kLongest &&
         suffix.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string::npos;
}

// Servers that start or stop at the same time must not choose the same range, nor judge the forwarding switch twice.
UniqueFd lock_host() {
  UniqueFd lock(::open(kLock, O_CREAT | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600));
  // Without the lock, which only a read-only /run can cause, only the choice of a range could collide.
  if (lock) static_cast<void>(::flock(lock.get(), LOCK_EX));
  return lock;
}

void write_switch(const std::string& path) {
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (file) static_cast<void>(::write(file.get(), "1", 1));
}

// No link-local address: nothing on the host or in the instance may be reached by IPv6, not even on the link itself.
NetlinkRequest no_ipv6_address(int index) {
  ifinfomsg link{};
  link.ifi_index = index;
  NetlinkRequest request(RTM_SETLINK, NLM_F_ACK);
  request.fixed(link).nested(IFLA_AF_SPEC, [](NetlinkRequest& families) {
    families.nested(AF_INET6, [](NetlinkRequest& six) { six.byte(IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE); });
  });
  return request;
}

NetlinkRequest add_address(int index, std::uint32_t address) {
  constexpr std::uint8_t kPointToPoint = 31;  // RFC 3021: two addresses, no broadcast
  ifaddrmsg header{};
  header.ifa_family = AF_INET;
  header.ifa_prefixlen = kPointToPoint;
  header.ifa_index = static_cast<std::uint32_t>(index);
  NetlinkRequest request(RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
  request.fixed(header).number(IFA_LOCAL, htonl(address)).number(IFA_ADDRESS, htonl(address));
  return request;
}

NetlinkRequest bring_up(int index) {
  ifinfomsg link{};
  link.ifi_index = index;
  link.ifi_flags = IFF_UP;
  link.ifi_change = IFF_UP;
  return NetlinkRequest(RTM_SETLINK, NLM_F_ACK).fixed(link);
}

// The end that came up first may send only once the kernel has noticed, by and by, that the other end is up too; until
// then it drops packets, which costs a function's first connection a retransmission of a second. Asking for the link's
// state makes the kernel notice now.
NetlinkRequest notice_carrier(int index) {
  ifinfomsg link{};
  link.ifi_index = index;
  return NetlinkRequest(RTM_GETLINK, NLM_F_ACK).fixed(link);
}

NetlinkRequest add_default_route(int index, std::uint32_t gateway) {
  rtmsg route{};
  route.rtm_family = AF_INET;
  route.rtm_table = RT_TABLE_MAIN;
  route.rtm_protocol = RTPROT_STATIC;
  route.rtm_scope = RT_SCOPE_UNIVERSE;
  route.rtm_type = RTN_UNICAST;
  NetlinkRequest request(RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
  request.fixed(route).number(RTA_GATEWAY, htonl(gateway)).number(RTA_OIF, static_cast<std::uint32_t>(index));
  return request;
}

}  // namespace

LinkPool::LinkPool(Netlink netlink, Nftables nftables, UniqueFd home)
    : netlink_(std::move(netlink)), nftables_(std::move(nftables)), home_(std::move(home)) {
  for (std::uint32_t number = 0; number < kOpenLinks; ++number) free_open_.push_back(number);
  for (std::uint32_t number = kOpenLinks; number < kLinks; ++number) free_restricted_.push_back(number);
}

LinkPool::~LinkPool() { shutdown(); }

Result<std::unique_ptr<LinkPool>> LinkPool::create(const std::string& table_suffix) {
  return create(table_suffix, host_resolvers());
}

Result<std::unique_ptr<LinkPool>> LinkPool::create(const std::string& table_suffix,
                                                   std::vector<std::uint32_t> resolvers) {
  if (!valid_suffix(table_suffix)) return fail(ErrorCode::kInvalid, "a link pool needs a suffix of [a-z0-9_]{1,32}");
  UniqueFd home(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
  if (!home) return fail_errno("open the host's network namespace");
  auto netlink = Netlink::open();
  if (!netlink) return std::unexpected(netlink.error());
  auto nftables = Nftables::open();
  if (!nftables) return std::unexpected(nftables.error());
  std::unique_ptr<LinkPool> pool(new LinkPool(std::move(*netlink), std::move(*nftables), std::move(home)));
  pool->resolvers_ = std::move(resolvers);
  auto ready = pool->set_up(table_suffix);
  if (!ready) return std::unexpected(ready.error());
  return pool;
}

Result<void> LinkPool::set_up(const std::string& table_suffix) {
  const std::uint32_t hash = digest(table_suffix);
  table_ = std::string(kTablePrefix) + table_suffix;
  prefix_ = mayfly::sandbox::link_prefix(hash);
  group_ = hash | 1U;  // group 0 is every link of the host
  ipv6_ = ::access("/proc/sys/net/ipv6/conf", F_OK) == 0;

  const UniqueFd lock = lock_host();
  auto tables = nftables_.tables();
  if (!tables) return std::unexpected(tables.error());
  // A crashed server's links go before its table: a link without rules would be an open door.
  if (auto deleted = delete_links(netlink_, group_, prefix_); !deleted) return deleted;
  auto routes = read_routes(netlink_);
  if (!routes) return std::unexpected(routes.error());
  auto forwards = forwarding_enabled();
  if (!forwards) return std::unexpected(forwards.error());

  restore_forwarding_ = !*forwards;
  std::vector<Cidr> taken = routes->all;
  bool stale = false;
  for (const ForeignTable& table : *tables) {
    restore_forwarding_ = restore_forwarding_ || table.guards_forwarding;
    if (table.name == table_) {
      stale = true;
    } else {
      taken.insert(taken.end(), table.instances.begin(), table.instances.end());
    }
  }
  bool found = false;
  for (std::uint32_t i = 0; i < kRanges && !found; ++i) {
    range_ = Cidr{.address = kFirstRange + i * kRangeSize, .bits = kRangeBits};
    found = std::ranges::none_of(taken, [&](const Cidr& network) { return network.overlaps(range_); });
  }
  if (!found) {
    return fail(ErrorCode::kUnsupported, "no free address range for instances",
                "10.213.0.0 to 10.216.255.255 is routed elsewhere or used by other servers on this machine");
  }
  std::erase_if(routes->attached, [](const Cidr& network) { return network.bits == 0; });
  const RuleParameters rules{.table = table_,
                             .link_prefix = prefix_,
                             .instances = range_,
                             .attached = routes->attached,
                             .resolvers = resolvers_,
                             .guard_forwarding = restore_forwarding_};
  const std::string forget = stale ? fmt::format("delete table inet {}\n", table_) : "";
  auto made = nftables_.run(forget + table_text(rules));
  if (!made) return std::unexpected(made.error());
  active_ = true;
  // Only now: a host that forwards before the rules stand would be a router for whoever asks.
  if (!*forwards) return set_forwarding(true);
  return {};
}

Result<void> LinkPool::make_link(int netns_fd, const Link& link) {
  const ifinfomsg any{};
  NetlinkRequest request(RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
  request.fixed(any).text(IFLA_IFNAME, link.name).number(IFLA_GROUP, group_);
  request.nested(IFLA_LINKINFO, [&](NetlinkRequest& info) {
    info.text(IFLA_INFO_KIND, "veth").nested(IFLA_INFO_DATA, [&](NetlinkRequest& data) {
      data.nested(VETH_INFO_PEER, [&](NetlinkRequest& peer) {
        peer.fixed(any)
            .text(IFLA_IFNAME, kInstanceInterface)
            .number(IFLA_NET_NS_FD, static_cast<std::uint32_t>(netns_fd));
      });
    });
  });
  return netlink_.execute({request}, fmt::format("make the link {}", link.name));
}

Result<void> LinkPool::address_outside(const Link& link) {
  const int index = static_cast<int>(::if_nametoindex(link.name.c_str()));
  if (index == 0) return fail_errno(fmt::format("find the link {}", link.name));
  std::vector<NetlinkRequest> requests;
  if (ipv6_) {
    requests.push_back(no_ipv6_address(index));
    write_switch(fmt::format("/proc/sys/net/ipv6/conf/{}/disable_ipv6", link.name));
  }
  requests.push_back(add_address(index, host_address(link)));
  requests.push_back(bring_up(index));
  return netlink_.execute(requests, fmt::format("configure the link {}", link.name));
}

Result<void> LinkPool::address_inside(int netns_fd, const Link& link) {
  auto inside = InsideNetwork::enter(netns_fd, home_.get());
  if (!inside) return std::unexpected(inside.error());
  auto netlink = Netlink::open();
  if (!netlink) return std::unexpected(netlink.error());
  const int index = static_cast<int>(::if_nametoindex(kInstanceInterface));
  if (index == 0) return fail_errno("find the instance's end of its link");
  std::vector<NetlinkRequest> requests;
  if (ipv6_) requests.push_back(no_ipv6_address(index));
  requests.push_back(add_address(index, host_address(link) + 1));
  requests.push_back(bring_up(index));
  requests.push_back(add_default_route(index, host_address(link)));
  return netlink->execute(requests, "configure the instance's end of its link");
}

Result<LinkPool::Link> LinkPool::take(int netns_fd, const std::vector<Cidr>& allowed) {
  std::deque<std::uint32_t>& numbers = allowed.empty() ? free_open_ : free_restricted_;
  for (int tries = 0; tries < kBusyNumbers && !numbers.empty(); ++tries) {
    Link link{.number = numbers.front(), .name = {}, .allowed = allowed};
    link.name = fmt::format("{}{}{}", prefix_, allowed.empty() ? 'o' : 'r', link.number);
    numbers.pop_front();
    auto made = make_link(netns_fd, link);
    if (made) return link;
    numbers.push_back(link.number);
    const bool in_use = made.error().code == ErrorCode::kExists && ::if_nametoindex(link.name.c_str()) != 0;
    if (!in_use) return std::unexpected(made.error());
  }
  return fail(ErrorCode::kThrottled, "no free network link", "too many instances with outbound network at once");
}

Result<void> LinkPool::attach(int netns_fd, const std::string& sandbox_id,
                              const std::vector<std::string>& allowed_networks) {
  if (!active_) return fail(ErrorCode::kClosed, "the link pool is shut down");
  if (links_.contains(sandbox_id)) return fail(ErrorCode::kExists, fmt::format("{} has a link", sandbox_id));
  auto allowed = parse_allow_list(allowed_networks);
  if (!allowed) return std::unexpected(allowed.error());
  auto link = take(netns_fd, *allowed);
  if (!link) return std::unexpected(link.error());

  links_.emplace(sandbox_id, *link);
  auto configured = address_outside(*link);
  if (configured) configured = address_inside(netns_fd, *link);
  if (configured) {
    const int index = static_cast<int>(::if_nametoindex(link->name.c_str()));
    configured = netlink_.execute({notice_carrier(index)}, fmt::format("read the state of the link {}", link->name));
  }
  if (configured && !link->allowed.empty()) {
    auto permitted = nftables_.run(allow_text(table_, link->name, link->allowed));
    if (!permitted) configured = std::unexpected(permitted.error());
  }
  if (!configured) {
    remove_link(link->name);
    detach(sandbox_id);
  }
  return configured;
}

void LinkPool::remove_link(const std::string& name) {
  const ifinfomsg any{};
  auto removed =
      netlink_.execute({NetlinkRequest(RTM_DELLINK, NLM_F_ACK).fixed(any).text(IFLA_IFNAME, name)}, "delete");
  if (!removed)
    log(Level::kWarn, "a network link was not removed", {{"link", name}, {"error", removed.error().message}});
}

void LinkPool::detach(const std::string& sandbox_id) {
  const auto found = links_.find(sandbox_id);
  if (found == links_.end()) return;
  const Link link = std::move(found->second);
  links_.erase(found);
  if (link.allowed.empty()) {
    free_open_.push_back(link.number);
    return;
  }
  auto forgotten = nftables_.run(forget_text(table_, link.name, link.allowed));
  if (forgotten) {
    free_restricted_.push_back(link.number);
  } else {
    // The number is not used again: the next function to get it would inherit what this one was allowed.
    log(Level::kWarn, "an allow list was not removed", {{"link", link.name}, {"error", forgotten.error().message}});
  }
}

void LinkPool::shutdown() {
  if (!active_) return;
  active_ = false;
  links_.clear();
  const UniqueFd lock = lock_host();
  // In this order: never a link without rules, never a router without its guard.
  auto done = delete_links(netlink_, group_, prefix_);
  if (!done) log(Level::kWarn, "network links were not removed", {{"error", done.error().message}});
  const auto tables = nftables_.tables();
  const bool last = tables && std::ranges::none_of(*tables, [&](const auto& table) { return table.name != table_; });
  if (restore_forwarding_ && last) {
    done = set_forwarding(false);
    if (!done) log(Level::kWarn, "forwarding was not switched back off", {{"error", done.error().message}});
  }
  auto removed = nftables_.run(fmt::format("delete table inet {}", table_));
  if (!removed) log(Level::kWarn, "the nftables table was not removed", {{"error", removed.error().message}});
}

bool LinkPool::available(std::string* why_not) {
  const auto refuse = [&](std::string reason) {
    if (why_not != nullptr) *why_not = std::move(reason);
    return false;
  };
  const UniqueFd home(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
  if (!home) return refuse("/proc is not mounted");
  if (::access("/proc/sys/net/ipv4/ip_forward", W_OK) != 0) {
    return refuse("forwarding cannot be switched on (not root, or /proc/sys is read-only)");
  }
  if (::unshare(CLONE_NEWNET) != 0) return refuse(errno_error(errno, "no network namespace can be made").message);
  auto pool = create("probe");
  Result<void> linked;
  if (pool) {
    const UniqueFd here(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
    linked = (*pool)->make_link(here.get(), {.number = 0, .name = (*pool)->prefix_ + "o0", .allowed = {}});
    (*pool)->shutdown();
  }
  MAYFLY_ASSERT(::setns(home.get(), CLONE_NEWNET) == 0);
  if (!pool) return refuse(pool.error().message);
  if (!linked) return refuse(linked.error().message);
  return true;
}

std::vector<std::string> LinkPool::resolvers() const {
  std::vector<std::string> texts;
  for (const std::uint32_t address : resolvers_) texts.push_back(address_text(address));
  return texts;
}

}  // namespace mayfly::sandbox
