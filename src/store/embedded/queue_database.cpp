#include "store/embedded/queue_database.h"

#include <fmt/core.h>

namespace mayfly::store {

namespace {

// The body is a message's last column: what stands before it is read without its overflow pages.
constexpr std::string_view kCreateQueueSchema = R"sql(
  CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE queues (number INTEGER PRIMARY KEY, name BLOB NOT NULL, purged INTEGER NOT NULL);
  CREATE TABLE messages (sequence INTEGER PRIMARY KEY, queue INTEGER NOT NULL, sent_at INTEGER NOT NULL,
                         available_at INTEGER NOT NULL, id BLOB NOT NULL, grp BLOB NOT NULL, dedupe BLOB NOT NULL,
                         body BLOB NOT NULL);
  CREATE TABLE leases (sequence INTEGER PRIMARY KEY, count INTEGER NOT NULL, first INTEGER NOT NULL,
                       until INTEGER NOT NULL, leased INTEGER NOT NULL, state BLOB NOT NULL);
  CREATE TABLE dedupe (sequence INTEGER PRIMARY KEY, queue INTEGER NOT NULL, at INTEGER NOT NULL, grp BLOB NOT NULL,
                       dedupe BLOB NOT NULL, id BLOB NOT NULL);
  INSERT INTO meta VALUES ('schema_version', 1), ('reserved', 0);
)sql";

std::uint64_t column_sequence(sqlite3_stmt* row, int index) {
  return static_cast<std::uint64_t>(column_number(row, index));
}

}  // namespace

Result<std::unique_ptr<QueueDatabase>> QueueDatabase::open(const std::filesystem::path& file) {
  // Messages come and go in large numbers: writing them back less often lets most of them go before.
  auto opened = SqliteFile::open(file, SqliteFile::Tuning{.checkpoint_pages = 4'000, .cache_kib = 32'768});
  if (!opened) return std::unexpected(opened.error());
  std::unique_ptr<QueueDatabase> database(new QueueDatabase(std::move(*opened)));
  auto version = database->file_.claim_schema(kCreateQueueSchema, kQueueSchemaVersion, "the file of the queues");
  if (!version) return std::unexpected(version.error());
  if (auto done = database->prepare_statements(); !done) return std::unexpected(done.error());
  return database;
}

Result<void> QueueDatabase::prepare_statements() {
  return file_.prepare_all({
      {&reserve_, "UPDATE meta SET value = ?1 WHERE name = 'reserved'"},
      {&add_queue_, "INSERT INTO queues VALUES (?1, ?2, 0)"},
      {&remove_queue_, "DELETE FROM queues WHERE number = ?1"},
      {&purge_, "UPDATE queues SET purged = ?2 WHERE number = ?1"},
      {&add_message_, "INSERT INTO messages VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"},
      {&add_dedupe_, "INSERT INTO dedupe VALUES (?1, ?2, ?3, ?4, ?5, ?6)"},
      {&lease_,
       "INSERT INTO leases VALUES (?1, ?2, ?3, ?4, 1, x'') ON CONFLICT (sequence) DO UPDATE SET "
       "count = excluded.count, first = excluded.first, until = excluded.until, leased = 1"},
      {&extend_, "UPDATE leases SET until = ?2, leased = ?3 WHERE sequence = ?1"},
      {&release_, "UPDATE leases SET until = ?2, leased = 0, state = ?3 WHERE sequence = ?1"},
      {&delete_message_, "DELETE FROM messages WHERE sequence = ?1"},
      {&delete_lease_, "DELETE FROM leases WHERE sequence = ?1"},
      {&drop_dedupe_, "DELETE FROM dedupe WHERE sequence = ?1"},
      {&read_message_, "SELECT id, grp, dedupe, body FROM messages WHERE sequence = ?1"},
      {&read_state_, "SELECT state FROM leases WHERE sequence = ?1"},
      {&read_dedupe_, "SELECT id FROM dedupe WHERE sequence = ?1"},
  });
}

// --- loading ---------------------------------------------------------------------------------------------------------

