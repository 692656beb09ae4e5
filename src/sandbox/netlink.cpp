#include "sandbox/netlink.h"

#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>
#include <cstring>

namespace mayfly::sandbox {

namespace {

constexpr std::size_t kReceiveBytes = 64 * 1024;  // the kernel fills dumps in pieces of at most 32 KiB
// The kernel answers in the same system call, so a wait this long means that it never will.
constexpr timeval kAnswerWithin{.tv_sec = 5, .tv_usec = 0};

void append_padding(std::string& buffer) { buffer.resize(NLMSG_ALIGN(buffer.size()), '\0'); }

nlmsghdr header_at(const std::string& buffer, std::size_t offset) {
  nlmsghdr header{};
  std::memcpy(&header, buffer.data() + offset, sizeof header);
  return header;
}

// Calls `each` for every message of a datagram; stops where a length does not fit the bytes received.
template <typename Each>
void for_each_message(const std::string& buffer, std::size_t size, Each each) {
  std::size_t offset = 0;
  while (offset + sizeof(nlmsghdr) <= size) {
    const nlmsghdr header = header_at(buffer, offset);
    if (header.nlmsg_len < sizeof(nlmsghdr) || header.nlmsg_len > size - offset) return;
    each(header, std::string_view(buffer).substr(offset + sizeof(nlmsghdr), header.nlmsg_len - sizeof(nlmsghdr)));
    offset += NLMSG_ALIGN(header.nlmsg_len);
  }
}

int error_of(std::string_view payload) {
  int error = 0;
  if (payload.size() >= sizeof error) std::memcpy(&error, payload.data(), sizeof error);
  return -error;
}

}  // namespace

NetlinkRequest::NetlinkRequest(std::uint16_t type, std::uint16_t flags) {
  nlmsghdr header{};
  header.nlmsg_type = type;
  header.nlmsg_flags = static_cast<std::uint16_t>(flags | NLM_F_REQUEST);
  raw(&header, sizeof header);
}

NetlinkRequest& NetlinkRequest::raw(const void* data, std::size_t size) {
  buffer_.append(static_cast<const char*>(data), size);
  append_padding(buffer_);
  return *this;
}

NetlinkRequest& NetlinkRequest::bytes(std::uint16_t type, const void* data, std::size_t size) {
  const rtattr attribute{.rta_len = static_cast<std::uint16_t>(sizeof(rtattr) + size), .rta_type = type};
  raw(&attribute, sizeof attribute);
  return raw(data, size);
}

NetlinkRequest& NetlinkRequest::text(std::uint16_t type, std::string_view value) {
  const std::string terminated(value);
  return bytes(type, terminated.c_str(), terminated.size() + 1);
}

NetlinkRequest& NetlinkRequest::number(std::uint16_t type, std::uint32_t value) {
  return bytes(type, &value, sizeof value);
}

NetlinkRequest& NetlinkRequest::byte(std::uint16_t type, std::uint8_t value) {
  return bytes(type, &value, sizeof value);
}

NetlinkRequest& NetlinkRequest::nested(std::uint16_t type, const std::function<void(NetlinkRequest&)>& body) {
  const std::size_t start = buffer_.size();
  const rtattr placeholder{.rta_len = 0, .rta_type = type};
  raw(&placeholder, sizeof placeholder);
  body(*this);
  const rtattr attribute{.rta_len = static_cast<std::uint16_t>(buffer_.size() - start), .rta_type = type};
  std::memcpy(buffer_.data() + start, &attribute, sizeof attribute);
  return *this;
}

std::string NetlinkRequest::finish(std::uint32_t sequence) const {
  std::string message = buffer_;
  nlmsghdr header = header_at(message, 0);
  header.nlmsg_len = static_cast<std::uint32_t>(message.size());
  header.nlmsg_seq = sequence;
  std::memcpy(message.data(), &header, sizeof header);
  return message;
}

std::string_view NetlinkObject::attribute(std::size_t fixed_size, std::uint16_t wanted) const {
  std::size_t offset = NLMSG_ALIGN(fixed_size);
  while (offset + sizeof(rtattr) <= payload.size()) {
    rtattr attribute{};
    std::memcpy(&attribute, payload.data() + offset, sizeof attribute);
    if (attribute.rta_len < sizeof(rtattr) || attribute.rta_len > payload.size() - offset) return {};
    if ((attribute.rta_type & NLA_TYPE_MASK) == wanted) {
      return payload.substr(offset + sizeof(rtattr), attribute.rta_len - sizeof(rtattr));
    }
    offset += RTA_ALIGN(attribute.rta_len);
  }
  return {};
}

Result<Netlink> Netlink::open() {
  UniqueFd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!socket) return fail_errno("open a netlink socket");
  if (::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &kAnswerWithin, sizeof kAnswerWithin) != 0) {
    return fail_errno("bound the wait of a netlink socket");
  }
  return Netlink(std::move(socket));
}

Result<std::size_t> Netlink::receive(std::string& buffer) {
  buffer.resize(kReceiveBytes);
  for (;;) {
    const ssize_t got = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
    if (got >= 0) return static_cast<std::size_t>(got);
    if (errno != EINTR) return fail_errno("read the kernel's netlink answer");
  }
}

Result<void> Netlink::execute(const std::vector<NetlinkRequest>& requests, std::string_view what) {
  std::string batch;
  const std::uint32_t first = sequence_ + 1;
  for (const NetlinkRequest& request : requests) {
    batch += request.finish(++sequence_);
    append_padding(batch);
  }
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  // SAFETY: sockaddr_nl is a sockaddr by the socket interface's own convention.
  const ssize_t sent =
      ::sendto(socket_.get(), batch.data(), batch.size(), 0, reinterpret_cast<const sockaddr*>(&kernel), sizeof kernel);
  if (sent < 0) return fail_errno(what);

  int failure = 0;
  std::size_t answers = 0;
  std::string buffer;
  while (answers < requests.size()) {
    auto size = receive(buffer);
    if (!size) return std::unexpected(size.error());
    for_each_message(buffer, *size, [&](const nlmsghdr& header, std::string_view payload) {
      // An answer to an earlier batch that was given up on is not an answer to this one.
      if (header.nlmsg_type != NLMSG_ERROR || header.nlmsg_seq - first >= requests.size()) return;
      ++answers;
      if (failure == 0) failure = error_of(payload);
    });
  }
  if (failure != 0) return std::unexpected(errno_error(failure, what));
  return {};
}

Result<void> Netlink::dump(const NetlinkRequest& request, const std::function<void(const NetlinkObject&)>& each) {
  const std::string message = request.finish(++sequence_);
  if (::send(socket_.get(), message.data(), message.size(), 0) < 0) return fail_errno("ask the kernel for its links");
  bool done = false;
  int failure = 0;
  std::string buffer;
  while (!done) {
    auto size = receive(buffer);
    if (!size) return std::unexpected(size.error());
    for_each_message(buffer, *size, [&](const nlmsghdr& header, std::string_view payload) {
      if (header.nlmsg_seq != sequence_ || done) return;
      if (header.nlmsg_type == NLMSG_DONE || header.nlmsg_type == NLMSG_ERROR) {
        done = true;
        failure = error_of(payload);
      } else {
        each(NetlinkObject{.type = header.nlmsg_type, .payload = payload});
      }
    });
  }
  if (failure != 0) return std::unexpected(errno_error(failure, "list the kernel's links"));
  return {};
}

}  // namespace mayfly::sandbox
