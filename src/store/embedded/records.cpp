#include "store/embedded/records.h"

#include <algorithm>
#include <mutex>

namespace mayfly::store {

std::optional<Entry> Records::get(std::string_view key) const {
  Stored found;
  {
    std::shared_lock lock(mutex_);
    if (const auto it = entries_.find(key); it != entries_.end()) found = it->second;
  }
  if (!found) return std::nullopt;
  return *found;
}

Revision Records::revision_of(std::string_view key) const {
  std::shared_lock lock(mutex_);
  const auto it = entries_.find(key);
  return it == entries_.end() ? 0 : it->second->revision;
}

std::vector<Entry> Records::list(std::string_view prefix, std::string_view after, std::size_t limit) const {
  std::vector<Stored> found;
  {
    std::shared_lock lock(mutex_);
    auto it = after < prefix ? entries_.lower_bound(prefix) : entries_.upper_bound(after);
    for (; it != entries_.end() && found.size() < limit && it->first.starts_with(prefix); ++it) {
      found.push_back(it->second);
    }
  }
  std::vector<Entry> entries;
  entries.reserve(found.size());
  std::ranges::transform(found, std::back_inserter(entries), [](const Stored& stored) { return *stored; });
  return entries;
}

std::size_t Records::size() const {
  std::shared_lock lock(mutex_);
  return entries_.size();
}

void Records::insert(Entry entry) {
  auto stored = std::make_shared<const Entry>(std::move(entry));
  std::unique_lock lock(mutex_);
  entries_.insert_or_assign(stored->key, stored);
}

void Records::apply(const std::vector<WatchEvent>& changes) {
  // The copies of values are made before the lock, so that readers wait for pointers only.
  std::vector<Stored> stored;
  stored.reserve(changes.size());
  for (const auto& change : changes) {
    stored.push_back(change.deleted ? nullptr : std::make_shared<const Entry>(change.entry));
  }
  std::unique_lock lock(mutex_);
  for (std::size_t i = 0; i < changes.size(); ++i) {
    if (stored[i]) {
      entries_.insert_or_assign(stored[i]->key, stored[i]);
    } else {
      entries_.erase(changes[i].entry.key);
    }
  }
}

}  // namespace mayfly::store
