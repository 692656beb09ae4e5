// The launcher process: forked by main() before threads, the only one that keeps privileges. It serves one daemon over
// one socket, one message after the other, and ends with it.
#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "base/crypto.h"
#include "base/encoding.h"
#include "base/log.h"
#include "sandbox/capabilities.h"
#include "sandbox/cgroups.h"
#include "sandbox/instance.h"
#include "sandbox/launcher.h"
#include "sandbox/launcher_protocol.h"
#include "sandbox/network_link.h"
#include "sandbox/seccomp_filter.h"

namespace mayfly::sandbox {
namespace {

constexpr int kReadyTimeoutMs = 30'000;
constexpr int kRetryRemovalMs = 20;
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

class LauncherServer {
 public:
  LauncherServer(LauncherSettings settings, UniqueFd socket)
      : settings_(std::move(settings)), socket_(std::move(socket)) {}

  Result<void> prepare();
  void serve();
  void end_all();
  [[nodiscard]] const UniqueFd& socket() const { return socket_; }

 private:
  struct Running {
    Instance instance;
    unsigned slot = 0;
    bool killed = false;
  };

  Result<void> enter_user_namespace();
  void send(const json::object& message, const std::vector<int>& fds);
  void handle(const std::string& text);
  Result<Started> start(const SandboxSpec& spec);
  void reap();
  void ended(const std::string& id, int wait_status);
  void remove_later(const std::string& id);
  LauncherSettings settings_;
  UniqueFd socket_;
  UniqueFd signals_;
  UniqueFd lock_;
  Capabilities capabilities_;
  Cgroups groups_;
  RootTrees roots_;
  std::unique_ptr<LinkPool> links_;
  std::vector<sock_filter> seccomp_;
  std::map<std::string, Running> running_;
  std::set<unsigned> free_slots_;
  std::vector<std::string> to_remove_;  // control groups that the kernel has not let go yet
  unsigned first_user_ = 0;
  unsigned user_ = 0;  // of an unprivileged launcher
  unsigned group_ = 0;
  bool daemon_gone_ = false;
};

Result<void> put(const char* path, const std::string& text) {
  const UniqueFd fd(::open(path, O_WRONLY | O_CLOEXEC));
  if (!fd || ::write(fd.get(), text.data(), text.size()) < 0) return fail_errno(fmt::format("write {}", path));
  return {};
}

// An ordinary user's launcher becomes privileged in a user namespace of its own; all instances are this user outside.
Result<void> LauncherServer::enter_user_namespace() {
  if (::unshare(CLONE_NEWUSER) != 0) return fail_errno("a user namespace for the launcher");
  if (auto done = put("/proc/self/setgroups", "deny"); !done) return done;
  if (auto done = put("/proc/self/uid_map", fmt::format("{} {} 1", user_, user_)); !done) return done;
  return put("/proc/self/gid_map", fmt::format("{} {} 1", group_, group_));
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
  auto roots = RootTrees::create(state + "/staging");
  if (!roots) return std::unexpected(roots.error());
  roots_ = std::move(*roots);
  auto filter = build_seccomp_filter();
  if (!filter) return std::unexpected(filter.error());
  seccomp_ = std::move(*filter);
  if (settings_.network.mode != NetworkMode::kLoopback && capabilities_.has("network.nat")) {
    auto links = LinkPool::create(suffix);
    if (!links) {
      for (auto& capability : capabilities_.all) {
        if (capability.name != "network.nat") continue;
        capability.present = false;
        capability.detail = links.error().message;
      }
    } else {
      links_ = std::move(*links);
    }
  }
  first_user_ = first_user();
  for (unsigned slot = 0; slot < kMaxInstances; ++slot) free_slots_.insert(slot);
  send({{"op", "ready"}, {"capabilities", to_json_text(capabilities_)}}, {});
  return {};
}

void LauncherServer::send(const json::object& message, const std::vector<int>& fds) {
  // The send timeout passed or the daemon is gone: without it there is nothing to serve.
  if (auto sent = send_packet(socket_.get(), to_json(message), fds); !sent) daemon_gone_ = true;
}

Result<Started> LauncherServer::start(const SandboxSpec& spec) {
  const std::string& id = spec.id.str();
  if (running_.contains(id)) return fail(ErrorCode::kExists, "a sandbox of this name is running");
  if (free_slots_.empty()) return fail(ErrorCode::kThrottled, "the launcher runs as many sandboxes as it can");
  if (std::ranges::find(to_remove_, id) != to_remove_.end()) return fail(ErrorCode::kExists, "this sandbox just ended");
  if (spec.network != NetworkMode::kLoopback && !links_) {
    return fail(ErrorCode::kUnsupported, "outbound network is not offered by this machine or not allowed",
                "`mayfly doctor` says what is missing.");
  }
  const NetworkPolicy wanted{.mode = spec.network, .networks = spec.allowed_networks};
  if (!allows(settings_.network, wanted)) {
    return fail(ErrorCode::kForbidden, "this server allows networks of a list only");
  }
  auto mounts = roots_.mounts_for(spec);
  if (!mounts) return std::unexpected(mounts.error());

  InstancePlan plan;
  plan.spec = &spec;
  plan.mounts = std::move(*mounts);
  plan.seccomp = &seccomp_;
  const unsigned slot = *free_slots_.begin();
  plan.host_user = capabilities_.privileged ? first_user_ + slot : user_;
  plan.host_group = capabilities_.privileged ? first_user_ + slot : group_;
  plan.clear_groups = capabilities_.privileged;
  bool linked = false;
  plan.prepare = [&](int pid, int netns_fd) -> Result<void> {
    if (auto done = groups_.attach(id, pid); !done) return done;
    if (spec.network == NetworkMode::kLoopback) return {};
    static const std::vector<std::string> kAnywhere;
    const bool listed = spec.network == NetworkMode::kAllowList;
    // An empty list means "anywhere" to the link pool, and "nowhere" to whoever wrote an empty list.
    if (listed && spec.allowed_networks.empty()) return {};
    linked = true;
    return links_->attach(netns_fd, id, listed ? spec.allowed_networks : kAnywhere);
  };
  auto started = [&]() -> Result<Instance> {
    if (auto done = groups_.create(id, spec.limits); !done) return std::unexpected(done.error());
    plan.cgroup = groups_.clone_target(id);
    return start_instance(std::move(plan));
  }();
  if (!started) {
    if (linked) links_->detach(id);
    remove_later(id);
    return std::unexpected(started.error());
  }
  free_slots_.erase(slot);
  Started answer = std::move(started->started);
  running_.emplace(id, Running{.instance = std::move(*started), .slot = slot});
  return answer;
}

void LauncherServer::handle(const std::string& text) {
  auto message = parse_json(text);
  if (!message) return;
  const std::string_view op = get_string(*message, "op");
  const std::int64_t sequence = get_int(*message, "seq", -1);
  const std::string id(get_string(*message, "id"));
  if (op == "start") {
    const json::value* raw = find(*message, "spec");
    auto spec = spec_from_json(raw == nullptr ? json::value() : *raw);
    auto started = spec ? start(*spec) : Result<Started>(std::unexpected(spec.error()));
    if (started) {
      send({{"op", "started"}, {"seq", sequence}}, {started->runtime_api.get(), started->output.get()});
    } else {
      const Error& error = started.error();
      send({{"op", "failed"},
            {"seq", sequence},
            {"code", static_cast<int>(error.code)},
            {"message", error.message},
            {"hint", error.hint}},
           {});
    }
  } else if (op == "kill") {
    if (const auto found = running_.find(id); found != running_.end()) {
      found->second.killed = true;
      // The end of a process namespace's init ends everything in it, by the kernel.
      ::kill(found->second.instance.pid, SIGKILL);
      groups_.end(id);
    }
  } else if (op == "limit_cpu") {
    const std::int64_t milli = get_int(*message, "milli");
    const auto found = running_.find(id);
    if (found == running_.end() || found->second.killed || milli < 1 || milli > 1'000'000) return;
    groups_.limit_cpu(id, static_cast<std::uint32_t>(milli));
  } else if (op == "peak") {
    const std::uint64_t bytes = running_.contains(id) ? groups_.peak_memory_bytes(id) : 0;
    send({{"op", "peak"},
          {"seq", sequence},
          {"bytes", static_cast<std::int64_t>(bytes)},
          {"found", running_.contains(id)}},
         {});
  } else if (op == "shutdown") {
    daemon_gone_ = true;
  }
}

void LauncherServer::remove_later(const std::string& id) {
  if (!groups_.remove(id)) to_remove_.push_back(id);
}

void LauncherServer::ended(const std::string& id, int wait_status) {
  auto node = running_.extract(id);
  Running& run = node.mapped();
  int status = 0;
  // The init that was killed itself has not written how the program ended.
  if (::read(run.instance.status.get(), &status, sizeof status) != sizeof status) status = wait_status;
  const bool oom = status != 0 && !run.killed && groups_.oom_kills(id) > 0;
  const std::uint64_t peak = groups_.peak_memory_bytes(id);
  if (links_) links_->detach(id);
  free_slots_.insert(run.slot);
  remove_later(id);
  send({{"op", "exited"}, {"id", id}, {"status", status}, {"oom", oom}, {"peak", static_cast<std::int64_t>(peak)}}, {});
}

void LauncherServer::reap() {
  int status = 0;
  for (int pid = 0; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;) {
    const auto found = std::ranges::find_if(running_, [&](const auto& r) { return r.second.instance.pid == pid; });
    if (found != running_.end()) ended(std::string(found->first), status);
  }
}

void LauncherServer::serve() {
  sigset_t wanted{};
  ::sigemptyset(&wanted);
  ::sigaddset(&wanted, SIGCHLD);
  ::sigaddset(&wanted, SIGUSR1);
  ::sigprocmask(SIG_BLOCK, &wanted, nullptr);
  signals_.reset(::signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK));
  while (!daemon_gone_) {
    pollfd ready[] = {{.fd = socket_.get(), .events = POLLIN, .revents = 0},
                      {.fd = signals_.get(), .events = POLLIN, .revents = 0}};
    if (::poll(ready, 2, to_remove_.empty() ? -1 : kRetryRemovalMs) < 0 && errno != EINTR) break;
    signalfd_siginfo info{};
    while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
      if (info.ssi_signo == SIGUSR1) daemon_gone_ = true;
    }
    reap();
    std::erase_if(to_remove_, [&](const std::string& id) { return groups_.remove(id); });
    if ((ready[0].revents & (POLLIN | POLLHUP | POLLERR)) == 0) continue;
    auto packet = receive_packet(socket_.get(), false);
    if (packet) {
      handle(packet->text);
      explicit_bzero(packet->text.data(), packet->text.size());
    } else if (packet.error().code == ErrorCode::kClosed || packet.error().code == ErrorCode::kIo) {
      daemon_gone_ = true;
    }
  }
  end_all();
}

