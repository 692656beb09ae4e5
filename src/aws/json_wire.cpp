#include "aws/json_wire.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <optional>

#include "base/encoding.h"
#include "base/time_format.h"

namespace mayfly::aws {

namespace {

std::string_view wire_kind(const json::value& value) {
  switch (value.kind()) {
    case json::kind::null:
      return "NULL_VALUE";
    case json::kind::bool_:
      return value.get_bool() ? "TRUE_VALUE" : "FALSE_VALUE";
    case json::kind::int64:
    case json::kind::uint64:
      return "NUMBER_VALUE";
    case json::kind::double_:
      return "DECIMAL_VALUE";
    case json::kind::string:
      return "STRING_VALUE";
    case json::kind::array:
      return "START_ARRAY";
    case json::kind::object:
      return "START_OBJECT";
  }
  return "VALUE";
}

std::unexpected<ApiError> mismatch(const json::value& value, std::string_view kind) {
  if (value.is_object()) {
    return std::unexpected(serialization_error("Start of structure or map found where not expected."));
  }
  if (value.is_array()) return std::unexpected(serialization_error("Start of list found where not expected"));
  return std::unexpected(serialization_error(fmt::format("{} can not be converted to {}", wire_kind(value), kind)));
}

std::optional<double> special_double(std::string_view text) {
  if (text == "NaN") return std::nan("");
  if (text == "Infinity") return kUnbounded;
  if (text == "-Infinity") return -kUnbounded;
  return std::nullopt;
}

// Whole numbers only: 3.0 is taken as 3, as the services do.
std::optional<std::int64_t> whole_number(const json::value& value) {
  if (const auto* number = value.if_int64()) return *number;
  if (const auto* number = value.if_double()) {
    if (std::trunc(*number) == *number && std::abs(*number) < 9007199254740992.0) {
      return static_cast<std::int64_t>(*number);
    }
  }
  return std::nullopt;
}

TimeFormat format_of(const ShapeModel& shape, const MemberModel* member, TimeFormat fallback) {
  if (member != nullptr && member->time_format != TimeFormat::kDefault) return member->time_format;
  return shape.time_format != TimeFormat::kDefault ? shape.time_format : fallback;
}

ApiResult<json::value> structure_from_wire(const ShapeModel& shape, json::value wire, Members members) {
  auto* object = wire.if_object();
  if (object == nullptr) {
    return std::unexpected(
        serialization_error(fmt::format("Unexpected {} where a structure was expected", wire_kind(wire))));
  }
  json::object out;
  for (const auto& member : shape.members) {
    if (members == Members::kBodyOnly && member.location != Location::kBody) continue;
    auto* value = object->if_contains(member.wire_name);
    if (value == nullptr || value->is_null()) continue;
    auto read = from_wire_json(*member.shape, std::move(*value), &member);
    if (!read) return read;
    out.emplace(member.name, std::move(*read));
  }
  return out;
}

ApiResult<json::value> list_from_wire(const ShapeModel& shape, json::value wire) {
  auto* array = wire.if_array();
  if (array == nullptr) return mismatch(wire, "a list");
  for (auto& item : *array) {
    if (item.is_null()) continue;
    auto read = from_wire_json(*shape.members[0].shape, std::move(item), shape.members.data());
    if (!read) return read;
    item = std::move(*read);
  }
  return wire;
}

ApiResult<json::value> map_from_wire(const ShapeModel& shape, json::value wire) {
  auto* object = wire.if_object();
  if (object == nullptr) return mismatch(wire, "a map");
  json::object out;
  out.reserve(object->size());
  for (auto& entry : *object) {
    if (entry.value().is_null()) continue;
    auto read = from_wire_json(*shape.members[1].shape, std::move(entry.value()), &shape.members[1]);
    if (!read) return read;
    out.insert_or_assign(entry.key(), std::move(*read));
  }
  return out;
}

ApiResult<json::value> time_from_wire(const json::value& wire) {
  if (const auto* number = wire.if_double()) return json::value(*number);
  if (const auto* number = wire.if_int64()) return json::value(static_cast<double>(*number));
  if (const auto* text = wire.if_string()) {
    if (const auto time = parse_time({text->data(), text->size()})) return json::value(*time);
  }
  return mismatch(wire, "Timestamp");
}

ApiResult<json::value> number_from_wire(const ShapeModel& shape, const json::value& wire) {
  if (shape.kind == Kind::kDouble) {
    if (wire.is_double()) return wire;
    if (const auto* number = wire.if_int64()) return json::value(static_cast<double>(*number));
    if (const auto* number = wire.if_uint64()) return json::value(static_cast<double>(*number));
    if (const auto* text = wire.if_string()) {
      if (const auto special = special_double({text->data(), text->size()})) return json::value(*special);
    }
    return mismatch(wire, "Double");
  }
  const auto number = whole_number(wire);
  if (!number) return mismatch(wire, shape.kind == Kind::kInteger ? "Integer" : "Long");
  if (shape.kind == Kind::kInteger && *number != static_cast<std::int32_t>(*number)) {
    return std::unexpected(serialization_error(fmt::format("{} is out of range of Integer", *number)));
  }
  return json::value(*number);
}

template <typename T>
std::optional<T> parse_number(std::string_view text) {
  T value{};
  const auto* end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, value);
  if (result.ec != std::errc() || result.ptr != end || text.empty()) return std::nullopt;
  return value;
}

std::unexpected<ApiError> bad_text(std::string_view text, std::string_view kind) {
  return std::unexpected(serialization_error(fmt::format("'{}' can not be converted to {}", text, kind)));
}

std::string shortest_double(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
  return fmt::format("{}", value);
}

}  // namespace

