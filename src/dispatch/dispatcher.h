// Admission, pools of instances, scaling, outcomes. The invoke path touches no disk and takes no global lock.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/async.h"
#include "base/error.h"
#include "dispatch/invocation.h"
#include "http/server.h"
#include "sandbox/launcher.h"
#include "sandbox/runtimes.h"

namespace mayfly::observe {
class LogStore;
class Metrics;
}  // namespace mayfly::observe

namespace mayfly::dispatch {

class Engine;

// Whose instance a request comes from.
struct FunctionCaller {
  std::string access_key_id;
  std::string session_token;
  std::string region;
};

struct DispatcherSettings {
  std::uint32_t account_concurrency = 1000;
  std::chrono::seconds idle_timeout{300};  // an idle instance is retired after this
  bool learn_idle = true;                  // the last one of a version after what its pauses tell (rhythm.h)
  std::uint64_t memory_budget_mb =
      0;  // sum of instances' memory sizes; 0: 80 % of the machine's. LRU eviction beyond it
  std::chrono::seconds init_timeout{10};
  sandbox::NetworkPolicy network;  // the most that any instance may have
  std::string endpoint_url;        // AWS_ENDPOINT_URL for functions, or ""
  // Variables with temporary credentials of a function's role, for one instance. Empty: functions get none.
  std::function<std::vector<std::pair<std::string, std::string>>(const Target&)> credentials;
  // Credentials outlive this age; an older instance is retired as soon as it is idle.
  std::chrono::seconds most_age{6 * 3600};
  // A version with SnapStart that was not invoked for so long keeps no initialised instance any more.
  std::chrono::seconds snapshot_keep{24 * 3600};
  std::uint64_t code_cache_mb = 64;  // compiled code of Node.js functions, all together; 0: none is kept
  // Answers signed requests that functions send to their Runtime API socket: the platform's own API, reached without
  // any network. Empty: there is none.
  http::Handler platform;
  // Answers on an instance's parameters-and-secrets address. Empty: nobody listens there.
  std::function<Awaitable<void>(http::Request&, http::ResponseWriter&, FunctionCaller)> secrets;
};

struct InstanceInfo {
  std::string id;
  std::string function_arn;
  std::string version;
  std::string state;  // "starting", "prepared", "idle", "busy", "draining"
  SystemTime since;
  std::uint64_t invocations = 0;
};

// What there is of the instances that a version's provisioned concurrency asks for.
struct ProvisionedState {
  std::uint32_t allocated = 0;  // initialised, at work or not
  std::uint32_t available = 0;  // of these, idle
  bool failed = false;          // the last one did not initialise; it is tried again by and by
};

// What there is of the initialised instances that a version with SnapStart keeps.
struct SnapshotState {
  bool pending = false;  // the first one is being initialised
  bool failed = false;   // the last one could not be; instances are initialised when an invocation needs them
  std::string reason;    // why it could not
};

// Whether the first snapshot of a version is waited for by whoever published it.
enum class SnapshotOrigin : std::uint8_t { kPublished, kLoaded };

class Dispatcher {
 public:
  Dispatcher(Reactors& reactors, Clock& clock, sandbox::Launcher& launcher, const sandbox::Runtimes& runtimes,
             observe::LogStore& logs, observe::Metrics& metrics, DispatcherSettings settings);
  ~Dispatcher();

  // Runs one invocation to its outcome. From any reactor. Errors are what keeps it from running at all:
  // kThrottled (message: "ReservedFunctionConcurrentInvocationLimitExceeded", "ConcurrentInvocationLimitExceeded"),
  // kUnsupported (runtime), kIo (no sandbox), kCancelled (shutting down). The function finishes and is recorded
  // although the caller goes away.
  Awaitable<Result<Outcome>> invoke(std::shared_ptr<const Target> target, Invocation invocation);

  // Its first invocation is to be thought of: a sandbox of its kind is made ahead where none is ready, so that it does
  // not wait for one.
  void expect(const Target& target);

  // A function's code or configuration changed, or it was deleted: idle instances of other generations of this version
  // ("" : of every version) are retired now, busy ones after their invocation.
  void drain(const std::string& function_arn, const std::string& version, const std::string& keep_generation);
  void set_reserved_concurrency(const std::string& function_arn, std::optional<std::uint32_t> limit);

  // Keeps `count` initialised instances of the target from now on, 0 for none; a drain of its generation ends it. They
  // count against the memory budget and are not retired for being idle. What cannot be started now is started when
  // memory is free; an instance that ends is replaced, one that does not initialise after kProvisionBackOff.
  void set_provisioned(const std::shared_ptr<const Target>& target, std::uint32_t count);
  [[nodiscard]] ProvisionedState provisioned(const Target& target) const;

  // Keeps initialised instances of the target, which are not at work until an invocation finds no other one free; a
  // drain of its generation ends it. They are made two at a time.
  void set_snap_start(const std::shared_ptr<const Target>& target, SnapshotOrigin origin);
  [[nodiscard]] SnapshotState snapshot(const Target& target) const;

  [[nodiscard]] std::vector<InstanceInfo> instances() const;
  [[nodiscard]] std::uint64_t concurrent_executions() const;

  // Brings the metrics' gauges (concurrent executions, instances by state) up to date; for whoever shows them.
  void publish_gauges() const;

  // Refuses new invocations, waits for running ones until the deadline, retires every instance.
  Awaitable<void> stop(std::chrono::nanoseconds at_most);

 private:
  std::shared_ptr<Engine> engine_;
};

}  // namespace mayfly::dispatch
