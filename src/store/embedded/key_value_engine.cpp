#include "store/embedded/key_value_engine.h"

#include <fmt/core.h>

namespace mayfly::store {

namespace {

Result<void> check_limits(const Write& write) {
  if (write.key.empty()) return fail(ErrorCode::kInvalid, "a key is empty");
  if (write.key.size() > KeyValueEngine::kMaxKeyBytes) {
    return fail(ErrorCode::kTooLarge, fmt::format("a key has {} bytes, at most {} are taken", write.key.size(),
                                                  KeyValueEngine::kMaxKeyBytes));
  }
  if (write.value && write.value->size() > KeyValueEngine::kMaxValueBytes) {
    return fail(ErrorCode::kTooLarge, fmt::format("a value has {} bytes, at most {} are taken", write.value->size(),
                                                  KeyValueEngine::kMaxValueBytes));
  }
  return {};
}

}  // namespace

KeyValueEngine::KeyValueEngine(Database& database, Records& records)
    : records_(records), writer_(database, records, watches_) {}

Awaitable<Result<std::optional<Entry>>> KeyValueEngine::get(std::string key) { co_return records_.get(key); }

Awaitable<Result<Revision>> KeyValueEngine::put(std::string key, std::string value) {
  Write request;
  request.key = std::move(key);
  request.value = std::move(value);
  co_return co_await write(std::move(request));
}

Awaitable<Result<Revision>> KeyValueEngine::compare_and_set(std::string key, std::string value, Revision expected) {
  Write request;
  request.key = std::move(key);
  request.value = std::move(value);
  request.expected = expected;
  co_return co_await write(std::move(request));
}

Awaitable<Result<void>> KeyValueEngine::remove(std::string key, std::optional<Revision> expected) {
  Write request;
  request.key = std::move(key);
  request.expected = expected;
  const Result<Revision> removed = co_await write(std::move(request));
  if (!removed) co_return std::unexpected(removed.error());
  co_return Result<void>();
}

Awaitable<Result<std::vector<Entry>>> KeyValueEngine::list(std::string prefix, std::string after, std::size_t limit) {
  co_return records_.list(prefix, after, limit);
}

std::shared_ptr<void> KeyValueEngine::watch(std::string prefix, std::function<void(const WatchEvent&)> callback) {
  return watches_.add(std::move(prefix), std::move(callback));
}

Awaitable<Result<Revision>> KeyValueEngine::write(Write write) {
  auto answer = write.answer;
  if (auto checked = check_limits(write); !checked) co_return std::unexpected(checked.error());
  if (auto queued = writer_.submit(std::move(write)); !queued) co_return std::unexpected(queued.error());
  // No deadline: the write is going to be durable or the process ends, and only one of both may be told.
  auto result = co_await answer.get_until(kNoDeadline);
  co_return std::move(*result);
}

}  // namespace mayfly::store
