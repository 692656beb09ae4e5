#include "sandbox/launcher_protocol.h"

#include <fmt/core.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <limits>

namespace mayfly::sandbox {
namespace {

constexpr std::size_t kMaxFds = 3;
constexpr std::size_t kMaxPath = 4000;

bool no_nul(std::string_view text) { return text.find('\0') == std::string_view::npos; }

std::unexpected<Error> wrong(const std::string& what) {
  return fail(ErrorCode::kInvalid, "an impossible sandbox specification: " + what);
}

// A list of strings at `key`, which each pass `check`.
template <typename Check>
Result<std::vector<std::string>> strings(const json::value& object, std::string_view key, std::size_t most,
                                         Check check) {
  const json::value* list = find(object, key);
  if (list == nullptr || !list->is_array() || list->get_array().size() > most) return wrong(std::string(key));
  std::vector<std::string> values;
  for (const auto& entry : list->get_array()) {
    if (!entry.is_string()) return wrong(std::string(key));
    std::string text(entry.get_string().data(), entry.get_string().size());
    if (!check(text)) return wrong(fmt::format("{} holds \"{}\"", key, text.substr(0, 200)));
    values.push_back(std::move(text));
  }
  return values;
}

// A variable's text may hold a secret, so it is not shown.
Result<Variables> variables(const json::value& object, std::string_view key) {
  const json::value* list = find(object, key);
  if (list == nullptr || !list->is_array() || list->get_array().size() > kMaxVariables) return wrong(std::string(key));
  Variables all;
  for (const auto& entry : list->get_array()) {
    if (!entry.is_string()) return wrong(std::string(key));
    const std::string text(entry.get_string().data(), entry.get_string().size());
    const auto equal = text.find('=');
    if (equal == 0 || equal == std::string::npos || !no_nul(text)) return wrong(fmt::format("a name in {}", key));
    all.emplace_back(text.substr(0, equal), text.substr(equal + 1));
  }
  return all;
}

template <typename Number>
Result<void> number(const json::value& object, std::string_view key, std::uint64_t least, std::uint64_t most,
                    Number& into) {
  const std::int64_t value = get_int(object, key, -1);
  if (value < 0 || static_cast<std::uint64_t>(value) < least || static_cast<std::uint64_t>(value) > most) {
    return wrong(fmt::format("{} is {}", key, value));
  }
  into = static_cast<Number>(value);
  return {};
}

// The host's own state is never a source, even where its modes would let an unprivileged user read it.
bool is_allowed_source(const std::string& path) {
  constexpr std::array<std::string_view, 9> kNever = {"/proc",    "/sys", "/dev",  "/run", "/boot",
                                                      "/var/run", "/etc", "/root", "/home"};
  constexpr std::array<std::string_view, 6> kNeverBelow = {"/proc/", "/sys/", "/dev/", "/run/", "/boot/", "/var/run/"};
  if (std::ranges::find(kNever, path) != kNever.end()) return false;
  return std::ranges::none_of(kNeverBelow, [&](std::string_view prefix) { return path.starts_with(prefix); });
}

bool is_allowed_target(const std::string& path) {
  constexpr std::array<std::string_view, 5> kOurs = {"/proc", "/dev", "/tmp", "/sys", "/.old"};
  return is_plain_path(path) && std::ranges::none_of(kOurs, [&](std::string_view ours) {
           return path == ours || path.starts_with(std::string(ours) + "/");
         });
}

}  // namespace

Result<void> send_packet(int socket, std::string_view text, const std::vector<int>& fds) {
  if (text.size() > kMaxMessageBytes) return fail(ErrorCode::kTooLarge, "the message to the launcher is too large");
  // sendmsg does not write through the pointer.
  iovec part{.iov_base = const_cast<char*>(text.data()), .iov_len = text.size()};  // NOLINT
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kMaxFds)> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!fds.empty()) {
    MAYFLY_ASSERT(fds.size() <= kMaxFds);
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(sizeof(int) * fds.size());
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
    std::memcpy(CMSG_DATA(header), fds.data(), sizeof(int) * fds.size());
  }
  for (;;) {
    if (::sendmsg(socket, &message, MSG_NOSIGNAL) >= 0) return {};
    if (errno == EINTR) continue;
    if (errno == EAGAIN) return fail(ErrorCode::kThrottled, "the launcher's socket is full");
    return fail_errno("send to the launcher");
  }
}

Result<Packet> receive_packet(int socket, bool wait, std::size_t most) {
  Packet packet;
  packet.text.resize(most);
  iovec part{.iov_base = packet.text.data(), .iov_len = packet.text.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kMaxFds)> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t got = 0;
  do {
    got = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC | (wait ? 0 : MSG_DONTWAIT));
  } while (got < 0 && errno == EINTR);
  if (got < 0 && errno == EAGAIN) return fail(ErrorCode::kThrottled, "nothing is there");
  if (got < 0) return fail_errno("receive from the launcher's socket");
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof fd);
      packet.fds.emplace_back(fd);
    }
  }
  if (got == 0) return fail(ErrorCode::kClosed, "the launcher's socket is closed");
  if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) return fail(ErrorCode::kInvalid, "a message is too large");
  packet.text.resize(static_cast<std::size_t>(got));
  return packet;
}

bool is_sandbox_id(std::string_view text) {
  return !text.empty() && text.size() <= 64 &&
         std::ranges::all_of(text, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; });
}

