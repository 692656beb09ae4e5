// API destinations: HTTP endpoints as targets.
#include <fmt/core.h>

#include "base/ids.h"
#include "services/events/core.h"

namespace mayfly::events {
namespace {

aws::ApiError destination_missing(std::string_view name) {
  return error_of(
      wire::errors::ResourceNotFoundException,
      fmt::format("Failed to describe the api-destination(s). An api-destination '{}' does not exist.", name));
}

ConnectionPtr connection_of(const Core& core, const std::string& arn) {
  const auto name = parse_resource_arn(arn);
  if (!name || name->kind != "connection") return nullptr;
  auto found = core.connections.find(place_key(ConnectionRecord::kPrefix, name->place, name->name));
  return found && found->arn() == arn ? found : nullptr;
}

std::string state_of(const Core& core, const DestinationRecord& destination) {
  const auto connection = connection_of(core, destination.connection_arn);
  return connection && connection->state != "DEAUTHORIZED" ? "ACTIVE" : "INACTIVE";
}

aws::ApiResult<void> check(const Core& core, const std::string& connection_arn, const std::string& endpoint) {
  const auto connection = connection_of(core, connection_arn);
  if (!connection)
    return refuse(wire::errors::ResourceNotFoundException,
                  fmt::format("Connection '{}' does not exist.", connection_arn));
  if (!endpoint.starts_with("https://") && !endpoint.starts_with("http://"))
    return refuse_validation(
        fmt::format("Parameter InvocationEndpoint is not valid. Reason: {} is no URL of http or https.", endpoint));
  return {};
}

template <typename Response>
Response response_of(const Core& core, const DestinationRecord& destination) {
  Response response;
  response.ApiDestinationArn = destination.arn();
  response.ApiDestinationState = state_of(core, destination);
  response.CreationTime = destination.created;
  response.LastModifiedTime = destination.modified;
  return response;
}

template <typename Response>
void describe(Response& response, const DestinationRecord& destination) {
  response.Name = destination.name;
  response.ConnectionArn = destination.connection_arn;
  response.InvocationEndpoint = destination.endpoint;
  response.HttpMethod = destination.method;
  response.InvocationRateLimitPerSecond = destination.rate_limit;
}

Awaitable<aws::ApiResult<wire::CreateApiDestinationResponse>> create_destination(
    Core& core, const aws::CallContext& context, wire::CreateApiDestinationRequest request) {
  auto checked = check(core, request.ConnectionArn.value_or(""), request.InvocationEndpoint.value_or(""));
  if (!checked) co_return std::unexpected(std::move(checked.error()));
  DestinationRecord destination;
  destination.place = core.place(context);
  destination.name = request.Name.value_or("");
  destination.id = uuid4();
  destination.description = request.Description.value_or("");
  destination.connection_arn = request.ConnectionArn.value_or("");
  destination.endpoint = request.InvocationEndpoint.value_or("");
  destination.method = request.HttpMethod.value_or("");
  destination.rate_limit = request.InvocationRateLimitPerSecond.value_or(destination.rate_limit);
  destination.created = destination.modified = core.now();
  const std::string name = destination.name;
  auto created = co_await core.destinations.create(std::move(destination));
  if (!created && created.error().code == ErrorCode::kExists)
    co_return refuse(wire::errors::ResourceAlreadyExistsException,
                     fmt::format("An api-destination '{}' already exists.", name));
  if (!created) co_return refuse_internal(created.error());
  co_return response_of<wire::CreateApiDestinationResponse>(core, **created);
}

Awaitable<aws::ApiResult<wire::DescribeApiDestinationResponse>> describe_destination(
    Core& core, const aws::CallContext& context, wire::DescribeApiDestinationRequest request) {
  const auto name = request.Name.value_or("");
  const auto found = core.destinations.find(place_key(DestinationRecord::kPrefix, core.place(context), name));
  if (!found) co_return std::unexpected(destination_missing(name));
  auto response = response_of<wire::DescribeApiDestinationResponse>(core, *found);
  describe(response, *found);
  response.Description = some(found->description);
  co_return response;
}

Awaitable<aws::ApiResult<wire::ListApiDestinationsResponse>> list_destinations(
    Core& core, const aws::CallContext& context, wire::ListApiDestinationsRequest request) {
  auto all = core.destinations.list(
      place_key(DestinationRecord::kPrefix, core.place(context), request.NamePrefix.value_or("")));
  std::erase_if(all, [&](const DestinationPtr& one) {
    return request.ConnectionArn && one->connection_arn != *request.ConnectionArn;
  });
  const auto name_of = [](const DestinationPtr& one) { return one->name; };
  auto [page, next] =
      services::page_of(std::move(all), name_of, decode_token(request.NextToken), page_limit(request.Limit));
  wire::ListApiDestinationsResponse response;
  response.ApiDestinations.emplace();
  for (const auto& destination : page) {
    auto shown = response_of<wire::ApiDestination>(core, *destination);
    describe(shown, *destination);
    response.ApiDestinations->push_back(std::move(shown));
  }
  response.NextToken = encode_token(next);
  co_return response;
}

Awaitable<aws::ApiResult<wire::UpdateApiDestinationResponse>> update_destination(
    Core& core, const aws::CallContext& context, wire::UpdateApiDestinationRequest request) {
  DestinationTable::Edit edit = [&request, &core](DestinationRecord& destination) -> aws::ApiResult<void> {
    if (request.Description) destination.description = *request.Description;
    if (request.ConnectionArn) destination.connection_arn = *request.ConnectionArn;
    if (request.InvocationEndpoint) destination.endpoint = *request.InvocationEndpoint;
    if (request.HttpMethod) destination.method = *request.HttpMethod;
    if (request.InvocationRateLimitPerSecond) destination.rate_limit = *request.InvocationRateLimitPerSecond;
    destination.modified = core.now();
    return check(core, destination.connection_arn, destination.endpoint);
  };
  const auto name = request.Name.value_or("");
  auto missing = destination_missing(name);
  auto key = place_key(DestinationRecord::kPrefix, core.place(context), name);
  auto changed = co_await core.destinations.change(std::move(key), std::move(missing), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return response_of<wire::UpdateApiDestinationResponse>(core, **changed);
}

Awaitable<aws::ApiResult<wire::DeleteApiDestinationResponse>> delete_destination(
    Core& core, const aws::CallContext& context, wire::DeleteApiDestinationRequest request) {
  const auto name = request.Name.value_or("");
  auto erased = co_await core.destinations.erase(place_key(DestinationRecord::kPrefix, core.place(context), name));
  if (!erased) co_return refuse_internal(erased.error());
  if (!*erased) co_return std::unexpected(destination_missing(name));
  co_return wire::DeleteApiDestinationResponse();
}

}  // namespace

void bind_destinations(aws::Service& service, Core& core) {
  bind<wire::CreateApiDestination>(service, core, create_destination);
  bind<wire::DescribeApiDestination>(service, core, describe_destination);
  bind<wire::ListApiDestinations>(service, core, list_destinations);
  bind<wire::UpdateApiDestination>(service, core, update_destination);
  bind<wire::DeleteApiDestination>(service, core, delete_destination);
}

}  // namespace mayfly::events
