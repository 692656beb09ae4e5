// Zip packages of functions and layers: what is accepted, and how one becomes a folder on the host.
//
// A package is foreign input. Nothing of it reaches the disk before every entry's name, kind and declared size have
// been checked; actual sizes are counted while it is unpacked, because declared ones may lie. Unpacking writes to a
// temporary folder beside the final one, syncs, and renames, so that a folder of that name is always whole.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "base/error.h"

namespace mayfly::lambda {

struct PackageLimits {
  std::uint64_t zipped_bytes = 50ULL << 20;
  std::uint64_t unzipped_bytes = 250ULL << 20;
  std::uint64_t entries = 65'535;
  std::size_t path_bytes = 1024;
};

struct PackageSummary {
  std::uint64_t entries = 0;
  std::uint64_t unzipped_bytes = 0;  // as declared
};

// kInvalid (no zip, traversal, absolute path, link out, special file, duplicate name), kTooLarge. Blocks: for the pool.
Result<PackageSummary> check_package(std::string_view zip, const PackageLimits& limits);
// Checks and unpacks to `target`. Success without work where `target` exists. Files get mode 0644 or 0755, folders
// 0755, whatever the package says. Blocks: for the pool.
Result<void> unpack_package(std::string_view zip, const PackageLimits& limits, const std::filesystem::path& target);

}  // namespace mayfly::lambda
