#include "delivery/engine.h"

#include <fmt/core.h>

#include "base/log.h"
#include "observe/metrics.h"

namespace mayfly::delivery {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// How soon a lane is looked at again whose queue holds more than is known here, or could not be asked.
constexpr seconds kProbe{1};
// The queue's clock and this one are read at different moments.
constexpr milliseconds kSoon{20};
constexpr seconds kUnreadable{3600};
constexpr seconds kStoreTrouble{5};

bool has_followers(const Policy& policy) { return !policy.dead_letter_arn.empty() || !policy.on_failure_arn.empty(); }

}  // namespace

Awaitable<void> Delivery::Impl::work() {
  for (;;) {
    {
      const std::lock_guard lock(mutex);
      if (stopping) break;
    }
    const auto turn = next_turn();
    if (turn.lane != nullptr) {
      co_await serve(*turn.lane, turn.count);
    } else {
      co_await work_to_do.wait_until(clock, turn.look_again);
    }
  }
  work_to_do.notify();  // the next worker sees the end, too
}

Awaitable<void> Delivery::Impl::serve(Lane& lane, std::uint32_t count) {
  store::LeaseRequest request;
  request.max_messages = count;
  request.duration = settings.lease;
  Result<std::vector<store::Leased>> leased;
  auto configured = co_await configure(lane);
  if (configured) {
    leased = co_await queue.lease(lane.queue(), request);
  } else {
    leased = std::unexpected(std::move(configured.error()));
  }
  std::uint64_t waiting = 0;
  if (leased && leased->size() < count) {
    const auto counts = co_await queue.counts(lane.queue());
    if (counts) waiting = counts->ready + counts->delayed + counts->leased;
  }
  if (!leased) {
    log(Level::kWarn, "a lane of delivery cannot be read; it is tried again",
        {{"target", lane.target}, {"error", leased.error().message}});
  }
  const auto got = leased ? static_cast<std::uint32_t>(leased->size()) : 0U;
  {
    const std::lock_guard lock(mutex);
    const auto now = clock.steady_now();
    lane.leasing = false;
    lane.in_flight -= count - got;
    in_flight -= count - got;
    if (!leased) {
      look_at(lane, now + kProbe);
    } else if (got == count || lane.more) {
      want_turn(lane);
    } else if (const auto due = lane.next_due(now); due != kNoDeadline) {
      look_at(lane, due);
    } else if (waiting > lane.in_flight) {
      look_at(lane, now + (got > 0 ? milliseconds(kSoon) : milliseconds(kProbe)));
    }
  }
  attempt_done.notify();
  if (!leased) co_return;
  for (auto& message : *leased) start_attempt(lane, std::move(message));
}

void Delivery::Impl::start_attempt(Lane& lane, store::Leased message) {
  auto shared = std::make_shared<store::Leased>(std::move(message));
  const std::function<Awaitable<void>()> task = [this, &lane, shared] { return attempt(lane, std::move(*shared)); };
  // The server stops: the message comes again when its lease has run out.
  if (!attempts.spawn(reactors.next(), "delivery", task)) attempt_ended(lane);
}

