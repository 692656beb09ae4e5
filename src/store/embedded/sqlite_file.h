// One SQLite file in WAL mode with every commit synced: what the databases of the embedded engine share.
//
// Concurrency. One thread at a time: whoever opens it, then the writer's thread, then whoever closes it.
// Recovery.    A commit is durable when commit() returns: WAL with synchronous=FULL. The WAL file is kept and written
//              over from its start after each checkpoint, so its size is steady and a sync seldom touches metadata.
#pragma once

#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"

struct sqlite3;
struct sqlite3_stmt;

namespace mayfly::store {

class SqliteFile {
 public:
  struct CloseStatement {
    void operator()(sqlite3_stmt* statement) const;
  };
  using Statement = std::unique_ptr<sqlite3_stmt, CloseStatement>;

  struct Tuning {
    int checkpoint_pages = 1'000;  // in the WAL, until they are written back
    int cache_kib = 2'048;
  };

  // Opens or creates `file`. Nothing is written before its first statement that writes.
  static Result<SqliteFile> open(const std::filesystem::path& file, Tuning tuning);

  Result<void> execute(const char* sql);
  Result<Statement> prepare(std::string_view sql);
  // Runs a statement that gives no rows, and makes it ready for the next use.
  Result<void> step(sqlite3_stmt* statement);
  // True: there is a row, and the caller resets the statement after it has read it. False: none (it is reset).
  Result<bool> row(sqlite3_stmt* statement);
  Result<std::int64_t> query_number(std::string_view sql, std::int64_t fallback);

  // The schema's version as `meta` says it; a new file gets `create`, which makes that table. `what` is in errors: "the
  // queues". kUnsupported: newer than `known`. Nothing of an existing file is changed.
  Result<int> claim_schema(std::string_view create, int known, std::string_view what);
  Result<void> prepare_all(std::initializer_list<std::pair<Statement*, std::string_view>> statements);

  Result<void> begin();
  Result<void> commit();  // kTooLarge: the disk is full
  Result<void> rollback();

  // At most this many pages from now on, as if the disk were full behind them. For tests.
  Result<void> limit_pages(std::int64_t pages);
  [[nodiscard]] std::int64_t pages();

  // The last failure as an error: kCorrupt, kTooLarge (the disk is full) or kIo.
  [[nodiscard]] std::unexpected<Error> failure(std::string_view what);

 private:
  struct CloseDatabase {
    void operator()(sqlite3* handle) const;
  };
  SqliteFile() = default;
  std::unique_ptr<sqlite3, CloseDatabase> handle_;
  // Prepared once: these run with every batch.
  Statement begin_;
  Statement commit_;
};

void bind_bytes(sqlite3_stmt* statement, int index, std::string_view bytes);  // they outlive the step
void bind_number(sqlite3_stmt* statement, int index, std::int64_t number);
void bind_number(sqlite3_stmt* statement, int index, std::uint64_t number);
std::string column_bytes(sqlite3_stmt* row, int index);
std::string_view column_view(sqlite3_stmt* row, int index);  // until the next step
std::int64_t column_number(sqlite3_stmt* row, int index);
void reset(sqlite3_stmt* statement);

}  // namespace mayfly::store