ApiError serialization_error(std::string message) {
  return ApiError{
      .model = &common_errors::SerializationException, .message = std::move(message), .members = {}, .headers = {}};
}

std::optional<double> parse_time(std::string_view text) {
  text = trim(text);
  if (const auto number = parse_number<double>(text)) {
    // "20260101" and the like are dates without a time, which no protocol sends; a number is epoch seconds.
    return std::isfinite(*number) ? number : std::nullopt;
  }
  if (const auto time = parse_iso8601(text)) return epoch_seconds(*time);
  if (const auto time = parse_http_date(text)) return epoch_seconds(*time);
  return std::nullopt;
}

std::string format_time(double epoch, TimeFormat format) {
  const bool whole = std::trunc(epoch) == epoch;
  const auto time = from_epoch_seconds(epoch);
  switch (format) {
    case TimeFormat::kHttpDate:
      return http_date(time);
    case TimeFormat::kIso8601: {
      auto text = iso8601_millis(time);
      if (whole && text.size() > 5) text.replace(text.size() - 5, 5, "Z");
      return text;
    }
    default:
      return whole ? fmt::format("{}", static_cast<std::int64_t>(epoch)) : fmt::format("{}", epoch);
  }
}

ApiResult<json::value> from_wire_json(const ShapeModel& shape, json::value wire, const MemberModel* member,
                                      Members members) {
  switch (shape.kind) {
    case Kind::kStructure:
      return structure_from_wire(shape, std::move(wire), members);
    case Kind::kList:
      return list_from_wire(shape, std::move(wire));
    case Kind::kMap:
      return map_from_wire(shape, std::move(wire));
    case Kind::kString:
      if (wire.is_string()) return wire;
      return mismatch(wire, "a String");
    case Kind::kBlob: {
      const auto* text = wire.if_string();
      if (text == nullptr) return mismatch(wire, "a Blob");
      auto bytes = base64_decode({text->data(), text->size()});
      if (!bytes) {
        return std::unexpected(serialization_error(
            fmt::format("Unable to decode the base64 of member '{}'", member != nullptr ? member->name : shape.name)));
      }
      return json::value(json::string(*bytes));
    }
    case Kind::kBoolean:
      if (wire.is_bool()) return wire;
      return mismatch(wire, "Boolean");
    case Kind::kInteger:
    case Kind::kLong:
    case Kind::kDouble:
      return number_from_wire(shape, wire);
    case Kind::kTimestamp:
      return time_from_wire(wire);
    case Kind::kDocument:
      return wire;
  }
  return wire;
}

