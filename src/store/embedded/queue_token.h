// What a lease token says: "<queue>.<sequence>.<receive count>.<slot>", in hexadecimal digits. The receive count tells
// this lease from every other one of the message; the slot only saves a search.
#pragma once

#include <cstdint>
#include <optional>

#include "store/embedded/slot_table.h"
#include "store/queue.h"

namespace mayfly::store {

struct LeaseTokenParts {
  std::uint64_t queue = 0;
  std::uint64_t sequence = 0;
  std::uint32_t receive_count = 0;
  Slot slot = kNoSlot;
};

LeaseToken to_token(const LeaseTokenParts& parts);
std::optional<LeaseTokenParts> parse_token(const LeaseToken& token);

}  // namespace mayfly::store
