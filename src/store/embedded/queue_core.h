// The decisions of the embedded Queue, without disk, threads or clock: commands and the time go in, answers and the
// changes to be written go out.
//
// Operation.   begin(now), commands, finish() make one batch. What the batch changes stands in changes(), in order;
//              whoever drives the core writes it down and calls committed(), or undo() where that failed, after which
//              the core is as before begin(). Leases that wait get their answer through grants(), in the order in
//              which they came (fair to all waiters of a queue).
// Concurrency. None: one thread.
// Limits.      In one batch at most kCollect messages that are too old, dedupe records that have run out, and rows of
//              what was purged, are collected each; next_due() says when to come again.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "store/embedded/keyed_hash.h"
#include "store/embedded/queue_dedupe.h"
#include "store/embedded/queue_messages.h"
#include "store/embedded/queue_token.h"
#include "store/queue.h"

namespace mayfly::store {

// One change to what is on disk. Pointers lead to what the command's caller holds.
struct QueueChange {
  enum class Kind : std::uint8_t {
    kReserve,      // sequences up to `sequence` may have been given
    kAddQueue,     // number `queue`, name `text`
    kRemoveQueue,  // and forget its dedupe records; its messages go as garbage
    kPurge,        // messages of the queue up to `sequence` are gone
    kAddMessage,   // `message`, `sent_at`, `available_at`
    kAddDedupe,    // `message`, seen at `sent_at`
    kLease,        // receive_count, first_leased_at, available_at: the lease's end
    kExtend,       // available_at, `leased`
    kRelease,      // available_at, state `text`
    kDelete,       // a message; `leased`: it may have a lease
    kDropDedupe,
  };
  Kind kind = Kind::kReserve;
  std::uint64_t queue = 0;
  std::uint64_t sequence = 0;
  const NewMessage* message = nullptr;
  const std::string* text = nullptr;
  Microseconds sent_at = 0;
  Microseconds available_at = 0;
  Microseconds first_leased_at = 0;
  std::uint32_t receive_count = 0;
  bool leased = false;
};

class QueueCore {
 public:
  static constexpr std::size_t kCollect = 4'000;

  using Ticket = std::uint64_t;

  struct LeaseTerms {
    std::uint32_t max_messages = 1;
    std::uint64_t max_bytes = 0;
    Microseconds duration = 0;
  };
  // A message as the index knows it; its content is on disk.
  struct Item {
    std::uint64_t queue = 0;
    Slot slot = kNoSlot;
    QueueEntry entry;
  };
  struct Grant {
    Ticket ticket = 0;
    Result<std::vector<Item>> items;
  };
  // `id` is empty where another message stands for it, whose id is found by its sequence.
  using Publication = Published;

  explicit QueueCore(KeyedHash::Key key) : hash_(key) {}

  // What an earlier run left; queues first, then messages and dedupe records in order of sequence. Answer false: it
  // belongs to nothing, and is collected.
  void load_reserved(std::uint64_t sequence) { reserved_ = durable_reserved_ = last_sequence_ = sequence; }
  void load_queue(std::uint64_t number, std::string name, std::uint64_t purged);
  bool load_message(std::uint64_t number, QueueEntry entry, std::string_view id, std::string_view group);
  bool load_dedupe(std::uint64_t number, std::uint64_t sequence, Microseconds at, std::string_view group,
                   std::string_view dedupe_id);

  void begin(SystemTime now);
  // In a batch before everything but other calls of itself.
  Result<void> configure(const QueueName& name, const QueueSettings& settings);
  Result<void> remove(const QueueName& name);
  [[nodiscard]] std::vector<QueueName> list(const std::string& prefix) const;
  Result<std::vector<Publication>> publish(const QueueName& name, std::span<const NewMessage> messages);
  Result<void> publish_to_many(std::span<const Queue::Fanout> messages);
  // Answered through grants(); `waits`: when there is something, else at once.
  void lease(Ticket ticket, const QueueName& name, const LeaseTerms& terms, bool waits);
  // True where the ticket waited: nobody will answer it any more.
  bool cancel(Ticket ticket);
  Result<void> extend(const QueueName& name, const LeaseToken& token, Microseconds duration);
  Result<void> release(const QueueName& name, const LeaseToken& token, Microseconds delay, const std::string& state);
  Result<void> acknowledge(const QueueName& name, const LeaseToken& token);
  Result<void> purge(const QueueName& name);
  Result<QueueCounts> counts(const QueueName& name);
  Result<std::vector<Item>> peek(const QueueName& name, std::uint64_t after, std::size_t limit, std::uint64_t bytes);
  Result<void> take_out(const QueueName& name, const std::string& id);
  // Collects what is due and serves those who wait.
  void finish();

