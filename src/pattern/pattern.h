// The event pattern language of EventBridge: one pattern, checked and compiled. Rules, event source mappings and
// subscriptions ask it whether an event concerns them; many patterns at once are asked through RuleSet (rule_set.h).
//
// Semantics. Those of the engine that the service itself runs (aws/event-ruler): the event is flattened to leaf fields
//            named by their path; every path of the pattern needs one field that meets one of its conditions, and the
//            fields that are used together must come from the same elements of the event's arrays. Numbers are compared
//            by value where their text is exactly a double, and by their text otherwise. A string that is an IP address
//            is equal to every other way to write that address.
// Limits.    Objects nest 100 deep; `$or` makes at most 1,000 combinations; wildcards as the service limits them.
// Cost.      matches() walks only the parts of the event that the pattern names. No condition takes more than the
//            length of the value times the length of the condition.
#pragma once

#include <memory>
#include <string_view>

#include "base/error.h"
#include "base/json.h"

namespace mayfly::pattern {

struct Compiled;

class Pattern {
 public:
  // kInvalid: the message is the service's own reason with its position, without what a service puts before it:
  //   "prefix match pattern must be a string\n at [Source: (String)\"{..}\"; line: 1, column: 23]"
  // EventBridge answers "Event pattern is not valid. Reason: " and this.
  static Result<Pattern> parse(std::string_view text);

  // False for an event that is no object.
  [[nodiscard]] bool matches(const json::value& event) const;

  [[nodiscard]] const Compiled& compiled() const;

 private:
  struct Prepared;
  explicit Pattern(std::shared_ptr<const Prepared> prepared);
  std::shared_ptr<const Prepared> prepared_;
};

}  // namespace mayfly::pattern
