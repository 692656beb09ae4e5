// Schedule groups and their tags.
#include <fmt/core.h>

#include <algorithm>

#include "base/log.h"
#include "base/time_format.h"
#include "services/scheduler/core.h"

namespace mayfly::scheduler {
namespace {

using Tags = std::vector<std::pair<std::string, std::string>>;

constexpr std::size_t kMostTags = 200;
constexpr std::size_t kGroupPage = 256;
constexpr std::size_t kMostGroups = 100;
constexpr int kGroupAttempts = 16;

aws::ApiResult<void> set_tags(Tags& tags, const std::vector<wire::Tag>& wanted) {
  for (const auto& tag : wanted) {
    const auto key = text_of(tag.Key);
    if (key.starts_with("aws:")) return refuse_value("Tag keys cannot begin with aws:.");
    const auto found = std::ranges::find(tags, key, &Tags::value_type::first);
    if (found == tags.end()) {
      tags.emplace_back(key, text_of(tag.Value));
    } else {
      found->second = text_of(tag.Value);
    }
  }
  if (tags.size() > kMostTags) {
    return refuse_value(fmt::format("A schedule group can have at most {} tags.", kMostTags));
  }
  return {};
}

wire::ScheduleGroupSummary summary_of(const GroupRecord& group) {
  wire::ScheduleGroupSummary out;
  out.Arn = group_arn(group.place, group.name);
  out.Name = group.name;
  out.State = group.state;
  // The default group is there from the beginning.
  out.CreationDate = group.created;
  out.LastModificationDate = group.modified;
  return out;
}

Awaitable<aws::ApiResult<wire::CreateScheduleGroupOutput>> create_group(Core& core, const aws::CallContext& context,
                                                                        wire::CreateScheduleGroupInput request) {
  const auto place = core.place(context);
  const auto name = text_of(request.Name);
  const auto key = group_key(place, name);
  wire::CreateScheduleGroupOutput out;
  out.ScheduleGroupArn = group_arn(place, name);
  auto present = co_await read_group(core, key);
  if (!present) co_return std::unexpected(std::move(present.error()));
  const auto token = text_of(request.ClientToken);
  if (*present && !token.empty() && (*present)->record.create_token == token) co_return out;
  if (*present || name == kDefaultGroup) {
    co_return refuse(wire::errors::ConflictException, fmt::format("Schedule group {} already exists.", name));
  }
  auto groups = co_await core.store.list(group_key(place, ""), "", core.settings.max_groups);
  if (!groups) co_return refuse_store(groups.error());
  if (groups->size() >= core.settings.max_groups) {
    co_return refuse(wire::errors::ServiceQuotaExceededException,
                     fmt::format("The limit of {} schedule groups is reached.", core.settings.max_groups));
  }
  GroupRecord record;
  record.state = "ACTIVE";
  record.create_token = token;
  record.created = record.modified = epoch_seconds(core.clock.now());
  if (request.Tags) {
    auto tagged = set_tags(record.tags, *request.Tags);
    if (!tagged) co_return std::unexpected(std::move(tagged.error()));
  }
  auto text = to_text(record);
  auto written = co_await core.store.compare_and_set(key, std::move(text), 0);
  if (!written && written.error().code == ErrorCode::kConflict) {
    co_return refuse(wire::errors::ConflictException, fmt::format("Schedule group {} already exists.", name));
  }
  if (!written) co_return refuse_store(written.error());
  co_return out;
}

Awaitable<aws::ApiResult<wire::GetScheduleGroupOutput>> get_group(Core& core, const aws::CallContext& context,
                                                                  wire::GetScheduleGroupInput request) {
  auto group = co_await existing_group(core, core.place(context), text_of(request.Name));
  if (!group) co_return std::unexpected(std::move(group.error()));
  const auto summary = summary_of(group->record);
  wire::GetScheduleGroupOutput out;
  out.Arn = summary.Arn;
  out.Name = summary.Name;
  out.State = summary.State;
  out.CreationDate = summary.CreationDate;
  out.LastModificationDate = summary.LastModificationDate;
  co_return out;
}

Awaitable<aws::ApiResult<wire::ListScheduleGroupsOutput>> list_groups(Core& core, const aws::CallContext& context,
                                                                      wire::ListScheduleGroupsInput request) {
  const auto place = core.place(context);
  auto after = decode_token(request.NextToken);
  if (!after) co_return std::unexpected(std::move(after.error()));
  const auto limit = static_cast<std::size_t>(request.MaxResults.value_or(static_cast<int>(kMostGroups)));
  const auto prefix = group_key(place, "");
  auto stored = co_await core.store.list(prefix, "", core.settings.max_groups);
  if (!stored) co_return refuse_store(stored.error());
  std::map<std::string, GroupRecord> all;
  GroupRecord standing;
  standing.place = place;
  standing.name = kDefaultGroup;
  standing.state = "ACTIVE";
  all.emplace(kDefaultGroup, std::move(standing));
  for (const auto& entry : *stored) {
    auto record = group_from_text(entry.key, entry.value);
    if (!record) co_return refuse_store(record.error());
    all[record->name] = std::move(*record);
  }
  wire::ListScheduleGroupsOutput out;
  out.ScheduleGroups.emplace();
  for (const auto& [name, record] : all) {
    if (name <= *after || !name.starts_with(text_of(request.NamePrefix))) continue;
    if (out.ScheduleGroups->size() == limit) {
      out.NextToken = encode_token(text_of(out.ScheduleGroups->back().Name));
      break;
    }
    out.ScheduleGroups->push_back(summary_of(record));
  }
  co_return out;
}

Awaitable<aws::ApiResult<wire::DeleteScheduleGroupOutput>> delete_group_operation(
    Core& core, const aws::CallContext& context, wire::DeleteScheduleGroupInput request) {
  const auto place = core.place(context);
  const auto name = text_of(request.Name);
  const auto token = text_of(request.ClientToken);
  const auto key = group_key(place, name);
  if (name == kDefaultGroup) co_return refuse_value("The default schedule group cannot be deleted.");
  for (int attempt = 0; attempt < kGroupAttempts; ++attempt) {
    auto present = co_await read_group(core, key);
    if (!present) co_return std::unexpected(std::move(present.error()));
    if (!*present) {
      if (core.was_deleted_by(key, token)) co_return wire::DeleteScheduleGroupOutput();
      co_return refuse_no_group(name);
    }
    if ((*present)->record.state == "DELETING") {
      if (core.was_deleted_by(key, token)) co_return wire::DeleteScheduleGroupOutput();
      co_return refuse(wire::errors::ConflictException, fmt::format("Schedule group {} is being deleted.", name));
    }
    auto record = std::move((*present)->record);
    record.state = "DELETING";
    record.modified = epoch_seconds(core.clock.now());
    auto text = to_text(record);
    auto written = co_await core.store.compare_and_set(key, std::move(text), (*present)->revision);
    if (!written && written.error().code == ErrorCode::kConflict) continue;
    if (!written) co_return refuse_store(written.error());
    core.remember_deletion(key, token);
    delete_group(core, Reactor::current(), key);
    co_return wire::DeleteScheduleGroupOutput();
  }
  co_return refuse_store(Error{.code = ErrorCode::kConflict, .message = "", .hint = ""});
}

// Deletes the schedules of a group, a page at a time, and then the group.
Awaitable<void> run_deletion(Core& core, std::string key) {
  const auto place = place_of(key);
  const auto prefix = schedule_key(place, key.substr(key.rfind('/') + 1), "");
  while (!core.deletions.stopping()) {
    auto page = co_await core.store.list(prefix, "", kGroupPage);
    if (!page) co_return;
    for (const auto& entry : *page) {
      if (core.deletions.stopping()) co_return;
      auto removed = co_await core.store.remove(entry.key, entry.revision);
      // One that fired just now has another revision; the next page has it again.
      if (!removed && removed.error().code == ErrorCode::kConflict) continue;
      if (!removed) {
        log(Level::kWarn, "the deletion of a schedule group stopped; the next start goes on with it",
            {{"group", key}, {"error", removed.error().message}});
        co_return;
      }
      core.firing.set(entry.key, std::nullopt);
      core.count(place, -1);
    }
    if (!page->empty()) continue;
    static_cast<void>(co_await core.store.remove(key, std::nullopt));
    co_return;
  }
}

// --- Tags ------------------------------------------------------------------------------------------------------------

aws::ApiResult<std::string> tagged_group(const Place& place, const std::optional<std::string>& arn) {
  const auto text = text_of(arn);
  auto name = text.substr(text.rfind('/') + 1);
  if (text != group_arn(place, name)) return refuse_no_group(name);
  return name;
}

using TagEdit = std::function<aws::ApiResult<void>(Tags&)>;

Awaitable<aws::ApiResult<void>> change_tags(Core& core, Place place, std::optional<std::string> arn, TagEdit edit) {
  auto name = tagged_group(place, arn);
  if (!name) co_return std::unexpected(std::move(name.error()));
  const auto key = group_key(place, *name);
  for (int attempt = 0; attempt < kGroupAttempts; ++attempt) {
    auto group = co_await existing_group(core, place, *name);
    if (!group) co_return std::unexpected(std::move(group.error()));
    auto edited = edit(group->record.tags);
    if (!edited) co_return edited;
    group->record.modified = epoch_seconds(core.clock.now());
    auto text = to_text(group->record);
    auto written = co_await core.store.compare_and_set(key, std::move(text), group->revision);
    if (written) co_return aws::ApiResult<void>();
    if (written.error().code != ErrorCode::kConflict) co_return refuse_store(written.error());
  }
  co_return refuse_store(Error{.code = ErrorCode::kConflict, .message = "", .hint = ""});
}

Awaitable<aws::ApiResult<wire::TagResourceOutput>> tag_resource(Core& core, const aws::CallContext& context,
                                                                wire::TagResourceInput request) {
  TagEdit edit = [&request](Tags& tags) { return set_tags(tags, *request.Tags); };
  auto changed = co_await change_tags(core, core.place(context), request.ResourceArn, std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return wire::TagResourceOutput();
}

Awaitable<aws::ApiResult<wire::UntagResourceOutput>> untag_resource(Core& core, const aws::CallContext& context,
                                                                    wire::UntagResourceInput request) {
  TagEdit edit = [&request](Tags& tags) -> aws::ApiResult<void> {
    std::erase_if(tags, [&](const auto& tag) {
      return std::ranges::find(*request.TagKeys, tag.first) != request.TagKeys->end();
    });
    return {};
  };
  auto changed = co_await change_tags(core, core.place(context), request.ResourceArn, std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return wire::UntagResourceOutput();
}

Awaitable<aws::ApiResult<wire::ListTagsForResourceOutput>> list_tags(Core& core, const aws::CallContext& context,
                                                                     wire::ListTagsForResourceInput request) {
  const auto place = core.place(context);
  auto name = tagged_group(place, request.ResourceArn);
  if (!name) co_return std::unexpected(std::move(name.error()));
  auto group = co_await existing_group(core, place, *name);
  if (!group) co_return std::unexpected(std::move(group.error()));
  wire::ListTagsForResourceOutput out;
  out.Tags.emplace();
  for (const auto& [key, value] : group->record.tags) {
    auto& tag = out.Tags->emplace_back();
    tag.Key = key;
    tag.Value = value;
  }
  co_return out;
}

}  // namespace

void delete_group(Core& core, Reactor& reactor, std::string key) {
  const std::function<Awaitable<void>()> task = [&core, key] { return run_deletion(core, key); };
  // Not where the server stops: the next start goes on with it.
  static_cast<void>(core.deletions.spawn(reactor, "delete a schedule group", task));
}

void bind_groups(aws::Service& service, Core& core) {
  bind<wire::CreateScheduleGroup>(service, core, create_group);
  bind<wire::GetScheduleGroup>(service, core, get_group);
  bind<wire::ListScheduleGroups>(service, core, list_groups);
  bind<wire::DeleteScheduleGroup>(service, core, delete_group_operation);
}

void bind_tags(aws::Service& service, Core& core) {
  bind<wire::TagResource>(service, core, tag_resource);
  bind<wire::UntagResource>(service, core, untag_resource);
  bind<wire::ListTagsForResource>(service, core, list_tags);
}

}  // namespace mayfly::scheduler
