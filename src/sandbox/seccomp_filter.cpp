#include "sandbox/seccomp_filter.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <linux/netlink.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <memory>
#include <span>

#include "base/fd.h"

namespace mayfly::sandbox {
namespace {

struct Group {
  const char* reason;
  std::span<const char* const> calls;
};

constexpr const char* kFiles[] = {"access",      "chdir",           "chmod",       "chown",      "close",
                                  "close_range", "copy_file_range", "creat",       "dup",        "dup2",
                                  "dup3",        "faccessat",       "faccessat2",  "fadvise64",  "fallocate",
                                  "fchdir",      "fchmod",          "fchmodat",    "fchmodat2",  "fchown",
                                  "fchownat",    "fcntl",           "fdatasync",   "fgetxattr",  "flistxattr",
                                  "flock",       "fremovexattr",    "fsetxattr",   "fstat",      "fstatfs",
                                  "fsync",       "ftruncate",       "futimesat",   "getcwd",     "getdents",
                                  "getdents64",  "getxattr",        "ioctl",       "lchown",     "lgetxattr",
                                  "link",        "linkat",          "listxattr",   "llistxattr", "lremovexattr",
                                  "lseek",       "lsetxattr",       "lstat",       "mkdir",      "mkdirat",
                                  "mknod",       "mknodat",         "newfstatat",  "open",       "openat",
                                  "openat2",     "pread64",         "preadv",      "preadv2",    "pwrite64",
                                  "pwritev",     "pwritev2",        "read",        "readahead",  "readlink",
                                  "readlinkat",  "readv",           "removexattr", "rename",     "renameat",
                                  "renameat2",   "rmdir",           "sendfile",    "setxattr",   "splice",
                                  "stat",        "statfs",          "statx",       "symlink",    "symlinkat",
                                  "sync",        "sync_file_range", "syncfs",      "tee",        "truncate",
                                  "umask",       "unlink",          "unlinkat",    "utime",      "utimensat",
                                  "utimes",      "vmsplice",        "write",       "writev"};

constexpr const char* kMemory[] = {"brk",        "cachestat",     "get_mempolicy",    "madvise",      "mbind",
                                   "membarrier", "memfd_create",  "mincore",          "mlock",        "mlock2",
                                   "mlockall",   "mmap",          "mprotect",         "mremap",       "mseal",
                                   "msync",      "munlock",       "munlockall",       "munmap",       "pkey_alloc",
                                   "pkey_free",  "pkey_mprotect", "remap_file_pages", "set_mempolicy"};

constexpr const char* kProcesses[] = {"arch_prctl",
                                      "capget",
                                      "capset",
                                      "execve",
                                      "execveat",
                                      "exit",
                                      "exit_group",
                                      "fork",
                                      "futex",
                                      "futex_waitv",
                                      "futex_wait",
                                      "futex_wake",
                                      "futex_requeue",
                                      "get_robust_list",
                                      "getcpu",
                                      "getegid",
                                      "geteuid",
                                      "getgid",
                                      "getgroups",
                                      "getpgid",
                                      "getpgrp",
                                      "getpid",
                                      "getppid",
                                      "getpriority",
                                      "getresgid",
                                      "getresuid",
                                      "getrlimit",
                                      "getrusage",
                                      "getsid",
                                      "gettid",
                                      "getuid",
                                      "ioprio_get",
                                      "ioprio_set",
                                      "kill",
                                      "nice",
                                      "pidfd_open",
                                      "pidfd_send_signal",
                                      "prctl",
                                      "prlimit64",
                                      "restart_syscall",
                                      "rseq",
                                      "sched_get_priority_max",
                                      "sched_get_priority_min",
                                      "sched_getaffinity",
                                      "sched_getattr",
                                      "sched_getparam",
                                      "sched_getscheduler",
                                      "sched_rr_get_interval",
                                      "sched_setaffinity",
                                      "sched_setattr",
                                      "sched_setparam",
                                      "sched_setscheduler",
                                      "sched_yield",
                                      "seccomp",
                                      "set_robust_list",
                                      "set_tid_address",
                                      "setfsgid",
                                      "setfsuid",
                                      "setgid",
                                      "setgroups",
                                      "setpgid",
                                      "setpriority",
                                      "setregid",
                                      "setresgid",
                                      "setresuid",
                                      "setreuid",
                                      "setrlimit",
                                      "setsid",
                                      "setuid",
                                      "sysinfo",
                                      "tgkill",
                                      "times",
                                      "tkill",
                                      "uname",
                                      "vfork",
                                      "wait4",
                                      "waitid"};

constexpr const char* kSignalsAndTime[] = {"alarm",          "clock_getres",  "clock_gettime",   "clock_nanosleep",
                                           "getitimer",      "gettimeofday",  "nanosleep",       "pause",
                                           "rt_sigaction",   "rt_sigpending", "rt_sigprocmask",  "rt_sigqueueinfo",
                                           "rt_sigreturn",   "rt_sigsuspend", "rt_sigtimedwait", "rt_tgsigqueueinfo",
                                           "setitimer",      "sigaltstack",   "signalfd",        "signalfd4",
                                           "time",           "timer_create",  "timer_delete",    "timer_getoverrun",
                                           "timer_gettime",  "timer_settime", "timerfd_create",  "timerfd_gettime",
                                           "timerfd_settime"};

constexpr const char* kWaiting[] = {"epoll_create", "epoll_create1", "epoll_ctl",
                                    "epoll_pwait",  "epoll_pwait2",  "epoll_wait",
                                    "eventfd",      "eventfd2",      "inotify_add_watch",
                                    "inotify_init", "inotify_init1", "inotify_rm_watch",
                                    "io_cancel",    "io_destroy",    "io_getevents",
                                    "io_setup",     "io_submit",     "pipe",
                                    "pipe2",        "poll",          "ppoll",
                                    "pselect6",     "select"};

constexpr const char* kSockets[] = {"accept",     "accept4", "bind",       "connect",  "getpeername", "getsockname",
                                    "getsockopt", "listen",  "recvfrom",   "recvmmsg", "recvmsg",     "sendmmsg",
                                    "sendmsg",    "sendto",  "setsockopt", "shutdown"};

constexpr const char* kIpc[] = {"mq_getsetattr", "mq_notify", "mq_open", "mq_timedreceive", "mq_timedsend",
                                "mq_unlink",     "msgctl",    "msgget",  "msgrcv",          "msgsnd",
                                "semctl",        "semget",    "semop",   "semtimedop",      "shmat",
                                "shmctl",        "shmdt",     "shmget"};

constexpr const char* kOther[] = {"getrandom", "landlock_add_rule", "landlock_create_ruleset", "landlock_restrict_self",
                                  "map_shadow_stack"};

constexpr Group kAllowed[] = {
    {"files, as far as the mount tree and an unprivileged user reach", kFiles},
    {"memory, which the control group bounds", kMemory},
    {"processes and threads of the own process namespace", kProcesses},
    {"signals and reading time", kSignalsAndTime},
    {"waiting for descriptors", kWaiting},
    {"sockets that exist; which may be made is below", kSockets},
    {"System V and POSIX queues of the own IPC namespace", kIpc},
    {"randomness, and narrowing oneself further", kOther},
};

constexpr const char* kTree[] = {"mount",
                                 "umount2",
                                 "pivot_root",
                                 "chroot",
                                 "open_tree",
                                 "move_mount",
                                 "fsopen",
                                 "fsconfig",
                                 "fsmount",
                                 "fspick",
                                 "mount_setattr",
                                 "statmount",
                                 "listmount",
                                 "swapon",
                                 "swapoff",
                                 "quotactl",
                                 "quotactl_fd",
                                 "open_by_handle_at",
                                 "name_to_handle_at",
                                 "fanotify_init",
                                 "fanotify_mark"};
constexpr const char* kNamespaces[] = {"unshare", "setns", "setdomainname", "sethostname", "vhangup"};
constexpr const char* kOthersMemory[] = {"ptrace",          "process_vm_readv", "process_vm_writev",
                                         "process_madvise", "process_mrelease", "kcmp",
                                         "pidfd_getfd",     "migrate_pages",    "move_pages"};
constexpr const char* kKernel[] = {"bpf",
                                   "perf_event_open",
                                   "userfaultfd",
                                   "keyctl",
                                   "add_key",
                                   "request_key",
                                   "kexec_load",
                                   "kexec_file_load",
                                   "init_module",
                                   "finit_module",
                                   "delete_module",
                                   "io_uring_setup",
                                   "io_uring_enter",
                                   "io_uring_register",
                                   "syslog",
                                   "reboot",
                                   "acct",
                                   "iopl",
                                   "ioperm",
                                   "modify_ldt",
                                   "lookup_dcookie",
                                   "uselib",
                                   "_sysctl",
                                   "memfd_secret"};
constexpr const char* kClocks[] = {"settimeofday", "clock_settime", "clock_adjtime", "adjtimex", "stime"};

constexpr Group kRefused[] = {
    {"changing the mount tree, or files by handle past it", kTree},
    {"new or other namespaces, in which one would have capabilities", kNamespaces},
    {"the memory and descriptors of another process", kOthersMemory},
    {"large kernel surfaces with a history of escapes, or the machine itself", kKernel},
    {"the host's clock", kClocks},
};

// Flags of clone(2) that make namespaces.
constexpr std::uint64_t kNamespaceFlags[] = {CLONE_NEWNS,   CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC,
                                             CLONE_NEWUSER, CLONE_NEWPID,    CLONE_NEWNET};

class Builder {
 public:
  explicit Builder(scmp_filter_ctx context) : context_(context) {}

