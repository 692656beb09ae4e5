// The launcher's state and what it does for the daemon. Used only in the launcher process.
//
// Operation.   A start takes a ready sandbox or begins one, assigns it, and is answered when its program runs; many are
//              on their way at once, each waiting in its own process. Between the daemon's messages the pool of ready
//              sandboxes is filled. A ready sandbox that turns out to be dead costs its start one more attempt.
// Concurrency. One thread. No call waits for a sandbox; what waits for the kernel is in the sandboxes' processes, save
//              the clone and the virtual link.
// Limits.      kMaxInstances sandboxes, kSetupTimeout for each to come up. The daemon's messages are read as hostile.
#pragma once

#include <linux/filter.h>

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "sandbox/capabilities.h"
#include "sandbox/cgroups.h"
#include "sandbox/instance.h"
#include "sandbox/launcher.h"
#include "sandbox/network_link.h"
#include "sandbox/ready_pool.h"

namespace mayfly::sandbox {

class LauncherServer {
 public:
  LauncherServer(LauncherSettings settings, UniqueFd socket);

  Result<void> prepare();
  void serve();
  void end_all();
  [[nodiscard]] const UniqueFd& socket() const { return socket_; }

 private:
  enum class State : std::uint8_t { kBuilding, kReady, kStarting, kRunning, kEnding };
  struct Owner {
    SandboxSpec spec;
    std::int64_t sequence = 0;  // of the daemon's request
    bool ready_made = false;
  };
  struct Record {
    Sandbox sandbox;
    State state = State::kBuilding;
    unsigned slot = 0;
    std::uint64_t memory_bytes = 0;  // when it was ready
    bool linked = false;
    bool killed = false;
    std::string kind;            // of the pool it is made for; empty for none
    std::optional<Owner> owner;  // from its assignment on
    SteadyTime deadline;
    SteadyTime ready_for_code;  // it was built and assigned
    std::chrono::microseconds code_time{0};
  };
  using Records = std::map<std::string, Record>;

  Result<void> enter_user_namespace();
  Result<void> find_controllers(const std::string& suffix);
  void find_links(const std::string& suffix);
  void send(const json::object& message, const std::vector<int>& fds);
  void send_failed(std::int64_t sequence, const Error& error);
  void handle(const std::string& text);
  void handle_start(const json::value& message, std::int64_t sequence);
  void handle_kill(const std::string& id);

  Result<void> check(const SandboxSpec& spec) const;
  Result<void> start(SandboxSpec spec, std::int64_t sequence, bool ahead);
  Result<Records::iterator> make(const SandboxSpec& spec, const std::string& kind);
  Result<void> plan_groups(const std::string& name, bool background, SandboxPlan& plan);
  Records::iterator take_ready(const SandboxSpec& spec);
  bool advance(Records::iterator at);  // false where nothing more is there to be read
  void running(Records::iterator at);
  void failed(Records::iterator at, const StepError& error);
  void end(Record& record, const std::string& name);
  void reap();
  void ended(Records::iterator at, int wait_status);
  void release(Records::iterator at);
  void remove_later(const std::string& name);
  void fill_pool();
  void check_deadlines();
  [[nodiscard]] int patience_ms() const;
  void take_signals();
  void read_requests();

  LauncherSettings settings_;
  UniqueFd socket_;
  UniqueFd signals_;
  UniqueFd lock_;
  RealClock clock_;
  Capabilities capabilities_;
  Cgroups groups_;
  RootTrees roots_;
  std::unique_ptr<LinkPool> links_;
  std::vector<sock_filter> seccomp_;
  ReadyPool pool_;
  Records records_;
  std::map<std::string, std::string> by_id_;  // the daemon's name of a sandbox, to the record's
  std::set<unsigned> free_slots_;
  std::vector<std::string> to_remove_;  // control groups that the kernel has not let go yet
  std::uint64_t count_ = 0;
  std::size_t starting_ = 0;  // records with an owner that does not run yet
  SteadyTime last_start_;
  SteadyTime fill_since_;
  unsigned first_user_ = 0;
  unsigned user_ = 0;  // of an unprivileged launcher
  unsigned group_ = 0;
  bool fill_wanted_ = true;
  bool daemon_gone_ = false;
};

}  // namespace mayfly::sandbox
