// The SQLite file of the embedded engine: its settings, its schema and the few statements that it runs.
//
// Concurrency. One thread at a time: whoever opens it, then the writer's thread, then whoever closes it.
// Recovery.    A commit is durable when commit() returns: WAL with synchronous=FULL. The WAL file is kept and written
//              over from its start after each checkpoint, so its size is steady and a sync seldom touches metadata.
//              The table `meta` holds the schema version, the highest revision ever given, and whether the last
//              server closed the store.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "store/key_value.h"

struct sqlite3;
struct sqlite3_stmt;

namespace mayfly::store {

class Database {
 public:
  // Opens or creates `file` and checks its schema before anything is written. kUnsupported: made by a newer program.
  static Result<std::unique_ptr<Database>> open(const std::filesystem::path& file);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  [[nodiscard]] bool was_clean() const { return was_clean_; }
  [[nodiscard]] int schema_version() const { return schema_version_; }
  [[nodiscard]] Revision revision() const { return revision_; }
  Result<void> load(const std::function<void(Entry)>& take);

  Result<void> begin();
  Result<void> put(std::string_view key, std::string_view value, Revision revision);
  Result<void> remove(std::string_view key);
  // Also records `revision` as the highest one given. kTooLarge: the disk is full.
  Result<void> commit(Revision revision);
  Result<void> rollback();

  // Says that the store was closed in order. The last call.
  Result<void> mark_clean();

  // At most this many pages from now on, as if the disk were full behind them. For tests.
  Result<void> limit_pages(std::int64_t pages);
  [[nodiscard]] std::int64_t pages();

 private:
  struct CloseDatabase {
    void operator()(sqlite3* handle) const;
  };
  struct CloseStatement {
    void operator()(sqlite3_stmt* statement) const;
  };
  using Statement = std::unique_ptr<sqlite3_stmt, CloseStatement>;

  Database() = default;
  Result<void> configure();
  Result<void> migrate();
  Result<void> prepare_statements();
  Result<void> execute(const char* sql);
  Result<Statement> prepare(std::string_view sql);
  Result<void> step(sqlite3_stmt* statement);
  Result<std::int64_t> query_number(std::string_view sql, std::int64_t fallback);
  [[nodiscard]] std::unexpected<Error> failure(std::string_view what);

  std::unique_ptr<sqlite3, CloseDatabase> handle_;
  Statement put_;
  Statement remove_;
  Statement set_revision_;
  bool was_clean_ = true;
  int schema_version_ = 0;
  Revision revision_ = 0;
};

}  // namespace mayfly::store
