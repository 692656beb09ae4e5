// What happens to records between a source and a function, as functions without side effects: filters, batches, partial
// batch responses.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "pattern/pattern.h"
#include "services/lambda/event_source.h"

namespace mayfly::lambda {

// kInvalid where one of them is no pattern.
Result<std::vector<pattern::Pattern>> parse_filters(const std::vector<std::string>& patterns);
// True where there are no filters or one of them matches. A body that is a JSON object is matched as one; filters for
// an object never match a text and the other way round.
bool passes(const std::vector<pattern::Pattern>& filters, const SourceRecord& record);

// Cuts records into batches of at most `max_records` and `max_bytes` of JSON. With `isolate`, records that came before
// go apart from the fresh ones and in halves of halves, so that one that can never succeed ends alone.
struct BatchRules {
  std::size_t max_records = 10;
  std::size_t max_bytes = 6UL * 1024 * 1024;
  bool isolate = false;
};
std::vector<std::vector<SourceRecord>> make_batches(std::vector<SourceRecord> records, const BatchRules& rules);

// {"Records": [..]}
std::string batch_event(const std::vector<SourceRecord>& batch);

// Which records a function reports as failed: their ids. nullopt: all of them, because the response is not valid.
std::optional<std::vector<std::string>> reported_failures(std::string_view response,
                                                          const std::vector<SourceRecord>& batch);

}  // namespace mayfly::lambda
