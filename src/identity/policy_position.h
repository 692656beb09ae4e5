// Where a part of a JSON text stands, for messages, and members that stand twice in one object.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace mayfly::identity {

struct Position {
  std::size_t line = 1;
  std::size_t column = 1;
};
Position position_of(std::string_view text, std::size_t offset);

// `text` is valid JSON. The offset of the value at a path such as "Statement[0].Effect" ("" is the whole), nullopt
// where there is none.
std::optional<std::size_t> find_offset(std::string_view text, std::string_view path);
// The path of the first member whose name stands twice in its object. JSON readers keep one of the two in silence.
std::optional<std::string> find_duplicate(std::string_view text);

}  // namespace mayfly::identity
