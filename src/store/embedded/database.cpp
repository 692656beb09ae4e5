#include "store/embedded/database.h"

#include <fmt/core.h>
#include <sqlite3.h>

#include "store/embedded/embedded.h"

namespace mayfly::store {

namespace {

constexpr std::string_view kCreateSchema = R"sql(
  CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE entries (key BLOB PRIMARY KEY, value BLOB NOT NULL, revision INTEGER NOT NULL);
  INSERT INTO meta VALUES ('schema_version', 1), ('revision', 0), ('clean', 1);
)sql";

// SAFETY: SQLITE_STATIC; the text outlives the step, after which bindings are cleared.
int bind_bytes(sqlite3_stmt* statement, int index, std::string_view bytes) {
  // A null pointer would bind NULL, so an empty value gets an address.
  return sqlite3_bind_blob64(statement, index, bytes.empty() ? "" : bytes.data(), bytes.size(), SQLITE_STATIC);
}

std::string column_bytes(sqlite3_stmt* row, int index) {
  const auto* data = static_cast<const char*>(sqlite3_column_blob(row, index));
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(row, index));
  return data == nullptr ? std::string() : std::string(data, size);
}

}  // namespace

void Database::CloseDatabase::operator()(sqlite3* handle) const { sqlite3_close_v2(handle); }
void Database::CloseStatement::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
Database::~Database() = default;

Result<std::unique_ptr<Database>> Database::open(const std::filesystem::path& file) {
  std::unique_ptr<Database> database(new Database);
  sqlite3* handle = nullptr;
  constexpr int kFlags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW;
  const int opened = sqlite3_open_v2(file.c_str(), &handle, kFlags, nullptr);
  database->handle_.reset(handle);
  if (opened != SQLITE_OK) return database->failure(fmt::format("open {}", file.string()));
  if (auto done = database->configure(); !done) return std::unexpected(done.error());
  if (auto done = database->migrate(); !done) return std::unexpected(done.error());
  if (auto done = database->prepare_statements(); !done) return std::unexpected(done.error());
  return database;
}

Result<void> Database::configure() {
  sqlite3_extended_result_codes(handle_.get(), 1);
  // Exclusive locking keeps the WAL's index in this process's memory: no shared-memory file, and no other process can
  // come between. It must be set before the first access.
  for (const char* sql : {"PRAGMA locking_mode=EXCLUSIVE", "PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL",
                          "PRAGMA wal_autocheckpoint=1000", "PRAGMA journal_size_limit=-1"}) {
    if (auto done = execute(sql); !done) return done;
  }
  int persist = 1;
  sqlite3_file_control(handle_.get(), "main", SQLITE_FCNTL_PERSIST_WAL, &persist);
  return {};
}

Result<void> Database::migrate() {
  auto tables = query_number("SELECT count(*) FROM sqlite_master WHERE name = 'meta'", 0);
  if (!tables) return std::unexpected(tables.error());
  if (*tables == 0) {
    const std::string sql = fmt::format("BEGIN IMMEDIATE;{}COMMIT;", kCreateSchema);
    if (auto done = execute(sql.c_str()); !done) return done;
  }
  auto version = query_number("SELECT value FROM meta WHERE name = 'schema_version'", 0);
  auto clean = query_number("SELECT value FROM meta WHERE name = 'clean'", 0);
  auto revision = query_number("SELECT value FROM meta WHERE name = 'revision'", 0);
  if (!version) return std::unexpected(version.error());
  if (!clean) return std::unexpected(clean.error());
  if (!revision) return std::unexpected(revision.error());
  if (*version > kSchemaVersion) {
    return fail(ErrorCode::kUnsupported,
                fmt::format("the store has schema version {}, this program knows up to {}", *version, kSchemaVersion),
                "the data directory was used by a newer Mayfly; run that version or a newer one");
  }
  if (*version < 1) return fail(ErrorCode::kCorrupt, "the store has no schema version");
  schema_version_ = static_cast<int>(*version);
  was_clean_ = *clean == 1;
  revision_ = static_cast<Revision>(*revision);
  // From here to mark_clean() a death of the process is told apart from a stop.
  return execute("UPDATE meta SET value = 0 WHERE name = 'clean'");
}

