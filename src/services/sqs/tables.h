// The records of queues in memory, and the one way they change.
//
// Operation.   Records are immutable and shared. A change copies one, edits the copy, writes it with compare-and-set,
//              and only then replaces the one in memory; where somebody else was faster the edit runs again on the
//              newer record. The port's queue follows: it is configured before its record appears and after each
//              change, and removed after the record has gone.
// Concurrency. Any reactor. One mutex guards the map; it is never held across co_await.
// Limits.      An edit is tried kEditAttempts times against concurrent writers.
// Recovery.    load() reads everything; a record that cannot be read stops the start. Queues of the port without a
//              record are what a crash left between two steps, and are removed.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/async.h"
#include "delivery/targets.h"
#include "services/sqs/record.h"
#include "store/key_value.h"

namespace mayfly::sqs {

using QueuePtr = std::shared_ptr<const QueueRecord>;
using QueueEdit = std::function<aws::ApiResult<void>(QueueRecord&)>;

class Tables {
 public:
  Tables(store::KeyValue& store, store::Queue& port) : store_(store), port_(port) {}

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
  struct Installed {
    QueuePtr record;  // null after deletion, so that a late, older write cannot bring it back
    store::Revision revision = 0;
  };

  [[nodiscard]] Installed seen(const std::string& key) const;
  void install(const std::string& key, QueuePtr record, store::Revision revision);
  Awaitable<Result<void>> refresh(std::string key);
  // Gives the port the settings of the newest record.
  Awaitable<Result<void>> configure(std::string key);
  Awaitable<Result<void>> remove_forgotten();

  store::KeyValue& store_;
  store::Queue& port_;
  mutable std::mutex mutex_;
  std::map<std::string, Installed, std::less<>> queues_;  // by key
};

}  // namespace mayfly::sqs
