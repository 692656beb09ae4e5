#include "dispatch/rhythm.h"

#include <algorithm>
#include <cmath>

namespace mayfly::dispatch {
namespace {

// A start in advance takes some time, and one that nobody needs costs its work: as much as this share of the price.
constexpr std::chrono::seconds kWarmEarlier{2};
constexpr double kStartShare = 0.1;

}  // namespace

Rhythm::Duration Rhythm::edge(std::size_t bin) {
  static const std::array<Duration, kBins + 1> kEdges = [] {
    std::array<Duration, kBins + 1> edges{};
    for (std::size_t i = 0; i < edges.size(); ++i) {
      const double factor = std::exp2(static_cast<double>(i) / kBinsPerDoubling);
      edges[i] = Duration(std::llround(static_cast<double>(kShortest.count()) * factor));
    }
    return edges;
  }();
  return kEdges[bin];
}

void Rhythm::paused(Duration length) {
  if (length < kShortest) return;
  const double doublings = std::log2(static_cast<double>(length.count()) / static_cast<double>(kShortest.count()));
  const auto bin = static_cast<std::size_t>(doublings * kBinsPerDoubling);
  if (bin < kBins) {
    ++counts_[bin];
  } else {
    ++beyond_;
  }
  if (++total_ < kRemembered) return;
  // The newer half counts as much as all that came before.
  total_ = beyond_ = beyond_ / 2;
  for (auto& count : counts_) {
    count = static_cast<std::uint8_t>(count / 2);
    total_ += count;
  }
}

// The worth of a window is that of its last bin's end: going from bin to bin, each adds the pauses that end in it and
// the idle seconds of all those that outlast it.
std::optional<Rhythm::Plan> Rhythm::plan(Duration price) const {
  if (total_ < kEnough) return std::nullopt;
  const auto seconds = [](Duration time) { return std::chrono::duration<double>(time).count(); };
  const double worth_of_a_hit = seconds(price);
  Plan best{.warm_after = Duration(0), .keep = std::min(kShortest, price)};
  double best_worth = 0;
  double before = 0;  // pauses that are over when the window begins
  for (std::size_t first = 0; first < kBins; ++first) {
    // The first bin's window is the instance that is there anyway; a later one costs a start for each pause that
    // reaches it.
    const bool warmed = first > 0;
    double left = total_ - before;
    double worth = warmed ? -left * worth_of_a_hit * kStartShare : 0;
    before += counts_[first];
    if (warmed && counts_[first] == 0) continue;
    for (std::size_t last = first; last < kBins; ++last) {
      const double ending = counts_[last];
      const double width = seconds(edge(last + 1) - edge(last));
      worth += ending * worth_of_a_hit - (left - ending / 2) * width;
      left -= ending;
      if (ending == 0 || worth <= best_worth) continue;
      best_worth = worth;
      best.warm_after = warmed ? std::max(kShortest, edge(first) - kWarmEarlier) : Duration(0);
      best.keep = edge(last + 1);
    }
  }
  return best;
}

}  // namespace mayfly::dispatch
