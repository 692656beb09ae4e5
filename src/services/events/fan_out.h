// From an event on a bus to what delivery is asked for: one request for each target of each rule that matches.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "services/events/bus_event.h"
#include "services/events/core.h"

namespace mayfly::events {

// An event and where it goes.
struct Placed {
  BusPtr bus;
  BusEvent event;
  // ARNs of the only rules it goes to; empty: all. Of replays, which are not archived again either.
  std::vector<std::string> only_rules;
  bool replayed = false;
  std::uint32_t hops = 0;  // buses it has been on before
};

// Buses may send events around in a circle; so often and no more.
inline constexpr std::uint32_t kMostHops = 8;

// Puts events on their buses: one durable write for all targets, then the archives, then the followers. Where the first
// fails nothing has happened; where an archive fails, asking again may deliver an event twice.
Awaitable<Result<void>> put_on_buses(Core& core, std::vector<Placed> events);

// The requests for all of a rule's targets. `dedupe` makes their keys; "" : none.
std::vector<delivery::Request> requests_of(const RuleRecord& rule, const BusEvent& event, SystemTime ingested,
                                           std::uint32_t hops, const std::string& dedupe);

}  // namespace mayfly::events
