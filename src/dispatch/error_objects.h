// The error objects that Lambda makes itself when a function could not answer, and their one table of names.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace mayfly::dispatch {

namespace error_type {
inline constexpr std::string_view kTimedOut = "Sandbox.Timedout";
inline constexpr std::string_view kExit = "Runtime.ExitError";
inline constexpr std::string_view kInvalidEntrypoint = "Runtime.InvalidEntrypoint";
inline constexpr std::string_view kResponseTooLarge = "Function.ResponseSizeTooLarge";
inline constexpr std::string_view kInvalidRequestId = "InvalidRequestID";
inline constexpr std::string_view kInvalidState = "InvalidStateTransition";
inline constexpr std::string_view kEntityTooLarge = "RequestEntityTooLarge";
}  // namespace error_type

// {"errorType":..., "errorMessage":...}
std::string error_object(std::string_view type, std::string_view message);
std::string seconds_text(std::chrono::nanoseconds duration);  // "3.00"
// "Runtime exited with error: exit status 1", "... signal: killed", "Runtime exited without providing a reason".
std::string exit_text(int wait_status, bool out_of_memory);

}  // namespace mayfly::dispatch
