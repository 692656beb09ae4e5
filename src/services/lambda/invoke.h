// From a request to an invocation: which version runs, what it gets, and how failures before it ran are answered.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "services/lambda/core.h"
#include "services/lambda/stream_pipe.h"

namespace mayfly::lambda {

inline constexpr std::size_t kPayloadBytes = 6UL * 1024 * 1024;

struct Resolved {
  TargetPtr target;
  std::string invoked_arn;  // with the qualifier that the caller used
};
// `qualifier`: "", "$LATEST", a number, an alias (weights decide by `random`, which lies in [0, 1)).
aws::ApiResult<Resolved> resolve(const Core& core, const Place& place, const std::string& name,
                                 const std::string& qualifier, double random);
double random_share();

bool is_json(std::string_view text);
// What kept an invocation from running, as Invoke answers it.
aws::ApiError invocation_error(const Error& error);
// Starts an invocation whose response goes through the pipe that is returned; null when the server is stopping.
std::shared_ptr<StreamPipe> start_streaming(Core& core, TargetPtr target, dispatch::Invocation invocation);

}  // namespace mayfly::lambda
