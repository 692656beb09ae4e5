#include "aws/checksum.h"

#include <array>
#include <cstddef>

namespace mayfly::aws {

namespace {

template <typename Word>
constexpr std::array<Word, 256> make_table(Word reflected_polynomial) {
  std::array<Word, 256> table{};
  for (std::size_t i = 0; i < table.size(); ++i) {
    Word value = static_cast<Word>(i);
    for (int bit = 0; bit < 8; ++bit) value = (value & 1U) != 0 ? (value >> 1U) ^ reflected_polynomial : value >> 1U;
    table[i] = value;
  }
  return table;
}

constexpr auto kCrc32 = make_table<std::uint32_t>(0xEDB88320U);
constexpr auto kCrc32c = make_table<std::uint32_t>(0x82F63B78U);
constexpr auto kCrc64Nvme = make_table<std::uint64_t>(0x9A6C9329AC4BC9B5ULL);

template <typename Word>
Word run(const std::array<Word, 256>& table, std::string_view bytes, Word value) {
  for (const char c : bytes) value = table[(value ^ static_cast<unsigned char>(c)) & 0xFFU] ^ (value >> 8U);
  return value;
}

}  // namespace

std::uint32_t crc32(std::string_view bytes, std::uint32_t seed) { return ~run(kCrc32, bytes, ~seed); }
std::uint32_t crc32c(std::string_view bytes) { return ~run(kCrc32c, bytes, ~std::uint32_t{0}); }
std::uint64_t crc64_nvme(std::string_view bytes) { return ~run(kCrc64Nvme, bytes, ~std::uint64_t{0}); }

}  // namespace mayfly::aws
