// Schedules: create, get, update, delete, list.
#include <fmt/core.h>

#include <algorithm>

#include "base/ids.h"
#include "base/time_format.h"
#include "services/scheduler/core.h"

namespace mayfly::scheduler {
namespace {

constexpr int kScheduleAttempts = 16;
constexpr std::size_t kMostSchedules = 100;
constexpr std::size_t kMostLookedAt = 10'000;  // records read for one page of a list with filters
constexpr std::chrono::minutes kLatestStart{5};

std::string group_of(const std::optional<std::string>& group) { return group.value_or(std::string(kDefaultGroup)); }

// What CreateSchedule and UpdateSchedule have in common: the settings of a schedule, checked and with their defaults.
template <typename Input>
aws::ApiResult<void> take_settings(const Core& core, const Input& request, ScheduleRecord& record) {
  if (request.KmsKeyArn) return refuse_unsupported("KmsKeyArn", "this server has no KMS");
  auto& shown = record.shown;
  shown.ActionAfterCompletion = request.ActionAfterCompletion.value_or("NONE");
  shown.Description = request.Description;
  shown.StartDate = request.StartDate;
  shown.EndDate = request.EndDate;
  shown.FlexibleTimeWindow = request.FlexibleTimeWindow;
  shown.ScheduleExpression = request.ScheduleExpression;
  shown.ScheduleExpressionTimezone = request.ScheduleExpressionTimezone.value_or("UTC");
  shown.State = request.State.value_or("ENABLED");
  shown.Target = request.Target;
  const bool flexible = shown.FlexibleTimeWindow->Mode == "FLEXIBLE";
  if (flexible && !shown.FlexibleTimeWindow->MaximumWindowInMinutes) {
    return refuse_value("MaximumWindowInMinutes must be specified when FlexibleTimeWindow has the mode FLEXIBLE.");
  }
  if (!flexible && shown.FlexibleTimeWindow->MaximumWindowInMinutes) {
    return refuse_value("MaximumWindowInMinutes must not be specified when FlexibleTimeWindow has the mode OFF.");
  }
  if (shown.StartDate && shown.EndDate && *shown.EndDate <= *shown.StartDate) {
    return refuse_value("The EndDate you specify must come after the StartDate.");
  }
  auto target = check_target(*shown.Target, record.place, core.supports);
  if (!target) return target;
  if (!shown.Target->RetryPolicy) shown.Target->RetryPolicy.emplace();
  auto& retry = *shown.Target->RetryPolicy;
  retry.MaximumEventAgeInSeconds = retry.MaximumEventAgeInSeconds.value_or(86'400);
  retry.MaximumRetryAttempts = retry.MaximumRetryAttempts.value_or(185);
  return {};
}

aws::ApiResult<Timing> checked_timing(Core& core, const ScheduleRecord& record) {
  auto expression = schedule::Schedule::parse(text_of(record.shown.ScheduleExpression), schedule::Dialect::kScheduler);
  if (!expression) return refuse_value(expression.error().message);
  auto zone = core.zones.find(text_of(record.shown.ScheduleExpressionTimezone));
  if (!zone) {
    return refuse_value(
        fmt::format("Invalid Schedule Expression Timezone {}.", text_of(record.shown.ScheduleExpressionTimezone)));
  }
  return Timing{.expression = *expression, .zone = std::move(*zone)};
}

aws::ApiResult<void> check_start(const ScheduleRecord& record, const Timing& timing, SystemTime now) {
  if (!record.shown.StartDate || timing.expression.kind() == schedule::Schedule::Kind::kAt) return {};
  if (from_epoch_seconds(*record.shown.StartDate) < now - kLatestStart) {
    return refuse_value("The StartDate you specify cannot be earlier than 5 minutes ago.");
  }
  return {};
}

// A rate begins at its start date, or with the whole second in which it was set.
SystemTime anchor_of(const ScheduleRecord& record, SystemTime now) {
  if (record.shown.StartDate) return from_epoch_seconds(*record.shown.StartDate);
  return std::chrono::floor<std::chrono::seconds>(now);
}

// Whether an update leaves alone what decides when a schedule fires.
bool same_plan(const wire::GetScheduleOutput& a, const wire::GetScheduleOutput& b) {
  return a.ScheduleExpression == b.ScheduleExpression && a.ScheduleExpressionTimezone == b.ScheduleExpressionTimezone &&
         a.StartDate == b.StartDate && a.EndDate == b.EndDate && a.State == b.State && a.State == "ENABLED" &&
         a.FlexibleTimeWindow->Mode == b.FlexibleTimeWindow->Mode &&
         a.FlexibleTimeWindow->MaximumWindowInMinutes == b.FlexibleTimeWindow->MaximumWindowInMinutes;
}

std::unexpected<aws::ApiError> refuse_existing(std::string_view name) {
  return refuse(wire::errors::ConflictException, fmt::format("Schedule {} already exists.", name));
}

Awaitable<aws::ApiResult<wire::CreateScheduleOutput>> create_schedule(Core& core, const aws::CallContext& context,
                                                                      wire::CreateScheduleInput request) {
  const auto now = core.clock.now();
  const auto token = text_of(request.ClientToken);
  const auto group_name = group_of(request.GroupName);
  const auto name = text_of(request.Name);
  ScheduleRecord record;
  record.place = core.place(context);
  auto taken = take_settings(core, request, record);
  if (!taken) co_return std::unexpected(std::move(taken.error()));
  auto timing = checked_timing(core, record);
  if (!timing) co_return std::unexpected(std::move(timing.error()));
  auto started = check_start(record, *timing, now);
  if (!started) co_return std::unexpected(std::move(started.error()));
  auto group = co_await existing_group(core, record.place, group_name);
  if (!group) co_return std::unexpected(std::move(group.error()));
  if (group->record.state == "DELETING") {
    co_return refuse(wire::errors::ConflictException, fmt::format("Schedule group {} is being deleted.", group_name));
  }
  const auto key = schedule_key(record.place, group_name, name);
  record.generation = uuid4();
  record.create_token = token;
  record.anchor = anchor_of(record, now);
  record.shown.Arn = schedule_arn(record.place, group_name, name);
  record.shown.GroupName = group_name;
  record.shown.Name = name;
  record.shown.CreationDate = record.shown.LastModificationDate = epoch_seconds(now);
  plan_first(record, *timing, now);
  wire::CreateScheduleOutput out;
  out.ScheduleArn = record.shown.Arn;
  auto present = co_await read_schedule(core, key);
  if (!present) co_return std::unexpected(std::move(present.error()));
  if (*present && !token.empty() && (*present)->record.create_token == token) co_return out;
  if (*present) co_return refuse_existing(name);
  if (core.count(record.place) >= core.settings.max_schedules) {
    co_return refuse(wire::errors::ServiceQuotaExceededException,
                     fmt::format("The limit of {} schedules is reached.", core.settings.max_schedules));
  }
  auto text = to_text(record);
  auto written = co_await core.store.compare_and_set(key, std::move(text), 0);
  if (!written && written.error().code == ErrorCode::kConflict) co_return refuse_existing(name);
  if (!written) co_return refuse_store(written.error());
  core.count(record.place, 1);
  core.firing.set(key, record.fires_at);
  co_return out;
}

Awaitable<aws::ApiResult<StoredSchedule>> existing_schedule(Core& core, Place place, std::string group,
                                                            std::string name) {
  auto found = co_await read_schedule(core, schedule_key(place, group, name));
  if (!found) co_return std::unexpected(std::move(found.error()));
  if (!*found) co_return refuse_no_schedule(name);
  co_return std::move(**found);
}

Awaitable<aws::ApiResult<wire::GetScheduleOutput>> get_schedule(Core& core, const aws::CallContext& context,
                                                                wire::GetScheduleInput request) {
  auto found =
      co_await existing_schedule(core, core.place(context), group_of(request.GroupName), text_of(request.Name));
  if (!found) co_return std::unexpected(std::move(found.error()));
  co_return std::move(found->record.shown);
}

Awaitable<aws::ApiResult<wire::UpdateScheduleOutput>> update_schedule(Core& core, const aws::CallContext& context,
                                                                      wire::UpdateScheduleInput request) {
  const auto place = core.place(context);
  const auto group = group_of(request.GroupName);
  const auto name = text_of(request.Name);
  const auto token = text_of(request.ClientToken);
  const auto key = schedule_key(place, group, name);
  wire::UpdateScheduleOutput out;
  out.ScheduleArn = schedule_arn(place, group, name);
  for (int attempt = 0; attempt < kScheduleAttempts; ++attempt) {
    const auto now = core.clock.now();
    auto found = co_await existing_schedule(core, place, group, name);
    if (!found) co_return std::unexpected(std::move(found.error()));
    if (!token.empty() && found->record.update_token == token) co_return out;
    auto record = found->record;
    // All settings are replaced: what the request leaves out has its default again.
    auto taken = take_settings(core, request, record);
    if (!taken) co_return std::unexpected(std::move(taken.error()));
    auto timing = checked_timing(core, record);
    if (!timing) co_return std::unexpected(std::move(timing.error()));
    const auto& before = found->record.shown;
    const bool same_start = record.shown.StartDate == before.StartDate;
    auto started = same_start ? aws::ApiResult<void>() : check_start(record, *timing, now);
    if (!started) co_return std::unexpected(std::move(started.error()));
    record.update_token = token;
    record.shown.LastModificationDate = epoch_seconds(now);
    if (!same_start || record.shown.ScheduleExpression != before.ScheduleExpression) {
      record.anchor = anchor_of(record, now);
    }
    // An occurrence that waits in its window, or is just being caught up with, is not lost to a new description.
    if (!same_plan(record.shown, before)) plan_first(record, *timing, now);
    auto text = to_text(record);
    auto written = co_await core.store.compare_and_set(key, std::move(text), found->revision);
    if (written) {
      core.firing.set(key, record.fires_at);
      co_return out;
    }
    if (written.error().code != ErrorCode::kConflict) co_return refuse_store(written.error());
  }
  co_return refuse_store(Error{.code = ErrorCode::kConflict, .message = "", .hint = ""});
}

Awaitable<aws::ApiResult<wire::DeleteScheduleOutput>> delete_schedule(Core& core, const aws::CallContext& context,
                                                                      wire::DeleteScheduleInput request) {
  const auto place = core.place(context);
  const auto name = text_of(request.Name);
  const auto token = text_of(request.ClientToken);
  const auto key = schedule_key(place, group_of(request.GroupName), name);
  for (int attempt = 0; attempt < kScheduleAttempts; ++attempt) {
    auto entry = co_await core.store.get(key);
    if (!entry) co_return refuse_store(entry.error());
    if (!*entry) {
      if (core.was_deleted_by(key, token)) co_return wire::DeleteScheduleOutput();
      co_return refuse_no_schedule(name);
    }
    auto removed = co_await core.store.remove(key, (*entry)->revision);
    if (!removed && removed.error().code == ErrorCode::kConflict) continue;
    if (!removed) co_return refuse_store(removed.error());
    core.firing.set(key, std::nullopt);
    core.count(place, -1);
    core.remember_deletion(key, token);
    co_return wire::DeleteScheduleOutput();
  }
  co_return refuse_store(Error{.code = ErrorCode::kConflict, .message = "", .hint = ""});
}

wire::ScheduleSummary summary_of(const ScheduleRecord& record) {
  wire::ScheduleSummary out;
  out.Arn = record.shown.Arn;
  out.CreationDate = record.shown.CreationDate;
  out.GroupName = record.shown.GroupName;
  out.LastModificationDate = record.shown.LastModificationDate;
  out.Name = record.shown.Name;
  out.State = record.shown.State;
  out.Target.emplace().Arn = record.shown.Target->Arn;
  return out;
}

Awaitable<aws::ApiResult<wire::ListSchedulesOutput>> list_schedules(Core& core, const aws::CallContext& context,
                                                                    wire::ListSchedulesInput request) {
  const auto place = core.place(context);
  auto after = decode_token(request.NextToken);
  if (!after) co_return std::unexpected(std::move(after.error()));
  if (request.GroupName) {
    auto group = co_await existing_group(core, place, *request.GroupName);
    if (!group) co_return std::unexpected(std::move(group.error()));
  }
  const auto prefix = request.GroupName ? schedule_key(place, *request.GroupName, text_of(request.NamePrefix))
                                        : fmt::format("{}{}/{}/", kSchedulePrefix, place.account, place.region);
  const auto limit = static_cast<std::size_t>(request.MaxResults.value_or(static_cast<int>(kMostSchedules)));
  wire::ListSchedulesOutput out;
  out.Schedules.emplace();
  std::size_t looked_at = 0;
  for (;;) {
    auto page = co_await core.store.list(prefix, *after, kMostSchedules);
    if (!page) co_return refuse_store(page.error());
    for (const auto& entry : *page) {
      if (out.Schedules->size() == limit || looked_at == kMostLookedAt) {
        out.NextToken = encode_token(*after);
        co_return out;
      }
      ++looked_at;
      *after = entry.key;
      const auto name = std::string_view(entry.key).substr(entry.key.rfind('/') + 1);
      if (!name.starts_with(text_of(request.NamePrefix))) continue;
      const auto record = schedule_from_text(entry.key, entry.value);
      if (!record) co_return refuse_store(record.error());
      if (request.State && record->shown.State != request.State) continue;
      out.Schedules->push_back(summary_of(*record));
    }
    if (page->size() < kMostSchedules) co_return out;
  }
}

}  // namespace

void bind_schedules(aws::Service& service, Core& core) {
  bind<wire::CreateSchedule>(service, core, create_schedule);
  bind<wire::GetSchedule>(service, core, get_schedule);
  bind<wire::UpdateSchedule>(service, core, update_schedule);
  bind<wire::DeleteSchedule>(service, core, delete_schedule);
  bind<wire::ListSchedules>(service, core, list_schedules);
}

}  // namespace mayfly::scheduler
