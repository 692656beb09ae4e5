#include "delivery/delivery.h"

#include <algorithm>
#include <cstring>

#include "base/ids.h"
#include "delivery/engine.h"

namespace mayfly::delivery {
namespace {

std::uint64_t seed_from(std::uint64_t given) {
  if (given != 0) return given;
  const auto bytes = random_bytes(sizeof(std::uint64_t));
  std::uint64_t seed = 0;
  std::memcpy(&seed, bytes.data(), sizeof(seed));
  return seed;
}

}  // namespace

Delivery::Impl::Impl(store::Queue& queue_in, const Targets& targets_in, Reactors& reactors_in, Clock& clock_in,
                     DeliverySettings settings_in)
    : queue(queue_in),
      targets(targets_in),
      reactors(reactors_in),
      clock(clock_in),
      settings(settings_in),
      random(seed_from(settings_in.seed)) {}

Delivery::Delivery(store::Queue& queue, const Targets& targets, Reactors& reactors, Clock& clock,
                   DeliverySettings settings)
    : impl_(std::make_unique<Impl>(queue, targets, reactors, clock, settings)) {}

Delivery::~Delivery() = default;

void Delivery::report_to(observe::Metrics& metrics) { impl_->metrics = &metrics; }

Awaitable<Result<void>> Delivery::start() {
  auto taken = co_await impl_->take_up();
  if (!taken) co_return taken;
  const std::function<Awaitable<void>()> work = [impl = impl_.get()] { return impl->work(); };
  const std::function<Awaitable<void>()> keep = [impl = impl_.get()] { return impl->keep(); };
  for (std::uint32_t i = 0; i < impl_->settings.workers; ++i) {
    impl_->workers.spawn(impl_->reactors.next(), "delivery worker", work);
  }
  impl_->workers.spawn(impl_->reactors.next(), "delivery leases", keep);
  co_return Result<void>();
}

Awaitable<void> Delivery::stop(std::chrono::nanoseconds at_most) {
  // On the reactor's time: attempts end in it, whatever clock events wait for.
  const auto deadline = Reactor::current().steady_now() + at_most;
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
  }
  impl_->work_to_do.notify();
  for (;;) {
    {
      const std::lock_guard lock(impl_->mutex);
      if (impl_->in_flight == 0) break;
    }
    if (!co_await impl_->attempt_done.wait_until(deadline)) break;
  }
}

Awaitable<void> Delivery::join() {
  // The keeper goes on until here: what runs still keeps its event.
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->keeping_ended = true;
  }
  impl_->keeper.notify();
  impl_->workers.stop();
  co_await impl_->workers.join();
  impl_->attempts.stop();
  co_await impl_->attempts.join();
}

Awaitable<Result<void>> Delivery::submit(Request request) {
  std::vector<Request> requests;
  requests.push_back(std::move(request));
  return submit_all(std::move(requests));
}

Awaitable<Result<void>> Delivery::submit_all(std::vector<Request> requests) {
  return impl_->submit_all(std::move(requests));
}

void Delivery::wake(const std::string& target_arn, const std::string& via) {
  const std::lock_guard lock(impl_->mutex);
  const auto found = impl_->lanes.find(Lane::key_of(target_arn, via));
  if (found == impl_->lanes.end()) return;
  found->second->wake(impl_->clock.steady_now());
  impl_->want_turn(*found->second);
}

bool Delivery::is_quiet() const {
  const std::lock_guard lock(impl_->mutex);
  const bool timer_due = !impl_->timers.empty() && impl_->timers.top().first <= impl_->clock.steady_now();
  return impl_->line.empty() && impl_->in_flight == 0 && !timer_due;
}

Awaitable<std::vector<LaneInfo>> Delivery::lanes() {
  std::vector<LaneInfo> out;
  {
    const std::lock_guard lock(impl_->mutex);
    const auto now = impl_->clock.steady_now();
    out.reserve(impl_->lanes.size());
    for (const auto& [key, lane] : impl_->lanes) {
      auto& info = out.emplace_back(lane->shown);
      info.breaker = lane->breaker_state(now);
      info.in_flight = lane->in_flight;
    }
  }
  std::sort(out.begin(), out.end(),
            [](const auto& a, const auto& b) { return std::tie(a.target_arn, a.via) < std::tie(b.target_arn, b.via); });
  for (auto& info : out) {
    store::QueueName name(std::string(Lane::kPrefix) + Lane::key_of(info.target_arn, info.via));
    auto counts = co_await impl_->queue.counts(std::move(name));
    if (counts) info.counts = *counts;
  }
  co_return out;
}

Awaitable<Result<std::vector<WaitingEvent>>> Delivery::waiting(std::string target_arn, std::string via,
                                                               std::uint64_t after, std::size_t limit) {
  store::QueueName name(std::string(Lane::kPrefix) + Lane::key_of(target_arn, via));
  auto found = co_await impl_->queue.peek(std::move(name), after, limit);
  if (!found) co_return std::unexpected(std::move(found.error()));
  std::vector<WaitingEvent> out;
  for (const auto& message : *found) {
    auto& one = out.emplace_back();
    const auto parcel = parcel_from_text(message.body);
    const auto progress = progress_from_text(message.state);
    one.id = parcel ? parcel->event.id : message.id;
    one.sequence = message.sequence;
    one.payload_bytes = parcel ? parcel->event.payload.size() : message.body.size();
    one.attempts = progress.attempts;
    one.last_error_code = progress.last.error_code;
    one.last_error_message = progress.last.error_message;
    one.accepted_at = message.sent_at;
    one.next_attempt_at = message.available_at;
  }
  co_return out;
}

}  // namespace mayfly::delivery
