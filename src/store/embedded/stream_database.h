// The file of the streams, stream.db: its schema and what is done with it.
//
// Operation.   A record's row id is its stream's number and its sequence, so that a stream lies together and in order.
//              What may take long is done in steps: each call of trim() deletes a bounded number of records.
// Concurrency. One thread at a time: whoever opens it, then the engine's thread.
// Recovery.    See SqliteFile.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "store/embedded/sqlite_file.h"
#include "store/stream.h"

namespace mayfly::store {

inline constexpr int kStreamSchemaVersion = 1;

class StreamDatabase {
 public:
  static constexpr std::size_t kTrimStep = 2'000;  // records

  struct Row {
    std::int64_t number = 0;
    std::uint64_t first = 1;
    std::uint64_t last = 0;
    std::uint64_t bytes = 0;
    std::int64_t newest_at = 0;  // microseconds since 1970
  };
  // What is to go: every record up to a sequence, or older than a time, or the oldest while there are too many bytes.
  struct Trim {
    std::uint64_t up_to = 0;
    std::int64_t older_than = 0;
    std::uint64_t max_bytes = UINT64_MAX;
  };

  // kUnsupported: made by a newer program.
  static Result<std::unique_ptr<StreamDatabase>> open(const std::filesystem::path& file);
  StreamDatabase(const StreamDatabase&) = delete;
  StreamDatabase& operator=(const StreamDatabase&) = delete;
  ~StreamDatabase() = default;

  Result<void> begin() { return file_.begin(); }
  Result<void> commit() { return file_.commit(); }
  Result<void> rollback() { return file_.rollback(); }

  // Every error of these is the environment's.
  Result<std::optional<Row>> find(const StreamName& name);
  Result<Row> create(const StreamName& name);
  Result<void> append(Row& row, const std::vector<std::string>& records, std::int64_t now);
  Result<std::vector<StreamRecord>> read(const Row& row, std::uint64_t after, StreamRead bound);
  Result<std::optional<std::int64_t>> time_of(const Row& row, std::uint64_t sequence);
  // True when nothing is left to trim.
  Result<bool> trim(Row& row, const Trim& trim);
  Result<void> remove(const Row& row);
  Result<std::vector<StreamName>> list(const std::string& prefix, const std::string& after, std::size_t limit);

  // For tests, as in SqliteFile.
  Result<void> limit_pages(std::int64_t pages) { return file_.limit_pages(pages); }
  [[nodiscard]] std::int64_t pages() { return file_.pages(); }

 private:
  explicit StreamDatabase(SqliteFile file) : file_(std::move(file)) {}
  Result<void> prepare_statements();
  Result<void> update(const Row& row);

  SqliteFile file_;
  SqliteFile::Statement find_;
  SqliteFile::Statement create_;
  SqliteFile::Statement update_;
  SqliteFile::Statement remove_;
  SqliteFile::Statement add_;
  SqliteFile::Statement read_;
  SqliteFile::Statement time_;
  SqliteFile::Statement measure_;
  SqliteFile::Statement delete_;
  SqliteFile::Statement list_;
};

}  // namespace mayfly::store
