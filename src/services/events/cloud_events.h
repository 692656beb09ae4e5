// CloudEvents 1.0 over HTTP, in and out.
//
// In.   Binary, structured and batched mode. An event's `source` and `type` become the bus event's source and
//       detail-type, its `id` the bus event's id, its `time` the time, its `subject` the one resource. Data that is a
//       JSON object is the detail; other data is the detail's member "data", or "data_base64" where it is no JSON and
//       no text. All attributes, extensions too, stand in the bus event's member "cloudevents", where patterns see
//       them.
// Out.  An API destination's target asks for it by a header of its HttpParameters: Content-Type
//       "application/cloudevents+json" for structured mode, "ce-specversion: 1.0" for binary mode.
#pragma once

#include <string>
#include <vector>

#include "delivery/targets.h"
#include "http/message.h"
#include "services/events/bus_event.h"

namespace mayfly::events {

// kInvalid says what is wrong with them. Batches hold at most 100 events.
Result<std::vector<EventParts>> read_cloud_events(const http::Headers& headers, const std::string& body,
                                                  const Place& place, SystemTime now);

// Turns a request that asks for it into a CloudEvent; leaves others as they are.
void as_cloud_event(http::Headers& headers, std::string& body, const delivery::Event& event);

}  // namespace mayfly::events
