// What runs in a sandbox's first process, from its clone to its program: the child's steps of docs/sandbox.md. Used
// only in the launcher process.
//
// Operation.   The child builds the sandbox, says that it is ready, and waits for its assignment: whose code, limits
// and
//              environment it gets. Until then it keeps its privileges (inside its own user namespace), and nothing of
//              any function has been in it. Where the plan holds a runtime, the interpreter has been started meanwhile,
//              without privileges, and waits at its control socket.
// Concurrency. One thread. After the clone nothing is allocated.
// Limits.      One assignment, of one packet; after it the sandbox belongs to one function until its end.
#pragma once

#include <linux/filter.h>
#include <sys/resource.h>

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace mayfly::sandbox {

// Names as on Lambda; outside, each running instance has a host user of its own.
inline constexpr unsigned kInsideUser = 993;
inline constexpr unsigned kInsideGroup = 990;

// Numbers and texts as in docs/sandbox.md.
enum class Step : int {
  kReady = -2,     // no failure: built, and its runtime, if any, is loaded
  kAttached = -1,  // no failure: the code is there and all privileges are gone
  kListening = 0,  // no failure: comes with the Runtime API's socket
  kControlGroups = 4,
  kWait,
  kUser,
  kControlGroupNamespace,
  kHostName,
  kLoopback,
  kRuntimeSocket,
  kPrivateMounts,
  kRoot,
  kProc,
  kPivot,
  kLimits,
  kRuntime,
  kAssignment,
  kCode,
  kTemporary,
  kPrivileges,
  kSystemCalls,
  kProgram,
  kHandOver,
};
const char* step_text(int step);

struct StepReport {
  int step = 0;
  int error = 0;
};

// What an assignment begins with; the words follow, each ended by NUL: the folder, the arguments, the variables. `go`
// is the runtime's message, the last `go_bytes` of the packet. Descriptors beside it: the code, then the layers.
struct AssignmentHeader {
  std::uint32_t arguments = 0;
  std::uint32_t variables = 0;
  std::uint32_t go_bytes = 0;
  std::uint8_t has_task = 0;
  std::uint8_t has_opt = 0;
  std::uint8_t hide_opt = 0;  // nothing of the prepared root's /opt is to be seen
  std::array<char, 96> tmp_options{};
  std::array<char, 96> shm_options{};
};
struct ChildPlan {
  // The runtime to start ahead, where there is one: its words, ended by null.
  std::vector<char*> runtime_arguments;
  std::vector<char*> runtime_variables;
  std::uint16_t port = 0;
  std::uint16_t secrets_port = 0;
  rlim_t open_files = 0;
  rlim_t processes = 0;
  bool clear_groups = true;
  bool mask_proc = true;
  int root = -1;
  std::vector<int> join;  // control groups of version 1: opened by the launcher, to which the child adds itself
  int setup = -1;         // socket pair: reports and the listening socket go out, the assignment comes in
  int control = -1;       // socket pair between the first process and the runtime; -1: no runtime
  int control_runtime = -1;
  int output = -1;
  int status = -1;
  sock_fprog seccomp{};
};

[[noreturn]] void run_child(ChildPlan& plan);

}  // namespace mayfly::sandbox
