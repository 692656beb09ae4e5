// Removes packages that no function and no layer names any more.
//
// Operation.   What is found unused twice, an hour apart, is removed: its folder and its blob. The hour is longer than
// any
//              invocation, so that an instance which is still being drained keeps its code. At start nothing runs, and
//              whatever is unused goes at once.
// Recovery.    A removal that was interrupted is taken up by the next sweep.
#pragma once

#include <atomic>
#include <set>
#include <string>

#include "base/async.h"
#include "base/error.h"

namespace mayfly::lambda {

struct Core;

class Janitor {
 public:
  // Removes what is unused and was found unused before; at start, what is unused.
  enum class Patience : bool { kNone, kOneRound };
  Awaitable<Result<void>> sweep(Core& core, Patience patience);
  // Sweeps every hour until stop().
  Awaitable<void> run(Core& core);
  void stop();

 private:
  std::set<std::string> unused_before_;
  Signal stopped_;
  std::atomic<bool> stopping_ = false;
};

}  // namespace mayfly::lambda
