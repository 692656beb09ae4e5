#include "services/events/timetable.h"

#include <charconv>

#include "base/log.h"
#include "base/time_format.h"

namespace mayfly::events {
namespace {

constexpr std::string_view kServedPrefix = "events/served/";
constexpr std::chrono::nanoseconds kLook = std::chrono::seconds(60);  // the clock on the wall may be set
constexpr std::chrono::nanoseconds kLongest = std::chrono::years(1);
constexpr auto kTimetableRetry = std::chrono::seconds(1);

std::string served_key(const std::string& rule_key) {
  return std::string(kServedPrefix) + rule_key.substr(RuleRecord::kPrefix.size());
}

}  // namespace

Timetable::Timetable(store::KeyValue& store, Clock& clock, const RuleTable& rules, Fire fire)
    : store_(store), clock_(clock), rules_(rules), fire_(std::move(fire)) {}

Awaitable<Result<void>> Timetable::load() {
  constexpr std::size_t kPage = 1'000;
  std::string after;
  for (;;) {
    auto page = co_await store_.list(std::string(kServedPrefix), after, kPage);
    if (!page) co_return std::unexpected(std::move(page.error()));
    const std::lock_guard lock(mutex_);
    for (const auto& entry : *page) {
      std::int64_t micros = 0;
      std::from_chars(entry.value.data(), entry.value.data() + entry.value.size(), micros);
      served_[std::string(RuleRecord::kPrefix) + entry.key.substr(kServedPrefix.size())] =
          SystemTime(std::chrono::microseconds(micros));
    }
    if (page->size() < kPage) break;
    after = page->back().key;
  }
  co_return Result<void>();
}

void Timetable::plan(const std::string& key, Entry& entry, SystemTime after) {
  const auto due = entry.schedule->next_after(after, entry.anchor);
  if (!due) {
    entries_.erase(key);
    return;
  }
  entry.due = *due;
  queue_.emplace(*due, key);
}

void Timetable::drop(const std::string& key) {
  const auto found = entries_.find(key);
  if (found == entries_.end()) return;
  queue_.erase({found->second.due, key});
  entries_.erase(found);
}

void Timetable::sync(const std::string& key) {
  {
    const std::lock_guard lock(mutex_);
    const auto rule = rules_.find(key);
    if (!rule || !rule->enabled() || rule->schedule.empty()) {
      drop(key);
      served_.erase(key);
      changed_.notify();
      return;
    }
    const SystemTime anchor = from_epoch_seconds(rule->scheduled_since);
    const auto found = entries_.find(key);
    if (found != entries_.end() && found->second.expression == rule->schedule && found->second.anchor == anchor) return;
    drop(key);
    auto parsed = schedule::Schedule::parse(rule->schedule, schedule::Dialect::kRule);
    if (!parsed) {
      log(Level::kError, "a rule's schedule is not valid; it does not run", {{"rule", rule->arn()}});
      return;
    }
    auto& entry = entries_[key];
    entry.expression = rule->schedule;
    entry.anchor = anchor;
    entry.schedule = *parsed;
    SystemTime after = clock_.now();
    if (starting_) {
      // The last time that passed while nobody was there.
      SystemTime last = anchor;
      if (const auto served = served_.find(key); served != served_.end()) last = std::max(served->second, anchor);
      constexpr int kMostSteps = 100'000;
      std::optional<SystemTime> missed;
      for (int i = 0; i < kMostSteps; ++i) {
        const auto next = entry.schedule->next_after(last, anchor);
        if (!next || *next > after) break;
        missed = last = *next;
      }
      served_.erase(key);
      if (missed) {
        entry.due = *missed;
        queue_.emplace(*missed, key);
        changed_.notify();
        return;
      }
    }
    plan(key, entry, after);
  }
  changed_.notify();
}

bool Timetable::is_settled(SystemTime now) const {
  const std::lock_guard lock(mutex_);
  return queue_.empty() || queue_.begin()->first > now;
}

std::optional<SystemTime> Timetable::next_of(const std::string& key) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(key);
  return found == entries_.end() ? std::nullopt : std::optional(found->second.due);
}

std::optional<std::pair<SystemTime, std::string>> Timetable::first() const {
  const std::lock_guard lock(mutex_);
  if (queue_.empty()) return std::nullopt;
  return *queue_.begin();
}

void Timetable::start(Reactor& reactor) {
  {
    const std::lock_guard lock(mutex_);
    starting_ = false;
    served_.clear();
  }
  scope_.spawn(reactor, "timetable", [this] { return run(); });
}

Awaitable<void> Timetable::stop() {
  scope_.stop();
  changed_.notify();
  co_await scope_.join();
}

Awaitable<void> Timetable::forget(std::string key) {
  std::optional<store::Revision> any;
  auto removed = co_await store_.remove(served_key(key), any);
  if (!removed) log(Level::kWarn, "what a rule served could not be removed", {{"error", removed.error().message}});
}

Awaitable<void> Timetable::run() {
  while (!scope_.stopping()) {
    auto next = first();
    const SystemTime now = clock_.now();
    if (next && next->first <= now) {
      co_await serve(next->second, next->first);
      continue;
    }
    SteadyTime deadline = kNoDeadline;
    if (next) deadline = clock_.steady_now() + std::min(std::chrono::nanoseconds(next->first - now), kLongest);
    if (clock_.is_real()) deadline = std::min(deadline, clock_.steady_now() + kLook);
    co_await changed_.wait_until(clock_, deadline);
  }
}

Awaitable<void> Timetable::serve(std::string key, SystemTime due) {
  const auto rule = rules_.find(key);
  if (rule && rule->enabled()) {
    auto fired = co_await fire_(rule, due);
    if (!fired) {
      log(Level::kWarn, "a scheduled rule could not be run; it is tried again",
          {{"rule", rule->arn()}, {"error", fired.error().message}});
      const SteadyTime deadline = clock_.steady_now() + kTimetableRetry;
      co_await changed_.wait_until(clock_, deadline);
      co_return;
    }
    auto served = std::to_string(due.time_since_epoch().count());
    auto written = co_await store_.put(served_key(key), std::move(served));
    if (!written)
      log(Level::kWarn, "the time served by a rule could not be written",
          {{"rule", rule->arn()}, {"error", written.error().message}});
  }
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(key);
  if (found == entries_.end() || found->second.due != due) co_return;
  queue_.erase({due, key});
  // From what was served, so that none is left out; what is long past is not made up for one by one.
  plan(key, found->second, std::max(due, clock_.now() - std::chrono::minutes(1)));
}

}  // namespace mayfly::events
