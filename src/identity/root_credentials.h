// The root credentials: made at the first start, kept in a file that only its owner may read.
#pragma once

#include <filesystem>
#include <string>

#include "base/error.h"

namespace mayfly::identity {

struct RootCredentials {
  std::string access_key_id;
  std::string secret_access_key;
};

inline constexpr const char* kCredentialsFile = "root-credentials.json";

// Reads the file, or makes it (mode 0600, synced). A file that others may read is refused.
Result<RootCredentials> load_or_make_root_credentials(const std::filesystem::path& data, bool& made);
Result<RootCredentials> read_root_credentials(const std::filesystem::path& data);

}  // namespace mayfly::identity
