// PutEvents and TestEventPattern.
#include <fmt/core.h>

#include "base/ids.h"
#include "base/time_format.h"
#include "pattern/pattern.h"
#include "services/events/fan_out.h"

namespace mayfly::events {
namespace {

constexpr std::size_t kMostEntryBytes = 256UL * 1024;
constexpr std::size_t kTimeBytes = 14;

// As the service's documentation counts an entry.
std::size_t size_of(const wire::PutEventsRequestEntry& entry) {
  std::size_t size = entry.Time ? kTimeBytes : 0;
  size += entry.Source.value_or("").size() + entry.DetailType.value_or("").size() + entry.Detail.value_or("").size();
  for (const auto& resource : entry.Resources.value_or(std::vector<std::string>())) size += resource.size();
  return size;
}

wire::PutEventsResultEntry failed(std::string_view code, std::string message) {
  wire::PutEventsResultEntry entry;
  entry.ErrorCode = std::string(code);
  entry.ErrorMessage = std::move(message);
  return entry;
}

std::optional<wire::PutEventsResultEntry> refused(const wire::PutEventsRequestEntry& entry) {
  constexpr std::string_view kArgument = "InvalidArgument";
  const auto required = [](std::string_view name) {
    return fmt::format("Parameter {0} is not valid. Reason: {0} is a required argument.", name);
  };
  if (entry.Source.value_or("").empty()) return failed(kArgument, required("Source"));
  if (entry.DetailType.value_or("").empty()) return failed(kArgument, required("DetailType"));
  if (entry.Detail.value_or("").empty()) return failed(kArgument, required("Detail"));
  if (entry.Source->starts_with("aws.")) return failed("NotAuthorizedForSource", "Not authorized for the source.");
  return std::nullopt;
}

Awaitable<aws::ApiResult<wire::PutEventsResponse>> put_events(Core& core, const aws::CallContext& context,
                                                              wire::PutEventsRequest request) {
  if (request.EndpointId) co_return refuse_unsupported("EndpointId", "there are no global endpoints");
  const auto entries = request.Entries.value_or(std::vector<wire::PutEventsRequestEntry>());
  std::size_t bytes = 0;
  for (const auto& entry : entries) bytes += size_of(entry);
  if (bytes > kMostEntryBytes)
    co_return refuse_validation("Total size of the entries in the request is over the limit.");
  wire::PutEventsResponse response;
  response.FailedEntryCount = 0;
  response.Entries.emplace();
  std::vector<Placed> placed;
  for (const auto& entry : entries) {
    auto refusal = refused(entry);
    EventParts parts;
    parts.id = uuid4();
    parts.detail_type = entry.DetailType.value_or("");
    parts.source = entry.Source.value_or("");
    parts.place = core.place(context);
    parts.time = entry.Time ? from_epoch_seconds(*entry.Time) : core.clock.now();
    parts.resources = entry.Resources.value_or(std::vector<std::string>());
    parts.detail = entry.Detail.value_or("");
    auto event = make_event(parts);
    if (!refusal && !event) refusal = failed("MalformedDetail", "Detail is malformed.");
    if (refusal) {
      ++*response.FailedEntryCount;
      response.Entries->push_back(std::move(*refusal));
      continue;
    }
    response.Entries->emplace_back().EventId = parts.id;
    // An event for a bus that does not exist is accepted and concerns nobody, as one that no rule matches.
    const auto bus = find_bus(core, parts.place, entry.EventBusName.value_or(""));
    if (!bus) continue;
    Placed& one = placed.emplace_back();
    one.bus = bus;
    one.event = std::move(*event);
  }
  auto put = co_await put_on_buses(core, std::move(placed));
  if (put) co_return response;
  if (put.error().code == ErrorCode::kThrottled) co_return refuse(wire::errors::ThrottlingException, "Rate exceeded");
  co_return refuse_internal(put.error());
}

bool is_event(const json::value& event) {
  for (const auto* member : {"id", "account", "source", "time", "region", "detail-type"}) {
    const auto* found = find(event, member);
    if (found == nullptr || !found->is_string()) return false;
  }
  return true;
}

Awaitable<aws::ApiResult<wire::TestEventPatternResponse>> test_event_pattern(Core&, const aws::CallContext&,
                                                                             wire::TestEventPatternRequest request) {
  const auto pattern = pattern::Pattern::parse(request.EventPattern.value_or(""));
  if (!pattern)
    co_return refuse(wire::errors::InvalidEventPatternException,
                     "Event pattern is not valid. Reason: " + pattern.error().message);
  const auto event = parse_json(request.Event.value_or(""));
  if (!event || !is_event(*event)) co_return refuse_validation("Parameter Event is not valid.");
  wire::TestEventPatternResponse response;
  response.Result = pattern->matches(*event);
  co_return response;
}

}  // namespace

void bind_put_events(aws::Service& service, Core& core) {
  bind<wire::PutEvents>(service, core, put_events);
  bind<wire::TestEventPattern>(service, core, test_event_pattern);
}

}  // namespace mayfly::events
