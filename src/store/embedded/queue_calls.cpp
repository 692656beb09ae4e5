// The calls of QueueEngine: each checks what the caller gives, and hands a command to the engine's thread.
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "store/embedded/queue_engine.h"

namespace mayfly::store {

namespace {

using Kind = QueueCommand::Kind;

constexpr std::size_t kMaxNameBytes = 1'024;
constexpr std::size_t kMaxIdBytes = 256;
constexpr std::size_t kMaxBodyBytes = 2UL * 1024 * 1024;
constexpr std::size_t kMaxGroupBytes = 1'024;
constexpr std::size_t kMaxStateBytes = 256UL * 1024;
constexpr std::size_t kMaxMessages = 10'000;  // in one call
constexpr std::size_t kMaxCallBytes = 64UL * 1024 * 1024;
constexpr std::uint64_t kMaxPeekBytes = 16UL * 1024 * 1024;
constexpr std::chrono::microseconds kMaxDuration = std::chrono::days(3'660);

Result<void> check_name(const QueueName& queue) {
  if (queue.empty()) return fail(ErrorCode::kInvalid, "a queue needs a name");
  if (queue.str().size() > kMaxNameBytes) {
    return fail(ErrorCode::kTooLarge, fmt::format("a queue's name has at most {} bytes", kMaxNameBytes));
  }
  return {};
}

Result<void> check_duration(std::chrono::microseconds duration) {
  if (duration.count() >= 0 && duration <= kMaxDuration) return {};
  return fail(ErrorCode::kInvalid, fmt::format("a time of {} microseconds is out of range", duration.count()));
}

Result<void> check_message(const NewMessage& message) {
  if (message.id.empty()) return fail(ErrorCode::kInvalid, "a message needs an id");
  if (message.id.size() > kMaxIdBytes) {
    return fail(ErrorCode::kTooLarge, fmt::format("a message's id has at most {} bytes", kMaxIdBytes));
  }
  if (message.body.size() > kMaxBodyBytes) {
    return fail(ErrorCode::kTooLarge, fmt::format("a message's body has at most {} bytes", kMaxBodyBytes));
  }
  if (message.group.size() > kMaxGroupBytes || message.dedupe_id.size() > kMaxGroupBytes) {
    return fail(ErrorCode::kTooLarge, fmt::format("a group or dedupe id has at most {} bytes", kMaxGroupBytes));
  }
  return check_duration(message.delay);
}

Result<void> check_call(std::size_t messages, std::size_t bytes) {
  if (messages <= kMaxMessages && bytes <= kMaxCallBytes) return {};
  return fail(ErrorCode::kTooLarge,
              fmt::format("a call has at most {} messages and {} bytes", kMaxMessages, kMaxCallBytes));
}

std::size_t bytes_of(const NewMessage& message) {
  return sizeof(NewMessage) + message.id.size() + message.body.size() + message.group.size() + message.dedupe_id.size();
}

Result<void> check_settings(const QueueSettings& settings) {
  if (settings.retention.count() <= 0 || settings.retention > kMaxDuration || settings.dedupe_window.count() < 0 ||
      settings.dedupe_window > kMaxDuration || settings.max_leased == 0) {
    return fail(ErrorCode::kInvalid, "a queue's settings are out of range");
  }
  return {};
}

PeekedMessage to_peeked(const QueueEntry& entry, QueueContent content) {
  PeekedMessage peeked;
  peeked.id = std::move(content.id);
  peeked.body = std::move(content.body);
  peeked.group = std::move(content.group);
  peeked.state = std::move(content.state);
  peeked.sequence = entry.sequence;
  peeked.receive_count = entry.receive_count;
  peeked.sent_at = SystemTime(std::chrono::microseconds(entry.sent_at));
  peeked.available_at = SystemTime(std::chrono::microseconds(entry.available_at));
  peeked.leased = entry.place == Place::kLeased;
  return peeked;
}

}  // namespace

template <typename T>
Awaitable<Result<T>> QueueEngine::call(Kind kind, std::size_t bytes, typename QueueCall<T>::Decide decide,
                                       typename QueueCall<T>::Read read) {
  auto command = std::make_unique<QueueCall<T>>(kind, sizeof(QueueCall<T>) + bytes, std::move(decide), std::move(read));
  auto slot = command->slot();
  if (auto queued = submit(std::move(command)); !queued) co_return std::unexpected(queued.error());
  auto result = co_await slot.get_until(kNoDeadline);
  co_return std::move(*result);
}

Awaitable<Result<void>> QueueEngine::configure(QueueName queue, QueueSettings settings) {
  if (auto good = check_name(queue); !good) co_return good;
  if (auto good = check_settings(settings); !good) co_return good;
  const std::size_t bytes = queue.str().size();
  QueueCall<void>::Decide decide = [queue = std::move(queue), settings](QueueCore& core) {
    return core.configure(queue, settings);
  };
  co_return co_await call<void>(Kind::kConfigure, bytes, std::move(decide), nullptr);
}

Awaitable<Result<void>> QueueEngine::remove(QueueName queue) {
  const std::size_t bytes = queue.str().size();
  QueueCall<void>::Decide decide = [queue = std::move(queue)](QueueCore& core) { return core.remove(queue); };
  co_return co_await call<void>(Kind::kOther, bytes, std::move(decide), nullptr);
}

Awaitable<Result<std::vector<QueueName>>> QueueEngine::list(std::string prefix) {
  using Names = std::vector<QueueName>;
  const std::size_t bytes = prefix.size();
  QueueCall<Names>::Decide decide = [prefix = std::move(prefix)](const QueueCore& core) -> Result<Names> {
    return core.list(prefix);
  };
  co_return co_await call<Names>(Kind::kOther, bytes, std::move(decide), nullptr);
}

Awaitable<Result<std::vector<Published>>> QueueEngine::publish(QueueName queue, std::vector<NewMessage> messages) {
  using All = std::vector<Published>;
  std::size_t bytes = queue.str().size();
  for (const NewMessage& message : messages) {
    if (auto good = check_message(message); !good) co_return std::unexpected(good.error());
    bytes += bytes_of(message);
  }
  if (auto good = check_call(messages.size(), bytes); !good) co_return std::unexpected(good.error());
  QueueCall<All>::Decide decide = [queue = std::move(queue), messages = std::move(messages)](QueueCore& core) {
    return core.publish(queue, messages);
  };
  QueueCall<All>::Read read = [](Result<All>& all, QueueReader& reader) -> Result<void> {
    for (Published& published : *all) {
      if (!published.id.empty()) continue;
      auto id = reader.dedupe_message_id(published.sequence);
      if (!id) return std::unexpected(id.error());
      published.id = std::move(*id);
    }
    return {};
  };
  co_return co_await call<All>(Kind::kPublish, bytes, std::move(decide), std::move(read));
}

Awaitable<Result<void>> QueueEngine::publish_to_many(std::vector<Fanout> messages) {
  std::size_t bytes = 0;
  for (const Fanout& fanout : messages) {
    if (auto good = check_message(fanout.message); !good) co_return good;
    bytes += bytes_of(fanout.message) + fanout.queue.str().size();
  }
  if (auto good = check_call(messages.size(), bytes); !good) co_return good;
  QueueCall<void>::Decide decide = [messages = std::move(messages)](QueueCore& core) {
    return core.publish_to_many(messages);
  };
  co_return co_await call<void>(Kind::kPublish, bytes, std::move(decide), nullptr);
}

Awaitable<Result<void>> QueueEngine::extend(QueueName queue, LeaseToken token, std::chrono::microseconds duration) {
  if (auto good = check_duration(duration); !good) co_return good;
  const std::size_t bytes = queue.str().size() + token.str().size();
  QueueCall<void>::Decide decide = [queue = std::move(queue), token = std::move(token), duration](QueueCore& core) {
    return core.extend(queue, token, duration.count());
  };
  co_return co_await call<void>(Kind::kOther, bytes, std::move(decide), nullptr);
}

Awaitable<Result<void>> QueueEngine::release(QueueName queue, LeaseToken token, std::chrono::microseconds delay,
                                             std::string state) {
  if (auto good = check_duration(delay); !good) co_return good;
  if (state.size() > kMaxStateBytes) {
    co_return fail(ErrorCode::kTooLarge, fmt::format("a message's state has at most {} bytes", kMaxStateBytes));
  }
  const std::size_t bytes = queue.str().size() + token.str().size() + state.size();
  QueueCall<void>::Decide decide = [queue = std::move(queue), token = std::move(token), delay,
                                    state = std::move(state)](QueueCore& core) {
    return core.release(queue, token, delay.count(), state);
  };
  co_return co_await call<void>(Kind::kOther, bytes, std::move(decide), nullptr);
}

Awaitable<Result<void>> QueueEngine::acknowledge(QueueName queue, LeaseToken token) {
  const std::size_t bytes = queue.str().size() + token.str().size();
  QueueCall<void>::Decide decide = [queue = std::move(queue), token = std::move(token)](QueueCore& core) {
    return core.acknowledge(queue, token);
  };
  co_return co_await call<void>(Kind::kOther, bytes, std::move(decide), nullptr);
}

Awaitable<std::vector<Result<void>>> QueueEngine::acknowledge_all(QueueName queue, std::vector<LeaseToken> tokens) {
  using All = std::vector<Result<void>>;
  const std::size_t count = tokens.size();
  std::size_t bytes = queue.str().size();
  for (const LeaseToken& token : tokens) bytes += sizeof(LeaseToken) + token.str().size();
  QueueCall<All>::Decide decide = [queue = std::move(queue),
                                   tokens = std::move(tokens)](QueueCore& core) -> Result<All> {
    All answers;
    answers.reserve(tokens.size());
    for (const LeaseToken& token : tokens) answers.push_back(core.acknowledge(queue, token));
    return answers;
  };
  auto answers = co_await call<All>(Kind::kOther, bytes, std::move(decide), nullptr);
  if (answers) co_return std::move(*answers);
  const Result<void> refused = std::unexpected(answers.error());
  co_return All(count, refused);
}

Awaitable<Result<void>> QueueEngine::purge(QueueName queue) {
  const std::size_t bytes = queue.str().size();
  QueueCall<void>::Decide decide = [queue = std::move(queue)](QueueCore& core) { return core.purge(queue); };
  co_return co_await call<void>(Kind::kOther, bytes, std::move(decide), nullptr);
}

Awaitable<Result<QueueCounts>> QueueEngine::counts(QueueName queue) {
  const std::size_t bytes = queue.str().size();
  QueueCall<QueueCounts>::Decide decide = [queue = std::move(queue)](QueueCore& core) { return core.counts(queue); };
  co_return co_await call<QueueCounts>(Kind::kOther, bytes, std::move(decide), nullptr);
}

Awaitable<Result<std::vector<PeekedMessage>>> QueueEngine::peek(QueueName queue, std::uint64_t after,
                                                                std::size_t limit) {
  // The core gives places in the index, the file what they hold.
  struct Peek {
    std::vector<QueueCore::Item> items;
    std::vector<PeekedMessage> messages;
  };
  const std::size_t bytes = queue.str().size();
  limit = std::min(limit, kMaxMessages);
  QueueCall<Peek>::Decide decide = [queue = std::move(queue), after, limit](QueueCore& core) -> Result<Peek> {
    auto items = core.peek(queue, after, limit, kMaxPeekBytes);
    if (!items) return std::unexpected(items.error());
    return Peek{.items = std::move(*items), .messages = {}};
  };
  QueueCall<Peek>::Read read = [](Result<Peek>& peek, QueueReader& reader) -> Result<void> {
    for (const QueueCore::Item& item : peek->items) {
      auto content = reader.read(item.entry);
      if (!content) return std::unexpected(content.error());
      peek->messages.push_back(to_peeked(item.entry, std::move(*content)));
    }
    return {};
  };
  auto peeked = co_await call<Peek>(Kind::kOther, bytes, std::move(decide), std::move(read));
  if (!peeked) co_return std::unexpected(peeked.error());
  co_return std::move(peeked->messages);
}

Awaitable<Result<void>> QueueEngine::take_out(QueueName queue, std::string id) {
  const std::size_t bytes = queue.str().size() + id.size();
  QueueCall<void>::Decide decide = [queue = std::move(queue), id = std::move(id)](QueueCore& core) {
    return core.take_out(queue, id);
  };
  co_return co_await call<void>(Kind::kOther, bytes, std::move(decide), nullptr);
}

Awaitable<Result<std::size_t>> QueueEngine::memory_bytes() {
  QueueCall<std::size_t>::Decide decide = [this](const QueueCore& core) -> Result<std::size_t> {
    return core.memory_bytes() + contents_.memory_bytes();
  };
  co_return co_await call<std::size_t>(Kind::kOther, 0, std::move(decide), nullptr);
}

}  // namespace mayfly::store
