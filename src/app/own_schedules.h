// Mayfly's own view of schedules, for its command line.
#pragma once

#include "base/async.h"
#include "http/server.h"

namespace mayfly::scheduler {
class Scheduler;
}

namespace mayfly::app {

// GET /_mayfly/schedules?group=&after=&limit= : many, with "Next" to go on from; ?group=&name= : one, with its next
// occurrences; POST /_mayfly/schedules/run?group=&name= : hands one over now.
Awaitable<void> serve_schedules(scheduler::Scheduler& scheduler, http::Request& request,
                                http::ResponseWriter& response);

}  // namespace mayfly::app
