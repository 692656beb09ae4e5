// What every topic of the service works with, and the small things that they share. Operations are free coroutines,
// one file for each topic, bound to the service in bind_<topic>().
#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/async.h"
#include "base/subscribers.h"
#include "services/events/api_client.h"
#include "services/events/archive_store.h"
#include "services/events/events.h"
#include "services/events/matcher.h"
#include "services/events/records.h"
#include "services/events/replayer.h"
#include "services/events/timetable.h"
#include "services/operation.h"

namespace mayfly::events {

using BusTable = services::RecordTable<BusRecord>;
using BusPtr = BusTable::Ptr;

struct Core {
  Core(store::KeyValue& store, store::Stream& streams, Clock& clock_in, Submit submit_in,
       const delivery::Targets& targets_in, EventsSettings settings_in);

  Clock& clock;
  Submit submit;
  const delivery::Targets& targets;
  EventsSettings settings;
  BusTable buses;
  RuleTable rules;
  ArchiveTable archives;
  ReplayTable replays;
  ConnectionTable connections;
  DestinationTable destinations;
  Matcher matcher;
  ArchiveStore archived;
  Replayer replayer;
  Timetable timetable;
  ApiClient api_client;
  std::mutex following;                               // Subscribers are told by one thread at a time
  Subscribers<std::string, FollowedEvent> followers;  // by a bus' key

  [[nodiscard]] double now() const;
  [[nodiscard]] Place place(const aws::CallContext& context) const;
};

using services::bind;

void bind_buses(aws::Service& service, Core& core);
void bind_permissions(aws::Service& service, Core& core);
void bind_rules(aws::Service& service, Core& core);
void bind_rule_targets(aws::Service& service, Core& core);
void bind_put_events(aws::Service& service, Core& core);
void bind_archives(aws::Service& service, Core& core);
void bind_replays(aws::Service& service, Core& core);
void bind_connections(aws::Service& service, Core& core);
void bind_destinations(aws::Service& service, Core& core);
void bind_tags(aws::Service& service, Core& core);

// A bus by its name or ARN; the default bus is there in every account and region. Null where there is none.
BusPtr find_bus(const Core& core, const Place& place, std::string_view name_or_arn);
// As find_bus(), with the default bus made durable where it is not: for what is about to be changed.
Awaitable<aws::ApiResult<BusPtr>> claim_bus(Core& core, Place place, std::string name_or_arn);

std::optional<std::string> encode_token(const std::optional<std::string>& key);
std::optional<std::string> decode_token(const std::optional<std::string>& token);
std::size_t page_limit(const std::optional<std::int32_t>& limit);
std::optional<std::string> some(const std::string& text);  // nullopt where it is empty

}  // namespace mayfly::events
