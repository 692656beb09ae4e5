// CreateEventSourceMapping and its siblings.
#include <fmt/core.h>

#include "base/ids.h"
#include "delivery/targets.h"
#include "services/lambda/batch.h"
#include "services/lambda/core.h"

namespace mayfly::lambda {
namespace {

constexpr std::int32_t kSmallBatch = 10;  // without a batching window, and of an ordered source
constexpr std::size_t kMostFilters = 5;
constexpr std::string_view kByUser = "USER_INITIATED";

wire::EventSourceMappingConfiguration shown_mapping(const Mappings& mappings, const MappingRecord& record) {
  auto out = record.config;
  out.State = mappings.state_of(record);
  out.StateTransitionReason = std::string(kByUser);
  out.LastProcessingResult = mappings.last_result_of(record);
  return out;
}

aws::ApiResult<void> check_filters(const std::optional<wire::FilterCriteria>& criteria) {
  if (!criteria || !criteria->Filters) return {};
  if (criteria->Filters->size() > kMostFilters) {
    return refuse_parameter(fmt::format("A filter criteria has at most {} filters.", kMostFilters));
  }
  std::vector<std::string> patterns;
  for (const auto& filter : *criteria->Filters) {
    if (!filter.Pattern.value_or("").empty()) patterns.push_back(*filter.Pattern);
  }
  if (!parse_filters(patterns)) return refuse_parameter("Invalid filter pattern definition.");
  return {};
}

// What belongs to streams and brokers, and what this server would not carry out.
template <typename Request>
aws::ApiResult<void> check_kind(const Request& request) {
  const auto of_streams = [](std::string_view name) {
    return refuse_parameter(fmt::format("Unsupported {} parameter for given event source mapping type.", name));
  };
  if (request.DestinationConfig && (request.DestinationConfig->OnSuccess || request.DestinationConfig->OnFailure)) {
    return of_streams("DestinationConfig");
  }
  if (request.ParallelizationFactor) return of_streams("ParallelizationFactor");
  if (request.MaximumRecordAgeInSeconds) return of_streams("MaximumRecordAgeInSeconds");
  if (request.BisectBatchOnFunctionError) return of_streams("BisectBatchOnFunctionError");
  if (request.MaximumRetryAttempts) return of_streams("MaximumRetryAttempts");
  if (request.TumblingWindowInSeconds) return of_streams("TumblingWindowInSeconds");
  if (request.SourceAccessConfigurations && !request.SourceAccessConfigurations->empty()) {
    return of_streams("SourceAccessConfigurations");
  }
  if (request.AmazonManagedKafkaEventSourceConfig) return of_streams("AmazonManagedKafkaEventSourceConfig");
  if (request.SelfManagedKafkaEventSourceConfig) return of_streams("SelfManagedKafkaEventSourceConfig");
  if (request.DocumentDBEventSourceConfig) return of_streams("DocumentDBEventSourceConfig");
  if (!request.KMSKeyArn.value_or("").empty()) {
    return refuse_unsupported("KMSKeyArn", "filters are not encrypted with customer keys");
  }
  if (request.MetricsConfig) return refuse_unsupported("MetricsConfig", "there are no metrics of single mappings");
  if (request.LoggingConfig) return refuse_unsupported("LoggingConfig", "mappings write no logs of their own");
  if (request.ProvisionedPollerConfig) {
    return refuse_unsupported("ProvisionedPollerConfig", "pollers are not provisioned");
  }
  return {};
}

aws::ApiResult<void> check_batching(const wire::EventSourceMappingConfiguration& config, bool ordered) {
  const auto size = config.BatchSize.value_or(kSmallBatch);
  const auto window = config.MaximumBatchingWindowInSeconds.value_or(0);
  if (ordered && window > 0) return refuse_parameter("Batching window is not supported for FIFO queues");
  if (ordered && size > kSmallBatch) {
    return refuse_parameter("Maximum batch size for FIFO queues must be less than or equal to 10");
  }
  if (size > kSmallBatch && window == 0) {
    return refuse_parameter(
        "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10");
  }
  return {};
}

template <typename Request>
void apply_request(const Request& request, wire::EventSourceMappingConfiguration& config) {
  if (request.BatchSize) config.BatchSize = request.BatchSize;
  if (request.MaximumBatchingWindowInSeconds) {
    config.MaximumBatchingWindowInSeconds = request.MaximumBatchingWindowInSeconds;
  }
  if (request.FunctionResponseTypes) config.FunctionResponseTypes = request.FunctionResponseTypes;
  if (request.FilterCriteria) {
    config.FilterCriteria = request.FilterCriteria;
    if (!config.FilterCriteria->Filters || config.FilterCriteria->Filters->empty()) config.FilterCriteria.reset();
  }
  if (request.ScalingConfig) {
    config.ScalingConfig = request.ScalingConfig;
    if (!config.ScalingConfig->MaximumConcurrency) config.ScalingConfig.reset();
  }
}

double seconds_now(const Core& core) {
  return std::chrono::duration<double>(core.clock.now().time_since_epoch()).count();
}

aws::ApiResult<Found> find_mapped(Core& core, const aws::CallContext& context, const std::optional<std::string>& text) {
  auto found = find_function(core, context, text, std::nullopt);
  if (!found && found.error().model == &wire::errors::ResourceNotFoundException) {
    return refuse_parameter("Function does not exist");
  }
  if (found && find_version(*found->function, found->name.qualifier) == nullptr) {
    return refuse_parameter("Function does not exist");
  }
  return found;
}

std::chrono::seconds timeout_of(const Found& found) {
  const auto* version = find_version(*found.function, found.name.qualifier);
  return std::chrono::seconds(version == nullptr ? 3 : version->config.Timeout.value_or(3));
}

Awaitable<aws::ApiResult<wire::CreateEventSourceMapping::Response>> create_mapping(
    Core& core, const aws::CallContext& context, wire::CreateEventSourceMappingRequest request) {
  const auto arn = request.EventSourceArn.value_or("");
  if (arn.empty() && !request.SelfManagedEventSource) co_return refuse_parameter("Unrecognized event source.");
  const bool queue = arn.find(":sqs:") != std::string::npos;
  if (queue) {
    if (auto ok = check_kind(request); !ok) co_return std::unexpected(std::move(ok.error()));
  }
  auto found = find_mapped(core, context, request.FunctionName);
  if (!found) co_return std::unexpected(std::move(found.error()));
  // No stream of a table can exist on this server, so that this is what AWS says as well.
  if (arn.find(":dynamodb:") != std::string::npos) co_return refuse_parameter("Stream not found: " + arn);
  const auto* sources = core.mappings.sources_of(arn);
  if (sources == nullptr) {
    const auto parsed = delivery::parse_arn(arn);
    co_return refuse_unsupported(fmt::format("An event source of {}", parsed ? parsed->service : "one's own brokers"),
                                 "this server has no such source to read from");
  }
  if (request.StartingPosition || request.StartingPositionTimestamp) {
    co_return refuse_parameter("Unsupported StartingPosition parameter for given event source mapping type.");
  }
  if (auto ok = sources->check(arn, timeout_of(*found)); !ok) co_return std::unexpected(std::move(ok.error()));
  if (auto ok = check_filters(request.FilterCriteria); !ok) co_return std::unexpected(std::move(ok.error()));
  const auto function = function_arn(found->place, found->name.name, found->name.qualifier);
  for (const auto& other : core.mappings.table.all(found->place)) {
    if (other->config.EventSourceArn != arn || other->config.FunctionArn != function) continue;
    co_return refuse(
        wire::errors::ResourceConflictException,
        fmt::format("An event source mapping with SQS arn (\" {} \") and function (\" {} \") already exists. "
                    "Please update or delete the existing mapping with UUID {}",
                    arn, found->name.name, other->uuid));
  }
  MappingRecord record;
  record.place = found->place;
  record.uuid = uuid4();
  record.function = found->name.name;
  record.qualifier = found->name.qualifier;
  record.enabled = request.Enabled.value_or(true);
  record.tags = request.Tags.value_or(TagList());
  if (auto ok = check_tags(record.tags); !ok) co_return std::unexpected(std::move(ok.error()));
  auto& config = record.config;
  config.UUID = record.uuid;
  config.EventSourceArn = arn;
  config.EventSourceMappingArn = mapping_arn(record.place, record.uuid);
  config.FunctionArn = function;
  config.BatchSize = kSmallBatch;
  config.MaximumBatchingWindowInSeconds = 0;
  config.FunctionResponseTypes.emplace();
  config.LastModified = seconds_now(core);
  apply_request(request, config);
  if (auto ok = check_batching(config, sources->is_ordered(arn)); !ok) co_return std::unexpected(std::move(ok.error()));
  auto created = co_await core.mappings.table.create(std::move(record));
  if (!created) co_return std::unexpected(std::move(created.error()));
  core.mappings.apply(core, **created);
  auto out = shown_mapping(core.mappings, **created);
  if ((*created)->enabled) out.State = "Creating";
  co_return out;
}

Awaitable<aws::ApiResult<wire::GetEventSourceMapping::Response>> get_mapping(
    Core& core, const aws::CallContext& context, wire::GetEventSourceMappingRequest request) {
  const auto record = core.mappings.table.find(core.place(context), request.UUID.value_or(""));
  if (!record) co_return std::unexpected(mapping_missing());
  co_return shown_mapping(core.mappings, *record);
}

Awaitable<aws::ApiResult<wire::UpdateEventSourceMapping::Response>> update_mapping(
    Core& core, const aws::CallContext& context, wire::UpdateEventSourceMappingRequest request) {
  const auto place = core.place(context);
  const auto before = core.mappings.table.find(place, request.UUID.value_or(""));
  if (!before) co_return std::unexpected(mapping_missing());
  if (auto ok = check_kind(request); !ok) co_return std::unexpected(std::move(ok.error()));
  if (auto ok = check_filters(request.FilterCriteria); !ok) co_return std::unexpected(std::move(ok.error()));
  const auto arn = before->config.EventSourceArn.value_or("");
  const auto* sources = core.mappings.sources_of(arn);
  std::optional<FunctionName> function;
  if (request.FunctionName) {
    auto found = find_mapped(core, context, request.FunctionName);
    if (!found) co_return std::unexpected(std::move(found.error()));
    if (sources != nullptr) {
      if (auto ok = sources->check(arn, timeout_of(*found)); !ok) co_return std::unexpected(std::move(ok.error()));
    }
    function = found->name;
  }
  const bool ordered = sources != nullptr && sources->is_ordered(arn);
  const auto now = seconds_now(core);
  MappingEdit edit = [request, function, ordered, now](MappingRecord& record) -> aws::ApiResult<void> {
    apply_request(request, record.config);
    if (request.Enabled) record.enabled = *request.Enabled;
    if (function) {
      record.function = function->name;
      record.qualifier = function->qualifier;
      record.config.FunctionArn = function_arn(record.place, function->name, function->qualifier);
    }
    record.config.LastModified = now;
    return check_batching(record.config, ordered);
  };
  auto changed = co_await core.mappings.table.change(place, before->uuid, std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  core.mappings.apply(core, **changed);
  auto out = shown_mapping(core.mappings, **changed);
  const bool enabled = (*changed)->enabled;
  out.State = enabled == before->enabled ? "Updating" : enabled ? "Enabling" : "Disabling";
  co_return out;
}

Awaitable<aws::ApiResult<wire::DeleteEventSourceMapping::Response>> delete_mapping(
    Core& core, const aws::CallContext& context, wire::DeleteEventSourceMappingRequest request) {
  auto erased = co_await core.mappings.table.erase(core.place(context), request.UUID.value_or(""));
  if (!erased) co_return std::unexpected(std::move(erased.error()));
  auto out = shown_mapping(core.mappings, **erased);
  core.mappings.end(**erased);
  out.State = "Deleting";
  co_return out;
}

Awaitable<aws::ApiResult<wire::ListEventSourceMappings::Response>> list_mappings(
    Core& core, const aws::CallContext& context, wire::ListEventSourceMappingsRequest request) {
  const auto place = core.place(context);
  std::optional<std::string> function;
  if (request.FunctionName) {
    const auto name = parse_function_name(*request.FunctionName, std::nullopt, place);
    if (!name) co_return std::unexpected(name.error());
    function = function_arn(place, name->name, name->qualifier);
  }
  std::vector<wire::EventSourceMappingConfiguration> all;
  for (const auto& record : core.mappings.table.all(place)) {
    if (request.EventSourceArn && record->config.EventSourceArn != request.EventSourceArn) continue;
    if (function && record->config.FunctionArn != function) continue;
    all.push_back(shown_mapping(core.mappings, *record));
  }
  const auto key = [](const wire::EventSourceMappingConfiguration& config) { return config.UUID.value_or(""); };
  auto [page, next] = page_of(std::move(all), key, request.Marker, request.MaxItems);
  wire::ListEventSourceMappings::Response out;
  out.EventSourceMappings = std::move(page);
  out.NextMarker = std::move(next);
  co_return out;
}

}  // namespace

void bind_event_sources(aws::Service& service, Core& core) {
  bind<wire::CreateEventSourceMapping>(service, core, create_mapping);
  bind<wire::GetEventSourceMapping>(service, core, get_mapping);
  bind<wire::UpdateEventSourceMapping>(service, core, update_mapping);
  bind<wire::DeleteEventSourceMapping>(service, core, delete_mapping);
  bind<wire::ListEventSourceMappings>(service, core, list_mappings);
}

}  // namespace mayfly::lambda
