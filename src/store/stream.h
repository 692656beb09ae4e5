// Stream: durable records in order, appended with an expected sequence. What workflow histories and the archives of
// buses are made of.
//
// Promises. A call that returned success is durable. The records of a stream have the sequences 1, 2, 3, ... without
//           gaps, in the order of their appends; an append happens as a whole or not at all. Of concurrent appends that
//           expect one sequence, one wins. Times of records never go back within a stream. What was trimmed is never
//           given again, and its sequences are not given to others.
// Streams.  Exist from their first append to remove(); a removed name begins anew at 1.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/async.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/ids.h"

namespace mayfly::store {

using StreamName = Id<struct StreamNameTag>;  // "archive/<account>/<region>/<name>", at most 1,024 bytes

struct StreamRecord {
  std::uint64_t sequence = 0;
  SystemTime at;  // of its append
  std::string data;
};

struct StreamInfo {
  std::uint64_t first = 1;  // the oldest sequence that can be read; last + 1 where there is none
  std::uint64_t last = 0;   // the highest sequence ever given
  std::uint64_t bytes = 0;  // of all records that can be read
  std::optional<SystemTime> oldest_at;
  std::optional<SystemTime> newest_at;
};

struct StreamRead {
  std::uint64_t max_records = 100;              // at most 10,000
  std::uint64_t max_bytes = 4UL * 1024 * 1024;  // one record is always given
};

class Stream {
 public:
  virtual ~Stream() = default;

  // Appends where the last sequence is `expected` (0: the stream is new or was removed), or whatever it is where that
  // is nullopt. The sequence of the last record. kConflict, kTooLarge (a record has at most 2 MiB, a call 10,000
  // records and 16 MiB), kThrottled, kIo (disk full).
  virtual Awaitable<Result<std::uint64_t>> append(StreamName stream, std::vector<std::string> records,
                                                  std::optional<std::uint64_t> expected) = 0;
  // In order, from the first record whose sequence is greater than `after`. Empty at the end. kNotFound.
  virtual Awaitable<Result<std::vector<StreamRecord>>> read(StreamName stream, std::uint64_t after,
                                                            StreamRead bound) = 0;
  // The highest sequence of a record that is older than `time`, for read(); 0 where there is none. kNotFound.
  virtual Awaitable<Result<std::uint64_t>> position_before(StreamName stream, SystemTime time) = 0;
  // Records up to this sequence are gone. Nothing to trim is success. kNotFound.
  virtual Awaitable<Result<void>> trim(StreamName stream, std::uint64_t up_to) = 0;
  // Records older than `time` are gone, and then the oldest until at most `max_bytes` are left. kNotFound.
  virtual Awaitable<Result<void>> trim_to(StreamName stream, SystemTime time, std::uint64_t max_bytes) = 0;
  // kNotFound.
  virtual Awaitable<Result<StreamInfo>> info(StreamName stream) = 0;
  // By name, from the first greater than `after`.
  virtual Awaitable<Result<std::vector<StreamName>>> list(std::string prefix, std::string after, std::size_t limit) = 0;
  // Removes the stream and its records. Removing nothing is success.
  virtual Awaitable<Result<void>> remove(StreamName stream) = 0;
};

}  // namespace mayfly::store
