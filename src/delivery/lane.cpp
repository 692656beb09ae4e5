#include "delivery/lane.h"

#include <algorithm>

namespace mayfly::delivery {
namespace {

// A lane takes its turn in portions, so that the next one is not kept waiting.
constexpr std::uint32_t kPortion = 10;
constexpr std::uint32_t kMostSteps = 40;
constexpr std::chrono::seconds kLookAgain{1};  // where more becomes due than is remembered

}  // namespace

std::chrono::nanoseconds back_off(std::chrono::nanoseconds first, std::chrono::nanoseconds longest,
                                  std::uint32_t step) {
  auto wait = first;
  for (std::uint32_t i = 0; i < std::min(step, kMostSteps) && wait < longest; ++i) wait *= 2;
  return std::min(wait, longest);
}

std::chrono::nanoseconds jittered(std::chrono::nanoseconds most, std::mt19937_64& random) {
  if (most <= std::chrono::nanoseconds::zero()) return std::chrono::nanoseconds::zero();
  std::uniform_int_distribution<std::int64_t> any(0, most.count());
  return std::chrono::nanoseconds(any(random));
}

Lane::Lane(std::string target_in, std::string via_in, const DeliverySettings& settings)
    : target(std::move(target_in)),
      via(std::move(via_in)),
      ordered(target.ends_with(".fifo")),
      settings_(settings),
      queue_(std::string(kPrefix) + key_of(target, via)),
      window_(settings.max_in_flight_per_target) {
  shown.target_arn = target;
  shown.via = via;
}

std::string Lane::key_of(const std::string& target, const std::string& via) {
  return via.empty() ? target : via + "/" + target;
}

std::pair<std::string, std::string> Lane::target_and_via(std::string_view queue_name) {
  auto key = queue_name.substr(kPrefix.size());
  if (key.starts_with("arn:")) return {std::string(key), std::string()};
  const auto slash = std::min(key.find('/'), key.size());
  return {std::string(key.substr(std::min(slash + 1, key.size()))), std::string(key.substr(0, slash))};
}

Allowance Lane::allowance(SteadyTime now, std::uint32_t free) const {
  Allowance out;
  if (now < paused_until_) {
    out.wait_until = paused_until_;
    return out;
  }
  if (breaker_.is_open(now)) {
    out.wait_until = breaker_.open_until();
    return out;
  }
  const auto limit = breaker_.is_closed() ? std::min({settings_.max_in_flight_per_target, window_, free}) : 1U;
  if (limit > in_flight) out.count = std::min({limit - in_flight, kPortion, free});
  return out;
}

void Lane::add_due(SteadyTime when) {
  if (due_.size() < kDueTimes) {
    due_.push(when);
  } else {
    forgot_ = true;
  }
}

SteadyTime Lane::next_due(SteadyTime now) {
  while (!due_.empty() && due_.top() <= now) due_.pop();
  if (due_.empty()) forgot_ = false;
  if (due_.empty()) return kNoDeadline;
  return forgot_ ? std::min(due_.top(), now + kLookAgain) : due_.top();
}

void Lane::delivered() {
  throttles_ = 0;
  window_ = std::min(window_ + 1, settings_.max_in_flight_per_target);
  breaker_.succeeded();
}

void Lane::throttled(SteadyTime now, std::mt19937_64& random) {
  if (now < paused_until_) return;  // of the same burst
  window_ = std::max(1U, window_ / 2);
  const auto most = back_off(settings_.throttle_first, settings_.throttle_longest, throttles_);
  ++throttles_;
  paused_until_ = now + most / 2 + jittered(most / 2, random);
}

void Lane::unreachable(SteadyTime now) {
  const Breaker::Limits limits{
      .failures = settings_.breaker_failures, .first = settings_.breaker_first, .longest = settings_.breaker_longest};
  breaker_.failed(now, limits);
}

void Lane::wake(SteadyTime now) {
  paused_until_ = {};
  throttles_ = 0;
  breaker_.half_open(now);
}

}  // namespace mayfly::delivery