bool is_plain_path(std::string_view path) {
  if (path.size() < 2 || path.size() > kMaxPath || path.front() != '/' || !no_nul(path)) return false;
  std::size_t at = 1;
  while (at <= path.size()) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    const std::string_view part = path.substr(at, end - at);
    if (part.empty() || part == "." || part == "..") return false;
    at = end + 1;
  }
  return true;
}

json::object spec_to_json(const SandboxSpec& spec) {
  const auto list = [](const std::vector<std::string>& texts) { return json::array(texts.begin(), texts.end()); };
  json::object out;
  out["id"] = spec.id.str();
  json::array mounts;
  for (const auto& mount : spec.mounts) mounts.push_back(json::array{mount.source, mount.target});
  out["mounts"] = std::move(mounts);
  out["layers"] = list(spec.opt_layers);
  out["argv"] = list(spec.argv);
  const auto variables = [](const Variables& all) {
    json::array texts;
    for (const auto& [name, value] : all) texts.push_back(json::value(name + "=" + value));
    return texts;
  };
  out["environment"] = variables(spec.environment);
  out["directory"] = spec.working_directory;
  out["port"] = std::int64_t{spec.runtime_api_port};
  out["memory"] = static_cast<std::int64_t>(spec.limits.memory_bytes);
  out["cpu"] = std::int64_t{spec.limits.cpu_milli};
  out["start_cpu"] = std::int64_t{spec.limits.start_cpu_milli};
  out["pids"] = std::int64_t{spec.limits.pids};
  out["files"] = std::int64_t{spec.limits.open_files};
  out["tmp"] = static_cast<std::int64_t>(spec.limits.tmp_bytes);
  out["network"] = static_cast<int>(spec.network);
  out["networks"] = list(spec.allowed_networks);
  out["ahead"] = static_cast<int>(spec.ahead);
  out["runtime"] = variables(spec.runtime_environment);
  return out;
}

Result<SandboxSpec> spec_from_json(const json::value& value) {
  SandboxSpec spec;
  if (!is_sandbox_id(get_string(value, "id"))) return wrong("id");
  spec.id = SandboxId(std::string(get_string(value, "id")));
  const json::value* mounts = find(value, "mounts");
  if (mounts == nullptr || !mounts->is_array() || mounts->get_array().size() > kMaxMounts) return wrong("mounts");
  for (const auto& entry : mounts->get_array()) {
    if (!entry.is_array() || entry.get_array().size() != 2 || !entry.get_array()[0].is_string() ||
        !entry.get_array()[1].is_string()) {
      return wrong("mounts");
    }
    const auto& pair = entry.get_array();
    Mount mount{.source = {pair[0].get_string().data(), pair[0].get_string().size()},
                .target = {pair[1].get_string().data(), pair[1].get_string().size()}};
    if (!is_plain_path(mount.source) || !is_allowed_source(mount.source)) {
      return wrong(fmt::format("{} may not be mounted", mount.source));
    }
    if (!is_allowed_target(mount.target)) return wrong(fmt::format("nothing may be mounted at {}", mount.target));
    spec.mounts.push_back(std::move(mount));
  }
  const auto source = [](const std::string& path) {
    // The last three separate what overlayfs is told.
    return is_plain_path(path) && is_allowed_source(path) && path.find_first_of(":,\\") == std::string::npos;
  };
  auto layers = strings(value, "layers", kMaxLayers, source);
  if (!layers) return std::unexpected(layers.error());
  auto argv = strings(value, "argv", kMaxArguments, no_nul);
  if (!argv) return std::unexpected(argv.error());
  auto environment = variables(value, "environment");
  if (!environment) return std::unexpected(environment.error());
  auto runtime_environment = variables(value, "runtime");
  if (!runtime_environment) return std::unexpected(runtime_environment.error());
  auto networks = strings(value, "networks", kMaxNetworks, [](const std::string& text) {
    return text.size() < 64 && text.find_first_not_of("0123456789abcdefABCDEF.:/") == std::string::npos;
  });
  if (!networks) return std::unexpected(networks.error());
  spec.opt_layers = std::move(*layers);
  spec.argv = std::move(*argv);
  spec.allowed_networks = std::move(*networks);
  spec.environment = std::move(*environment);
  spec.runtime_environment = std::move(*runtime_environment);
  if (spec.argv.empty() || !is_plain_path(spec.argv[0])) return wrong("argv begins with no absolute path");
  spec.working_directory = get_string(value, "directory");
  if (spec.working_directory != "/" && !is_plain_path(spec.working_directory)) return wrong("working directory");
  constexpr std::uint64_t kTebibyte = 1ULL << 40;
  int network = 0;
  int ahead = 0;
  for (auto done : {number(value, "port", 1, 65535, spec.runtime_api_port),
                    number(value, "memory", 4ULL << 20, kTebibyte, spec.limits.memory_bytes),
                    number(value, "cpu", 1, 1'000'000, spec.limits.cpu_milli),
                    number(value, "start_cpu", 0, 1'000'000, spec.limits.start_cpu_milli),
                    number(value, "pids", 1, 1'000'000, spec.limits.pids),
                    number(value, "files", 16, 1'000'000, spec.limits.open_files),
                    number(value, "tmp", 1ULL << 16, kTebibyte, spec.limits.tmp_bytes),
                    number(value, "network", 0, 2, network), number(value, "ahead", 0, 2, ahead)}) {
    if (!done) return std::unexpected(done.error());
  }
  spec.network = static_cast<NetworkMode>(network);
  spec.ahead = static_cast<Ahead>(ahead);
  return spec;
}

}  // namespace mayfly::sandbox
