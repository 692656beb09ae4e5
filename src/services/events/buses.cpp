// Buses: create, describe, list, update, delete.
#include <fmt/core.h>

#include <algorithm>

#include "services/events/core.h"
#include "services/events/policy.h"

namespace mayfly::events {
namespace {

constexpr std::size_t kMostBuses = 100;

aws::ApiResult<void> check_settings(const std::optional<std::string>& key, const auto& dead_letter, const auto& logs) {
  if (key && !key->empty())
    return refuse_unsupported("KmsKeyIdentifier", "events are not encrypted with keys of one's own");
  if (dead_letter && dead_letter->Arn)
    return refuse_unsupported("DeadLetterConfig of a bus", "nothing is lost to encryption here; set it on the targets");
  if (logs && logs->Level.value_or("OFF") != "OFF") return refuse_unsupported("LogConfig", "buses write no logs");
  return {};
}

Awaitable<aws::ApiResult<wire::CreateEventBusResponse>> create_bus(Core& core, const aws::CallContext& context,
                                                                   wire::CreateEventBusRequest request) {
  auto checked = check_settings(request.KmsKeyIdentifier, request.DeadLetterConfig, request.LogConfig);
  if (!checked) co_return std::unexpected(std::move(checked.error()));
  if (request.EventSourceName) co_return refuse_unsupported("EventSourceName", "there are no partner event sources");
  BusRecord bus;
  bus.place = core.place(context);
  bus.name = request.Name.value_or("");
  if (bus.name == kDefaultBus || find_bus(core, bus.place, bus.name))
    co_return refuse(wire::errors::ResourceAlreadyExistsException,
                     fmt::format("Event bus {} already exists.", bus.name));
  if (bus.name.find('/') != std::string::npos) co_return refuse_validation("Event bus name must not contain '/'.");
  if (core.buses.list(place_key(BusRecord::kPrefix, bus.place, "")).size() >= kMostBuses)
    co_return refuse(wire::errors::LimitExceededException,
                     "The requested resource exceeds the maximum number allowed.");
  bus.description = request.Description.value_or("");
  bus.created = bus.modified = core.now();
  bus.tags = tags_of(request.Tags);
  const std::string name = bus.name;
  auto created = co_await core.buses.create(std::move(bus));
  if (!created && created.error().code == ErrorCode::kExists)
    co_return refuse(wire::errors::ResourceAlreadyExistsException, fmt::format("Event bus {} already exists.", name));
  if (!created) co_return refuse_internal(created.error());
  wire::CreateEventBusResponse response;
  response.EventBusArn = (*created)->arn();
  response.Description = some((*created)->description);
  co_return response;
}

Awaitable<aws::ApiResult<aws::Empty>> delete_bus(Core& core, const aws::CallContext& context,
                                                 wire::DeleteEventBusRequest request) {
  const auto name = bus_name(request.Name.value_or(""));
  if (name == kDefaultBus) co_return refuse_validation("Cannot delete event bus default.");
  const auto place = core.place(context);
  if (!core.rules.list(rule_key(place, name, "")).empty())
    co_return refuse_validation(fmt::format("Event bus {} can't be deleted since it has rules.", name));
  auto erased = co_await core.buses.erase(place_key(BusRecord::kPrefix, place, name));
  if (!erased) co_return refuse_internal(erased.error());
  co_return aws::Empty();
}

Awaitable<aws::ApiResult<wire::DescribeEventBusResponse>> describe_bus(Core& core, const aws::CallContext& context,
                                                                       wire::DescribeEventBusRequest request) {
  const auto name = request.Name.value_or("");
  const auto bus = find_bus(core, core.place(context), name);
  if (!bus) co_return std::unexpected(bus_missing(bus_name(name)));
  wire::DescribeEventBusResponse response;
  response.Name = bus->name;
  response.Arn = bus->arn();
  response.Description = some(bus->description);
  response.Policy = policy_text(*bus);
  response.CreationTime = bus->created;
  response.LastModifiedTime = bus->modified;
  co_return response;
}

Awaitable<aws::ApiResult<wire::ListEventBusesResponse>> list_buses(Core& core, const aws::CallContext& context,
                                                                   wire::ListEventBusesRequest request) {
  const auto place = core.place(context);
  const auto prefix = request.NamePrefix.value_or("");
  auto all = core.buses.list(place_key(BusRecord::kPrefix, place, prefix));
  // The default bus of a place where nobody has changed it has no record.
  const bool has_default = core.buses.find(place_key(BusRecord::kPrefix, place, kDefaultBus)) != nullptr;
  if (!has_default && kDefaultBus.starts_with(prefix)) {
    all.push_back(find_bus(core, place, kDefaultBus));
    std::sort(all.begin(), all.end(), [](const BusPtr& a, const BusPtr& b) { return a->name < b->name; });
  }
  const auto name_of = [](const BusPtr& bus) { return bus->name; };
  auto [page, next] =
      services::page_of(std::move(all), name_of, decode_token(request.NextToken), page_limit(request.Limit));
  wire::ListEventBusesResponse response;
  response.EventBuses.emplace();
  for (const auto& bus : page) {
    wire::EventBus& shown = response.EventBuses->emplace_back();
    shown.Name = bus->name;
    shown.Arn = bus->arn();
    shown.Description = some(bus->description);
    shown.Policy = policy_text(*bus);
    shown.CreationTime = bus->created;
    shown.LastModifiedTime = bus->modified;
  }
  response.NextToken = encode_token(next);
  co_return response;
}

Awaitable<aws::ApiResult<wire::UpdateEventBusResponse>> update_bus(Core& core, const aws::CallContext& context,
                                                                   wire::UpdateEventBusRequest request) {
  auto checked = check_settings(request.KmsKeyIdentifier, request.DeadLetterConfig, request.LogConfig);
  if (!checked) co_return std::unexpected(std::move(checked.error()));
  auto bus = co_await claim_bus(core, core.place(context), request.Name.value_or(""));
  if (!bus) co_return std::unexpected(std::move(bus.error()));
  BusTable::Edit edit = [&request, &core](BusRecord& record) -> aws::ApiResult<void> {
    if (request.Description) record.description = *request.Description;
    record.modified = core.now();
    return {};
  };
  auto missing = bus_missing((*bus)->name);
  auto changed = co_await core.buses.change((*bus)->key(), std::move(missing), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  wire::UpdateEventBusResponse response;
  response.Arn = (*changed)->arn();
  response.Name = (*changed)->name;
  response.Description = some((*changed)->description);
  co_return response;
}

}  // namespace

void bind_buses(aws::Service& service, Core& core) {
  bind<wire::CreateEventBus>(service, core, create_bus);
  bind<wire::DeleteEventBus>(service, core, delete_bus);
  bind<wire::DescribeEventBus>(service, core, describe_bus);
  bind<wire::ListEventBuses>(service, core, list_buses);
  bind<wire::UpdateEventBus>(service, core, update_bus);
}

}  // namespace mayfly::events
