#include "dispatch/code_cache.h"

#include <utility>

namespace mayfly::dispatch {

std::shared_ptr<const std::string> CodeCache::find(const std::string& version) {
  std::lock_guard lock(mutex_);
  const auto found = entries_.find(version);
  if (found == entries_.end()) return nullptr;
  order_.splice(order_.begin(), order_, found->second.used);
  return found->second.code;
}

bool CodeCache::keep(const std::string& version, std::string code) {
  std::lock_guard lock(mutex_);
  if (code.size() > kMostOfOne || code.size() > most_ || entries_.contains(version)) return false;
  bytes_ += code.size();
  order_.push_front(version);
  entries_[version] = {.code = std::make_shared<const std::string>(std::move(code)), .used = order_.begin()};
  while (bytes_ > most_) {
    const auto last = entries_.find(order_.back());
    bytes_ -= last->second.code->size();
    entries_.erase(last);
    order_.pop_back();
  }
  return true;
}

}  // namespace mayfly::dispatch
