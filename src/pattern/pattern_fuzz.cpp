// Fuzz entry: "pattern \n event". Whatever comes must end in an answer, and the rule set must agree with the pattern.
#include <cstddef>
#include <cstdint>
#include <string>

#include "pattern/pattern.h"
#include "pattern/rule_set.h"

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mayfly;
  std::string text;
  for (std::size_t i = 0; i < size; ++i) text += static_cast<char>(data[i]);
  const auto line = text.find('\n');
  auto parsed = pattern::Pattern::parse(text.substr(0, line));
  if (!parsed || line == std::string::npos) return 0;
  const auto event = parse_json(text.substr(line + 1));
  if (!event) return 0;
  pattern::RuleSet rules;
  rules.add(1, *parsed);
  MAYFLY_ASSERT(rules.match(*event).empty() != parsed->matches(*event));
  return 0;
}
