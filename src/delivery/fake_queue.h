// For tests: the Queue port in memory, on a clock that tests move. Survives its users, as the store survives servers.
#pragma once

#include <algorithm>
#include <list>
#include <map>
#include <set>

#include "store/queue.h"

namespace mayfly::delivery {

class FakeQueue final : public store::Queue {
 public:
  explicit FakeQueue(Clock& clock) : clock_(clock) {}

  bool broken = false;     // publishing fails, as with a full disk
  std::size_t writes = 0;  // durable writes
  std::size_t lease_calls = 0;

  struct Message {
    store::NewMessage sent;
    std::uint64_t sequence = 0;
    std::uint32_t receives = 0;
    std::string state;
    SystemTime sent_at;
    SystemTime available_at;
    std::string lease;  // of the last holder
    bool leased = false;
  };
  struct Content {
    store::QueueSettings settings;
    std::list<Message> messages;
    std::map<std::string, SystemTime> seen;
  };
  std::map<std::string, Content> queues;

  Awaitable<Result<void>> configure(store::QueueName queue, store::QueueSettings settings) override {
    queues[queue.str()].settings = settings;
    co_return Result<void>();
  }
  Awaitable<Result<void>> remove(store::QueueName queue) override {
    queues.erase(queue.str());
    co_return Result<void>();
  }
  Awaitable<Result<std::vector<store::QueueName>>> list(std::string prefix) override {
    std::vector<store::QueueName> out;
    for (const auto& [name, content] : queues) {
      if (name.starts_with(prefix)) out.emplace_back(name);
    }
    co_return out;
  }
  Awaitable<Result<std::vector<store::Published>>> publish(store::QueueName queue,
                                                           std::vector<store::NewMessage> messages) override {
    if (broken) co_return fail(ErrorCode::kIo, "no space");
    ++writes;
    std::vector<store::Published> out;
    for (auto& message : messages) out.push_back(put(queues[queue.str()], std::move(message)));
    co_return out;
  }
  Awaitable<Result<void>> publish_to_many(std::vector<Fanout> messages) override {
    if (broken) co_return fail(ErrorCode::kIo, "no space");
    for (const auto& one : messages) {
      if (!queues.contains(one.queue.str())) co_return fail(ErrorCode::kNotFound, one.queue.str());
    }
    ++writes;
    for (auto& one : messages) put(queues[one.queue.str()], std::move(one.message));
    co_return Result<void>();
  }
  Awaitable<Result<std::vector<store::Leased>>> lease(store::QueueName queue, store::LeaseRequest request) override {
    ++lease_calls;
    auto& content = queues[queue.str()];
    expire(content);
    std::vector<store::Leased> out;
    std::set<std::string> blocked;
    const auto now = clock_.now();
    for (auto& message : content.messages) {
      const auto& group = message.sent.group;
      const bool in_order = content.settings.ordered && !group.empty();
      if (in_order && blocked.contains(group)) continue;
      if (message.available_at > now) {
        if (in_order) blocked.insert(group);
        continue;
      }
      if (out.size() == request.max_messages) break;
      message.leased = true;
      message.lease = std::to_string(++last_);
      message.available_at = now + request.duration;
      ++message.receives;
      store::Leased leased;
      leased.token = store::LeaseToken(message.lease);
      leased.id = message.sent.id;
      leased.body = message.sent.body;
      leased.group = group;
      leased.state = message.state;
      leased.sequence = message.sequence;
      leased.receive_count = message.receives;
      leased.sent_at = message.sent_at;
      leased.leased_until = message.available_at;
      out.push_back(std::move(leased));
    }
    co_return out;
  }
  Awaitable<Result<void>> extend(store::QueueName queue, store::LeaseToken token,
                                 std::chrono::microseconds duration) override {
    auto* message = find(queue, token);
    if (message == nullptr) co_return fail(ErrorCode::kNotFound, "no such lease");
    message->available_at = clock_.now() + duration;
    co_return Result<void>();
  }
  Awaitable<Result<void>> release(store::QueueName queue, store::LeaseToken token, std::chrono::microseconds delay,
                                  std::string state) override {
    auto* message = find(queue, token);
    if (message == nullptr) co_return fail(ErrorCode::kNotFound, "no such lease");
    message->available_at = clock_.now() + delay;
    message->state = std::move(state);
    message->leased = false;
    message->lease.clear();
    co_return Result<void>();
  }
  Awaitable<Result<void>> acknowledge(store::QueueName queue, store::LeaseToken token) override {
    if (find(queue, token) == nullptr) co_return fail(ErrorCode::kNotFound, "no such lease");
    std::erase_if(queues[queue.str()].messages, [&](const Message& m) { return m.lease == token.str(); });
    co_return Result<void>();
  }
  Awaitable<std::vector<Result<void>>> acknowledge_all(store::QueueName queue,
                                                       std::vector<store::LeaseToken> tokens) override {
    std::vector<Result<void>> out;
    for (auto& token : tokens) out.push_back(co_await acknowledge(queue, token));
    co_return out;
  }
  Awaitable<Result<void>> purge(store::QueueName queue) override {
    queues[queue.str()].messages.clear();
    co_return Result<void>();
  }
  Awaitable<Result<store::QueueCounts>> counts(store::QueueName queue) override {
    store::QueueCounts out;
    auto& content = queues[queue.str()];
    expire(content);
    for (const auto& message : content.messages) {
      const bool later = message.available_at > clock_.now();
      ++(later ? (message.leased ? out.leased : out.delayed) : out.ready);
      out.bytes += message.sent.body.size();
      if (!out.oldest_sent_at || message.sent_at < *out.oldest_sent_at) out.oldest_sent_at = message.sent_at;
    }
    co_return out;
  }
  Awaitable<Result<std::vector<store::PeekedMessage>>> peek(store::QueueName queue, std::uint64_t after,
                                                            std::size_t limit) override {
    std::vector<store::PeekedMessage> out;
    for (const auto& message : queues[queue.str()].messages) {
      if (message.sequence <= after || out.size() == limit) continue;
      store::PeekedMessage one;
      one.id = message.sent.id;
      one.body = message.sent.body;
      one.state = message.state;
      one.sequence = message.sequence;
      one.receive_count = message.receives;
      one.sent_at = message.sent_at;
      one.available_at = message.available_at;
      one.leased = message.leased;
      out.push_back(std::move(one));
    }
    co_return out;
  }
  Awaitable<Result<void>> take_out(store::QueueName queue, std::string id) override {
    std::erase_if(queues[queue.str()].messages, [&](const Message& m) { return m.sent.id == id; });
    co_return Result<void>();
  }

