// Which lanes there are, whose turn it is, and how events come into them.
#include <fmt/core.h>

#include <algorithm>
#include <iterator>

#include "base/ids.h"
#include "base/log.h"
#include "delivery/engine.h"
#include "observe/metrics.h"

namespace mayfly::delivery {
namespace {

// Beyond the longest age, so that an event's own age decides what becomes of it.
constexpr std::chrono::seconds kRetention = kLongestAge + std::chrono::hours(24);
constexpr std::chrono::seconds kDedupeWindow{300};

}  // namespace

Lane& Delivery::Impl::lane_of(const std::string& target, const std::string& via) {
  const std::lock_guard lock(mutex);
  auto& slot = lanes[Lane::key_of(target, via)];
  if (!slot) slot = std::make_unique<Lane>(target, via, settings);
  return *slot;
}

void Delivery::Impl::want_turn(Lane& lane) {
  lane.more = true;
  if (lane.queued || lane.leasing) return;
  lane.queued = true;
  line.push_back(&lane);
  work_to_do.notify();
}

void Delivery::Impl::look_at(Lane& lane, SteadyTime when) {
  if (when >= lane.timer_at) return;
  lane.timer_at = when;
  timers.emplace(when, &lane);
  work_to_do.notify();  // whoever waits for a later moment
}

Delivery::Impl::Turn Delivery::Impl::next_turn() {
  const std::lock_guard lock(mutex);
  const auto now = clock.steady_now();
  while (!timers.empty() && timers.top().first <= now) {
    auto& lane = *timers.top().second;
    // One that was overtaken by an earlier moment is nothing any more.
    const bool stands = timers.top().first == lane.timer_at;
    timers.pop();
    if (!stands) continue;
    lane.timer_at = kNoDeadline;
    want_turn(lane);
  }
  Turn turn;
  while (!stopping && !line.empty() && in_flight < settings.max_in_flight) {
    auto& lane = *line.front();
    line.pop_front();
    lane.queued = false;
    const auto allowed = lane.allowance(now, settings.max_in_flight - in_flight);
    if (allowed.count == 0) {
      // Without a moment an attempt of its own is under way, whose end puts it in the line again.
      if (allowed.wait_until != SteadyTime{}) look_at(lane, allowed.wait_until);
      continue;
    }
    lane.leasing = true;
    lane.more = false;
    lane.in_flight += allowed.count;
    in_flight += allowed.count;
    turn.lane = &lane;
    turn.count = allowed.count;
    return turn;
  }
  if (!timers.empty()) turn.look_again = timers.top().first;
  return turn;
}

void Delivery::Impl::attempt_ended(Lane& lane) {
  {
    const std::lock_guard lock(mutex);
    --lane.in_flight;
    --in_flight;
    if (lane.more) want_turn(lane);
  }
  work_to_do.notify();
  attempt_done.notify();
}

Awaitable<Result<void>> Delivery::Impl::configure(Lane& lane) {
  {
    const std::lock_guard lock(mutex);
    if (lane.configured) co_return Result<void>();
  }
  store::QueueSettings wanted;
  wanted.retention = kRetention;
  wanted.dedupe_window = kDedupeWindow;
  wanted.ordered = lane.ordered;
  auto done = co_await queue.configure(lane.queue(), wanted);
  if (done) {
    const std::lock_guard lock(mutex);
    lane.configured = true;
  }
  co_return done;
}

Awaitable<Result<void>> Delivery::Impl::add_to_lane(Request request, Batch& batch) {
  targets.shorten(request);
  auto& lane = lane_of(request.target_arn, request.via);
  auto configured = co_await configure(lane);
  if (!configured) co_return configured;
  batch.touched.emplace_back(&lane, request.delay);
  Parcel parcel;
  parcel.target = std::move(request.target_arn);
  parcel.via = std::move(request.via);
  parcel.event = std::move(request.event);
  parcel.policy = std::move(request.policy);
  parcel.policy.max_age = std::min(parcel.policy.max_age, kLongestAge);
  auto& out = batch.messages.emplace_back();
  out.queue = lane.queue();
  out.message.id = uuid4();
  out.message.body = to_text(parcel);
  if (lane.ordered) out.message.group = parcel.event.group_id;
  out.message.dedupe_id = std::move(request.dedupe_key);
  out.message.delay = request.delay;
  co_return Result<void>();
}

Awaitable<Result<void>> Delivery::Impl::submit_all(std::vector<Request> requests) {
  Batch batch;
  std::vector<Request> direct;  // those that are written where they are taken
  std::vector<store::Queue::Fanout> placed;
  for (auto& request : requests) {
    if (request.target_arn.empty() || request.target_arn.size() > kMaxTargetBytes) {
      co_return fail(ErrorCode::kInvalid, fmt::format("a delivery's target has 1 to {} bytes", kMaxTargetBytes));
    }
    if (request.event.id.empty()) request.event.id = uuid4();
    if (auto place = targets.placed(request)) {
      placed.push_back(std::move(*place));
      direct.push_back(std::move(request));
      continue;
    }
    auto added = co_await add_to_lane(std::move(request), batch);
    if (!added) co_return added;
  }
  if (!placed.empty()) {
    auto all = batch.messages;
    std::ranges::move(placed, std::back_inserter(all));
    auto published = co_await queue.publish_to_many(std::move(all));
    const bool gone = !published && published.error().code == ErrorCode::kNotFound;
    if (!published && !gone) co_return published;
    if (published) {
      for (const auto& request : direct) {
        if (metrics != nullptr) metrics->record_delivery(parse_arn(request.target_arn)->service, "delivered");
      }
      want_turns(batch);
      co_return published;
    }
    // A queue has been removed meanwhile, which is its own events' trouble and nobody else's: all take the ordinary
    // way.
    for (auto& request : direct) {
      auto added = co_await add_to_lane(std::move(request), batch);
      if (!added) co_return added;
    }
  }
  if (batch.messages.empty()) co_return Result<void>();
  auto published = co_await queue.publish_to_many(std::move(batch.messages));
  if (published) want_turns(batch);
  co_return published;
}

void Delivery::Impl::want_turns(const Batch& batch) {
  const std::lock_guard lock(mutex);
  const auto now = clock.steady_now();
  for (const auto& [lane, delay] : batch.touched) {
    if (delay <= std::chrono::microseconds::zero()) {
      want_turn(*lane);
    } else {
      lane->add_due(now + delay);
      look_at(*lane, now + delay);
    }
  }
}

Awaitable<Result<void>> Delivery::Impl::take_up() {
  auto found = co_await queue.list(std::string(Lane::kPrefix));
  if (!found) co_return std::unexpected(std::move(found.error()));
  for (const auto& name : *found) {
    const auto [target, via] = Lane::target_and_via(name.str());
    if (target.empty()) continue;
    auto& lane = lane_of(target, via);
    auto configured = co_await configure(lane);
    if (!configured) co_return configured;
    const std::lock_guard lock(mutex);
    want_turn(lane);
  }
  co_return Result<void>();
}

}  // namespace mayfly::delivery
