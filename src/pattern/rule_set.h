// Many patterns asked at once.
//
// Operation.   Each branch of each pattern is found through one clause, the one that fewest others share; the clauses
//              chosen so are kept by path and by what they compare with: hashed texts and numbers, tries of prefixes
//              and suffixes, trees of ranges, three-byte pieces of what wildcards contain. An event's fields are looked
//              up there, and only the branches found are checked in full, each distinct clause at most once an event.
//              So the cost is that of the event and of what nearly matches, not of the number of rules.
// Concurrency. match() from any thread while nobody changes the set. A copy shares the patterns.
// Cost.        add() is some hash insertions; a range is inserted in time linear in the ranges of its path. remove()
// marks,
//              and the set is built anew when half of it is marked.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/json.h"
#include "pattern/pattern.h"

namespace mayfly::pattern {

class RuleSet {
 public:
  RuleSet();
  ~RuleSet();
  RuleSet(RuleSet&&) noexcept;
  RuleSet& operator=(RuleSet&&) noexcept;

  // Under an id that is known already, the old pattern goes.
  void add(std::uint64_t id, Pattern pattern);
  void remove(std::uint64_t id);
  [[nodiscard]] std::size_t size() const;

  // The ids of the patterns that match, ascending.
  [[nodiscard]] std::vector<std::uint64_t> match(const json::value& event) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mayfly::pattern
