// Checks a document against the constraints of its shape and says what is wrong in AWS's words, all of it at once:
//   "2 validation errors detected: Value '' at 'name' failed to satisfy constraint: Member must ...; Value null at ..."
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "aws/api.h"
#include "aws/model.h"

namespace mayfly::aws {

// `payload` is the blob payload beside the document, where there is one.
std::optional<ApiError> validate(const ShapeModel& shape, const Call& call);

// Whether a whole string matches a model's pattern. A pattern that cannot be compiled or that takes too long to
// decide matches everything: a constraint is never a reason to fail on good input.
bool is_supported_pattern(std::string_view pattern);
bool matches_pattern(std::string_view pattern, std::string_view text);
// For an expression that somebody brings, which decides something: null where it cannot be compiled, and false where it
// takes too long to decide. Nothing is kept of it but what is returned.
std::function<bool(std::string_view)> matcher_of(std::string_view pattern);

}  // namespace mayfly::aws