void LauncherServer::end_all() {
  for (auto& [id, run] : running_) {
    run.killed = true;
    ::kill(run.instance.pid, SIGKILL);
    groups_.end(id);
  }
  while (!running_.empty()) {
    int status = 0;
    const int pid = ::waitpid(-1, &status, 0);
    if (pid < 0 && errno != EINTR) break;
    const auto found = std::ranges::find_if(running_, [&](const auto& r) { return r.second.instance.pid == pid; });
    if (found != running_.end()) ended(std::string(found->first), status);
  }
  if (links_) links_->shutdown();
  groups_.remove_all();
  // The mounts are in the launcher's own mount namespace and end with it.
}

[[noreturn]] void run_launcher(const LauncherSettings& settings, UniqueFd socket, int daemon) {
  // Only the daemon's end ends the launcher: a signal to the whole group or session lets the daemon finish its work.
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGQUIT}) {
    if (::signal(signal, SIG_IGN) == SIG_ERR) ::_exit(1);
  }
  sigset_t parent_death{};
  ::sigemptyset(&parent_death);
  ::sigaddset(&parent_death, SIGUSR1);
  ::sigprocmask(SIG_BLOCK, &parent_death, nullptr);
  ::prctl(PR_SET_PDEATHSIG, SIGUSR1, 0, 0, 0);
  ::prctl(PR_SET_NAME, "mayfly-launcher", 0, 0, 0);
  if (::getppid() != daemon) ::_exit(1);
  const timeval patience{.tv_sec = 30, .tv_usec = 0};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  LauncherServer server(settings, std::move(socket));
  if (auto ready = server.prepare(); !ready) {
    const json::object refusal{{"op", "refused"},
                               {"code", static_cast<int>(ready.error().code)},
                               {"message", ready.error().message},
                               {"hint", ready.error().hint}};
    server.end_all();
    (void)send_packet(server.socket().get(), to_json(refusal), {});
    ::_exit(1);
  }
  server.serve();
  ::_exit(0);
}

