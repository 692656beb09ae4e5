#include "store/embedded/stream_engine.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>

#include "base/log.h"

namespace mayfly::store {

namespace {

constexpr std::size_t kMaxStreamNameBytes = 1'024;
constexpr std::size_t kMaxRecordBytes = 2UL * 1024 * 1024;
constexpr std::size_t kMaxAppendBytes = 16UL * 1024 * 1024;
constexpr std::size_t kMaxRecords = 10'000;
constexpr std::uint64_t kMaxSequence = 0xffff'ffff;

// The state on disk is unknown after a failed commit, and nobody may be answered on a guess.
[[noreturn]] void die_of_streams(const Error& error) {
  log(Level::kError, "the streams could not be written or read; ending the process so that the next start recovers",
      {{"error", error.message}});
  std::abort();
}

Error disk_full() { return {ErrorCode::kIo, "the store's disk is full", "free space under the data directory"}; }

std::unexpected<Error> no_such_stream(const StreamName& name) {
  return fail(ErrorCode::kNotFound, fmt::format("there is no stream {}", name.str()));
}

Result<void> check_append(const StreamName& stream, const std::vector<std::string>& records) {
  if (stream.empty()) return fail(ErrorCode::kInvalid, "a stream needs a name");
  if (stream.str().size() > kMaxStreamNameBytes) {
    return fail(ErrorCode::kTooLarge, fmt::format("a stream's name has at most {} bytes", kMaxStreamNameBytes));
  }
  if (records.empty()) return fail(ErrorCode::kInvalid, "there is nothing to append");
  std::size_t bytes = 0;
  for (const std::string& record : records) {
    if (record.size() > kMaxRecordBytes) {
      return fail(ErrorCode::kTooLarge, fmt::format("a record has at most {} bytes", kMaxRecordBytes));
    }
    bytes += record.size();
  }
  if (records.size() <= kMaxRecords && bytes <= kMaxAppendBytes) return {};
  return fail(ErrorCode::kTooLarge,
              fmt::format("a call appends at most {} records and {} bytes", kMaxRecords, kMaxAppendBytes));
}

// The highest sequence whose record is older than `time`, by halving: times do not go back.
Result<std::uint64_t> find_position(StreamDatabase& database, const StreamDatabase::Row& row, std::int64_t time) {
  std::uint64_t low = row.first - 1;  // older, or nothing
  std::uint64_t high = row.last + 1;  // not older, or nothing
  while (low + 1 < high) {
    const std::uint64_t middle = low + (high - low) / 2;
    const auto at = database.time_of(row, middle);
    if (!at) return std::unexpected(at.error());
    MAYFLY_ASSERT(at->has_value());
    (**at < time ? low : high) = middle;
  }
  return low < row.first ? 0 : low;
}

}  // namespace

template <typename T>
struct StreamEngine::Call final : Command {
  Call(Needs needed, std::size_t size, Work<T> its_work) : Command(needed, size), work(std::move(its_work)) {}
  Result<bool> step(StreamDatabase& database) override {
    auto worked = work(database);
    if (!worked) return std::unexpected(worked.error());
    result = std::move(*worked);
    return result.has_value();
  }
  void answer() override { slot.set(std::move(*result)); }
  void refuse(Error error) override { slot.set(std::unexpected(std::move(error))); }
  Work<T> work;
  std::optional<Result<T>> result;
  OneShot<Result<T>> slot;
};

StreamEngine::StreamEngine(StreamDatabase& database, const Clock& clock)
    : database_(database), clock_(clock), thread_([this] { run(); }) {}

StreamEngine::~StreamEngine() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

Result<void> StreamEngine::submit(std::unique_ptr<Command> command) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return fail(ErrorCode::kCancelled, "the store is closing");
    if (waiting_.size() >= kMaxWaiting || waiting_bytes_ + command->bytes > kMaxWaitingBytes) {
      return fail(ErrorCode::kThrottled, "too many records wait for the disk");
    }
    waiting_bytes_ += command->bytes;
    waiting_.push_back(std::move(command));
  }
  wake_.notify_one();
  return {};
}

template <typename T>
Awaitable<Result<T>> StreamEngine::call(Needs needs, std::size_t bytes, Work<T> work) {
  auto command = std::make_unique<Call<T>>(needs, sizeof(Call<T>) + bytes, std::move(work));
  auto slot = command->slot;
  if (auto queued = submit(std::move(command)); !queued) co_return std::unexpected(queued.error());
  auto result = co_await slot.get_until(kNoDeadline);
  co_return std::move(*result);
}

// --- the thread ------------------------------------------------------------------------------------------------------

