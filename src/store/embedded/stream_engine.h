// Stream over its file: checks the limits, and has one thread that takes everybody's calls.
//
// Operation.   The thread takes what waits, carries it out in one transaction, and answers after the sync (group
//              commit). What takes long (trimming, removing) is done in steps, one in each batch, and answered after
//              the last.
// Concurrency. All calls from any reactor.
// Recovery.    A full disk undoes the batch; what does not append is tried again without the rest, and what still fails
//              is refused with kIo. Any other failure ends the process, and the next start finds out what is on disk.
// Limits.      65,536 calls and 256 MiB waiting, then kThrottled; 1,024 calls or 16 MiB in one commit.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/async.h"
#include "base/clock.h"
#include "store/embedded/stream_database.h"
#include "store/stream.h"

namespace mayfly::store {

class StreamEngine final : public Stream {
 public:
  static constexpr std::size_t kMaxWaiting = 65'536;
  static constexpr std::size_t kMaxWaitingBytes = 256UL * 1024 * 1024;
  static constexpr std::size_t kMaxBatch = 1'024;
  static constexpr std::size_t kMaxBatchBytes = 16UL * 1024 * 1024;

  // Starts the thread. `database` and `clock` outlive the engine.
  StreamEngine(StreamDatabase& database, const Clock& clock);
  ~StreamEngine() override;  // finishes what is queued
  StreamEngine(const StreamEngine&) = delete;
  StreamEngine& operator=(const StreamEngine&) = delete;

  Awaitable<Result<std::uint64_t>> append(StreamName stream, std::vector<std::string> records,
                                          std::optional<std::uint64_t> expected) override;
  Awaitable<Result<std::vector<StreamRecord>>> read(StreamName stream, std::uint64_t after, StreamRead bound) override;
  Awaitable<Result<std::uint64_t>> position_before(StreamName stream, SystemTime time) override;
  Awaitable<Result<void>> trim(StreamName stream, std::uint64_t up_to) override;
  Awaitable<Result<void>> trim_to(StreamName stream, SystemTime time, std::uint64_t max_bytes) override;
  Awaitable<Result<StreamInfo>> info(StreamName stream) override;
  Awaitable<Result<std::vector<StreamName>>> list(std::string prefix, std::string after, std::size_t limit) override;
  Awaitable<Result<void>> remove(StreamName stream) override;

 private:
  enum class Needs : std::uint8_t { kNothing, kRoom };  // on the disk

  struct Command {
    Command(Needs needed, std::size_t size) : needs(needed), bytes(size) {}
    Command(const Command&) = delete;
    Command& operator=(const Command&) = delete;
    virtual ~Command() = default;
    // Whether it is finished; an error is the environment's. May be called again after it was undone.
    virtual Result<bool> step(StreamDatabase& database) = 0;
    virtual void answer() = 0;
    virtual void refuse(Error error) = 0;
    const Needs needs;
    const std::size_t bytes;
    bool finished = false;
  };
  template <typename T>
  struct Call;
  // The call's own result; nullopt: not finished. The error around it is the environment's.
  template <typename T>
  using Work = std::function<Result<std::optional<Result<T>>>(StreamDatabase&)>;
  using Batch = std::vector<std::unique_ptr<Command>>;

  template <typename T>
  Awaitable<Result<T>> call(Needs needs, std::size_t bytes, Work<T> work);
  Result<void> submit(std::unique_ptr<Command> command);
  Awaitable<Result<void>> trim_by(StreamName stream, StreamDatabase::Trim trim);

  void run();
  bool take(Batch& batch);
  void process(Batch& batch);
  Result<void> carry_out(Batch& batch, bool with_appends);

  StreamDatabase& database_;
  const Clock& clock_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::unique_ptr<Command>> waiting_;
  std::size_t waiting_bytes_ = 0;
  bool stopping_ = false;
  Batch unfinished_;  // the thread's
  std::thread thread_;
};

}  // namespace mayfly::store
