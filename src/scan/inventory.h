// The files of a package, and the dependencies that they tell of.
//
// Operation.   npm: package-lock.json (lockfileVersion 1 to 3) and node_modules/**/package.json. PyPI:
// *.dist-info/METADATA and
//              requirements*.txt, of which lines with one exact version count. Go: the build information of programs.
// Limits.      Links are not followed. Files over kMostTextBytes (programs: kMostProgramBytes) are not read and are
// counted as
//              unread, so that a report never claims more than it looked at.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "scan/component.h"

namespace mayfly::scan {

inline constexpr std::uint64_t kMostTextBytes = 32ULL << 20;
inline constexpr std::uint64_t kMostProgramBytes = 250ULL << 20;

struct WalkedFile {
  std::string name;       // from the package's root: "node_modules/a/package.json"
  std::string_view text;  // for the time of the call
};
struct Walk {
  std::size_t files = 0;
  std::size_t unread = 0;
};
// Calls `visit` with every regular file below `folder`, in the order of their names. Blocks. kNotFound, kIo.
Result<Walk> walk(const std::filesystem::path& folder, const std::function<void(const WalkedFile&)>& visit);

// The same with the files of a zip package, in its order. kInvalid, kTooLarge (more than 1 GiB in all).
Result<Walk> walk_zip(std::string_view bytes, const std::function<void(const WalkedFile&)>& visit);

[[nodiscard]] bool is_program(std::string_view text);  // ELF

// What one file tells; nothing where it is none of those above or cannot be understood.
std::vector<Component> components_of(const WalkedFile& file);

}  // namespace mayfly::scan
