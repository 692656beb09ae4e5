#include "dispatch/error_objects.h"

#include <fmt/format.h>
#include <sys/wait.h>

#include <csignal>
#include <cstring>

#include "base/encoding.h"
#include "base/json.h"

namespace mayfly::dispatch {

std::string error_object(std::string_view type, std::string_view message) {
  json::object object;
  object["errorType"] = json::string(type.data(), type.size());
  object["errorMessage"] = json::string(message.data(), message.size());
  return to_json(object);
}

std::string seconds_text(std::chrono::nanoseconds duration) {
  return fmt::format("{:.2f}", std::chrono::duration<double>(duration).count());
}

std::string exit_text(int wait_status, bool out_of_memory) {
  // The kernel's killer may have ended a child of the runtime's; what the person must learn is the same.
  if (out_of_memory) return "Runtime exited with error: signal: killed";
  if (WIFSIGNALED(wait_status)) {
    const int number = WTERMSIG(wait_status);
    const char* description = ::sigdescr_np(number);
    return fmt::format("Runtime exited with error: signal: {}",
                       description != nullptr ? to_lower(description) : std::to_string(number));
  }
  if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) != 0) {
    return fmt::format("Runtime exited with error: exit status {}", WEXITSTATUS(wait_status));
  }
  return "Runtime exited without providing a reason";
}

}  // namespace mayfly::dispatch
