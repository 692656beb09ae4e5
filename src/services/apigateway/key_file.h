// The CSV file of ImportApiKeys: a first line that names its columns, then a key in each line. One cell holds no comma.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "aws/api.h"
#include "services/apigateway/records.h"

namespace mayfly::apigateway {

struct ImportedKey {
  wire::ApiKey key;
  std::string value;
};
aws::ApiResult<std::vector<ImportedKey>> read_key_file(std::string_view text);

}  // namespace mayfly::apigateway
