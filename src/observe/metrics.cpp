// Names and labels:
//   mayfly_invocations_total{function}             every outcome
//   mayfly_invocation_errors_total{function,kind}  kind: function, timeout, crash, out_of_memory, init
//   mayfly_throttles_total{function,reason}
//   mayfly_cold_starts_total{function}
//   mayfly_invocation_duration_seconds{function}   histogram
//   mayfly_init_duration_seconds                   histogram, all functions together
//   mayfly_cold_start_phase_seconds{phase}         histogram; phase: queue, sandbox, code, runtime, user_init
//   mayfly_cold_start_sandboxes_total{sandbox}     ready: made ahead; made: made for the invocation
//   mayfly_concurrent_executions
//   mayfly_instances{state}
//   mayfly_deliveries_total{service,outcome}       outcome: delivered, failed, throttled, dead, dropped
//   mayfly_deliveries_waiting
//   mayfly_delivery_breakers_open
// Cardinality. The function is the only label that users can make values of: the first 500 functions get series of
// their own, all others share function="__other__". Versions are no label: each publish would make 20 more series that
// nobody removes. Reasons and states outside the known ones count as "other".
// Concurrency. Any thread. Recording takes a lock that recorders share; only a function's first and last record, and
// forgetting it, take it alone.
#include "observe/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <map>
#include <mutex>
#include <shared_mutex>
#include <string_view>

#include "dispatch/invocation.h"

namespace mayfly::observe {

namespace {

using prometheus::Counter;
using prometheus::Family;
using prometheus::Gauge;
using prometheus::Histogram;

constexpr std::size_t kMaxFunctions = 500;
constexpr const char* kOtherFunctions = "__other__";

constexpr std::array<const char*, 5> kErrorKinds{"function", "timeout", "crash", "out_of_memory", "init"};
constexpr std::array<const char*, 4> kReasons{"ReservedFunctionConcurrentInvocationLimitExceeded",
                                              "ConcurrentInvocationLimitExceeded", "CallerRateLimitExceeded", "other"};
constexpr std::array<const char*, 6> kStates{"starting", "prepared", "idle", "busy", "draining", "other"};

// From a warm answer of a C++ function (below a millisecond) to Lambda's longest timeout (900 s).
const Histogram::BucketBoundaries kDurationBuckets{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
                                                   0.5,    1,     2.5,    5,     10,   30,    60,   300, 900};

// Parts of a cold start: the shortest take some ten microseconds.
const Histogram::BucketBoundaries kPhaseBuckets{0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01,
                                                0.025,   0.05,   0.1,     0.25,   0.5,   1,      5,     10};

constexpr std::array<const char*, 7> kServices{"lambda", "sqs", "sns", "events", "scheduler", "states", "other"};
constexpr std::array<const char*, 6> kOutcomes{"delivered", "failed", "throttled", "dead", "dropped", "other"};

template <std::size_t N>
std::size_t index_of(const std::array<const char*, N>& names, std::string_view name) {
  const auto found = std::ranges::find_if(names, [&](const char* known) { return known == name; });
  return found == names.end() ? N - 1 : static_cast<std::size_t>(found - names.begin());
}

const char* error_kind(dispatch::OutcomeStatus status) {
  switch (status) {
    case dispatch::OutcomeStatus::kSuccess:
      return nullptr;
    case dispatch::OutcomeStatus::kFunctionError:
      return "function";
    case dispatch::OutcomeStatus::kTimedOut:
      return "timeout";
    case dispatch::OutcomeStatus::kCrashed:
      return "crash";
    case dispatch::OutcomeStatus::kOutOfMemory:
      return "out_of_memory";
    case dispatch::OutcomeStatus::kInitFailed:
      return "init";
  }
  return nullptr;
}

template <typename Metric>
Family<Metric>& family(prometheus::Registry& registry, const char* name, const char* help) {
  if constexpr (std::is_same_v<Metric, Counter>) {
    return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
  } else if constexpr (std::is_same_v<Metric, Gauge>) {
    return prometheus::BuildGauge().Name(name).Help(help).Register(registry);
  } else {
    return prometheus::BuildHistogram().Name(name).Help(help).Register(registry);
  }
}

double seconds(std::chrono::microseconds time) { return std::chrono::duration<double>(time).count(); }

// One function's series. The families own the metrics.
struct Series {
  Counter* invocations = nullptr;
  Counter* cold_starts = nullptr;
  Histogram* duration = nullptr;
  std::array<Counter*, kErrorKinds.size()> errors{};
  std::array<Counter*, kReasons.size()> throttles{};
};

}  // namespace

struct Metrics::Impl {
  prometheus::Registry registry;
  Family<Counter>& invocations =
      family<Counter>(registry, "mayfly_invocations_total", "Invocations that came to an outcome");
  Family<Counter>& errors =
      family<Counter>(registry, "mayfly_invocation_errors_total", "Invocations whose outcome is an error");
  Family<Counter>& throttles = family<Counter>(registry, "mayfly_throttles_total", "Invocations refused for a limit");
  Family<Counter>& cold_starts =
      family<Counter>(registry, "mayfly_cold_starts_total", "Invocations that waited for a new instance");
  Family<Histogram>& durations =
      family<Histogram>(registry, "mayfly_invocation_duration_seconds", "Time in the function, without init");
  Family<Histogram>& init_durations =
      family<Histogram>(registry, "mayfly_init_duration_seconds", "Time to start an instance");
  Family<Histogram>& cold_start_phases =
      family<Histogram>(registry, "mayfly_cold_start_phase_seconds", "What the time of cold starts went into");
  Family<Counter>& cold_start_sandboxes =
      family<Counter>(registry, "mayfly_cold_start_sandboxes_total", "Cold starts by where their sandbox came from");
  Family<Gauge>& concurrent_executions =
      family<Gauge>(registry, "mayfly_concurrent_executions", "Invocations running now");
  Family<Gauge>& instances = family<Gauge>(registry, "mayfly_instances", "Instances by state");
  Family<Counter>& deliveries =
      family<Counter>(registry, "mayfly_deliveries_total", "Attempts to deliver events, by what became of them");
  Gauge& deliveries_waiting =
      family<Gauge>(registry, "mayfly_deliveries_waiting", "Events that wait for delivery").Add({});
  Gauge& breakers_open =
      family<Gauge>(registry, "mayfly_delivery_breakers_open", "Targets whose circuit breaker is not closed").Add({});

