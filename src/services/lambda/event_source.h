// Where event source mappings read from. A service that has events to be polled (queues now; streams and brokers can
// be added) gives one EventSources; each mapping opens one EventSource and polls it.
//
// Promises of a source. A received record is the mapping's for hold_time(); done() ends it for good; a record that is
//           neither done nor held comes again. Records of an ordered source come in the order of their groups, and none
//           of a group while an earlier one is held.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "aws/api.h"
#include "base/async.h"
#include "base/error.h"

namespace mayfly::lambda {

struct SourceRecord {
  std::string id;       // what a partial batch response names: a message id, a sequence number
  std::string receipt;  // what the source knows it by
  std::uint32_t receive_count = 1;
  std::string text;  // the record as functions get it, JSON
};

struct ReceiveAsk {
  std::uint32_t max_records = 10;
  std::uint64_t max_bytes = 6UL * 1024 * 1024;
  std::chrono::milliseconds wait{0};  // for a first record
};

class EventSource {
 public:
  EventSource() = default;
  EventSource(const EventSource&) = delete;
  EventSource& operator=(const EventSource&) = delete;
  virtual ~EventSource() = default;

  virtual Awaitable<Result<std::vector<SourceRecord>>> receive(ReceiveAsk ask) = 0;
  virtual Awaitable<void> done(std::vector<std::string> receipts) = 0;
  // From now on; 0 gives them back at once.
  virtual Awaitable<void> hold(std::vector<std::string> receipts, std::chrono::seconds time) = 0;
  [[nodiscard]] virtual std::chrono::seconds hold_time() const = 0;
};

class EventSources {
 public:
  EventSources() = default;
  EventSources(const EventSources&) = delete;
  EventSources& operator=(const EventSources&) = delete;
  virtual ~EventSources() = default;

  // Whether a mapping can read from what the ARN names, as CreateEventSourceMapping refuses it.
  [[nodiscard]] virtual aws::ApiResult<void> check(const std::string& arn,
                                                   std::chrono::seconds function_timeout) const = 0;
  [[nodiscard]] virtual bool is_ordered(const std::string& arn) const = 0;
  [[nodiscard]] virtual std::unique_ptr<EventSource> open(const std::string& arn) const = 0;
};

}  // namespace mayfly::lambda
