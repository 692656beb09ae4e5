// Blobs as files: blobs/<first two digits>/<sha256>. Blocking; any thread.
//
// Operation. Bytes are written to blobs/tmp, synced, renamed to their name, and the folder is synced; a name that can
// be
//            seen therefore holds whole bytes. A file whose bytes do not have its hash is moved to blobs/corrupt for
//            people to look at, so that a later put heals the blob.
// Recovery.  open() removes what a death left in blobs/tmp.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/error.h"
#include "store/blob.h"

namespace mayfly::store {

class BlobFiles {
 public:
  static constexpr std::size_t kMaxBlobBytes = 1024UL * 1024 * 1024;

  explicit BlobFiles(std::filesystem::path directory) : directory_(std::move(directory)) {}

  // Creates the folders. Returns how many temporary files it removed.
  Result<std::size_t> open();
  Result<BlobId> put(const std::string& bytes) const;
  Result<std::string> get(const BlobId& id, std::size_t limit) const;
  Result<std::uint64_t> size(const BlobId& id) const;
  Result<void> remove(const BlobId& id) const;
  Result<std::vector<BlobId>> list() const;

 private:
  [[nodiscard]] std::filesystem::path folder_of(const BlobId& id) const;
  [[nodiscard]] std::filesystem::path path_of(const BlobId& id) const;
  std::unexpected<Error> set_aside(const BlobId& id) const;

  std::filesystem::path directory_;
};

}  // namespace mayfly::store
