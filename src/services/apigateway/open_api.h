// OpenAPI 3 and Swagger 2 documents with x-amazon-apigateway extensions: an API's configuration out of one.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "services/apigateway/core.h"

namespace mayfly::apigateway {

struct OpenApi {
  std::string title;
  std::optional<std::string> description;
  std::optional<std::string> version;
  std::optional<bool> own_address_disabled;
  Configuration configuration;        // `base` with what the document says
  std::vector<std::string> warnings;  // what was left out
};
// JSON alone. What the document wants and REST APIs here do not have is an error that names it.
aws::ApiResult<OpenApi> read_open_api(std::string_view text, Configuration base);

// Every role that a configuration hands to the gateway.
Strings roles_of(const Configuration& configuration);

}  // namespace mayfly::apigateway
