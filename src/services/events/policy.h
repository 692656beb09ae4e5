// A bus' resource policy.
#pragma once

#include <optional>
#include <string>

#include "services/events/records.h"

namespace mayfly::events {

// The policy's JSON; nullopt where the bus has no statements.
std::optional<std::string> policy_text(const BusRecord& bus);

}  // namespace mayfly::events
