#include "services/events/cloud_events.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/encoding.h"
#include "base/ids.h"
#include "base/time_format.h"

namespace mayfly::events {
namespace {

constexpr std::string_view kStructuredType = "application/cloudevents+json";
constexpr std::string_view kBatchType = "application/cloudevents-batch+json";
constexpr std::string_view kVersion = "1.0";
constexpr std::size_t kMostEvents = 100;
constexpr std::size_t kMostText = 1'024;  // bytes of an attribute

std::string media_type(std::string_view content_type) {
  return to_lower(trim(content_type.substr(0, content_type.find(';'))));
}

bool is_json(const std::string& type) { return type.empty() || type == "application/json" || type.ends_with("+json"); }

bool is_attribute_name(std::string_view name) {
  return !name.empty() &&
         std::all_of(name.begin(), name.end(), [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); });
}

// Attributes, and the data as the detail's text.
struct CloudEvent {
  json::object attributes;
  std::string detail = "{}";
};

std::string wrapped(std::string_view member, const json::value& data) {
  json::object detail;
  detail[member] = data;
  return to_json(detail);
}

Result<EventParts> parts_of(const CloudEvent& event, const Place& place, SystemTime now) {
  const auto attribute = [&](std::string_view name) { return std::string(get_string(event.attributes, name)); };
  for (const auto* name : {"id", "source", "type"}) {
    if (attribute(name).empty()) return fail(ErrorCode::kInvalid, fmt::format("the attribute {} is missing", name));
  }
  if (attribute("specversion") != kVersion)
    return fail(ErrorCode::kInvalid, fmt::format("specversion must be {}", kVersion));
  for (const auto& member : event.attributes) {
    if (!is_attribute_name(member.key()))
      return fail(ErrorCode::kInvalid,
                  fmt::format("the name of the attribute {} is not of lower-case letters and digits",
                              std::string_view(member.key())));
    if (member.value().is_string() && member.value().get_string().size() > kMostText)
      return fail(ErrorCode::kTooLarge,
                  fmt::format("the attribute {} is longer than {} bytes", std::string_view(member.key()), kMostText));
  }
  if (attribute("source").starts_with("aws.")) return fail(ErrorCode::kForbidden, "Not authorized for the source.");
  EventParts parts;
  parts.id = attribute("id");
  parts.detail_type = attribute("type");
  parts.source = attribute("source");
  parts.place = place;
  parts.time = now;
  if (const auto time = attribute("time"); !time.empty()) {
    const auto parsed = parse_iso8601(time);
    if (!parsed) return fail(ErrorCode::kInvalid, "the attribute time is no time");
    parts.time = *parsed;
  }
  if (const auto subject = attribute("subject"); !subject.empty()) parts.resources.push_back(subject);
  parts.detail = event.detail;
  parts.cloud_event = event.attributes;
  return parts;
}

Result<CloudEvent> read_structured(const json::value& document) {
  if (!document.is_object()) return fail(ErrorCode::kInvalid, "a CloudEvent in structured mode is a JSON object");
  CloudEvent event;
  for (const auto& member : document.get_object()) {
    if (member.key() == "data" && !document.get_object().contains("data_base64")) {
      event.detail = member.value().is_object() ? to_json(member.value()) : wrapped("data", member.value());
    } else if (member.key() == "data_base64") {
      event.detail = wrapped("data_base64", member.value());
    } else if (member.key() != "data" && !member.value().is_null()) {
      event.attributes[member.key()] = member.value();
    }
  }
  return event;
}

Result<CloudEvent> read_binary(const http::Headers& headers, const std::string& body) {
  CloudEvent event;
  for (const auto& [name, value] : headers) {
    const auto lower = to_lower(name);
    if (!lower.starts_with("ce-")) continue;
    const auto decoded = percent_decode(value);
    if (!decoded) return fail(ErrorCode::kInvalid, fmt::format("the header {} is not percent-encoded well", name));
    event.attributes[lower.substr(3)] = *decoded;
  }
  const std::string content_type(headers.get("Content-Type"));
  if (!content_type.empty()) event.attributes["datacontenttype"] = content_type;
  if (body.empty()) return event;
  const auto type = media_type(content_type);
  if (is_json(type)) {
    const auto data = parse_json(body);
    if (!data) return fail(ErrorCode::kInvalid, "the data is not JSON: " + data.error().message);
    event.detail = data->is_object() ? body : wrapped("data", *data);
  } else if (type.starts_with("text/")) {
    event.detail = wrapped("data", json::value(json::string(body)));
  } else {
    event.detail = wrapped("data_base64", json::value(json::string(base64_encode(body))));
  }
  return event;
}

// Characters that a header cannot hold are percent-encoded, as the HTTP binding says.
std::string header_value(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<std::uint8_t>(c);
    if (byte <= 0x20 || byte >= 0x7F || c == '"' || c == '%') {
      out += fmt::format("%{:02X}", byte);
    } else {
      out += c;
    }
  }
  return out;
}

