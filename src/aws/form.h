// Forms: "a=b&c=d" to fields, and the fields of the Query protocol ("Tags.member.1.Key=x") to a document by its shape.
//
// Limits. kMostFields fields and names of kDeepest parts; what has more is refused.
#pragma once

#include <optional>
#include <string_view>

#include "aws/protocol.h"

namespace mayfly::aws {

inline constexpr std::size_t kMostFormFields = 50'000;
inline constexpr std::size_t kDeepestFormName = 64;

// Percent signs and pluses undone; a malformed escape stays as it is. At most `most` fields are read.
Form parse_form(std::string_view text, std::size_t most = kMostFormFields);
// The first field of that name, or null.
const std::string* find_field(const Form& form, std::string_view name);

// The structure `shape` that the fields spell. SerializationException where they cannot be read as its members.
ApiResult<json::object> from_form(const ShapeModel& shape, const Form& form);

}  // namespace mayfly::aws
