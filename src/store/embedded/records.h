// The ordered copy of all entries in memory. Reads are answered from it and never touch the disk.
//
// Concurrency. Any thread reads; only the writer's thread changes it, after the sync, so that nobody sees what a crash
//              could take back. Locks are held for the look-up only: values are shared, and copied outside of them.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <vector>

#include "store/key_value.h"

namespace mayfly::store {

class Records {
 public:
  using Stored = std::shared_ptr<const Entry>;

  [[nodiscard]] std::optional<Entry> get(std::string_view key) const;
  [[nodiscard]] Revision revision_of(std::string_view key) const;
  [[nodiscard]] std::vector<Entry> list(std::string_view prefix, std::string_view after, std::size_t limit) const;
  [[nodiscard]] std::size_t size() const;

  void insert(Entry entry);
  void apply(const std::vector<WatchEvent>& changes);

 private:
  mutable std::shared_mutex mutex_;
  std::map<std::string, Stored, std::less<>> entries_;
};

}  // namespace mayfly::store
