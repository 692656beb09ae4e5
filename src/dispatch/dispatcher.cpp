#include "dispatch/dispatcher.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/ids.h"
#include "dispatch/engine.h"
#include "dispatch/instance.h"
#include "dispatch/pool.h"
#include "dispatch/sandbox_plan.h"
#include "observe/metrics.h"

namespace mayfly::dispatch {
namespace {

// How long an admitted invocation waits for memory while nothing is being started for it.
constexpr std::chrono::seconds kCapacityWait{30};

}  // namespace

Dispatcher::Dispatcher(Reactors& reactors, Clock& clock, sandbox::Launcher& launcher, const sandbox::Runtimes& runtimes,
                       observe::LogStore& logs, observe::Metrics& metrics, DispatcherSettings settings)
    : engine_(std::make_shared<Engine>(reactors, clock, launcher, runtimes, logs, metrics, std::move(settings))) {
  // Weak: the launcher may report after the dispatcher's end.
  launcher.on_exit([weak = std::weak_ptr<Engine>(engine_)](const sandbox::Exited& exit) {
    if (auto engine = weak.lock()) engine->exited(exit);
  });
}

Dispatcher::~Dispatcher() = default;

Awaitable<Result<Outcome>> Dispatcher::invoke(std::shared_ptr<const Target> target, Invocation invocation) {
  const EnginePtr engine = engine_;
  const std::shared_ptr<FunctionPool> pool = engine->pool(target->function_arn);
  const auto ticket = std::make_shared<Ticket>();
  ticket->target = std::move(target);
  ticket->invocation = std::move(invocation);
  ticket->submitted = engine->clock.steady_now();
  ticket->reactor = Reactor::current_or_null();
  if (engine->stopping) co_return fail(ErrorCode::kCancelled, "the server is shutting down");
  if (const char* limit = pool->admit(*ticket)) {
    engine->metrics.record_throttle(*ticket->target, limit);
    co_return fail(ErrorCode::kThrottled, limit);
  }
  // Looked at again: stop() waits for what was admitted before it began, and for nothing else.
  if (engine->stopping) {
    pool->leave(*ticket);
    co_return fail(ErrorCode::kCancelled, "the server is shutting down");
  }
  pool->submit(ticket);
  for (;;) {
    auto outcome = co_await ticket->done.get_until(engine->clock.steady_now() + kCapacityWait);
    if (outcome) co_return std::move(*outcome);
    if (!pool->give_up(ticket)) continue;
    pool->leave(*ticket);
    engine->metrics.record_throttle(*ticket->target, "ConcurrentInvocationLimitExceeded");
    co_return fail(ErrorCode::kThrottled, "ConcurrentInvocationLimitExceeded",
                   "no memory is left in the budget for another instance");
  }
}

void Dispatcher::expect(const Target& target) {
  const auto plan =
      engine_->runtimes.plan(target.runtime, target.handler, target.code_directory, target.layer_directories);
  if (!plan) return;
  // No credentials for what only tells the kind.
  DispatcherSettings settings = engine_->settings;
  settings.credentials = nullptr;
  engine_->launcher.expect(make_spec(target, *plan, settings, sandbox::SandboxId(random_hex(16)), ""));
}

void Dispatcher::drain(const std::string& function_arn, const std::string& version,
                       const std::string& keep_generation) {
  engine_->pool(function_arn)->drain(version, keep_generation);
}

void Dispatcher::set_reserved_concurrency(const std::string& function_arn, std::optional<std::uint32_t> limit) {
  engine_->pool(function_arn)->set_reserved(limit);
}

void Dispatcher::set_provisioned(const std::shared_ptr<const Target>& target, std::uint32_t count) {
  engine_->pool(target->function_arn)->set_provisioned(target, count);
}

ProvisionedState Dispatcher::provisioned(const Target& target) const {
  return engine_->pool(target.function_arn)->provisioned(target.generation);
}

void Dispatcher::set_snap_start(const std::shared_ptr<const Target>& target, SnapshotOrigin origin) {
  engine_->pool(target->function_arn)->set_snap_start(target, origin);
}

SnapshotState Dispatcher::snapshot(const Target& target) const {
  return engine_->pool(target.function_arn)->snapshot(target.generation);
}

std::vector<InstanceInfo> Dispatcher::instances() const {
  std::vector<InstanceInfo> all;
  for (const auto& pool : engine_->pools()) pool->list(all);
  return all;
}

std::uint64_t Dispatcher::concurrent_executions() const { return engine_->running(); }

void Dispatcher::publish_gauges() const {
  engine_->metrics.set_concurrent_executions(static_cast<double>(engine_->running()));
  const std::vector<InstanceInfo> all = instances();
  for (const char* state : {"starting", "prepared", "idle", "busy", "draining"}) {
    const auto count = std::count_if(all.begin(), all.end(), [&](const auto& info) { return info.state == state; });
    engine_->metrics.set_instances(state, static_cast<double>(count));
  }
}

Awaitable<void> Dispatcher::stop(std::chrono::nanoseconds at_most) {
  const EnginePtr engine = engine_;
  const SteadyTime deadline = engine->clock.steady_now() + at_most;
  engine->stopping = true;
  while (engine->running() > 0) {
    const bool notified = co_await engine->quiet.wait_until(deadline);
    if (!notified) break;
  }
  // From here nothing is started, and what an ending instance gives back is cancelled instead of queued.
  engine->aborting = true;
  engine->scope.stop();
  for (const auto& pool : engine->pools()) {
    for (const auto& ticket : pool->take_waiters()) {
      pool->leave(*ticket);
      ticket->settle(fail(ErrorCode::kCancelled, "the server is shutting down"));
    }
    pool->close_all();
  }
  co_await engine->scope.join();
}

}  // namespace mayfly::dispatch
