#include "sandbox/instance.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "sandbox/launcher_protocol.h"

namespace mayfly::sandbox {
namespace {

constexpr int kSetupTimeoutMs = 10'000;
constexpr std::uint64_t kMaxSharedMemory = 64ULL << 20;
constexpr int kHighestSignal = 64;

// The steps inside the new process; numbers and texts as in docs/sandbox.md.
enum class Step : int {
  kWait = 5,
  kUser,
  kControlGroupNamespace,
  kHostName,
  kLoopback,
  kRuntimeSocket,
  kPrivateMounts,
  kRoot,
  kCode,
  kTemporary,
  kProc,
  kPivot,
  kLimits,
  kPrivileges,
  kSystemCalls,
  kProgram,
};

const char* step_text(int step) {
  constexpr std::array<const char*, 16> kTexts = {
      "wait for the launcher",
      "become the instance's user",
      "enter a control group namespace",
      "set the host name",
      "bring the loopback interface up",
      "listen for the Runtime API",
      "make the mounts private",
      "attach the root",
      "attach the code and the layers",
      "mount /tmp and /dev/shm",
      "mount /proc",
      "change into the new root",
      "set the resource limits",
      "give up all privileges",
      "restrict the system calls",
      "execute the program",
  };
  const int index = step - static_cast<int>(Step::kWait);
  return index >= 0 && index < static_cast<int>(kTexts.size()) ? kTexts[static_cast<std::size_t>(index)] : "unknown";
}

struct Report {
  int step = 0;
  int error = 0;
};

// All that the child needs, made before the clone: after it nothing is allocated.
struct ChildPlan {
  std::vector<char*> argv;
  std::vector<char*> environment;
  const char* directory = nullptr;
  std::string tmp_options;
  std::string shm_options;
  std::uint16_t port = 0;
  rlim_t open_files = 0;
  rlim_t processes = 0;
  bool clear_groups = true;
  bool mask_proc = true;
  int root = -1;
  int task = -1;
  int opt = -1;
  int setup = -1;  // socket pair: reports and the listening socket; closed by a successful exec
  int output = -1;
  int status = -1;
  int launcher_ends[3] = {-1, -1, -1};  // the launcher's ends of the three, closed first
  sock_fprog seccomp{};
};

[[noreturn]] void give_up(const ChildPlan& plan, Step step) {
  const Report report{.step = static_cast<int>(step), .error = errno};
  // The launcher sees the end of the socket when this cannot be sent.
  [[maybe_unused]] const ssize_t sent = ::write(plan.setup, &report, sizeof report);
  ::_exit(125);
}

void require(bool good, const ChildPlan& plan, Step step) {
  if (!good) give_up(plan, step);
}

void wait_for_launcher(const ChildPlan& plan) {
  char go = 0;
  require(::read(plan.setup, &go, 1) == 1, plan, Step::kWait);
}

void become_user(const ChildPlan& plan) {
  require(!plan.clear_groups || ::setgroups(0, nullptr) == 0, plan, Step::kUser);
  require(::setresgid(kInsideGroup, kInsideGroup, kInsideGroup) == 0, plan, Step::kUser);
  require(::setresuid(kInsideUser, kInsideUser, kInsideUser) == 0, plan, Step::kUser);
  ::umask(022);
}

void loopback_up(const ChildPlan& plan) {
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  require(fd >= 0, plan, Step::kLoopback);
  ifreq request{};
  std::memcpy(request.ifr_name, "lo", 3);
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  require(::ioctl(fd, SIOCSIFFLAGS, &request) == 0, plan, Step::kLoopback);
  ::close(fd);
}

void listen_for_runtime(const ChildPlan& plan) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  require(fd >= 0, plan, Step::kRuntimeSocket);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(plan.port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  sockaddr generic{};
  static_assert(sizeof generic == sizeof address);
  std::memcpy(&generic, &address, sizeof address);
  require(::bind(fd, &generic, sizeof generic) == 0 && ::listen(fd, 64) == 0, plan, Step::kRuntimeSocket);
  Report none{};
  iovec part{.iov_base = &none, .iov_len = sizeof none};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
  require(::sendmsg(plan.setup, &message, MSG_NOSIGNAL) == sizeof none, plan, Step::kRuntimeSocket);
  ::close(fd);
}

// What tells about the host's kernel and memory and is no business of a function. Each is covered where it exists.
void mask_proc(const ChildPlan& plan) {
  constexpr const char* kFiles[] = {"proc/kcore",     "proc/keys",        "proc/key-users",  "proc/timer_list",
                                    "proc/kallsyms",  "proc/sched_debug", "proc/kmsg",       "proc/sysrq-trigger",
                                    "proc/modules",   "proc/slabinfo",    "proc/iomem",      "proc/vmallocinfo",
                                    "proc/config.gz", "proc/cmdline",     "proc/partitions", "proc/swaps"};
  constexpr const char* kFolders[] = {"proc/acpi", "proc/bus", "proc/fs", "proc/irq", "proc/scsi", "proc/driver"};
  for (const char* file : kFiles) {
    const bool covered = ::mount("dev/null", file, nullptr, MS_BIND, nullptr) == 0;
    require(covered || errno == ENOENT, plan, Step::kProc);
  }
  for (const char* folder : kFolders) {
    const bool covered = ::mount("tmpfs", folder, "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
                                 "size=4k,nr_inodes=1,mode=555") == 0;
    require(covered || errno == ENOENT, plan, Step::kProc);
  }
}

void build_root(const ChildPlan& plan) {
  require(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0, plan, Step::kPrivateMounts);
  // The launcher's working directory is its staging folder, and the clone moved ours into the new mount namespace.
  require(::move_mount(plan.root, "", AT_FDCWD, "root", MOVE_MOUNT_F_EMPTY_PATH) == 0, plan, Step::kRoot);
  require(::fchdir(plan.root) == 0, plan, Step::kRoot);
  if (plan.task >= 0) {
    require(::move_mount(plan.task, "", AT_FDCWD, "var/task", MOVE_MOUNT_F_EMPTY_PATH) == 0, plan, Step::kCode);
  }
  if (plan.opt >= 0) {
    require(::move_mount(plan.opt, "", AT_FDCWD, "opt", MOVE_MOUNT_F_EMPTY_PATH) == 0, plan, Step::kCode);
  }
  require(::mount("tmpfs", "tmp", "tmpfs", MS_NOSUID | MS_NODEV, plan.tmp_options.c_str()) == 0, plan,
          Step::kTemporary);
  require(::mount("tmpfs", "dev/shm", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, plan.shm_options.c_str()) == 0, plan,
          Step::kTemporary);
  // Read-only as a whole: nothing in it is for a function to write, and a kernel setting least of all.
  require(::mount("proc", "proc", "proc", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, "hidepid=invisible") == 0, plan,
          Step::kProc);
  if (plan.mask_proc) mask_proc(plan);
  require(::syscall(SYS_pivot_root, ".", ".") == 0, plan, Step::kPivot);
  require(::umount2(".", MNT_DETACH) == 0 && ::chdir("/") == 0, plan, Step::kPivot);
}

void limit(const ChildPlan& plan, __rlimit_resource resource, rlim_t value) {
  rlimit present{};
  require(::getrlimit(resource, &present) == 0, plan, Step::kLimits);
  // Raising a hard limit needs a capability that even root may lack.
  const rlim_t least = std::min(value, present.rlim_max);
  const rlimit wanted{.rlim_cur = least, .rlim_max = least};
  require(::setrlimit(resource, &wanted) == 0, plan, Step::kLimits);
}

void give_up_privileges(const ChildPlan& plan) {
  require(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, plan, Step::kPrivileges);
  for (int capability = 0; ::prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; ++capability) {
    require(::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0, plan, Step::kPrivileges);
  }
  require(::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) == 0, plan, Step::kPrivileges);
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  std::array<__user_cap_data_struct, 2> none{};
  require(::syscall(SYS_capset, &header, none.data()) == 0, plan, Step::kPrivileges);
  // After the last change of credentials, which would clear both: die with the launcher, and be unreadable.
  require(::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == 0, plan, Step::kPrivileges);
  require(::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0, plan, Step::kPrivileges);
}

[[noreturn]] void run_program(const ChildPlan& plan) {
  ::setsid();
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  require(null >= 0 && ::dup2(null, 0) == 0 && ::dup2(plan.output, 1) == 1 && ::dup2(plan.output, 2) == 2, plan,
          Step::kProgram);
  // The descriptor of the report stays open until exec succeeds, and closes by it; every other one closes too.
  require(::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) == 0, plan, Step::kProgram);
  for (int signal = 1; signal <= kHighestSignal; ++signal) ::signal(signal, SIG_DFL);  // NOLINT: refused for a few
  sigset_t none{};
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  require(::chdir(plan.directory) == 0, plan, Step::kProgram);
  ::execve(plan.argv[0], plan.argv.data(), plan.environment.data());
  give_up(plan, Step::kProgram);
}

