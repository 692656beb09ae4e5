// A hash table from hashes to slot numbers: eight bytes for each place, no keys. Whoever looks something up compares
// the key at the slot.
//
// Concurrency. None.
// Limits.      At most three quarters full; gives memory back when it has emptied to an eighth.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/error.h"

namespace mayfly::store {

using Slot = std::uint32_t;
inline constexpr Slot kNoSlot = 0xffff'ffff;

class SlotTable {
 public:
  // The first slot under `hash` for which `matches` holds; kNoSlot.
  template <typename Matches>
  [[nodiscard]] Slot find(std::uint64_t hash, Matches matches) const {
    if (places_.empty()) return kNoSlot;
    const auto tag = static_cast<std::uint32_t>(hash);
    for (std::size_t at = tag & mask();; at = (at + 1) & mask()) {
      const Place& place = places_[at];
      if (place.slot == kNoSlot) return kNoSlot;
      if (place.tag == tag && matches(place.slot)) return place.slot;
    }
  }

  void insert(std::uint64_t hash, Slot slot) {
    if ((size_ + 1) * 4 > places_.size() * 3) resize(places_.empty() ? 8 : places_.size() * 2);
    put(Place{.tag = static_cast<std::uint32_t>(hash), .slot = slot});
    ++size_;
  }

  // The pair is in the table.
  void erase(std::uint64_t hash, Slot slot) {
    const auto tag = static_cast<std::uint32_t>(hash);
    std::size_t hole = tag & mask();
    while (places_[hole].slot != slot || places_[hole].tag != tag) {
      MAYFLY_ASSERT(places_[hole].slot != kNoSlot);
      hole = (hole + 1) & mask();
    }
    // What lies behind the hole moves up where its own place is not between the two, so that no search ends too early.
    for (std::size_t at = (hole + 1) & mask(); places_[at].slot != kNoSlot; at = (at + 1) & mask()) {
      const std::size_t home = places_[at].tag & mask();
      if (((at - home) & mask()) < ((at - hole) & mask())) continue;
      places_[hole] = places_[at];
      hole = at;
    }
    places_[hole] = Place{};
    --size_;
    if (places_.size() > 64 && size_ * 8 < places_.size()) resize(places_.size() / 4);
  }

  void clear() {
    places_ = {};
    size_ = 0;
  }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] std::size_t memory_bytes() const { return places_.size() * sizeof(Place); }

 private:
  struct Place {
    std::uint32_t tag = 0;
    Slot slot = kNoSlot;
  };
  [[nodiscard]] std::size_t mask() const { return places_.size() - 1; }
  void put(Place place) {
    std::size_t at = place.tag & mask();
    while (places_[at].slot != kNoSlot) at = (at + 1) & mask();
    places_[at] = place;
  }
  void resize(std::size_t count) {
    const std::vector<Place> old = std::exchange(places_, std::vector<Place>(count));
    for (const Place& place : old) {
      if (place.slot != kNoSlot) put(place);
    }
  }

  std::vector<Place> places_;  // a power of two of them
  std::size_t size_ = 0;
};

}  // namespace mayfly::store
