// The contents of messages that were published lately, so that what is leased soon is not read from the disk.
//
// Concurrency. None: the engine's thread.
// Limits.      64 MiB; bodies of more than 64 KiB are not kept. What was published first goes first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <unordered_map>

#include "store/embedded/queue_database.h"

namespace mayfly::store {

class QueueContents {
 public:
  static constexpr std::size_t kMaxBytes = 64UL * 1024 * 1024;
  static constexpr std::size_t kMaxBodyBytes = 64UL * 1024;

  // Sequences only grow.
  void insert(std::uint64_t sequence, const NewMessage& message) {
    if (message.body.size() > kMaxBodyBytes) return;
    QueueContent content{
        .id = message.id, .body = message.body, .group = message.group, .dedupe_id = message.dedupe_id, .state = {}};
    bytes_ += bytes_of(content);
    contents_.insert_or_assign(sequence, std::move(content));
    order_.push_back(sequence);
    while (bytes_ > kMaxBytes) {
      erase(order_.front());
      order_.pop_front();
    }
  }
  void set_state(std::uint64_t sequence, const std::string& state) {
    const auto found = contents_.find(sequence);
    if (found == contents_.end()) return;
    bytes_ -= bytes_of(found->second);
    found->second.state = state;
    bytes_ += bytes_of(found->second);
  }
  void erase(std::uint64_t sequence) {
    const auto found = contents_.find(sequence);
    if (found == contents_.end()) return;
    bytes_ -= bytes_of(found->second);
    contents_.erase(found);
    if (order_.size() > 2 * contents_.size() + 64) {
      std::erase_if(order_, [this](std::uint64_t each) { return !contents_.contains(each); });
    }
  }
  [[nodiscard]] const QueueContent* find(std::uint64_t sequence) const {
    const auto found = contents_.find(sequence);
    return found == contents_.end() ? nullptr : &found->second;
  }
  [[nodiscard]] std::size_t memory_bytes() const { return bytes_; }

 private:
  static std::size_t bytes_of(const QueueContent& content) {
    constexpr std::size_t kNode = sizeof(QueueContent) + 48;
    return kNode + content.id.size() + content.body.size() + content.group.size() + content.dedupe_id.size() +
           content.state.size();
  }

  std::unordered_map<std::uint64_t, QueueContent> contents_;
  std::deque<std::uint64_t> order_;
  std::size_t bytes_ = 0;
};

}  // namespace mayfly::store
