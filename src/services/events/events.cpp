#include "services/events/events.h"

#include <fmt/core.h>

#include "base/log.h"
#include "services/events/cloud_events.h"
#include "services/events/core.h"
#include "services/events/fan_out.h"
#include "services/events/policy.h"
#include "services/events/secrets.h"

namespace mayfly::events {
namespace {

constexpr std::size_t kMostCloudEventBytes = 256UL * 1024;

delivery::Attempt refused(std::string code, std::string message) {
  delivery::Attempt attempt;
  attempt.kind = delivery::Attempt::Kind::kRefused;
  attempt.error_code = std::move(code);
  attempt.error_message = std::move(message);
  attempt.status = 400;
  return attempt;
}

// An event for another bus. One that comes from a rule is an event already; a schedule gives the detail, and the rest
// of the event beside it.
Result<BusEvent> event_for(const Place& place, const delivery::Event& event, SystemTime now) {
  const auto detail_type = get_string(event.parameters, "DetailType");
  const auto source = get_string(event.parameters, "Source");
  if (detail_type.empty() && source.empty()) {
    auto sent = read_event(event.payload);
    if (!sent) return sent;
    if (!sent->id.empty() && find(sent->document, "detail-type") != nullptr) return sent;
  }
  EventParts parts;
  parts.id = event.id;
  parts.detail_type = detail_type;
  parts.source = source;
  parts.place = place;
  parts.time = now;
  parts.detail = event.payload;
  if (parts.detail_type.empty() || parts.source.empty())
    return fail(ErrorCode::kInvalid, "the input is no event, and has no DetailType and Source");
  return make_event(parts);
}

Awaitable<delivery::Attempt> put_on_bus(Core& core, delivery::Arn target, delivery::Event event) {
  const Place place{.account = target.account, .region = target.region};
  const auto name = target.resource.substr(target.resource.find('/') + 1);
  const auto bus = find_bus(core, place, name);
  if (!bus) co_return refused("ResourceNotFoundException", bus_missing(name).message);
  const auto hops = get_int(event.parameters, "Hops");
  if (hops > kMostHops) co_return refused("TooManyHops", "the event has been on too many buses");
  auto made = event_for(place, event, core.clock.now());
  if (!made) co_return refused("ValidationException", made.error().message);
  std::vector<Placed> placed(1);
  placed[0].bus = bus;
  placed[0].event = std::move(*made);
  placed[0].hops = static_cast<std::uint32_t>(hops);
  auto put = co_await put_on_buses(core, std::move(placed));
  if (put) co_return delivery::Attempt();
  delivery::Attempt attempt;
  const bool throttled = put.error().code == ErrorCode::kThrottled;
  attempt.kind = throttled ? delivery::Attempt::Kind::kThrottled : delivery::Attempt::Kind::kRetry;
  attempt.error_code = "InternalFailure";
  attempt.error_message = put.error().message;
  attempt.status = 500;
  co_return attempt;
}

}  // namespace

struct Events::Impl {
  Impl(store::KeyValue& store, store::Stream& streams, Clock& clock, Submit submit, const delivery::Targets& targets,
       EventsSettings settings)
      : core(store, streams, clock, std::move(submit), targets, std::move(settings)), service(wire::service()) {
    bind_buses(service, core);
    bind_permissions(service, core);
    bind_rules(service, core);
    bind_rule_targets(service, core);
    bind_put_events(service, core);
    bind_tags(service, core);
    bind_archives(service, core);
    bind_replays(service, core);
    bind_connections(service, core);
    bind_destinations(service, core);
  }

