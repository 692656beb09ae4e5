// Feeds arbitrary bytes to what the gateway parses: paths, route keys, templates, mappings and functions' answers.
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <tuple>

#include "gateway/mapping.h"
#include "gateway/outbound.h"
#include "gateway/payload.h"
#include "gateway/rest_mapping.h"
#include "gateway/route_table.h"
#include "gateway/web_socket_mapping.h"
#include "gateway/web_socket_payload.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mayfly::gateway;
  // SAFETY: the fuzzer's bytes as characters.
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  RouteTable table;
  if (const auto key = parse_route_key(text)) std::ignore = table.add(*key, 0);
  if (const auto path = split_path(text)) std::ignore = table.find("GET", *path);
  std::ignore = Template::parse(text, Template::kRequest | Template::kResponse | Template::kContext | Template::kStage);
  std::ignore = parse_mapping(text, text, MappingSide::kRequest);
  std::ignore = response_v1(text, "text/plain");
  std::ignore = response_v2(text, "text/plain");
  std::ignore = query_parameters(text);
  std::ignore = parse_rest_source(text);
  std::ignore = parse_rest_body(text);
  std::ignore = parse_mock_status(text);
  std::ignore = is_metadata_address(std::string(text));
  std::ignore = parse_route_selection(text);
  std::ignore = parse_identity_source(text);
  std::ignore = parse_integration_parameter(text, text);
  std::ignore = fixed_selection(text);
  if (is_response_key(text)) std::ignore = takes_status(text, 200);
  std::ignore = connection_of_path(text);
  // A message's body, as it came.
  static const auto kSelection = *parse_route_selection("${request.body.a.b}-${request.body}");
  Exchange exchange;
  exchange.event.body = text;
  std::ignore = selected_route(kSelection, exchange);
  return 0;
}
