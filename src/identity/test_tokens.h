// What the tests of tokens share.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

#include "base/encoding.h"

namespace mayfly::identity {

// RFC 7515, appendix C.
inline std::string base64url(std::string_view bytes) {
  auto text = base64_encode(bytes);
  std::ranges::replace(text, '+', '-');
  std::ranges::replace(text, '/', '_');
  while (text.ends_with('=')) text.pop_back();
  return text;
}

}  // namespace mayfly::identity
