// The SQLite file of the control plane's records: its schema and the few statements that it runs.
//
// Concurrency. One thread at a time: whoever opens it, then the writer's thread, then whoever closes it.
// Recovery.    A commit is durable when commit() returns (see SqliteFile). The table `meta` holds the schema version,
//              the highest revision ever given, and whether the last server closed the store.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "store/embedded/sqlite_file.h"
#include "store/key_value.h"

namespace mayfly::store {

class Database {
 public:
  // Opens or creates `file` and checks its schema before anything is written. kUnsupported: made by a newer program.
  static Result<std::unique_ptr<Database>> open(const std::filesystem::path& file);
  ~Database() = default;
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

  // For tests, as in SqliteFile.
  Result<void> limit_pages(std::int64_t pages) { return file_.limit_pages(pages); }
  [[nodiscard]] std::int64_t pages() { return file_.pages(); }

 private:
  explicit Database(SqliteFile file) : file_(std::move(file)) {}
  Result<void> migrate();
  Result<void> prepare_statements();

  SqliteFile file_;
  SqliteFile::Statement put_;
  SqliteFile::Statement remove_;
  SqliteFile::Statement set_revision_;
  bool was_clean_ = true;
  int schema_version_ = 0;
  Revision revision_ = 0;
};

}  // namespace mayfly::store
