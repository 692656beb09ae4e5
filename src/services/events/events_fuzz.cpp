// Fuzz entry: "content type \n body" as CloudEvents, and the body as a path and a template.
#include <cstddef>
#include <cstdint>
#include <string>

#include "services/events/cloud_events.h"
#include "services/events/input.h"

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mayfly;
  std::string text;
  for (std::size_t i = 0; i < size; ++i) text += static_cast<char>(data[i]);
  const auto line = std::min(text.find('\n'), text.size());
  http::Headers headers;
  headers.add("Content-Type", text.substr(0, line));
  headers.add("ce-id", text.substr(0, line));
  const std::string body = text.substr(std::min(line + 1, text.size()));
  [[maybe_unused]] const auto read = events::read_cloud_events(headers, body, {}, SystemTime());
  const auto path = events::JsonPath::parse(body);
  const auto document = parse_json(body);
  if (path && document) [[maybe_unused]]
    const auto found = path->find(*document);
  events::wire::Target target;
  target.InputTransformer.emplace().InputTemplate = body;
  events::BusEvent event;
  event.document = json::object{{"id", "1"}};
  if (events::check_input(target)) [[maybe_unused]]
    const auto input = events::target_input(target, event, {});
  return 0;
}
