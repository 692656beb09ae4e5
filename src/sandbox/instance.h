// The launcher's side of one sandbox, from clone to program: the numbered steps of docs/sandbox.md. Used only in the
// launcher process.
//
// Operation.   begin_sandbox() makes the process, which builds itself (sandbox_child.h); assign() gives it to a
// function,
//              at once or after it has waited as a ready one; next_step() reads how far it is. None of them waits.
// Concurrency. The launcher's one thread.
// Limits.      One assignment for each sandbox: it is never handed from one function to another.
#pragma once

#include <linux/filter.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "sandbox/root_tree.h"
#include "sandbox/sandbox_child.h"
#include "sandbox/spec.h"

namespace mayfly::sandbox {

// What is the same for every function that could get the sandbox.
struct SandboxPlan {
  UniqueFd root;
  const std::vector<sock_filter>* seccomp = nullptr;
  unsigned host_user = 0;  // what kInsideUser is on the host
  unsigned host_group = 0;
  bool clear_groups = true;  // false where the machine forbids it (an ordinary user's launcher)
  bool mask_proc = true;
  std::uint16_t runtime_api_port = 0;
  std::uint32_t pids = 0;
  std::uint32_t open_files = 0;
  UniqueFd cgroup;                // to be cloned into; empty on version 1
  std::vector<UniqueFd> to_join;  // of version 1
  // A runtime to start ahead; empty where the program is executed when it is assigned.
  std::vector<std::string> runtime_arguments;
  std::vector<std::pair<std::string, std::string>> runtime_variables;
  // The virtual link: called once the process exists and before anything of it runs.
  std::function<Result<void>(int netns_fd)> connect;
};

struct Sandbox {
  int pid = -1;  // of its init, as the launcher sees it
  UniqueFd pidfd;
  UniqueFd status;  // the init writes the program's wait status here before it ends
  UniqueFd setup;   // reports and assignment; closed when the program runs
  UniqueFd runtime_api;
  UniqueFd secrets;
  UniqueFd output;
  bool runtime_ahead = false;
  bool attached = false;
  std::string program;  // named in an error
};

// On failure nothing of it is left.
Result<Sandbox> begin_sandbox(SandboxPlan plan);

// Whose it is: the code's mounts, argv and environment, or the runtime's message, and the sizes of the temporary
// folders.
Result<void> assign(Sandbox& sandbox, const SandboxSpec& spec, CodeMounts code);

// By its descriptor and not its number, which may be another process's by now.
void kill_sandbox(const Sandbox& sandbox);

enum class Progress : std::uint8_t { kNone, kOnItsWay, kReady, kAttached, kRunning };
// Reads one report; kNone where none is there. An error is the step that failed.
struct StepError {
  Error error;
  int step = 0;  // 0: the process ended without a word
};
std::expected<Progress, StepError> next_step(Sandbox& sandbox);

}  // namespace mayfly::sandbox
