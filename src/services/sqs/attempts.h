// ReceiveRequestAttemptId: a receive of a FIFO queue that is tried again within five minutes gets the same messages
// again, with their handles, and their time starts anew.
//
// Concurrency. Any thread; one mutex.
// Limits.      kAttempts answers and kAttemptBytes of them; the oldest go first. What is forgotten is received as
// usual.
#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/clock.h"
#include "services/sqs/sqs.h"

namespace mayfly::sqs {

class Attempts {
 public:
  using Answer = std::shared_ptr<const std::vector<Message>>;

  explicit Attempts(Clock& clock) : clock_(clock) {}
  // Null where there is none, or it is too long ago.
  [[nodiscard]] Answer find(const std::string& generation, const std::string& attempt);
  void remember(const std::string& generation, const std::string& attempt, Answer answer);
  void forget(const std::string& generation, const std::string& attempt);

 private:
  struct Remembered {
    Answer answer;
    SteadyTime until;
    std::size_t bytes = 0;
  };
  void drop_old();

  Clock& clock_;
  std::mutex mutex_;
  std::map<std::string, Remembered> answers_;  // by generation and attempt
  std::deque<std::string> order_;              // of answers_, oldest first; may name what has been forgotten
  std::size_t bytes_ = 0;
};

}  // namespace mayfly::sqs
