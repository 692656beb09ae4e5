#include "base/error.h"

#include <fmt/core.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

namespace mayfly {

std::string_view to_string(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalid:
      return "invalid";
    case ErrorCode::kNotFound:
      return "not found";
    case ErrorCode::kExists:
      return "exists";
    case ErrorCode::kConflict:
      return "conflict";
    case ErrorCode::kTooLarge:
      return "too large";
    case ErrorCode::kThrottled:
      return "throttled";
    case ErrorCode::kTimeout:
      return "timeout";
    case ErrorCode::kUnauthorized:
      return "unauthorized";
    case ErrorCode::kForbidden:
      return "forbidden";
    case ErrorCode::kUnsupported:
      return "unsupported";
    case ErrorCode::kCancelled:
      return "cancelled";
    case ErrorCode::kClosed:
      return "closed";
    case ErrorCode::kIo:
      return "io";
    case ErrorCode::kCorrupt:
      return "corrupt";
    case ErrorCode::kInternal:
      return "internal";
  }
  return "unknown";
}

Error errno_error(int errnum, std::string_view what) {
  ErrorCode code = ErrorCode::kIo;
  switch (errnum) {
    case ENOENT:
      code = ErrorCode::kNotFound;
      break;
    case EEXIST:
      code = ErrorCode::kExists;
      break;
    case EACCES:
    case EPERM:
      code = ErrorCode::kForbidden;
      break;
    case ETIMEDOUT:
      code = ErrorCode::kTimeout;
      break;
    case EPIPE:
    case ECONNRESET:
      code = ErrorCode::kClosed;
      break;
    case ENOSYS:
    case EOPNOTSUPP:
      code = ErrorCode::kUnsupported;
      break;
    default:
      break;
  }
  return {.code = code, .message = fmt::format("{}: {}", what, std::generic_category().message(errnum)), .hint = {}};
}

std::unexpected<Error> fail_errno(std::string_view what) { return std::unexpected(errno_error(errno, what)); }

void assertion_failed(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, expression);
  std::abort();
}

}  // namespace mayfly
