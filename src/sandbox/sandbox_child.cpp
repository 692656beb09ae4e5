#include "sandbox/sandbox_child.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "sandbox/launcher_protocol.h"

namespace mayfly::sandbox {
namespace {

constexpr int kHighestSignal = 64;
constexpr int kControlFd = 3;  // in a runtime that was started ahead

// For the assignment. The launcher never touches them, so that they cost a sandbox what it uses of them.
std::array<char, kMaxMessageBytes> packet_bytes;                 // NOLINT: written in the child only
std::array<char*, kMaxArguments + kMaxVariables + 3> word_list;  // NOLINT: the same

[[noreturn]] void give_up(const ChildPlan& plan, Step step) {
  const StepReport report{.step = static_cast<int>(step), .error = errno};
  // The launcher sees the end of the socket when this cannot be sent.
  [[maybe_unused]] const ssize_t sent = ::send(plan.setup, &report, sizeof report, MSG_NOSIGNAL);
  ::_exit(125);
}

void require(bool good, const ChildPlan& plan, Step step) {
  if (!good) give_up(plan, step);
}

// Closes every descriptor that came with the clone and is not this sandbox's: the launcher's own, those of all other
// sandboxes among them. Held here they would keep others' ends open, and with some hundreds of sandboxes leave no
// number below the limit on open files.
void close_what_is_not_ours(const ChildPlan& plan) {
  std::array<int, 24> own{};
  std::size_t count = 0;
  errno = EMFILE;
  require(plan.join.size() + 9 <= own.size(), plan, Step::kControlGroups);
  for (const int fd : {0, 1, 2, plan.root, plan.setup, plan.control, plan.control_runtime, plan.output, plan.status}) {
    if (fd >= 0) own[count++] = fd;
  }
  for (const int fd : plan.join) own[count++] = fd;
  std::sort(own.begin(), own.begin() + static_cast<std::ptrdiff_t>(count));
  unsigned next = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const auto fd = static_cast<unsigned>(own[i]);
    if (fd > next) require(::close_range(next, fd - 1, 0) == 0, plan, Step::kControlGroups);
    next = fd + 1;
  }
  require(::close_range(next, ~0U, 0) == 0, plan, Step::kControlGroups);
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

int listen_at(const ChildPlan& plan, std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  require(fd >= 0, plan, Step::kRuntimeSocket);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  sockaddr generic{};
  static_assert(sizeof generic == sizeof address);
  std::memcpy(&generic, &address, sizeof address);
  require(::bind(fd, &generic, sizeof generic) == 0 && ::listen(fd, 64) == 0, plan, Step::kRuntimeSocket);
  return fd;
}

void listen_for_runtime(const ChildPlan& plan) {
  const std::array<int, 2> fds{listen_at(plan, plan.port), listen_at(plan, plan.secrets_port)};
  StepReport none{.step = static_cast<int>(Step::kListening), .error = 0};
  iovec part{.iov_base = &none, .iov_len = sizeof none};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof fds)> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof fds);
  std::memcpy(CMSG_DATA(header), fds.data(), sizeof fds);
  require(::sendmsg(plan.setup, &message, MSG_NOSIGNAL) == sizeof none, plan, Step::kRuntimeSocket);
  for (const int fd : fds) ::close(fd);
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

// An attach to a group of version 1 waits for the kernel's grace period; here it holds up nobody else. The files were
// opened by the launcher, and it is the opener's right that counts.
void join_control_groups(const ChildPlan& plan) {
  for (const int group : plan.join) {
    require(::write(group, "0", 1) == 1, plan, Step::kControlGroups);
    ::close(group);
  }
}

void build_root(const ChildPlan& plan) {
  require(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0, plan, Step::kPrivateMounts);
  // The launcher's working directory is its staging folder, and the clone moved ours into the new mount namespace.
  require(::move_mount(plan.root, "", AT_FDCWD, "root", MOVE_MOUNT_F_EMPTY_PATH) == 0, plan, Step::kRoot);
  require(::fchdir(plan.root) == 0, plan, Step::kRoot);
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

// What programs inherit and nothing here needs, done before it is known whose sandbox it is.
void prepare_for_programs(const ChildPlan& plan) {
  require(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, plan, Step::kPrivileges);
  for (int capability = 0; ::prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; ++capability) {
    require(::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0, plan, Step::kPrivileges);
  }
  for (int signal = 1; signal <= kHighestSignal; ++signal) ::signal(signal, SIG_DFL);  // NOLINT: refused for a few
  sigset_t none{};
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

void give_up_privileges(const ChildPlan& plan) {
  require(::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) == 0, plan, Step::kPrivileges);
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  std::array<__user_cap_data_struct, 2> none{};
  require(::syscall(SYS_capset, &header, none.data()) == 0, plan, Step::kPrivileges);
  // After the last change of credentials, which would clear both: die with the launcher, and be unreadable.
  require(::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == 0, plan, Step::kPrivileges);
  require(::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0, plan, Step::kPrivileges);
}

void restrict_system_calls(const ChildPlan& plan) {
  require(::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &plan.seccomp, 0, 0) == 0, plan, Step::kSystemCalls);
}

// Standard descriptors and session of a program. Every other descriptor from `first` on closes by exec: that
// of the report is how the launcher sees it succeed.
void become_program(const ChildPlan& plan, unsigned first, Step step) {
  ::setsid();
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  require(null >= 0 && ::dup2(null, 0) == 0 && ::dup2(plan.output, 1) == 1 && ::dup2(plan.output, 2) == 2, plan, step);
  require(::close_range(first, ~0U, CLOSE_RANGE_CLOEXEC) == 0, plan, step);
}

// The interpreter and the platform's own client, nothing of any function: without privileges already.
[[noreturn]] void run_runtime(ChildPlan& plan) {
  give_up_privileges(plan);
  restrict_system_calls(plan);
  // Out of the way of the descriptor that the runtime expects; the report's own may be there.
  const int control = ::fcntl(plan.control_runtime, F_DUPFD_CLOEXEC, 16);
  const int setup = ::fcntl(plan.setup, F_DUPFD_CLOEXEC, 16);
  const int output = ::fcntl(plan.output, F_DUPFD_CLOEXEC, 16);
  require(control >= 0 && setup >= 0 && output >= 0, plan, Step::kRuntime);
  plan.setup = setup;
  plan.output = output;
  require(::dup2(control, kControlFd) == kControlFd, plan, Step::kRuntime);
  become_program(plan, kControlFd + 1, Step::kRuntime);
  ::execve(plan.runtime_arguments[0], plan.runtime_arguments.data(), plan.runtime_variables.data());
  give_up(plan, Step::kRuntime);
}

int start_runtime(ChildPlan& plan) {
  const int runtime = ::_Fork();
  require(runtime >= 0, plan, Step::kRuntime);
  if (runtime == 0) run_runtime(plan);
  ::close(plan.control_runtime);
  char loaded = 0;
  ssize_t got = 0;
  do {
    got = ::read(plan.control, &loaded, 1);
  } while (got < 0 && errno == EINTR);
  if (got == 0) errno = ECHILD;
  require(got == 1, plan, Step::kRuntime);
  return runtime;
}

void report(const ChildPlan& plan, Step step) {
  const StepReport message{.step = static_cast<int>(step), .error = 0};
  // Without the launcher there is nothing to live for.
  if (::send(plan.setup, &message, sizeof message, MSG_NOSIGNAL) != sizeof message) ::_exit(125);
}

struct Assignment {
  AssignmentHeader header;
  const char* directory = nullptr;
  char** arguments = nullptr;
  char** variables = nullptr;
  const char* go = nullptr;
  std::size_t size = 0;
  int task = -1;
  int opt = -1;
};

// Cuts the packet into its words, in place.
void read_words(const ChildPlan& plan, std::size_t size, Assignment& assignment) {
  std::memcpy(&assignment.header, packet_bytes.data(), sizeof assignment.header);
  const AssignmentHeader& header = assignment.header;
  const std::size_t words = 1UL + header.arguments + header.variables;
  char* at = packet_bytes.data() + sizeof header;
  const char* end = packet_bytes.data() + size;
  errno = EPROTO;
  require(words + 1 <= word_list.size(), plan, Step::kAssignment);
  std::size_t slot = 0;
  if (header.arguments == 0) word_list[slot++] = nullptr;
  for (std::size_t i = 0; i < words; ++i) {
    char* stop = at < end ? static_cast<char*>(std::memchr(at, '\0', static_cast<std::size_t>(end - at))) : nullptr;
    require(stop != nullptr, plan, Step::kAssignment);
    if (i == 0) {
      assignment.directory = at;
    } else {
      word_list[slot++] = at;
      if (i == header.arguments) word_list[slot++] = nullptr;  // between the arguments and the variables
    }
    at = stop + 1;
  }
  word_list[slot] = nullptr;
  assignment.arguments = word_list.data();
  assignment.variables = word_list.data() + header.arguments + 1;
  require(static_cast<std::size_t>(end - at) == header.go_bytes, plan, Step::kAssignment);
  assignment.go = at;
}

void receive_assignment(const ChildPlan& plan, Assignment& assignment) {
  iovec part{.iov_base = packet_bytes.data(), .iov_len = packet_bytes.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(2 * sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t got = 0;
  do {
    got = ::recvmsg(plan.setup, &message, MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  if (got == 0) ::_exit(0);  // the launcher has ended, or does not want this one
  require(got > 0, plan, Step::kAssignment);
  std::array<int, 2> fds = {-1, -1};
  std::size_t count = 0;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    count = std::min<std::size_t>((header->cmsg_len - CMSG_LEN(0)) / sizeof(int), fds.size());
    std::memcpy(fds.data(), CMSG_DATA(header), count * sizeof(int));
  }
  errno = EPROTO;
  const auto size = static_cast<std::size_t>(got);
  require(size > sizeof(AssignmentHeader) && (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0, plan,
          Step::kAssignment);
  read_words(plan, size, assignment);
  const AssignmentHeader& header = assignment.header;
  assignment.size = size;
  require(count == std::size_t{header.has_task} + header.has_opt, plan, Step::kAssignment);
  if (header.has_task != 0) assignment.task = fds[0];
  if (header.has_opt != 0) assignment.opt = fds[header.has_task];
}

// The function's own files. A runtime that was started ahead is in the same mount namespace and sees them from now on.
void attach_code(const ChildPlan& plan, const Assignment& assignment) {
  if (assignment.task >= 0) {
    require(::move_mount(assignment.task, "", AT_FDCWD, "var/task", MOVE_MOUNT_F_EMPTY_PATH) == 0, plan, Step::kCode);
    ::close(assignment.task);
  }
  if (assignment.opt >= 0) {
    require(::move_mount(assignment.opt, "", AT_FDCWD, "opt", MOVE_MOUNT_F_EMPTY_PATH) == 0, plan, Step::kCode);
    ::close(assignment.opt);
  } else if (assignment.header.hide_opt != 0) {
    constexpr const char* kEmpty = "size=4k,nr_inodes=1,mode=755";
    require(::mount("tmpfs", "opt", "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, kEmpty) == 0, plan,
            Step::kCode);
  }
  const AssignmentHeader& header = assignment.header;
  require(::mount("tmpfs", "tmp", "tmpfs", MS_NOSUID | MS_NODEV, header.tmp_options.data()) == 0, plan,
          Step::kTemporary);
  require(::mount("tmpfs", "dev/shm", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, header.shm_options.data()) == 0, plan,
          Step::kTemporary);
}

[[noreturn]] void run_program(const ChildPlan& plan, const Assignment& assignment) {
  become_program(plan, 3, Step::kProgram);
  require(::chdir(assignment.directory) == 0, plan, Step::kProgram);
  ::execve(assignment.arguments[0], assignment.arguments, assignment.variables);
  give_up(plan, Step::kProgram);
}

// The runtime reads what function it is, to the end of the socket, and closes its own end.
void hand_over(const ChildPlan& plan, const Assignment& assignment) {
  std::size_t sent = 0;
  while (sent < assignment.header.go_bytes) {
    const ssize_t more = ::send(plan.control, assignment.go + sent, assignment.header.go_bytes - sent, MSG_NOSIGNAL);
    if (more < 0 && errno == EINTR) continue;
    require(more > 0, plan, Step::kHandOver);
    sent += static_cast<std::size_t>(more);
  }
  require(::shutdown(plan.control, SHUT_WR) == 0, plan, Step::kHandOver);
  // The end of its side after it has read everything, and an error where it ended before that.
  char none = 0;
  ssize_t got = 0;
  do {
    got = ::read(plan.control, &none, 1);
  } while (got < 0 && errno == EINTR);
  require(got == 0, plan, Step::kHandOver);
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

}  // namespace

const char* step_text(int step) {
  constexpr std::array<const char*, 20> kTexts = {
      "join the control groups",
      "wait for the launcher",
      "become the instance's user",
      "enter a control group namespace",
      "set the host name",
      "bring the loopback interface up",
      "listen for the Runtime API",
      "make the mounts private",
      "attach the root",
      "mount /proc",
      "change into the new root",
      "set the resource limits",
      "start the runtime ahead",
      "take the assignment",
      "attach the code and the layers",
      "mount /tmp and /dev/shm",
      "give up all privileges",
      "restrict the system calls",
      "execute the program",
      "hand the function to its runtime",
  };
  const int index = step - static_cast<int>(Step::kControlGroups);
  return index >= 0 && index < static_cast<int>(kTexts.size()) ? kTexts[static_cast<std::size_t>(index)] : "unknown";
}

void run_child(ChildPlan& plan) {
  close_what_is_not_ours(plan);
  join_control_groups(plan);
  wait_for_launcher(plan);
  become_user(plan);
  // Again at the end: a change of credentials clears it.
  require(::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == 0, plan, Step::kUser);
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
  prepare_for_programs(plan);
  const bool ahead = plan.control >= 0;
  int program = ahead ? start_runtime(plan) : -1;
  report(plan, Step::kReady);
  Assignment assignment;
  receive_assignment(plan, assignment);
  errno = EPROTO;
  require(ahead == (assignment.header.arguments == 0), plan, Step::kAssignment);
  attach_code(plan, assignment);
  give_up_privileges(plan);
  restrict_system_calls(plan);
  report(plan, Step::kAttached);
  if (ahead) {
    hand_over(plan, assignment);
  } else {
    program = ::_Fork();
    require(program >= 0, plan, Step::kProgram);
    if (program == 0) run_program(plan, assignment);
  }
  // What the variables held is the program's now.
  ::explicit_bzero(packet_bytes.data(), assignment.size);
  run_init(plan, program);
}

}  // namespace mayfly::sandbox
