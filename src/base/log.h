// The server's own log: one JSON object a line on standard error (or readable text on a terminal), with a level,
// a time, a message and fields. No secret is ever passed as a field.
//   log(Level::kInfo, "instance started", {{"instance", id.str()}, {"function", arn}});
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>

#include "base/clock.h"

namespace mayfly {

enum class Level : std::uint8_t { kDebug, kInfo, kWarn, kError };
enum class LogFormat : std::uint8_t { kText, kJson };

struct LogField {
  std::string_view key;
  std::variant<std::string_view, std::int64_t, double, bool> value;
  // Integers of any width become int64; strings are viewed, not copied.
  LogField(std::string_view k, std::string_view v) : key(k), value(v) {}
  LogField(std::string_view k, const std::string& v) : key(k), value(std::string_view(v)) {}
  LogField(std::string_view k, const char* v) : key(k), value(std::string_view(v)) {}
  LogField(std::string_view k, bool v) : key(k), value(v) {}
  LogField(std::string_view k, double v) : key(k), value(v) {}
  template <typename Integer>
    requires std::is_integral_v<Integer>
  LogField(std::string_view k, Integer v) : key(k), value(static_cast<std::int64_t>(v)) {}
};

// Set once at start, before threads. `clock` outlives every call of log().
void configure_log(Level level, LogFormat format, const Clock& clock);
// Thread safe; one write(2) for each line.
void log(Level level, std::string_view message, std::initializer_list<LogField> fields = {});

}  // namespace mayfly
