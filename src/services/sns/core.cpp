#include "services/sns/core.h"

#include <fmt/core.h>

namespace mayfly::sns {
namespace {
constexpr std::chrono::minutes kWindow{5};
constexpr std::size_t kCallThreads = 8;
constexpr std::size_t kCallQueue = 4'096;
}  // namespace

std::optional<Deduplication::Seen> Deduplication::find(const std::string& key, SystemTime now) {
  const std::lock_guard lock(mutex_);
  const auto found = slots_.find(key);
  if (found == slots_.end() || found->second.until <= now) return std::nullopt;
  return found->second.seen;
}

void Deduplication::remember(const std::string& key, Seen seen, SystemTime now) {
  const std::lock_guard lock(mutex_);
  slots_[key] = Slot{.seen = std::move(seen), .until = now + kWindow};
  // What is too old goes once in a window, so that nothing is held for longer than two of them.
  if (now < next_sweep_) return;
  next_sweep_ = now + kWindow;
  std::erase_if(slots_, [now](const auto& slot) { return slot.second.until <= now; });
}

Core::Core(store::KeyValue& store_in, Sns::Submit submit_in, Sns::Deliver deliver_in, BlockingPool& pool_in,
           Clock& clock_in, SnsSettings settings_in)
    : store(store_in),
      submit(std::move(submit_in)),
      deliver(std::move(deliver_in)),
      pool(pool_in),
      clock(clock_in),
      settings(std::move(settings_in)),
      topics(store_in),
      subscriptions(store_in),
      calls(kCallThreads, kCallQueue) {}

Awaitable<aws::ApiResult<void>> Core::submit_all(std::vector<delivery::Request> requests) {
  if (requests.empty()) co_return aws::ApiResult<void>();
  auto submitted = co_await submit(std::move(requests));
  if (!submitted) co_return refuse_internal(submitted.error());
  co_return aws::ApiResult<void>();
}

Awaitable<aws::ApiResult<void>> Core::submit_one(delivery::Request request) {
  std::vector<delivery::Request> requests;
  requests.push_back(std::move(request));
  co_return co_await submit_all(std::move(requests));
}

Signer Core::signer() const {
  const std::lock_guard lock(signer_mutex_);
  return signer_;
}

void Core::set_signer(Signer signer) {
  const std::lock_guard lock(signer_mutex_);
  signer_ = std::move(signer);
}

std::string Core::next_sequence() {
  // Grows with the clock over restarts, and by one where the clock stands still.
  const auto now = static_cast<std::uint64_t>(clock.now().time_since_epoch().count());
  auto last = last_sequence.load();
  std::uint64_t next = 0;
  do {
    next = std::max(last + 1, now);
  } while (!last_sequence.compare_exchange_weak(last, next));
  return fmt::format("1{:019}", next);
}

}  // namespace mayfly::sns
