#include "base/log.h"

#include <fmt/core.h>
#include <unistd.h>

#include <atomic>

#include "base/json.h"
#include "base/time_format.h"

namespace mayfly {
namespace {
struct Settings {
  std::atomic<Level> level{Level::kInfo};
  std::atomic<LogFormat> format{LogFormat::kText};
  std::atomic<const Clock*> clock{nullptr};
};
Settings& settings() {
  static Settings instance;
  return instance;
}

std::string_view name_of(Level level) {
  switch (level) {
    case Level::kDebug:
      return "debug";
    case Level::kInfo:
      return "info";
    case Level::kWarn:
      return "warn";
    case Level::kError:
      return "error";
  }
  return "?";
}

std::string json_line(std::string_view time, Level level, std::string_view message,
                      std::initializer_list<LogField> fields) {
  json::object line;
  line["time"] = time;
  line["level"] = name_of(level);
  line["message"] = message;
  for (const auto& field : fields) std::visit([&](auto value) { line[field.key] = value; }, field.value);
  return to_json(line);
}

std::string text_line(std::string_view time, Level level, std::string_view message,
                      std::initializer_list<LogField> fields) {
  std::string line = fmt::format("{} {:5} {}", time, name_of(level), message);
  for (const auto& field : fields)
    std::visit([&](auto value) { line += fmt::format(" {}={}", field.key, value); }, field.value);
  // A value may come from outside: it must not be able to start a line of its own.
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  }
  return line;
}
}  // namespace

void configure_log(Level level, LogFormat format, const Clock& clock) {
  settings().level = level;
  settings().format = format;
  settings().clock = &clock;
}

void log(Level level, std::string_view message, std::initializer_list<LogField> fields) {
  if (level < settings().level.load(std::memory_order_relaxed)) return;
  const Clock* clock = settings().clock;
  const std::string time = clock != nullptr ? iso8601_millis(clock->now()) : std::string("-");
  std::string line = settings().format == LogFormat::kJson ? json_line(time, level, message, fields)
                                                           : text_line(time, level, message, fields);
  line += '\n';
  // A log that cannot be written must not take the server down.
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace mayfly
