#include "services/scheduler/firing.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/log.h"
#include "services/scheduler/target.h"

namespace mayfly::scheduler {
namespace {

constexpr std::size_t kPortion = 512;  // schedules handed over in one write
// The wall clock may be set while this waits; so long at most a step of it stays unseen.
constexpr std::chrono::seconds kLongestWait{60};
constexpr std::chrono::milliseconds kFirstPause{250};
constexpr std::chrono::milliseconds kLongestPause{30'000};

bool is_recurring(const Timing& timing) { return timing.expression.kind() != schedule::Schedule::Kind::kAt; }

}  // namespace

Firing::Firing(store::KeyValue& store, Submit submit, Clock& clock, schedule::TimeZones& zones)
    : store_(store), submit_(std::move(submit)), clock_(clock), zones_(zones) {}

void Firing::set(const std::string& key, std::optional<SystemTime> fires_at) {
  bool first = false;
  {
    const std::lock_guard lock(mutex_);
    const auto before = times_.next();
    times_.set(key, fires_at);
    first = times_.next() != before;
  }
  if (first) changed_.notify();
}

void Firing::reserve(std::size_t count) {
  const std::lock_guard lock(mutex_);
  times_.reserve(count);
}

std::size_t Firing::waiting() const {
  const std::lock_guard lock(mutex_);
  return times_.size();
}

std::optional<SystemTime> Firing::next() const {
  const std::lock_guard lock(mutex_);
  return times_.next();
}

bool Firing::is_settled(SystemTime now) const {
  const std::lock_guard lock(mutex_);
  const auto next = times_.next();
  return !busy_ && (!next || *next > now);
}

void Firing::start(Reactor& reactor) {
  const std::function<Awaitable<void>()> task = [this] { return run(); };
  MAYFLY_ASSERT(scope_.spawn(reactor, "fire", task));
}

Awaitable<void> Firing::stop() {
  stopping_ = true;
  changed_.notify();
  // What is under way ends first; the scope refuses new tasks only then.
  co_await scope_.join();
  scope_.stop();
}

Awaitable<void> Firing::run() {
  std::chrono::milliseconds pause = kFirstPause;
  while (!stopping_) {
    const auto now = clock_.now();
    std::vector<std::string> due;
    std::optional<SystemTime> next;
    {
      const std::lock_guard lock(mutex_);
      due = times_.take(now, kPortion);
      busy_ = !due.empty();
      next = times_.next();
    }
    if (due.empty()) {
      const auto deadline = wake_at(next, now);
      co_await changed_.wait_until(clock_, deadline);
      continue;
    }
    const bool done = co_await fire(std::move(due));
    {
      const std::lock_guard lock(mutex_);
      busy_ = false;
    }
    if (done) {
      pause = kFirstPause;
      continue;
    }
    const auto deadline = clock_.steady_now() + pause;
    pause = std::min(pause * 2, kLongestPause);
    while (!stopping_ && clock_.steady_now() < deadline) co_await changed_.wait_until(clock_, deadline);
  }
}

SteadyTime Firing::wake_at(std::optional<SystemTime> next, SystemTime now) const {
  auto wake = kNoDeadline;
  if (next) wake = clock_.steady_now() + std::min<std::chrono::nanoseconds>(*next - now, std::chrono::years(1));
  if (clock_.is_real()) wake = std::min(wake, clock_.steady_now() + kLongestWait);
  return wake;
}

// Nothing where the schedule has changed, or has nothing to hand over now; it then has its time in the heap.
Awaitable<std::optional<Firing::Occurrence>> Firing::read(std::string key, SystemTime now) {
  auto entry = co_await store_.get(key);
  if (!entry) {
    set(key, now);
    co_return std::nullopt;
  }
  if (!*entry) co_return std::nullopt;
  auto record = schedule_from_text(key, (*entry)->value);
  if (!record) {
    log(Level::kError, "a schedule cannot be read and does not fire",
        {{"key", key}, {"error", record.error().message}});
    co_return std::nullopt;
  }
  if (!record->fires_at) co_return std::nullopt;
  if (*record->fires_at > now) {
    set(key, record->fires_at);
    co_return std::nullopt;
  }
  Occurrence out;
  out.key = std::move(key);
  out.revision = (*entry)->revision;
  const auto due = *record->due;
  const auto timing = timing_of(*record, zones_);
  const bool too_late = timing && is_recurring(*timing) && now - due > max_age_of(*record);
  if (too_late) {
    log(Level::kWarn, "a schedule's occurrences were missed for so long that they are left out",
        {{"schedule", text_of(record->shown.Arn)}, {"since", due.time_since_epoch().count()}});
  } else {
    auto requests = requests_of(*record, due, fmt::format("{}/{}", record->generation, due.time_since_epoch().count()));
    if (requests) {
      out.requests = std::move(*requests);
    } else {
      log(Level::kError, "a schedule's input cannot be given to its target; the occurrence is left out",
          {{"schedule", text_of(record->shown.Arn)}, {"error", requests.error().message}});
    }
  }
  if (timing) {
    plan_next(*record, *timing, now);
  } else {
    log(Level::kError, "a schedule's next time cannot be found; it does not fire again until it is updated",
        {{"schedule", text_of(record->shown.Arn)}, {"error", timing.error().message}});
    record->last_due = record->due;
    record->due.reset();
    record->fires_at.reset();
  }
  out.record = std::move(*record);
  co_return out;
}

Awaitable<Result<void>> Firing::hand_over(std::vector<Occurrence>& all) {
  std::vector<delivery::Request> requests;
  for (const auto& occurrence : all) {
    requests.insert(requests.end(), occurrence.requests.begin(), occurrence.requests.end());
  }
  if (requests.empty()) co_return Result<void>();
  auto submitted = co_await submit_(std::move(requests));
  if (submitted || (submitted.error().code != ErrorCode::kTooLarge && submitted.error().code != ErrorCode::kInvalid)) {
    co_return submitted;
  }
  // One of them is of a kind that is never taken: each by itself, so that the others go.
  for (auto& occurrence : all) {
    auto own = occurrence.requests;
    auto one = co_await submit_(std::move(own));
    if (one) continue;
    if (one.error().code != ErrorCode::kTooLarge && one.error().code != ErrorCode::kInvalid) co_return one;
    log(Level::kError, "an occurrence of a schedule is not taken by delivery and is left out",
        {{"schedule", text_of(occurrence.record.shown.Arn)}, {"error", one.error().message}});
  }
  co_return Result<void>();
}

Awaitable<bool> Firing::fire(std::vector<std::string> keys) {
  const auto now = clock_.now();
  std::vector<Occurrence> all;
  for (auto& key : keys) {
    auto occurrence = co_await read(std::move(key), now);
    if (occurrence) all.push_back(std::move(*occurrence));
  }
  if (all.empty()) co_return true;
  auto handed_over = co_await hand_over(all);
  if (!handed_over) {
    log(Level::kWarn, "schedules that are due could not be handed to delivery; they are tried again",
        {{"schedules", all.size()}, {"error", handed_over.error().message}});
    for (const auto& occurrence : all) set(occurrence.key, now);
    co_return false;
  }
  fired_ += all.size();
  co_return co_await advance_all(std::move(all));
}

Awaitable<bool> Firing::advance_all(std::vector<Occurrence> all) {
  // At once, for the store syncs what comes together in one commit.
  Signal done;
  std::size_t left = all.size();
  bool stored = true;
  Reactor& reactor = Reactor::current();
  for (auto& occurrence : all) {
    const std::function<Awaitable<void>()> task = [this, &occurrence, &left, &stored, &done]() -> Awaitable<void> {
      if (!co_await advance(occurrence)) stored = false;
      if (--left == 0) done.notify();
    };
    MAYFLY_ASSERT(scope_.spawn(reactor, "advance", task));
  }
  while (left > 0) co_await done.wait_until(kNoDeadline);
  co_return stored;
}

Awaitable<bool> Firing::advance(Occurrence& occurrence) {
  const auto& record = occurrence.record;
  const bool completed = !record.fires_at && record.shown.ActionAfterCompletion == "DELETE";
  Result<void> stored;
  if (completed) {
    stored = co_await store_.remove(occurrence.key, occurrence.revision);
  } else {
    auto text = to_text(record);
    const auto written = co_await store_.compare_and_set(occurrence.key, std::move(text), occurrence.revision);
    if (!written) stored = std::unexpected(written.error());
  }
  if (stored) {
    if (completed && completed_) completed_(occurrence.key);
    if (!completed) set(occurrence.key, record.fires_at);
    co_return true;
  }
  // Changed or deleted meanwhile, or the disk is full: what the store holds decides.
  co_await read_again(occurrence.key);
  co_return stored.error().code == ErrorCode::kConflict;
}

Awaitable<void> Firing::read_again(std::string key) {
  auto entry = co_await store_.get(key);
  if (!entry) {
    set(key, clock_.now() + std::chrono::seconds(1));
    co_return;
  }
  if (!*entry) {
    set(key, std::nullopt);
    co_return;
  }
  const auto fires_at = fires_at_of((*entry)->value);
  set(key, fires_at ? *fires_at : std::nullopt);
}

}  // namespace mayfly::scheduler