 private:
  store::Published put(Content& content, store::NewMessage message) {
    store::Published out;
    out.id = message.id;
    const auto now = clock_.now();
    const auto held = std::ranges::find_if(content.messages, [&](const Message& m) { return m.sent.id == message.id; });
    if (held != content.messages.end()) {
      out.sequence = held->sequence;
      out.duplicate = true;
      return out;
    }
    if (!message.dedupe_id.empty()) {
      auto& seen = content.seen[message.dedupe_id];
      if (seen != SystemTime{} && now - seen < content.settings.dedupe_window) {
        out.duplicate = true;
        return out;
      }
      seen = now;
    }
    Message stored;
    stored.sequence = out.sequence = ++last_;
    stored.sent_at = now;
    stored.available_at = now + message.delay;
    stored.sent = std::move(message);
    content.messages.push_back(std::move(stored));
    return out;
  }
  void expire(Content& content) {
    std::erase_if(content.messages,
                  [&](const Message& m) { return clock_.now() - m.sent_at >= content.settings.retention; });
  }
  Message* find(const store::QueueName& queue, const store::LeaseToken& token) {
    auto& messages = queues[queue.str()].messages;
    const auto found =
        std::find_if(messages.begin(), messages.end(), [&](const Message& m) { return m.lease == token.str(); });
    return found == messages.end() || token.empty() ? nullptr : &*found;
  }

  Clock& clock_;
  std::uint64_t last_ = 0;
};

}  // namespace mayfly::delivery
