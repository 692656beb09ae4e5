// Parameter mapping: what an integration adds to, replaces in and removes from requests and responses.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "gateway/exchange.h"
#include "gateway/plan.h"

namespace mayfly::gateway {

enum class MappingSide : std::uint8_t { kRequest, kResponse };
// "append:header.x", "overwrite:querystring.q", "remove:header.y", "overwrite:path", "overwrite:statuscode" with its
// value. kInvalid with the reason; headers that the gateway and its peers depend on cannot be mapped.
Result<Mapping> parse_mapping(std::string_view key, std::string_view value, MappingSide side);

void map_request(const std::vector<Mapping>& mappings, Exchange& exchange);
void map_response(const std::vector<Mapping>& mappings, Exchange& exchange);

}  // namespace mayfly::gateway
