#include "services/events/bus_event.h"

#include "base/time_format.h"

namespace mayfly::events {

std::string event_time(SystemTime time) {
  auto text = iso8601_millis(time);  // "2026-01-31T23:59:59.123Z"
  return text.substr(0, text.size() - 5) + "Z";
}

std::string compact_json(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      out += c;
      if (c == '\\' && i + 1 < text.size()) {
        out += text[++i];
      } else if (c == '"') {
        in_string = false;
      }
    } else if (c != ' ' && c != '\n' && c != '\r' && c != '\t') {
      out += c;
      in_string = c == '"';
    }
  }
  return out;
}

Result<BusEvent> make_event(const EventParts& parts) {
  auto detail = parse_json(parts.detail);
  if (!detail) return std::unexpected(std::move(detail.error()));
  if (!detail->is_object()) return fail(ErrorCode::kInvalid, "the detail is no object");
  json::array resources;
  for (const auto& resource : parts.resources) resources.emplace_back(resource);
  json::object envelope;
  envelope["version"] = "0";
  envelope["id"] = parts.id;
  envelope["detail-type"] = parts.detail_type;
  envelope["source"] = parts.source;
  envelope["account"] = parts.place.account;
  envelope["time"] = event_time(parts.time);
  envelope["region"] = parts.place.region;
  if (!parts.replay_name.empty()) envelope["replay-name"] = parts.replay_name;
  envelope["resources"] = std::move(resources);
  if (!parts.cloud_event.empty()) envelope["cloudevents"] = parts.cloud_event;
  BusEvent event;
  event.id = parts.id;
  event.text = to_json(envelope);
  event.text.back() = ',';
  event.text += "\"detail\":" + compact_json(parts.detail) + "}";
  envelope["detail"] = std::move(*detail);
  event.document = std::move(envelope);
  return event;
}

Result<BusEvent> read_event(std::string text) {
  auto document = parse_json(text);
  if (!document) return std::unexpected(std::move(document.error()));
  if (!document->is_object()) return fail(ErrorCode::kInvalid, "the event is no object");
  BusEvent event;
  event.id = get_string(*document, "id");
  event.text = std::move(text);
  event.document = std::move(*document);
  return event;
}

}  // namespace mayfly::events
