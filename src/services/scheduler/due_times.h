// When which schedule fires: a binary heap whose entries know their place, so that a schedule's time is set, moved and
// taken out in O(log n). Nothing is polled: whoever waits, waits for the heap's first time.
//
// Concurrency. None of its own; Firing guards it.
// Limits.      One node of about 150 bytes for each schedule that will fire again.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.h"

namespace mayfly::scheduler {

class DueTimes {
 public:
  // nullopt: no more.
  void set(const std::string& key, std::optional<SystemTime> when);
  // Takes out those due at `now` or before, at most `limit`, in order of time and then of key.
  std::vector<std::string> take(SystemTime now, std::size_t limit);
  [[nodiscard]] std::optional<SystemTime> next() const;
  [[nodiscard]] std::size_t size() const { return heap_.size(); }
  void reserve(std::size_t count);

 private:
  struct Slot {
    SystemTime when;
    std::size_t position = 0;
  };
  using Node = std::pair<const std::string, Slot>;

  static bool earlier(const Node& a, const Node& b);
  void place(std::size_t position, Node* node);
  void up(std::size_t position);
  void down(std::size_t position);
  void remove_at(std::size_t position);

  std::unordered_map<std::string, Slot> slots_;
  std::vector<Node*> heap_;  // nodes of slots_, whose addresses stay
};

}  // namespace mayfly::scheduler