// The attributes of an event on its way out, and its data.
json::object attributes_of(const delivery::Event& event, std::string& data) {
  json::object attributes;
  attributes["specversion"] = kVersion;
  const auto sent = read_event(event.payload);
  if (!sent || find(sent->document, "detail-type") == nullptr) {
    attributes["id"] = event.id;
    attributes["source"] = event.source_arn;
    attributes["type"] = "Rule Input";  // what a rule made of its event has no type of its own
    data = event.payload;
    attributes["datacontenttype"] = "application/json";
    return attributes;
  }
  const auto& document = sent->document;
  if (const auto* detail = find(document, "detail")) data = to_json(*detail);
  if (const auto* original = find(document, "cloudevents"); original != nullptr && original->is_object()) {
    attributes = original->get_object();
  } else {
    attributes["id"] = get_string(document, "id");
    attributes["source"] = get_string(document, "source");
    attributes["type"] = get_string(document, "detail-type");
    attributes["time"] = get_string(document, "time");
    const auto* resources = find(document, "resources");
    if (resources != nullptr && resources->is_array() && !resources->get_array().empty())
      attributes["subject"] = resources->get_array()[0];
  }
  attributes["datacontenttype"] = "application/json";
  return attributes;
}

}  // namespace

Result<std::vector<EventParts>> read_cloud_events(const http::Headers& headers, const std::string& body,
                                                  const Place& place, SystemTime now) {
  std::vector<CloudEvent> events;
  const auto type = media_type(headers.get("Content-Type"));
  if (type == kStructuredType || type == kBatchType) {
    const auto document = parse_json(body);
    if (!document) return std::unexpected(document.error());
    if (type == kBatchType && !document->is_array())
      return fail(ErrorCode::kInvalid, "a batch of CloudEvents is a JSON array");
    const json::array batch = type == kBatchType ? document->get_array() : json::array{*document};
    if (batch.size() > kMostEvents)
      return fail(ErrorCode::kTooLarge, fmt::format("a batch holds at most {} events", kMostEvents));
    for (const auto& item : batch) {
      auto event = read_structured(item);
      if (!event) return std::unexpected(std::move(event.error()));
      events.push_back(std::move(*event));
    }
  } else {
    auto event = read_binary(headers, body);
    if (!event) return std::unexpected(std::move(event.error()));
    events.push_back(std::move(*event));
  }
  std::vector<EventParts> parts;
  for (const auto& event : events) {
    auto one = parts_of(event, place, now);
    if (!one) return std::unexpected(std::move(one.error()));
    parts.push_back(std::move(*one));
  }
  return parts;
}

void as_cloud_event(http::Headers& headers, std::string& body, const delivery::Event& event) {
  const bool structured = media_type(headers.get("Content-Type")) == kStructuredType;
  const bool binary = headers.get("ce-specversion") == kVersion;
  if (!structured && !binary) return;
  std::string data = "null";
  auto attributes = attributes_of(event, data);
  if (structured) {
    body = to_json(attributes);
    body.back() = ',';
    body += "\"data\":" + data + "}";
    return;
  }
  for (const auto& attribute : attributes) {
    const auto text =
        attribute.value().is_string() ? std::string(attribute.value().get_string()) : to_json(attribute.value());
    if (attribute.key() == "datacontenttype") {
      headers.set("Content-Type", text);
    } else {
      headers.set("ce-" + std::string(attribute.key()), header_value(text));
    }
  }
  body = std::move(data);
}

}  // namespace mayfly::events
