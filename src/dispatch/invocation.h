// The one idea: an event, a target and a context go in, an outcome comes out.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/async.h"
#include "base/clock.h"
#include "base/error.h"
#include "sandbox/network_policy.h"

namespace mayfly::dispatch {

enum class SystemLogLevel : std::uint8_t { kDebug, kInfo, kWarn };

// How a function's log is written: Lambda's LoggingConfig.
struct LogSettings {
  bool json = false;                                    // else text; the levels are for JSON only
  std::string application_level;                        // "INFO"; the runtime's client obeys it
  SystemLogLevel system_level = SystemLogLevel::kInfo;  // of the platform's own lines
};

// One runnable version of a function, immutable. A change of code or configuration makes a new Target with another
// `generation`; instances of older generations drain.
struct Target {
  std::string function_arn;  // unqualified; the key of concurrency limits and logs
  std::string function_name;
  std::string version;     // "$LATEST", "7"
  std::string generation;  // unique for code + configuration; the key of the pool
  std::string account;
  std::string region;
  std::string runtime;  // "python3.11"
  std::string handler;
  std::string role;                                              // the ARN of its role
  std::string code_directory;                                    // unpacked package on the host
  std::vector<std::string> layer_directories;                    // first is lowest
  std::vector<std::pair<std::string, std::string>> environment;  // the user's
  std::string unusable;     // why it cannot be run at all (its environment does not decrypt); "" where it can
  bool snap_start = false;  // its instances are initialised ahead and restored by an invocation (docs/snapstart.md)
  std::uint32_t memory_mb = 128;
  std::uint32_t ephemeral_storage_mb = 512;
  std::chrono::seconds timeout{3};
  std::optional<std::uint32_t> reserved_concurrency;
  std::string log_group;  // "/aws/lambda/<name>"
  LogSettings logs;
  std::optional<sandbox::NetworkPolicy> network;  // narrows the server's, by tag
};

// Takes a streamed response as it comes. Calls come on the instance's reactor, one at a time.
struct ResponseSink {
  std::function<void(std::string content_type)> on_start;
  // False stops the stream (the client has gone): the rest is drained and dropped.
  std::function<Awaitable<bool>(std::string data)> on_data;
};

struct Invocation {
  std::string request_id;        // UUID
  std::string payload;           // JSON, at most 6 MiB
  std::string client_context;    // JSON text (decoded), or ""
  std::string cognito_identity;  // JSON text, or ""
  std::string invoked_function_arn;
  std::string trace_id;  // X-Amzn-Trace-Id value, or ""
  std::size_t response_limit = 6UL * 1024 * 1024;
  std::shared_ptr<ResponseSink> sink;  // null: the response is buffered in Outcome::payload
};

enum class OutcomeStatus : std::uint8_t {
  kSuccess,
  kFunctionError,  // payload is the error object; error_type says Handled or Unhandled
  kTimedOut,
  kCrashed,  // the instance ended mid-invoke; payload is Lambda's error object for it
  kOutOfMemory,
  kInitFailed,
};

// What a cold start's time went into, in this order.
struct ColdStart {
  bool ready_made = false;                 // from a sandbox that was made ahead
  std::chrono::microseconds queue{0};      // until an instance was begun for it
  std::chrono::microseconds sandbox{0};    // the launcher's work but the next
  std::chrono::microseconds code{0};       // code and layers attached, privileges given up
  std::chrono::microseconds runtime{0};    // until the runtime's first connection; what was started ahead is connected
  std::chrono::microseconds user_init{0};  // from there to its first call of next
};

// The record of one invocation. Metrics, REPORT lines, traces and cost read it; none of them measures on its own.
struct Outcome {
  OutcomeStatus status = OutcomeStatus::kSuccess;
  std::string request_id;
  std::string payload;         // response or error object, moved from the instance's request
  std::string content_type;    // as the runtime sent it
  std::string function_error;  // "", "Unhandled" or "Handled" as in X-Amz-Function-Error
  std::string executed_version;
  std::string log_tail;  // the last 4 KiB of this invocation's lines with START, END, REPORT
  std::string instance_id;
  std::string stream_error_type;  // error trailer of a stream that failed midway
  Reactor* served_on = nullptr;   // the instance's; null where none ran it
  bool cold_start = false;
  bool restored = false;          // of a cold start: the instance was initialised before; init_duration is its restore
  std::optional<ColdStart> cold;  // where it was one and the initialization succeeded
  SystemTime started_at;
  std::chrono::microseconds queued{0};
  std::chrono::microseconds init_duration{0};
  std::chrono::microseconds duration{0};
  std::uint64_t billed_ms = 0;
  std::uint64_t max_memory_mb = 0;
};

}  // namespace mayfly::dispatch
