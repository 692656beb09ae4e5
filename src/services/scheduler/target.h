// A schedule's target: what of it is taken, and what is handed to delivery when the schedule fires.
//
// Templated targets (an ARN of what gets the input) go to delivery as they are. Universal ones
// (arn:aws:scheduler:::aws-sdk:<service>:<operation>, the input being the operation's request) become the same
// deliveries, for the operations sqs:sendMessage, sns:publish, events:putEvents and lambda:invoke.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "delivery/delivery.h"
#include "services/scheduler/record.h"

namespace mayfly::scheduler {

inline constexpr std::size_t kInputBytes = 256UL * 1024;

// Whether events can be given to what an ARN names; delivery::Targets::supports.
using Supports = std::function<bool(std::string_view arn)>;

// Why a target is not taken, in the service's words where they are known.
aws::ApiResult<void> check_target(const wire::Target& target, const Place& place, const Supports& supports);

// What <aws.scheduler.execution-id> and its kin stand for in the input.
struct Keywords {
  std::string schedule_arn;
  std::string scheduled_time;  // 2022-03-22T18:59:43Z
  std::string execution_id;
  std::string attempt_number;  // "" : left as it is, for the attempt to fill in
};
std::string filled_in(std::string_view input, const Keywords& keywords);

// One occurrence as requests to delivery: one, or one for each entry of events:putEvents. `dedupe_key` makes those of
// one occurrence one, however often they are made. kInvalid: the input is no request of the operation.
Result<std::vector<delivery::Request>> requests_of(const ScheduleRecord& record, SystemTime scheduled,
                                                   const std::string& dedupe_key);

// The handler of Targets by which events go whose input names the attempt: fills the number in and gives the event to
// the ARN's own handler.
inline constexpr std::string_view kAttemptHandler = "scheduler-attempt";
delivery::Handler attempt_handler(const delivery::Targets& targets);

// A UUID that depends on the text alone.
std::string uuid_of(std::string_view text);

}  // namespace mayfly::scheduler
