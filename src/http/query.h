// Query strings, and forms in their notation ("a=1&b=&c").
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace mayfly::http {

// One part, still escaped. Of "b" the value is "" and has_value false.
struct QueryPart {
  std::string_view text;
  std::string_view name;
  std::string_view value;
  bool has_value = false;
};
// Takes the first part off `rest`; empty ones are passed over. nullopt at the end.
std::optional<QueryPart> next_part(std::string_view& rest);

// The value of the first part of exactly this name that has one, its escapes replaced; nullopt where there is none or
// its escapes are none.
std::optional<std::string> query_value(std::string_view query, std::string_view name);

// '+' and escapes replaced, as of a form; text whose escapes are none keeps them.
std::string decode_form(std::string_view text);

}  // namespace mayfly::http