std::size_t threads_here() {
  std::error_code error;
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& task : std::filesystem::directory_iterator("/proc/self/task", error)) ++count;
  return count;
}

}  // namespace

Result<LauncherProcess> fork_launcher(const LauncherSettings& settings) {
  if (threads_here() != 1) return fail(ErrorCode::kInternal, "the launcher must be forked before any thread exists");
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return fail_errno("socketpair");
  UniqueFd here(ends[0]);
  UniqueFd there(ends[1]);
  const int daemon = ::getpid();
  const int pid = ::fork();
  if (pid < 0) return fail_errno("fork the launcher");
  if (pid == 0) {
    here.reset();
    run_launcher(settings, std::move(there), daemon);
  }
  there.reset();
  LauncherProcess process{.socket = std::move(here), .pid = pid, .capabilities_json = {}};
  pollfd ready{.fd = process.socket.get(), .events = POLLIN, .revents = 0};
  const bool answered = ::poll(&ready, 1, kReadyTimeoutMs) > 0;
  auto packet = answered ? receive_packet(process.socket.get(), true)
                         : Result<Packet>(fail(ErrorCode::kTimeout, "the launcher was not ready in time"));
  auto message = packet ? parse_json(packet->text) : Result<json::value>(std::unexpected(packet.error()));
  if (message && get_string(*message, "op") == "ready") {
    process.capabilities_json = std::string(get_string(*message, "capabilities"));
    return process;
  }
  ::kill(pid, SIGKILL);
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  if (!message) return std::unexpected(message.error());
  return fail(static_cast<ErrorCode>(get_int(*message, "code")), std::string(get_string(*message, "message")),
              std::string(get_string(*message, "hint")));
}

}  // namespace mayfly::sandbox
