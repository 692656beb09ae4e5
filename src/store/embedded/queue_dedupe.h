// The dedupe ids that one queue has seen within its window.
//
// Operation.   Records lie in order of time; a table finds them by the hash of their id, or of id and group.
// Concurrency. None.
// Limits.      40 bytes and about 14 in the table for each record. One queue holds less than 2^31.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "store/embedded/queue_entry.h"

namespace mayfly::store {

class DedupeWindow {
 public:
  struct Record {
    Microseconds at = 0;
    Hash128 id;
    std::uint64_t group = 0;     // its hash
    std::uint64_t sequence = 0;  // of the message that was published
  };

  // Whether an id counts in its group only. Sorts the records anew where that changes.
  void set_by_group(bool by_group) {
    if (by_group == by_group_) return;
    by_group_ = by_group;
    table_.clear();
    for (std::size_t i = 0; i < records_.size(); ++i) table_.insert(hash_of(records_[i]), slot_of(i));
  }

  // The sequence of the message that stands for this id, where it is later than `after`.
  [[nodiscard]] std::optional<std::uint64_t> find(const Hash128& id, std::uint64_t group, Microseconds not_before,
                                                  std::uint64_t after) const {
    const Record wanted{.id = id, .group = group};
    const Slot slot = table_.find(hash_of(wanted), [&](Slot candidate) {
      const Record& record = records_[index_of(candidate)];
      return record.id == id && (!by_group_ || record.group == group) && record.at > not_before &&
             record.sequence > after;
    });
    if (slot == kNoSlot) return std::nullopt;
    return records_[index_of(slot)].sequence;
  }

  void add(const Record& record) {
    records_.push_back(record);
    table_.insert(hash_of(record), slot_of(records_.size() - 1));
  }
  void undo_add() {
    table_.erase(hash_of(records_.back()), slot_of(records_.size() - 1));
    records_.pop_back();
  }

  [[nodiscard]] const Record* oldest() const { return records_.empty() ? nullptr : &records_.front(); }
  void drop_oldest() {
    table_.erase(hash_of(records_.front()), slot_of(0));
    records_.pop_front();
    ++first_;
  }
  template <typename Take>
  void each(Take take) const {
    for (const Record& record : records_) take(record);
  }
  [[nodiscard]] std::size_t memory_bytes() const { return records_.size() * sizeof(Record) + table_.memory_bytes(); }

 private:
  static constexpr std::uint64_t kNumbers = 0x7fff'ffff;  // a record's number, without the bits that come round again
  [[nodiscard]] std::uint64_t hash_of(const Record& record) const {
    return by_group_ ? record.id.high ^ (record.group * 0x9e37'79b9'7f4a'7c15U) : record.id.high;
  }
  [[nodiscard]] Slot slot_of(std::size_t index) const { return static_cast<Slot>((first_ + index) & kNumbers); }
  [[nodiscard]] std::size_t index_of(Slot slot) const { return (slot - first_) & kNumbers; }

  std::deque<Record> records_;
  SlotTable table_;
  std::uint64_t first_ = 0;  // the number of the oldest record
  bool by_group_ = false;
};

}  // namespace mayfly::store
