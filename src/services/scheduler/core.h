// What every topic of the service works with. Operations are free coroutines, one file for each topic.
//
// Records are not copied into this service: the store's own copy in memory is read for each request, so that a
// million schedules are held once. Only when each fires is kept here (DueTimes).
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

#include "aws/api.h"
#include "services/operation.h"
#include "services/scheduler/firing.h"
#include "services/scheduler/scheduler.h"
#include "services/scheduler/target.h"

namespace mayfly::scheduler {

struct Core {
  Core(store::KeyValue& store_in, Submit submit, Supports supports_in, Clock& clock_in, SchedulerSettings settings_in);

  store::KeyValue& store;
  Supports supports;
  Clock& clock;
  SchedulerSettings settings;
  schedule::TimeZones zones;
  Firing firing;
  Scope deletions{"deleted schedule groups"};

  [[nodiscard]] Place place(const aws::CallContext& context) const;

  // How many schedules there are, for the quota.
  void count(const Place& place, std::int64_t change);
  [[nodiscard]] std::uint64_t count(const Place& place) const;
  // Deletions that have been done, by their client's token, so that a repeated request succeeds.
  void remember_deletion(const std::string& key, const std::string& token);
  [[nodiscard]] bool was_deleted_by(const std::string& key, const std::string& token) const;

 private:
  mutable std::mutex mutex_;
  std::map<Place, std::int64_t> counts_;
  std::deque<std::string> deleted_;  // "<token> <key>"
};

using services::bind;

void bind_schedules(aws::Service& service, Core& core);
void bind_groups(aws::Service& service, Core& core);
void bind_tags(aws::Service& service, Core& core);

// A record with its revision; nullopt where there is none.
struct StoredSchedule {
  ScheduleRecord record;
  store::Revision revision = 0;
};
struct StoredGroup {
  GroupRecord record;
  store::Revision revision = 0;
};
Awaitable<aws::ApiResult<std::optional<StoredSchedule>>> read_schedule(Core& core, std::string key);
Awaitable<aws::ApiResult<std::optional<StoredGroup>>> read_group(Core& core, std::string key);
// The group of a request, made where it is the default one and missing: every account has it from the beginning.
Awaitable<aws::ApiResult<StoredGroup>> existing_group(Core& core, Place place, std::string name);
// Goes on with the deletion of a group in the background.
void delete_group(Core& core, Reactor& reactor, std::string key);

std::string encode_token(std::string_view key);
aws::ApiResult<std::string> decode_token(const std::optional<std::string>& token);

}  // namespace mayfly::scheduler
