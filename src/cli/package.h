// A folder or a zip file as a deployment package, and what can be guessed of its runtime and handler.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "base/error.h"

namespace mayfly::cli {

struct Package {
  std::string zip;
  std::size_t files = 0;
  std::string language;  // "nodejs", "python", "provided", or "" where nothing tells
  std::string handler;   // "index.handler", or ""
};

// A folder is zipped with its permissions, without .git, __pycache__ and .DS_Store; a link is followed only inside it.
Result<Package> read_package(const std::filesystem::path& path);

}  // namespace mayfly::cli
