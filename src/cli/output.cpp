#include "cli/output.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace mayfly::cli {
namespace {
std::string wrap(bool colour, std::string_view code, std::string_view text) {
  return colour ? fmt::format("\x1b[{}m{}\x1b[0m", code, text) : std::string(text);
}

void indent(const json::value& value, std::string& out, std::size_t depth) {
  const std::string margin(depth * 2, ' ');
  if (value.is_object() && !value.get_object().empty()) {
    out += "{\n";
    bool first = true;
    for (const auto& member : value.get_object()) {
      if (!std::exchange(first, false)) out += ",\n";
      out += margin + "  " + to_json(json::value(member.key())) + ": ";
      indent(member.value(), out, depth + 1);
    }
    out += "\n" + margin + "}";
  } else if (value.is_array() && !value.get_array().empty()) {
    out += "[\n";
    bool first = true;
    for (const auto& element : value.get_array()) {
      if (!std::exchange(first, false)) out += ",\n";
      out += margin + "  ";
      indent(element, out, depth + 1);
    }
    out += "\n" + margin + "]";
  } else {
    out += to_json(value);
  }
}
}  // namespace

Output make_output(bool json) {
  const bool no_colour = std::getenv("NO_COLOR") != nullptr;  // NOLINT(concurrency-mt-unsafe): one thread.
  return {.json = json, .colour = !json && !no_colour && ::isatty(STDOUT_FILENO) == 1};
}

std::string Output::bold(std::string_view text) const { return wrap(colour, "1", text); }
std::string Output::green(std::string_view text) const { return wrap(colour, "32", text); }
std::string Output::red(std::string_view text) const { return wrap(colour, "31", text); }
std::string Output::dim(std::string_view text) const { return wrap(colour, "2", text); }

void Output::line(std::string_view text) const {
  fmt::print("{}\n", text);
  std::fflush(stdout);
}
void Output::note(std::string_view text) const { fmt::print(stderr, "{}\n", text); }
void Output::progress(std::string_view step) const {
  if (!json) fmt::print(stderr, "  {}\n", step);
}

void Output::table(const std::vector<std::string>& head, const std::vector<std::vector<std::string>>& rows) const {
  std::vector<std::size_t> widths;
  widths.reserve(head.size());
  for (const auto& cell : head) widths.push_back(cell.size());
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  const auto print_row = [&](const std::vector<std::string>& row, bool strong) {
    std::string text;
    for (std::size_t i = 0; i < row.size(); ++i) {
      text += i + 1 == row.size() ? row[i] : fmt::format("{:<{}}  ", row[i], widths[i]);
    }
    line(strong ? bold(text) : text);
  };
  print_row(head, true);
  for (const auto& row : rows) print_row(row, false);
}

void Output::value(const json::value& value) const { line(to_json(value)); }

int Output::failure(const Error& error) const {
  if (json) {
    json::object body{{"error", error.message}, {"code", to_string(error.code)}};
    if (!error.hint.empty()) body["hint"] = error.hint;
    value(body);
    return 1;
  }
  const bool stderr_colour = colour && ::isatty(STDERR_FILENO) == 1;
  fmt::print(stderr, "{} {}\n", wrap(stderr_colour, "31", "mayfly:"), error.message);
  if (!error.hint.empty()) fmt::print(stderr, "  {}\n", error.hint);
  return 1;
}

std::string pretty(const json::value& value) {
  std::string out;
  indent(value, out, 0);
  return out;
}

}  // namespace mayfly::cli
