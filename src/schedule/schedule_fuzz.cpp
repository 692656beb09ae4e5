// Fuzz entry: any expression and any zone file end in a schedule or an error, and a schedule's next times ascend.
#include <cstddef>
#include <cstdint>
#include <string>

#include "schedule/schedule.h"

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mayfly;
  std::string text;
  for (std::size_t i = 0; i < size; ++i) text += static_cast<char>(data[i]);
  // "expression\nzone file"
  const auto line = std::min(text.find('\n'), text.size());
  const auto expression = text.substr(0, line);
  const auto zone = schedule::TimeZone::parse(text.substr(std::min(line + 1, text.size())));
  for (const auto dialect : {schedule::Dialect::kRule, schedule::Dialect::kScheduler}) {
    const auto parsed = schedule::Schedule::parse(expression, dialect);
    if (!parsed) continue;
    SystemTime at{std::chrono::sys_days(std::chrono::year(2026) / 1 / 1)};
    for (int i = 0; i < 8; ++i) {
      const auto next = parsed->next_after(at, zone ? *zone : schedule::TimeZone(), at);
      if (!next) break;
      MAYFLY_ASSERT(*next > at);
      at = *next;
    }
  }
  return 0;
}
