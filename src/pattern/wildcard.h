// Wildcard patterns: "*" stands for any characters, "\*" and "\\" for themselves.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace mayfly::pattern {

class Wildcard {
 public:
  // kInvalid with the service's words; positions count the bytes from the opening quote, as the service does.
  static Result<Wildcard> parse(std::string_view text);

  // Linear in the value for each literal: the leftmost place of a literal is always as good as a later one.
  [[nodiscard]] bool matches(std::string_view value) const;

  // The literal characters in order; between each two of them, and where an end is open, anything may stand.
  [[nodiscard]] const std::vector<std::string>& literals() const { return literals_; }
  [[nodiscard]] bool open_start() const { return open_start_; }
  [[nodiscard]] bool open_end() const { return open_end_; }

 private:
  std::vector<std::string> literals_;
  bool open_start_ = false;
  bool open_end_ = false;
};

// Whether the service refuses these wildcards of one field together: some value would keep ten or more of their places
// possible at once.
bool too_complex(const std::vector<const Wildcard*>& wildcards);

}  // namespace mayfly::pattern