Result<void> QueueDatabase::load(QueueCore& core) {
  auto reserved = file_.query_number("SELECT value FROM meta WHERE name = 'reserved'", 0);
  if (!reserved) return std::unexpected(reserved.error());
  core.load_reserved(static_cast<std::uint64_t>(*reserved));
  if (auto done = load_queues(core); !done) return done;
  if (auto done = load_messages(core); !done) return done;
  return load_dedupe(core);
}

Result<void> QueueDatabase::load_queues(QueueCore& core) {
  auto rows = file_.prepare("SELECT number, name, purged FROM queues");
  if (!rows) return std::unexpected(rows.error());
  for (;;) {
    auto more = file_.row(rows->get());
    if (!more) return std::unexpected(more.error());
    if (!*more) return {};
    core.load_queue(column_sequence(rows->get(), 0), column_bytes(rows->get(), 1), column_sequence(rows->get(), 2));
  }
}

// Messages and leases are read side by side, both in order of sequence.
Result<void> QueueDatabase::load_messages(QueueCore& core) {
  auto messages = file_.prepare(
      "SELECT sequence, queue, sent_at, available_at, id, grp, length(body) FROM messages ORDER BY sequence");
  auto leases =
      file_.prepare("SELECT sequence, count, first, until, leased, length(state) FROM leases ORDER BY sequence");
  if (!messages) return std::unexpected(messages.error());
  if (!leases) return std::unexpected(leases.error());
  sqlite3_stmt* const message = messages->get();
  sqlite3_stmt* const lease = leases->get();
  auto more_leases = file_.row(lease);
  for (;;) {
    auto more = file_.row(message);
    if (!more) return std::unexpected(more.error());
    if (!*more) return {};
    QueueEntry entry;
    entry.sequence = column_sequence(message, 0);
    entry.sent_at = column_number(message, 2);
    entry.available_at = column_number(message, 3);
    entry.body_bytes = static_cast<std::uint32_t>(column_number(message, 6));
    while (more_leases && *more_leases && column_sequence(lease, 0) < entry.sequence) more_leases = file_.row(lease);
    if (!more_leases) return std::unexpected(more_leases.error());
    if (*more_leases && column_sequence(lease, 0) == entry.sequence) {
      entry.receive_count = static_cast<std::uint32_t>(column_number(lease, 1));
      entry.first_leased_at = column_number(lease, 2);
      entry.available_at = column_number(lease, 3);
      entry.place = column_number(lease, 4) != 0 ? Place::kLeased : Place::kDelayed;
      entry.has_state = column_number(lease, 5) != 0;
    }
    static_cast<void>(
        core.load_message(column_sequence(message, 1), entry, column_view(message, 4), column_view(message, 5)));
  }
}

Result<void> QueueDatabase::load_dedupe(QueueCore& core) {
  auto rows = file_.prepare("SELECT sequence, queue, at, grp, dedupe FROM dedupe ORDER BY sequence");
  if (!rows) return std::unexpected(rows.error());
  sqlite3_stmt* const row = rows->get();
  for (;;) {
    auto more = file_.row(row);
    if (!more) return std::unexpected(more.error());
    if (!*more) return {};
    static_cast<void>(core.load_dedupe(column_sequence(row, 1), column_sequence(row, 0), column_number(row, 2),
                                       column_view(row, 3), column_view(row, 4)));
  }
}

// --- writing ---------------------------------------------------------------------------------------------------------

Result<void> QueueDatabase::write(const QueueChange& change) {
  using Kind = QueueChange::Kind;
  switch (change.kind) {
    case Kind::kReserve:
      bind_number(reserve_.get(), 1, change.sequence);
      return file_.step(reserve_.get());
    case Kind::kAddQueue:
      bind_number(add_queue_.get(), 1, change.queue);
      bind_bytes(add_queue_.get(), 2, *change.text);
      return file_.step(add_queue_.get());
    case Kind::kRemoveQueue:
      bind_number(remove_queue_.get(), 1, change.queue);
      return file_.step(remove_queue_.get());
    case Kind::kPurge:
      bind_number(purge_.get(), 1, change.queue);
      bind_number(purge_.get(), 2, change.sequence);
      return file_.step(purge_.get());
    case Kind::kAddMessage:
    case Kind::kAddDedupe:
      return write_message(change);
    case Kind::kLease:
    case Kind::kExtend:
    case Kind::kRelease:
      return write_lease(change);
    case Kind::kDelete:
      if (change.leased) {
        bind_number(delete_lease_.get(), 1, change.sequence);
        if (auto done = file_.step(delete_lease_.get()); !done) return done;
      }
      bind_number(delete_message_.get(), 1, change.sequence);
      return file_.step(delete_message_.get());
    case Kind::kDropDedupe:
      bind_number(drop_dedupe_.get(), 1, change.sequence);
      return file_.step(drop_dedupe_.get());
  }
  return fail(ErrorCode::kInternal, "a change of an unknown kind");
}

