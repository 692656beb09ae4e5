// Event source mappings are not carried out: there are none, and creating one is refused. What a request names is still
// checked, as on AWS.
#include "services/lambda/core.h"

namespace mayfly::lambda {
namespace {

constexpr std::string_view kGone = "The resource you requested does not exist.";

Awaitable<aws::ApiResult<wire::CreateEventSourceMapping::Response>> create_mapping(
    Core& core, const aws::CallContext& context, wire::CreateEventSourceMappingRequest request) {
  const auto source = request.EventSourceArn.value_or("");
  if (source.empty() && !request.SelfManagedEventSource) co_return refuse_parameter("Unrecognized event source.");
  const bool on_success = request.DestinationConfig && request.DestinationConfig->OnSuccess;
  if (on_success && source.find(":sqs:") != std::string::npos) {
    co_return refuse_parameter("Unsupported DestinationConfig parameter for given event source mapping type.");
  }
  auto found = find_function(core, context, request.FunctionName, std::nullopt);
  if (!found && found.error().model == &wire::errors::ResourceNotFoundException) {
    co_return refuse_parameter("Function does not exist");
  }
  if (!found) co_return std::unexpected(std::move(found.error()));
  // No stream of a table can exist on this server, so that this is what AWS says as well.
  if (source.find(":dynamodb:") != std::string::npos) co_return refuse_parameter("Stream not found: " + source);
  aws::ApiError error;
  error.model = &aws::common_errors::NotImplemented;
  error.message = "The operation CreateEventSourceMapping of lambda is not implemented";
  co_return std::unexpected(std::move(error));
}

Awaitable<aws::ApiResult<wire::GetEventSourceMapping::Response>> get_mapping(Core&, const aws::CallContext&,
                                                                             wire::GetEventSourceMappingRequest) {
  co_return refuse_missing(std::string(kGone));
}

Awaitable<aws::ApiResult<wire::UpdateEventSourceMapping::Response>> update_mapping(
    Core&, const aws::CallContext&, wire::UpdateEventSourceMappingRequest) {
  co_return refuse_missing(std::string(kGone));
}

Awaitable<aws::ApiResult<wire::DeleteEventSourceMapping::Response>> delete_mapping(
    Core&, const aws::CallContext&, wire::DeleteEventSourceMappingRequest) {
  co_return refuse_missing(std::string(kGone));
}

Awaitable<aws::ApiResult<wire::ListEventSourceMappings::Response>> list_mappings(Core&, const aws::CallContext&,
                                                                                 wire::ListEventSourceMappingsRequest) {
  wire::ListEventSourceMappings::Response out;
  out.EventSourceMappings.emplace();
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
