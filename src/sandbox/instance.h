// One instance from clone to exit: the numbered steps of docs/sandbox.md. Used only in the launcher process.
#pragma once

#include <linux/filter.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "sandbox/root_tree.h"
#include "sandbox/spec.h"

namespace mayfly::sandbox {

// Names as on Lambda; outside, each running instance has a host user of its own.
inline constexpr unsigned kInsideUser = 993;
inline constexpr unsigned kInsideGroup = 990;

struct InstancePlan {
  const SandboxSpec* spec = nullptr;
  RootMounts mounts;
  const std::vector<sock_filter>* seccomp = nullptr;
  unsigned host_user = 0;  // what kInsideUser is on the host
  unsigned host_group = 0;
  bool clear_groups = true;  // false where the machine forbids it (an ordinary user's launcher)
  bool mask_proc = true;
  UniqueFd cgroup;  // to be cloned into; empty on version 1
  // Control groups of version 1 and the virtual link: called once the process exists and before anything of it runs.
  std::function<Result<void>(int pid, int netns_fd)> prepare;
};

struct Instance {
  int pid = -1;  // of its init, as the launcher sees it
  UniqueFd pidfd;
  UniqueFd status;  // the init writes the program's wait status here before it ends
  Started started;
};

// Returns when the program has been executed, or with the step that failed; then nothing of the instance is left.
Result<Instance> start_instance(InstancePlan plan);

}  // namespace mayfly::sandbox
