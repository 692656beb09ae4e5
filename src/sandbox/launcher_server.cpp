#include "sandbox/launcher_server.h"

#include <fmt/core.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/log.h"
#include "sandbox/launcher_protocol.h"

namespace mayfly::sandbox {
namespace {

using std::chrono::milliseconds;

constexpr int kRetryRemovalMs = 20;
constexpr std::chrono::seconds kSetupTimeout{10};
// The pool is filled when no start needs the processor, and within kFillLatest in any case.
constexpr milliseconds kFillAfter{20};
constexpr milliseconds kFillLatest{80};
constexpr int kPoolCheckMs = 10'000;
// As many slots as a pool may never take: functions come first.
constexpr std::size_t kSlotsForFunctions = 1024;

}  // namespace

// ---- Messages -------------------------------------------------------------------------------------------------------

void LauncherServer::send(const json::object& message, const std::vector<int>& fds) {
  // The send timeout passed or the daemon is gone: without it there is nothing to serve.
  if (auto sent = send_packet(socket_.get(), to_json(message), fds); !sent) daemon_gone_ = true;
}

void LauncherServer::send_failed(std::int64_t sequence, const Error& error) {
  send({{"op", "failed"},
        {"seq", sequence},
        {"code", static_cast<int>(error.code)},
        {"message", error.message},
        {"hint", error.hint}},
       {});
}

void LauncherServer::handle(const std::string& text) {
  auto message = parse_json(text);
  if (!message) return;
  const std::string_view op = get_string(*message, "op");
  const std::int64_t sequence = get_int(*message, "seq", -1);
  const std::string id(get_string(*message, "id"));
  const auto name = by_id_.find(id);
  if (op == "start" || op == "expect") {
    handle_start(*message, op == "start" ? sequence : -1);
  } else if (op == "kill") {
    handle_kill(id);
  } else if (op == "limit_cpu") {
    const std::int64_t milli = get_int(*message, "milli");
    if (name == by_id_.end() || records_.at(name->second).killed || milli < 1 || milli > 1'000'000) return;
    groups_.limit_cpu(name->second, static_cast<std::uint32_t>(milli));
  } else if (op == "peak") {
    const bool found = name != by_id_.end();
    const std::uint64_t bytes = found ? groups_.peak_memory_bytes(name->second) : 0;
    send({{"op", "peak"}, {"seq", sequence}, {"bytes", static_cast<std::int64_t>(bytes)}, {"found", found}}, {});
  } else if (op == "shutdown") {
    daemon_gone_ = true;
  }
}

void LauncherServer::handle_start(const json::value& message, std::int64_t sequence) {
  const json::value* raw = find(message, "spec");
  auto spec = spec_from_json(raw == nullptr ? json::value() : *raw);
  if (sequence < 0) {  // only expected
    const std::string kind = spec ? pool_.kind_of(*spec) : std::string();
    if (!kind.empty() && check(*spec)) pool_.expect(kind, *spec, clock_.steady_now());
    fill_wanted_ = true;
    return;
  }
  auto begun = spec ? start(std::move(*spec), sequence, true) : Result<void>(std::unexpected(spec.error()));
  if (!begun) send_failed(sequence, begun.error());
}

void LauncherServer::handle_kill(const std::string& id) {
  const auto name = by_id_.find(id);
  if (name == by_id_.end()) return;
  Record& record = records_.at(name->second);
  record.killed = true;
  // The end of a process namespace's init ends everything in it, by the kernel.
  kill_sandbox(record.sandbox);
  groups_.end(name->second);
}

// ---- Start ----------------------------------------------------------------------------------------------------------

Result<void> LauncherServer::check(const SandboxSpec& spec) const {
  if (by_id_.contains(spec.id.str())) return fail(ErrorCode::kExists, "a sandbox of this name is running");
  if (spec.network != NetworkMode::kLoopback && !links_) {
    return fail(ErrorCode::kUnsupported, "outbound network is not offered by this machine or not allowed",
                "`mayfly doctor` says what is missing.");
  }
  const NetworkPolicy wanted{.mode = spec.network, .networks = spec.allowed_networks};
  if (!allows(settings_.network, wanted)) {
    return fail(ErrorCode::kForbidden, "this server allows networks of a list only");
  }
  return {};
}

// `ahead`: a ready sandbox may be taken.
Result<void> LauncherServer::start(SandboxSpec spec, std::int64_t sequence, bool ahead) {
  if (auto possible = check(spec); !possible) return possible;
  auto code = roots_.code_for(spec);
  if (!code) return std::unexpected(code.error());
  last_start_ = clock_.steady_now();
  auto at = ahead ? take_ready(spec) : records_.end();
  const bool ready_made = at != records_.end();
  if (!ready_made) {
    auto made = make(spec, "");
    if (!made) return std::unexpected(made.error());
    at = *made;
  }
  Record& record = at->second;
  record.state = State::kStarting;
  record.deadline = last_start_ + kSetupTimeout;
  record.ready_for_code = last_start_;
  const auto own = [&]() -> Result<void> {
    if (auto done = groups_.limit(at->first, spec.limits); !done) return done;
    if (ready_made) {
      if (auto done = groups_.background(at->first, false); !done) return done;
    }
    return assign(record.sandbox, spec, std::move(*code));
  };
  if (auto done = own(); !done) {
    end(record, at->first);
    // The one that was ready may have died; what holds for the function itself holds for another sandbox too.
    if (ready_made) return start(std::move(spec), sequence, false);
    return done;
  }
  by_id_.emplace(spec.id.str(), at->first);
  record.owner.emplace(Owner{.spec = std::move(spec), .sequence = sequence, .ready_made = ready_made});
  ++starting_;
  return {};
}

LauncherServer::Records::iterator LauncherServer::take_ready(const SandboxSpec& spec) {
  const std::string kind = pool_.kind_of(spec);
  if (kind.empty()) return records_.end();
  if (!fill_wanted_) fill_since_ = last_start_;
  fill_wanted_ = true;
  const auto name = pool_.take(kind, spec, last_start_);
  return name ? records_.find(*name) : records_.end();
}

Result<void> LauncherServer::plan_groups(const std::string& name, bool background, SandboxPlan& plan) {
  if (auto done = groups_.create(name); !done) return done;
  if (background) {
    if (auto done = groups_.background(name, true); !done) return done;
  }
  plan.cgroup = groups_.clone_target(name);
  auto files = groups_.to_join(name);
  if (!files) return std::unexpected(files.error());
  plan.to_join = std::move(*files);
  return {};
}

// Everything but what is a function's own. With a kind it is for the pool, and starts the runtime where that asks for
// it.
Result<LauncherServer::Records::iterator> LauncherServer::make(const SandboxSpec& spec, const std::string& kind) {
  if (free_slots_.empty()) return fail(ErrorCode::kThrottled, "the launcher runs as many sandboxes as it can");
  const std::string name = fmt::format("sandbox-{}", ++count_);
  Record record;
  record.kind = kind;
  record.slot = *free_slots_.begin();
  record.deadline = clock_.steady_now() + kSetupTimeout;
  SandboxPlan plan;
  auto root = roots_.root_for(spec);
  if (!root) return std::unexpected(root.error());
  plan.root = std::move(*root);
  plan.seccomp = &seccomp_;
  plan.host_user = capabilities_.privileged ? first_user_ + record.slot : user_;
  plan.host_group = capabilities_.privileged ? first_user_ + record.slot : group_;
  plan.clear_groups = capabilities_.privileged;
  plan.runtime_api_port = spec.runtime_api_port;
  plan.pids = spec.limits.pids;
  plan.open_files = spec.limits.open_files;
  if (!kind.empty() && spec.ahead == Ahead::kRuntime) {
    plan.runtime_arguments = spec.argv;
    plan.runtime_variables = spec.runtime_environment;
  }
  const bool listed = spec.network == NetworkMode::kAllowList;
  // An empty list means "anywhere" to the link pool, and "nowhere" to whoever wrote an empty list.
  if (spec.network == NetworkMode::kOutbound || (listed && !spec.allowed_networks.empty())) {
    plan.connect = [&](int netns) -> Result<void> {
      record.linked = true;
      static const std::vector<std::string> kAnywhere;
      return links_->attach(netns, name, listed ? spec.allowed_networks : kAnywhere);
    };
  }
  auto begun = [&]() -> Result<Sandbox> {
    if (auto done = plan_groups(name, !kind.empty(), plan); !done) return std::unexpected(done.error());
    return begin_sandbox(std::move(plan));
  }();
  if (!begun) {
    if (record.linked) links_->detach(name);
    remove_later(name);
    return std::unexpected(begun.error());
  }
  record.sandbox = std::move(*begun);
  free_slots_.erase(record.slot);
  return records_.emplace(name, std::move(record)).first;
}

// ---- What a sandbox reports -----------------------------------------------------------------------------------------

bool LauncherServer::advance(Records::iterator at) {
  Record& record = at->second;
  const auto step = next_step(record.sandbox);
  if (!step) {
    failed(at, step.error());
    return false;
  }
  if (*step == Progress::kNone) return false;
  if (*step == Progress::kRunning) {
    running(at);
    return false;
  }
  const SteadyTime now = clock_.steady_now();
  if (*step == Progress::kReady) record.ready_for_code = now;
  if (*step == Progress::kAttached) {
    record.code_time = std::chrono::duration_cast<std::chrono::microseconds>(now - record.ready_for_code);
  }
  if (*step == Progress::kReady && record.state == State::kBuilding) {
    record.state = State::kReady;
    constexpr std::uint64_t kKernelBytes = 1 << 20;
    const std::uint64_t bytes = record.memory_bytes = groups_.memory_bytes(at->first);
    pool_.built(record.kind, at->first, bytes == 0 ? 0 : bytes + kKernelBytes);
    fill_wanted_ = true;
  }
  return true;
}

void LauncherServer::running(Records::iterator at) {
  Record& record = at->second;
  record.state = State::kRunning;
  if (!record.owner->ready_made) record.memory_bytes = groups_.memory_bytes(at->first);
  record.sandbox.setup.reset();
  --starting_;
  send({{"op", "started"},
        {"seq", record.owner->sequence},
        {"ready_made", record.owner->ready_made},
        {"memory", static_cast<std::int64_t>(record.memory_bytes)},
        {"code_us", std::int64_t{record.code_time.count()}}},
       {record.sandbox.runtime_api.get(), record.sandbox.secrets.get(), record.sandbox.output.get()});
  record.sandbox.runtime_api.reset();
  record.sandbox.secrets.reset();
  record.sandbox.output.reset();
  // Not needed any more, and it holds the function's variables.
  const SandboxId id = record.owner->spec.id;
  for (auto& [name, value] : record.owner->spec.environment) explicit_bzero(value.data(), value.size());
  record.owner->spec = SandboxSpec();
  record.owner->spec.id = id;
}

void LauncherServer::failed(Records::iterator at, const StepError& error) {
  Record& record = at->second;
  const State state = record.state;
  end(record, at->first);
  if (state == State::kBuilding) {
    if (!record.killed) log(Level::kWarn, "a sandbox could not be made ahead", {{"error", error.error.message}});
    pool_.not_built(record.kind, clock_.steady_now());
  } else if (state == State::kReady) {
    pool_.lost(record.kind, at->first);
  } else if (record.owner) {
    --starting_;
    Owner owner = std::move(*record.owner);
    record.owner.reset();
    by_id_.erase(owner.spec.id.str());
    // It died while it was ready, before anything of the function was in it.
    const bool was_dead = error.step == 0 || error.step == static_cast<int>(Step::kHandOver);
    Result<void> again = std::unexpected(error.error);
    if (owner.ready_made && was_dead && !record.killed) again = start(std::move(owner.spec), owner.sequence, false);
    if (!again) send_failed(owner.sequence, again.error());
  }
}

void LauncherServer::end(Record& record, const std::string& name) {
  record.state = State::kEnding;
  record.sandbox.setup.reset();
  kill_sandbox(record.sandbox);
  groups_.end(name);
}

void LauncherServer::check_deadlines() {
  const SteadyTime now = clock_.steady_now();
  std::vector<std::string> late;
  for (const auto& [name, record] : records_) {
    const bool coming_up = record.state == State::kBuilding || record.state == State::kStarting;
    if (coming_up && record.deadline <= now) late.push_back(name);
  }
  for (const auto& name : late) {
    Error error{.code = ErrorCode::kTimeout, .message = "the sandbox was not set up in time", .hint = {}};
    failed(records_.find(name), {.error = std::move(error), .step = -1});
  }
}

// ---- End ------------------------------------------------------------------------------------------------------------

void LauncherServer::remove_later(const std::string& name) {
  if (!groups_.remove(name)) to_remove_.push_back(name);
}

void LauncherServer::release(Records::iterator at) {
  if (at->second.linked) links_->detach(at->first);
  free_slots_.insert(at->second.slot);
  remove_later(at->first);
  records_.erase(at);
}

void LauncherServer::ended(Records::iterator at, int wait_status) {
  // What it said before it ended comes first.
  while (at->second.sandbox.setup && advance(at)) {
  }
  Record& record = at->second;
  if (record.state == State::kRunning) {
    int status = 0;
    // The init that was killed itself has not written how the program ended.
    if (::read(record.sandbox.status.get(), &status, sizeof status) != sizeof status) status = wait_status;
    const bool oom = status != 0 && !record.killed && groups_.oom_kills(at->first) > 0;
    const std::uint64_t peak = groups_.peak_memory_bytes(at->first);
    const std::string id = record.owner->spec.id.str();
    by_id_.erase(id);
    release(at);
    send({{"op", "exited"}, {"id", id}, {"status", status}, {"oom", oom}, {"peak", static_cast<std::int64_t>(peak)}},
         {});
    return;
  }
  if (record.state != State::kEnding) {
    Error error{.code = ErrorCode::kIo, .message = "the sandbox's first process died", .hint = {}};
    failed(at, {.error = std::move(error), .step = 0});
  }
  release(at);
}

void LauncherServer::reap() {
  int status = 0;
  for (int pid = 0; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;) {
    const auto found = std::ranges::find_if(records_, [&](const auto& r) { return r.second.sandbox.pid == pid; });
    if (found != records_.end()) ended(found, status);
  }
}

void LauncherServer::end_all() {
  settings_.ready_memory_mb = 0;
  for (auto& [name, record] : records_) {
    record.killed = true;
    kill_sandbox(record.sandbox);
    groups_.end(name);
  }
  while (!records_.empty()) {
    int status = 0;
    const int pid = ::waitpid(-1, &status, 0);
    if (pid < 0 && errno != EINTR) break;
    const auto found = std::ranges::find_if(records_, [&](const auto& r) { return r.second.sandbox.pid == pid; });
    if (found != records_.end()) ended(found, status);
  }
  if (links_) links_->shutdown();
  groups_.remove_all();
  // The mounts are in the launcher's own mount namespace and end with it.
}

// ---- The pool and the loop ------------------------------------------------------------------------------------------

// One at a time and never before a message that waits: called when nothing else is to be done.
void LauncherServer::fill_pool() {
  const SteadyTime now = clock_.steady_now();
  while (const auto surplus = pool_.next_surplus(now)) {
    const auto at = records_.find(*surplus);
    if (at != records_.end()) end(at->second, at->first);
  }
  if (now < std::min(last_start_ + kFillAfter, fill_since_ + kFillLatest)) return;
  const std::size_t most = starting_ == 0 ? ReadyPool::kMostBuilding : 1;
  const auto order = free_slots_.size() > kSlotsForFunctions ? pool_.next_order(now, most) : std::nullopt;
  fill_wanted_ = order.has_value();
  if (!order) return;
  pool_.building(order->kind);
  auto made = make(*order->like, order->kind);
  if (made) return;
  log(Level::kWarn, "a sandbox could not be made ahead", {{"error", made.error().message}});
  pool_.not_built(order->kind, now);
}

int LauncherServer::patience_ms() const {
  int most = kPoolCheckMs;
  if (!to_remove_.empty()) most = kRetryRemovalMs;
  const SteadyTime now = clock_.steady_now();
  const auto until = [&](SteadyTime when) {
    const auto left = std::chrono::ceil<milliseconds>(when - now).count();
    most = static_cast<int>(std::clamp<std::int64_t>(left, 0, most));
  };
  if (fill_wanted_) until(std::min(last_start_ + kFillAfter, fill_since_ + kFillLatest));
  for (const auto& [name, record] : records_) {
    if (record.state == State::kBuilding || record.state == State::kStarting) until(record.deadline);
  }
  return most;
}

void LauncherServer::take_signals() {
  signalfd_siginfo info{};
  while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
    if (info.ssi_signo == SIGUSR1) daemon_gone_ = true;
  }
}

