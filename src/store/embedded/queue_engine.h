// Queue over the core and its file: checks the limits, and has one thread that takes everybody's commands.
//
// Operation.   The thread takes what waits, lets the core decide all of it, writes the changes in one transaction, and
//              answers after the sync (group commit). Where many were answered it gives them a moment to come back, so
//              that the next sync is shared by as many and not by the first of them alone. A lease that waits is
//              answered by the batch that has something for it; between batches the thread sleeps until the next time
//              at which a message becomes ready for one who waits, or something is to be collected.
// Concurrency. All calls from any reactor.
// Recovery.    A full disk undoes the batch; what does not publish is tried again without the rest, and what still
//              fails is refused with kIo. Any other failure to write or read ends the process, and the next start
//              finds out what is on disk.
// Limits.      65,536 commands and 256 MiB waiting, then kThrottled; 4,096 commands or 16 MiB in one commit.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/async.h"
#include "base/clock.h"
#include "store/embedded/queue_command.h"
#include "store/embedded/queue_contents.h"
#include "store/embedded/queue_core.h"
#include "store/embedded/queue_database.h"
#include "store/queue.h"

namespace mayfly::store {

// Contents of messages while a batch is open.
class QueueReader {
 public:
  QueueReader(QueueDatabase& database, QueueContents& contents) : database_(database), contents_(contents) {}
  Result<QueueContent> read(const QueueEntry& entry);
  Result<std::string> dedupe_message_id(std::uint64_t sequence) { return database_.dedupe_message_id(sequence); }

 private:
  QueueDatabase& database_;
  QueueContents& contents_;
};

class QueueEngine final : public Queue {
 public:
  static constexpr std::size_t kMaxWaiting = 65'536;
  static constexpr std::size_t kMaxWaitingBytes = 256UL * 1024 * 1024;
  static constexpr std::size_t kMaxBatch = 4'096;
  static constexpr std::size_t kMaxBatchBytes = 16UL * 1024 * 1024;

  // Starts the thread. `database`, which `core` was loaded from, and `clock` outlive the engine.
  QueueEngine(QueueDatabase& database, std::unique_ptr<QueueCore> core, Clock& clock);
  ~QueueEngine() override;  // finishes what is queued; leases that wait end with kCancelled
  QueueEngine(const QueueEngine&) = delete;
  QueueEngine& operator=(const QueueEngine&) = delete;

  Awaitable<Result<void>> configure(QueueName queue, QueueSettings settings) override;
  Awaitable<Result<void>> remove(QueueName queue) override;
  Awaitable<Result<std::vector<QueueName>>> list(std::string prefix) override;
  Awaitable<Result<std::vector<Published>>> publish(QueueName queue, std::vector<NewMessage> messages) override;
  Awaitable<Result<void>> publish_to_many(std::vector<Fanout> messages) override;
  Awaitable<Result<std::vector<Leased>>> lease(QueueName queue, LeaseRequest request) override;
  Awaitable<Result<void>> extend(QueueName queue, LeaseToken token, std::chrono::microseconds duration) override;
  Awaitable<Result<void>> release(QueueName queue, LeaseToken token, std::chrono::microseconds delay,
                                  std::string state) override;
  Awaitable<Result<void>> acknowledge(QueueName queue, LeaseToken token) override;
  Awaitable<std::vector<Result<void>>> acknowledge_all(QueueName queue, std::vector<LeaseToken> tokens) override;
  Awaitable<Result<void>> purge(QueueName queue) override;
  Awaitable<Result<QueueCounts>> counts(QueueName queue) override;
  Awaitable<Result<std::vector<PeekedMessage>>> peek(QueueName queue, std::uint64_t after, std::size_t limit) override;
  Awaitable<Result<void>> take_out(QueueName queue, std::string id) override;

  // For measurements: of the index and of the contents that are kept.
  Awaitable<Result<std::size_t>> memory_bytes();

 private:
  using Ticket = QueueCore::Ticket;
  using LeaseAnswer = OneShot<Result<std::vector<Leased>>>;
  using Batch = std::vector<std::unique_ptr<QueueCommand>>;
  class LeaseCommand;
  class CancelCommand;

  // Shared with the clock's listener, which lives as long as the clock.
  struct Inbox {
    std::mutex mutex;
    std::condition_variable wake;
    std::deque<std::unique_ptr<QueueCommand>> commands;
    std::size_t bytes = 0;
    std::size_t wanted = 1;  // the thread is woken when so many wait
    bool stopping = false;
  };

  template <typename T>
  Awaitable<Result<T>> call(QueueCommand::Kind kind, std::size_t bytes, typename QueueCall<T>::Decide decide,
                            typename QueueCall<T>::Read read);
  Result<void> submit(std::unique_ptr<QueueCommand> command);

  // All below: the engine's thread only.
  void run();
  bool take(Batch& batch);
  bool wait_for_work(std::unique_lock<std::mutex>& lock);
  void wait_for_company(std::unique_lock<std::mutex>& lock);
  void process(Batch& batch);
  enum class Scope : std::uint8_t { kAll, kWithoutPublishing };
  void decide(Batch& batch, Scope scope);
  Result<void> write_down(Batch& batch, Scope scope);
  Result<void> write_changes();
  Result<void> read_grants();
  void answer(Batch& batch, Scope scope);
  void refuse(Batch& batch);
  void answer_lease(Ticket ticket, Result<std::vector<Leased>> leased);

  QueueDatabase& database_;
  const std::unique_ptr<QueueCore> core_;
  Clock& clock_;
  QueueContents contents_;
  QueueReader reader_{database_, contents_};
  std::unordered_map<Ticket, LeaseAnswer> pending_;
  std::vector<std::pair<Ticket, Result<std::vector<Leased>>>> granted_;
  bool disk_full_ = false;                // as the log was told last
  std::size_t last_batch_ = 0;            // commands of the last batch
  std::chrono::nanoseconds last_took_{};  // from its first decision to its last answer
  SystemTime no_work_before_{};           // after a full disk, for what nobody asked for
  std::atomic<Ticket> last_ticket_{0};
  const std::shared_ptr<Inbox> inbox_ = std::make_shared<Inbox>();
  std::thread thread_;
};

}  // namespace mayfly::store
