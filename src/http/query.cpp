#include "http/query.h"

#include <algorithm>

#include "base/encoding.h"

namespace mayfly::http {

std::optional<QueryPart> next_part(std::string_view& rest) {
  while (!rest.empty()) {
    const auto text = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(text.size() + 1, rest.size()));
    if (text.empty()) continue;
    const auto equals = text.find('=');
    const bool has_value = equals != std::string_view::npos;
    return QueryPart{.text = text,
                     .name = text.substr(0, equals),
                     .value = has_value ? text.substr(equals + 1) : std::string_view(),
                     .has_value = has_value};
  }
  return std::nullopt;
}

std::optional<std::string> query_value(std::string_view query, std::string_view name) {
  while (const auto part = next_part(query)) {
    if (part->has_value && part->name == name) return percent_decode(part->value);
  }
  return std::nullopt;
}

std::string decode_form(std::string_view text) {
  std::string plain(text);
  std::ranges::replace(plain, '+', ' ');
  auto decoded = percent_decode(plain);
  return decoded ? std::move(*decoded) : plain;
}

}  // namespace mayfly::http
