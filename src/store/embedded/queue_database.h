// The file of the queues, queue.db: its schema, loading the index from it, and writing changes down.
//
// Operation.   A message's row is written once and deleted once; what a lease changes lies in a small row of its own,
//              so that leasing does not write bodies again. A purge or a removal writes one row: the messages' rows
//              are deleted later, in small steps.
// Concurrency. One thread at a time: whoever opens it, then the engine's thread.
// Recovery.    See SqliteFile. The table `meta` holds the schema version and the highest sequence that may have been
//              given.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "store/embedded/queue_core.h"
#include "store/embedded/sqlite_file.h"

namespace mayfly::store {

inline constexpr int kQueueSchemaVersion = 1;

// What the index does not hold of a message.
struct QueueContent {
  std::string id;
  std::string body;
  std::string group;
  std::string dedupe_id;
  std::string state;
};

class QueueDatabase {
 public:
  // kUnsupported: made by a newer program.
  static Result<std::unique_ptr<QueueDatabase>> open(const std::filesystem::path& file);
  QueueDatabase(const QueueDatabase&) = delete;
  QueueDatabase& operator=(const QueueDatabase&) = delete;
  ~QueueDatabase() = default;

  Result<void> load(QueueCore& core);

  Result<void> begin() { return file_.begin(); }
  Result<void> write(const QueueChange& change);
  Result<void> commit() { return file_.commit(); }
  Result<void> rollback() { return file_.rollback(); }

  // kCorrupt where there is no such message.
  Result<QueueContent> read(std::uint64_t sequence, bool has_state);
  // The id of the message that a dedupe record stands for.
  Result<std::string> dedupe_message_id(std::uint64_t sequence);

  // For tests, as in SqliteFile.
  Result<void> limit_pages(std::int64_t pages) { return file_.limit_pages(pages); }
  [[nodiscard]] std::int64_t pages() { return file_.pages(); }

 private:
  explicit QueueDatabase(SqliteFile file) : file_(std::move(file)) {}
  Result<void> prepare_statements();
  Result<void> load_queues(QueueCore& core);
  Result<void> load_messages(QueueCore& core);
  Result<void> load_dedupe(QueueCore& core);
  Result<void> write_message(const QueueChange& change);
  Result<void> write_lease(const QueueChange& change);

  SqliteFile file_;
  SqliteFile::Statement reserve_;
  SqliteFile::Statement add_queue_;
  SqliteFile::Statement remove_queue_;
  SqliteFile::Statement purge_;
  SqliteFile::Statement add_message_;
  SqliteFile::Statement add_dedupe_;
  SqliteFile::Statement lease_;
  SqliteFile::Statement extend_;
  SqliteFile::Statement release_;
  SqliteFile::Statement delete_message_;
  SqliteFile::Statement delete_lease_;
  SqliteFile::Statement drop_dedupe_;
  SqliteFile::Statement read_message_;
  SqliteFile::Statement read_state_;
  SqliteFile::Statement read_dedupe_;
};

}  // namespace mayfly::store
