// The part of Mayfly's own API that is about buses:
//   GET  /_mayfly/events/tail?bus=NAME[&pattern=JSON]   events put on the bus from now on, as JSON lines
//   POST /_mayfly/events/cloudevents?bus=NAME           CloudEvents 1.0 in binary, structured or batched mode
#pragma once

#include <atomic>
#include <string_view>

#include "base/async.h"
#include "http/server.h"

namespace mayfly::events {
class Events;
}

namespace mayfly::app {

bool is_events_path(std::string_view path);
Awaitable<void> serve_events(events::Events& events, http::Request& request, http::ResponseWriter& response,
                             const std::atomic<bool>& stopping);

}  // namespace mayfly::app
