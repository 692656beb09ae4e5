#include "sandbox/instance.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/json.h"
#include "sandbox/launcher_protocol.h"

namespace mayfly::sandbox {
namespace {

constexpr std::uint64_t kMaxSharedMemory = 64ULL << 20;

Result<void> write_file(const std::string& path, const std::string& text) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd || ::write(fd.get(), text.data(), text.size()) < 0) return fail_errno("step 3, write " + path);
  return {};
}

// Kills and reaps a process that has not run anything yet.
void discard(int pid) {
  ::kill(pid, SIGKILL);
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
}

struct Ways {
  UniqueFd setup_there;
  UniqueFd output_there;
  UniqueFd status_there;
  UniqueFd control_init;
  UniqueFd control_runtime;
};

// Step 1: the ways between the launcher and the sandbox.
Result<Ways> make_ways(Sandbox& sandbox, ChildPlan& child) {
  Ways ways;
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return fail_errno("step 1, a socket pair");
  sandbox.setup.reset(ends[0]);
  ways.setup_there.reset(ends[1]);
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno("step 1, the output's pipe");
  sandbox.output.reset(ends[0]);
  ways.output_there.reset(ends[1]);
  if (::fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0) return fail_errno("step 1, the output's pipe");
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return fail_errno("step 1, the status pipe");
  sandbox.status.reset(ends[0]);
  ways.status_there.reset(ends[1]);
  if (sandbox.runtime_ahead) {
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return fail_errno("step 1, a socket pair");
    ways.control_init.reset(ends[0]);
    ways.control_runtime.reset(ends[1]);
    child.control = ends[0];
    child.control_runtime = ends[1];
  }
  child.setup = ways.setup_there.get();
  child.output = ways.output_there.get();
  child.status = ways.status_there.get();
  return ways;
}

// execve does not write through these.
std::vector<char*> pointers(const std::vector<std::string>& words) {
  std::vector<char*> list;
  list.reserve(words.size() + 1);
  for (const auto& word : words) list.push_back(const_cast<char*>(word.c_str()));  // NOLINT
  list.push_back(nullptr);
  return list;
}

std::vector<std::string> joined(const std::vector<std::pair<std::string, std::string>>& variables) {
  std::vector<std::string> texts;
  texts.reserve(variables.size());
  for (const auto& [name, value] : variables) texts.push_back(name + "=" + value);
  return texts;
}

// What a runtime that was started ahead is told.
std::string go_text(const SandboxSpec& spec) {
  json::object variables;
  for (const auto& [name, value] : spec.environment) variables[name] = value;
  const json::object message{{"directory", spec.working_directory}, {"environment", std::move(variables)}};
  return to_json(message);
}

void write_options(std::array<char, 96>& into, const std::string& text) {
  MAYFLY_ASSERT(text.size() < into.size());
  std::memcpy(into.data(), text.data(), text.size());
}

AssignmentHeader header_for(const SandboxSpec& spec, const CodeMounts& code) {
  AssignmentHeader header;
  header.has_task = code.task ? 1 : 0;
  header.has_opt = code.opt ? 1 : 0;
  header.hide_opt = code.hide_opt ? 1 : 0;
  // One inode for each 2 KiB lets small files fill the space, and bounds the kernel's memory for empty ones.
  write_options(header.tmp_options, fmt::format("mode=1777,size={},nr_inodes={}", spec.limits.tmp_bytes,
                                                std::max<std::uint64_t>(1024, spec.limits.tmp_bytes / 2048)));
  write_options(header.shm_options, fmt::format("mode=1777,size={},nr_inodes=1024",
                                                std::min(kMaxSharedMemory, spec.limits.memory_bytes / 2)));
  return header;
}

}  // namespace

