// What the index holds for one message, and the containers of such entries. An entry is named by its slot.
//
// Concurrency. None.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "store/embedded/keyed_hash.h"
#include "store/embedded/slot_table.h"

namespace mayfly::store {

using Microseconds = std::int64_t;  // since 1970, as on disk

struct QueueGroup;

enum class Place : std::uint8_t {
  kFree,
  kReady,    // in the list of ready messages, or its group's
  kDelayed,  // in the heap
  kLeased,   // in the heap
  kGone,     // taken away by a batch that has not been committed
};

// 88 bytes.
struct QueueEntry {
  std::uint64_t sequence = 0;  // 0: the slot is free
  Hash128 id;
  QueueGroup* group = nullptr;
  Microseconds sent_at = 0;
  Microseconds available_at = 0;     // of a leased message: when its lease ends
  Microseconds first_leased_at = 0;  // 0: never
  std::uint32_t receive_count = 0;
  std::uint32_t body_bytes = 0;
  // In the list of ready messages; in an ordered queue in the group's list of all its messages.
  Slot previous = kNoSlot;
  Slot next = kNoSlot;
  // In the list of messages by their age.
  Slot older = kNoSlot;
  Slot younger = kNoSlot;
  std::uint32_t heap_position = 0;
  Place place = Place::kFree;
  bool has_state = false;
  bool aged_apart =
      false;  // sent before a message that was published before it: not in the list by age, but in the set
};

static_assert(sizeof(QueueEntry) == 88);

// Entries in chunks that do not move. The first chunk grows, so that many small queues stay small.
class QueueEntries {
 public:
  [[nodiscard]] QueueEntry& at(Slot slot) { return chunks_[slot >> kBits][slot & (kChunk - 1)]; }
  [[nodiscard]] const QueueEntry& at(Slot slot) const { return chunks_[slot >> kBits][slot & (kChunk - 1)]; }
  [[nodiscard]] bool contains(Slot slot) const { return slot < used_; }

  Slot allocate() {
    if (free_ != kNoSlot) {
      const Slot slot = free_;
      free_ = at(slot).next;
      at(slot) = QueueEntry{};
      return slot;
    }
    if (used_ == capacity_) grow();
    return used_++;
  }

  void release(Slot slot) {
    QueueEntry& entry = at(slot);
    entry = QueueEntry{};
    entry.next = free_;
    free_ = slot;
  }

  void clear() {
    chunks_.clear();
    capacity_ = 0;
    used_ = 0;
    free_ = kNoSlot;
  }
  [[nodiscard]] std::size_t memory_bytes() const { return capacity_ * sizeof(QueueEntry); }

 private:
  static constexpr std::uint32_t kBits = 10;
  static constexpr std::uint32_t kChunk = 1U << kBits;

  void grow() {
    MAYFLY_ASSERT(used_ < kNoSlot - kChunk);
    if (capacity_ < kChunk) {
      const std::uint32_t wanted = capacity_ == 0 ? 4 : capacity_ * 4;
      auto larger = std::make_unique<QueueEntry[]>(wanted);
      if (!chunks_.empty()) std::copy_n(chunks_[0].get(), capacity_, larger.get());
      chunks_.resize(1);
      chunks_[0] = std::move(larger);
      capacity_ = wanted;
      return;
    }
    chunks_.push_back(std::make_unique<QueueEntry[]>(kChunk));
    capacity_ += kChunk;
  }

  std::vector<std::unique_ptr<QueueEntry[]>> chunks_;
  std::uint32_t capacity_ = 0;
  std::uint32_t used_ = 0;
  Slot free_ = kNoSlot;
};

// Delayed and leased messages by the time at which they become ready, then by sequence. A heap of four branches in
// which each entry knows its position.
class QueueTimes {
 public:
  explicit QueueTimes(QueueEntries& entries) : entries_(entries) {}

  [[nodiscard]] bool empty() const { return items_.empty(); }
  [[nodiscard]] Slot first() const { return items_.front().slot; }
  [[nodiscard]] Microseconds first_time() const { return items_.front().time; }

  // At the entry's available_at.
  void insert(Slot slot) {
    items_.push_back(Item{.time = entries_.at(slot).available_at, .slot = slot});
    rise(items_.size() - 1);
  }
  void erase(Slot slot) {
    const std::size_t position = entries_.at(slot).heap_position;
    const Item last = items_.back();
    items_.pop_back();
    if (position == items_.size()) return;
    place(position, last);
    rise(position);
    sink(entries_.at(last.slot).heap_position);
  }
  void clear() { items_ = {}; }
  [[nodiscard]] std::size_t memory_bytes() const { return items_.capacity() * sizeof(Item); }

 private:
  struct Item {
    Microseconds time = 0;
    Slot slot = kNoSlot;
  };
  [[nodiscard]] bool before(const Item& a, const Item& b) const {
    if (a.time != b.time) return a.time < b.time;
    return entries_.at(a.slot).sequence < entries_.at(b.slot).sequence;
  }
  void place(std::size_t position, Item item) {
    items_[position] = item;
    entries_.at(item.slot).heap_position = static_cast<std::uint32_t>(position);
  }
  void rise(std::size_t position) {
    const Item item = items_[position];
    while (position > 0) {
      const std::size_t parent = (position - 1) / 4;
      if (!before(item, items_[parent])) break;
      place(position, items_[parent]);
      position = parent;
    }
    place(position, item);
  }
  void sink(std::size_t position) {
    const Item item = items_[position];
    for (;;) {
      const std::size_t first = position * 4 + 1;
      if (first >= items_.size()) break;
      std::size_t least = first;
      for (std::size_t child = first + 1; child < std::min(first + 4, items_.size()); ++child) {
        if (before(items_[child], items_[least])) least = child;
      }
      if (!before(items_[least], item)) break;
      place(position, items_[least]);
      position = least;
    }
    place(position, item);
  }

  QueueEntries& entries_;
  std::vector<Item> items_;
};

}  // namespace mayfly::store
