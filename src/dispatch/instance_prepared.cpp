// What SnapStart adds to an instance's life: it initialises before there is an invocation, rests, and is restored by
// one.
//
// Operation.   A runtime that knows of snapshots asks for restore/next when it has initialised, runs its hooks when
// that is
//              answered, and asks for its first event then; any other asks for its first event, and rests there. The
//              process is the one that will serve the invocation, so that nothing is copied: its random state,
//              connections and threads are its own from the first to the last.
// Limits.      The hooks after a restore have the time that initialization has. At rest it has its steady share of the
// CPU.
#include <fmt/format.h>

#include <utility>

#include "base/json.h"
#include "base/log.h"
#include "dispatch/instance.h"
#include "observe/report_lines.h"

namespace mayfly::dispatch {
namespace {

// A burst takes what is prepared before the processors turn to preparing more.
constexpr std::chrono::milliseconds kPrepareAfter{50};
constexpr std::chrono::seconds kPreparedCheck{60};
constexpr std::size_t kReasonBytes = 500;

// "Runtime.ImportModuleError: Unable to import module 'app'" of an error object; the text is the function's own.
std::string reason_of(const std::string& payload) {
  const auto parsed = parse_json(payload);
  std::string reason = parsed ? std::string(get_string(*parsed, "errorType")) : std::string();
  const std::string message = parsed ? std::string(get_string(*parsed, "errorMessage")) : payload;
  if (!message.empty()) reason += (reason.empty() ? "" : ": ") + message;
  if (reason.empty()) reason = "Runtime.Unknown";
  return reason.substr(0, kReasonBytes);
}

}  // namespace

void Instance::post_restore(const TicketPtr& ticket) {
  if (reactor_.in_this_thread()) {
    restore(ticket);
    return;
  }
  reactor_.post([self = shared_from_this(), ticket] { self->restore(ticket); });
}

Awaitable<bool> Instance::restore_next(NextCall& call) {
  if (waiting_call_ != nullptr) {
    waiting_call_->gone = true;
    events_.notify_all();
  }
  waiting_call_ = &call;
  asked_restore_ = true;
  if (reason_ != StartReason::kPrepared) restore_begun_ = true;
  if (!restore_begun_ && !prepared_) become_prepared();
  while (!call.gone && !down_ && (closing_ || !restore_begun_)) co_await events_.wait_until(kNoDeadline);
  if (waiting_call_ == &call) waiting_call_ = nullptr;
  co_return !call.gone && !down_;
}

// Not ready yet: the runtime is initialised, or has run its hooks.
void Instance::first_next() {
  if (reason_ != StartReason::kPrepared || restore_begun_) {
    became_ready();
    return;
  }
  asked_restore_ = false;  // it rests here instead
  if (!prepared_) become_prepared();
}

void Instance::become_prepared() {
  prepared_ = true;
  clear_timer(init_timer_);
  init_duration_ = std::chrono::duration_cast<std::chrono::microseconds>(reactor_.steady_now() - init_from_);
  write_init_report({});
  if (steady_cpu_milli_) engine_->launcher.limit_cpu(id_, *steady_cpu_milli_);
  refresh_peak();
  const AfterWork next = pool_->prepared(shared_from_this());
  if (next.ticket) {
    restore(next.ticket);
  } else if (next.retire) {
    close();
  } else {
    set_timer(idle_timer_, reactor_.steady_now() + kPreparedCheck, &Instance::prepared_timer_fired);
  }
}

void Instance::restore(const TicketPtr& ticket) {
  ticket_ = ticket;
  delivered_ = false;
  clear_timer(idle_timer_);
  if (closing_) {
    give_back();
    return;
  }
  const SteadyTime now = reactor_.steady_now();
  begun_at_ = now;
  init_from_ = now;
  phases_ = ColdStart();
  phases_.ready_made = true;
  restore_begun_ = true;
  log_tail_.clear();
  if (asked_restore_) {
    set_timer(init_timer_, now + engine_->settings.init_timeout, &Instance::timed_out);
  } else {
    became_ready();
    deliver(ticket);  // it waits for the event, or will ask for it again
  }
  events_.notify_all();
  prepare_another();
}

void Instance::prepare_another() {
  const std::weak_ptr<FunctionPool> weak = pool_;
  reactor_.call_at(reactor_.steady_now() + kPrepareAfter, [weak] {
    if (const auto pool = weak.lock()) pool->prepare();
  });
}

// One that nobody has come for: too many by now, or so old that its credentials would end before the invocations it
// could still serve.
void Instance::prepared_timer_fired() {
  idle_timer_ = 0;
  if (closing_ || restore_begun_) return;
  const bool too_old = reactor_.steady_now() - launched_at_ > engine_->settings.most_age / 2;
  if (pool_->retire_prepared(shared_from_this(), too_old)) {
    close();
  } else {
    set_timer(idle_timer_, reactor_.steady_now() + kPreparedCheck, &Instance::prepared_timer_fired);
  }
}

void Instance::restore_error(std::string error_type, std::string payload) {
  log(Level::kInfo, "a function's restore failed",
      {{"function", target_->function_arn}, {"instance", id_.str()}, {"error_type", error_type}});
  fail_init(OutcomeStatus::kInitFailed, [&payload](const std::string&) { return payload; });
}

// `failure` is the error object, or empty.
void Instance::write_init_report(const std::string& failure) {
  if (!failure.empty()) pool_->note_failure(shared_from_this(), reason_of(failure));
  const auto phase = prepared_ && !failure.empty() ? observe::StartPhase::kRestore : observe::StartPhase::kInit;
  write_lines(observe::start_report_lines(*target_, phase, init_duration_, failure, engine_->clock.now()));
}

// ---- Compiled code --------------------------------------------------------------------------------------------------

// Of this function, its version, code and configuration.
std::string Instance::code_key() const { return target_->function_arn + "\n" + target_->generation; }

std::shared_ptr<const std::string> Instance::compiled_code() { return engine_->code_cache.find(code_key()); }

bool Instance::keep_compiled_code(std::string code) { return engine_->code_cache.keep(code_key(), std::move(code)); }

}  // namespace mayfly::dispatch
