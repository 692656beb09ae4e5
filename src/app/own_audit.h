// The audit trail, for `mayfly audit`.
#pragma once

#include <atomic>

#include "base/async.h"
#include "http/server.h"
#include "services/audit/trail.h"

namespace mayfly::app {

inline constexpr std::string_view kAuditPath = "/_mayfly/audit";

// GET /_mayfly/audit?limit=N&before=SEQUENCE&event=&source=&user=&resource=&from=TIME[&errors=1][&denied=1]: a page,
// the newest first. With follow=1: the records that come from now on, one JSON document a line, until the reader goes.
Awaitable<void> serve_audit(audit::Trail& trail, http::Request& request, http::ResponseWriter& response,
                            const std::atomic<bool>& stopping);

}  // namespace mayfly::app
