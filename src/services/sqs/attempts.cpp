#include "services/sqs/attempts.h"

#include "services/sqs/limits.h"

namespace mayfly::sqs {
namespace {
constexpr std::size_t kAttemptBytes = 64UL * 1024 * 1024;
}  // namespace

Attempts::Answer Attempts::find(const std::string& generation, const std::string& attempt) {
  const std::lock_guard lock(mutex_);
  const auto found = answers_.find(generation + attempt);
  if (found == answers_.end() || found->second.until < clock_.steady_now()) return nullptr;
  return found->second.answer;
}

void Attempts::remember(const std::string& generation, const std::string& attempt, Answer answer) {
  Remembered remembered;
  remembered.until = clock_.steady_now() + kAttemptWindow;
  for (const auto& message : *answer) remembered.bytes += message.body.size() + message.receipt_handle.size();
  remembered.answer = std::move(answer);
  const std::lock_guard lock(mutex_);
  const auto key = generation + attempt;
  if (const auto old = answers_.find(key); old != answers_.end()) {
    bytes_ -= old->second.bytes;
  } else {
    order_.push_back(key);
  }
  bytes_ += remembered.bytes;
  answers_[key] = std::move(remembered);
  drop_old();
}

void Attempts::forget(const std::string& generation, const std::string& attempt) {
  const std::lock_guard lock(mutex_);
  const auto found = answers_.find(generation + attempt);
  if (found == answers_.end()) return;
  bytes_ -= found->second.bytes;
  answers_.erase(found);
}

void Attempts::drop_old() {
  const auto now = clock_.steady_now();
  while (!order_.empty()) {
    const auto oldest = answers_.find(order_.front());
    if (oldest != answers_.end()) {
      const bool fits = order_.size() <= kAttempts && bytes_ <= kAttemptBytes;
      if (fits && oldest->second.until >= now) return;
      bytes_ -= oldest->second.bytes;
      answers_.erase(oldest);
    }
    order_.pop_front();
  }
}

}  // namespace mayfly::sqs