void LauncherServer::read_requests() {
  constexpr int kAtOnce = 16;
  for (int i = 0; i < kAtOnce && !daemon_gone_; ++i) {
    auto packet = receive_packet(socket_.get(), false);
    if (!packet) {
      if (packet.error().code == ErrorCode::kClosed || packet.error().code == ErrorCode::kIo) daemon_gone_ = true;
      if (packet.error().code == ErrorCode::kInvalid) continue;
      return;
    }
    handle(packet->text);
    explicit_bzero(packet->text.data(), packet->text.size());
  }
}

void LauncherServer::serve() {
  sigset_t wanted{};
  ::sigemptyset(&wanted);
  ::sigaddset(&wanted, SIGCHLD);
  ::sigaddset(&wanted, SIGUSR1);
  ::sigprocmask(SIG_BLOCK, &wanted, nullptr);
  signals_.reset(::signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK));
  std::vector<pollfd> ready;
  std::vector<std::string> names;
  while (!daemon_gone_) {
    ready.assign({{.fd = socket_.get(), .events = POLLIN, .revents = 0},
                  {.fd = signals_.get(), .events = POLLIN, .revents = 0}});
    names.clear();
    for (const auto& [name, record] : records_) {
      if (record.state != State::kBuilding && record.state != State::kStarting) continue;
      ready.push_back({.fd = record.sandbox.setup.get(), .events = POLLIN, .revents = 0});
      names.push_back(name);
    }
    const int count = ::poll(ready.data(), ready.size(), patience_ms());
    if (count < 0 && errno != EINTR) break;
    if (ready[1].revents != 0) take_signals();
    reap();
    for (std::size_t i = 0; i < names.size(); ++i) {
      const auto at = records_.find(names[i]);
      if (ready[i + 2].revents == 0 || at == records_.end() || !at->second.sandbox.setup) continue;
      while (at->second.sandbox.setup && advance(at)) {
      }
    }
    std::erase_if(to_remove_, [&](const std::string& name) { return groups_.remove(name); });
    check_deadlines();
    if (ready[0].revents != 0) read_requests();
    if (count == 0) fill_pool();
  }
  end_all();
}

}  // namespace mayfly::sandbox
