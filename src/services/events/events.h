// EventBridge: buses, rules, targets, archives and replays, connections and API destinations.
//
// Operation.   An event is put on a bus, matched against all the bus' rules at once (pattern::RuleSet), and handed to
//              delivery for every target of every rule that matches, in one durable write for all events of a call;
//              then the call is answered. Rules with a schedule are fired by the timetable. Archives keep events; a
//              replay puts them on the bus again.
// Concurrency. Any reactor; nothing is locked across a wait. The timetable and replays run on the first reactor.
// Limits.      AWS's own: 10 events and 256 KB a call, 5 targets a rule, 10 replays at a time; 2,000 rules a bus.
// Recovery.    load() reads all records. Of each rule's times that passed while the server was down the last one is
// run,
//              once. Replays that were running go on behind the last event they had replayed.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "aws/api.h"
#include "base/async.h"
#include "base/clock.h"
#include "delivery/delivery.h"
#include "delivery/targets.h"
#include "http/message.h"
#include "store/key_value.h"
#include "store/stream.h"

namespace mayfly::events {

// Where the credentials of connections are for those to see who may read secrets (Secrets Manager). Both may be empty.
struct ConnectionSecrets {
  std::function<Awaitable<Result<void>>(std::string arn, std::string value)> put;
  std::function<Awaitable<Result<void>>(std::string arn)> remove;
};

struct EventsSettings {
  std::string account = "000000000000";
  std::string region = "us-east-1";
  ConnectionSecrets secrets;
};

// All or none of them, durable on return: delivery::Delivery::submit_all.
using Submit = std::function<Awaitable<Result<void>>(std::vector<delivery::Request>)>;

// An event as those see it who follow a bus.
struct FollowedEvent {
  std::string bus_arn;
  std::string text;                // compact JSON
  std::vector<std::string> rules;  // names of those that matched
};

class Events {
 public:
  Events(store::KeyValue& store, store::Stream& streams, Clock& clock, Submit submit, const delivery::Targets& targets,
         EventsSettings settings);
  ~Events();
  Events(const Events&) = delete;
  Events& operator=(const Events&) = delete;

  Awaitable<Result<void>> load();
  // Makes the secrets of connections what they should be: after a crash between the two, and for connections that are
  // older than they. What fails is logged. After load(), when secrets can be written.
  Awaitable<void> show_secrets();
  // Starts the timetable and the replays that were under way; after delivery has started.
  void start(Reactor& reactor);
  Awaitable<void> stop();
  [[nodiscard]] aws::Service& service();
  // Rules with a schedule and replays have done everything that is due at `now` or before: for clocks that are
  // advanced.
  [[nodiscard]] bool is_settled(SystemTime now) const;
  // A bus' policy document, by its ARN.
  [[nodiscard]] std::optional<std::string> resource_policy(std::string_view arn) const;

  // How an event is given to what this service owns: buses and API destinations. For Targets::add("events").
  [[nodiscard]] delivery::Handler target_handler();

  // Events put on a bus, from now on, as long as the token lives. The callback must not block. kNotFound: no such bus.
  Result<std::shared_ptr<void>> follow(std::string_view bus, std::function<void(const FollowedEvent&)> callback);

  // CloudEvents 1.0 over HTTP in binary, structured or batched mode (docs/events.md). How many were put on the bus: all
  // or none. kNotFound: no such bus; kInvalid, kTooLarge, kForbidden: not events that are taken.
  Awaitable<Result<std::size_t>> put_cloud_events(std::string bus, http::Headers headers, std::string body);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mayfly::events
