#include "services/lambda/poller.h"

#include <algorithm>

#include "base/ids.h"
#include "base/log.h"
#include "delivery/lane.h"
#include "services/lambda/invoke.h"

namespace mayfly::lambda {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds kWait{3'000};  // of one receive; how long a stop may take
constexpr milliseconds kQuick{100};   // an empty answer that came sooner did not wait
constexpr milliseconds kFirstPause{100};
constexpr milliseconds kLongestPause{10'000};
constexpr milliseconds kLongestFailurePause{2'000};
constexpr seconds kPauseWithoutFunction{1};

constexpr const char* kProcessed = "OK";
constexpr const char* kCallFailed = "PROBLEM: Function call failed";
constexpr const char* kUnreadable = "PROBLEM: The event source cannot be read";
constexpr const char* kBadResponse = "PROBLEM: The function's partial batch response cannot be read";

std::chrono::nanoseconds pause_of(std::uint32_t step, std::chrono::nanoseconds longest) {
  const auto most = delivery::back_off(kFirstPause, longest, step);
  return most / 2 +
         std::chrono::nanoseconds(static_cast<std::int64_t>(static_cast<double>(most.count()) / 2 * random_share()));
}

std::vector<std::string> receipts_of(const std::vector<SourceRecord>& records) {
  std::vector<std::string> out;
  out.reserve(records.size());
  for (const auto& record : records) out.push_back(record.receipt);
  return out;
}

}  // namespace

Poller::Poller(Core& core, std::unique_ptr<EventSource> source, PollerSettings settings)
    : core_(core), source_(std::move(source)), settings_(std::move(settings)) {
  limit_ = std::min(limit_, most());
}

bool Poller::start(Reactor& reactor) {
  reactor_ = &reactor;
  ++running_;
  const std::function<Awaitable<void>()> task = [self = shared_from_this()] { return self->receive_all(); };
  if (core_.polls.spawn(reactor, "event source mapping", task)) return true;
  --running_;
  return false;
}

void Poller::stop() {
  stopping_ = true;
  changed_.notify_all();
  changed_.notify();  // for the next one that waits
}

Awaitable<bool> Poller::pause_until(SteadyTime when) {
  while (!stopping_ && core_.clock.steady_now() < when) co_await changed_.wait_until(core_.clock, when);
  co_return !stopping_.load();
}

void Poller::grow() {
  const auto now = core_.clock.steady_now();
  if (in_flight_ < limit_ || now - grown_at_ < seconds(1)) return;
  grown_at_ = now;
  limit_ = std::min(limit_ + kGrowth, most());
}

void Poller::failed() {
  limit_ = std::max(1U, limit_ / 2);
  paused_until_ = core_.clock.steady_now() + pause_of(failures_, kLongestFailurePause);
  ++failures_;
}

Awaitable<void> Poller::receive_all() {
  const auto self = shared_from_this();
  while (!stopping_) {
    const auto now = core_.clock.steady_now();
    if (in_flight_ >= limit_) {
      grow();
      if (in_flight_ >= limit_) co_await changed_.wait_until(core_.clock, now + seconds(1));
    } else if (now < paused_until_) {
      co_await changed_.wait_until(core_.clock, paused_until_);
    } else {
      co_await receive_once();
    }
  }
  // What is under way finishes by itself.
  --running_;
}

Awaitable<void> Poller::receive_once() {
  const auto began = core_.clock.steady_now();
  // Without its function a mapping takes nothing out of the source.
  if (!resolve(core_, settings_.place, settings_.function, settings_.qualifier, 0)) {
    paused_until_ = began + kPauseWithoutFunction;
    co_return;
  }
  ReceiveAsk ask;
  ask.max_records = settings_.batch_size;
  ask.wait = kWait;
  auto received = co_await source_->receive(ask);
  const auto now = core_.clock.steady_now();
  if (!received) {
    if (failures_ == 0) {
      log(Level::kWarn, "an event source cannot be read; it is tried again",
          {{"function", settings_.function}, {"error", received.error().message}});
    }
    last_result_ = kUnreadable;
    paused_until_ = now + pause_of(failures_, kLongestPause);
    ++failures_;
    co_return;
  }
  if (received->empty()) {
    limit_ = std::min(kFirstConcurrency, most());
    if (now - began < kWait / 2) paused_until_ = now + kQuick;
    co_return;
  }
  auto records = co_await fill(std::move(*received));
  records = co_await drop_unwanted(std::move(records));
  BatchRules rules;
  rules.max_records = settings_.batch_size;
  rules.isolate = !settings_.ordered && !settings_.partial_responses;
  auto batches = make_batches(std::move(records), rules);
  for (auto& batch : batches) {
    while (!stopping_ && in_flight_ >= limit_) {
      grow();
      if (in_flight_ >= limit_) co_await changed_.wait_until(core_.clock, core_.clock.steady_now() + seconds(1));
    }
    auto receipts = receipts_of(batch);
    if (stopping_ || !start_batch(std::move(batch), began)) {
      co_await source_->hold(std::move(receipts), seconds(0));
    }
  }
}

Awaitable<std::vector<SourceRecord>> Poller::fill(std::vector<SourceRecord> records) {
  const auto deadline = core_.clock.steady_now() + settings_.window;
  ReceiveAsk ask;
  std::uint64_t bytes = 0;
  for (const auto& record : records) bytes += record.text.size();
  while (!stopping_ && records.size() < settings_.batch_size && bytes < ask.max_bytes) {
    const auto now = core_.clock.steady_now();
    if (now >= deadline) break;
    ReceiveAsk more;
    more.max_records = settings_.batch_size - static_cast<std::uint32_t>(records.size());
    more.max_bytes = ask.max_bytes - bytes;
    more.wait = std::min(kWait, std::chrono::ceil<milliseconds>(deadline - now));
    auto received = co_await source_->receive(more);
    if (!received) break;
    for (auto& record : *received) {
      bytes += record.text.size();
      records.push_back(std::move(record));
    }
    const bool quick = received->empty() && core_.clock.steady_now() - now < more.wait / 2;
    if (quick && !co_await pause_until(std::min(deadline, now + kQuick))) break;
  }
  co_return records;
}

Awaitable<std::vector<SourceRecord>> Poller::drop_unwanted(std::vector<SourceRecord> records) {
  if (settings_.filters.empty()) co_return records;
  std::vector<SourceRecord> wanted;
  std::vector<SourceRecord> unwanted;
  for (auto& record : records) {
    const bool ok = passes(settings_.filters, record);
    (ok ? wanted : unwanted).push_back(std::move(record));
  }
  if (!unwanted.empty()) {
    auto receipts = receipts_of(unwanted);
    co_await source_->done(std::move(receipts));
  }
  co_return wanted;
}

bool Poller::start_batch(std::vector<SourceRecord> batch, SteadyTime received_at) {
  auto shared = std::make_shared<std::vector<SourceRecord>>(std::move(batch));
  const std::function<Awaitable<void>()> task = [self = shared_from_this(), shared, received_at] {
    return self->process(std::move(*shared), received_at);
  };
  ++running_;
  ++in_flight_;
  if (core_.polls.spawn(*reactor_, "batch of an event source", task)) return true;
  --running_;
  --in_flight_;
  return false;
}

Awaitable<void> Poller::process(std::vector<SourceRecord> batch, SteadyTime received_at) {
  const auto self = shared_from_this();
  const auto outcome = co_await invoke(batch, received_at);
  if (outcome) {
    co_await settle(batch, *outcome);
  } else {
    auto receipts = receipts_of(batch);
    co_await source_->hold(std::move(receipts), seconds(0));
  }
  --in_flight_;
  --running_;
  changed_.notify();
}

Awaitable<std::optional<dispatch::Outcome>> Poller::invoke(const std::vector<SourceRecord>& batch,
                                                           SteadyTime received_at) {
  dispatch::Invocation invocation;
  invocation.request_id = uuid4();
  invocation.payload = batch_event(batch);
  auto held_at = received_at;
  for (std::uint32_t attempt = 0; !stopping_; ++attempt) {
    const auto now = core_.clock.steady_now();
    const auto hold = source_->hold_time();
    if (now - held_at > hold / 3 && hold > seconds(0)) {
      // Waited in the window or for a throttle: the function gets the whole time again.
      auto receipts = receipts_of(batch);
      co_await source_->hold(std::move(receipts), hold);
      held_at = now;
    }
    auto resolved = resolve(core_, settings_.place, settings_.function, settings_.qualifier, random_share());
    if (!resolved) co_return std::nullopt;
    invocation.invoked_function_arn = resolved->invoked_arn;
    auto copy = invocation;
    auto outcome = co_await core_.invoker.invoke(std::move(resolved->target), std::move(copy));
    if (outcome) co_return std::move(*outcome);
    const bool fatal = outcome.error().code == ErrorCode::kUnsupported;
    if (fatal || stopping_) co_return std::nullopt;
    limit_ = std::max(1U, limit_ / 2);
    const auto wait = pause_of(attempt, kLongestPause);
    paused_until_ = std::max(paused_until_, core_.clock.steady_now() + wait);
    if (!co_await pause_until(core_.clock.steady_now() + wait)) break;
  }
  co_return std::nullopt;
}

Awaitable<void> Poller::settle(const std::vector<SourceRecord>& batch, const dispatch::Outcome& outcome) {
  std::optional<std::vector<std::string>> bad;
  if (outcome.function_error.empty()) {
    bad.emplace();
    if (settings_.partial_responses) bad = reported_failures(outcome.payload, batch);
  }
  if (!outcome.function_error.empty()) {
    last_result_ = kCallFailed;
  } else {
    last_result_ = bad ? kProcessed : kBadResponse;
  }
  std::vector<std::string> good;
  if (bad) {
    for (const auto& record : batch) {
      if (std::find(bad->begin(), bad->end(), record.id) == bad->end()) good.push_back(record.receipt);
    }
  }
  // The others come again when their hold has run out.
  const bool all = good.size() == batch.size();
  const bool any = !good.empty();
  if (any) co_await source_->done(std::move(good));
  if (all) failures_ = 0;
  if (!any) failed();
}

}  // namespace mayfly::lambda
