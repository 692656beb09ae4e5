// Expected failures as values. An expected outcome (not found, conflict, bad input, timed out) is a
// Result<T>; a broken invariant is MAYFLY_ASSERT, which stays on in every build.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace mayfly {

// What kind of thing went wrong, independent of any wire format. API layers map it to their own codes.
enum class ErrorCode : std::uint8_t {
  kInvalid,       // the caller's input is wrong
  kNotFound,      // the thing named does not exist
  kExists,        // the thing named exists already
  kConflict,      // a revision or state does not match
  kTooLarge,      // a documented bound is exceeded
  kThrottled,     // a rate or concurrency limit is reached; retry later
  kTimeout,       // a deadline passed
  kUnauthorized,  // who you are could not be established
  kForbidden,     // you may not do this
  kUnsupported,   // not implemented, or not offered by this machine
  kCancelled,     // given up because the process or the peer is going away
  kClosed,        // the peer closed the connection
  kIo,            // the environment failed (disk, network, kernel)
  kCorrupt,       // stored or received data does not verify
  kInternal,      // a defect, reported instead of crashing
};

std::string_view to_string(ErrorCode code);

struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;  // for people; never holds a secret
  std::string hint;     // for operators: what to do about it; may be empty
};

template <typename T>
using Result [[clang::warn_unused_result]] = std::expected<T, Error>;

[[nodiscard]] inline std::unexpected<Error> fail(ErrorCode code, std::string message, std::string hint = {}) {
  return std::unexpected(Error{.code = code, .message = std::move(message), .hint = std::move(hint)});
}

// An errno value as an Error: "<what>: <strerror>". Maps ENOENT, EEXIST, EACCES, ETIMEDOUT and kin.
[[nodiscard]] Error errno_error(int errnum, std::string_view what);
[[nodiscard]] std::unexpected<Error> fail_errno(std::string_view what);  // uses errno

[[noreturn]] void assertion_failed(const char* expression, const char* file, int line);

}  // namespace mayfly

// NOLINTNEXTLINE(cppcoreguidelines-macro-usage): needs the expression's text.
#define MAYFLY_ASSERT(expression) \
  ((expression) ? static_cast<void>(0) : ::mayfly::assertion_failed(#expression, __FILE__, __LINE__))
