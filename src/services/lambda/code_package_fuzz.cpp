// Fuzz entry: any bytes given as a package are refused or accepted, never worse.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "services/lambda/code_package.h"

// NOLINTNEXTLINE(readability-identifier-naming): the name libFuzzer asks for.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // SAFETY: bytes may be read as char, and the view ends before the caller's buffer does.
  const std::string_view zip(reinterpret_cast<const char*>(data), size);
  static_cast<void>(mayfly::lambda::check_package(zip, mayfly::lambda::PackageLimits()));
  return 0;
}
