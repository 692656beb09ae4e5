// The platform's own lines in a function's log: START, END and REPORT, in the text form that Lambda writes. Made from
// outcomes only, by dispatch, for the log store and for LogType=Tail. No line end is added.
#pragma once

#include <string>

#include "dispatch/invocation.h"

namespace mayfly::observe {

// "START RequestId: <id> Version: $LATEST"
std::string start_line(const dispatch::Target& target, const std::string& request_id);
// "END RequestId: <id>"
std::string end_line(const std::string& request_id);
// "REPORT RequestId: <id>\tDuration: 1.23 ms\tBilled Duration: 2 ms\tMemory Size: 128 MB\tMax Memory Used: 31 MB\t"
// and, where they apply, "Init Duration: 100.11 ms\t" (cold starts) and "Status: timeout" or "Status: error\tError
// Type: <type>".
std::string report_line(const dispatch::Target& target, const dispatch::Outcome& outcome);

}  // namespace mayfly::observe