// The init of the process namespace: reaps orphans, and ends, and all others with it, when the program ends.
[[noreturn]] void run_init(const ChildPlan& plan, int program) {
  // Nothing but the status pipe stays open, so that readers of the output see its end with the last writer.
  if (plan.status != 3) {
    ::dup2(plan.status, 3);
  }
  ::close_range(4, ~0U, 0);
  ::close(0);
  ::close(1);
  ::close(2);
  for (;;) {
    int status = 0;
    const int pid = ::waitpid(-1, &status, 0);
    if (pid == program || (pid < 0 && errno != EINTR)) {
      [[maybe_unused]] const ssize_t sent = ::write(3, &status, sizeof status);
      ::_exit(0);
    }
  }
}

[[noreturn]] void run_child(const ChildPlan& plan) {
  for (const int fd : plan.launcher_ends) ::close(fd);
  wait_for_launcher(plan);
  become_user(plan);
  require(::unshare(CLONE_NEWCGROUP) == 0, plan, Step::kControlGroupNamespace);
  require(::sethostname("mayfly", 6) == 0, plan, Step::kHostName);
  loopback_up(plan);
  listen_for_runtime(plan);
  build_root(plan);
  limit(plan, RLIMIT_CORE, 0);
  limit(plan, RLIMIT_NOFILE, plan.open_files);
  limit(plan, RLIMIT_NPROC, plan.processes);
  limit(plan, RLIMIT_MEMLOCK, 64 * 1024);
  limit(plan, RLIMIT_MSGQUEUE, 800 * 1024);
  give_up_privileges(plan);
  require(::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &plan.seccomp, 0, 0) == 0, plan, Step::kSystemCalls);
  const int program = ::_Fork();
  require(program >= 0, plan, Step::kProgram);
  if (program == 0) run_program(plan);
  run_init(plan, program);
}

