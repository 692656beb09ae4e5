// How many events a second one core matches against 10, 1,000 and 10,000 rules; with and without reading their JSON.
//   mayfly_pattern_bench [events]
#include <fmt/core.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "base/clock.h"
#include "pattern/rule_set.h"

namespace {

using namespace mayfly;

// Rules as people write them: some by source and type alone, most with something of the detail, by every operator.
std::string rule(std::size_t i) {
  const auto source = fmt::format("app.service{}", i % 20);
  switch (i % 8) {
    case 0:
      return fmt::format(R"({{"source":["{}"],"detail-type":["Order Placed"],"detail":{{"state":["state-{}"]}}}})",
                         source, i);
    case 1:
      return fmt::format(R"({{"source":["{}"],"detail":{{"order":{{"total":[{{"numeric":[">",{},"<=",{}]}}]}}}}}})",
                         source, i, i + 3);
    case 2:
      return fmt::format(R"({{"source":["{}"],"detail":{{"key":[{{"prefix":"tenant-{}/"}}]}}}})", source, i);
    case 3:
      return fmt::format(R"({{"source":["{}"],"detail":{{"key":[{{"suffix":".type{}"}}]}}}})", source, i);
    case 4:
      return fmt::format(R"({{"source":["{}"],"detail":{{"key":[{{"wildcard":"tenant-*/dir-{}/*"}}]}}}})", source, i);
    case 5:
      return fmt::format(R"({{"source":["{}"],"detail":{{"ip":[{{"cidr":"10.{}.{}.0/24"}}]}}}})", source, i / 250 % 250,
                         i % 250);
    case 6:
      return fmt::format(
          R"({{"source":["{}"],"detail":{{"state":[{{"anything-but":["idle","done"]}}],"customer":[{{"equals-ignore-case":"Customer-{}"}}]}}}})",
          source, i);
    default:
      return fmt::format(
          R"({{"source":["{}"],"$or":[{{"detail":{{"state":["s{}"]}}}},{{"detail":{{"customer":["c{}"]}}}}]}})", source,
          i, i);
  }
}

std::string event(std::size_t i) {
  return fmt::format(
      R"({{"version":"0","id":"6a7e8feb-b491-4cf7-a9f1-bf3703467718","detail-type":"Order Placed","source":"app.service{}","account":"111122223333","time":"2026-01-01T00:00:00Z","region":"us-east-1","resources":[],"detail":{{"state":"state-{}","order":{{"total":{},"currency":"EUR","items":3}},"key":"tenant-{}/dir-{}/file.type{}","ip":"10.{}.{}.7","customer":"CUSTOMER-{}","note":"a text that no rule looks at","attempt":1,"flag":true}}}})",
      i % 20, i * 8 % 1000, i % 1000 + 2, i % 1000, i % 900, i % 700, i / 250 % 4, i % 250, i % 1000);
}

double seconds(const RealClock& clock, SteadyTime start) {
  return std::chrono::duration<double>(clock.steady_now() - start).count();
}

}  // namespace

int main(int argc, char** argv) {
  const std::size_t count = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 200'000;
  const RealClock clock;
  std::vector<std::string> texts;
  std::vector<json::value> events;
  for (std::size_t i = 0; i < 1000; ++i) {
    texts.push_back(event(i * 7919));
    events.push_back(std::move(*parse_json(texts.back())));
  }
  double first = 0;
  for (const std::size_t rules : {10UL, 1'000UL, 10'000UL}) {
    pattern::RuleSet set;
    auto start = clock.steady_now();
    for (std::size_t i = 0; i < rules; ++i) set.add(i, std::move(*pattern::Pattern::parse(rule(i))));
    const double building = seconds(clock, start);
    std::size_t matched = 0;
    start = clock.steady_now();
    for (std::size_t i = 0; i < count; ++i) matched += set.match(events[i % events.size()]).size();
    const double matching = seconds(clock, start);
    start = clock.steady_now();
    for (std::size_t i = 0; i < count; ++i) matched += set.match(*parse_json(texts[i % texts.size()])).size();
    const double reading = seconds(clock, start);
    const double rate = static_cast<double>(count) / matching;
    if (first == 0) first = rate;
    fmt::print(
        "{:>6} rules: {:>9.0f} events/s ({:.2f} of 10 rules), with reading the JSON {:>9.0f} events/s; "
        "{:.2f} matches an event; built in {:.1f} ms\n",
        rules, rate, rate / first, static_cast<double>(count) / reading,
        static_cast<double>(matched) / 2 / static_cast<double>(count), building * 1e3);
  }
  return 0;
}
