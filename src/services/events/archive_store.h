// The events that archives hold, on the KeyValue port.
//
// Operation.   An event is a record under its archive's generation, named by the event's time, so that a replay reads a
//              span of time in order. What is older than its archive's retention, or belongs to an archive that is
//              gone, is removed by sweep().
// Concurrency. Any reactor.
// Limits.      KeyValue holds all records in memory; so an archive holds at most kMostBytes and kMostEvents. What comes
//              after that is not archived: the archive then shows itself as DISABLED, with the reason.
// Recovery.    load() counts what is there.
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

namespace mayfly::events {

struct ArchiveFill {
  std::uint64_t events = 0;
  std::uint64_t bytes = 0;
  bool full = false;
};

class ArchiveStore {
 public:
  static constexpr std::uint64_t kMostBytes = 64UL * 1024 * 1024;
  static constexpr std::uint64_t kMostEvents = 100'000;

  ArchiveStore(store::KeyValue& store, Clock& clock, const ArchiveTable& archives);

  Awaitable<Result<void>> load();
  // Durable on return. An archive that is full takes nothing, which is no error.
  Awaitable<Result<void>> add(ArchivePtr archive, BusEvent event);
  [[nodiscard]] ArchiveFill fill_of(const ArchiveRecord& archive) const;

  struct Archived {
    std::string position;  // to read on behind it
    SystemTime time;
    std::string text;
  };
  // Events of [from, until) in order, from the first one behind `after` ("" : from the start), at most `limit`.
  Awaitable<Result<std::vector<Archived>>> read(ArchivePtr archive, SystemTime from, SystemTime until,
                                                std::string after, std::size_t limit);
  // Removes what is too old or has lost its archive.
  Awaitable<void> sweep();

 private:
  Awaitable<void> remove(std::string key, std::size_t bytes, std::string generation);

  store::KeyValue& store_;
  Clock& clock_;
  const ArchiveTable& archives_;
  mutable std::mutex mutex_;
  std::map<std::string, ArchiveFill> fill_;  // by generation
};

}  // namespace mayfly::events
