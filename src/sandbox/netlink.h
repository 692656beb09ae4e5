// A small writer of rtnetlink requests: what network_link.cpp needs to make and remove virtual links, and no more.
// Used only in the launcher process, which is single threaded; every call blocks for the kernel's own work (well under
// a millisecond), never for a peer.
#pragma once

#include <linux/netlink.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/fd.h"

namespace mayfly::sandbox {

// One request under construction: header, fixed part, attributes, nested attributes.
class NetlinkRequest {
 public:
  NetlinkRequest(std::uint16_t type, std::uint16_t flags);

  template <typename Fixed>
  NetlinkRequest& fixed(const Fixed& part) {
    return raw(&part, sizeof part);
  }
  NetlinkRequest& text(std::uint16_t type, std::string_view value);  // with its terminating NUL
  NetlinkRequest& number(std::uint16_t type, std::uint32_t value);
  NetlinkRequest& byte(std::uint16_t type, std::uint8_t value);
  NetlinkRequest& bytes(std::uint16_t type, const void* data, std::size_t size);
  // Everything `body` adds becomes the content of one attribute of this type.
  NetlinkRequest& nested(std::uint16_t type, const std::function<void(NetlinkRequest&)>& body);

  // Whole message with its length and sequence number filled in.
  [[nodiscard]] std::string finish(std::uint32_t sequence) const;

 private:
  NetlinkRequest& raw(const void* data, std::size_t size);
  std::string buffer_;
};

// One object of a dump: its fixed part and its top-level attributes.
struct NetlinkObject {
  std::uint16_t type = 0;
  std::string_view payload;  // valid during the callback only
  // The attribute's content, empty where it is absent. `fixed_size` is the size of the fixed part before attributes.
  [[nodiscard]] std::string_view attribute(std::size_t fixed_size, std::uint16_t type) const;
};

class Netlink {
 public:
  // A socket of the network namespace in which the calling thread is at this moment; it stays there.
  static Result<Netlink> open();

  // Sends the requests in order, in one system call, and waits for the kernel's answer to each. The first failure is
  // returned; the kernel carries out the ones after it nevertheless. kExists and kNotFound are told apart.
  Result<void> execute(const std::vector<NetlinkRequest>& requests, std::string_view what);
  Result<void> dump(const NetlinkRequest& request, const std::function<void(const NetlinkObject&)>& each);

 private:
  explicit Netlink(UniqueFd socket) : socket_(std::move(socket)) {}
  Result<std::size_t> receive(std::string& buffer);

  UniqueFd socket_;
  std::uint32_t sequence_ = 0;
};

}  // namespace mayfly::sandbox
