// CBOR (RFC 8949) as rpc-v2-cbor uses it: to JSON values and back by shape. Byte strings become strings of raw bytes;
// tags are taken off.
//
// Limits. kDeepest nested items; items are counted by the bytes that they take.
#pragma once

#include <string>
#include <string_view>

#include "aws/api.h"
#include "aws/model.h"

namespace mayfly::aws {

Result<json::value> parse_cbor(std::string_view bytes);

// Kinds are checked, unknown members and nulls dropped. SerializationException on a mismatch.
ApiResult<json::value> from_wire_cbor(const ShapeModel& shape, json::value wire);
std::string to_wire_cbor(const ShapeModel& shape, const json::value& document);
// Values without a shape: errors. Strings are texts.
std::string to_plain_cbor(const json::value& value);

}  // namespace mayfly::aws