json::value to_wire_json(const ShapeModel& shape, json::value document, const MemberModel* member, Members members) {
  if (document.is_null()) return document;
  switch (shape.kind) {
    case Kind::kStructure: {
      auto* object = document.if_object();
      json::object out;
      if (object == nullptr) return out;
      for (const auto& field : shape.members) {
        if (members == Members::kBodyOnly && field.location != Location::kBody) continue;
        auto* value = object->if_contains(field.name);
        if (value == nullptr || value->is_null()) continue;
        out.emplace(field.wire_name, to_wire_json(*field.shape, std::move(*value), &field));
      }
      return out;
    }
    case Kind::kList:
      if (auto* array = document.if_array()) {
        for (auto& item : *array) {
          item = to_wire_json(*shape.members[0].shape, std::move(item), shape.members.data());
        }
      }
      return document;
    case Kind::kMap:
      if (auto* object = document.if_object()) {
        for (auto& entry : *object) {
          entry.value() = to_wire_json(*shape.members[1].shape, std::move(entry.value()), &shape.members[1]);
        }
      }
      return document;
    case Kind::kBlob:
      if (const auto* bytes = document.if_string()) return json::string(base64_encode({bytes->data(), bytes->size()}));
      return document;
    case Kind::kDouble:
      if (const auto* number = document.if_double(); number != nullptr && !std::isfinite(*number)) {
        return json::string(shortest_double(*number));
      }
      return document;
    case Kind::kTimestamp: {
      const auto* epoch = document.if_double();
      if (epoch == nullptr) return document;
      const auto format = format_of(shape, member, TimeFormat::kEpochSeconds);
      if (format != TimeFormat::kEpochSeconds) return json::string(format_time(*epoch, format));
      if (std::trunc(*epoch) == *epoch && std::abs(*epoch) < 1e15) return static_cast<std::int64_t>(*epoch);
      return document;
    }
    default:
      return document;
  }
}

ApiResult<json::value> from_wire_text(const ShapeModel& shape, std::string_view text, TimeFormat) {
  switch (shape.kind) {
    case Kind::kBoolean:
      if (iequals(text, "true")) return json::value(true);
      if (iequals(text, "false")) return json::value(false);
      return bad_text(text, "Boolean");
    case Kind::kInteger:
      if (const auto number = parse_number<std::int32_t>(text)) return json::value(std::int64_t{*number});
      return bad_text(text, "Integer");
    case Kind::kLong:
      if (const auto number = parse_number<std::int64_t>(text)) return json::value(*number);
      return bad_text(text, "Long");
    case Kind::kDouble:
      if (const auto special = special_double(text)) return json::value(*special);
      if (const auto number = parse_number<double>(text); number && std::isfinite(*number)) return json::value(*number);
      return bad_text(text, "Double");
    case Kind::kTimestamp:
      if (const auto time = parse_time(text)) return json::value(*time);
      return bad_text(text, "Timestamp");
    case Kind::kBlob: {
      const auto bytes = base64_decode(text);
      if (!bytes) return bad_text(text, "Blob");
      return json::value(json::string(*bytes));
    }
    default:
      return json::value(json::string(text));
  }
}

std::string to_wire_text(const ShapeModel& shape, const json::value& value, TimeFormat time_format) {
  if (const auto* text = value.if_string()) {
    const std::string_view bytes(text->data(), text->size());
    return shape.kind == Kind::kBlob ? base64_encode(bytes) : std::string(bytes);
  }
  if (const auto* flag = value.if_bool()) return *flag ? "true" : "false";
  if (const auto* number = value.if_int64()) return fmt::format("{}", *number);
  if (const auto* number = value.if_double()) {
    if (shape.kind != Kind::kTimestamp) return shortest_double(*number);
    return format_time(*number, shape.time_format != TimeFormat::kDefault ? shape.time_format : time_format);
  }
  return {};
}

ApiResult<json::value> parse_body_json(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return json::object();
  auto parsed = parse_json(text);
  if (!parsed) {
    return std::unexpected(serialization_error("Could not parse request body into json: " + parsed.error().message));
  }
  return std::move(*parsed);
}

}  // namespace mayfly::aws