Result<void> write_file(const std::string& path, const std::string& text) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd || ::write(fd.get(), text.data(), text.size()) < 0) return fail_errno("step 3, write " + path);
  return {};
}

// Kills and reaps an instance that did not come up.
void discard(const Instance& instance) {
  ::kill(instance.pid, SIGKILL);
  while (::waitpid(instance.pid, nullptr, 0) < 0 && errno == EINTR) {
  }
}

// Reads the child's reports until exec closes the socket, which is success.
Result<void> await_program(int setup, const SandboxSpec& spec, Started& started) {
  for (;;) {
    pollfd ready{.fd = setup, .events = POLLIN, .revents = 0};
    const int polled = ::poll(&ready, 1, kSetupTimeoutMs);
    if (polled < 0 && errno == EINTR) continue;
    if (polled <= 0) return fail(ErrorCode::kTimeout, "the sandbox was not set up in time");
    auto packet = receive_packet(setup, true);
    if (!packet && packet.error().code == ErrorCode::kClosed) {
      if (started.runtime_api) return {};
      return fail(ErrorCode::kIo, "the sandbox's first process died while it was set up");
    }
    if (!packet) return std::unexpected(packet.error());
    if (packet->fds.size() == 1) {
      started.runtime_api = std::move(packet->fds[0]);
      continue;
    }
    Report report{};
    std::memcpy(&report, packet->text.data(), std::min(sizeof report, packet->text.size()));
    std::string what = fmt::format("step {}, {}", report.step, step_text(report.step));
    if (report.step == static_cast<int>(Step::kProgram)) what += " " + spec.argv[0];
    return std::unexpected(errno_error(report.error, what));
  }
}

