// The core's batches, what undoes them, and what an earlier run left.
#include <algorithm>

#include "store/embedded/queue_core.h"

namespace mayfly::store {

// --- batches ---------------------------------------------------------------------------------------------------------

void QueueCore::begin(SystemTime now) {
  now_ = now.time_since_epoch().count();
  expire_budget_ = kCollect;
}

void QueueCore::finish() {
  std::vector<State*> due;
  for (auto at = agenda_.begin(); at != agenda_.end() && at->first <= now_; ++at) due.push_back(by_number_[at->second]);
  for (State* state : due) touch(*state);
  // Serving and dropping touch no further queue.
  for (State* state : touched_) {
    if (state->removed) continue;
    touch(*state);
    serve(*state);
    drop_dedupe(*state);
  }
  for (State* state : touched_) {
    state->touched = false;
    if (!state->removed) schedule(*state);
  }
  touched_.clear();
  garbage_taken_ = std::min(garbage_.size(), kCollect);
  for (std::size_t i = 0; i < garbage_taken_; ++i) {
    QueueChange& deleted = changes_.emplace_back();
    deleted.kind = garbage_[i].dedupe ? QueueChange::Kind::kDropDedupe : QueueChange::Kind::kDelete;
    deleted.sequence = garbage_[i].sequence;
    deleted.leased = true;
  }
}

void QueueCore::committed() {
  durable_reserved_ = reserved_;
  garbage_.erase(garbage_.begin(), garbage_.begin() + static_cast<std::ptrdiff_t>(garbage_taken_));
  for (const auto& [messages, slot] : gone_) messages->forget(slot);
  for (Step& step : steps_) {
    if (const auto* purged = std::get_if<Purged>(&step)) drop(*purged->messages);
    if (const auto* removed = std::get_if<RemovedQueue>(&step)) {
      drop(*removed->state->messages);
      removed->state->dedupe.each([this](const DedupeWindow::Record& record) {
        garbage_.push_back(Garbage{.sequence = record.sequence, .dedupe = true});
      });
      for (const Waiter& waiter : removed->state->waiters) waiting_.erase(waiter.ticket);
    }
  }
  steps_.clear();
  gone_.clear();
  served_.clear();
  new_tickets_.clear();
  changes_.clear();
  grants_.clear();
  garbage_taken_ = 0;
}

// The rows of these messages are deleted little by little: to be gone they need only their queue's row to say so.
void QueueCore::drop(const QueueMessages& messages) {
  messages.each([this](std::uint64_t sequence) { garbage_.push_back(Garbage{.sequence = sequence, .dedupe = false}); });
}

void QueueCore::undo() {
  for (auto step = steps_.rbegin(); step != steps_.rend(); ++step) undo_step(*step);
  for (auto served = served_.rbegin(); served != served_.rend(); ++served) {
    served->first->waiters.push_front(served->second);
    waiting_.emplace(served->second.ticket, served->first);
  }
  for (const Ticket ticket : new_tickets_) static_cast<void>(cancel(ticket));
  reserved_ = durable_reserved_;
  last_sequence_ = std::min(last_sequence_, reserved_);
  for (const auto& [name, state] : queues_) schedule(*state);
  steps_.clear();
  gone_.clear();
  served_.clear();
  new_tickets_.clear();
  changes_.clear();
  grants_.clear();
  garbage_taken_ = 0;
}

void QueueCore::undo_step(Step& step) {
  if (auto* message = std::get_if<ChangedMessage>(&step)) {
    message->messages->restore(message->slot, message->before);
  } else if (auto* added = std::get_if<AddedMessage>(&step)) {
    added->messages->undo_add(added->slot);
  } else if (auto* dedupe = std::get_if<AddedDedupe>(&step)) {
    dedupe->state->dedupe.undo_add();
  } else if (auto* purged = std::get_if<Purged>(&step)) {
    purged->state->messages = std::move(purged->messages);
    purged->state->purged = purged->purged;
  } else if (auto* removed = std::get_if<RemovedQueue>(&step)) {
    State& state = *removed->state;
    state.removed = false;
    by_number_.emplace(state.number, &state);
    queues_.emplace(state.name, std::move(removed->state));
  } else if (auto* created = std::get_if<AddedQueue>(&step)) {
    State& state = *created->state;
    unschedule(state);
    for (const Waiter& waiter : state.waiters) waiting_.erase(waiter.ticket);
    by_number_.erase(state.number);
    queues_.erase(queues_.find(state.name));
  }
}

void QueueCore::save(QueueMessages& messages, Slot slot) {
  steps_.emplace_back(ChangedMessage{&messages, slot, messages.at(slot)});
}

void QueueCore::take_away(State& state, Slot slot) {
  QueueMessages& messages = *state.messages;
  save(messages, slot);
  QueueChange& deleted = change(QueueChange::Kind::kDelete, state, messages.at(slot).sequence);
  deleted.leased = messages.at(slot).receive_count > 0;
  messages.take_away(slot);
  gone_.emplace_back(&messages, slot);
}

QueueChange& QueueCore::change(QueueChange::Kind kind, const State& state, std::uint64_t sequence) {
  QueueChange& change = changes_.emplace_back();
  change.kind = kind;
  change.queue = state.number;
  change.sequence = sequence;
  return change;
}

// --- loading and looking ---------------------------------------------------------------------------------------------

void QueueCore::load_queue(std::uint64_t number, std::string name, std::uint64_t purged) {
  auto state = std::make_unique<State>();
  state->name = name;
  state->number = number;
  state->purged = purged;
  by_number_.emplace(number, state.get());
  queues_.emplace(std::move(name), std::move(state));
}

bool QueueCore::load_message(std::uint64_t number, QueueEntry entry, std::string_view id, std::string_view group) {
  State* state = find_number(number);
  if (state == nullptr || entry.sequence <= state->purged) {
    garbage_.push_back(Garbage{.sequence = entry.sequence, .dedupe = false});
    return false;
  }
  entry.id = hash_(id);
  state->messages->load(entry, group);
  return true;
}

bool QueueCore::load_dedupe(std::uint64_t number, std::uint64_t sequence, Microseconds at, std::string_view group,
                            std::string_view dedupe_id) {
  State* state = find_number(number);
  if (state == nullptr) {
    garbage_.push_back(Garbage{.sequence = sequence, .dedupe = true});
    return false;
  }
  state->dedupe.add({.at = at, .id = hash_(dedupe_id), .group = hash_(group).high, .sequence = sequence});
  return true;
}

std::optional<SystemTime> QueueCore::next_due() const {
  if (!garbage_.empty()) return SystemTime{};
  if (agenda_.empty()) return std::nullopt;
  return SystemTime(std::chrono::microseconds(agenda_.begin()->first));
}

std::size_t QueueCore::messages() const {
  std::size_t count = 0;
  for (const auto& [name, state] : queues_) count += state->messages->held();
  return count;
}

std::size_t QueueCore::memory_bytes() const {
  std::size_t bytes = garbage_.size() * sizeof(Garbage);
  for (const auto& [name, state] : queues_) {
    bytes += sizeof(State) + state->messages->memory_bytes() + state->dedupe.memory_bytes();
  }
  return bytes;
}

}  // namespace mayfly::store
