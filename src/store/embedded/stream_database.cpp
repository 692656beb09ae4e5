#include "store/embedded/stream_database.h"

#include <fmt/core.h>

#include <algorithm>

namespace mayfly::store {

namespace {

constexpr std::string_view kCreateStreamSchema = R"sql(
  CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE streams (number INTEGER PRIMARY KEY AUTOINCREMENT, name BLOB NOT NULL UNIQUE, first INTEGER NOT NULL,
                        last INTEGER NOT NULL, bytes INTEGER NOT NULL, newest_at INTEGER NOT NULL);
  CREATE TABLE records (place INTEGER PRIMARY KEY, at INTEGER NOT NULL, data BLOB NOT NULL);
  INSERT INTO meta VALUES ('schema_version', 1);
)sql";

// 31 bits for the stream's number and 32 for the sequence.
std::int64_t place_of(const StreamDatabase::Row& row, std::uint64_t sequence) {
  return row.number * (std::int64_t{1} << 32) + static_cast<std::int64_t>(sequence);
}
std::uint64_t sequence_at(std::int64_t place) { return static_cast<std::uint64_t>(place) & 0xffff'ffffU; }

}  // namespace

Result<std::unique_ptr<StreamDatabase>> StreamDatabase::open(const std::filesystem::path& file) {
  auto opened = SqliteFile::open(file, SqliteFile::Tuning{.checkpoint_pages = 4'000, .cache_kib = 16'384});
  if (!opened) return std::unexpected(opened.error());
  std::unique_ptr<StreamDatabase> database(new StreamDatabase(std::move(*opened)));
  auto version = database->file_.claim_schema(kCreateStreamSchema, kStreamSchemaVersion, "the file of the streams");
  if (!version) return std::unexpected(version.error());
  if (auto done = database->prepare_statements(); !done) return std::unexpected(done.error());
  return database;
}

Result<void> StreamDatabase::prepare_statements() {
  return file_.prepare_all({
      {&find_, "SELECT number, first, last, bytes, newest_at FROM streams WHERE name = ?1"},
      {&create_, "INSERT INTO streams (name, first, last, bytes, newest_at) VALUES (?1, 1, 0, 0, 0)"},
      {&update_, "UPDATE streams SET first = ?2, last = ?3, bytes = ?4, newest_at = ?5 WHERE number = ?1"},
      {&remove_, "DELETE FROM streams WHERE number = ?1"},
      {&add_, "INSERT INTO records VALUES (?1, ?2, ?3)"},
      {&read_, "SELECT place, at, data FROM records WHERE place BETWEEN ?1 AND ?2 ORDER BY place"},
      {&time_, "SELECT at FROM records WHERE place = ?1"},
      {&measure_, "SELECT place, at, length(data) FROM records WHERE place BETWEEN ?1 AND ?2 ORDER BY place LIMIT ?3"},
      {&delete_, "DELETE FROM records WHERE place BETWEEN ?1 AND ?2"},
      {&list_, "SELECT name FROM streams WHERE name >= ?1 AND name > ?2 ORDER BY name LIMIT ?3"},
  });
}

Result<std::optional<StreamDatabase::Row>> StreamDatabase::find(const StreamName& name) {
  sqlite3_stmt* const find = find_.get();
  bind_bytes(find, 1, name.str());
  auto found = file_.row(find);
  if (!found) return std::unexpected(found.error());
  if (!*found) return std::nullopt;
  Row row;
  row.number = column_number(find, 0);
  row.first = static_cast<std::uint64_t>(column_number(find, 1));
  row.last = static_cast<std::uint64_t>(column_number(find, 2));
  row.bytes = static_cast<std::uint64_t>(column_number(find, 3));
  row.newest_at = column_number(find, 4);
  reset(find);
  return row;
}

Result<StreamDatabase::Row> StreamDatabase::create(const StreamName& name) {
  bind_bytes(create_.get(), 1, name.str());
  if (auto done = file_.step(create_.get()); !done) return std::unexpected(done.error());
  auto created = find(name);
  if (!created) return std::unexpected(created.error());
  MAYFLY_ASSERT(created->has_value());
  return **created;
}

Result<void> StreamDatabase::update(const Row& row) {
  sqlite3_stmt* const update = update_.get();
  bind_number(update, 1, row.number);
  bind_number(update, 2, row.first);
  bind_number(update, 3, row.last);
  bind_number(update, 4, row.bytes);
  bind_number(update, 5, row.newest_at);
  return file_.step(update);
}

Result<void> StreamDatabase::append(Row& row, const std::vector<std::string>& records, std::int64_t now) {
  row.newest_at = std::max(row.newest_at, now);
  for (const std::string& data : records) {
    bind_number(add_.get(), 1, place_of(row, ++row.last));
    bind_number(add_.get(), 2, row.newest_at);
    bind_bytes(add_.get(), 3, data);
    if (auto done = file_.step(add_.get()); !done) return done;
    row.bytes += data.size();
  }
  return update(row);
}

Result<std::vector<StreamRecord>> StreamDatabase::read(const Row& row, std::uint64_t after, StreamRead bound) {
  std::vector<StreamRecord> records;
  std::uint64_t bytes = 0;
  sqlite3_stmt* const read = read_.get();
  if (after >= row.last) return records;
  bind_number(read, 1, place_of(row, std::max(after + 1, row.first)));
  bind_number(read, 2, place_of(row, row.last));
  while (records.size() < bound.max_records) {
    auto found = file_.row(read);
    if (!found) return std::unexpected(found.error());
    if (!*found) return records;
    bytes += column_view(read, 2).size();
    if (!records.empty() && bytes > bound.max_bytes) break;
    records.push_back({.sequence = sequence_at(column_number(read, 0)),
                       .at = SystemTime(std::chrono::microseconds(column_number(read, 1))),
                       .data = column_bytes(read, 2)});
  }
  reset(read);
  return records;
}

Result<std::optional<std::int64_t>> StreamDatabase::time_of(const Row& row, std::uint64_t sequence) {
  bind_number(time_.get(), 1, place_of(row, sequence));
  auto found = file_.row(time_.get());
  if (!found) return std::unexpected(found.error());
  if (!*found) return std::nullopt;
  const std::int64_t at = column_number(time_.get(), 0);
  reset(time_.get());
  return at;
}

Result<bool> StreamDatabase::trim(Row& row, const Trim& trim) {
  sqlite3_stmt* const measure = measure_.get();
  bind_number(measure, 1, place_of(row, row.first));
  bind_number(measure, 2, place_of(row, row.last));
  bind_number(measure, 3, std::int64_t{kTrimStep});
  const std::uint64_t first = row.first;
  bool finished = true;
  for (std::size_t i = 0;; ++i) {
    auto found = file_.row(measure);
    if (!found) return std::unexpected(found.error());
    if (!*found) {
      finished = i < kTrimStep;
      break;
    }
    const std::uint64_t sequence = sequence_at(column_number(measure, 0));
    const bool goes =
        sequence <= trim.up_to || column_number(measure, 1) < trim.older_than || row.bytes > trim.max_bytes;
    if (!goes) {
      reset(measure);
      break;
    }
    row.first = sequence + 1;
    row.bytes -= static_cast<std::uint64_t>(column_number(measure, 2));
  }
  if (row.first == first) return finished;
  bind_number(delete_.get(), 1, place_of(row, first));
  bind_number(delete_.get(), 2, place_of(row, row.first - 1));
  if (auto done = file_.step(delete_.get()); !done) return std::unexpected(done.error());
  if (auto done = update(row); !done) return std::unexpected(done.error());
  return finished;
}

Result<void> StreamDatabase::remove(const Row& row) {
  bind_number(remove_.get(), 1, row.number);
  return file_.step(remove_.get());
}

Result<std::vector<StreamName>> StreamDatabase::list(const std::string& prefix, const std::string& after,
                                                     std::size_t limit) {
  std::vector<StreamName> names;
  sqlite3_stmt* const list = list_.get();
  bind_bytes(list, 1, prefix);
  bind_bytes(list, 2, after);
  bind_number(list, 3, static_cast<std::int64_t>(limit));
  for (;;) {
    auto found = file_.row(list);
    if (!found) return std::unexpected(found.error());
    if (!*found) return names;
    std::string name = column_bytes(list, 0);
    if (!name.starts_with(prefix)) break;
    names.emplace_back(std::move(name));
  }
  reset(list);
  return names;
}

}  // namespace mayfly::store
