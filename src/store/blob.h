// Blob: immutable bytes, named by their SHA-256 (lower-case hex), verified on read.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/async.h"
#include "base/error.h"
#include "base/ids.h"

namespace mayfly::store {

using BlobId = Id<struct BlobIdTag>;  // 64 hex digits

class Blob {
 public:
  virtual ~Blob() = default;
  // Durable on return. Putting what exists is cheap and succeeds.
  virtual Awaitable<Result<BlobId>> put(std::string bytes) = 0;
  // kNotFound, kCorrupt (the bytes do not have that hash: the blob is set aside and reported), kTooLarge.
  virtual Awaitable<Result<std::string>> get(BlobId id, std::size_t limit) = 0;
  virtual Awaitable<Result<std::uint64_t>> size(BlobId id) = 0;
  virtual Awaitable<Result<void>> remove(BlobId id) = 0;
  virtual Awaitable<Result<std::vector<BlobId>>> list() = 0;
};

}  // namespace mayfly::store
