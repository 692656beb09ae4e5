// The host's side of instance links: its routes, its virtual links, its nftables and its forwarding switch. Thin calls
// with errors as values; network_link.cpp decides what to do with them. Launcher process only.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "sandbox/netlink.h"
#include "sandbox/network_link_rules.h"

struct nft_ctx;

namespace mayfly::sandbox {

// The nftables compiler, in process. Bound to the network namespace in which it was made.
class Nftables {
 public:
  static Result<Nftables> open();
  // Runs commands as one transaction: all of them or none.
  Result<std::string> run(const std::string& commands);
  // Every table of family inet that a Mayfly server made, alive or crashed.
  Result<std::vector<ForeignTable>> tables();

 private:
  struct Free {
    void operator()(nft_ctx* context) const;
  };
  explicit Nftables(nft_ctx* context) : context_(context) {}
  std::unique_ptr<nft_ctx, Free> context_;
};

struct HostRoutes {
  std::vector<Cidr> all;       // every routed IPv4 network but the default
  std::vector<Cidr> attached;  // those without a gateway: the host's own links
};
Result<HostRoutes> read_routes(Netlink& netlink);

Result<std::vector<std::string>> links_with_prefix(Netlink& netlink, std::string_view prefix);
// Deletes the links of a group in one step: one after the other, each would wait for a kernel grace period (23 ms).
Result<void> delete_links(Netlink& netlink, std::uint32_t group, std::string_view prefix);

Result<bool> forwarding_enabled();
Result<void> set_forwarding(bool enabled);

// Name servers of the host that an instance may be let to: /etc/resolv.conf, or, where that names only a stub on
// loopback, the stub's own upstream servers.
std::vector<std::uint32_t> host_resolvers();

// Puts the calling thread into a network namespace until destroyed. A thread that cannot return is in the wrong
// network, where going on would be worse than ending: that aborts.
class InsideNetwork {
 public:
  static Result<InsideNetwork> enter(int netns_fd, int home_fd);
  InsideNetwork(InsideNetwork&& other) noexcept : home_fd_(std::exchange(other.home_fd_, -1)) {}
  InsideNetwork& operator=(InsideNetwork&&) = delete;
  InsideNetwork(const InsideNetwork&) = delete;
  InsideNetwork& operator=(const InsideNetwork&) = delete;
  ~InsideNetwork();

 private:
  explicit InsideNetwork(int home_fd) : home_fd_(home_fd) {}
  int home_fd_;
};

}  // namespace mayfly::sandbox