Result<void> QueueDatabase::write_message(const QueueChange& change) {
  const NewMessage& message = *change.message;
  if (change.kind == QueueChange::Kind::kAddMessage) {
    sqlite3_stmt* const add = add_message_.get();
    bind_number(add, 1, change.sequence);
    bind_number(add, 2, change.queue);
    bind_number(add, 3, change.sent_at);
    bind_number(add, 4, change.available_at);
    bind_bytes(add, 5, message.id);
    bind_bytes(add, 6, message.group);
    bind_bytes(add, 7, message.dedupe_id);
    bind_bytes(add, 8, message.body);
    return file_.step(add);
  }
  sqlite3_stmt* const add = add_dedupe_.get();
  bind_number(add, 1, change.sequence);
  bind_number(add, 2, change.queue);
  bind_number(add, 3, change.sent_at);
  bind_bytes(add, 4, message.group);
  bind_bytes(add, 5, message.dedupe_id);
  bind_bytes(add, 6, message.id);
  return file_.step(add);
}

Result<void> QueueDatabase::write_lease(const QueueChange& change) {
  if (change.kind == QueueChange::Kind::kLease) {
    sqlite3_stmt* const lease = lease_.get();
    bind_number(lease, 1, change.sequence);
    bind_number(lease, 2, std::int64_t{change.receive_count});
    bind_number(lease, 3, change.first_leased_at);
    bind_number(lease, 4, change.available_at);
    return file_.step(lease);
  }
  const bool extends = change.kind == QueueChange::Kind::kExtend;
  sqlite3_stmt* const update = extends ? extend_.get() : release_.get();
  bind_number(update, 1, change.sequence);
  bind_number(update, 2, change.available_at);
  if (extends) {
    bind_number(update, 3, std::int64_t{change.leased ? 1 : 0});
  } else {
    bind_bytes(update, 3, *change.text);
  }
  return file_.step(update);
}

// --- reading ---------------------------------------------------------------------------------------------------------

Result<QueueContent> QueueDatabase::read(std::uint64_t sequence, bool has_state) {
  QueueContent content;
  bind_number(read_message_.get(), 1, sequence);
  auto found = file_.row(read_message_.get());
  if (!found) return std::unexpected(found.error());
  if (!*found) return fail(ErrorCode::kCorrupt, fmt::format("message {} is not in the file", sequence));
  content.id = column_bytes(read_message_.get(), 0);
  content.group = column_bytes(read_message_.get(), 1);
  content.dedupe_id = column_bytes(read_message_.get(), 2);
  content.body = column_bytes(read_message_.get(), 3);
  reset(read_message_.get());
  if (!has_state) return content;
  bind_number(read_state_.get(), 1, sequence);
  found = file_.row(read_state_.get());
  if (!found) return std::unexpected(found.error());
  if (!*found) return fail(ErrorCode::kCorrupt, fmt::format("the lease of message {} is not in the file", sequence));
  content.state = column_bytes(read_state_.get(), 0);
  reset(read_state_.get());
  return content;
}

Result<std::string> QueueDatabase::dedupe_message_id(std::uint64_t sequence) {
  bind_number(read_dedupe_.get(), 1, sequence);
  auto found = file_.row(read_dedupe_.get());
  if (!found) return std::unexpected(found.error());
  if (!*found) return fail(ErrorCode::kCorrupt, fmt::format("dedupe record {} is not in the file", sequence));
  std::string id = column_bytes(read_dedupe_.get(), 0);
  reset(read_dedupe_.get());
  return id;
}

}  // namespace mayfly::store
