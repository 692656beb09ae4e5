// For tests: frames as a client of a WebSocket sends them.
#pragma once

#include <string>
#include <string_view>

namespace mayfly::http::testing {

inline std::string client_frame(int opcode, std::string_view payload, bool is_final = true) {
  constexpr std::string_view kMask = "\x37\xfa\x21\x3d";
  std::string out(1, static_cast<char>((is_final ? 0x80 : 0) | opcode));
  if (payload.size() < 126) {
    out += static_cast<char>(0x80U | payload.size());
  } else {
    out += static_cast<char>(payload.size() < 65536 ? 0xFE : 0xFF);
    for (int i = payload.size() < 65536 ? 1 : 7; i >= 0; --i) {
      out += static_cast<char>(payload.size() >> (8U * static_cast<unsigned>(i)) & 0xFFU);
    }
  }
  out += kMask;
  for (std::size_t i = 0; i < payload.size(); ++i) out += static_cast<char>(payload[i] ^ kMask[i % kMask.size()]);
  return out;
}

}  // namespace mayfly::http::testing