Awaitable<void> Delivery::Impl::attempt(Lane& lane, store::Leased message) {
  std::uint64_t number = 0;
  bool first = false;
  {
    const std::lock_guard lock(mutex);
    const auto now = clock.steady_now();
    number = ++last_held;
    held[number] = {.queue = lane.queue(),
                    .token = message.token,
                    .renew_at = now + settings.lease / 3,
                    .give_up_at = now + settings.attempt_time};
    first = held.size() == 1;
  }
  if (first) keeper.notify();
  auto parcel = parcel_from_text(message.body);
  auto progress = progress_from_text(message.state);
  message.body.clear();
  if (!parcel) {
    log(Level::kError, "an event that waits for delivery cannot be read; it is kept",
        {{"target", lane.target}, {"message", message.id}, {"error", parcel.error().message}});
    co_await put_back(lane, message, progress, kUnreadable);
  } else if (clock.now() - message.sent_at >= parcel->policy.max_age) {
    co_await give_up(lane, message, *parcel, progress, Ending::kAgeExceeded);
  } else {
    if (progress.first_try == SystemTime{}) progress.first_try = clock.now();
    auto handler = lane.via;
    auto target = parcel->target;
    Event event = parcel->event;
    event.attempt = progress.attempts + 1;
    Attempt result;
    if (handler.empty()) {
      result = co_await targets.deliver(std::move(target), std::move(event));
    } else {
      result = co_await targets.deliver_via(std::move(handler), std::move(target), std::move(event));
    }
    co_await settle(lane, message, *parcel, progress, std::move(result));
  }
  {
    const std::lock_guard lock(mutex);
    held.erase(number);
  }
  attempt_ended(lane);
}

Awaitable<void> Delivery::Impl::settle(Lane& lane, const store::Leased& message, Parcel& parcel, Progress& progress,
                                       Attempt result) {
  const auto& policy = parcel.policy;
  const auto now = clock.steady_now();
  const bool reached = !result.function_error.empty();
  if (result.kind == Attempt::Kind::kThrottled) {
    {
      const std::lock_guard lock(mutex);
      ++lane.shown.throttled_attempts;
      lane.throttled(now, random);
    }
    remember_error(lane, result);
    count(lane, "throttled");
    // Ready at once: what waits is the lane.
    co_await put_back(lane, message, progress, milliseconds::zero());
    co_return;
  }
  ++progress.attempts;
  const auto kind = result.kind;
  if (kind != Attempt::Kind::kDone) remember_error(lane, result);
  progress.last = std::move(result);
  if (kind == Attempt::Kind::kDone) {
    {
      const std::lock_guard lock(mutex);
      lane.delivered();
    }
    if (co_await finish(lane, message, parcel, progress, Ending::kSuccess)) {
      const std::lock_guard lock(mutex);
      ++lane.shown.delivered;
    }
    count(lane, "delivered");
    co_return;
  }
  const bool refused = kind == Attempt::Kind::kRefused;
  std::chrono::nanoseconds delay{};
  {
    const std::lock_guard lock(mutex);
    ++lane.shown.failed_attempts;
    if (!reached && !(refused && has_followers(policy))) lane.unreachable(now);
    const auto retry = progress.attempts - 1;
    if (retry < policy.waits.size()) {
      delay = policy.waits[retry];
    } else {
      delay = back_off(policy.first_back_off, policy.max_back_off, retry);
      if (policy.jitter) delay = jittered(delay, random);
    }
  }
  count(lane, "failed");
  if (refused && has_followers(policy)) {
    co_await give_up(lane, message, parcel, progress, Ending::kRefused);
  } else if (!refused && policy.max_attempts != 0 && progress.attempts >= policy.max_attempts) {
    co_await give_up(lane, message, parcel, progress, Ending::kRetriesExhausted);
  } else {
    // Not beyond its age, so that its end comes when it is due.
    const auto left = policy.max_age - (clock.now() - message.sent_at);
    co_await put_back(lane, message, progress, std::min<std::chrono::nanoseconds>(delay, left));
  }
}

Awaitable<void> Delivery::Impl::give_up(Lane& lane, const store::Leased& message, Parcel& parcel, Progress& progress,
                                        Ending ending) {
  const bool wanted = has_followers(parcel.policy);
  const bool finished = co_await finish(lane, message, parcel, progress, ending);
  if (!finished) co_return;
  {
    const std::lock_guard lock(mutex);
    ++lane.shown.dead;
    if (!wanted) ++lane.shown.dropped;
  }
  count(lane, wanted ? "dead" : "dropped");
  log(Level::kWarn,
      wanted ? "an event was given up and handed on" : "an event was given up; nobody is named to take it",
      {{"target", lane.target},
       {"event", parcel.event.id},
       {"attempts", progress.attempts},
       {"reason", ending == Ending::kAgeExceeded ? "age" : (ending == Ending::kRefused ? "refused" : "attempts")},
       {"error_code", progress.last.error_code}});
}

