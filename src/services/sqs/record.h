// A queue's record: what is stored of it, and its attributes as the API takes and shows them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "services/sqs/errors.h"
#include "store/queue.h"

namespace mayfly::sqs {

inline constexpr std::string_view kPortPrefix = "sqs/";  // names of the port's queues

struct Place {
  std::string account;
  std::string region;
  auto operator<=>(const Place&) const = default;
};

using Attributes = std::vector<std::pair<std::string, std::string>>;

struct QueueRecord {
  static constexpr std::string_view kPrefix = "sqs/queue/";

  Place place;
  std::string name;
  std::string generation;    // 16 hexadecimal digits; another one each time that a queue of this name is made
  std::int64_t created = 0;  // epoch seconds
  std::int64_t modified = 0;
  bool fifo = false;
  std::int32_t visibility_timeout = 30;
  std::int32_t delay = 0;
  std::int32_t wait = 0;
  std::int32_t retention = 345'600;
  std::int32_t max_message_bytes = 1'048'576;
  bool content_dedupe = false;
  bool dedupe_by_group = false;      // DeduplicationScope messageGroup
  bool throughput_by_group = false;  // FifoThroughputLimit perMessageGroupId
  bool managed_encryption = true;    // SqsManagedSseEnabled
  std::string policy;                // compact JSON, or ""
  std::string dead_letter_arn;       // of the redrive policy, or ""
  std::int32_t max_receive_count = 0;
  std::string redrive_allow_policy;  // compact JSON, or ""
  Attributes tags;

  [[nodiscard]] std::string arn() const;
  [[nodiscard]] store::QueueName port_name() const;
  [[nodiscard]] store::QueueSettings port_settings() const;
  [[nodiscard]] std::string key() const;
  [[nodiscard]] json::object document() const;
  static Result<QueueRecord> read(const json::object& in);
};

std::string queue_key(const Place& place, std::string_view name);
std::string queue_arn(const Place& place, std::string_view name);

// InvalidParameterValue where it is no name of a queue of this kind.
aws::ApiResult<void> check_name(std::string_view name, bool fifo);
// Sets attributes as CreateQueue and SetQueueAttributes give them; `creating`: FifoQueue may be given. What is not
// carried out (customer keys) is refused by name. Rules about other queues are not asked here.
enum class Purpose : bool { kCreate, kChange };
aws::ApiResult<void> set_attributes(QueueRecord& record, const Attributes& attributes, Purpose purpose);
// One attribute as GetQueueAttributes shows it; nullopt where the queue has none of that name. Counts are not here.
std::optional<std::string> shown_attribute(const QueueRecord& record, std::string_view name);
// Every name that GetQueueAttributes knows, in the order in which "All" shows them; counts included.
const std::vector<std::string_view>& attribute_names();

// Whether a queue allows `source_arn` to use it for dead letters.
bool allows_redrive(const QueueRecord& dead_letters, std::string_view source_arn);

}  // namespace mayfly::sqs
