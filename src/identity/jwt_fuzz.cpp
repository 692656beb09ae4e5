// Feeds arbitrary bytes to the token parser and the key set reader.
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <tuple>

#include "identity/jwt.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // SAFETY: the fuzzer's bytes as characters.
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto token = mayfly::identity::parse_jwt(text);
  const auto keys = mayfly::identity::parse_jwks(text);
  if (token) {
    const mayfly::identity::JwtRules rules{.issuer = "i", .audience = {}, .now = {}};
    std::ignore = mayfly::identity::check_claims(*token, rules);
    std::ignore = mayfly::identity::scopes_of(token->claims);
  }
  if (keys && token) {
    for (const auto& key : *keys) std::ignore = key.verify(*token);
  }
  return 0;
}