Result<void> Database::prepare_statements() {
  auto put = prepare(
      "INSERT INTO entries (key, value, revision) VALUES (?1, ?2, ?3) "
      "ON CONFLICT (key) DO UPDATE SET value = excluded.value, revision = excluded.revision");
  auto remove = prepare("DELETE FROM entries WHERE key = ?1");
  auto set_revision = prepare("UPDATE meta SET value = ?1 WHERE name = 'revision'");
  if (!put) return std::unexpected(put.error());
  if (!remove) return std::unexpected(remove.error());
  if (!set_revision) return std::unexpected(set_revision.error());
  put_ = std::move(*put);
  remove_ = std::move(*remove);
  set_revision_ = std::move(*set_revision);
  return {};
}

Result<void> Database::load(const std::function<void(Entry)>& take) {
  auto rows = prepare("SELECT key, value, revision FROM entries ORDER BY key");
  if (!rows) return std::unexpected(rows.error());
  for (;;) {
    const int got = sqlite3_step(rows->get());
    if (got == SQLITE_DONE) return {};
    if (got != SQLITE_ROW) return failure("read the entries");
    Entry entry;
    entry.key = column_bytes(rows->get(), 0);
    entry.value = column_bytes(rows->get(), 1);
    entry.revision = static_cast<Revision>(sqlite3_column_int64(rows->get(), 2));
    take(std::move(entry));
  }
}

Result<void> Database::begin() { return execute("BEGIN IMMEDIATE"); }

Result<void> Database::put(std::string_view key, std::string_view value, Revision revision) {
  bind_bytes(put_.get(), 1, key);
  bind_bytes(put_.get(), 2, value);
  sqlite3_bind_int64(put_.get(), 3, static_cast<sqlite3_int64>(revision));
  return step(put_.get());
}

Result<void> Database::remove(std::string_view key) {
  bind_bytes(remove_.get(), 1, key);
  return step(remove_.get());
}

Result<void> Database::commit(Revision revision) {
  sqlite3_bind_int64(set_revision_.get(), 1, static_cast<sqlite3_int64>(revision));
  if (auto done = step(set_revision_.get()); !done) return done;
  return execute("COMMIT");
}

Result<void> Database::rollback() {
  // SQLite has rolled back by itself after some errors; then there is nothing left to undo.
  if (sqlite3_get_autocommit(handle_.get()) != 0) return {};
  return execute("ROLLBACK");
}

Result<void> Database::mark_clean() { return execute("UPDATE meta SET value = 1 WHERE name = 'clean'"); }

Result<void> Database::limit_pages(std::int64_t pages) {
  return execute(fmt::format("PRAGMA max_page_count={}", pages).c_str());
}

std::int64_t Database::pages() { return query_number("PRAGMA page_count", 0).value_or(0); }

Result<void> Database::execute(const char* sql) {
  if (sqlite3_exec(handle_.get(), sql, nullptr, nullptr, nullptr) == SQLITE_OK) return {};
  return failure(sql);
}

Result<Database::Statement> Database::prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v3(handle_.get(), sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT, &statement,
                         nullptr) != SQLITE_OK) {
    return failure(sql);
  }
  return Statement(statement);
}

Result<void> Database::step(sqlite3_stmt* statement) {
  const int got = sqlite3_step(statement);
  Result<void> result;
  if (got != SQLITE_DONE) result = failure("write");
  sqlite3_reset(statement);
  sqlite3_clear_bindings(statement);
  return result;
}

Result<std::int64_t> Database::query_number(std::string_view sql, std::int64_t fallback) {
  auto statement = prepare(sql);
  if (!statement) return std::unexpected(statement.error());
  const int got = sqlite3_step(statement->get());
  if (got == SQLITE_DONE) return fallback;
  if (got != SQLITE_ROW) return failure(sql);
  return sqlite3_column_int64(statement->get(), 0);
}

std::unexpected<Error> Database::failure(std::string_view what) {
  const int code = sqlite3_errcode(handle_.get()) & 0xff;
  ErrorCode kind = ErrorCode::kIo;
  if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB) kind = ErrorCode::kCorrupt;
  if (code == SQLITE_FULL) kind = ErrorCode::kTooLarge;
  return fail(kind, fmt::format("store database: {}: {}", what, sqlite3_errmsg(handle_.get())));
}

}  // namespace mayfly::store
