#include "store/embedded/embedded.h"

#include <fmt/core.h>

#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "base/ids.h"
#include "base/log.h"
#include "store/embedded/blob_engine.h"
#include "store/embedded/database.h"
#include "store/embedded/files.h"
#include "store/embedded/key_value_engine.h"
#include "store/embedded/queue_database.h"
#include "store/embedded/queue_engine.h"
#include "store/embedded/records.h"
#include "store/embedded/stream_database.h"
#include "store/embedded/stream_engine.h"

namespace mayfly::store {

// Members are destroyed from the last to the first: the engines stop before the database closes, and the lock goes
// last.
struct Embedded::Impl {
  UniqueFd lock;
  std::unique_ptr<Database> database;
  std::unique_ptr<QueueDatabase> queue_database;
  std::unique_ptr<StreamDatabase> stream_database;
  Records records;
  RecoveryReport recovery;
  std::unique_ptr<BlobEngine> blob;
  std::unique_ptr<KeyValueEngine> key_value;
  std::unique_ptr<QueueEngine> queue;
  std::unique_ptr<StreamEngine> stream;
};

namespace {

// Names are hashed with a key that nobody outside knows.
KeyedHash::Key random_key() {
  const std::string bytes = random_bytes(sizeof(KeyedHash::Key));
  KeyedHash::Key key;
  std::memcpy(&key, bytes.data(), sizeof(key));
  return key;
}

}  // namespace

Result<std::unique_ptr<Embedded>> Embedded::open(const std::filesystem::path& directory, Clock& clock) {
  auto impl = std::make_unique<Impl>();
  std::error_code error;
  if (directory.has_parent_path()) std::filesystem::create_directories(directory.parent_path(), error);
  if (error) return std::unexpected(errno_error(error.value(), fmt::format("create {}", directory.string())));
  if (auto made = make_directory(directory); !made) return std::unexpected(made.error());
  const auto parent = std::filesystem::absolute(directory).parent_path();
  if (auto synced = sync_directory(parent); !synced && synced.error().code != ErrorCode::kForbidden) {
    return std::unexpected(synced.error());
  }

  auto lock = lock_directory(directory);
  if (!lock) return std::unexpected(lock.error());
  impl->lock = std::move(*lock);

  auto database = Database::open(directory / "store.db");
  if (!database) return std::unexpected(database.error());
  impl->database = std::move(*database);
  auto loaded = impl->database->load([&records = impl->records](Entry entry) { records.insert(std::move(entry)); });
  if (!loaded) return std::unexpected(loaded.error());

  auto queue_database = QueueDatabase::open(directory / "queue.db");
  if (!queue_database) return std::unexpected(queue_database.error());
  impl->queue_database = std::move(*queue_database);
  auto stream_database = StreamDatabase::open(directory / "stream.db");
  if (!stream_database) return std::unexpected(stream_database.error());
  impl->stream_database = std::move(*stream_database);
  auto core = std::make_unique<QueueCore>(random_key());
  if (auto read = impl->queue_database->load(*core); !read) return std::unexpected(read.error());

  BlobFiles files(directory / "blobs");
  auto removed = files.open();
  if (!removed) return std::unexpected(removed.error());
  // The names of the database, its log and the blobs' folder become durable before anything is acknowledged.
  if (auto synced = sync_directory(directory); !synced) return std::unexpected(synced.error());

  impl->recovery = RecoveryReport{.was_clean = impl->database->was_clean(),
                                  .temporary_files_removed = *removed,
                                  .keys = impl->records.size(),
                                  .queues = core->queues(),
                                  .messages = core->messages(),
                                  .schema_version = impl->database->schema_version()};
  impl->blob = std::make_unique<BlobEngine>(std::move(files));
  impl->key_value = std::make_unique<KeyValueEngine>(*impl->database, impl->records);
  impl->queue = std::make_unique<QueueEngine>(*impl->queue_database, std::move(core), clock);
  impl->stream = std::make_unique<StreamEngine>(*impl->stream_database, clock);
  if (!impl->recovery.was_clean) {
    log(Level::kWarn, "the store was not closed by the last server; it has been recovered",
        {{"keys", impl->recovery.keys},
         {"messages", impl->recovery.messages},
         {"temporary_files_removed", impl->recovery.temporary_files_removed}});
  }
  return std::unique_ptr<Embedded>(new Embedded(std::move(impl)));
}

Embedded::Embedded(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Embedded::~Embedded() {
  impl_->stream.reset();
  impl_->queue.reset();
  impl_->key_value.reset();
  impl_->blob.reset();
  if (const auto marked = impl_->database->mark_clean(); !marked) {
    log(Level::kError, "the store could not be marked as closed", {{"error", marked.error().message}});
  }
}

KeyValue& Embedded::key_value() { return *impl_->key_value; }
Stream& Embedded::stream() { return *impl_->stream; }
Queue& Embedded::queue() { return *impl_->queue; }
Blob& Embedded::blob() { return *impl_->blob; }
const RecoveryReport& Embedded::recovery() const { return impl_->recovery; }

}  // namespace mayfly::store
