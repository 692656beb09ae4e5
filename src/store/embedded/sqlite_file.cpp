#include "store/embedded/sqlite_file.h"

#include <fmt/core.h>
#include <sqlite3.h>

#include <utility>

namespace mayfly::store {

void SqliteFile::CloseDatabase::operator()(sqlite3* handle) const { sqlite3_close_v2(handle); }
void SqliteFile::CloseStatement::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }

Result<SqliteFile> SqliteFile::open(const std::filesystem::path& file, Tuning tuning) {
  SqliteFile opened;
  sqlite3* handle = nullptr;
  constexpr int kFlags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW;
  const int code = sqlite3_open_v2(file.c_str(), &handle, kFlags, nullptr);
  opened.handle_.reset(handle);
  if (code != SQLITE_OK) return opened.failure(fmt::format("open {}", file.string()));
  sqlite3_extended_result_codes(handle, 1);
  // Exclusive locking keeps the WAL's index in this process's memory: no shared-memory file, and no other process can
  // come between. It must be set before the first access.
  const std::string checkpoint = fmt::format("PRAGMA wal_autocheckpoint={}", tuning.checkpoint_pages);
  const std::string cache = fmt::format("PRAGMA cache_size=-{}", tuning.cache_kib);
  for (const char* sql : {"PRAGMA locking_mode=EXCLUSIVE", "PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL",
                          "PRAGMA journal_size_limit=-1", checkpoint.c_str(), cache.c_str()}) {
    if (auto done = opened.execute(sql); !done) return std::unexpected(done.error());
  }
  int persist = 1;
  sqlite3_file_control(handle, "main", SQLITE_FCNTL_PERSIST_WAL, &persist);
  auto begin = opened.prepare("BEGIN IMMEDIATE");
  auto commit = opened.prepare("COMMIT");
  if (!begin) return std::unexpected(begin.error());
  if (!commit) return std::unexpected(commit.error());
  opened.begin_ = std::move(*begin);
  opened.commit_ = std::move(*commit);
  return opened;
}

Result<void> SqliteFile::execute(const char* sql) {
  if (sqlite3_exec(handle_.get(), sql, nullptr, nullptr, nullptr) == SQLITE_OK) return {};
  return failure(sql);
}

Result<SqliteFile::Statement> SqliteFile::prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v3(handle_.get(), sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT, &statement,
                         nullptr) != SQLITE_OK) {
    return failure(sql);
  }
  return Statement(statement);
}

Result<void> SqliteFile::step(sqlite3_stmt* statement) {
  const int got = sqlite3_step(statement);
  Result<void> result;
  if (got != SQLITE_DONE) result = failure("write");
  reset(statement);
  return result;
}

Result<bool> SqliteFile::row(sqlite3_stmt* statement) {
  const int got = sqlite3_step(statement);
  if (got == SQLITE_ROW) return true;
  Result<bool> result = false;
  if (got != SQLITE_DONE) result = failure("read");
  reset(statement);
  return result;
}

Result<std::int64_t> SqliteFile::query_number(std::string_view sql, std::int64_t fallback) {
  auto statement = prepare(sql);
  if (!statement) return std::unexpected(statement.error());
  const int got = sqlite3_step(statement->get());
  if (got == SQLITE_DONE) return fallback;
  if (got != SQLITE_ROW) return failure(sql);
  return sqlite3_column_int64(statement->get(), 0);
}

Result<int> SqliteFile::claim_schema(std::string_view create, int known, std::string_view what) {
  auto tables = query_number("SELECT count(*) FROM sqlite_master WHERE name = 'meta'", 0);
  if (!tables) return std::unexpected(tables.error());
  if (*tables == 0) {
    const std::string sql = fmt::format("BEGIN IMMEDIATE;{}COMMIT;", create);
    if (auto done = execute(sql.c_str()); !done) return std::unexpected(done.error());
  }
  auto version = query_number("SELECT value FROM meta WHERE name = 'schema_version'", 0);
  if (!version) return std::unexpected(version.error());
  if (*version > known) {
    return fail(ErrorCode::kUnsupported,
                fmt::format("{} has schema version {}, this program knows up to {}", what, *version, known),
                "the data directory was used by a newer Mayfly; run that version or a newer one");
  }
  if (*version < 1) return fail(ErrorCode::kCorrupt, fmt::format("{} has no schema version", what));
  return static_cast<int>(*version);
}

Result<void> SqliteFile::prepare_all(std::initializer_list<std::pair<Statement*, std::string_view>> statements) {
  for (const auto& [statement, sql] : statements) {
    auto prepared = prepare(sql);
    if (!prepared) return std::unexpected(prepared.error());
    *statement = std::move(*prepared);
  }
  return {};
}

Result<void> SqliteFile::begin() { return step(begin_.get()); }
Result<void> SqliteFile::commit() { return step(commit_.get()); }

Result<void> SqliteFile::rollback() {
  // SQLite has rolled back by itself after some errors; then there is nothing left to undo.
  if (sqlite3_get_autocommit(handle_.get()) != 0) return {};
  return execute("ROLLBACK");
}

Result<void> SqliteFile::limit_pages(std::int64_t pages) {
  return execute(fmt::format("PRAGMA max_page_count={}", pages).c_str());
}

std::int64_t SqliteFile::pages() { return query_number("PRAGMA page_count", 0).value_or(0); }

std::unexpected<Error> SqliteFile::failure(std::string_view what) {
  const int code = sqlite3_errcode(handle_.get()) & 0xff;
  ErrorCode kind = ErrorCode::kIo;
  if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB) kind = ErrorCode::kCorrupt;
  if (code == SQLITE_FULL) kind = ErrorCode::kTooLarge;
  return fail(kind, fmt::format("store database: {}: {}", what, sqlite3_errmsg(handle_.get())));
}

// SAFETY: SQLITE_STATIC; the bytes outlive the step, after which bindings are cleared.
void bind_bytes(sqlite3_stmt* statement, int index, std::string_view bytes) {
  // A null pointer would bind NULL, so an empty value gets an address.
  sqlite3_bind_blob64(statement, index, bytes.empty() ? "" : bytes.data(), bytes.size(), SQLITE_STATIC);
}

void bind_number(sqlite3_stmt* statement, int index, std::int64_t number) {
  sqlite3_bind_int64(statement, index, number);
}
void bind_number(sqlite3_stmt* statement, int index, std::uint64_t number) {
  sqlite3_bind_int64(statement, index, static_cast<sqlite3_int64>(number));
}

std::string_view column_view(sqlite3_stmt* row, int index) {
  const auto* data = static_cast<const char*>(sqlite3_column_blob(row, index));
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(row, index));
  return data == nullptr ? std::string_view() : std::string_view(data, size);
}

std::string column_bytes(sqlite3_stmt* row, int index) { return std::string(column_view(row, index)); }

std::int64_t column_number(sqlite3_stmt* row, int index) { return sqlite3_column_int64(row, index); }

void reset(sqlite3_stmt* statement) {
  sqlite3_reset(statement);
  sqlite3_clear_bindings(statement);
}

}  // namespace mayfly::store