  [[nodiscard]] const std::vector<QueueChange>& changes() const { return changes_; }
  [[nodiscard]] std::vector<Grant>& grants() { return grants_; }
  void committed();
  void undo();

  // When a batch without commands has something to do; in the past: now.
  [[nodiscard]] std::optional<SystemTime> next_due() const;
  [[nodiscard]] std::size_t messages() const;
  [[nodiscard]] std::size_t memory_bytes() const;
  [[nodiscard]] std::size_t queues() const { return queues_.size(); }

 private:
  struct Waiter {
    Ticket ticket = 0;
    LeaseTerms terms;
  };
  struct State {
    std::string name;
    std::uint64_t number = 0;
    std::uint64_t purged = 0;  // messages up to this sequence are gone
    QueueSettings settings;
    bool configured = false;
    bool touched = false;
    bool removed = false;
    std::unique_ptr<QueueMessages> messages = std::make_unique<QueueMessages>();
    DedupeWindow dedupe;
    std::deque<Waiter> waiters;
    std::optional<Microseconds> due;  // its place in agenda_
  };
  // A row that belongs to nothing any more.
  struct Garbage {
    std::uint64_t sequence = 0;
    bool dedupe = false;  // a dedupe record, else a message with its lease
  };
  // What undo() needs, in order.
  struct AddedQueue {
    State* state;
  };
  struct RemovedQueue {
    std::unique_ptr<State> state;
  };
  struct Purged {
    State* state;
    std::unique_ptr<QueueMessages> messages;
    std::uint64_t purged;
  };
  struct AddedMessage {
    QueueMessages* messages;
    Slot slot;
  };
  struct AddedDedupe {
    State* state;
  };
  struct ChangedMessage {
    QueueMessages* messages;
    Slot slot;
    QueueEntry before;
  };
  using Step = std::variant<AddedQueue, RemovedQueue, Purged, AddedMessage, AddedDedupe, ChangedMessage>;

  Result<State*> find(const QueueName& name);
  State* find_number(std::uint64_t number);
  void touch(State& state);
  // The message that the token names, and that nobody has leased after it; kNoSlot where it is gone.
  Result<Slot> find_lease(State& state, const LeaseToken& token);
  Publication publish_one(State& state, const NewMessage& message);
  std::uint64_t next_sequence();
  Result<std::vector<Item>> take(State& state, const LeaseTerms& terms);
  Item lease_one(State& state, Slot slot, Microseconds duration);
  void save(QueueMessages& messages, Slot slot);
  void take_away(State& state, Slot slot);
  void serve(State& state);
  [[nodiscard]] bool too_old(const State& state, const QueueEntry& entry) const;
  void expire(State& state);
  void drop_dedupe(State& state);
  void schedule(State& state);
  void unschedule(State& state);
  void drop(const QueueMessages& messages);
  void undo_step(Step& step);
  QueueChange& change(QueueChange::Kind kind, const State& state, std::uint64_t sequence);

  KeyedHash hash_;
  Microseconds now_ = 0;
  std::map<std::string, std::unique_ptr<State>, std::less<>> queues_;
  std::unordered_map<std::uint64_t, State*> by_number_;
  std::unordered_map<Ticket, State*> waiting_;
  std::set<std::pair<Microseconds, std::uint64_t>> agenda_;  // when a queue has something to do, and its number
  std::deque<Garbage> garbage_;
  std::uint64_t last_sequence_ = 0;
  std::uint64_t reserved_ = 0;
  std::uint64_t durable_reserved_ = 0;

  // Of the batch.
  std::vector<State*> touched_;
  std::vector<QueueChange> changes_;
  std::vector<Grant> grants_;
  std::vector<Step> steps_;
  std::vector<std::pair<QueueMessages*, Slot>> gone_;
  std::vector<std::pair<State*, Waiter>> served_;  // who waited before the batch, and got something in it
  std::set<Ticket> new_tickets_;
  std::size_t expire_budget_ = 0;
  std::size_t garbage_taken_ = 0;
};

}  // namespace mayfly::store
