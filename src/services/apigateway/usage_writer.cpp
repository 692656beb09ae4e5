#include "services/apigateway/usage_writer.h"

#include "base/log.h"
#include "services/apigateway/key_records.h"

namespace mayfly::apigateway {

Awaitable<Result<void>> UsageWriter::load(IsKnown is_known) {
  constexpr std::size_t kPage = 256;
  std::string after;
  for (;;) {
    auto page = co_await store_.list(std::string(kUsagePrefix), after, kPage);
    if (!page) co_return std::unexpected(std::move(page.error()));
    for (const auto& entry : *page) {
      auto counted = read_usage(entry.key, entry.value);
      if (!counted) co_return std::unexpected(std::move(counted.error()));
      if (is_known(counted->plan, counted->key)) {
        usage_.restore(std::move(*counted));
        continue;
      }
      const std::optional<store::Revision> whatever;
      auto removed = co_await store_.remove(entry.key, whatever);
      if (!removed) co_return removed;
    }
    if (page->size() < kPage) co_return Result<void>();
    after = page->back().key;
  }
}

void UsageWriter::start(Reactor& reactor) {
  const std::function<Awaitable<void>()> task = [this, &reactor] { return run(reactor); };
  scope_.spawn(reactor, "API key usage", task);
}

Awaitable<void> UsageWriter::run(Reactor& reactor) {
  while (!stopping_) {
    const auto next = reactor.clock().steady_now() + kBehind;
    co_await changed_.wait_until(next);
    co_await write_changed();
  }
  co_await write_changed();  // what came while the last ones were written
}

Awaitable<void> UsageWriter::write_changed() {
  const auto changed = usage_.take_changed();
  for (const auto& one : changed) {
    auto written = co_await store_.put(usage_key(one.plan, one.key), usage_document(one.days));
    if (written) continue;
    // It stays counted in memory and is tried again.
    usage_.mark_changed(one.plan, one.key);
    log(Level::kError, "what an API key has used could not be written",
        {{"plan", one.plan}, {"key", one.key}, {"error", written.error().message}});
  }
}

Awaitable<void> UsageWriter::stop() {
  stopping_ = true;
  changed_.notify();
  scope_.stop();
  co_await scope_.join();
}

Awaitable<Result<void>> UsageWriter::forget(std::string plan, std::string key) {
  usage_.forget(plan, key);
  const std::optional<store::Revision> whatever;
  co_return co_await store_.remove(usage_key(plan, key), whatever);
}

}  // namespace mayfly::apigateway
