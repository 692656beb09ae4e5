#include "observe/report_lines.h"

#include <fmt/core.h>

#include <string_view>

#include "base/json.h"
#include "base/time_format.h"

namespace mayfly::observe {

namespace {

using dispatch::OutcomeStatus;
using dispatch::SystemLogLevel;

double milliseconds(std::chrono::microseconds time) { return std::chrono::duration<double, std::milli>(time).count(); }

// The error object's own type where it is a platform's ("Runtime.ImportModuleError"); it becomes part of a line of
// fields separated by tabs, so nothing else than such a name is let through.
std::string platform_error_type(const std::string& payload, std::string_view fallback) {
  const auto parsed = parse_json(payload);
  if (!parsed) return std::string(fallback);
  const std::string_view type = get_string(*parsed, "errorType");
  const bool known = type.starts_with("Runtime.") || type.starts_with("Extension.") || type.starts_with("Sandbox.");
  constexpr std::string_view kNameCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._";
  const bool is_name = type.size() <= 100 && type.find_first_not_of(kNameCharacters) == std::string_view::npos;
  return std::string(known && is_name ? type : fallback);
}

// How an invocation went. An exception that the function's handler let through is the function's business: its REPORT
// line has no status.
struct Verdict {
  std::string_view status;  // "success", "failure" (an exception), "error", "timeout"
  std::string error_type;
};

Verdict verdict_of(const dispatch::Outcome& outcome) {
  switch (outcome.status) {
    case OutcomeStatus::kSuccess:
      return {.status = "success", .error_type = {}};
    case OutcomeStatus::kFunctionError:
      return {.status = "failure", .error_type = {}};
    case OutcomeStatus::kTimedOut:
      return {.status = "timeout", .error_type = {}};
    case OutcomeStatus::kCrashed:
      return {.status = "error", .error_type = platform_error_type(outcome.payload, "Runtime.ExitError")};
    case OutcomeStatus::kOutOfMemory:
      return {.status = "error", .error_type = "Runtime.OutOfMemory"};
    case OutcomeStatus::kInitFailed:
      return {.status = "error", .error_type = platform_error_type(outcome.payload, "Runtime.Unknown")};
  }
  return {.status = "error", .error_type = {}};
}

std::string report_line(const dispatch::Target& target, const dispatch::Outcome& outcome) {
  std::string line = fmt::format(
      "REPORT RequestId: {}\tDuration: {:.2f} ms\tBilled Duration: {} ms\tMemory Size: {} MB\tMax Memory Used: {} MB\t",
      outcome.request_id, milliseconds(outcome.duration), outcome.billed_ms, target.memory_mb, outcome.max_memory_mb);
  if (outcome.restored) {
    const auto billed = std::chrono::ceil<std::chrono::milliseconds>(outcome.init_duration).count();
    line += fmt::format("Restore Duration: {:.2f} ms\tBilled Restore Duration: {} ms\t",
                        milliseconds(outcome.init_duration), billed);
  } else if (outcome.cold_start) {
    line += fmt::format("Init Duration: {:.2f} ms\t", milliseconds(outcome.init_duration));
  }
  const auto verdict = verdict_of(outcome);
  if (verdict.status == "timeout") line += "Status: timeout";
  if (verdict.status == "error") line += fmt::format("Status: error\tError Type: {}", verdict.error_type);
  return line;
}

// ---- JSON: events in the schema of Lambda's Telemetry API, at the levels of its advanced logging controls
// ------------

std::string event_line(std::string_view type, SystemTime now, json::object record) {
  json::object event;
  event["time"] = iso8601_millis(now);
  event["type"] = type;
  event["record"] = std::move(record);
  return to_json(event);
}

json::object done_record(const dispatch::Outcome& outcome, const Verdict& verdict, json::object metrics) {
  json::object record;
  record["requestId"] = outcome.request_id;
  record["status"] = verdict.status;
  if (!verdict.error_type.empty()) record["errorType"] = verdict.error_type;
  record["metrics"] = std::move(metrics);
  return record;
}

json::object report_metrics(const dispatch::Target& target, const dispatch::Outcome& outcome) {
  json::object metrics;
  metrics["durationMs"] = milliseconds(outcome.duration);
  metrics["billedDurationMs"] = outcome.billed_ms;
  metrics["memorySizeMB"] = target.memory_mb;
  metrics["maxMemoryUsedMB"] = outcome.max_memory_mb;
  if (outcome.restored) {
    metrics["restoreDurationMs"] = milliseconds(outcome.init_duration);
    metrics["billedRestoreDurationMs"] = std::chrono::ceil<std::chrono::milliseconds>(outcome.init_duration).count();
  } else if (outcome.cold_start) {
    metrics["initDurationMs"] = milliseconds(outcome.init_duration);
  }
  return metrics;
}

}  // namespace

std::vector<std::string> start_lines(const dispatch::Target& target, const std::string& request_id, SystemTime now) {
  std::vector<std::string> lines;
  if (!target.logs.json) {
    lines.push_back(fmt::format("START RequestId: {} Version: {}", request_id, target.version));
  } else if (target.logs.system_level <= SystemLogLevel::kInfo) {
    json::object record;
    record["requestId"] = request_id;
    record["version"] = target.version;
    lines.push_back(event_line("platform.start", now, std::move(record)));
  }
  return lines;
}

std::vector<std::string> start_report_lines(const dispatch::Target& target, StartPhase phase,
                                            std::chrono::microseconds duration, const std::string& failure,
                                            SystemTime now) {
  std::vector<std::string> lines;
  const bool init = phase == StartPhase::kInit;
  const std::string type = failure.empty() ? std::string() : platform_error_type(failure, "Runtime.Unknown");
  if (!target.logs.json) {
    std::string line = init ? fmt::format("INIT_REPORT Init Duration: {:.2f} ms\tPhase: init\t", milliseconds(duration))
                            : fmt::format("RESTORE_REPORT Restore Duration: {:.2f} ms\t", milliseconds(duration));
    if (!type.empty()) line += fmt::format("Status: error\tError Type: {}", type);
    lines.push_back(std::move(line));
  } else if (!type.empty() || target.logs.system_level <= SystemLogLevel::kInfo) {
    json::object metrics;
    metrics["durationMs"] = milliseconds(duration);
    json::object record;
    record["initializationType"] = "snap-start";
    if (init) record["phase"] = "init";
    record["status"] = type.empty() ? "success" : "error";
    if (!type.empty()) record["errorType"] = type;
    record["metrics"] = std::move(metrics);
    lines.push_back(event_line(init ? "platform.initReport" : "platform.restoreReport", now, std::move(record)));
  }
  return lines;
}

std::vector<std::string> end_lines(const dispatch::Target& target, const dispatch::Outcome& outcome, SystemTime now) {
  std::vector<std::string> lines;
  if (!target.logs.json) {
    lines.push_back(fmt::format("END RequestId: {}", outcome.request_id));
    lines.push_back(report_line(target, outcome));
    return lines;
  }
  const auto verdict = verdict_of(outcome);
  const bool failed = verdict.status != "success";
  if (failed || target.logs.system_level == SystemLogLevel::kDebug) {
    json::object metrics;
    metrics["durationMs"] = milliseconds(outcome.duration);
    metrics["producedBytes"] = outcome.payload.size();
    lines.push_back(event_line("platform.runtimeDone", now, done_record(outcome, verdict, std::move(metrics))));
  }
  if (failed || target.logs.system_level <= SystemLogLevel::kInfo) {
    auto record = done_record(outcome, verdict, report_metrics(target, outcome));
    lines.push_back(event_line("platform.report", now, std::move(record)));
  }
  return lines;
}

}  // namespace mayfly::observe
