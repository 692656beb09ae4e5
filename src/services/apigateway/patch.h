// Patch operations: what UpdateRestApi and its kin change, by paths that the operation has listed.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "aws/api.h"
#include "base/json.h"
#include "services/apigateway/records.h"

namespace mayfly::apigateway {

struct PatchRule {
  enum class Form : std::uint8_t {
    kText,
    kBool,
    kInt,
    kDouble,
    kMapText,  // "/variables/name": one member of a map, or "/variables" removed whole
    kMapBool,
    kList,  // "/binaryMediaTypes/image~1png": one text of a list
  };
  std::string_view path;  // "/name"; of maps and lists without the last part
  Form form = Form::kText;
  std::string_view member = {};  // in the document, dots between; "": the path's own
};

// BadRequestException where a path is not among the rules, an operation does not fit or a value is none.
aws::ApiResult<void> apply_patches(json::object& document, const std::vector<wire::PatchOperation>& patches,
                                   std::span<const PatchRule> rules);
// "a~1b" is "a/b".
std::string unescaped(std::string_view token);

std::optional<bool> bool_of(std::string_view text);
std::optional<std::int32_t> int_of(std::string_view text);
std::optional<double> double_of(std::string_view text);

}  // namespace mayfly::apigateway
