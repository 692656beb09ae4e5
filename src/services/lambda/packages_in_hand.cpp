#include "services/lambda/packages_in_hand.h"

namespace mayfly::lambda {

PackagesInHand::Hold PackagesInHand::hold(const std::string& sha) {
  const std::lock_guard lock(state_->mutex);
  if (state_->claimed.contains(sha)) return nullptr;
  ++state_->held[sha];
  // The address tells nothing; the deleter is what matters.
  return {state_.get(), [state = state_, sha](const void*) {
            const std::lock_guard lock_again(state->mutex);
            const auto found = state->held.find(sha);
            if (found != state->held.end() && --found->second == 0) state->held.erase(found);
          }};
}

bool PackagesInHand::claim_for_removal(const std::string& sha) {
  const std::lock_guard lock(state_->mutex);
  return !state_->held.contains(sha) && state_->claimed.insert(sha).second;
}

void PackagesInHand::removed(const std::string& sha) {
  const std::lock_guard lock(state_->mutex);
  state_->claimed.erase(sha);
}

}  // namespace mayfly::lambda
