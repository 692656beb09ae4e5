// What commands print: text for people (colour only on a terminal and without NO_COLOR), JSON for programs.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/json.h"

namespace mayfly::cli {

struct Output {
  bool json = false;
  bool colour = false;  // on standard output
  [[nodiscard]] std::string bold(std::string_view text) const;
  [[nodiscard]] std::string green(std::string_view text) const;
  [[nodiscard]] std::string red(std::string_view text) const;
  [[nodiscard]] std::string dim(std::string_view text) const;
  void line(std::string_view text) const;      // to standard output
  void note(std::string_view text) const;      // to standard error
  void progress(std::string_view step) const;  // to standard error; nothing with --json
  void table(const std::vector<std::string>& head, const std::vector<std::vector<std::string>>& rows) const;
  void value(const json::value& value) const;           // as one line of JSON
  [[nodiscard]] int failure(const Error& error) const;  // prints it; returns 1
};

Output make_output(bool json);
// Indented JSON for people.
std::string pretty(const json::value& value);

}  // namespace mayfly::cli