  void add(std::uint32_t action, const char* name) {
    const int number = seccomp_syscall_resolve_name(name);
    if (number == __NR_SCMP_ERROR) return;  // this machine's headers do not know it: the default refuses it
    note(seccomp_rule_add(context_, action, number, 0), name);
  }
  void add_if(std::uint32_t action, const char* name, std::initializer_list<scmp_arg_cmp> conditions) {
    note(seccomp_rule_add_array(context_, action, seccomp_syscall_resolve_name(name),
                                static_cast<unsigned>(conditions.size()), std::data(conditions)),
         name);
  }
  void note(int result, const char* what) {
    if (result < 0 && failed_ == 0) {
      failed_ = -result;
      what_ = what;
    }
  }
  [[nodiscard]] int failed() const { return failed_; }
  [[nodiscard]] const char* what() const { return what_; }

 private:
  scmp_filter_ctx context_;
  int failed_ = 0;
  const char* what_ = "";
};

scmp_arg_cmp equals(unsigned argument, std::uint64_t value) {
  return {.arg = argument, .op = SCMP_CMP_EQ, .datum_a = value, .datum_b = 0};
}
scmp_arg_cmp masked(unsigned argument, std::uint64_t mask, std::uint64_t value) {
  return {.arg = argument, .op = SCMP_CMP_MASKED_EQ, .datum_a = mask, .datum_b = value};
}

void add_rules(Builder& rules) {
  for (const auto& group : kAllowed) {
    for (const char* call : group.calls) rules.add(SCMP_ACT_ALLOW, call);
  }
  for (const auto& group : kRefused) {
    for (const char* call : group.calls) rules.add(SCMP_ACT_ERRNO(EPERM), call);
  }
  std::uint64_t all = 0;
  for (const std::uint64_t flag : kNamespaceFlags) {
    all |= flag;
    rules.add_if(SCMP_ACT_ERRNO(EPERM), "clone", {masked(0, flag, flag)});
  }
  rules.add_if(SCMP_ACT_ALLOW, "clone", {masked(0, all, 0)});
  // clone3 is left to the default: its flags are in memory, which a filter cannot read, and ENOSYS makes the C library
  // use clone.
  // Query, the default, and without address randomisation (some language runtimes ask for it).
  for (const std::uint64_t value : {0xffffffffULL, 0ULL, 0x0040000ULL}) {
    rules.add_if(SCMP_ACT_ALLOW, "personality", {equals(0, value)});
  }
  // Families whose code is not exposed to every unprivileged program anyway are not here. Reading interfaces and
  // addresses (getifaddrs) needs the routing netlink.
  for (std::uint64_t family = 0; family < AF_MAX; ++family) {
    const bool plain = family == AF_UNIX || family == AF_INET || family == AF_INET6;
    if (plain) {
      rules.add_if(SCMP_ACT_ALLOW, "socket", {equals(0, family)});
    } else if (family == AF_NETLINK) {
      rules.add_if(SCMP_ACT_ALLOW, "socket", {equals(0, family), equals(2, NETLINK_ROUTE)});
    } else {
      rules.add_if(SCMP_ACT_ERRNO(EAFNOSUPPORT), "socket", {equals(0, family)});
    }
  }
  rules.add_if(SCMP_ACT_ALLOW, "socketpair", {equals(0, AF_UNIX)});
}

}  // namespace

Result<std::vector<sock_filter>> build_seccomp_filter() {
  // Calls that neither list knows are newer than it: ENOSYS is what programs expect of an older kernel.
  const std::unique_ptr<void, void (*)(scmp_filter_ctx)> context(seccomp_init(SCMP_ACT_ERRNO(ENOSYS)), seccomp_release);
  if (!context) return fail(ErrorCode::kInternal, "a seccomp filter cannot be made");
  Builder rules(context.get());
  rules.note(seccomp_attr_set(context.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS), "architecture");
  rules.note(seccomp_attr_set(context.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2), "binary tree");
  add_rules(rules);
  if (rules.failed() != 0) {
    return std::unexpected(errno_error(rules.failed(), fmt::format("seccomp rule for {}", rules.what())));
  }
  const UniqueFd file(::memfd_create("mayfly-seccomp", MFD_CLOEXEC));
  if (!file) return fail_errno("memfd_create");
  if (const int failed = seccomp_export_bpf(context.get(), file.get()); failed < 0) {
    return std::unexpected(errno_error(-failed, "seccomp_export_bpf"));
  }
  struct stat info{};
  if (::fstat(file.get(), &info) != 0) return fail_errno("fstat");
  std::vector<sock_filter> program(static_cast<std::size_t>(info.st_size) / sizeof(sock_filter));
  const auto bytes = static_cast<ssize_t>(program.size() * sizeof(sock_filter));
  if (::pread(file.get(), program.data(), static_cast<std::size_t>(bytes), 0) != bytes) return fail_errno("pread");
  return program;
}

}  // namespace mayfly::sandbox
