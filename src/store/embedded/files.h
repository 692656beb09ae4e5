// The few durable file operations of the embedded engine. All of them block.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/fd.h"

namespace mayfly::store {

// Creates one folder, mode 0700; success where it exists.
Result<void> make_directory(const std::filesystem::path& directory);
// Makes the folder's entries durable: without it a rename or a new file can be forgotten by a power failure.
Result<void> sync_directory(const std::filesystem::path& directory);
// Creates a file that must not exist (mode 0600), writes it and syncs its bytes; removes it where that fails.
Result<void> write_new_file(const std::filesystem::path& file, std::string_view bytes);
// The whole file; kTooLarge where it is larger than `limit`.
Result<std::string> read_whole_file(const std::filesystem::path& file, std::size_t limit);
// An exclusive lock on `directory`/lock that ends with the descriptor or the process. kConflict where another holds it.
Result<UniqueFd> lock_directory(const std::filesystem::path& directory);

}  // namespace mayfly::store
