#include "observe/report_lines.h"

#include <fmt/core.h>

#include <string_view>

#include "base/json.h"

namespace mayfly::observe {

namespace {

using dispatch::OutcomeStatus;

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

// An exception that the function's handler let through is the function's business: its REPORT line has no status.
std::string status_fields(const dispatch::Outcome& outcome) {
  constexpr std::string_view kError = "Status: error\tError Type: ";
  switch (outcome.status) {
    case OutcomeStatus::kSuccess:
    case OutcomeStatus::kFunctionError:
      return "";
    case OutcomeStatus::kTimedOut:
      return "Status: timeout";
    case OutcomeStatus::kCrashed:
      return fmt::format("{}{}", kError, platform_error_type(outcome.payload, "Runtime.ExitError"));
    case OutcomeStatus::kOutOfMemory:
      return fmt::format("{}Runtime.OutOfMemory", kError);
    case OutcomeStatus::kInitFailed:
      return fmt::format("{}{}", kError, platform_error_type(outcome.payload, "Runtime.Unknown"));
  }
  return "";
}

}  // namespace

std::string start_line(const dispatch::Target& target, const std::string& request_id) {
  return fmt::format("START RequestId: {} Version: {}", request_id, target.version);
}

std::string end_line(const std::string& request_id) { return fmt::format("END RequestId: {}", request_id); }

std::string report_line(const dispatch::Target& target, const dispatch::Outcome& outcome) {
  std::string line = fmt::format(
      "REPORT RequestId: {}\tDuration: {:.2f} ms\tBilled Duration: {} ms\tMemory Size: {} MB\tMax Memory Used: {} MB\t",
      outcome.request_id, milliseconds(outcome.duration), outcome.billed_ms, target.memory_mb, outcome.max_memory_mb);
  if (outcome.cold_start) line += fmt::format("Init Duration: {:.2f} ms\t", milliseconds(outcome.init_duration));
  return line + status_fields(outcome);
}

}  // namespace mayfly::observe
