#include "store/embedded/queue_messages.h"

#include <algorithm>
#include <tuple>

namespace mayfly::store {

// --- what there is ---------------------------------------------------------------------------------------------------

Slot QueueMessages::insert(const QueueEntry& entry, std::string_view group) {
  const Slot slot = entries_.allocate();
  at(slot) = entry;
  ids_.insert(entry.id.high, slot);
  by_sequence_.push_back(BySequence{.sequence = entry.sequence, .slot = slot});
  bytes_ += entry.body_bytes;
  // Until the order is final nobody knows whether the groups will be needed.
  if (ordered_ || !final_) {
    auto found = groups_.find(group);
    if (found == groups_.end()) {
      found = groups_.emplace(std::string(group), std::make_unique<QueueGroup>()).first;
      found->second->name = found->first;
    }
    at(slot).group = found->second.get();
    ++found->second->references;
  }
  at(slot).aged_apart = youngest_ != kNoSlot && entry.sent_at < at(youngest_).sent_at;
  link_age(slot, youngest_);
  return slot;
}

void QueueMessages::load(const QueueEntry& entry, std::string_view group) {
  MAYFLY_ASSERT(!arranged_);
  insert(entry, group);
}

Slot QueueMessages::add(const QueueEntry& entry, std::string_view group, Microseconds now) {
  MAYFLY_ASSERT(arranged_);
  const Slot slot = insert(entry, group);
  at(slot).place = entry.available_at > now ? Place::kDelayed : Place::kReady;
  if (ordered_) link_group(slot, at(slot).group->last);
  attach(slot, last_ready_);
  return slot;
}

void QueueMessages::undo_add(Slot slot) {
  detach(slot);
  if (ordered_) unlink_group(slot);
  unlink_age(slot);
  bytes_ -= at(slot).body_bytes;
  ids_.erase(at(slot).id.high, slot);
  drop_group_of(at(slot));
  entries_.release(slot);
  by_sequence_.pop_back();
}

void QueueMessages::move(Slot slot, Place place, Microseconds available_at) {
  detach(slot);
  at(slot).place = place;
  at(slot).available_at = available_at;
  attach(slot, last_ready_);
}

void QueueMessages::take_away(Slot slot) {
  detach(slot);
  // The links keep where it was, for restore().
  if (ordered_) unlink_group(slot);
  unlink_age(slot);
  bytes_ -= at(slot).body_bytes;
  at(slot).place = Place::kGone;
}

void QueueMessages::restore(Slot slot, const QueueEntry& before) {
  QueueEntry& entry = at(slot);
  if (entry.place == Place::kGone) {
    if (ordered_) link_group(slot, before.previous);
    link_age(slot, before.older);
    bytes_ += entry.body_bytes;
  } else {
    detach(slot);
  }
  // Not the links: what was unlinked, they no longer tell, and what was not, may have new neighbours.
  entry.available_at = before.available_at;
  entry.first_leased_at = before.first_leased_at;
  entry.receive_count = before.receive_count;
  entry.has_state = before.has_state;
  entry.place = before.place;
  attach(slot, before.previous);
}

void QueueMessages::forget(Slot slot) {
  MAYFLY_ASSERT(at(slot).place == Place::kGone);
  ids_.erase(at(slot).id.high, slot);
  drop_group_of(at(slot));
  entries_.release(slot);
  ++dead_;
  tidy_sequences();
}

void QueueMessages::tidy_sequences() {
  while (!by_sequence_.empty() && dead(by_sequence_.front())) {
    by_sequence_.pop_front();
    --dead_;
  }
  if (by_sequence_.empty()) {
    // What a backlog took is given back when it is gone.
    entries_.clear();
    times_.clear();
    return;
  }
  if (dead_ <= size() + 64) return;
  std::erase_if(by_sequence_, [this](const BySequence& item) { return dead(item); });
  dead_ = 0;
}

// --- places ----------------------------------------------------------------------------------------------------------

std::uint64_t& QueueMessages::count_of(Place place) {
  if (place == Place::kReady) return ready_;
  return place == Place::kLeased ? leased_ : delayed_;
}

void QueueMessages::attach(Slot slot, Slot after) {
  const Place place = at(slot).place;
  MAYFLY_ASSERT(place == Place::kReady || place == Place::kLeased || place == Place::kDelayed);
  ++count_of(place);
  if (place != Place::kReady) times_.insert(slot);
  if (ordered_) {
    check_group(at(slot).group);
  } else if (place == Place::kReady) {
    link_ready(slot, after);
  }
}

void QueueMessages::detach(Slot slot) {
  QueueEntry& entry = at(slot);
  --count_of(entry.place);
  if (entry.place != Place::kReady) {
    times_.erase(slot);
    return;
  }
  if (ordered_) return;
  (entry.previous == kNoSlot ? first_ready_ : at(entry.previous).next) = entry.next;
  (entry.next == kNoSlot ? last_ready_ : at(entry.next).previous) = entry.previous;
}

// Behind `after`; kNoSlot: first.
void QueueMessages::link_ready(Slot slot, Slot after) {
  QueueEntry& entry = at(slot);
  entry.previous = after;
  entry.next = after == kNoSlot ? first_ready_ : at(after).next;
  (after == kNoSlot ? first_ready_ : at(after).next) = slot;
  (entry.next == kNoSlot ? last_ready_ : at(entry.next).previous) = slot;
}

void QueueMessages::link_group(Slot slot, Slot after) {
  QueueEntry& entry = at(slot);
  QueueGroup& group = *entry.group;
  entry.previous = after;
  entry.next = after == kNoSlot ? group.first : at(after).next;
  (after == kNoSlot ? group.first : at(after).next) = slot;
  (entry.next == kNoSlot ? group.last : at(entry.next).previous) = slot;
}

void QueueMessages::unlink_group(Slot slot) {
  QueueEntry& entry = at(slot);
  QueueGroup& group = *entry.group;
  (entry.previous == kNoSlot ? group.first : at(entry.previous).next) = entry.next;
  (entry.next == kNoSlot ? group.last : at(entry.next).previous) = entry.previous;
  check_group(&group);
}

// Puts the group into the list of those that can be leased from, or takes it out.
void QueueMessages::check_group(QueueGroup* group) {
  const bool leasable = group->first != kNoSlot && at(group->first).place == Place::kReady;
  if (leasable == group->listed) return;
  group->listed = leasable;
  if (leasable) {
    group->previous = last_group_;
    group->next = nullptr;
    (last_group_ == nullptr ? first_group_ : last_group_->next) = group;
    last_group_ = group;
    return;
  }
  (group->previous == nullptr ? first_group_ : group->previous->next) = group->next;
  (group->next == nullptr ? last_group_ : group->next->previous) = group->previous;
}

void QueueMessages::drop_group_of(QueueEntry& entry) {
  QueueGroup* group = std::exchange(entry.group, nullptr);
  if (group == nullptr || --group->references != 0) return;
  MAYFLY_ASSERT(!group->listed);
  const auto found = groups_.find(std::string_view(group->name));
  groups_.erase(found);
}

void QueueMessages::link_age(Slot slot, Slot after) {
  QueueEntry& entry = at(slot);
  if (entry.aged_apart) {
    aged_apart_.emplace(entry.sent_at, slot);
    return;
  }
  entry.older = after;
  entry.younger = after == kNoSlot ? oldest_ : at(after).younger;
  (after == kNoSlot ? oldest_ : at(after).younger) = slot;
  (entry.younger == kNoSlot ? youngest_ : at(entry.younger).older) = slot;
}

void QueueMessages::unlink_age(Slot slot) {
  QueueEntry& entry = at(slot);
  if (entry.aged_apart) {
    aged_apart_.erase({entry.sent_at, slot});
    return;
  }
  (entry.older == kNoSlot ? oldest_ : at(entry.older).younger) = entry.younger;
  (entry.younger == kNoSlot ? youngest_ : at(entry.younger).older) = entry.older;
}

void QueueMessages::settle(Microseconds now) {
  while (!times_.empty() && times_.first_time() <= now) {
    const Slot slot = times_.first();
    move(slot, Place::kReady, at(slot).available_at);
  }
}

void QueueMessages::arrange(bool ordered, bool final, Microseconds now) {
  MAYFLY_ASSERT(!final_ || by_sequence_.empty());
  ordered_ = ordered;
  final_ = final;
  arranged_ = true;
  ready_ = leased_ = delayed_ = 0;
  first_ready_ = last_ready_ = kNoSlot;
  times_.clear();
  std::vector<std::tuple<Microseconds, std::uint64_t, Slot>> order;
  order.reserve(by_sequence_.size());
  for (const BySequence& item : by_sequence_) {
    if (dead(item)) continue;
    QueueEntry& entry = at(item.slot);
    if (entry.available_at <= now) {
      entry.place = Place::kReady;
    } else if (entry.place != Place::kLeased) {
      entry.place = Place::kDelayed;
    }
    if (ordered) link_group(item.slot, entry.group->last);
    if (final && !ordered) entry.group = nullptr;
    order.emplace_back(entry.available_at, entry.sequence, item.slot);
  }
  if (final && !ordered) groups_.clear();
  std::ranges::sort(order);
  for (const auto& [available_at, sequence, slot] : order) attach(slot, last_ready_);
}

// --- looking ---------------------------------------------------------------------------------------------------------

Slot QueueMessages::candidate() const {
  if (!ordered_) return first_ready_;
  return first_group_ == nullptr ? kNoSlot : first_group_->first;
}

Slot QueueMessages::following(Slot slot) const {
  if (!ordered_) return kNoSlot;
  const Slot next = at(slot).next;
  return next != kNoSlot && at(next).place == Place::kReady ? next : kNoSlot;
}

Slot QueueMessages::find_sequence(std::uint64_t sequence, Slot hint) const {
  Slot slot = kNoSlot;
  if (entries_.contains(hint) && at(hint).sequence == sequence) {
    slot = hint;
  } else {
    const auto found = std::ranges::lower_bound(by_sequence_, sequence, {}, &BySequence::sequence);
    if (found == by_sequence_.end() || found->sequence != sequence || dead(*found)) return kNoSlot;
    slot = found->slot;
  }
  return at(slot).place == Place::kGone ? kNoSlot : slot;
}

Slot QueueMessages::find_id(const Hash128& id) const {
  return ids_.find(id.high, [&](Slot slot) { return at(slot).id == id && at(slot).place != Place::kGone; });
}

Slot QueueMessages::oldest() const {
  if (aged_apart_.empty()) return oldest_;
  const auto& [sent_at, slot] = *aged_apart_.begin();
  return oldest_ != kNoSlot && at(oldest_).sent_at <= sent_at ? oldest_ : slot;
}

std::optional<Microseconds> QueueMessages::next_time() const {
  if (times_.empty()) return std::nullopt;
  return times_.first_time();
}

void QueueMessages::scan(std::uint64_t after, const std::function<bool(Slot)>& take) const {
  auto item = std::ranges::upper_bound(by_sequence_, after, {}, &BySequence::sequence);
  for (; item != by_sequence_.end(); ++item) {
    if (dead(*item) || at(item->slot).place == Place::kGone) continue;
    if (!take(item->slot)) return;
  }
}

QueueCounts QueueMessages::counts() const {
  QueueCounts counts;
  counts.ready = ready_;
  counts.leased = leased_;
  counts.delayed = delayed_;
  counts.bytes = bytes_;
  if (const Slot slot = oldest(); slot != kNoSlot) {
    counts.oldest_sent_at = SystemTime(std::chrono::microseconds(at(slot).sent_at));
  }
  return counts;
}

std::size_t QueueMessages::memory_bytes() const {
  constexpr std::size_t kSetNode = 56;
  constexpr std::size_t kGroup = sizeof(QueueGroup) + 96;
  return entries_.memory_bytes() + times_.memory_bytes() + ids_.memory_bytes() +
         by_sequence_.size() * sizeof(BySequence) + aged_apart_.size() * kSetNode + groups_.size() * kGroup;
}

void QueueMessages::each(const std::function<void(std::uint64_t)>& take) const {
  for (const BySequence& item : by_sequence_) {
    if (!dead(item)) take(item.sequence);
  }
}

}  // namespace mayfly::store
