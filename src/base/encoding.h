// Text encodings: base64, hex, percent, UTF-8. Decoders refuse malformed input and never read past its end.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace mayfly {

std::string base64_encode(std::string_view bytes);
// Standard alphabet with padding; nullopt for anything else.
std::optional<std::string> base64_decode(std::string_view text);
std::string hex_encode(std::string_view bytes);
std::optional<std::string> hex_decode(std::string_view text);
// RFC 3986: everything but ALPHA DIGIT - . _ ~ is escaped, upper-case hex (SigV4's UriEncode).
enum class Slash : bool { kEncode, kKeep };
std::string percent_encode(std::string_view text, Slash slash);
// nullopt where '%' is not followed by two hex digits. '+' stays '+'.
std::optional<std::string> percent_decode(std::string_view text);

// RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF.
bool is_valid_utf8(std::string_view text);

bool iequals(std::string_view a, std::string_view b);  // ASCII case-insensitive
std::string to_lower(std::string_view text);           // ASCII
std::string to_upper(std::string_view text);           // ASCII
std::string_view trim(std::string_view text);          // spaces and tabs at both ends

}  // namespace mayfly