Awaitable<bool> Delivery::Impl::finish(Lane& lane, const store::Leased& message, Parcel& parcel, Progress& progress,
                                       Ending ending) {
  auto next = followers(parcel, progress, ending, clock.now());
  if (!next.empty()) {
    const auto handed = co_await submit_all(std::move(next));
    if (!handed) {
      log(Level::kWarn, "what follows from an event cannot be stored; it stays where it is",
          {{"target", lane.target}, {"event", parcel.event.id}, {"error", handed.error().message}});
      co_await put_back(lane, message, progress, kStoreTrouble);
      co_return false;
    }
  }
  const auto done = co_await queue.acknowledge(lane.queue(), message.token);
  // Nothing is lost: it comes again, and targets recognise it by its id.
  if (!done && done.error().code != ErrorCode::kNotFound) {
    log(Level::kWarn, "a delivered event could not be acknowledged; it will come again",
        {{"target", lane.target}, {"event", parcel.event.id}, {"error", done.error().message}});
  }
  co_return true;
}

Awaitable<void> Delivery::Impl::put_back(Lane& lane, const store::Leased& message, const Progress& progress,
                                         std::chrono::nanoseconds delay) {
  delay = std::max(delay, std::chrono::nanoseconds::zero());
  auto state = to_text(progress);
  const auto wait = std::chrono::ceil<std::chrono::microseconds>(delay);
  const auto released = co_await queue.release(lane.queue(), message.token, wait, std::move(state));
  if (!released && released.error().code != ErrorCode::kNotFound) {
    log(Level::kWarn, "an event could not be put back; it comes again when its lease has run out",
        {{"target", lane.target}, {"message", message.id}, {"error", released.error().message}});
  }
  const std::lock_guard lock(mutex);
  const auto due = clock.steady_now() + (released ? delay : std::chrono::nanoseconds(settings.lease));
  if (delay <= std::chrono::nanoseconds::zero() && released) {
    want_turn(lane);
  } else {
    lane.add_due(due);
    look_at(lane, due);
  }
}

Awaitable<void> Delivery::Impl::keep() {
  for (;;) {
    auto look_again = kNoDeadline;
    {
      const std::lock_guard lock(mutex);
      if (keeping_ended) co_return;
      if (!held.empty()) look_again = clock.steady_now() + settings.lease / 6;
    }
    co_await keeper.wait_until(clock, look_again);
    std::vector<std::pair<std::uint64_t, Held>> old;
    {
      const std::lock_guard lock(mutex);
      const auto now = clock.steady_now();
      for (auto& [number, one] : held) {
        if (now < one.renew_at || now >= one.give_up_at) continue;
        one.renew_at = now + settings.lease / 3;
        old.emplace_back(number, one);
      }
    }
    for (const auto& [number, one] : old) {
      {
        const std::lock_guard lock(mutex);
        if (!held.contains(number)) continue;
      }
      const auto renewed = co_await queue.extend(one.queue, one.token, settings.lease);
      if (!renewed && renewed.error().code != ErrorCode::kNotFound) {
        log(Level::kWarn, "the lease of an event under way cannot be renewed", {{"error", renewed.error().message}});
      }
    }
  }
}

void Delivery::Impl::count(const Lane& lane, const char* outcome) {
  if (metrics == nullptr) return;
  const auto arn = parse_arn(lane.target);
  metrics->record_delivery(arn ? arn->service : std::string(), outcome);
}

void Delivery::Impl::remember_error(Lane& lane, const Attempt& result) {
  const std::lock_guard lock(mutex);
  lane.shown.last_error_code = result.error_code;
  lane.shown.last_error_message = result.error_message;
}

}  // namespace mayfly::delivery
