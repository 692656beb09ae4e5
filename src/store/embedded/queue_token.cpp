#include "store/embedded/queue_token.h"

#include <fmt/core.h>

#include <charconv>
#include <string_view>

namespace mayfly::store {

namespace {

// Takes a number in lower-case hexadecimal digits and the `end` behind it off the front of `text`.
template <typename Number>
bool take_number(std::string_view& text, std::string_view end, Number& number) {
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number, 16);
  if (error != std::errc() || stop == text.data()) return false;
  text.remove_prefix(static_cast<std::size_t>(stop - text.data()));
  if (!text.starts_with(end) || (end.empty() && !text.empty())) return false;
  text.remove_prefix(end.size());
  return true;
}

}  // namespace

LeaseToken to_token(const LeaseTokenParts& parts) {
  return LeaseToken(fmt::format("{:x}.{:x}.{:x}.{:x}", parts.queue, parts.sequence, parts.receive_count, parts.slot));
}

std::optional<LeaseTokenParts> parse_token(const LeaseToken& token) {
  LeaseTokenParts parts;
  std::string_view text = token.str();
  const bool parsed = take_number(text, ".", parts.queue) && take_number(text, ".", parts.sequence) &&
                      take_number(text, ".", parts.receive_count) && take_number(text, "", parts.slot);
  // Only what to_token() writes: no other spelling of the same numbers.
  if (!parsed || to_token(parts) != token) return std::nullopt;
  return parts;
}

}  // namespace mayfly::store
