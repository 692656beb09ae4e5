// What a target is given of an event: all of it, a part by a path, a constant, or a template filled with parts.
//
// Templates. "<name>" stands for the part that InputPathsMap names, or for a reserved name: aws.events.rule-arn,
//            aws.events.rule-name, aws.events.event (the event without its detail), aws.events.event.json (all of it),
//            aws.events.event.ingestion-time. Outside of quotes a part is put in as JSON, and one that the event does
//            not have as null; inside of quotes a text is put in as it is, objects and lists without their quotes, and
//            what is missing as nothing. A template that is a JSON text in quotes keeps them (recorded).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/json.h"
#include "services/events/bus_event.h"
#include "services/events/records.h"

namespace mayfly::events {

// "$", "$.detail.items[0].name", "$['detail-type']", "$.items[*].id".
class JsonPath {
 public:
  static std::optional<JsonPath> parse(std::string_view text);
  // nullopt where there is nothing; a list where the path has "[*]".
  [[nodiscard]] std::optional<json::value> find(const json::value& document) const;

 private:
  struct All {};
  using Step = std::variant<std::string, std::size_t, All>;
  static std::optional<json::value> follow(const json::value& value, const std::vector<Step>& steps, std::size_t at);
  std::vector<Step> steps_;
};

struct InputContext {
  std::string rule_arn;
  std::string rule_name;
  SystemTime ingested;
};

// What the target's Input, InputPath or InputTransformer makes of the event.
std::string target_input(const wire::Target& target, const BusEvent& event, const InputContext& context);

// ValidationException where they are not valid, or more than one is given.
aws::ApiResult<void> check_input(const wire::Target& target);

}  // namespace mayfly::events
