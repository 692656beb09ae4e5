#include "pattern/pattern.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <random>
#include <string>

#include "pattern/rule_set.h"
#include "pattern/wildcard.h"

namespace mayfly::pattern {
namespace {

Pattern pattern_of(std::string_view text) {
  auto parsed = Pattern::parse(text);
  EXPECT_TRUE(parsed.has_value()) << text << parsed.error().message;
  return std::move(*parsed);
}

json::value event_of(std::string_view text) { return *parse_json(text); }

TEST(PatternTest, OwnCasesAnswerAsWritten) {
  std::ifstream file("src/pattern/cases.json", std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const auto document = parse_json(text);
  ASSERT_TRUE(document.has_value());
  for (const auto& entry : find(*document, "cases")->get_array()) {
    const auto name = get_string(entry, "name");
    const std::string expected(get_string(entry, "expect"));
    const auto parsed = Pattern::parse(to_json(*find(entry, "pattern")));
    if (find(entry, "event") == nullptr) {
      EXPECT_FALSE(parsed.has_value()) << name;
      if (!parsed) EXPECT_TRUE(parsed.error().message.starts_with(expected)) << name << ": " << parsed.error().message;
      continue;
    }
    ASSERT_TRUE(parsed.has_value()) << name << ": " << parsed.error().message;
    const bool matches = parsed->matches(*find(entry, "event"));
    EXPECT_EQ(matches ? "match" : "no_match", expected) << name;
    RuleSet rules;
    rules.add(1, *parsed);
    EXPECT_EQ(!rules.match(*find(entry, "event")).empty(), matches) << name;
  }
}

TEST(PatternTest, SyntaxErrorsNameTheirPlace) {
  const auto message = [](std::string_view text) { return Pattern::parse(text).error().message; };
  EXPECT_EQ(message("{\n \"a\": [1,, 2]}"),
            "Unexpected character (',' (code 44)): expected a valid value (JSON String, Number, Array, Object or token "
            "'null', 'true' or 'false')\n at [Source: (String)\"{\n \"a\": [1,, 2]}\"; line: 2, column: 10]");
  EXPECT_TRUE(message("").starts_with("Filter is not an object"));
  EXPECT_TRUE(message("[]").starts_with("Filter is not an object"));
  EXPECT_TRUE(message("{\"a\": [").starts_with("Unexpected end-of-input: expected close marker for Array"));
  EXPECT_TRUE(message("{\"a\": [\"x").starts_with("Unexpected end-of-input in VALUE_STRING"));
  EXPECT_TRUE(message("{\"a\": [\"\\q\"]}").starts_with("Unrecognized character escape 'q'"));
  EXPECT_TRUE(message("{\"a\": [01]}").starts_with("Invalid numeric value: Leading zeroes not allowed"));
}

TEST(PatternTest, DepthAndCombinationsAreBounded) {
  std::string deep;
  for (int i = 0; i < 5'000; ++i) deep += "{\"a\":";
  EXPECT_FALSE(Pattern::parse(deep).has_value());

  std::string either = "{\"x\":[1]},{\"y\":[1]}";
  for (int i = 0; i < 12; ++i)
    either = fmt::format("{{\"a{}\":[1],\"$or\":[{}]}},{{\"b{}\":[1],\"$or\":[{}]}}", i, either, i, either);
  EXPECT_FALSE(Pattern::parse("{\"$or\":[" + either + "]}").has_value());
}

TEST(PatternTest, EvilWildcardsTakeLinearTime) {
  // Backtracking would take 2^n steps for these.
  const auto wildcard = Wildcard::parse("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b");
  ASSERT_TRUE(wildcard.has_value());
  EXPECT_FALSE(wildcard->matches(std::string(200'000, 'a')));
  std::vector<Wildcard> many;
  std::vector<const Wildcard*> refs;
  for (int i = 0; i < 200; ++i) many.push_back(*Wildcard::parse(fmt::format("abc{}*def{}*ghi", i, i)));
  for (const auto& one : many) refs.push_back(&one);
  (void)too_complex(refs);  // ends
}

TEST(PatternTest, EvilArraysTakeBoundedTime) {
  std::string text = R"({"a":[)";
  for (int i = 0; i < 300; ++i) text += fmt::format("{}{{\"x\":\"{}\"}}", i == 0 ? "" : ",", "v");
  text += R"(],"b":[)";
  for (int i = 0; i < 300; ++i) text += fmt::format("{}{{\"y\":\"v\"}}", i == 0 ? "" : ",");
  text += R"(],"c":[{"z":"v"},{"w":"v"}]})";
  const auto pattern = pattern_of(R"({"a":{"x":["v"]},"b":{"y":["v"]},"c":{"z":["v"],"w":["v"]}})");
  EXPECT_FALSE(pattern.matches(event_of(text)));
}

TEST(RuleSetTest, RulesComeAndGo) {
  RuleSet rules;
  for (std::uint64_t i = 0; i < 500; ++i) rules.add(i, pattern_of(fmt::format(R"({{"a":["v{}"],"b":[1]}})", i)));
  const auto event = event_of(R"({"a":"v7","b":1.0})");
  EXPECT_EQ(rules.match(event), std::vector<std::uint64_t>{7});
  rules.add(9, pattern_of(R"({"a":["v7"]})"));
  EXPECT_EQ(rules.match(event), (std::vector<std::uint64_t>{7, 9}));
  for (std::uint64_t i = 0; i < 500; ++i) {
    if (i != 9) rules.remove(i);
  }
  EXPECT_EQ(rules.size(), 1U);
  EXPECT_EQ(rules.match(event), std::vector<std::uint64_t>{9});
  rules.remove(9);
  EXPECT_TRUE(rules.match(event).empty());
}

std::string random_value(std::mt19937& random) {
  static const std::vector<std::string> values = {"\"a\"", "\"ab\"", "\"abc\"", "\"B\"",        "1",
                                                  "2.5",   "null",   "true",    "\"10.0.0.1\"", "\"x/ab/y\""};
  return values[random() % values.size()];
}
std::string random_condition(std::mt19937& random) {
  static const std::vector<std::string> conditions = {R"({"prefix":"a"})",
                                                      R"({"suffix":"b"})",
                                                      R"({"wildcard":"*ab*"})",
                                                      R"({"wildcard":"a*c"})",
                                                      R"({"anything-but":"a"})",
                                                      R"({"numeric":[">",1]})",
                                                      R"({"numeric":["<=",2.5]})",
                                                      R"({"exists":true})",
                                                      R"({"exists":false})",
                                                      R"({"cidr":"10.0.0.0/8"})",
                                                      R"({"equals-ignore-case":"b"})",
                                                      R"({"prefix":{"equals-ignore-case":"B"}})"};
  return random() % 2 == 0 ? random_value(random) : conditions[random() % conditions.size()];
}
std::string random_pattern(std::mt19937& random) {
  std::string out = "{";
  for (const char* path : {"p", "q", "r"}) {
    if (random() % 3 == 0) continue;
    out += fmt::format("{}\"{}\":[{},{}]", out.size() > 1 ? "," : "", path, random_condition(random),
                       random_condition(random));
  }
  if (random() % 3 == 0)
    out += fmt::format("{}\"$or\":[{{\"s\":{{\"t\":[{}]}}}},{{\"s\":{{\"u\":[{}],\"t\":[{}]}}}}]",
                       out.size() > 1 ? "," : "", random_condition(random), random_condition(random),
                       random_condition(random));
  return out.size() > 1 ? out + "}" : R"({"p":["a"]})";
}
std::string random_event(std::mt19937& random) {
  std::string out = "{\"z\":0";
  for (const char* path : {"p", "q", "r"}) {
    if (random() % 4 != 0) out += fmt::format(",\"{}\":{}", path, random_value(random));
  }
  out += ",\"s\":[";
  for (int i = 0; i < 3; ++i)
    out += fmt::format("{}{{\"{}\":{},\"{}\":{}}}", i == 0 ? "" : ",", random() % 2 == 0 ? "t" : "v",
                       random_value(random), random() % 2 == 0 ? "u" : "w", random_value(random));
  return out + "]}";
}

TEST(RuleSetTest, AgreesWithEachPatternAlone) {
  std::mt19937 random(20260101);
  for (int round = 0; round < 20; ++round) {
    RuleSet rules;
    std::vector<Pattern> patterns;
    for (std::uint64_t i = 0; i < 60; ++i) {
      patterns.push_back(pattern_of(random_pattern(random)));
      rules.add(i, patterns.back());
    }
    for (std::uint64_t i = 0; i < 60; i += 7) rules.remove(i);
    for (int k = 0; k < 50; ++k) {
      const auto text = random_event(random);
      const auto event = event_of(text);
      std::vector<std::uint64_t> expected;
      for (std::uint64_t i = 0; i < 60; ++i) {
        if (i % 7 != 0 && patterns[i].matches(event)) expected.push_back(i);
      }
      ASSERT_EQ(rules.match(event), expected) << text;
    }
  }
}

}  // namespace
}  // namespace mayfly::pattern
