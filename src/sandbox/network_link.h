// Outbound network of instances: one virtual link each, address translation, and the refusal of everything that is not
// the public internet. Owned by the launcher process, which has the privileges for it; nothing here outlives
// shutdown().
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "sandbox/netlink.h"
#include "sandbox/network_link_host.h"
#include "sandbox/network_link_rules.h"

namespace mayfly::sandbox {

// Operation: create() makes one nftables table for the server and chooses a /18 of 10.213.0.0 to 10.216.255.255 that no
// route of the host and no other server uses. attach() makes a veth pair, its far end directly inside the instance's
// namespace, with a /31 of that range. No rule is made for an instance: the rules match the names of the links, 'o' for
// open ones, 'r' for those restricted to an allow list (whose networks are elements of one set). A link ends with its
// network namespace, by the kernel, asynchronously; numbers are therefore reused oldest first.
// Concurrency: one thread, which enters the instance's namespace for a moment inside attach().
// Limits: kLinks links; kMaxAllowedNetworks networks each; kConnectionsPerInstance connections each.
// Recovery: what a crashed server of the same suffix left is removed by create(). The host's forwarding switch is put
// back by the last server that stops; that it was off is remembered by the guard chain, which survives a crash too.
class LinkPool {
 public:
  static constexpr std::uint32_t kLinks = 8192;
  static constexpr std::uint32_t kOpenLinks = 6144;  // numbers below this are open links, the others restricted ones

  // `table_suffix`: [a-z0-9_]{1,32}, one for each server on the host.
  static Result<std::unique_ptr<LinkPool>> create(const std::string& table_suffix);
  // With name servers other than the host's own.
  static Result<std::unique_ptr<LinkPool>> create(const std::string& table_suffix,
                                                  std::vector<std::uint32_t> resolvers);
  LinkPool(const LinkPool&) = delete;
  LinkPool& operator=(const LinkPool&) = delete;
  ~LinkPool();

  // Gives the namespace an "eth0" with a default route. An empty list means any public address; otherwise exactly these
  // IPv4 networks, private ones too. kInvalid, kUnsupported (IPv6) or kTooLarge for a bad list, kExists for an id that
  // has a link, kThrottled when all links are taken. On failure nothing is left.
  Result<void> attach(int netns_fd, const std::string& sandbox_id, const std::vector<std::string>& allowed_networks);
  // Forgets the link and what it was allowed; the link itself ends with its namespace. Idempotent.
  void detach(const std::string& sandbox_id);
  // Deletes every link and the table, and puts forwarding back. Idempotent; the destructor calls it.
  void shutdown();

  // Whether this process could create(): tried in a network namespace of its own, the host's is not touched.
  static bool available(std::string* why_not);

  // For the instances' resolv.conf; empty where the host has none that they could reach.
  [[nodiscard]] std::vector<std::string> resolvers() const;
  [[nodiscard]] const std::string& link_prefix() const { return prefix_; }
  [[nodiscard]] const std::string& table() const { return table_; }

 private:
  struct Link {
    std::uint32_t number = 0;
    std::string name;
    std::vector<Cidr> allowed;
  };

  LinkPool(Netlink netlink, Nftables nftables, UniqueFd home);
  Result<void> set_up(const std::string& table_suffix);
  Result<void> make_link(int netns_fd, const Link& link);
  Result<void> address_outside(const Link& link);
  Result<void> address_inside(int netns_fd, const Link& link);
  Result<Link> take(int netns_fd, const std::vector<Cidr>& allowed);
  void remove_link(const std::string& name);
  [[nodiscard]] std::uint32_t host_address(const Link& link) const { return range_.address + 2 * link.number; }

  Netlink netlink_;
  Nftables nftables_;
  UniqueFd home_;  // the host's network namespace
  std::string table_;
  std::string prefix_;       // "mfy" and a digest of the suffix: link names have 15 characters at most
  std::uint32_t group_ = 0;  // of the links, to delete them in one step
  Cidr range_;
  std::vector<std::uint32_t> resolvers_;
  bool restore_forwarding_ = false;
  bool active_ = false;
  bool ipv6_ = false;  // the kernel has it, so links must be told not to use it
  std::deque<std::uint32_t> free_open_;
  std::deque<std::uint32_t> free_restricted_;
  std::unordered_map<std::string, Link> links_;
};

}  // namespace mayfly::sandbox
