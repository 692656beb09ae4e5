// What is learned of a function's pauses, and what follows from it: how long its last idle instance is worth keeping,
// and whether one is to be started shortly before it will be needed.
//
// Operation.   Each pause that ends with an invocation is counted in a bin of its length. A plan is a window of the
// pause
//              in which an instance is there. Of all windows the one of the greatest worth is taken: each pause that
//              ends in it saves a cold start, which is worth the price, and each second of an idle instance costs a
//              second. The price is the setting idle_timeout: what one is ready to pay for a cold start that does not
//              happen.
// Concurrency. Its owner's lock; time is given in.
// Limits.      Pauses below kShortest are not counted, since every instance is kept for so long; those beyond the last
//              bin, a day, never end in a window. Some 200 pauses are remembered, the older ones for less and less.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>

#include "base/clock.h"

namespace mayfly::dispatch {

class Rhythm {
 public:
  using Duration = std::chrono::milliseconds;
  static constexpr Duration kShortest = std::chrono::seconds(10);
  static constexpr std::uint32_t kEnough = 8;  // pauses before anything is concluded

  struct Plan {
    Duration warm_after{0};  // where not zero: retired at once, and another one started so long after the pause began
    Duration keep{0};        // from the pause's beginning on
  };

  // A pause of this length ended with an invocation.
  void paused(Duration length);
  // Empty where too little is known.
  [[nodiscard]] std::optional<Plan> plan(Duration price) const;

 private:
  static constexpr std::size_t kBinsPerDoubling = 8;
  static constexpr std::size_t kBins = 105;  // up to a day
  static constexpr std::uint32_t kRemembered = 255;
  static Duration edge(std::size_t bin);  // the bin's lower edge; of kBins: the upper edge of the last

  std::array<std::uint8_t, kBins> counts_{};
  std::uint32_t beyond_ = 0;
  std::uint32_t total_ = 0;
};

}  // namespace mayfly::dispatch