  Histogram& init_duration = init_durations.Add({}, kDurationBuckets);
  Histogram& phase_queue = cold_start_phases.Add({{"phase", "queue"}}, kPhaseBuckets);
  Histogram& phase_sandbox = cold_start_phases.Add({{"phase", "sandbox"}}, kPhaseBuckets);
  Histogram& phase_code = cold_start_phases.Add({{"phase", "code"}}, kPhaseBuckets);
  Histogram& phase_runtime = cold_start_phases.Add({{"phase", "runtime"}}, kPhaseBuckets);
  Histogram& phase_user_init = cold_start_phases.Add({{"phase", "user_init"}}, kPhaseBuckets);
  Counter& sandboxes_ready = cold_start_sandboxes.Add({{"sandbox", "ready"}});
  Counter& sandboxes_made = cold_start_sandboxes.Add({{"sandbox", "made"}});
  Gauge& concurrent = concurrent_executions.Add({});
  std::array<Gauge*, kStates.size()> states{};

  std::shared_mutex mutex;
  std::map<std::string, Series, std::less<>> functions;

  Impl() {
    for (std::size_t i = 0; i < kStates.size(); ++i) states[i] = &instances.Add({{"state", kStates[i]}});
  }

  // Calls `use` with the function's series, which stay until it returns.
  template <typename Use>
  void with_series(const std::string& function, Use use) {
    {
      std::shared_lock lock(mutex);
      if (const auto it = functions.find(function); it != functions.end()) return use(it->second);
      if (functions.size() >= kMaxFunctions) {
        if (const auto it = functions.find(kOtherFunctions); it != functions.end()) return use(it->second);
      }
    }
    std::unique_lock lock(mutex);
    const bool own = functions.contains(function) || functions.size() < kMaxFunctions;
    use(create(own ? function : std::string(kOtherFunctions)));
  }

