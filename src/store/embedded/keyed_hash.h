// SipHash-2-4 with 128 bits, under a secret key: names become 16 bytes in the index, and whoever chooses the names
// cannot choose their hashes. Two different names have one hash with a probability of 2^-128, and are taken for the
// same.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace mayfly::store {

struct Hash128 {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  bool operator==(const Hash128&) const = default;
};

class KeyedHash {
 public:
  struct Key {
    std::uint64_t first = 0;
    std::uint64_t second = 0;
  };
  explicit KeyedHash(Key key) : key_(key) {}

  [[nodiscard]] Hash128 operator()(std::string_view bytes) const {
    State state{key_.first ^ 0x736f6d6570736575U, key_.second ^ 0x646f72616e646f6dU ^ 0xeeU,
                key_.first ^ 0x6c7967656e657261U, key_.second ^ 0x7465646279746573U};
    std::string_view rest = bytes;
    for (; rest.size() >= 8; rest.remove_prefix(8)) absorb(state, load(rest.substr(0, 8)));
    absorb(state, (static_cast<std::uint64_t>(bytes.size()) << 56U) | load(rest));
    Hash128 hash;
    state[2] ^= 0xeeU;
    rounds(state, 4);
    hash.high = state[0] ^ state[1] ^ state[2] ^ state[3];
    state[1] ^= 0xddU;
    rounds(state, 4);
    hash.low = state[0] ^ state[1] ^ state[2] ^ state[3];
    return hash;
  }

 private:
  using State = std::array<std::uint64_t, 4>;

  static std::uint64_t load(std::string_view bytes) {
    std::uint64_t word = 0;
    if (!bytes.empty()) std::memcpy(&word, bytes.data(), bytes.size());
    if constexpr (std::endian::native == std::endian::big) word = __builtin_bswap64(word);
    return word;
  }
  static void absorb(State& state, std::uint64_t word) {
    state[3] ^= word;
    rounds(state, 2);
    state[0] ^= word;
  }
  static void rounds(State& v, int count) {
    for (int i = 0; i < count; ++i) {
      v[0] += v[1];
      v[2] += v[3];
      v[1] = std::rotl(v[1], 13) ^ v[0];
      v[3] = std::rotl(v[3], 16) ^ v[2];
      v[0] = std::rotl(v[0], 32);
      v[2] += v[1];
      v[0] += v[3];
      v[1] = std::rotl(v[1], 17) ^ v[2];
      v[3] = std::rotl(v[3], 21) ^ v[0];
      v[2] = std::rotl(v[2], 32);
    }
  }

  Key key_;
};

}  // namespace mayfly::store
