// JSON bodies to documents and back, by shape. Shared by all JSON protocols.
#pragma once

#include <string>
#include <string_view>

#include "aws/api.h"
#include "aws/model.h"

namespace mayfly::aws {

// Which members of the outermost structure take part: REST protocols keep some in the URI and in headers.
enum class Members : bool { kAll, kBodyOnly };

// Kinds are checked, unknown members dropped, nulls of structures and maps too. SerializationException on a mismatch.
ApiResult<json::value> from_wire_json(const ShapeModel& shape, json::value wire, const MemberModel* member = nullptr,
                                      Members members = Members::kAll);
json::value to_wire_json(const ShapeModel& shape, json::value document, const MemberModel* member = nullptr,
                         Members members = Members::kAll);

// Scalars as text, in headers, labels and query strings.
ApiResult<json::value> from_wire_text(const ShapeModel& shape, std::string_view text, TimeFormat time_format);
std::string to_wire_text(const ShapeModel& shape, const json::value& value, TimeFormat time_format);

std::optional<double> parse_time(std::string_view text);
std::string format_time(double epoch, TimeFormat format);

// A whole JSON text as a structure; an empty text is an empty object.
ApiResult<json::value> parse_body_json(std::string_view text);

ApiError serialization_error(std::string message);

}  // namespace mayfly::aws