Result<Sandbox> begin_sandbox(SandboxPlan plan) {
  Sandbox sandbox;
  sandbox.runtime_ahead = !plan.runtime_arguments.empty();
  const std::vector<std::string> variables = joined(plan.runtime_variables);
  ChildPlan child;
  child.runtime_arguments = pointers(plan.runtime_arguments);
  child.runtime_variables = pointers(variables);
  child.port = plan.runtime_api_port;
  child.secrets_port = kSecretsPort;
  child.open_files = plan.open_files;
  child.processes = plan.pids + 1;
  child.clear_groups = plan.clear_groups;
  child.mask_proc = plan.mask_proc;
  child.root = plan.root.get();
  for (const auto& group : plan.to_join) child.join.push_back(group.get());
  // The kernel's interface takes a pointer to non-const and only reads.
  child.seccomp = {.len = static_cast<unsigned short>(plan.seccomp->size()),
                   .filter = const_cast<sock_filter*>(plan.seccomp->data())};  // NOLINT
  auto ways = make_ways(sandbox, child);
  if (!ways) return std::unexpected(ways.error());

  // Step 2: the process, in all its namespaces and, on version 2, in its control group from its first instruction.
  int pidfd = -1;
  clone_args arguments{};
  arguments.flags =
      CLONE_PIDFD | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET;
  arguments.pidfd = reinterpret_cast<std::uintptr_t>(&pidfd);
  arguments.exit_signal = SIGCHLD;
  if (plan.cgroup) {
    arguments.flags |= CLONE_INTO_CGROUP;
    arguments.cgroup = static_cast<std::uint64_t>(plan.cgroup.get());
  }
  // SAFETY: without CLONE_VM the child has its own copy of everything, and the launcher has one thread, so no lock can
  // be held in the copy.
  sandbox.pid = static_cast<int>(::syscall(SYS_clone3, &arguments, sizeof arguments));
  if (sandbox.pid < 0) return fail_errno("step 2, clone a process with namespaces");
  if (sandbox.pid == 0) run_child(child);
  sandbox.pidfd.reset(pidfd);

  const auto come_up = [&]() -> Result<void> {
    // Step 3: who it is on the host, and what connects it.
    const std::string proc = fmt::format("/proc/{}/", sandbox.pid);
    if (auto done = write_file(proc + "uid_map", fmt::format("{} {} 1", kInsideUser, plan.host_user)); !done)
      return done;
    if (auto done = write_file(proc + "gid_map", fmt::format("{} {} 1", kInsideGroup, plan.host_group)); !done)
      return done;
    // When the host itself runs out of memory, instances go before the server. Not having it is no error.
    (void)write_file(proc + "oom_score_adj", "300");
    if (plan.connect) {
      const UniqueFd netns(::open((proc + "ns/net").c_str(), O_RDONLY | O_CLOEXEC));
      if (!netns) return fail_errno("step 3, open the network namespace");
      if (auto done = plan.connect(netns.get()); !done) return done;
    }
    if (::send(sandbox.setup.get(), "g", 1, MSG_NOSIGNAL) != 1) return fail_errno("step 3, let the process go on");
    return {};
  };
  if (auto up = come_up(); !up) {
    // A step of its own that failed is the better reason.
    auto reported = next_step(sandbox);
    discard(sandbox.pid);
    if (!reported && reported.error().step > 0) return std::unexpected(std::move(reported.error().error));
    return std::unexpected(up.error());
  }
  return sandbox;
}

Result<void> assign(Sandbox& sandbox, const SandboxSpec& spec, CodeMounts code) {
  AssignmentHeader header = header_for(spec, code);
  std::string words = spec.working_directory + '\0';
  std::string go;
  if (sandbox.runtime_ahead) {
    go = go_text(spec);
    header.go_bytes = static_cast<std::uint32_t>(go.size());
  } else {
    header.arguments = static_cast<std::uint32_t>(spec.argv.size());
    header.variables = static_cast<std::uint32_t>(spec.environment.size());
    for (const auto& word : spec.argv) words += word + '\0';
    for (const auto& [name, value] : spec.environment) words += name + '=' + value + '\0';
  }
  std::string packet(sizeof header, '\0');
  std::memcpy(packet.data(), &header, sizeof header);
  packet += words;
  packet += go;
  std::vector<int> fds;
  if (code.task) fds.push_back(code.task.get());
  if (code.opt) fds.push_back(code.opt.get());
  sandbox.program = spec.argv[0];
  auto sent = send_packet(sandbox.setup.get(), packet, fds);
  for (std::string* text : {&words, &go, &packet}) explicit_bzero(text->data(), text->size());
  return sent;
}

void kill_sandbox(const Sandbox& sandbox) {
  // Refused only where it has ended already.
  (void)::syscall(SYS_pidfd_send_signal, sandbox.pidfd.get(), SIGKILL, nullptr, 0);
}

std::expected<Progress, StepError> next_step(Sandbox& sandbox) {
  auto packet = receive_packet(sandbox.setup.get(), false, sizeof(StepReport));
  if (!packet && packet.error().code == ErrorCode::kThrottled) return Progress::kNone;
  if (!packet && packet.error().code == ErrorCode::kClosed) {
    // Closed by the successful exec and by the init, both of which come after the last report.
    if (sandbox.attached && sandbox.runtime_api) return Progress::kRunning;
    Error died{.code = ErrorCode::kIo, .message = "the sandbox's first process died while it was set up", .hint = {}};
    return std::unexpected(StepError{.error = std::move(died), .step = 0});
  }
  if (!packet) return std::unexpected(StepError{.error = packet.error(), .step = 0});
  StepReport report{};
  std::memcpy(&report, packet->text.data(), std::min(sizeof report, packet->text.size()));
  switch (static_cast<Step>(report.step)) {
    case Step::kListening:
      if (packet->fds.size() == 2) {
        sandbox.runtime_api = std::move(packet->fds[0]);
        sandbox.secrets = std::move(packet->fds[1]);
      }
      return Progress::kOnItsWay;
    case Step::kReady:
      return Progress::kReady;
    case Step::kAttached:
      sandbox.attached = true;
      return Progress::kAttached;
    default:
      break;
  }
  std::string what = fmt::format("step {}, {}", report.step, step_text(report.step));
  if (report.step == static_cast<int>(Step::kProgram)) what += " " + sandbox.program;
  return std::unexpected(StepError{.error = errno_error(report.error, what), .step = report.step});
}

}  // namespace mayfly::sandbox
