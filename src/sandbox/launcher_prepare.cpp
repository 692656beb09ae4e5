// How the launcher gets ready to serve: its lock, its privileges, control groups, roots and links.
#include <fcntl.h>
#include <fmt/core.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <filesystem>
#include <fstream>

#include "base/crypto.h"
#include "base/encoding.h"
#include "sandbox/launcher_server.h"
#include "sandbox/seccomp_filter.h"

namespace mayfly::sandbox {
namespace {

constexpr std::size_t kMaxInstances = 4096;
// Above the ranges that distributions and systemd-nspawn hand out; where a container has fewer ids, the end of its own.
constexpr unsigned kFirstUser = 1'900'000'000;

unsigned first_user() {
  std::ifstream in("/proc/self/uid_map");
  std::uint64_t inside = 0;
  std::uint64_t outside = 0;
  std::uint64_t count = 0;
  std::uint64_t end = 0;
  while (in >> inside >> outside >> count) end = std::max(end, inside + count);
  if (end >= std::uint64_t{kFirstUser} + kMaxInstances) return kFirstUser;
  return static_cast<unsigned>(end > 2 * kMaxInstances ? end - kMaxInstances : end);
}

Result<void> put(const char* path, const std::string& text) {
  const UniqueFd fd(::open(path, O_WRONLY | O_CLOEXEC));
  if (!fd || ::write(fd.get(), text.data(), text.size()) < 0) return fail_errno(fmt::format("write {}", path));
  return {};
}

}  // namespace

LauncherServer::LauncherServer(LauncherSettings settings, UniqueFd socket)
    : settings_(std::move(settings)), socket_(std::move(socket)), pool_(settings_.ready_memory_mb << 20) {}

// An ordinary user's launcher becomes privileged in a user namespace of its own; all instances are this user outside.
Result<void> LauncherServer::enter_user_namespace() {
  if (::unshare(CLONE_NEWUSER) != 0) return fail_errno("a user namespace for the launcher");
  if (auto done = put("/proc/self/setgroups", "deny"); !done) return done;
  if (auto done = put("/proc/self/uid_map", fmt::format("{} {} 1", user_, user_)); !done) return done;
  return put("/proc/self/gid_map", fmt::format("{} {} 1", group_, group_));
}

// Which controllers this machine gives, and whether that is enough.
Result<void> LauncherServer::find_controllers(const std::string& suffix) {
  groups_ = Cgroups::find_here();
  std::vector<std::string> given_up;
  groups_.prepare(suffix, given_up);
  for (const Controller c : kControllers) {
    if (groups_.place(c).version != 0) continue;
    for (auto& capability : capabilities_.all) {
      if (capability.name == fmt::format("cgroup.{}", controller_name(c))) capability.present = false;
    }
  }
  for (const auto& reason : given_up) {
    for (auto& capability : capabilities_.all) {
      if (capability.name == "cgroup." + reason.substr(0, reason.find(':'))) capability.detail += "; " + reason;
    }
  }
  if (const auto missing = capabilities_.missing_required(); !missing.empty() && !settings_.allow_degraded) {
    std::string names;
    for (const auto* lack : missing) names += fmt::format("\n  {} ({}): {}", lack->name, lack->detail, lack->meaning);
    return fail(ErrorCode::kUnsupported, "this machine lacks what sandboxes need:" + names,
                "To run without them: mayfly serve --set sandbox.allow_degraded=true");
  }
  return {};
}

void LauncherServer::find_links(const std::string& suffix) {
  if (settings_.network.mode == NetworkMode::kLoopback || !capabilities_.has("network.nat")) return;
  auto links = LinkPool::create(suffix);
  if (links) {
    links_ = std::move(*links);
    return;
  }
  for (auto& capability : capabilities_.all) {
    if (capability.name != "network.nat") continue;
    capability.present = false;
    capability.detail = links.error().message;
  }
}

Result<void> LauncherServer::prepare() {
  std::error_code error;
  std::filesystem::create_directories(settings_.state_directory, error);
  const std::string state = std::filesystem::canonical(settings_.state_directory, error).string();
  if (error) return std::unexpected(errno_error(error.value(), "make " + settings_.state_directory));
  if (::chmod(state.c_str(), 0700) != 0) return fail_errno("set the mode of " + state);
  lock_.reset(::open((state + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock_) return fail_errno("open " + state + "/lock");
  // The launcher of a server that was killed a moment ago is still cleaning up: it is given time to.
  constexpr int kLockTries = 100;
  for (int tries = 0; ::flock(lock_.get(), LOCK_EX | LOCK_NB) != 0; ++tries) {
    if (tries == kLockTries) return fail(ErrorCode::kConflict, state + " is in use by another server");
    constexpr timespec kPause{.tv_sec = 0, .tv_nsec = 100'000'000};
    ::clock_nanosleep(CLOCK_MONOTONIC, 0, &kPause, nullptr);
  }

  capabilities_ = probe_capabilities();
  user_ = ::geteuid();
  group_ = ::getegid();
  if (!capabilities_.privileged) {
    if (auto done = enter_user_namespace(); !done) return done;
  }
  const std::string suffix = hex_encode(sha256(state)).substr(0, 12);
  if (auto done = find_controllers(suffix); !done) return done;
  auto roots = RootTrees::create(state + "/staging");
  if (!roots) return std::unexpected(roots.error());
  roots_ = std::move(*roots);
  auto filter = build_seccomp_filter();
  if (!filter) return std::unexpected(filter.error());
  seccomp_ = std::move(*filter);
  find_links(suffix);
  first_user_ = first_user();
  for (unsigned slot = 0; slot < kMaxInstances; ++slot) free_slots_.insert(slot);
  send({{"op", "ready"}, {"capabilities", to_json_text(capabilities_)}}, {});
  return {};
}

}  // namespace mayfly::sandbox
