#include "services/sns/deduplication.h"

#include <algorithm>

#include "base/ids.h"
#include "base/json.h"

namespace mayfly::sns {
namespace {

constexpr std::chrono::minutes kWindow{5};
constexpr std::size_t kRememberedPage = 1'000;

store::QueueName remembered() { return store::QueueName("sns/published"); }

}  // namespace

Awaitable<Result<std::string>> Deduplication::load() {
  store::QueueSettings settings;
  settings.retention = kWindow;
  settings.dedupe_window = std::chrono::seconds(0);
  auto configured = co_await queue_.configure(remembered(), settings);
  if (!configured) co_return std::unexpected(std::move(configured.error()));
  std::string greatest;
  std::uint64_t after = 0;
  for (;;) {
    auto page = co_await queue_.peek(remembered(), after, kRememberedPage);
    if (!page) co_return std::unexpected(std::move(page.error()));
    const std::lock_guard lock(mutex_);
    const auto now = clock_.now();
    for (auto& one : *page) {
      after = one.sequence;
      const auto record = parse_json(one.body);
      if (!record) continue;
      if (const auto topic = get_string(*record, "forget"); !topic.empty()) {
        drop(std::string(topic));
        continue;
      }
      if (one.sent_at + kWindow <= now) continue;
      std::string sequence(get_string(*record, "sequence"));
      greatest = std::max(greatest, sequence);
      Slot slot{.seen = {.message_id = std::move(one.id), .sequence = std::move(sequence)},
                .until = one.sent_at + kWindow};
      slots_[std::string(get_string(*record, "key"))] = std::move(slot);
    }
    if (page->size() < kRememberedPage) break;
  }
  co_return greatest;
}

Awaitable<std::optional<Deduplication::Seen>> Deduplication::claim(std::string key) {
  for (;;) {
    std::shared_ptr<Signal> ended;
    {
      const std::lock_guard lock(mutex_);
      const auto found = slots_.find(key);
      if (found != slots_.end() && found->second.until > clock_.now()) co_return found->second.seen;
      auto& claim = claimed_[key];
      if (!claim) {
        claim = std::make_shared<Signal>();
        co_return std::optional<Seen>();
      }
      ended = claim;
    }
    // As long as the other publish takes, which has bounds of its own. Its end is remembered by the signal, whether
    // somebody waits already or not, and passed on to the next one who waits for it.
    co_await ended->wait_until(kNoDeadline);
    ended->notify();
  }
}

Awaitable<Result<void>> Deduplication::remember(std::string key, Seen seen) {
  auto body = to_json(json::object{{"key", key}, {"sequence", seen.sequence}});
  auto written = co_await write(seen.message_id, std::move(body));
  if (written) {
    const std::lock_guard lock(mutex_);
    const auto now = clock_.now();
    slots_[key] = Slot{.seen = std::move(seen), .until = now + kWindow};
    sweep(now);
  }
  abandon(key);
  co_return written;
}

void Deduplication::abandon(const std::string& key) {
  std::shared_ptr<Signal> ended;
  {
    const std::lock_guard lock(mutex_);
    const auto claim = claimed_.find(key);
    if (claim == claimed_.end()) return;
    ended = std::move(claim->second);
    claimed_.erase(claim);
  }
  ended->notify();
}

Awaitable<Result<void>> Deduplication::forget(std::string topic) {
  {
    const std::lock_guard lock(mutex_);
    drop(topic);
  }
  auto body = to_json(json::object{{"forget", topic}});
  return write(uuid4(), std::move(body));
}

Awaitable<Result<void>> Deduplication::write(std::string id, std::string body) {
  std::vector<store::NewMessage> messages(1);
  messages[0].id = std::move(id);
  messages[0].body = std::move(body);
  auto published = co_await queue_.publish(remembered(), std::move(messages));
  if (!published) co_return std::unexpected(std::move(published.error()));
  co_return Result<void>();
}

void Deduplication::drop(const std::string& topic) {
  std::erase_if(slots_, [&](const auto& slot) { return slot.first.starts_with(topic + "\n"); });
}

void Deduplication::sweep(SystemTime now) {
  // What is too old goes once in a window, so that nothing is held for longer than two of them.
  if (now < next_sweep_) return;
  next_sweep_ = now + kWindow;
  std::erase_if(slots_, [now](const auto& slot) { return slot.second.until <= now; });
}

}  // namespace mayfly::sns
