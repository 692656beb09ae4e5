#include "store/embedded/database.h"

#include <fmt/core.h>

#include "store/embedded/embedded.h"

namespace mayfly::store {

namespace {

constexpr std::string_view kCreateSchema = R"sql(
  CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE entries (key BLOB PRIMARY KEY, value BLOB NOT NULL, revision INTEGER NOT NULL);
  INSERT INTO meta VALUES ('schema_version', 2), ('revision', 0), ('clean', 1);
)sql";

}  // namespace

Result<std::unique_ptr<Database>> Database::open(const std::filesystem::path& file) {
  auto opened = SqliteFile::open(file, SqliteFile::Tuning{});
  if (!opened) return std::unexpected(opened.error());
  std::unique_ptr<Database> database(new Database(std::move(*opened)));
  if (auto done = database->migrate(); !done) return std::unexpected(done.error());
  if (auto done = database->prepare_statements(); !done) return std::unexpected(done.error());
  return database;
}

Result<void> Database::migrate() {
  auto version = file_.claim_schema(kCreateSchema, kSchemaVersion, "the store");
  if (!version) return std::unexpected(version.error());
  auto clean = file_.query_number("SELECT value FROM meta WHERE name = 'clean'", 0);
  auto revision = file_.query_number("SELECT value FROM meta WHERE name = 'revision'", 0);
  if (!clean) return std::unexpected(clean.error());
  if (!revision) return std::unexpected(revision.error());
  schema_version_ = *version;
  was_clean_ = *clean == 1;
  revision_ = static_cast<Revision>(*revision);
  if (*version < kSchemaVersion) {
    // Version 2 keeps queues in a file of their own, which appears beside this one; the records are as they were.
    const std::string sql = fmt::format("UPDATE meta SET value = {} WHERE name = 'schema_version'", kSchemaVersion);
    if (auto done = file_.execute(sql.c_str()); !done) return done;
  }
  // From here to mark_clean() a death of the process is told apart from a stop.
  return file_.execute("UPDATE meta SET value = 0 WHERE name = 'clean'");
}

Result<void> Database::prepare_statements() {
  return file_.prepare_all({{&put_,
                             "INSERT INTO entries (key, value, revision) VALUES (?1, ?2, ?3) "
                             "ON CONFLICT (key) DO UPDATE SET value = excluded.value, revision = excluded.revision"},
                            {&remove_, "DELETE FROM entries WHERE key = ?1"},
                            {&set_revision_, "UPDATE meta SET value = ?1 WHERE name = 'revision'"}});
}

Result<void> Database::load(const std::function<void(Entry)>& take) {
  auto rows = file_.prepare("SELECT key, value, revision FROM entries ORDER BY key");
  if (!rows) return std::unexpected(rows.error());
  for (;;) {
    auto more = file_.row(rows->get());
    if (!more) return std::unexpected(more.error());
    if (!*more) return {};
    Entry entry;
    entry.key = column_bytes(rows->get(), 0);
    entry.value = column_bytes(rows->get(), 1);
    entry.revision = static_cast<Revision>(column_number(rows->get(), 2));
    take(std::move(entry));
  }
}

Result<void> Database::begin() { return file_.begin(); }

Result<void> Database::put(std::string_view key, std::string_view value, Revision revision) {
  bind_bytes(put_.get(), 1, key);
  bind_bytes(put_.get(), 2, value);
  bind_number(put_.get(), 3, revision);
  return file_.step(put_.get());
}

Result<void> Database::remove(std::string_view key) {
  bind_bytes(remove_.get(), 1, key);
  return file_.step(remove_.get());
}

Result<void> Database::commit(Revision revision) {
  bind_number(set_revision_.get(), 1, revision);
  if (auto done = file_.step(set_revision_.get()); !done) return done;
  return file_.commit();
}

Result<void> Database::rollback() { return file_.rollback(); }

Result<void> Database::mark_clean() { return file_.execute("UPDATE meta SET value = 1 WHERE name = 'clean'"); }

}  // namespace mayfly::store
