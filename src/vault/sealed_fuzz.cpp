// What lies in a store that somebody wrote to: sealed values, and texts with some in them.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "vault/vault.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mayfly::vault;
  static const Vault kVault({make_master_key(std::string(kKeyBytes, 'k'))});
  const std::string_view text(reinterpret_cast<const char*>(data), size);  // SAFETY: bytes as they are.
  std::ignore = kVault.open("context", text);
  std::ignore = kVault.rewrap(text);
  std::ignore = parse_master_keys(text);
  for (auto found = next_sealed(text, 0); found; found = next_sealed(text, found->second)) {
    if (found->second <= found->first || found->second > size) __builtin_trap();
  }
  return 0;
}
