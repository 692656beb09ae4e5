// Compiled code of Node.js functions, as their first instance made it: kept in memory for the version's next instances.
//
// Operation.   It comes from a function and is hostile: nothing looks into it, and it goes to instances of that very
//              version only, whose code could do all that it could. It is taken before the version's first event is
//              delivered to the instance that made it, so that no input of an invocation has had a part in it; the
//              first one stays.
// Concurrency. Thread safe.
// Limits.      kMostOfOne each; all together the size given, where the one that was used least recently goes first.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace mayfly::dispatch {

class CodeCache {
 public:
  static constexpr std::size_t kMostOfOne = 16UL << 20;
  explicit CodeCache(std::uint64_t bytes) : most_(bytes) {}

  [[nodiscard]] bool is_kept() const { return most_ > 0; }
  // Null where there is none.
  std::shared_ptr<const std::string> find(const std::string& version);
  // False where there is one already, or it is too large.
  bool keep(const std::string& version, std::string code);

 private:
  struct Entry {
    std::shared_ptr<const std::string> code;
    std::list<std::string>::iterator used;
  };
  const std::uint64_t most_;
  std::mutex mutex_;
  std::map<std::string, Entry> entries_;
  std::list<std::string> order_;  // front: used most recently
  std::uint64_t bytes_ = 0;
};

}  // namespace mayfly::dispatch
