// The shared sets of patterns and events: what the service answered (recorded), and what its engine answers.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>

#include "pattern/pattern.h"
#include "pattern/rule_set.h"

namespace mayfly::pattern {
namespace {

std::optional<json::value> shared_set(const std::string& name) {
  const char* folder = std::getenv("MAYFLY_CONFORMANCE_DIR");
  const std::string path =
      (folder != nullptr ? std::string(folder) : "../shared/conformance") + "/eventbridge-patterns/" + name + ".json";
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::nullopt;
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  auto parsed = parse_json(text);
  if (!parsed) return std::nullopt;
  return std::move(*parsed);
}

// The recordings replaced some names inside the source that an error quotes.
std::string without_source(const std::string& message) {
  std::string out = message;
  for (auto at = out.find("[Source: "); at != std::string::npos; at = out.find("[Source: ", at + 1)) {
    const auto end = out.find("; line: ", at);
    if (end != std::string::npos) out.replace(at + 9, end - at - 9, "..");
  }
  return out;
}

std::string answer(const std::string& pattern, const std::string& event, std::string& message) {
  auto parsed = Pattern::parse(pattern);
  if (!parsed) {
    message = parsed.error().message;
    return "invalid";
  }
  if (event.empty()) return "valid";
  auto document = parse_json(event);
  if (!document || !document->is_object()) return "invalid_event";
  const bool matches = parsed->matches(*document);
  RuleSet rules;
  rules.add(7, *parsed);
  if (rules.match(*document).empty() == matches) return "the rule set says otherwise";
  return matches ? "match" : "no_match";
}

class PatternConformance : public testing::TestWithParam<const char*> {};

TEST_P(PatternConformance, AnswersAreTheService) {
  const auto set = shared_set(GetParam());
  if (!set) GTEST_SKIP() << "no shared conformance data: set MAYFLY_CONFORMANCE_DIR";
  std::size_t total = 0;
  std::size_t answers = 0;
  std::size_t messages = 0;
  std::size_t refused = 0;
  for (const auto& entry : find(*set, "cases")->get_array()) {
    ++total;
    const std::string expected(get_string(entry, "expect"));
    std::string message;
    const std::string got =
        answer(std::string(get_string(entry, "pattern")), std::string(get_string(entry, "event")), message);
    if (got == expected) {
      ++answers;
    } else {
      std::printf("FAILS %s: %s, not %s: %s\n", std::string(get_string(entry, "id")).c_str(), got.c_str(),
                  expected.c_str(), message.c_str());
    }
    if (expected != "invalid" || got != expected) continue;
    ++refused;
    std::string wanted(get_string(entry, "event_ruler_error", get_string(entry, "error_message_raw")));
    if (wanted.empty()) wanted = std::string(get_string(entry, "error_message"));
    constexpr std::string_view kPrefix = "Event pattern is not valid. Reason: ";
    if (wanted.starts_with(kPrefix)) wanted.erase(0, kPrefix.size());
    if (without_source(message) == without_source(wanted)) {
      ++messages;
    } else {
      std::printf("WORDS %s: %s\n   not %s\n", std::string(get_string(entry, "id")).c_str(), message.c_str(),
                  wanted.c_str());
    }
  }
  std::printf("%s: %zu of %zu answers, %zu of %zu messages\n", GetParam(), answers, total, messages, refused);
  EXPECT_GE(answers * 100, total * 99);
  // Where the JSON itself is broken, the service's recorded place is a column before that of the engine's unit tests.
  EXPECT_GE(messages * 100, refused * 85);
}

INSTANTIATE_TEST_SUITE_P(Sets, PatternConformance,
                         testing::Values("localstack_test_event_pattern", "event_ruler_unit_tests",
                                         "generated_answered_by_event_ruler"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace mayfly::pattern
