// One event source mapping at work: receives, filters, batches, invokes, settles.
//
// Operation.   One receiver takes records while a place for a batch is free, waits for more within the batching window,
//              drops what no filter wants, and starts an invocation for each batch. Starts with kFirstConcurrency
//              batches at a time and grows by kGrowth a second while all of them are taken, up to the mapping's
//              MaximumConcurrency; falls back when the source is empty, the function fails or is throttled.
// Failures.    After an error of the function the records come again when the source's hold has run out, and the
//              receiver waits a little, longer after each failure in a row. A throttled batch is kept, held and tried
//              again without a new receive, so that a throttle never brings a record to a dead-letter queue.
// Concurrency. Runs on one reactor. stop() and is_running() from any.
// Recovery.    Nothing of its own: what was under way at a kill comes again from the source.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "services/lambda/batch.h"
#include "services/lambda/core.h"

namespace mayfly::lambda {

struct PollerSettings {
  Place place;
  std::string function;
  std::string qualifier;
  std::uint32_t batch_size = 10;
  std::chrono::seconds window{0};
  std::optional<std::uint32_t> max_concurrency;
  bool partial_responses = false;
  bool ordered = false;
  std::vector<pattern::Pattern> filters;
};

class Poller : public std::enable_shared_from_this<Poller> {
 public:
  static constexpr std::uint32_t kFirstConcurrency = 5;
  static constexpr std::uint32_t kGrowth = 5;               // a second: 300 a minute
  static constexpr std::uint32_t kMostConcurrency = 1'250;  // without a MaximumConcurrency

  Poller(Core& core, std::unique_ptr<EventSource> source, PollerSettings settings);

  // False when the server is stopping.
  bool start(Reactor& reactor);
  void stop();
  [[nodiscard]] bool is_running() const { return running_.load() > 0; }
  [[nodiscard]] std::uint32_t concurrency() const { return in_flight_.load(); }
  // How the last batch ended, in the words of LastProcessingResult; null while none has.
  [[nodiscard]] const char* last_result() const { return last_result_.load(); }

 private:
  Awaitable<void> receive_all();
  Awaitable<void> receive_once();
  Awaitable<bool> pause_until(SteadyTime when);  // false when it is to stop
  Awaitable<std::vector<SourceRecord>> fill(std::vector<SourceRecord> records);
  Awaitable<std::vector<SourceRecord>> drop_unwanted(std::vector<SourceRecord> records);
  bool start_batch(std::vector<SourceRecord> batch, SteadyTime received_at);
  Awaitable<void> process(std::vector<SourceRecord> batch, SteadyTime received_at);
  Awaitable<void> settle(const std::vector<SourceRecord>& batch, const dispatch::Outcome& outcome);
  // An outcome, or nullopt where the mapping stops before the function could be invoked.
  Awaitable<std::optional<dispatch::Outcome>> invoke(const std::vector<SourceRecord>& batch, SteadyTime received_at);
  [[nodiscard]] std::uint32_t most() const { return settings_.max_concurrency.value_or(kMostConcurrency); }
  void grow();
  void failed();

  Core& core_;
  std::unique_ptr<EventSource> source_;
  const PollerSettings settings_;
  Reactor* reactor_ = nullptr;
  std::atomic<bool> stopping_{false};
  std::atomic<std::uint32_t> running_{0};  // tasks
  std::atomic<std::uint32_t> in_flight_{0};
  std::atomic<const char*> last_result_{nullptr};
  Signal changed_;
  std::uint32_t limit_ = kFirstConcurrency;
  SteadyTime grown_at_{};
  SteadyTime paused_until_{};
  std::uint32_t failures_ = 0;  // in a row
};

}  // namespace mayfly::lambda