ChildPlan child_plan(const InstancePlan& plan, std::vector<std::string>& variables) {
  const SandboxSpec& spec = *plan.spec;
  ChildPlan child;
  // execve does not write through these.
  for (const auto& word : spec.argv) child.argv.push_back(const_cast<char*>(word.c_str()));  // NOLINT
  child.argv.push_back(nullptr);
  variables.reserve(spec.environment.size());
  for (const auto& [name, value] : spec.environment) variables.push_back(name + "=" + value);
  for (auto& variable : variables) child.environment.push_back(variable.data());
  child.environment.push_back(nullptr);
  child.directory = spec.working_directory.c_str();
  // One inode for each 2 KiB lets small files fill the space, and bounds the kernel's memory for empty ones.
  child.tmp_options = fmt::format("mode=1777,size={},nr_inodes={}", spec.limits.tmp_bytes,
                                  std::max<std::uint64_t>(1024, spec.limits.tmp_bytes / 2048));
  child.shm_options =
      fmt::format("mode=1777,size={},nr_inodes=1024", std::min(kMaxSharedMemory, spec.limits.memory_bytes / 2));
  child.port = spec.runtime_api_port;
  child.open_files = spec.limits.open_files;
  child.processes = spec.limits.pids + 1;
  child.clear_groups = plan.clear_groups;
  child.mask_proc = plan.mask_proc;
  child.root = plan.mounts.root.get();
  child.task = plan.mounts.task ? plan.mounts.task.get() : -1;
  child.opt = plan.mounts.opt ? plan.mounts.opt.get() : -1;
  // The kernel's interface takes a pointer to non-const and only reads.
  child.seccomp = {.len = static_cast<unsigned short>(plan.seccomp->size()),
                   .filter = const_cast<sock_filter*>(plan.seccomp->data())};  // NOLINT
  return child;
}

}  // namespace

Result<Instance> start_instance(InstancePlan plan) {
  std::vector<std::string> variables;
  ChildPlan child = child_plan(plan, variables);
  Instance instance;

  // Step 1: the ways between the launcher and the instance.
  int setup[2];
  int output[2];
  int status[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, setup) != 0) return fail_errno("step 1, a socket pair");
  const UniqueFd setup_here(setup[0]);
  UniqueFd setup_there(setup[1]);
  if (::pipe2(output, O_CLOEXEC) != 0) return fail_errno("step 1, the output's pipe");
  instance.started.output.reset(output[0]);
  UniqueFd output_there(output[1]);
  if (::pipe2(status, O_CLOEXEC | O_NONBLOCK) != 0) return fail_errno("step 1, the status pipe");
  instance.status.reset(status[0]);
  UniqueFd status_there(status[1]);
  if (::fcntl(output[0], F_SETFL, O_NONBLOCK) != 0) return fail_errno("step 1, the output's pipe");
  child.setup = setup[1];
  child.output = output[1];
  child.status = status[1];
  child.launcher_ends[0] = setup[0];
  child.launcher_ends[1] = output[0];
  child.launcher_ends[2] = status[0];

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
  instance.pid = static_cast<int>(::syscall(SYS_clone3, &arguments, sizeof arguments));
  if (instance.pid < 0) return fail_errno("step 2, clone a process with namespaces");
  if (instance.pid == 0) run_child(child);
  instance.pidfd.reset(pidfd);
  setup_there.reset();
  output_there.reset();
  status_there.reset();

  const auto come_up = [&]() -> Result<void> {
    // Step 3: who it is on the host.
    const std::string proc = fmt::format("/proc/{}/", instance.pid);
    if (auto done = write_file(proc + "uid_map", fmt::format("{} {} 1", kInsideUser, plan.host_user)); !done)
      return done;
    if (auto done = write_file(proc + "gid_map", fmt::format("{} {} 1", kInsideGroup, plan.host_group)); !done)
      return done;
    // When the host itself runs out of memory, instances go before the server. Not having it is no error.
    (void)write_file(proc + "oom_score_adj", "300");
    // Step 4: what bounds and connects it.
    const UniqueFd netns(::open((proc + "ns/net").c_str(), O_RDONLY | O_CLOEXEC));
    if (!netns) return fail_errno("step 4, open the network namespace");
    if (auto done = plan.prepare(instance.pid, netns.get()); !done) return done;
    if (::write(setup_here.get(), "g", 1) != 1) return fail_errno("step 5, let the process go on");
    return await_program(setup_here.get(), *plan.spec, instance.started);
  };
  auto up = come_up();
  for (auto& variable : variables) explicit_bzero(variable.data(), variable.size());
  if (!up) {
    discard(instance);
    return std::unexpected(up.error());
  }
  return instance;
}

}  // namespace mayfly::sandbox
