// The events that archives hold: a stream for each archive.
//
// Operation.   An event is a record of its archive's stream: the event's time, or that of its arrival where that is
//              earlier, and its text. A replay reads from the first record that can be of its span, and passes over
//              what is not. What is older than its archive's retention, or belongs to an archive that is gone, is
//              removed by sweep().
// Concurrency. Any reactor.
// Limits.      kMostBytes an archive, on the disk. What comes after that is not archived: the archive then shows itself
//              as DISABLED, with the reason.
// Recovery.    load() asks what is there, and takes over what an earlier version kept as records of the control plane.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "base/async.h"
#include "base/clock.h"
#include "services/events/bus_event.h"
#include "services/events/matcher.h"
#include "store/key_value.h"
#include "store/stream.h"

namespace mayfly::events {

struct ArchiveFill {
  std::uint64_t events = 0;
  std::uint64_t bytes = 0;
  bool full = false;
};

class ArchiveStore {
 public:
  static constexpr std::uint64_t kMostBytes = 10UL * 1024 * 1024 * 1024;

  ArchiveStore(store::KeyValue& records, store::Stream& streams, Clock& clock, const ArchiveTable& archives);

  // After the archives.
  Awaitable<Result<void>> load();
  // An event as its archive keeps it.
  [[nodiscard]] std::string record_of(const BusEvent& event) const;
  // All or none, durable on return. An archive that is full takes nothing, which is no error.
  Awaitable<Result<void>> add(ArchivePtr archive, std::vector<std::string> records);
  [[nodiscard]] ArchiveFill fill_of(const ArchiveRecord& archive) const;

  struct Archived {
    std::string position;  // to read on behind it
    SystemTime time;
    std::string text;
  };
  // Events of [from, until) in the order in which they came, from the first one behind `after` ("" : from the start),
  // at most `limit`. Empty: there are no more.
  Awaitable<Result<std::vector<Archived>>> read(ArchivePtr archive, SystemTime from, SystemTime until,
                                                std::string after, std::size_t limit);
  // Removes what is too old or has lost its archive.
  Awaitable<void> sweep();

 private:
  Awaitable<Result<void>> take_over();
  Awaitable<void> sweep_stream(store::StreamName stream, std::string generation, std::int32_t retention_days);
  Awaitable<Result<void>> count(store::StreamName stream, std::string generation);

  store::KeyValue& records_;
  store::Stream& streams_;
  Clock& clock_;
  const ArchiveTable& archives_;
  mutable std::mutex mutex_;
  std::map<std::string, ArchiveFill> fill_;  // by generation
};

}  // namespace mayfly::events
