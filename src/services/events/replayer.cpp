#include "services/events/replayer.h"

#include <algorithm>

#include "base/log.h"
#include "base/time_format.h"

namespace mayfly::events {
namespace {

constexpr std::size_t kReplayBatch = 100;
constexpr auto kBefore = std::chrono::milliseconds(500);
constexpr auto kReplayRetry = std::chrono::seconds(1);
constexpr auto kSweep = std::chrono::minutes(1);

aws::ApiError gone() { return error_of(wire::errors::ResourceNotFoundException, "The replay is gone."); }

}  // namespace

bool is_over(const ReplayRecord& replay) {
  return replay.state == "COMPLETED" || replay.state == "CANCELLED" || replay.state == "FAILED";
}

Replayer::Replayer(Clock& clock, ReplayTable& replays, const ArchiveTable& archives, ArchiveStore& archived, Put put)
    : clock_(clock), replays_(replays), archives_(archives), archived_(archived), put_(std::move(put)) {}

void Replayer::start(Reactor& reactor) {
  reactor_ = &reactor;
  scope_.spawn(reactor, "sweep", [this] { return sweep_for_ever(); });
  for (const auto& replay : replays_.list(std::string(ReplayRecord::kPrefix))) {
    if (!is_over(*replay)) begin(replay->key());
  }
}

Awaitable<void> Replayer::stop() {
  scope_.stop();
  stopping_.notify_all();
  co_await scope_.join();
}

void Replayer::begin(const std::string& key) {
  if (reactor_ == nullptr) return;
  const SteadyTime first = clock_.steady_now() + kBefore;
  {
    const std::lock_guard lock(mutex_);
    running_[key] = first;
  }
  scope_.spawn(*reactor_, "replay", [this, key, first] { return run(key, first); });
}

bool Replayer::is_settled() const {
  const std::lock_guard lock(mutex_);
  const auto now = clock_.steady_now();
  return std::ranges::none_of(running_, [now](const auto& one) { return one.second <= now; });
}

Awaitable<void> Replayer::wait_until(std::string key, SteadyTime when) {
  {
    const std::lock_guard lock(mutex_);
    running_[key] = when;
  }
  co_await stopping_.wait_until(clock_, when);
}

Awaitable<void> Replayer::sweep_for_ever() {
  while (!scope_.stopping()) {
    co_await archived_.sweep();
    const SteadyTime deadline = clock_.steady_now() + kSweep;
    co_await stopping_.wait_until(clock_, deadline);
  }
}

Awaitable<void> Replayer::run(std::string key, SteadyTime first) {
  co_await stopping_.wait_until(clock_, first);
  co_await put_all(key);
  const std::lock_guard lock(mutex_);
  running_.erase(key);
}

Awaitable<void> Replayer::put_all(std::string key) {
  while (!scope_.stopping()) {
    const auto replay = replays_.find(key);
    if (!replay || is_over(*replay)) co_return;
    if (replay->state == "CANCELLING") {
      co_await finish(key, "CANCELLED", "");
      co_return;
    }
    const bool more = co_await put_batch(replay);
    if (!more) co_return;
  }
}

Awaitable<bool> Replayer::put_batch(ReplayPtr replay) {
  const auto archive = archives_.find(place_key(ArchiveRecord::kPrefix, replay->place, replay->archive));
  if (!archive) {
    co_await finish(replay->key(), "FAILED", "The archive does not exist any more.");
    co_return false;
  }
  auto batch = co_await archived_.read(archive, from_epoch_seconds(replay->event_start),
                                       from_epoch_seconds(replay->event_end), replay->position, kReplayBatch);
  if (batch && batch->empty()) {
    co_await finish(replay->key(), "COMPLETED", "");
    co_return false;
  }
  Result<void> put = batch ? Result<void>() : std::unexpected(batch.error());
  if (batch) {
    std::vector<std::string> texts;
    for (auto& event : *batch) texts.push_back(std::move(event.text));
    put = co_await put_(replay, std::move(texts));
  }
  if (!put) {
    log(Level::kWarn, "a replay could not go on; it is tried again",
        {{"replay", replay->arn()}, {"error", put.error().message}});
    const SteadyTime later = clock_.steady_now() + kReplayRetry;
    co_await wait_until(replay->key(), later);
    co_return true;
  }
  ReplayTable::Edit edit = [&batch](ReplayRecord& record) -> aws::ApiResult<void> {
    if (record.state == "STARTING") record.state = "RUNNING";
    record.position = batch->back().position;
    record.last_replayed = epoch_seconds(batch->back().time);
    return {};
  };
  auto missing = gone();
  auto changed = co_await replays_.change(replay->key(), std::move(missing), std::move(edit));
  co_return changed.has_value();
}

Awaitable<void> Replayer::finish(std::string key, std::string state, std::string reason) {
  ReplayTable::Edit edit = [this, &state, &reason](ReplayRecord& record) -> aws::ApiResult<void> {
    record.state = state;
    record.state_reason = reason;
    record.ended = epoch_seconds(clock_.now());
    return {};
  };
  auto missing = gone();
  auto changed = co_await replays_.change(key, std::move(missing), std::move(edit));
  if (!changed)
    log(Level::kWarn, "the end of a replay could not be written",
        {{"replay", key}, {"error", changed.error().message}});
}

}  // namespace mayfly::events
