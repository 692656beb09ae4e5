// The platform's own lines in a function's log, in the forms that Lambda writes: START, END and REPORT as text, or
// platform.* events as JSON, as the function's LoggingConfig says. Made from outcomes only, by dispatch, for the log
// store and for LogType=Tail. No line end is added.
#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "dispatch/invocation.h"

namespace mayfly::observe {

// "START RequestId: <id> Version: $LATEST", or the event platform.start (level INFO).
std::vector<std::string> start_lines(const dispatch::Target& target, const std::string& request_id, SystemTime now);
// What becomes of an instance of SnapStart before there is an invocation: "INIT_REPORT Init Duration: 1.23 ms\tPhase:
// init\t" or "RESTORE_REPORT Restore Duration: 1.23 ms\t", after a failure (an error object, else empty) with "Status:
// error\tError Type: <type>"; or platform.initReport, platform.restoreReport (INFO, or WARN).
enum class StartPhase : std::uint8_t { kInit, kRestore };
std::vector<std::string> start_report_lines(const dispatch::Target& target, StartPhase phase,
                                            std::chrono::microseconds duration, const std::string& failure,
                                            SystemTime now);
// "END RequestId: <id>" and
// "REPORT RequestId: <id>\tDuration: 1.23 ms\tBilled Duration: 2 ms\tMemory Size: 128 MB\tMax Memory Used: 31 MB\t"
// with, where they apply, "Init Duration: 100.11 ms\t" (cold starts), "Restore Duration: 1.11 ms\tBilled Restore
// Duration: 2 ms\t" (in its place with SnapStart) and "Status: timeout" or "Status: error\tError
// Type: <type>". As JSON: platform.runtimeDone (DEBUG, or WARN after a failure) and platform.report (INFO, or WARN).
std::vector<std::string> end_lines(const dispatch::Target& target, const dispatch::Outcome& outcome, SystemTime now);

}  // namespace mayfly::observe
