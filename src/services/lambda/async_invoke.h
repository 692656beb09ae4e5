// Asynchronous invocations: accepted events wait in a lane of their function and are run by delivery.
//
// Operation.   submit_event() makes the event durable with the policy that holds now (retries, age, destinations of the
//              qualifier's event invoke config; the dead-letter target of the version). Delivery calls back through the
//              handler "lambda-run", which resolves the qualifier anew and runs one attempt. Whoever has an event for
//              a function's ARN (a rule, a topic, a destination) comes through the handler "lambda", which is the same
//              as Invoke with InvocationType Event; or through its shortcut, which spares the event the lane before.
// Retries.     After an error of the function one minute, then two minutes. Throttles and failures of the server are
//              retried until the event's age runs out and do not count.
#pragma once

#include <optional>
#include <string>

#include "delivery/delivery.h"
#include "delivery/targets.h"
#include "services/lambda/core.h"

namespace mayfly::lambda {

inline constexpr std::size_t kEventBytes = 1024UL * 1024;  // of an asynchronous invocation's payload
inline constexpr std::int32_t kDefaultRetries = 2;
inline constexpr std::int32_t kDefaultEventAge = 21'600;
inline constexpr std::string_view kRunHandler = "lambda-run";

// What Invoke was given, checked: the function is there and the payload is JSON.
struct AsyncEvent {
  Place place;
  std::string name;
  std::string qualifier;
  std::string request_id;
  std::string payload;
  std::string trace_id;
  std::string dedupe_key;
};
// Durable on return. ResourceNotFoundException, RequestEntityTooLargeException, TooManyRequestsException where the
// store has no room, ServiceException.
Awaitable<aws::ApiResult<void>> submit_event(Core& core, AsyncEvent event);

// The function, and the version or alias, of an ARN of the Lambda service; nullopt for every other ARN. Whoever asks
// for the permission to invoke and whoever invokes reads it by this.
struct Named {
  Place place;
  std::string name;
  std::string qualifier;
};
std::optional<Named> named(const delivery::Arn& arn);

// Registers "lambda" and "lambda-run".
void add_targets(Core& core, delivery::Targets& targets);
// A function's code, configuration or concurrency changed: what waits for it is tried now.
void wake_events(Core& core, const FunctionRecord& function);

// Destinations and dead letters: whether this server can deliver to the ARN at all.
bool can_deliver_to(const Core& core, std::string_view arn);

void bind_async_invoke(aws::Service& service, Core& core);
void bind_event_invoke(aws::Service& service, Core& core);

}  // namespace mayfly::lambda
