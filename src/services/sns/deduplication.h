// What FIFO topics remember of the last five minutes, so that a message published twice is delivered once.
//
// Operation.   A publish claims its key, gives the message to its subscribers, and only then remembers it: one that
//              failed is tried again in full. What is remembered lies in a queue of the store whose messages are never
//              leased and go with their retention, and in memory.
// Concurrency. Any reactor. Of two publishes of one key the second waits for the end of the first.
// Recovery.    load() reads what an earlier run remembered. A kill between the delivery and the remembering leaves a
//              publish that nobody has acknowledged; when it comes again, FIFO queues drop what they have of it.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/async.h"
#include "base/clock.h"
#include "base/error.h"
#include "store/queue.h"

namespace mayfly::sns {

class Deduplication {
 public:
  struct Seen {
    std::string message_id;
    std::string sequence;
  };

  Deduplication(store::Queue& queue, Clock& clock) : queue_(queue), clock_(clock) {}

  // The greatest sequence that was remembered, "" where nothing was.
  Awaitable<Result<std::string>> load();
  // The earlier message of this key within the window; or nullopt, and the key is the caller's until it calls
  // remember() or abandon().
  Awaitable<std::optional<Seen>> claim(std::string key);
  // Durable on return.
  Awaitable<Result<void>> remember(std::string key, Seen seen);
  void abandon(const std::string& key);
  // Of a topic that was deleted: the next one of its name knows nothing of it. `topic` is what its keys begin with.
  Awaitable<Result<void>> forget(std::string topic);

 private:
  struct Slot {
    Seen seen;
    SystemTime until;
  };
  Awaitable<Result<void>> write(std::string id, std::string body);
  void drop(const std::string& topic);  // with the mutex held
  void sweep(SystemTime now);           // with the mutex held

  store::Queue& queue_;
  Clock& clock_;
  std::mutex mutex_;
  std::unordered_map<std::string, Slot> slots_;
  std::map<std::string, std::shared_ptr<Signal>> claimed_;  // told when its publish has ended
  SystemTime next_sweep_;
};

}  // namespace mayfly::sns
