// One sandbox and the runtime in it, from start to end.
//
// Operation.   run() starts the sandbox, serves its Runtime API, waits until the instance is to end, and removes it. In
//              between, events move it: the runtime asks for an event or answers one, its time runs out, it exits, the
//              pool gives it an invocation or takes it out of service. An invocation whose event the runtime has not
//              taken yet goes back to the pool when the instance ends; one that was taken has its outcome here.
//              One that is prepared (SnapStart, instance_prepared.cpp) initialises first and rests until an invocation
//              restores it.
// Concurrency. Everything runs on reactor(); post_*() may be called from anywhere. What the pool records of it is the
//              pool's.
// Limits.      Initialization by the setting, an invocation by its target's timeout, the way from claim to the
//              runtime's next by kTakeTimeout, the end of the sandbox by kExitTimeout.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "dispatch/engine.h"
#include "dispatch/output_pipe.h"
#include "dispatch/pool.h"
#include "dispatch/runtime_api.h"
#include "dispatch/ticket.h"

namespace mayfly::dispatch {

class Instance final : public RuntimePeer, public std::enable_shared_from_this<Instance> {
 public:
  Instance(EnginePtr engine, std::shared_ptr<FunctionPool> pool, std::shared_ptr<const Target> target, Reactor& reactor,
           StartReason reason);

  bool start();  // false where the dispatcher's scope starts nothing any more
  void post_deliver(const TicketPtr& ticket);
  void post_restore(const TicketPtr& ticket);  // it was prepared, and the pool has taken it out for this invocation
  void post_close();                           // it was idle and the pool has taken it out
  void post_abort();                           // end now, whatever runs
  void post_exit(const sandbox::Exited& exit);

  [[nodiscard]] const Target& target() const { return *target_; }
  [[nodiscard]] Reactor& reactor() const { return reactor_; }
  [[nodiscard]] const sandbox::SandboxId& id() const { return id_; }

  // RuntimePeer
  bool may_ask_next() const override { return !delivered_; }
  Awaitable<std::optional<Delivery>> next(NextCall& call) override;
  TicketPtr current() const override { return delivered_ ? ticket_ : nullptr; }
  bool was_last(const std::string& request_id) const override { return request_id == last_request_id_; }
  void answer(const TicketPtr& ticket, RuntimeAnswer answer) override;
  bool initializing() const override { return !ready_ && !prepared_; }
  bool may_ask_restore() const override { return target_->snap_start && !ready_ && !closing_; }
  Awaitable<bool> restore_next(NextCall& call) override;
  bool restoring() const override { return !ready_ && restore_begun_; }
  void restore_error(std::string error_type, std::string payload) override;
  void init_error(std::string error_type, std::string payload) override;
  std::shared_ptr<const std::string> compiled_code() override;
  bool keep_compiled_code(std::string code) override;

 private:
  static Awaitable<void> run(std::shared_ptr<Instance> self);
  static Awaitable<void> read_peak(std::shared_ptr<Instance> self);
  Awaitable<Result<void>> bring_up();
  void serve_secrets(UniqueFd listening, FunctionCaller caller);
  Awaitable<void> take_down();
  void on_reactor(void (Instance::*call)());
  void deliver(const TicketPtr& ticket);
  void close();
  void abort();
  void exited();
  void became_ready();
  void first_next();
  void become_prepared();
  void restore(const TicketPtr& ticket);
  void prepared_timer_fired();
  void prepare_another();
  void write_init_report(const std::string& failure);
  void fail_start(const Error& error);
  // `payload` makes the error object for the request that fails with it.
  void fail_init(OutcomeStatus status, const std::function<std::string(const std::string&)>& payload);
  void timed_out();
  void not_taken();
  void give_back();
  void mark_delivered();
  void finish(RuntimeAnswer answer);
  void settle(const TicketPtr& ticket, Outcome outcome);
  void run_next(AfterWork next);
  void refresh_peak();
  void arm_idle_timer(SteadyTime idle_until);
  void idle_timer_fired();
  void arm_run_timer();
  void run_timer_fired();
  void set_timer(Reactor::TimerId& timer, SteadyTime when, void (Instance::*call)());
  void clear_timer(Reactor::TimerId& timer);
  void write_line(std::string line);
  void write_lines(std::vector<std::string> lines);
  [[nodiscard]] std::string code_key() const;
  [[nodiscard]] std::string exit_payload(const std::string& request_id) const;

  const EnginePtr engine_;
  const std::shared_ptr<FunctionPool> pool_;
  const std::shared_ptr<const Target> target_;
  Reactor& reactor_;
  const sandbox::SandboxId id_;
  const std::string log_stream_;
  const StartReason reason_;

  Signal changed_;  // run() looks again
  Signal events_;   // next() looks again
  std::unique_ptr<http::AdoptedListener> listener_;
  std::unique_ptr<http::AdoptedListener> secrets_listener_;
  std::unique_ptr<OutputPipe> output_;
  NextCall* waiting_call_ = nullptr;
  TicketPtr ticket_;
  std::string last_request_id_;
  std::optional<sandbox::Exited> exit_;
  std::string log_tail_;
  SteadyTime begun_at_;
  SteadyTime launched_at_;
  std::optional<SteadyTime> connected_at_;  // the runtime's first connection
  ColdStart phases_;
  SteadyTime delivered_at_;
  SystemTime started_at_;
  std::chrono::microseconds init_duration_{0};
  std::optional<std::uint32_t> steady_cpu_milli_;  // the share that holds once it has initialised

  SteadyTime peak_read_at_ = SteadyTime::min();
  std::uint64_t peak_bytes_ = 0;
  Reactor::TimerId init_timer_ = 0;
  Reactor::TimerId run_timer_ = 0;
  Reactor::TimerId take_timer_ = 0;
  Reactor::TimerId idle_timer_ = 0;
  // The two timers of every invocation stay where they are when their deadline moves back, and are set again when they
  // fire too early.
  SteadyTime run_deadline_;
  SteadyTime run_timer_at_;
  SteadyTime idle_deadline_;
  SteadyTime idle_timer_at_;
  SteadyTime init_from_;  // from when its initialization, or its restore, is measured
  bool ready_ = false;
  bool asked_restore_ = false;  // its runtime knows of snapshots and has hooks to run
  bool prepared_ = false;       // it has initialised and is at rest, or was
  bool restore_begun_ = false;  // the runtime may go on to its hooks and its first event
  bool delivered_ = false;      // the event is on its way to the runtime: it must not run elsewhere any more
  bool cold_ = false;           // the current invocation waited for the initialization
  bool closing_ = false;
  bool down_ = false;  // the sandbox has ended
  bool reading_peak_ = false;
};

}  // namespace mayfly::dispatch
