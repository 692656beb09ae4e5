// The launcher as the daemon sees it. The launcher itself is a single-threaded process forked before any thread exists;
// see docs/sandbox.md for its numbered steps.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/async.h"
#include "base/error.h"
#include "sandbox/network_policy.h"
#include "sandbox/spec.h"

namespace mayfly::sandbox {

struct LauncherSettings {
  std::string state_directory;          // for mount points and staging; made 0700
  bool allow_degraded = false;          // run although the machine cannot give a limit or a namespace
  NetworkPolicy network;                // the most any instance may have
  std::uint64_t ready_memory_mb = 256;  // of all ready sandboxes together; 0: none is made ahead
};

// Made in main() before any thread exists. Forks the launcher, which makes its cgroups and mounts the prepared roots.
// The child never returns from here.
struct LauncherProcess {
  UniqueFd socket;
  int pid = -1;
  std::string capabilities_json;  // what this machine gives, as `doctor` shows it (see capabilities.h)
};
Result<LauncherProcess> fork_launcher(const LauncherSettings& settings);

class Launcher {
 public:
  virtual ~Launcher() = default;
  // From any reactor. kUnsupported names what the machine lacks; kInvalid an impossible specification.
  virtual Awaitable<Result<Started>> start(SandboxSpec spec) = 0;
  // A start like this one is likely: where its kind may be made ahead, one is kept ready. Only its common part counts.
  virtual void expect(SandboxSpec spec) = 0;
  // Kills everything in the sandbox; its exit is reported through on_exit. Idempotent.
  virtual void kill(SandboxId id) = 0;
  // Ends what Limits::start_cpu_milli gave: from now on `cpu_milli` holds.
  virtual void limit_cpu(SandboxId id, std::uint32_t cpu_milli) = 0;
  virtual Awaitable<Result<std::uint64_t>> peak_memory_bytes(SandboxId id) = 0;
  // Called on the launcher's reactor for each sandbox that has ended, once, after its processes are gone.
  virtual void on_exit(std::function<void(const Exited&)> callback) = 0;
  // Kills every sandbox, removes every mount, link and cgroup, and waits for the launcher's exit.
  virtual Awaitable<void> shutdown() = 0;
};

// Talks to a forked launcher over its socket, on one reactor. An unexpected end of the launcher calls on_exit for every
// sandbox and makes start() fail with kClosed.
std::unique_ptr<Launcher> connect_launcher(Reactor& reactor, LauncherProcess process);

}  // namespace mayfly::sandbox
