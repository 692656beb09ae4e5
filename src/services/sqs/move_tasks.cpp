// StartMessageMoveTask, ListMessageMoveTasks, CancelMessageMoveTask.
#include <fmt/core.h>

#include "services/sqs/core.h"
#include "services/sqs/limits.h"

namespace mayfly::sqs {
namespace {

std::unexpected<aws::ApiError> refuse_arn(std::string_view parameter) {
  return refuse(wire::errors::ResourceNotFoundException,
                fmt::format("The resource that you specified for the {} parameter doesn't exist.", parameter));
}

// The queue of an ARN in the caller's account and region.
aws::ApiResult<QueuePtr> find_by_arn(const Core& core, const aws::CallContext& context,
                                     const std::optional<std::string>& arn, std::string_view parameter) {
  if (!arn || arn->empty()) return refuse_missing(parameter);
  auto queue = core.tables.find_arn(*arn);
  if (!queue || queue->place != place_of(context)) return refuse_arn(parameter);
  return queue;
}

Awaitable<aws::ApiResult<wire::StartMessageMoveTaskResult>> start_move(Core& core, const aws::CallContext& context,
                                                                       wire::StartMessageMoveTaskRequest request) {
  auto source = find_by_arn(core, context, request.SourceArn, "SourceArn");
  if (!source) co_return std::unexpected(std::move(source.error()));
  if (core.tables.sources_of((*source)->arn()).empty()) {
    co_return refuse_value("Source queue must be configured as a Dead Letter Queue.");
  }
  if (request.DestinationArn) {
    const auto destination = find_by_arn(core, context, request.DestinationArn, "DestinationArn");
    if (!destination) co_return std::unexpected(destination.error());
    if (*destination == *source)
      co_return refuse_value("Source queue arn and destination queue arn cannot be the same.");
    if ((*destination)->fifo != (*source)->fifo) {
      co_return refuse_value("Source queue and destination queue must be of the same type.");
    }
  }
  const auto rate = request.MaxNumberOfMessagesPerSecond;
  if (rate && (*rate < 1 || *rate > kMovesPerSecond)) {
    co_return refuse_parameter(std::to_string(*rate), "MaxNumberOfMessagesPerSecond",
                               fmt::format("Must be between 1 and {}, if provided.", kMovesPerSecond));
  }
  auto handle = co_await core.moves.start(*source, request.DestinationArn.value_or(""), rate);
  if (!handle) co_return std::unexpected(std::move(handle.error()));
  wire::StartMessageMoveTaskResult out;
  out.TaskHandle = std::move(*handle);
  co_return out;
}

wire::ListMessageMoveTasksResultEntry shown(const MoveRecord& move) {
  wire::ListMessageMoveTasksResultEntry out;
  if (move.status == MoveStatus::kRunning) out.TaskHandle = move.handle();
  out.Status = to_string(move.status);
  out.SourceArn = move.source_arn();
  if (!move.destination_arn.empty()) out.DestinationArn = move.destination_arn;
  out.MaxNumberOfMessagesPerSecond = move.rate;
  out.ApproximateNumberOfMessagesMoved = move.moved;
  out.ApproximateNumberOfMessagesToMove = move.to_move;
  if (!move.failure.empty()) out.FailureReason = move.failure;
  out.StartedTimestamp = move.started;
  return out;
}

Awaitable<aws::ApiResult<wire::ListMessageMoveTasksResult>> list_moves(Core& core, const aws::CallContext& context,
                                                                       wire::ListMessageMoveTasksRequest request) {
  const auto source = find_by_arn(core, context, request.SourceArn, "SourceArn");
  if (!source) co_return std::unexpected(source.error());
  const auto limit = request.MaxResults.value_or(1);
  if (limit < 1 || limit > static_cast<std::int32_t>(kListedMoves)) {
    co_return refuse_parameter(std::to_string(limit), "MaxResults",
                               fmt::format("Must be between 1 and {}, if provided.", kListedMoves));
  }
  std::vector<wire::ListMessageMoveTasksResultEntry> results;
  for (const auto& move : core.moves.list((*source)->place, (*source)->name)) {
    if (results.size() == static_cast<std::size_t>(limit)) break;
    results.push_back(shown(move));
  }
  wire::ListMessageMoveTasksResult out;
  if (!results.empty()) out.Results = std::move(results);
  co_return out;
}

Awaitable<aws::ApiResult<wire::CancelMessageMoveTaskResult>> cancel_move(Core& core, const aws::CallContext&,
                                                                         wire::CancelMessageMoveTaskRequest request) {
  if (!request.TaskHandle || request.TaskHandle->empty()) co_return refuse_missing("TaskHandle");
  auto moved = co_await core.moves.cancel(*request.TaskHandle);
  if (!moved) co_return std::unexpected(std::move(moved.error()));
  wire::CancelMessageMoveTaskResult out;
  out.ApproximateNumberOfMessagesMoved = *moved;
  co_return out;
}

}  // namespace

void bind_moves(aws::Service& service, Core& core) {
  bind<wire::StartMessageMoveTask>(service, core, start_move);
  bind<wire::ListMessageMoveTasks>(service, core, list_moves);
  bind<wire::CancelMessageMoveTask>(service, core, cancel_move);
}

}  // namespace mayfly::sqs
