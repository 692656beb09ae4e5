// The embedded engine: SQLite in WAL mode for KeyValue, Queue and Stream, files for Blob, under one data directory.
//
// Operation.   KeyValue, Queue and Stream have a file and a writer thread each, which takes everybody's writes and
// commits them
//              together (group commit, synchronous=FULL); each caller resumes after the sync. Readers of KeyValue see
//              an in-memory ordered copy that is changed after the sync. Blobs are written to a temporary file, synced,
//              renamed, and their folder synced.
// Concurrency. All calls from any reactor.
// Recovery.    Opening takes an exclusive lock on the directory (kConflict when another server has it), lets SQLite
//              recover, removes temporary files, and reports what it did. A failed sync of an acknowledged write ends
//              the process.
// Limits.      Keys 1 KiB, values 16 MiB, 65,536 writes waiting (then kThrottled); see queue_engine.h, stream_engine.h.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/error.h"
#include "store/blob.h"
#include "store/key_value.h"
#include "store/queue.h"
#include "store/stream.h"

namespace mayfly::store {

inline constexpr int kSchemaVersion = 2;

struct RecoveryReport {
  bool was_clean = true;  // the last server closed the store
  std::size_t temporary_files_removed = 0;
  std::size_t keys = 0;
  std::size_t queues = 0;
  std::size_t messages = 0;
  int schema_version = kSchemaVersion;  // found; an older one has been brought up to date
};

class Embedded {
 public:
  // Creates the directory (mode 0700) where it is missing. kUnsupported when the schema is newer than this program.
  // `clock` outlives the store.
  static Result<std::unique_ptr<Embedded>> open(const std::filesystem::path& directory, Clock& clock);
  ~Embedded();
  [[nodiscard]] KeyValue& key_value();
  [[nodiscard]] Blob& blob();
  [[nodiscard]] Queue& queue();
  [[nodiscard]] Stream& stream();
  [[nodiscard]] const RecoveryReport& recovery() const;

 private:
  struct Impl;
  explicit Embedded(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace mayfly::store
