// The index of one queue's messages: which there are, in which order they can be leased, and when the others become
// ready. Bodies are not here.
//
// Operation.   A message is ready (in a list, in order of availability), or delayed or leased (in a heap, by time).
//              In an ordered queue the messages of a group form a list in order of sequence, and the group is in the
//              list of groups while its first message is ready: what is behind a message that is not, waits for it.
//              settle() moves to the ready ones what has become so.
// Concurrency. None.
// Recovery.    The core undoes what could not be committed: strictly from the last change to the first, each by the
//              entry as it was before. A message that is taken away stays in its slot until the commit.
// Limits.      About 125 bytes for each message, and what the names of groups take in an ordered queue.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "store/embedded/queue_entry.h"
#include "store/queue.h"

namespace mayfly::store {

struct QueueGroup {
  std::string name;
  Slot first = kNoSlot;
  Slot last = kNoSlot;
  std::uint32_t references = 0;  // entries that point here
  bool listed = false;
  QueueGroup* previous = nullptr;
  QueueGroup* next = nullptr;
};

class QueueMessages {
 public:
  QueueMessages() = default;
  QueueMessages(const QueueMessages&) = delete;
  QueueMessages& operator=(const QueueMessages&) = delete;
  ~QueueMessages() = default;

  // A message that an earlier run left, in order of sequence; place kLeased where it was leased, else any. Before
  // arrange().
  void load(const QueueEntry& entry, std::string_view group);
  // Puts everything into its order. Needed once after loading. Where `final` is false nobody knows yet whether the
  // queue is ordered, and it can be arranged again; nothing may be left to undo then.
  void arrange(bool ordered, bool final, Microseconds now);
  [[nodiscard]] bool arranged() const { return arranged_; }
  [[nodiscard]] bool final() const { return final_; }
  [[nodiscard]] bool ordered() const { return ordered_; }

  // A new message, of the highest sequence so far; its place is by its available_at.
  Slot add(const QueueEntry& entry, std::string_view group, Microseconds now);
  // Undoes the last add().
  void undo_add(Slot slot);
  // Moves a message to another place, behind those that are there.
  void move(Slot slot, Place place, Microseconds available_at);
  // Takes a message away; it stays in its slot until forget(), or until restore() brings it back.
  void take_away(Slot slot);
  void restore(Slot slot, const QueueEntry& before);
  void forget(Slot slot);

  void settle(Microseconds now);

  // What would be leased next; kNoSlot.
  [[nodiscard]] Slot candidate() const;
  // What one holder may lease together with `slot`: the next of its group, where that is ready, else kNoSlot.
  [[nodiscard]] Slot following(Slot slot) const;

  [[nodiscard]] Slot find_sequence(std::uint64_t sequence, Slot hint) const;
  [[nodiscard]] Slot find_id(const Hash128& id) const;
  // The message that was sent first; kNoSlot.
  [[nodiscard]] Slot oldest() const;
  // When the first message that is not ready becomes so.
  [[nodiscard]] std::optional<Microseconds> next_time() const;
  // In order of sequence, from the first greater than `after`, while `take` returns true.
  void scan(std::uint64_t after, const std::function<bool(Slot)>& take) const;

  [[nodiscard]] QueueEntry& at(Slot slot) { return entries_.at(slot); }
  [[nodiscard]] const QueueEntry& at(Slot slot) const { return entries_.at(slot); }
  [[nodiscard]] QueueCounts counts() const;
  [[nodiscard]] std::uint64_t leased() const { return leased_; }
  [[nodiscard]] bool empty() const { return by_sequence_.empty(); }
  // Also before arrange().
  [[nodiscard]] std::size_t held() const { return by_sequence_.size() - dead_; }
  [[nodiscard]] std::uint64_t size() const { return ready_ + leased_ + delayed_; }
  [[nodiscard]] std::size_t memory_bytes() const;
  // The sequences of all messages that are here, in order.
  void each(const std::function<void(std::uint64_t)>& take) const;

 private:
  struct BySequence {
    std::uint64_t sequence = 0;
    Slot slot = kNoSlot;
  };
  struct NameHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view name) const { return std::hash<std::string_view>{}(name); }
  };

  Slot insert(const QueueEntry& entry, std::string_view group);
  void attach(Slot slot, Slot after);  // to the place that its entry names
  void detach(Slot slot);
  std::uint64_t& count_of(Place place);
  void link_ready(Slot slot, Slot after);
  void link_group(Slot slot, Slot after);
  void unlink_group(Slot slot);
  void check_group(QueueGroup* group);
  void link_age(Slot slot, Slot after);
  void unlink_age(Slot slot);
  void drop_group_of(QueueEntry& entry);
  [[nodiscard]] bool dead(const BySequence& item) const { return at(item.slot).sequence != item.sequence; }
  void tidy_sequences();

  QueueEntries entries_;
  QueueTimes times_{entries_};
  SlotTable ids_;
  std::deque<BySequence> by_sequence_;
  std::size_t dead_ = 0;  // in by_sequence_
  std::set<std::pair<Microseconds, Slot>> aged_apart_;
  std::unordered_map<std::string, std::unique_ptr<QueueGroup>, NameHash, std::equal_to<>> groups_;
  Slot first_ready_ = kNoSlot;
  Slot last_ready_ = kNoSlot;
  QueueGroup* first_group_ = nullptr;
  QueueGroup* last_group_ = nullptr;
  Slot oldest_ = kNoSlot;
  Slot youngest_ = kNoSlot;
  std::uint64_t ready_ = 0;
  std::uint64_t leased_ = 0;
  std::uint64_t delayed_ = 0;
  std::uint64_t bytes_ = 0;
  bool ordered_ = false;
  bool arranged_ = false;
  bool final_ = false;
};

}  // namespace mayfly::store
