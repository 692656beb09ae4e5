#include "pattern/pattern.h"

#include <algorithm>

#include "pattern/compiled.h"
#include "pattern/consistency.h"
#include "pattern/event_fields.h"

namespace mayfly::pattern {

struct Pattern::Prepared {
  Compiled compiled;
  PathTree paths;
  std::vector<std::vector<ClauseRef>> branches;  // refer to `compiled`
};

Pattern::Pattern(std::shared_ptr<const Prepared> prepared) : prepared_(std::move(prepared)) {}

Result<Pattern> Pattern::parse(std::string_view text) {
  auto compiled = compile(text);
  if (!compiled) return std::unexpected(std::move(compiled.error()));
  auto prepared = std::make_shared<Prepared>();
  prepared->compiled = std::move(*compiled);
  for (const auto& branch : prepared->compiled.branches) {
    auto& refs = prepared->branches.emplace_back();
    for (const auto& clause : branch)
      refs.push_back(ClauseRef{.clause = &clause, .path = prepared->paths.add(clause.path)});
  }
  return Pattern(std::move(prepared));
}

const Compiled& Pattern::compiled() const { return prepared_->compiled; }

bool Pattern::matches(const json::value& event) const {
  if (!event.is_object()) return false;
  const EventFields fields(prepared_->paths, event);
  return std::any_of(prepared_->branches.begin(), prepared_->branches.end(),
                     [&](const auto& branch) { return can_be_met(branch, fields); });
}

}  // namespace mayfly::pattern
