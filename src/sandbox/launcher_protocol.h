// Messages between the daemon and the launcher: one JSON text for each packet of a SOCK_SEQPACKET pair, descriptors
// beside it. The launcher reads what the daemon sends as hostile: the daemon parses the network's input, and must not
// become root by what it asks of the launcher.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "base/json.h"
#include "sandbox/spec.h"

namespace mayfly::sandbox {

inline constexpr std::size_t kMaxMessageBytes = 128 * 1024;
inline constexpr std::size_t kMaxMounts = 64;
inline constexpr std::size_t kMaxLayers = 16;
inline constexpr std::size_t kMaxArguments = 256;
inline constexpr std::size_t kMaxVariables = 512;
inline constexpr std::size_t kMaxNetworks = 64;

struct Packet {
  std::string text;
  std::vector<UniqueFd> fds;
};

// kThrottled where the socket is full (it is non-blocking or its send timeout passed), kClosed where the peer is gone.
Result<void> send_packet(int socket, std::string_view text, const std::vector<int>& fds);
// kThrottled where nothing is there; kClosed at the end; kInvalid for one that is too large.
Result<Packet> receive_packet(int socket, bool wait, std::size_t most = kMaxMessageBytes);

json::object spec_to_json(const SandboxSpec& spec);
// Every bound and form is checked; kInvalid names the first that is wrong.
Result<SandboxSpec> spec_from_json(const json::value& value);

bool is_sandbox_id(std::string_view text);
// Absolute, without "", ".", ".." components or NUL; "/" itself is none.
bool is_plain_path(std::string_view path);

}  // namespace mayfly::sandbox
