#include "sandbox/capabilities.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "base/fd.h"
#include "base/json.h"
#include "sandbox/cgroups.h"
#include "sandbox/network_link.h"

namespace mayfly::sandbox {
namespace {

// Tries to make a process with these namespaces; 0 or the errno.
int try_namespaces(std::uint64_t flags) {
  clone_args arguments{};
  arguments.flags = flags;
  arguments.exit_signal = SIGCHLD;
  const auto pid = static_cast<int>(::syscall(SYS_clone3, &arguments, sizeof arguments));
  if (pid < 0) return errno;
  if (pid == 0) ::_exit(0);
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  return 0;
}

void add_namespaces(std::vector<Capability>& all, bool privileged) {
  struct Kind {
    const char* name;
    std::uint64_t flag;
    const char* meaning;
  };
  constexpr Kind kKinds[] = {
      {"user", CLONE_NEWUSER,
       "Instances could not have users of their own. Enable user namespaces (user.max_user_namespaces)."},
      {"pid", CLONE_NEWPID, "Instances would see and signal each other's processes."},
      {"mount", CLONE_NEWNS, "Instances would see the host's files."},
      {"net", CLONE_NEWNET, "Instances would share the host's network."},
      {"ipc", CLONE_NEWIPC, "Instances would share queues and shared memory."},
      {"uts", CLONE_NEWUTS, "Instances would share the host's name."},
      {"cgroup", CLONE_NEWCGROUP, "Instances would see the host's control groups."},
  };
  for (const auto& kind : kKinds) {
    const bool nested = !privileged && kind.flag != CLONE_NEWUSER;
    const int failed = try_namespaces(kind.flag | (nested ? CLONE_NEWUSER : 0));
    all.push_back({.name = fmt::format("namespace.{}", kind.name),
                   .present = failed == 0,
                   .required = true,
                   .detail = failed == 0 ? "usable" : std::strerror(failed),
                   .meaning = kind.meaning});
  }
}

bool knows_filesystem(const std::string& wanted) {
  std::ifstream in("/proc/filesystems");
  std::string word;
  while (in >> word) {
    if (word == wanted) return true;
  }
  return false;
}

}  // namespace

bool Capabilities::has(std::string_view name) const {
  return std::ranges::any_of(all, [&](const auto& c) { return c.name == name && c.present; });
}

std::vector<const Capability*> Capabilities::missing_required() const {
  std::vector<const Capability*> missing;
  for (const auto& capability : all) {
    if (capability.required && !capability.present) missing.push_back(&capability);
  }
  return missing;
}

Capabilities probe_capabilities() {
  Capabilities found;
  found.privileged = ::geteuid() == 0;
  const Cgroups groups = Cgroups::find_here();
  for (const Controller c : kControllers) {
    const auto& place = groups.place(c);
    const bool usable = place.version != 0 && ::access(place.path.c_str(), W_OK) == 0;
    found.all.push_back({.name = fmt::format("cgroup.{}", controller_name(c)),
                         .present = usable,
                         .required = true,
                         .detail = place.version == 0 ? "no such controller"
                                                      : fmt::format("cgroup v{} at {}{}", place.version, place.path,
                                                                    usable ? "" : ", not writable by this user"),
                         .meaning = fmt::format(
                             "The {} limit of a function would not be kept. Run as root, or have systemd delegate the "
                             "controller (Delegate=yes).",
                             controller_name(c))});
  }
  add_namespaces(found.all, found.privileged);
  const bool seccomp = ::prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0;
  found.all.push_back({.name = "seccomp",
                       .present = seccomp,
                       .required = true,
                       .detail = seccomp ? "filters" : "not in this kernel",
                       .meaning = "Functions could make every system call."});
  mount_attr attr{};
  const bool mount_api = ::mount_setattr(-1, "", AT_EMPTY_PATH, &attr, sizeof attr) == 0 || errno != ENOSYS;
  found.all.push_back({.name = "mount.setattr",
                       .present = mount_api,
                       .required = true,
                       .detail = mount_api ? "mount_setattr" : "needs Linux 5.12",
                       .meaning = "The host's folders could not be shown read-only as a whole."});
  const bool overlay = knows_filesystem("overlay");
  found.all.push_back({.name = "overlayfs",
                       .present = overlay,
                       .required = false,
                       .detail = overlay ? "in the kernel" : "not loaded",
                       .meaning = "Functions may have one layer only. Load the module overlay."});
  std::string why_not;
  const bool nat = found.privileged && LinkPool::available(&why_not);
  if (!found.privileged) why_not = "needs root";
  found.all.push_back({.name = "network.nat",
                       .present = nat,
                       .required = false,
                       .detail = nat ? "nftables and virtual links" : why_not,
                       .meaning = "Functions reach only the Runtime API; outbound network is refused."});
  found.all.push_back({.name = "user.separate",
                       .present = found.privileged,
                       .required = false,
                       .detail = found.privileged ? "each instance has a host user of its own" : "all run as this user",
                       .meaning = "Instances are told apart by namespaces only. Run as root for a user each."});
  return found;
}

std::string to_json_text(const Capabilities& capabilities) {
  json::array all;
  for (const auto& c : capabilities.all) {
    all.push_back(json::object{{"name", c.name},
                               {"present", c.present},
                               {"required", c.required},
                               {"detail", c.detail},
                               {"meaning", c.meaning}});
  }
  return to_json(json::object{{"privileged", capabilities.privileged}, {"capabilities", std::move(all)}});
}

Result<Capabilities> capabilities_from_json(std::string_view text) {
  auto value = parse_json(text);
  if (!value) return std::unexpected(value.error());
  const json::value* all = find(*value, "capabilities");
  if (all == nullptr || !all->is_array()) return fail(ErrorCode::kInvalid, "no list of capabilities");
  Capabilities capabilities;
  capabilities.privileged = get_bool(*value, "privileged", false);
  for (const auto& entry : all->get_array()) {
    capabilities.all.push_back({.name = std::string(get_string(entry, "name")),
                                .present = get_bool(entry, "present", false),
                                .required = get_bool(entry, "required", true),
                                .detail = std::string(get_string(entry, "detail")),
                                .meaning = std::string(get_string(entry, "meaning"))});
  }
  return capabilities;
}

}  // namespace mayfly::sandbox
