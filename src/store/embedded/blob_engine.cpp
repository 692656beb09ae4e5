#include "store/embedded/blob_engine.h"

#include <functional>

namespace mayfly::store {

// Each piece of work gets its name on the line before the co_await that it is moved into.

Awaitable<Result<BlobId>> BlobEngine::put(std::string bytes) {
  std::function<Result<BlobId>()> work = [this, bytes = std::move(bytes)] { return files_.put(bytes); };
  co_return co_await pool_.run<BlobId>(std::move(work));
}

Awaitable<Result<std::string>> BlobEngine::get(BlobId id, std::size_t limit) {
  std::function<Result<std::string>()> work = [this, id = std::move(id), limit] { return files_.get(id, limit); };
  co_return co_await pool_.run<std::string>(std::move(work));
}

Awaitable<Result<std::uint64_t>> BlobEngine::size(BlobId id) {
  std::function<Result<std::uint64_t>()> work = [this, id = std::move(id)] { return files_.size(id); };
  co_return co_await pool_.run<std::uint64_t>(std::move(work));
}

Awaitable<Result<void>> BlobEngine::remove(BlobId id) {
  std::function<Result<void>()> work = [this, id = std::move(id)] { return files_.remove(id); };
  co_return co_await pool_.run<void>(std::move(work));
}

Awaitable<Result<std::vector<BlobId>>> BlobEngine::list() {
  std::function<Result<std::vector<BlobId>>()> work = [this] { return files_.list(); };
  co_return co_await pool_.run<std::vector<BlobId>>(std::move(work));
}

}  // namespace mayfly::store
