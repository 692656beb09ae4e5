// Message moves: StartMessageMoveTask and its kin, which empty a dead-letter queue into another queue or back to where
// each message came from.
//
// Operation.   A move leases a few messages, publishes them to their destination as new messages (new id, new time of
//              sending, no receives), and then acknowledges them. The new id is made of the old one, so that a crash
//              between the two steps publishes the same message again, which changes nothing while it is there.
// Concurrency. start() and load() run a move on the caller's reactor; the rest from anywhere. One mutex guards the
// list. Limits.      One running move for each source; 500 messages a second at most where a rate is asked for, kBatch
// at a
//              time otherwise. The last kListedMoves of each source are kept.
// Recovery.    Every move is a record in KeyValue; load() goes on with those that were running.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/async.h"
#include "services/sqs/envelope.h"
#include "services/sqs/tables.h"

namespace mayfly::sqs {

enum class MoveStatus : std::uint8_t { kRunning, kCompleted, kCancelled, kFailed };
std::string_view to_string(MoveStatus status);

struct MoveRecord {
  std::string id;
  Place place;       // of the source
  std::string name;  // of the source
  std::string generation;
  std::string destination_arn;  // "" : where each message came from
  std::optional<std::int32_t> rate;
  std::int64_t started = 0;  // epoch milliseconds
  MoveStatus status = MoveStatus::kRunning;
  std::int64_t moved = 0;
  std::int64_t to_move = 0;
  std::string failure;

  [[nodiscard]] std::string source_arn() const { return queue_arn(place, name); }
  [[nodiscard]] std::string handle() const;
};

// A dead letter as a new message for its destination.
store::NewMessage redriven(const QueueRecord& source, const std::string& id, std::string group,
                           const std::string& dedupe_id, Envelope envelope, std::string_view text);

class Moves {
 public:
  Moves(store::KeyValue& store, store::Queue& port, Clock& clock, Tables& tables)
      : store_(store), port_(port), clock_(clock), tables_(tables) {}

  Awaitable<Result<void>> load();
  // Running moves pause and go on at the next load().
  void stop();
  Awaitable<void> join();

  // The move's handle. The caller has checked source and destination.
  Awaitable<aws::ApiResult<std::string>> start(QueuePtr source, std::string destination_arn,
                                               std::optional<std::int32_t> rate);
  // How many have been moved.
  Awaitable<aws::ApiResult<std::int64_t>> cancel(std::string handle);
  [[nodiscard]] std::vector<MoveRecord> list(const Place& place, const std::string& name) const;  // newest first
  // Of a queue that has been deleted.
  Awaitable<Result<void>> forget(Place place, std::string name);

 private:
  [[nodiscard]] std::optional<MoveRecord> get(const std::string& id) const;
  Awaitable<Result<void>> persist(std::string id);
  Awaitable<void> run(std::string id);
  // One batch: how many were moved, 0 at the end. An Error's message is the move's FailureReason.
  Awaitable<Result<std::size_t>> move_some(MoveRecord record);
  Awaitable<Result<void>> publish_batch(QueuePtr source, std::string destination_arn,
                                        std::vector<store::Leased> leased);
  Awaitable<void> finish(std::string id, MoveStatus status, std::string failure);
  Awaitable<Result<void>> drop_old(Place place, std::string name);
  void begin(const std::string& id);

  store::KeyValue& store_;
  store::Queue& port_;
  Clock& clock_;
  Tables& tables_;
  Scope scope_{"message moves"};
  Signal wake_;  // stop and cancel
  mutable std::mutex mutex_;
  std::map<std::string, MoveRecord> moves_;  // by id
};

}  // namespace mayfly::sqs
