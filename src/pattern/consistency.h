// Whether a branch's clauses can all be met by fields that come from the same elements of the event's arrays.
#pragma once

#include <vector>

#include "pattern/compiled.h"
#include "pattern/event_fields.h"

namespace mayfly::pattern {

struct ClauseRef {
  const Clause* clause = nullptr;
  PathId path = kNoPath;
};

// `clauses` in order of path, as the service's engine goes: a path that must be absent is asked for beside what the
// paths before it chose.
// Bounded: gives up with false after a million steps, which takes an event made for it.
bool can_be_met(const std::vector<ClauseRef>& clauses, const EventFields& fields);

}  // namespace mayfly::pattern