void StreamEngine::run() {
  for (;;) {
    Batch batch;
    if (!take(batch)) return;
    process(batch);
  }
}

bool StreamEngine::take(Batch& batch) {
  batch = std::exchange(unfinished_, {});
  std::unique_lock lock(mutex_);
  if (batch.empty()) wake_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
  std::size_t bytes = 0;
  while (!waiting_.empty() && batch.size() < kMaxBatch) {
    const std::size_t next = waiting_.front()->bytes;
    if (!batch.empty() && bytes + next > kMaxBatchBytes) break;
    bytes += next;
    batch.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
  waiting_bytes_ -= bytes;
  return !batch.empty();
}

void StreamEngine::process(Batch& batch) {
  bool with_appends = true;
  auto done = carry_out(batch, with_appends);
  if (!done) {
    // Trimming makes room, so it is not held up by what needs it.
    with_appends = false;
    done = carry_out(batch, with_appends);
  }
  for (auto& command : batch) {
    if (!done || (!with_appends && command->needs == Needs::kRoom)) {
      command->refuse(disk_full());
    } else if (command->finished) {
      command->answer();
    } else {
      unfinished_.push_back(std::move(command));
    }
  }
}

// Fails where the disk is full; everything is undone then.
Result<void> StreamEngine::carry_out(Batch& batch, bool with_appends) {
  auto done = database_.begin();
  for (auto& command : batch) {
    if (!done) break;
    if (!with_appends && command->needs == Needs::kRoom) continue;
    auto stepped = command->step(database_);
    if (!stepped) done = std::unexpected(stepped.error());
    if (stepped) command->finished = *stepped;
  }
  if (done) done = database_.commit();
  if (done) return done;
  if (done.error().code != ErrorCode::kTooLarge) die_of_streams(done.error());
  if (const auto undone = database_.rollback(); !undone) die_of_streams(undone.error());
  log(Level::kError, "the streams' disk is full", {{"calls", batch.size()}});
  return done;
}

// --- the calls -------------------------------------------------------------------------------------------------------

Awaitable<Result<std::uint64_t>> StreamEngine::append(StreamName stream, std::vector<std::string> records,
                                                      std::optional<std::uint64_t> expected) {
  if (auto good = check_append(stream, records); !good) co_return std::unexpected(good.error());
  std::size_t bytes = stream.str().size();
  for (const std::string& record : records) bytes += sizeof(std::string) + record.size();
  using Outcome = std::optional<Result<std::uint64_t>>;
  Work<std::uint64_t> work = [this, stream = std::move(stream), records = std::move(records),
                              expected](StreamDatabase& database) -> Result<Outcome> {
    auto found = database.find(stream);
    if (!found) return std::unexpected(found.error());
    const std::uint64_t last = *found ? (*found)->last : 0;
    if (expected && *expected != last) {
      return Outcome(fail(ErrorCode::kConflict, fmt::format("the last sequence is {}, not {}", last, *expected)));
    }
    if (last + records.size() > kMaxSequence) {
      return Outcome(fail(ErrorCode::kTooLarge, fmt::format("a stream has at most {} records", kMaxSequence)));
    }
    if (!*found) {
      auto created = database.create(stream);
      if (!created) return std::unexpected(created.error());
      *found = *created;
    }
    StreamDatabase::Row row = **found;
    const auto appended = database.append(row, records, clock_.now().time_since_epoch().count());
    if (!appended) return std::unexpected(appended.error());
    return Outcome(row.last);
  };
  co_return co_await call<std::uint64_t>(Needs::kRoom, bytes, std::move(work));
}

Awaitable<Result<std::vector<StreamRecord>>> StreamEngine::read(StreamName stream, std::uint64_t after,
                                                                StreamRead bound) {
  using Records = std::vector<StreamRecord>;
  using Outcome = std::optional<Result<Records>>;
  bound.max_records = std::min<std::uint64_t>(bound.max_records, kMaxRecords);
  bound.max_bytes = std::min<std::uint64_t>(bound.max_bytes, kMaxAppendBytes);
  const std::size_t bytes = stream.str().size();
  Work<Records> work = [stream = std::move(stream), after, bound](StreamDatabase& database) -> Result<Outcome> {
    auto found = database.find(stream);
    if (!found) return std::unexpected(found.error());
    if (!*found) return Outcome(no_such_stream(stream));
    auto records = database.read(**found, after, bound);
    if (!records) return std::unexpected(records.error());
    return Outcome(std::move(*records));
  };
  co_return co_await call<Records>(Needs::kNothing, bytes, std::move(work));
}

Awaitable<Result<std::uint64_t>> StreamEngine::position_before(StreamName stream, SystemTime time) {
  using Outcome = std::optional<Result<std::uint64_t>>;
  const std::size_t bytes = stream.str().size();
  Work<std::uint64_t> work = [stream = std::move(stream), time](StreamDatabase& database) -> Result<Outcome> {
    auto found = database.find(stream);
    if (!found) return std::unexpected(found.error());
    if (!*found) return Outcome(no_such_stream(stream));
    auto position = find_position(database, **found, time.time_since_epoch().count());
    if (!position) return std::unexpected(position.error());
    return Outcome(*position);
  };
  co_return co_await call<std::uint64_t>(Needs::kNothing, bytes, std::move(work));
}

Awaitable<Result<void>> StreamEngine::trim(StreamName stream, std::uint64_t up_to) {
  StreamDatabase::Trim bound;
  bound.up_to = up_to;
  return trim_by(std::move(stream), bound);
}

Awaitable<Result<void>> StreamEngine::trim_to(StreamName stream, SystemTime time, std::uint64_t max_bytes) {
  StreamDatabase::Trim bound;
  bound.older_than = time.time_since_epoch().count();
  bound.max_bytes = max_bytes;
  return trim_by(std::move(stream), bound);
}

Awaitable<Result<void>> StreamEngine::trim_by(StreamName stream, StreamDatabase::Trim bound) {
  using Outcome = std::optional<Result<void>>;
  const std::size_t bytes = stream.str().size();
  Work<void> work = [stream = std::move(stream), bound](StreamDatabase& database) -> Result<Outcome> {
    auto found = database.find(stream);
    if (!found) return std::unexpected(found.error());
    if (!*found) return Outcome(no_such_stream(stream));
    const auto finished = database.trim(**found, bound);
    if (!finished) return std::unexpected(finished.error());
    if (!*finished) return Outcome();
    return Outcome(Result<void>());
  };
  co_return co_await call<void>(Needs::kNothing, bytes, std::move(work));
}

Awaitable<Result<StreamInfo>> StreamEngine::info(StreamName stream) {
  using Outcome = std::optional<Result<StreamInfo>>;
  const std::size_t bytes = stream.str().size();
  Work<StreamInfo> work = [stream = std::move(stream)](StreamDatabase& database) -> Result<Outcome> {
    auto found = database.find(stream);
    if (!found) return std::unexpected(found.error());
    if (!*found) return Outcome(no_such_stream(stream));
    const StreamDatabase::Row& row = **found;
    StreamInfo info;
    info.first = row.first;
    info.last = row.last;
    info.bytes = row.bytes;
    if (row.first <= row.last) {
      const auto oldest = database.time_of(row, row.first);
      if (!oldest) return std::unexpected(oldest.error());
      MAYFLY_ASSERT(oldest->has_value());
      info.oldest_at = SystemTime(std::chrono::microseconds(**oldest));
      info.newest_at = SystemTime(std::chrono::microseconds(row.newest_at));
    }
    return Outcome(info);
  };
  co_return co_await call<StreamInfo>(Needs::kNothing, bytes, std::move(work));
}

Awaitable<Result<std::vector<StreamName>>> StreamEngine::list(std::string prefix, std::string after,
                                                              std::size_t limit) {
  using Names = std::vector<StreamName>;
  using Outcome = std::optional<Result<Names>>;
  limit = std::min(limit, kMaxRecords);
  const std::size_t bytes = prefix.size() + after.size();
  Work<Names> work = [prefix = std::move(prefix), after = std::move(after),
                      limit](StreamDatabase& database) -> Result<Outcome> {
    auto names = database.list(prefix, after, limit);
    if (!names) return std::unexpected(names.error());
    return Outcome(std::move(*names));
  };
  co_return co_await call<Names>(Needs::kNothing, bytes, std::move(work));
}

Awaitable<Result<void>> StreamEngine::remove(StreamName stream) {
  using Outcome = std::optional<Result<void>>;
  const std::size_t bytes = stream.str().size();
  Work<void> work = [stream = std::move(stream)](StreamDatabase& database) -> Result<Outcome> {
    auto found = database.find(stream);
    if (!found) return std::unexpected(found.error());
    if (!*found) return Outcome(Result<void>());
    StreamDatabase::Trim everything;
    everything.up_to = kMaxSequence;
    const auto finished = database.trim(**found, everything);
    if (!finished) return std::unexpected(finished.error());
    if (!*finished) return Outcome();
    const auto removed = database.remove(**found);
    if (!removed) return std::unexpected(removed.error());
    return Outcome(Result<void>());
  };
  co_return co_await call<void>(Needs::kNothing, bytes, std::move(work));
}

}  // namespace mayfly::store