  Core core;
  aws::Service service;
};

Events::Events(store::KeyValue& store, store::Stream& streams, Clock& clock, Submit submit,
               const delivery::Targets& targets, EventsSettings settings)
    : impl_(std::make_unique<Impl>(store, streams, clock, std::move(submit), targets, std::move(settings))) {}
Events::~Events() = default;

aws::Service& Events::service() { return impl_->service; }

Awaitable<void> Events::show_secrets() {
  auto& core = impl_->core;
  for (const auto& connection : core.connections.list(std::string(ConnectionRecord::kPrefix))) {
    auto shown = co_await sync_secret(core, connection->key(), connection->secret_arn());
    if (shown) continue;
    // One user's secret is no reason for the server not to start.
    log(Level::kWarn, "the secret of a connection is not shown",
        {{"connection", connection->arn()}, {"error", shown.error().message}});
  }
}

bool Events::is_settled(SystemTime now) const {
  return impl_->core.timetable.is_settled(now) && impl_->core.replayer.is_settled();
}

std::optional<std::string> Events::resource_policy(std::string_view arn) const {
  const auto name = parse_resource_arn(arn);
  if (!name || name->kind != "event-bus") return std::nullopt;
  const auto bus = find_bus(impl_->core, name->place, name->name);
  return bus ? policy_text(*bus) : std::nullopt;
}

Awaitable<Result<void>> Events::load() {
  auto& core = impl_->core;
  auto served = co_await core.timetable.load();
  if (!served) co_return std::unexpected(std::move(served.error()));
  auto buses = co_await core.buses.load();
  if (!buses) co_return std::unexpected(std::move(buses.error()));
  auto rules = co_await core.rules.load();
  if (!rules) co_return std::unexpected(std::move(rules.error()));
  auto archives = co_await core.archives.load();
  if (!archives) co_return std::unexpected(std::move(archives.error()));
  auto archived = co_await core.archived.load();
  if (!archived) co_return std::unexpected(std::move(archived.error()));
  auto replays = co_await core.replays.load();
  if (!replays) co_return std::unexpected(std::move(replays.error()));
  auto connections = co_await core.connections.load();
  if (!connections) co_return std::unexpected(std::move(connections.error()));
  auto destinations = co_await core.destinations.load();
  if (!destinations) co_return std::unexpected(std::move(destinations.error()));
  const Place place{.account = core.settings.account, .region = core.settings.region};
  auto claimed = co_await claim_bus(core, place, std::string(kDefaultBus));
  if (!claimed) co_return fail(ErrorCode::kIo, "making the default bus: " + claimed.error().message);
  co_return Result<void>();
}

void Events::start(Reactor& reactor) {
  impl_->core.timetable.start(reactor);
  impl_->core.replayer.start(reactor);
}

Awaitable<void> Events::stop() {
  co_await impl_->core.timetable.stop();
  co_await impl_->core.replayer.stop();
}

delivery::Handler Events::target_handler() {
  return [this](delivery::Arn target, delivery::Event event) {
    if (target.resource.starts_with("api-destination/"))
      return impl_->core.api_client.call(std::move(target), std::move(event));
    return put_on_bus(impl_->core, std::move(target), std::move(event));
  };
}

Result<std::shared_ptr<void>> Events::follow(std::string_view bus, std::function<void(const FollowedEvent&)> callback) {
  auto& core = impl_->core;
  const Place place{.account = core.settings.account, .region = core.settings.region};
  const auto found = find_bus(core, place, bus);
  if (!found) return fail(ErrorCode::kNotFound, bus_missing(bus_name(bus)).message);
  return core.followers.add(found->key(), std::move(callback));
}

Awaitable<Result<std::size_t>> Events::put_cloud_events(std::string bus, http::Headers headers, std::string body) {
  auto& core = impl_->core;
  const Place place{.account = core.settings.account, .region = core.settings.region};
  const auto found = find_bus(core, place, bus);
  if (!found) co_return fail(ErrorCode::kNotFound, bus_missing(bus_name(bus)).message);
  if (body.size() > kMostCloudEventBytes)
    co_return fail(ErrorCode::kTooLarge, "Total size of the events is over the limit.");
  auto parts = read_cloud_events(headers, body, place, core.clock.now());
  if (!parts) co_return std::unexpected(std::move(parts.error()));
  std::vector<Placed> placed;
  for (const auto& one : *parts) {
    auto event = make_event(one);
    if (!event) co_return std::unexpected(std::move(event.error()));
    Placed& next = placed.emplace_back();
    next.bus = found;
    next.event = std::move(*event);
  }
  const std::size_t count = placed.size();
  auto put = co_await put_on_buses(core, std::move(placed));
  if (!put) co_return std::unexpected(std::move(put.error()));
  co_return count;
}

}  // namespace mayfly::events
