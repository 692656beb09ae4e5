// OpenAPI 3 documents with x-amazon-apigateway extensions: an API's configuration out of one, and into one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "services/apigatewayv2/core.h"

namespace mayfly::apigatewayv2 {

struct OpenApi {
  std::string title;
  std::optional<std::string> description;
  std::optional<std::string> version;
  gateway::Pairs tags;
  Configuration configuration;
  std::vector<std::string> warnings;  // what was left out
};
// JSON alone. What the document wants and HTTP APIs here do not have is an error that names it.
aws::ApiResult<OpenApi> read_open_api(std::string_view text);
json::object write_open_api(const ApiRecord& record, const Configuration& configuration, const std::string& endpoint,
                            std::string_view stage, bool with_extensions);

}  // namespace mayfly::apigatewayv2
