// Names of functions and layers as clients write them: name, partial ARN, full ARN, each with or without a qualifier.
// The model's patterns have been checked before; what is decided here is which resource is meant.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "services/lambda/errors.h"

namespace mayfly::lambda {

// Where a call acts: the caller's account and the region of the credential scope.
struct Place {
  std::string account;
  std::string region;
};

struct FunctionName {
  std::string name;
  std::string qualifier;  // "" where none was given; "$LATEST", "7", "live"
};

struct LayerName {
  std::string name;
  std::int64_t version = 0;  // 0 where none was given
};

inline constexpr std::string_view kLatest = "$LATEST";

// Errors: another region (ResourceNotFoundException), another account (AccessDeniedException), a name that is too long,
// a qualifier that contradicts the one in the name (InvalidParameterValueException).
aws::ApiResult<FunctionName> parse_function_name(std::string_view text, const std::optional<std::string>& qualifier,
                                                 const Place& place);
aws::ApiResult<LayerName> parse_layer_name(std::string_view text, const Place& place);

bool is_version_number(std::string_view qualifier);  // [0-9]+
bool is_alias_name(std::string_view qualifier);      // [a-zA-Z0-9-_]+ with something that is no digit
bool looks_like_role_arn(std::string_view arn);      // arn:aws:iam::123456789012:role/path/name

std::string function_arn(const Place& place, std::string_view name, std::string_view qualifier);
std::string layer_arn(const Place& place, std::string_view name);

}  // namespace mayfly::lambda
