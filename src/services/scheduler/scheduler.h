// EventBridge Scheduler: schedules, their groups, and firing them.
//
// Operation.   Every change of a schedule is one durable compare-and-set of its record, which holds when it fires next;
//              Firing hands what is due to delivery.
// Concurrency. Any reactor; nothing is locked across a wait.
// Limits.      AWS's own: 1,000,000 schedules and 500 groups in an account and region, 256 KB of input.
// Recovery.    load() reads when each schedule fires and goes on with the deletion of groups; start() then hands over
//              what was missed.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "aws/api.h"
#include "base/async.h"
#include "base/clock.h"
#include "delivery/delivery.h"
#include "store/key_value.h"

namespace mayfly::scheduler {

struct SchedulerSettings {
  std::string account = "000000000000";
  std::string region = "us-east-1";
  std::string zone_folder = "/usr/share/zoneinfo";
  std::uint64_t max_schedules = 1'000'000;  // of one account and region
  std::uint64_t max_groups = 500;
};

class Scheduler {
 public:
  // `submit` is delivery::Delivery::submit_all; `supports` is delivery::Targets::supports.
  Scheduler(store::KeyValue& store, std::function<Awaitable<Result<void>>(std::vector<delivery::Request>)> submit,
            std::function<bool(std::string_view)> supports, Clock& clock, SchedulerSettings settings);
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  // How inputs that name the attempt reach their targets. Before delivery starts; `targets` outlives it.
  static void add_to(delivery::Targets& targets);

  Awaitable<Result<void>> load();
  // Begins to fire. After delivery has started.
  void start(Reactor& reactor);
  // Before delivery stops.
  Awaitable<void> stop();
  [[nodiscard]] aws::Service& service();

  struct Info {
    std::string arn;
    std::string name;
    std::string group;
    std::string expression;
    std::string zone;
    std::string state;
    std::string target_arn;
    std::optional<SystemTime> next;  // the next occurrence
    std::optional<SystemTime> last;  // the last one that was handed over
    std::vector<SystemTime> upcoming;
  };
  // In order of group and name, from the first behind `after` ("<group>/<name>"); "" of place: the server's own.
  Awaitable<Result<std::vector<Info>>> list(std::string region, std::string group, std::string after,
                                            std::size_t limit);
  // One, with its next `upcoming` occurrences. kNotFound.
  Awaitable<Result<Info>> find(std::string region, std::string group, std::string name, std::size_t upcoming);
  // Hands one occurrence over now, besides those of the plan. kNotFound.
  Awaitable<Result<void>> run_now(std::string region, std::string group, std::string name);

  struct Counts {
    std::uint64_t fired = 0;    // of this run
    std::uint64_t waiting = 0;  // schedules that will fire again
    std::optional<SystemTime> next;
  };
  [[nodiscard]] Counts counts() const;
  // Everything due at `now` or before has been handed over: for clocks that are advanced.
  [[nodiscard]] bool is_settled(SystemTime now) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mayfly::scheduler