  Series& create(const std::string& function) {
    const auto [it, added] = functions.try_emplace(function);
    Series& series = it->second;
    if (!added) return series;
    series.invocations = &invocations.Add({{"function", function}});
    series.cold_starts = &cold_starts.Add({{"function", function}});
    series.duration = &durations.Add({{"function", function}}, kDurationBuckets);
    return series;
  }

  // Made at the first error of its kind, so that a healthy function has three series and not a dozen. Two threads may
  // come here at once with the lock shared: Add() gives both the same counter.
  static Counter& labelled(Family<Counter>& of, Counter*& slot, const std::string& function, const char* label,
                           const char* value) {
    std::atomic_ref<Counter*> pointer(slot);
    Counter* counter = pointer.load();
    if (counter == nullptr) {
      counter = &of.Add({{"function", function}, {label, value}});
      pointer.store(counter);
    }
    return *counter;
  }

  // The name under which the series of `function` stand.
  std::string label_of(const std::string& function, const Series& series) const {
    const auto it = functions.find(function);
    return it != functions.end() && &it->second == &series ? function : kOtherFunctions;
  }

  void remove(const std::string& function) {
    std::unique_lock lock(mutex);
    const auto it = functions.find(function);
    if (it == functions.end()) return;
    const Series& series = it->second;
    invocations.Remove(series.invocations);
    cold_starts.Remove(series.cold_starts);
    durations.Remove(series.duration);
    for (Counter* counter : series.errors) {
      if (counter != nullptr) errors.Remove(counter);
    }
    for (Counter* counter : series.throttles) {
      if (counter != nullptr) throttles.Remove(counter);
    }
    functions.erase(it);
  }
};

Metrics::Metrics() : impl_(std::make_unique<Impl>()) {}
Metrics::~Metrics() = default;

void Metrics::record(const dispatch::Target& target, const dispatch::Outcome& outcome) {
  if (outcome.cold_start) impl_->init_duration.Observe(seconds(outcome.init_duration));
  if (outcome.cold) {
    impl_->phase_queue.Observe(seconds(outcome.cold->queue));
    impl_->phase_sandbox.Observe(seconds(outcome.cold->sandbox));
    impl_->phase_code.Observe(seconds(outcome.cold->code));
    impl_->phase_runtime.Observe(seconds(outcome.cold->runtime));
    impl_->phase_user_init.Observe(seconds(outcome.cold->user_init));
    (outcome.cold->ready_made ? impl_->sandboxes_ready : impl_->sandboxes_made).Increment();
  }
  impl_->with_series(target.function_name, [&](Series& series) {
    series.invocations->Increment();
    series.duration->Observe(seconds(outcome.duration));
    if (outcome.cold_start) series.cold_starts->Increment();
    const char* kind = error_kind(outcome.status);
    if (kind == nullptr) return;
    const std::string function = impl_->label_of(target.function_name, series);
    Impl::labelled(impl_->errors, series.errors[index_of(kErrorKinds, kind)], function, "kind", kind).Increment();
  });
}

void Metrics::record_throttle(const dispatch::Target& target, const std::string& reason) {
  const std::size_t index = index_of(kReasons, reason);
  impl_->with_series(target.function_name, [&](Series& series) {
    const std::string function = impl_->label_of(target.function_name, series);
    Impl::labelled(impl_->throttles, series.throttles[index], function, "reason", kReasons[index]).Increment();
  });
}

void Metrics::set_concurrent_executions(double value) { impl_->concurrent.Set(value); }

void Metrics::set_instances(const std::string& state, double value) {
  impl_->states[index_of(kStates, state)]->Set(value);
}

void Metrics::record_delivery(const std::string& service, const std::string& outcome) {
  // Few and fixed: Add() gives the same counter for the same labels.
  impl_->deliveries
      .Add({{"service", kServices[index_of(kServices, service)]}, {"outcome", kOutcomes[index_of(kOutcomes, outcome)]}})
      .Increment();
}

void Metrics::set_deliveries(double waiting, double breakers_open) {
  impl_->deliveries_waiting.Set(waiting);
  impl_->breakers_open.Set(breakers_open);
}

void Metrics::forget_function(const std::string& function_name) { impl_->remove(function_name); }

std::string Metrics::exposition() const { return prometheus::TextSerializer().Serialize(impl_->registry.Collect()); }

}  // namespace mayfly::observe
