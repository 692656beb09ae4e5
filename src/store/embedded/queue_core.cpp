#include "store/embedded/queue_core.h"

#include <fmt/core.h>

#include <algorithm>

namespace mayfly::store {

namespace {

std::unexpected<Error> no_such_queue(const std::string& name) {
  return fail(ErrorCode::kNotFound, fmt::format("there is no queue {}", name));
}
std::unexpected<Error> no_such_lease() { return fail(ErrorCode::kNotFound, "there is no such lease"); }

Microseconds microseconds(std::chrono::microseconds duration) { return duration.count(); }

// What is collected once it is too old is not waited for to the microsecond: one batch takes a second's worth.
Microseconds whole_second_after(Microseconds time) {
  constexpr Microseconds kSecond = 1'000'000;
  return (time / kSecond + 1) * kSecond;
}

}  // namespace

// --- queues ----------------------------------------------------------------------------------------------------------

Result<QueueCore::State*> QueueCore::find(const QueueName& name) {
  const auto found = queues_.find(name.str());
  if (found == queues_.end()) return no_such_queue(name.str());
  State& state = *found->second;
  touch(state);
  return &state;
}

QueueCore::State* QueueCore::find_number(std::uint64_t number) {
  const auto found = by_number_.find(number);
  return found == by_number_.end() ? nullptr : found->second;
}

// The queue as it is now: what has become ready is ready, what is too old is gone.
void QueueCore::touch(State& state) {
  if (!state.touched) {
    state.touched = true;
    touched_.push_back(&state);
  }
  if (!state.messages->arranged()) state.messages->arrange(state.settings.ordered, state.configured, now_);
  state.messages->settle(now_);
  expire(state);
}

Result<void> QueueCore::configure(const QueueName& name, const QueueSettings& settings) {
  const auto found = queues_.find(name.str());
  if (found == queues_.end()) {
    auto created = std::make_unique<State>();
    State& state = *created;
    state.name = name.str();
    state.number = next_sequence();
    queues_.emplace(state.name, std::move(created));
    by_number_.emplace(state.number, &state);
    steps_.emplace_back(AddedQueue{&state});
    change(QueueChange::Kind::kAddQueue, state, 0).text = &state.name;
    state.settings = settings;
    state.configured = true;
    state.dedupe.set_by_group(settings.dedupe_by_group);
    touch(state);
    return {};
  }
  State& state = *found->second;
  QueueMessages& messages = *state.messages;
  if (!messages.final() || messages.ordered() != settings.ordered) {
    if (messages.final() && !messages.empty()) {
      return fail(ErrorCode::kConflict, "a queue that holds messages cannot become ordered, or cease to be so");
    }
    // Steps of this queue before this one could not be undone: places change.
    for (const Step& step : steps_) {
      const auto* changed = std::get_if<ChangedMessage>(&step);
      const auto* added = std::get_if<AddedMessage>(&step);
      MAYFLY_ASSERT(changed == nullptr || changed->messages != &messages);
      MAYFLY_ASSERT(added == nullptr || added->messages != &messages);
    }
    messages.arrange(settings.ordered, true, now_);
  }
  state.settings = settings;
  state.configured = true;
  state.dedupe.set_by_group(settings.dedupe_by_group);
  touch(state);
  return {};
}

Result<void> QueueCore::remove(const QueueName& name) {
  const auto found = queues_.find(name.str());
  if (found == queues_.end()) return {};
  State& state = *found->second;
  change(QueueChange::Kind::kRemoveQueue, state, 0);
  for (const Waiter& waiter : state.waiters) grants_.push_back(Grant{waiter.ticket, no_such_queue(state.name)});
  state.removed = true;
  unschedule(state);
  by_number_.erase(state.number);
  steps_.emplace_back(RemovedQueue{std::move(found->second)});
  queues_.erase(found);
  return {};
}

std::vector<QueueName> QueueCore::list(const std::string& prefix) const {
  std::vector<QueueName> names;
  for (auto at = queues_.lower_bound(prefix); at != queues_.end() && at->first.starts_with(prefix); ++at) {
    names.emplace_back(at->first);
  }
  return names;
}

Result<void> QueueCore::purge(const QueueName& name) {
  auto found = find(name);
  if (!found) return std::unexpected(found.error());
  State& state = **found;
  if (state.messages->empty() && state.dedupe.oldest() == nullptr) return {};
  change(QueueChange::Kind::kPurge, state, last_sequence_);
  auto fresh = std::make_unique<QueueMessages>();
  fresh->arrange(state.messages->ordered(), state.messages->final(), now_);
  steps_.emplace_back(Purged{&state, std::exchange(state.messages, std::move(fresh)), state.purged});
  state.purged = last_sequence_;
  return {};
}

Result<QueueCounts> QueueCore::counts(const QueueName& name) {
  auto found = find(name);
  if (!found) return std::unexpected(found.error());
  return (*found)->messages->counts();
}

// --- publishing ------------------------------------------------------------------------------------------------------

std::uint64_t QueueCore::next_sequence() {
  // Reserved in advance and in large steps, so that no batch writes a counter.
  constexpr std::uint64_t kStep = 1'000'000;
  if (last_sequence_ == reserved_) {
    reserved_ += kStep;
    QueueChange reserve;
    reserve.kind = QueueChange::Kind::kReserve;
    reserve.sequence = reserved_;
    changes_.push_back(reserve);
  }
  return ++last_sequence_;
}

Result<std::vector<QueueCore::Publication>> QueueCore::publish(const QueueName& name,
                                                               std::span<const NewMessage> messages) {
  auto found = find(name);
  if (!found) return std::unexpected(found.error());
  std::vector<Publication> published;
  published.reserve(messages.size());
  for (const NewMessage& message : messages) published.push_back(publish_one(**found, message));
  return published;
}

Result<void> QueueCore::publish_to_many(std::span<const Queue::Fanout> messages) {
  for (const Queue::Fanout& fanout : messages) {
    if (auto found = find(fanout.queue); !found) return std::unexpected(found.error());
  }
  for (const Queue::Fanout& fanout : messages) {
    static_cast<void>(publish_one(*queues_.find(fanout.queue.str())->second, fanout.message));
  }
  return {};
}

QueueCore::Publication QueueCore::publish_one(State& state, const NewMessage& message) {
  QueueEntry entry;
  entry.id = hash_(message.id);
  QueueMessages& messages = *state.messages;
  if (const Slot held = messages.find_id(entry.id); held != kNoSlot) {
    return Publication{.id = message.id, .sequence = messages.at(held).sequence, .duplicate = true};
  }
  const Microseconds window = microseconds(state.settings.dedupe_window);
  const bool dedupes = !message.dedupe_id.empty() && window > 0;
  DedupeWindow::Record record;
  if (dedupes) {
    record = {.at = now_, .id = hash_(message.dedupe_id), .group = hash_(message.group).high};
    if (const auto seen = state.dedupe.find(record.id, record.group, now_ - window, state.purged)) {
      return Publication{.id = "", .sequence = *seen, .duplicate = true};
    }
  }
  entry.sequence = next_sequence();
  entry.sent_at = message.sent_at ? message.sent_at->time_since_epoch().count() : now_;
  entry.available_at = now_ + microseconds(message.delay);
  entry.body_bytes = static_cast<std::uint32_t>(message.body.size());
  const Slot slot = messages.add(entry, message.group, now_);
  steps_.emplace_back(AddedMessage{&messages, slot});
  QueueChange& added = change(QueueChange::Kind::kAddMessage, state, entry.sequence);
  added.message = &message;
  added.sent_at = entry.sent_at;
  added.available_at = entry.available_at;
  if (dedupes) {
    record.sequence = entry.sequence;
    state.dedupe.add(record);
    steps_.emplace_back(AddedDedupe{&state});
    QueueChange& seen = change(QueueChange::Kind::kAddDedupe, state, entry.sequence);
    seen.message = &message;
    seen.sent_at = now_;
  }
  return Publication{.id = message.id, .sequence = entry.sequence, .duplicate = false};
}

// --- leasing ---------------------------------------------------------------------------------------------------------

void QueueCore::lease(Ticket ticket, const QueueName& name, const LeaseTerms& terms, bool waits) {
  auto found = find(name);
  if (!found) {
    grants_.push_back(Grant{ticket, std::unexpected(found.error())});
    return;
  }
  State& state = **found;
  serve(state);  // who came earlier
  auto items = take(state, terms);
  if (!items || !items->empty() || !waits) {
    grants_.push_back(Grant{ticket, std::move(items)});
    return;
  }
  state.waiters.push_back(Waiter{ticket, terms});
  waiting_.emplace(ticket, &state);
  new_tickets_.insert(ticket);
}

bool QueueCore::cancel(Ticket ticket) {
  const auto found = waiting_.find(ticket);
  if (found == waiting_.end()) return false;
  State& state = *found->second;
  std::erase_if(state.waiters, [ticket](const Waiter& waiter) { return waiter.ticket == ticket; });
  waiting_.erase(found);
  return true;
}

Result<std::vector<QueueCore::Item>> QueueCore::take(State& state, const LeaseTerms& terms) {
  std::vector<Item> items;
  QueueMessages& messages = *state.messages;
  if (!state.configured || messages.candidate() == kNoSlot) return items;
  if (messages.leased() >= state.settings.max_leased) {
    return fail(ErrorCode::kThrottled, fmt::format("{} messages are leased", messages.leased()));
  }
  const std::uint64_t most = std::min<std::uint64_t>(terms.max_messages, state.settings.max_leased - messages.leased());
  std::uint64_t bytes = 0;
  Slot slot = messages.candidate();
  while (slot != kNoSlot && items.size() < most) {
    QueueEntry& entry = messages.at(slot);
    if (too_old(state, entry)) {
      // More than one batch collects: the rest comes with the next ones.
      if (expire_budget_ == 0) break;
      --expire_budget_;
      take_away(state, slot);
      slot = messages.candidate();
      continue;
    }
    bytes += entry.body_bytes;
    if (!items.empty() && bytes > terms.max_bytes) break;
    const Slot following = messages.following(slot);
    items.push_back(lease_one(state, slot, terms.duration));
    slot = following != kNoSlot ? following : messages.candidate();
  }
  return items;
}

QueueCore::Item QueueCore::lease_one(State& state, Slot slot, Microseconds duration) {
  QueueMessages& messages = *state.messages;
  save(messages, slot);
  QueueEntry& entry = messages.at(slot);
  ++entry.receive_count;
  if (entry.first_leased_at == 0) entry.first_leased_at = now_;
  messages.move(slot, Place::kLeased, now_ + duration);
  QueueChange& leased = change(QueueChange::Kind::kLease, state, entry.sequence);
  leased.receive_count = entry.receive_count;
  leased.first_leased_at = entry.first_leased_at;
  leased.available_at = entry.available_at;
  return Item{.queue = state.number, .slot = slot, .entry = entry};
}

// Gives what there is to those who wait, in the order in which they came.
void QueueCore::serve(State& state) {
  while (!state.waiters.empty()) {
    auto items = take(state, state.waiters.front().terms);
    if (!items || items->empty()) return;
    const Waiter waiter = state.waiters.front();
    state.waiters.pop_front();
    waiting_.erase(waiter.ticket);
    if (!new_tickets_.contains(waiter.ticket)) served_.emplace_back(&state, waiter);
    grants_.push_back(Grant{waiter.ticket, std::move(items)});
  }
}

// --- leases ----------------------------------------------------------------------------------------------------------

Result<Slot> QueueCore::find_lease(State& state, const LeaseToken& token) {
  const auto parts = parse_token(token);
  if (!parts || parts->queue != state.number) return fail(ErrorCode::kInvalid, "this is no lease of this queue");
  const Slot slot = state.messages->find_sequence(parts->sequence, parts->slot);
  if (slot == kNoSlot) return kNoSlot;
  const QueueEntry& entry = state.messages->at(slot);
  if (too_old(state, entry)) return kNoSlot;
  if (entry.receive_count != parts->receive_count) return no_such_lease();
  return slot;
}

Result<void> QueueCore::extend(const QueueName& name, const LeaseToken& token, Microseconds duration) {
  auto found = find(name);
  if (!found) return std::unexpected(found.error());
  State& state = **found;
  const auto slot = find_lease(state, token);
  if (!slot) return std::unexpected(slot.error());
  if (*slot == kNoSlot) return no_such_lease();
  QueueMessages& messages = *state.messages;
  // A lease that has run out can be taken up again where order allows it; one that was given back with a delay cannot.
  const Place place = messages.at(*slot).place;
  if (place == Place::kDelayed || (place != Place::kLeased && messages.ordered())) return no_such_lease();
  save(messages, *slot);
  const bool leased = duration > 0;
  messages.move(*slot, leased ? Place::kLeased : Place::kReady, now_ + duration);
  QueueChange& extended = change(QueueChange::Kind::kExtend, state, messages.at(*slot).sequence);
  extended.available_at = now_ + duration;
  extended.leased = leased;
  return {};
}

Result<void> QueueCore::release(const QueueName& name, const LeaseToken& token, Microseconds delay,
                                const std::string& state_text) {
  auto found = find(name);
  if (!found) return std::unexpected(found.error());
  State& state = **found;
  const auto slot = find_lease(state, token);
  if (!slot) return std::unexpected(slot.error());
  if (*slot == kNoSlot) return no_such_lease();
  QueueMessages& messages = *state.messages;
  const Place place = messages.at(*slot).place;
  if (place == Place::kDelayed || (place != Place::kLeased && messages.ordered())) return no_such_lease();
  save(messages, *slot);
  messages.at(*slot).has_state = !state_text.empty();
  messages.move(*slot, delay > 0 ? Place::kDelayed : Place::kReady, now_ + delay);
  QueueChange& released = change(QueueChange::Kind::kRelease, state, messages.at(*slot).sequence);
  released.available_at = now_ + delay;
  released.text = &state_text;
  return {};
}

Result<void> QueueCore::acknowledge(const QueueName& name, const LeaseToken& token) {
  auto found = find(name);
  if (!found) return std::unexpected(found.error());
  const auto slot = find_lease(**found, token);
  if (!slot) return std::unexpected(slot.error());
  if (*slot != kNoSlot) take_away(**found, *slot);
  return {};
}

Result<void> QueueCore::take_out(const QueueName& name, const std::string& id) {
  auto found = find(name);
  if (!found) return std::unexpected(found.error());
  const Slot slot = (*found)->messages->find_id(hash_(id));
  if (slot == kNoSlot || too_old(**found, (*found)->messages->at(slot))) {
    return fail(ErrorCode::kNotFound, fmt::format("the queue holds no message {}", id));
  }
  take_away(**found, slot);
  return {};
}

Result<std::vector<QueueCore::Item>> QueueCore::peek(const QueueName& name, std::uint64_t after, std::size_t limit,
                                                     std::uint64_t bytes) {
  auto found = find(name);
  if (!found) return std::unexpected(found.error());
  const State& state = **found;
  std::vector<Item> items;
  std::uint64_t seen = 0;
  state.messages->scan(after, [&](Slot slot) {
    const QueueEntry& entry = state.messages->at(slot);
    if (items.size() == limit || (!items.empty() && seen + entry.body_bytes > bytes)) return false;
    if (too_old(state, entry)) return true;
    seen += entry.body_bytes;
    items.push_back(Item{.queue = state.number, .slot = slot, .entry = entry});
    return true;
  });
  return items;
}

// --- collecting ------------------------------------------------------------------------------------------------------

bool QueueCore::too_old(const State& state, const QueueEntry& entry) const {
  return state.configured && entry.sent_at + microseconds(state.settings.retention) <= now_;
}

void QueueCore::expire(State& state) {
  QueueMessages& messages = *state.messages;
  for (; expire_budget_ > 0; --expire_budget_) {
    const Slot slot = messages.oldest();
    if (slot == kNoSlot || !too_old(state, messages.at(slot))) return;
    take_away(state, slot);
  }
}

void QueueCore::drop_dedupe(State& state) {
  // The window must be known, and a record is not undone: it has run out whether or not the batch is written down.
  if (!state.configured) return;
  const Microseconds not_before = now_ - microseconds(state.settings.dedupe_window);
  for (std::size_t i = 0; i < kCollect; ++i) {
    const DedupeWindow::Record* record = state.dedupe.oldest();
    if (record == nullptr || record->at > not_before) return;
    change(QueueChange::Kind::kDropDedupe, state, record->sequence);
    state.dedupe.drop_oldest();
  }
}

// When the queue next has something to do by itself.
void QueueCore::schedule(State& state) {
  std::optional<Microseconds> due;
  const auto at = [&due](Microseconds time) { due = due ? std::min(*due, time) : time; };
  const QueueMessages& messages = *state.messages;
  if (!state.waiters.empty() && state.configured) {
    if (messages.next_time()) at(*messages.next_time());
    // After an undone batch: what was given out in it is there again, and so is who waited for it.
    if (messages.candidate() != kNoSlot && messages.leased() < state.settings.max_leased) at(now_);
  }
  if (const Slot slot = messages.oldest(); state.configured && slot != kNoSlot) {
    const Microseconds end = messages.at(slot).sent_at + microseconds(state.settings.retention);
    at(end <= now_ ? now_ : whole_second_after(end));
  }
  if (const DedupeWindow::Record* record = state.dedupe.oldest(); state.configured && record != nullptr) {
    const Microseconds end = record->at + microseconds(state.settings.dedupe_window);
    at(end <= now_ ? now_ : whole_second_after(end));
  }
  if (due == state.due) return;
  unschedule(state);
  state.due = due;
  if (due) agenda_.emplace(*due, state.number);
}

void QueueCore::unschedule(State& state) {
  if (state.due) agenda_.erase({*state.due, state.number});
  state.due.reset();
}

}  // namespace mayfly::store
