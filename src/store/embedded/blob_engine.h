// Blob over files, on threads of its own: a large package being synced does not hold up other blocking work.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/async.h"
#include "store/blob.h"
#include "store/embedded/blob_files.h"

namespace mayfly::store {

class BlobEngine final : public Blob {
 public:
  static constexpr std::size_t kThreads = 4;
  static constexpr std::size_t kMaxWaiting = 1'024;

  explicit BlobEngine(BlobFiles files) : files_(std::move(files)), pool_(kThreads, kMaxWaiting) {}

  Awaitable<Result<BlobId>> put(std::string bytes) override;
  Awaitable<Result<std::string>> get(BlobId id, std::size_t limit) override;
  Awaitable<Result<std::uint64_t>> size(BlobId id) override;
  Awaitable<Result<void>> remove(BlobId id) override;
  Awaitable<Result<std::vector<BlobId>>> list() override;

 private:
  const BlobFiles files_;
  BlockingPool pool_;  // last: its threads use files_
};

}  // namespace mayfly::store
