// Small files that hold secrets: mode 0600, replaced whole, synced.
#pragma once

#include <filesystem>
#include <string>

#include "base/error.h"

namespace mayfly::identity {

// At most 4 KiB. kForbidden where others may read it, kNotFound where there is none.
Result<std::string> read_private_file(const std::filesystem::path& path);
Result<void> write_private_file(const std::filesystem::path& path, const std::string& text);

}  // namespace mayfly::identity
