#include "services/sns/core.h"

#include <fmt/core.h>

#include <charconv>

namespace mayfly::sns {
namespace {
constexpr std::size_t kCallThreads = 8;
constexpr std::size_t kCallQueue = 4'096;
}  // namespace

Core::Core(store::KeyValue& store_in, store::Queue& queue_in, Sns::Submit submit_in, Sns::Deliver deliver_in,
           BlockingPool& pool_in, Clock& clock_in, SnsSettings settings_in)
    : store(store_in),
      submit(std::move(submit_in)),
      deliver(std::move(deliver_in)),
      pool(pool_in),
      clock(clock_in),
      settings(std::move(settings_in)),
      topics(store_in),
      subscriptions(store_in),
      deduplication(queue_in, clock_in),
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

void Core::continue_after(std::string_view sequence) {
  if (sequence.empty()) return;
  sequence.remove_prefix(1);
  std::uint64_t last = 0;
  std::from_chars(sequence.data(), sequence.data() + sequence.size(), last);
  last_sequence = last;
}

}  // namespace mayfly::sns
