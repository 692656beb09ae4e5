// The records of queues in memory, and the one way they change.
//
// Operation.   A RecordTable, and the port's queues that follow it: a queue of the port is configured before its record
//              appears and after each change, and removed after the record has gone.
// Concurrency. Any reactor.
// Recovery.    load() reads everything; a record that cannot be read stops the start. Queues of the port without a
//              record are what a crash left between two steps, and are removed.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/async.h"
#include "delivery/targets.h"
#include "services/record_table.h"
#include "services/sqs/record.h"
#include "store/key_value.h"

namespace mayfly::sqs {

using QueuePtr = std::shared_ptr<const QueueRecord>;
using QueueEdit = services::RecordTable<QueueRecord>::Edit;

class Tables {
 public:
  Tables(store::KeyValue& store, store::Queue& port) : port_(port), records_(store) {}

  Awaitable<Result<void>> load();

  [[nodiscard]] QueuePtr find(const Place& place, std::string_view name) const;  // null where there is none
  [[nodiscard]] QueuePtr find_arn(std::string_view arn) const;
  [[nodiscard]] std::vector<QueuePtr> list(const Place& place, std::string_view prefix) const;  // by name
  [[nodiscard]] std::vector<QueuePtr> all() const;
  [[nodiscard]] std::vector<QueuePtr> sources_of(std::string_view dead_letter_arn) const;  // by ARN

  // Null where a queue of this name has appeared meanwhile.
  Awaitable<aws::ApiResult<QueuePtr>> create(QueueRecord record);
  // The edit may run several times and touches nothing but the record it is given.
  Awaitable<aws::ApiResult<QueuePtr>> change(Place place, std::string name, QueueEdit edit);
  Awaitable<aws::ApiResult<void>> erase(Place place, std::string name);

 private:
  // Gives the port the settings of the newest record.
  Awaitable<Result<void>> configure(std::string key);
  Awaitable<Result<void>> remove_forgotten();

  store::Queue& port_;
  services::RecordTable<QueueRecord> records_;
};

}  // namespace mayfly::sqs
