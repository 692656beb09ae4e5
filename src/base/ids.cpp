#include "base/ids.h"

#include <sys/random.h>

#include <cerrno>

#include "base/encoding.h"
#include "base/error.h"

namespace mayfly {

std::string random_bytes(std::size_t count) {
  std::string bytes(count, '\0');
  std::size_t filled = 0;
  while (filled < count) {
    const ssize_t n = ::getrandom(bytes.data() + filled, count - filled, 0);
    if (n < 0 && errno == EINTR) continue;
    MAYFLY_ASSERT(n > 0);
    filled += static_cast<std::size_t>(n);
  }
  return bytes;
}

std::string random_hex(std::size_t bytes) { return hex_encode(random_bytes(bytes)); }

std::string random_alphanumeric(std::size_t n) {
  constexpr std::string_view kAlphabet = "abcdefghijklmnopqrstuvwxyz0123456789";
  constexpr unsigned kUnbiased = 256 - 256 % kAlphabet.size();  // Bytes from here on would favour the first letters.
  std::string out;
  while (out.size() < n) {
    for (const char c : random_bytes(n - out.size())) {
      const unsigned byte = static_cast<unsigned char>(c);
      if (byte < kUnbiased) out += kAlphabet[byte % kAlphabet.size()];
    }
  }
  return out;
}

std::string uuid4() {
  // One request to the kernel serves many ids: the invoke path makes one for each request.
  thread_local std::string buffer;
  thread_local std::size_t used = 0;
  if (used + 16 > buffer.size()) {
    buffer = random_bytes(1024);
    used = 0;
  }
  std::string raw = buffer.substr(used, 16);
  used += 16;
  raw[6] = static_cast<char>((raw[6] & 0x0f) | 0x40);
  raw[8] = static_cast<char>((raw[8] & 0x3f) | 0x80);
  std::string hex = hex_encode(raw);
  for (const std::size_t at : {20UL, 16UL, 12UL, 8UL}) hex.insert(at, 1, '-');
  return hex;
}

}  // namespace mayfly
