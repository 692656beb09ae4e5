// Writes what API keys have used to the store, behind the requests.
//
// Operation.   Every kBehind, and once more at the stop, the counts that have changed are written, one record for each
//              key of a plan. A crash loses what was counted since: at most kBehind of requests.
// Concurrency. run() once, on one reactor.
// Recovery.    load() gives the counts back.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <string>

#include "base/async.h"
#include "base/clock.h"
#include "gateway/usage.h"
#include "store/key_value.h"

namespace mayfly::apigateway {

class UsageWriter {
 public:
  static constexpr std::chrono::seconds kBehind{5};

  UsageWriter(store::KeyValue& store, gateway::Usage& usage) : store_(store), usage_(usage) {}

  // Counts of keys that are of no plan any more, left by a crash, go.
  using IsKnown = std::function<bool(const std::string& plan, const std::string& key)>;
  Awaitable<Result<void>> load(IsKnown is_known);
  void start(Reactor& reactor);
  Awaitable<void> stop();
  // A key has left a plan.
  Awaitable<Result<void>> forget(std::string plan, std::string key);

 private:
  Awaitable<void> run(Reactor& reactor);
  Awaitable<void> write_changed();

  store::KeyValue& store_;
  gateway::Usage& usage_;
  std::atomic<bool> stopping_{false};
  Signal changed_;
  Scope scope_{"API key usage"};
};

}  // namespace mayfly::apigateway
