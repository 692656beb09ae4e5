// What an instance is made of, and what the launcher answers. Values that travel between the daemon and the launcher.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "base/ids.h"

namespace mayfly::sandbox {

using SandboxId = Id<struct SandboxIdTag>;  // [a-z0-9-]{1,64}

struct Mount {
  std::string source;  // absolute path on the host
  std::string target;  // absolute path inside
};  // always read-only, nosuid, nodev

enum class NetworkMode : std::uint8_t {
  kLoopback,  // only the Runtime API on 127.0.0.1
  kOutbound,  // a virtual link with NAT; host, neighbours, link-local and metadata addresses refused
  kAllowList  // as kOutbound, only to `allowed_networks`
};

// Where functions read secrets and parameters: listened on at 127.0.0.1 inside, too.
inline constexpr std::uint16_t kSecretsPort = 2773;

struct Limits {
  std::uint64_t memory_bytes = 128ULL << 20;
  std::uint32_t cpu_milli = 1000;     // thousandths of one CPU
  std::uint32_t start_cpu_milli = 0;  // instead of cpu_milli, where larger, until Launcher::limit_cpu()
  std::uint32_t pids = 1024;
  std::uint32_t open_files = 1024;
  std::uint64_t tmp_bytes = 512ULL << 20;
};

using Variables = std::vector<std::pair<std::string, std::string>>;

// How much of a sandbox may have been made before its function was known.
enum class Ahead : std::uint8_t {
  kNothing,
  kSandbox,  // all but the code; the program is executed when the sandbox is assigned
  kRuntime   // the program too: it runs with `runtime_environment` and waits to be told the rest (docs/runtimes.md)
};

struct SandboxSpec {
  SandboxId id;
  std::vector<Mount>
      mounts;  // runtime folders, code at /var/task, layer folders at /opt (later ones win), /var/runtime
  std::vector<std::string> opt_layers;  // host folders merged read-only at /opt, first is lowest
  std::vector<std::string> argv;
  Variables environment;
  std::string working_directory = "/var/task";
  std::uint16_t runtime_api_port = 9001;  // listened on at 127.0.0.1 inside
  Limits limits;
  NetworkMode network = NetworkMode::kLoopback;
  std::vector<std::string> allowed_networks;  // CIDR
  Ahead ahead = Ahead::kNothing;
  Variables runtime_environment;  // the same for every function of the runtime
};

struct Started {
  UniqueFd runtime_api;                    // listening TCP socket inside the instance's network namespace, non-blocking
  UniqueFd secrets;                        // the same, at kSecretsPort
  UniqueFd output;                         // read end of the instance's standard output and error, non-blocking
  bool ready_made = false;                 // taken from what was made ahead
  std::uint64_t memory_bytes = 0;          // what it took before its function; 0 where that is not known
  std::chrono::microseconds code_time{0};  // of the start: to bring in the code and to give up all privileges
};

struct Exited {
  SandboxId id;
  int status = 0;              // as from waitpid
  bool out_of_memory = false;  // the kernel's OOM killer ended it
  std::uint64_t peak_memory_bytes = 0;
};

}  // namespace mayfly::sandbox
