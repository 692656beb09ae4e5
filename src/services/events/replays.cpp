// Replays: start, describe, list, cancel.
#include <fmt/core.h>

#include <algorithm>

#include "services/events/core.h"

namespace mayfly::events {
namespace {

aws::ApiError replay_missing(std::string_view name) {
  return error_of(wire::errors::ResourceNotFoundException, fmt::format("Replay {} does not exist.", name));
}

std::optional<double> some_time(double time) { return time == 0 ? std::nullopt : std::optional(time); }

struct Ends {
  ArchivePtr archive;
  BusPtr bus;
};

// The archive and the bus that a replay goes from and to.
aws::ApiResult<Ends> ends_of(const Core& core, const Place& place, const wire::StartReplayRequest& request) {
  Ends ends;
  const auto source = request.EventSourceArn.value_or("");
  const auto destination = request.Destination.value_or(wire::ReplayDestination()).Arn.value_or("");
  const auto bus_arn = parse_resource_arn(destination);
  if (!bus_arn || bus_arn->kind != "event-bus")
    return refuse_validation("Parameter Destination.Arn is not valid. Reason: Must contain an event bus ARN.");
  ends.bus = find_bus(core, place, destination);
  if (!ends.bus) return std::unexpected(bus_missing(bus_name(destination)));
  const auto archive = parse_resource_arn(source);
  if (!archive || archive->kind != "archive")
    return refuse_validation("Parameter EventSourceArn is not valid. Reason: Must contain an archive ARN.");
  ends.archive = core.archives.find(place_key(ArchiveRecord::kPrefix, archive->place, archive->name));
  if (!ends.archive)
    return refuse_validation(
        fmt::format("Parameter EventSourceArn is not valid. Reason: Archive {} does not exist.", archive->name));
  if (request.EventStartTime.value_or(0) >= request.EventEndTime.value_or(0))
    return refuse_validation(
        "Parameter EventEndTime is not valid. Reason: EventStartTime must be before EventEndTime.");
  if (ends.archive->bus != ends.bus->name || ends.archive->place != ends.bus->place)
    return refuse_validation(
        "Parameter Destination.Arn is not valid. Reason: Cross event bus replay is not permitted.");
  return ends;
}

Awaitable<aws::ApiResult<wire::StartReplayResponse>> start_replay(Core& core, const aws::CallContext& context,
                                                                  wire::StartReplayRequest request) {
  const auto place = core.place(context);
  const auto name = request.ReplayName.value_or("");
  auto ends = ends_of(core, place, request);
  if (!ends) co_return std::unexpected(std::move(ends.error()));
  if (core.replays.find(place_key(ReplayRecord::kPrefix, place, name)))
    co_return refuse(wire::errors::ResourceAlreadyExistsException, fmt::format("Replay {} already exists.", name));
  const auto all = core.replays.list(place_key(ReplayRecord::kPrefix, place, ""));
  const auto active = std::count_if(all.begin(), all.end(), [](const ReplayPtr& one) { return !is_over(*one); });
  if (static_cast<std::size_t>(active) >= Replayer::kMostActive)
    co_return refuse(wire::errors::LimitExceededException,
                     "The requested resource exceeds the maximum number allowed.");
  ReplayRecord replay;
  replay.place = place;
  replay.name = name;
  replay.archive = ends->archive->name;
  replay.bus = ends->bus->name;
  replay.filter_arns = request.Destination->FilterArns.value_or(std::vector<std::string>());
  replay.description = request.Description.value_or("");
  replay.event_start = *request.EventStartTime;
  replay.event_end = *request.EventEndTime;
  replay.started = core.now();
  auto created = co_await core.replays.create(std::move(replay));
  if (!created && created.error().code == ErrorCode::kExists)
    co_return refuse(wire::errors::ResourceAlreadyExistsException, fmt::format("Replay {} already exists.", name));
  if (!created) co_return refuse_internal(created.error());
  core.replayer.begin((*created)->key());
  wire::StartReplayResponse response;
  response.ReplayArn = (*created)->arn();
  response.State = (*created)->state;
  response.ReplayStartTime = (*created)->started;
  co_return response;
}

Awaitable<aws::ApiResult<wire::DescribeReplayResponse>> describe_replay(Core& core, const aws::CallContext& context,
                                                                        wire::DescribeReplayRequest request) {
  const auto name = request.ReplayName.value_or("");
  const auto replay = core.replays.find(place_key(ReplayRecord::kPrefix, core.place(context), name));
  if (!replay) co_return std::unexpected(replay_missing(name));
  wire::DescribeReplayResponse response;
  response.ReplayName = replay->name;
  response.ReplayArn = replay->arn();
  response.Description = some(replay->description);
  response.State = replay->state;
  response.StateReason = some(replay->state_reason);
  response.EventSourceArn = events_arn(replay->place, "archive/" + replay->archive);
  response.Destination.emplace();
  response.Destination->Arn = events_arn(replay->place, "event-bus/" + replay->bus);
  if (!replay->filter_arns.empty()) response.Destination->FilterArns = replay->filter_arns;
  response.EventStartTime = replay->event_start;
  response.EventEndTime = replay->event_end;
  response.EventLastReplayedTime = some_time(replay->last_replayed);
  response.ReplayStartTime = replay->started;
  response.ReplayEndTime = some_time(replay->ended);
  co_return response;
}

Awaitable<aws::ApiResult<wire::ListReplaysResponse>> list_replays(Core& core, const aws::CallContext& context,
                                                                  wire::ListReplaysRequest request) {
  auto all = core.replays.list(place_key(ReplayRecord::kPrefix, core.place(context), request.NamePrefix.value_or("")));
  std::erase_if(all, [&](const ReplayPtr& replay) {
    return (request.State && replay->state != *request.State) ||
           (request.EventSourceArn &&
            events_arn(replay->place, "archive/" + replay->archive) != *request.EventSourceArn);
  });
  const auto name_of = [](const ReplayPtr& replay) { return replay->name; };
  auto [page, next] =
      services::page_of(std::move(all), name_of, decode_token(request.NextToken), page_limit(request.Limit));
  wire::ListReplaysResponse response;
  response.Replays.emplace();
  for (const auto& replay : page) {
    wire::Replay& shown = response.Replays->emplace_back();
    shown.ReplayName = replay->name;
    shown.EventSourceArn = events_arn(replay->place, "archive/" + replay->archive);
    shown.State = replay->state;
    shown.StateReason = some(replay->state_reason);
    shown.EventStartTime = replay->event_start;
    shown.EventEndTime = replay->event_end;
    shown.EventLastReplayedTime = some_time(replay->last_replayed);
    shown.ReplayStartTime = replay->started;
    shown.ReplayEndTime = some_time(replay->ended);
  }
  response.NextToken = encode_token(next);
  co_return response;
}

Awaitable<aws::ApiResult<wire::CancelReplayResponse>> cancel_replay(Core& core, const aws::CallContext& context,
                                                                    wire::CancelReplayRequest request) {
  const auto name = request.ReplayName.value_or("");
  ReplayTable::Edit edit = [&name](ReplayRecord& replay) -> aws::ApiResult<void> {
    if (is_over(replay) || replay.state == "CANCELLING")
      return refuse(wire::errors::IllegalStatusException,
                    fmt::format("Replay {} is not in a valid state for this operation.", name));
    replay.state = "CANCELLING";
    return {};
  };
  auto missing = replay_missing(name);
  auto key = place_key(ReplayRecord::kPrefix, core.place(context), name);
  auto changed = co_await core.replays.change(std::move(key), std::move(missing), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  wire::CancelReplayResponse response;
  response.ReplayArn = (*changed)->arn();
  response.State = (*changed)->state;
  co_return response;
}

}  // namespace

void bind_replays(aws::Service& service, Core& core) {
  bind<wire::StartReplay>(service, core, start_replay);
  bind<wire::DescribeReplay>(service, core, describe_replay);
  bind<wire::ListReplays>(service, core, list_replays);
  bind<wire::CancelReplay>(service, core, cancel_replay);
}

}  // namespace mayfly::events
