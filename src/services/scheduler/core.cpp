#include "services/scheduler/core.h"

#include <algorithm>

#include "base/encoding.h"

namespace mayfly::scheduler {
namespace {

constexpr std::size_t kRememberedDeletions = 10'000;

}  // namespace

Core::Core(store::KeyValue& store_in, Submit submit, Supports supports_in, Clock& clock_in,
           SchedulerSettings settings_in)
    : store(store_in),
      supports(std::move(supports_in)),
      clock(clock_in),
      settings(std::move(settings_in)),
      zones(settings.zone_folder),
      firing(store_in, std::move(submit), clock_in, zones) {}

Place Core::place(const aws::CallContext& context) const {
  Place out;
  out.account = context.principal.account.empty() ? settings.account : context.principal.account;
  out.region = context.region.empty() ? settings.region : context.region;
  return out;
}

void Core::count(const Place& place, std::int64_t change) {
  const std::lock_guard lock(mutex_);
  counts_[place] += change;
}

std::uint64_t Core::count(const Place& place) const {
  const std::lock_guard lock(mutex_);
  const auto found = counts_.find(place);
  return found == counts_.end() || found->second < 0 ? 0 : static_cast<std::uint64_t>(found->second);
}

void Core::remember_deletion(const std::string& key, const std::string& token) {
  if (token.empty()) return;
  const std::lock_guard lock(mutex_);
  deleted_.push_back(token + " " + key);
  if (deleted_.size() > kRememberedDeletions) deleted_.pop_front();
}

bool Core::was_deleted_by(const std::string& key, const std::string& token) const {
  if (token.empty()) return false;
  const std::lock_guard lock(mutex_);
  return std::ranges::find(deleted_, token + " " + key) != deleted_.end();
}

Awaitable<aws::ApiResult<std::optional<StoredSchedule>>> read_schedule(Core& core, std::string key) {
  auto entry = co_await core.store.get(key);
  if (!entry) co_return refuse_store(entry.error());
  if (!*entry) co_return std::optional<StoredSchedule>();
  auto record = schedule_from_text(key, (*entry)->value);
  if (!record) co_return refuse_store(record.error());
  StoredSchedule out;
  out.record = std::move(*record);
  out.revision = (*entry)->revision;
  co_return std::optional(std::move(out));
}

Awaitable<aws::ApiResult<std::optional<StoredGroup>>> read_group(Core& core, std::string key) {
  auto entry = co_await core.store.get(key);
  if (!entry) co_return refuse_store(entry.error());
  if (!*entry) co_return std::optional<StoredGroup>();
  auto record = group_from_text(key, (*entry)->value);
  if (!record) co_return refuse_store(record.error());
  StoredGroup out;
  out.record = std::move(*record);
  out.revision = (*entry)->revision;
  co_return std::optional(std::move(out));
}

Awaitable<aws::ApiResult<StoredGroup>> existing_group(Core& core, Place place, std::string name) {
  const auto key = group_key(place, name);
  auto found = co_await read_group(core, key);
  if (!found) co_return std::unexpected(std::move(found.error()));
  if (*found) co_return std::move(**found);
  if (name != kDefaultGroup) co_return refuse_no_group(name);
  // Not stored before somebody changes it: nothing is written by reading.
  StoredGroup out;
  out.record.place = place;
  out.record.name = name;
  out.record.state = "ACTIVE";
  co_return out;
}

std::string encode_token(std::string_view key) { return base64_encode(key); }

aws::ApiResult<std::string> decode_token(const std::optional<std::string>& token) {
  if (!token || token->empty()) return std::string();
  auto key = base64_decode(*token);
  if (!key) return refuse_value("Invalid NextToken.");
  return std::move(*key);
}

}  // namespace mayfly::scheduler
