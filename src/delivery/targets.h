// Targets: what an event can be given to, by ARN. Each service registers how one is given to what it owns, once at
// start; whoever has an event and an ARN (a rule, a schedule, a topic, a destination, a dead-letter setting) asks here.
//
// Concurrency. add() before the first request; the rest from any reactor.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/async.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "store/queue.h"

namespace mayfly::delivery {

// "arn:aws:sqs:us-east-1:000000000000:jobs" in parts; `resource` is everything behind the account.
struct Arn {
  std::string partition;
  std::string service;
  std::string region;
  std::string account;
  std::string resource;
};
std::optional<Arn> parse_arn(std::string_view text);

// An event on its way to one target.
struct Event {
  std::string id;       // a UUID; the same on every attempt, so that targets can recognise it
  std::string payload;  // what the target gets: a function's event, a message's body, a bus event's JSON
  // Set where the target is an SQS FIFO queue or a FIFO topic.
  std::string group_id;
  std::string dedupe_id;
  // SQS or SNS message attributes: {"name": {"DataType": "String", "StringValue": ".."}}.
  json::object message_attributes;
  // Further settings of the target by its kind: "DetailType" and "Source" for a bus; for a universal target of
  // Scheduler all of the request.
  json::object parameters;
  std::string source_arn;  // the rule, schedule, topic or function that sends: for resource policies and context
  std::string role_arn;    // the role it is sent with, or ""
  std::string trace_id;
  std::uint32_t attempt = 1;  // which try this is; set by delivery
};

// What became of one attempt.
struct Attempt {
  enum class Kind : std::uint8_t {
    kDone,
    kRetry,      // failed; may go better later, and counts as an attempt
    kThrottled,  // not tried: the target is at its limit. Does not count as an attempt
    kRefused,    // will never go better: no such target, no permission, too large
  };
  Kind kind = Kind::kDone;
  std::string error_code;     // "ResourceNotFoundException", "Unhandled", ...
  std::string error_message;  // for the dead letter's attributes
  // Where the target is a function: its answer, for destinations.
  std::string response;
  std::string function_error;  // "", "Unhandled"
  std::string executed_version;
  std::uint32_t status = 200;
};

struct Request;  // delivery.h

using Handler = std::function<Awaitable<Attempt>(Arn target, Event event)>;
// Makes of a request to a target the request to the lane in which its handler would put it, so that an event crosses
// one durable lane instead of two. False, and nothing changed: the event takes the ordinary way.
using Shortcut = std::function<bool(const Arn& target, Request& request)>;
// The message of the store's queue that the event would become at a target that is a queue itself; nullopt: the event
// takes the ordinary way, which says why.
using Placement = std::function<std::optional<store::Queue::Fanout>(const Arn& target, const Event& event)>;
// Whether this sender may give events to this target: the refusal where it may not.
using Permission = std::function<std::optional<Attempt>(const Arn& target, const Event& event)>;

class Targets {
 public:
  // `service` as in the ARN: "lambda", "sqs", "sns", "events", "scheduler"; or a name of one's own that requests ask
  // for by Request::via ("lambda-run"). A second handler of a name is a defect.
  void add(std::string service, Handler handler);
  // For the same service as a handler. Before the first request.
  void add_shortcut(std::string service, Shortcut shortcut);
  void add_placement(std::string service, Placement placement);
  // Asked before each attempt whose handler is the one of the ARN's service. Before the first request.
  void set_permission(Permission permission) { permission_ = std::move(permission); }
  // Whether an event can be given to what this ARN names: its service is here. Existence is not asked.
  [[nodiscard]] bool supports(std::string_view arn) const;
  // Where the sender may give to the target now and the target's service has a shortcut, the request takes it.
  void shorten(Request& request) const;
  // Where the request is an event for a queue that takes it, and nothing else has to be remembered of it: the message
  // that it becomes there. What was submitted is delivered then.
  [[nodiscard]] std::optional<store::Queue::Fanout> placed(const Request& request) const;
  // One attempt, now. An ARN that is none, or of a service that is not here, is kRefused.
  Awaitable<Attempt> deliver(std::string arn, Event event) const;
  // The same by the handler of this name, whatever the ARN's service. A target that is no ARN (a subscriber's URL)
  // arrives as an Arn that has nothing but its `resource`.
  Awaitable<Attempt> deliver_via(std::string handler, std::string target, Event event) const;

 private:
  std::map<std::string, Handler, std::less<>> handlers_;
  std::map<std::string, Shortcut, std::less<>> shortcuts_;
  std::map<std::string, Placement, std::less<>> placements_;
  Permission permission_;
};

}  // namespace mayfly::delivery
