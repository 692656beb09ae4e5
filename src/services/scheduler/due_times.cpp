#include "services/scheduler/due_times.h"

#include <tuple>

namespace mayfly::scheduler {

bool DueTimes::earlier(const Node& a, const Node& b) {
  return std::tie(a.second.when, a.first) < std::tie(b.second.when, b.first);
}

void DueTimes::place(std::size_t position, Node* node) {
  heap_[position] = node;
  node->second.position = position;
}

void DueTimes::up(std::size_t position) {
  Node* node = heap_[position];
  while (position > 0) {
    const std::size_t parent = (position - 1) / 2;
    if (!earlier(*node, *heap_[parent])) break;
    place(position, heap_[parent]);
    position = parent;
  }
  place(position, node);
}

void DueTimes::down(std::size_t position) {
  Node* node = heap_[position];
  for (;;) {
    std::size_t child = position * 2 + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() && earlier(*heap_[child + 1], *heap_[child])) ++child;
    if (!earlier(*heap_[child], *node)) break;
    place(position, heap_[child]);
    position = child;
  }
  place(position, node);
}

void DueTimes::remove_at(std::size_t position) {
  Node* last = heap_.back();
  heap_.pop_back();
  if (position == heap_.size()) return;
  place(position, last);
  up(position);
  down(last->second.position);
}

void DueTimes::set(const std::string& key, std::optional<SystemTime> when) {
  const auto found = slots_.find(key);
  if (!when) {
    if (found == slots_.end()) return;
    remove_at(found->second.position);
    slots_.erase(found);
    return;
  }
  if (found == slots_.end()) {
    auto& node = *slots_.emplace(key, Slot{.when = *when, .position = heap_.size()}).first;
    heap_.push_back(&node);
    up(heap_.size() - 1);
    return;
  }
  found->second.when = *when;
  up(found->second.position);
  down(found->second.position);
}

std::vector<std::string> DueTimes::take(SystemTime now, std::size_t limit) {
  std::vector<std::string> out;
  while (!heap_.empty() && heap_.front()->second.when <= now && out.size() < limit) {
    out.push_back(heap_.front()->first);
    remove_at(0);
    slots_.erase(out.back());
  }
  return out;
}

std::optional<SystemTime> DueTimes::next() const {
  if (heap_.empty()) return std::nullopt;
  return heap_.front()->second.when;
}

void DueTimes::reserve(std::size_t count) {
  slots_.reserve(count);
  heap_.reserve(count);
}

}  // namespace mayfly::scheduler
