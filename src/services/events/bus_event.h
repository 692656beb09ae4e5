// An event on a bus: its envelope, and its text, which is made once and given to every target.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "services/events/records.h"

namespace mayfly::events {

struct EventParts {
  std::string id;
  std::string detail_type;
  std::string source;
  Place place;
  SystemTime time;
  std::vector<std::string> resources;
  std::string detail;        // a JSON object's text
  std::string replay_name;   // "" where it is no replay
  json::object cloud_event;  // the attributes, where it came as a CloudEvent
};

struct BusEvent {
  std::string id;
  std::string text;      // compact JSON; the detail's numbers and escapes are as they were sent
  json::value document;  // the same, parsed
};

// kInvalid where the detail is no JSON object.
Result<BusEvent> make_event(const EventParts& parts);
// An event that has its text already: one that another bus sends, or that comes from an archive.
Result<BusEvent> read_event(std::string text);
// As make_event() writes it: "2026-01-31T23:59:59Z".
std::string event_time(SystemTime time);

// JSON without the space between its tokens. The text must be JSON.
std::string compact_json(std::string_view text);

}  // namespace mayfly::events
