#include "dispatch/instance.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "base/time_format.h"
#include "dispatch/error_objects.h"
#include "dispatch/sandbox_plan.h"
#include "observe/log_store.h"
#include "observe/metrics.h"
#include "observe/report_lines.h"

namespace mayfly::dispatch {
namespace {

using std::chrono::ceil;
using std::chrono::duration_cast;
using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr std::size_t kSecretsConnections = 16;
constexpr std::chrono::seconds kTakeTimeout{10};
constexpr std::chrono::seconds kExitTimeout{10};
constexpr std::chrono::seconds kPeakInterval{1};
constexpr std::size_t kTailBytes = 4096;
constexpr int kAttempts = 5;

// "2026/01/31/[$LATEST]<id>", as CloudWatch Logs names the stream of an instance.
std::string stream_name(SystemTime now, const std::string& version, const std::string& id) {
  const std::string text = iso8601_millis(now);
  return fmt::format("{}/{}/{}/[{}]{}", text.substr(0, 4), text.substr(5, 2), text.substr(8, 2), version, id);
}

microseconds since(SteadyTime start, SteadyTime now) { return duration_cast<microseconds>(now - start); }

}  // namespace

Instance::Instance(EnginePtr engine, std::shared_ptr<FunctionPool> pool, std::shared_ptr<const Target> target,
                   Reactor& reactor, StartReason reason)
    : engine_(std::move(engine)),
      pool_(std::move(pool)),
      target_(std::move(target)),
      reactor_(reactor),
      id_(random_hex(16)),
      log_stream_(stream_name(engine_->clock.now(), target_->version, id_.str())),
      reason_(reason) {}

// ---- Messages to the reactor ----------------------------------------------------------------------------------------

void Instance::on_reactor(void (Instance::*call)()) {
  if (reactor_.in_this_thread()) {
    (this->*call)();
    return;
  }
  reactor_.post([self = shared_from_this(), call] { ((*self).*call)(); });
}

bool Instance::start() {
  engine_->expect_exit(id_, shared_from_this());
  return engine_->scope.spawn(reactor_, "instance", [self = shared_from_this()] { return run(self); });
}

void Instance::post_deliver(const TicketPtr& ticket) {
  if (reactor_.in_this_thread()) {
    deliver(ticket);
    return;
  }
  reactor_.post([self = shared_from_this(), ticket] { self->deliver(ticket); });
}

void Instance::post_close() { on_reactor(&Instance::close); }
void Instance::post_abort() { on_reactor(&Instance::abort); }

void Instance::post_exit(const sandbox::Exited& exit) {
  reactor_.post([self = shared_from_this(), exit] {
    if (self->exit_) return;
    self->exit_ = exit;
    self->peak_bytes_ = std::max(self->peak_bytes_, exit.peak_memory_bytes);
    self->exited();
  });
}

// ---- Life -----------------------------------------------------------------------------------------------------------

Awaitable<void> Instance::run(std::shared_ptr<Instance> self) {
  auto up = co_await self->bring_up();
  if (!up) self->fail_start(up.error());
  while (!self->closing_) co_await self->changed_.wait_until(kNoDeadline);
  co_await self->take_down();
  self->pool_->gone(self);
  self->engine_->forget_exit(self->id_);
  if (self->engine_->stopping) co_return;
  self->pool_->start_for_waiters();
  self->pool_->prepare();
  self->engine_->retry_starved();
  const auto again = self->pool_->provision_again();
  if (!again) co_return;
  const std::weak_ptr<FunctionPool> weak = self->pool_;
  self->reactor_.call_at(*again, [weak] {
    if (const auto pool = weak.lock()) pool->start_for_waiters();
  });
}

Awaitable<Result<void>> Instance::bring_up() {
  begun_at_ = reactor_.steady_now();
  auto plan =
      engine_->runtimes.plan(target_->runtime, target_->handler, target_->code_directory, target_->layer_directories);
  if (!plan) co_return std::unexpected(plan.error());
  auto spec = make_spec(*target_, *plan, engine_->settings, id_, log_stream_);
  if (may_keep_code(*target_) && engine_->code_cache.is_kept()) {
    spec.environment.emplace_back("MAYFLY_CODE_CACHE", compiled_code() ? "read" : "write");
  }
  for (auto& [name, value] : spec.environment) {
    const bool provisioned = reason_ == StartReason::kProvisioned && !target_->snap_start;
    if (provisioned && name == "AWS_LAMBDA_INITIALIZATION_TYPE") value = "provisioned-concurrency";
  }
  if (spec.limits.start_cpu_milli > spec.limits.cpu_milli) steady_cpu_milli_ = spec.limits.cpu_milli;
  FunctionCaller caller;
  caller.region = target_->region;
  for (const auto& [name, value] : spec.environment) {
    if (name == "AWS_ACCESS_KEY_ID") caller.access_key_id = value;
    if (name == "AWS_SESSION_TOKEN") caller.session_token = value;
  }
  started_at_ = engine_->clock.now();
  auto started = co_await engine_->launcher.start(std::move(spec));
  if (!started) co_return std::unexpected(started.error());
  launched_at_ = init_from_ = reactor_.steady_now();
  phases_.ready_made = started->ready_made;
  // The first invocation may be over before the first reading is.
  peak_bytes_ = std::max<std::uint64_t>(peak_bytes_, started->memory_bytes);
  phases_.code = started->code_time;
  phases_.sandbox = std::max(microseconds(0), since(begun_at_, launched_at_) - phases_.code);
  // Weak: the pipe is this instance's, and a line after its end is nobody's.
  std::weak_ptr<Instance> weak = weak_from_this();
  output_ = std::make_unique<OutputPipe>(reactor_, std::move(started->output), [weak](std::string line) {
    if (auto self = weak.lock()) self->write_line(std::move(line));
  });
  if (closing_) co_return Result<void>();
  std::function<void()> accepted = [weak] {
    auto self = weak.lock();
    if (self && !self->connected_at_) self->connected_at_ = self->reactor_.steady_now();
  };
  auto handler = runtime_api_handler(shared_from_this(), engine_->settings.platform);
  listener_ = std::make_unique<http::AdoptedListener>(reactor_, std::move(started->runtime_api), runtime_api_limits(),
                                                      std::move(handler), std::move(accepted));
  serve_secrets(std::move(started->secrets), std::move(caller));
  set_timer(init_timer_, launched_at_ + engine_->settings.init_timeout, &Instance::timed_out);
  co_return Result<void>();
}

void Instance::serve_secrets(UniqueFd listening, FunctionCaller caller) {
  if (!listening || !engine_->settings.secrets) return;
  auto handler = [engine = engine_, caller = std::move(caller)](http::Request& request,
                                                                http::ResponseWriter& response) {
    return engine->settings.secrets(request, response, caller);
  };
  http::ServerLimits limits;
  limits.connections = kSecretsConnections;
  limits.body_bytes = 0;
  secrets_listener_ = std::make_unique<http::AdoptedListener>(reactor_, std::move(listening), limits,
                                                              std::move(handler), std::function<void()>());
}

Awaitable<void> Instance::take_down() {
  clear_timer(init_timer_);
  clear_timer(run_timer_);
  clear_timer(take_timer_);
  clear_timer(idle_timer_);
  if (output_) {  // it was started
    if (!exit_) engine_->launcher.kill(id_);
    const SteadyTime deadline = reactor_.steady_now() + kExitTimeout;
    while (!exit_) {
      const bool notified = co_await changed_.wait_until(deadline);
      if (!notified) break;
    }
    if (!exit_) log(Level::kError, "an instance's end was not reported", {{"instance", id_.str()}});
    output_->drain();
    output_->flush_partial();
    output_->close();
  }
  down_ = true;
  events_.notify_all();
  if (secrets_listener_) {
    secrets_listener_->close();
    co_await secrets_listener_->closed();
    secrets_listener_.reset();
  }
  if (listener_) {
    listener_->close();
    co_await listener_->closed();
    listener_.reset();
  }
}

void Instance::close() {
  if (closing_) return;
  closing_ = true;
  pool_->closing(shared_from_this());
  give_back();
  changed_.notify_all();
  // The kill is not left to run(), so that a function whose time is over stops now.
  if (output_ && !exit_) engine_->launcher.kill(id_);
}

void Instance::abort() {
  if (ticket_) {
    TicketPtr ticket = std::exchange(ticket_, nullptr);
    pool_->leave(*ticket);
    ticket->settle(fail(ErrorCode::kCancelled, "the server is shutting down"));
  }
  close();
}

// An invocation that this instance cannot run any more and has not begun.
void Instance::give_back() {
  if (!ticket_) return;
  MAYFLY_ASSERT(!delivered_);
  TicketPtr ticket = std::exchange(ticket_, nullptr);
  clear_timer(take_timer_);
  if (engine_->aborting) {
    pool_->leave(*ticket);
    ticket->settle(fail(ErrorCode::kCancelled, "the server is shutting down"));
  } else if (++ticket->attempts >= kAttempts) {
    Outcome outcome;
    outcome.status = OutcomeStatus::kCrashed;
    outcome.function_error = "Unhandled";
    outcome.payload = exit_payload(ticket->invocation.request_id);
    settle(ticket, std::move(outcome));
  } else {
    pool_->resubmit(ticket);
  }
}

// ---- Start ----------------------------------------------------------------------------------------------------------

void Instance::became_ready() {
  ready_ = true;
  clear_timer(init_timer_);
  const SteadyTime now = reactor_.steady_now();
  init_duration_ = since(init_from_, now);
  if (prepared_) {  // its invocation is here already
    phases_.user_init = init_duration_;
    cold_ = true;
    return;
  }
  phases_.runtime = since(launched_at_, connected_at_.value_or(now));
  phases_.user_init = init_duration_ - phases_.runtime;
  if (steady_cpu_milli_) engine_->launcher.limit_cpu(id_, *steady_cpu_milli_);
  refresh_peak();
  if (target_->snap_start) prepare_another();
  AfterWork next = pool_->ready(shared_from_this());
  cold_ = next.ticket != nullptr;
  run_next(std::move(next));
}

void Instance::fail_start(const Error& error) {
  // A program that is missing or cannot be run is the package's fault, and so an error of the function.
  if (error.code == ErrorCode::kInvalid || error.code == ErrorCode::kNotFound) {
    launched_at_ = init_from_ = reactor_.steady_now();
    fail_init(OutcomeStatus::kInitFailed, [&error](const std::string& request_id) {
      return error_object(error_type::kInvalidEntrypoint,
                          fmt::format("RequestId: {} Error: {}", request_id, error.message));
    });
    return;
  }
  log(Level::kWarn, "an instance did not start",
      {{"function", target_->function_arn}, {"instance", id_.str()}, {"error", error.message}});
  if (!ready_ && !closing_) {
    ready_ = true;
    if (reason_ == StartReason::kPrepared) write_init_report(error.message);
    if (TicketPtr ticket = pool_->start_failed(shared_from_this())) {
      pool_->leave(*ticket);
      ticket->settle(std::unexpected(error));
    }
  }
  close();
}

void Instance::fail_init(OutcomeStatus status, const std::function<std::string(const std::string&)>& payload) {
  if (ready_ || closing_) return;
  ready_ = true;
  clear_timer(init_timer_);
  init_duration_ = since(init_from_, reactor_.steady_now());
  if (reason_ == StartReason::kPrepared) write_init_report(payload("-"));
  // One that was prepared has its invocation, or none; it does not take another's.
  TicketPtr ticket = prepared_ ? std::exchange(ticket_, nullptr) : pool_->start_failed(shared_from_this());
  if (ticket) {
    const std::string& request_id = ticket->invocation.request_id;
    Outcome outcome;
    outcome.status = status;
    outcome.function_error = "Unhandled";
    outcome.payload = payload(request_id);
    outcome.restored = prepared_;
    outcome.content_type = "application/json";
    outcome.cold_start = true;
    outcome.init_duration = init_duration_;
    outcome.started_at = engine_->clock.now();
    write_lines(observe::start_lines(*target_, request_id, engine_->clock.now()));
    settle(ticket, std::move(outcome));
  }
  close();
}

void Instance::init_error(std::string error_type, std::string payload) {
  log(Level::kInfo, "a function's initialization failed",
      {{"function", target_->function_arn}, {"instance", id_.str()}, {"error_type", error_type}});
  fail_init(OutcomeStatus::kInitFailed, [&payload](const std::string&) { return payload; });
}

// ---- The runtime asks -----------------------------------------------------------------------------------------------

Awaitable<std::optional<Delivery>> Instance::next(NextCall& call) {
  // A runtime that asks again on another connection has given the first up.
  if (waiting_call_ != nullptr) {
    waiting_call_->gone = true;
    events_.notify_all();
  }
  waiting_call_ = &call;
  clear_timer(take_timer_);
  if (!ready_ && !closing_) first_next();
  // A runtime about to be killed hears nothing, so that it does not write of an error that is none into its log.
  while (!call.gone && !down_ && (closing_ || !ticket_)) co_await events_.wait_until(kNoDeadline);
  if (waiting_call_ == &call) waiting_call_ = nullptr;
  if (call.gone || down_ || delivered_) co_return std::nullopt;
  if (!call.writer.peer_is_there()) {
    // The runtime is ending, or has given this connection up and asks again on another.
    set_timer(take_timer_, reactor_.steady_now() + kTakeTimeout, &Instance::not_taken);
    co_return std::nullopt;
  }
  mark_delivered();
  std::optional<Delivery> delivery(std::in_place);
  delivery->ticket = ticket_;
  delivery->deadline = started_at_ + duration_cast<microseconds>(target_->timeout);
  co_return delivery;
}

void Instance::deliver(const TicketPtr& ticket) {
  ticket_ = ticket;
  delivered_ = false;
  if (closing_) {
    give_back();
    return;
  }
  if (waiting_call_ != nullptr) {
    events_.notify_all();
  } else {
    set_timer(take_timer_, reactor_.steady_now() + kTakeTimeout, &Instance::not_taken);
  }
}

void Instance::mark_delivered() {
  delivered_ = true;
  delivered_at_ = reactor_.steady_now();
  started_at_ = engine_->clock.now();
  arm_run_timer();
  // What the initialization wrote belongs to the tail of a cold start, and nothing older does.
  if (!cold_) log_tail_.clear();
  write_lines(observe::start_lines(*target_, ticket_->invocation.request_id, started_at_));
}

// The runtime neither exited nor asked for the event: it hangs after its last answer.
void Instance::not_taken() {
  if (delivered_ || closing_) return;
  log(Level::kWarn, "an instance does not take its event and is replaced", {{"instance", id_.str()}});
  close();
}

// ---- The end of an invocation ---------------------------------------------------------------------------------------

void Instance::answer(const TicketPtr& ticket, RuntimeAnswer answer) {
  if (ticket != ticket_ || !delivered_) return;
  finish(std::move(answer));
}

// One function for both clocks of an instance, since only one of them runs at a time.
void Instance::timed_out() {
  if (closing_) return;
  if (!ready_) {
    const auto limit = engine_->settings.init_timeout;
    log(Level::kInfo, "a function's initialization took too long", {{"instance", id_.str()}});
    const char* what = prepared_ ? "Restore" : "Initialization";
    fail_init(OutcomeStatus::kInitFailed, [limit, what](const std::string& request_id) {
      return error_object(error_type::kTimedOut, fmt::format("RequestId: {} Error: {} timed out after {} seconds",
                                                             request_id, what, seconds_text(limit)));
    });
    return;
  }
  if (!delivered_) return;
  const std::string& id = ticket_->invocation.request_id;
  const std::string text = fmt::format("Task timed out after {} seconds", seconds_text(target_->timeout));
  engine_->launcher.kill(id_);
  if (output_) output_->drain();
  write_line(fmt::format("{} {} {}", iso8601_millis(engine_->clock.now()), id, text));
  RuntimeAnswer answer;
  answer.status = OutcomeStatus::kTimedOut;
  answer.function_error = "Unhandled";
  answer.content_type = "application/json";
  answer.payload = error_object(error_type::kTimedOut, fmt::format("RequestId: {} Error: {}", id, text));
  finish(std::move(answer));
}

std::string Instance::exit_payload(const std::string& request_id) const {
  const std::string text = exit_ ? exit_text(exit_->status, exit_->out_of_memory) : std::string("Runtime exited");
  return error_object(error_type::kExit, fmt::format("RequestId: {} Error: {}", request_id, text));
}

void Instance::exited() {
  changed_.notify_all();
  if (closing_) return;
  const OutcomeStatus crashed = exit_->out_of_memory ? OutcomeStatus::kOutOfMemory : OutcomeStatus::kCrashed;
  if (!ready_) {
    fail_init(exit_->out_of_memory ? OutcomeStatus::kOutOfMemory : OutcomeStatus::kInitFailed,
              [this](const std::string& request_id) { return exit_payload(request_id); });
    return;
  }
  if (ticket_ && delivered_) {
    const std::string id = ticket_->invocation.request_id;
    if (output_) output_->drain();
    write_line(fmt::format("RequestId: {} Error: {}", id, exit_text(exit_->status, exit_->out_of_memory)));
    write_line(std::string(error_type::kExit));
    RuntimeAnswer answer;
    answer.status = crashed;
    answer.function_error = "Unhandled";
    answer.content_type = "application/json";
    answer.payload = exit_payload(id);
    finish(std::move(answer));
    return;
  }
  close();
}

void Instance::finish(RuntimeAnswer answer) {
  const SteadyTime now = reactor_.steady_now();
  TicketPtr ticket = std::exchange(ticket_, nullptr);
  delivered_ = false;
  last_request_id_ = ticket->invocation.request_id;
  Outcome outcome;
  outcome.status = answer.status;
  outcome.payload = std::move(answer.payload);
  outcome.content_type = std::move(answer.content_type);
  outcome.function_error = std::move(answer.function_error);
  outcome.stream_error_type = std::move(answer.stream_error_type);
  outcome.started_at = started_at_;
  outcome.duration = since(delivered_at_, now);
  if (outcome.status == OutcomeStatus::kTimedOut) outcome.duration = target_->timeout;
  outcome.cold_start = std::exchange(cold_, false);
  outcome.restored = outcome.cold_start && prepared_;
  if (outcome.cold_start) {
    outcome.init_duration = init_duration_;
    phases_.queue = std::max(microseconds(0), since(ticket->submitted, begun_at_));
    outcome.cold = phases_;
  }
  outcome.queued = std::max(microseconds(0), since(ticket->submitted, delivered_at_) - outcome.init_duration);

  const bool ended = exit_ || outcome.status == OutcomeStatus::kTimedOut;
  settle(ticket, std::move(outcome));
  if (ended) close();
}

// Writes the invocation's last lines, counts it, frees its places and tells the caller, in this order: a caller that
// asks again at once finds the instance free, and an instance that is at work again by then has written its lines.
void Instance::settle(const TicketPtr& ticket, Outcome outcome) {
  if (output_) {
    output_->drain();
    output_->flush_partial();
  }
  outcome.request_id = ticket->invocation.request_id;
  outcome.executed_version = target_->version;
  outcome.instance_id = id_.str();
  outcome.served_on = &reactor_;
  // A restore is billed, and told, by itself.
  const microseconds billed = outcome.duration + (outcome.restored ? microseconds(0) : outcome.init_duration);
  outcome.billed_ms = static_cast<std::uint64_t>(ceil<milliseconds>(billed).count());
  outcome.max_memory_mb = (peak_bytes_ + (1UL << 20) - 1) >> 20;
  if (outcome.started_at == SystemTime()) outcome.started_at = engine_->clock.now();
  write_lines(observe::end_lines(*target_, outcome, engine_->clock.now()));
  outcome.log_tail = std::exchange(log_tail_, std::string());
  if (outcome.log_tail.size() > kTailBytes) outcome.log_tail.erase(0, outcome.log_tail.size() - kTailBytes);
  engine_->metrics.record(*target_, outcome);
  pool_->leave(*ticket);
  const bool alive = !exit_ && !closing_ && ready_ && outcome.status <= OutcomeStatus::kFunctionError;
  if (alive) {
    refresh_peak();
    run_next(pool_->released(shared_from_this()));
  }
  ticket->settle(std::move(outcome));
}

void Instance::run_next(AfterWork next) {
  if (next.ticket) {
    deliver(next.ticket);
  } else if (next.retire) {
    close();
  } else {
    arm_idle_timer(next.idle_until);
    engine_->retry_starved();
  }
}

// ---- Timers, memory, lines ------------------------------------------------------------------------------------------

void Instance::set_timer(Reactor::TimerId& timer, SteadyTime when, void (Instance::*call)()) {
  clear_timer(timer);
  std::weak_ptr<Instance> weak = weak_from_this();
  timer = reactor_.call_at(when, [weak, call] {
    if (auto self = weak.lock()) ((*self).*call)();
  });
}

void Instance::clear_timer(Reactor::TimerId& timer) {
  if (timer != 0) reactor_.cancel_timer(timer);
  timer = 0;
}

void Instance::arm_run_timer() {
  run_deadline_ = delivered_at_ + target_->timeout;
  if (run_timer_ != 0 && run_timer_at_ <= run_deadline_) return;
  run_timer_at_ = run_deadline_;
  set_timer(run_timer_, run_deadline_, &Instance::run_timer_fired);
}

void Instance::run_timer_fired() {
  run_timer_ = 0;
  if (!delivered_) return;
  if (reactor_.steady_now() >= run_deadline_) {
    timed_out();
  } else {
    run_timer_at_ = run_deadline_;
    set_timer(run_timer_, run_deadline_, &Instance::run_timer_fired);
  }
}

void Instance::arm_idle_timer(SteadyTime idle_until) {
  const SteadyTime now = reactor_.steady_now();
  const bool old = now - launched_at_ > engine_->settings.most_age;
  idle_deadline_ = old ? now : idle_until;
  if (idle_timer_ != 0 && idle_timer_at_ <= idle_deadline_) return;
  idle_timer_at_ = idle_deadline_;
  set_timer(idle_timer_, idle_deadline_, &Instance::idle_timer_fired);
}

void Instance::idle_timer_fired() {
  idle_timer_ = 0;
  // At work, or claimed: the next idleness sets it again.
  if (closing_ || ticket_) return;
  const SteadyTime now = reactor_.steady_now();
  const bool old = now - launched_at_ > engine_->settings.most_age;
  // It may be the last one by now, for which another time holds.
  idle_deadline_ = old ? now : pool_->idle_deadline(shared_from_this());
  if (now >= idle_deadline_ && pool_->retire_if_idle(shared_from_this())) {
    pool_->warm_later(target_, reactor_);
    close();
    return;
  }
  // Kept as provisioned, or an invocation is on its way here: looked at again.
  idle_timer_at_ = now < idle_deadline_ ? idle_deadline_ : now + engine_->settings.idle_timeout;
  set_timer(idle_timer_, idle_timer_at_, &Instance::idle_timer_fired);
}

// The number of the REPORT line is as old as the last reading: no invocation waits for the launcher.
void Instance::refresh_peak() {
  const SteadyTime now = reactor_.steady_now();
  if (reading_peak_ || (peak_read_at_ != SteadyTime::min() && now - peak_read_at_ < kPeakInterval)) return;
  peak_read_at_ = now;
  reading_peak_ = true;
  const bool spawned =
      engine_->scope.spawn(reactor_, "peak memory", [self = shared_from_this()] { return read_peak(self); });
  if (!spawned) reading_peak_ = false;
}

Awaitable<void> Instance::read_peak(std::shared_ptr<Instance> self) {
  auto peak = co_await self->engine_->launcher.peak_memory_bytes(self->id_);
  if (peak) self->peak_bytes_ = std::max(self->peak_bytes_, *peak);
  self->reading_peak_ = false;
}

void Instance::write_lines(std::vector<std::string> lines) {
  for (auto& line : lines) write_line(std::move(line));
}

void Instance::write_line(std::string line) {
  log_tail_.append(line).push_back('\n');
  if (log_tail_.size() > 4 * kTailBytes) log_tail_.erase(0, log_tail_.size() - kTailBytes);
  observe::LogLine entry;
  entry.time = engine_->clock.now();
  entry.group = target_->log_group;
  entry.stream = log_stream_;
  entry.message = std::move(line);
  engine_->logs.append(std::move(entry));
}

}  // namespace mayfly::dispatch
