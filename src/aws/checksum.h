// The cyclic checksums that AWS formats carry: event streams (CRC-32) and trailers of uploads.
#pragma once

#include <cstdint>
#include <string_view>

namespace mayfly::aws {

std::uint32_t crc32(std::string_view bytes, std::uint32_t seed = 0);  // ISO-HDLC, as zlib
std::uint32_t crc32c(std::string_view bytes);                         // Castagnoli
std::uint64_t crc64_nvme(std::string_view bytes);

}  // namespace mayfly::aws
