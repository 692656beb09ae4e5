#include "services/events/core.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/crypto.h"
#include "base/encoding.h"
#include "base/time_format.h"
#include "services/events/fan_out.h"

namespace mayfly::events {
namespace {

// The same however often the time is served.
std::string scheduled_event_id(const std::string& arn, SystemTime due) {
  auto hex = hex_encode(sha256(fmt::format("{} {}", arn, due.time_since_epoch().count()))).substr(0, 32);
  hex[12] = '4';
  hex[16] = '8';
  return fmt::format("{}-{}-{}-{}-{}", hex.substr(0, 8), hex.substr(8, 4), hex.substr(12, 4), hex.substr(16, 4),
                     hex.substr(20));
}

// The event of a rule whose time has come.
Awaitable<Result<void>> fire(Core& core, RulePtr rule, SystemTime due);
// Archived events on their bus again, with the replay's name in them.
Awaitable<Result<void>> put_replayed(Core& core, ReplayPtr replay, std::vector<std::string> events);

}  // namespace

Core::Core(store::KeyValue& store, store::Stream& streams, Clock& clock_in, Submit submit_in,
           const delivery::Targets& targets_in, EventsSettings settings_in)
    : clock(clock_in),
      submit(std::move(submit_in)),
      targets(targets_in),
      settings(std::move(settings_in)),
      buses(store),
      rules(store),
      archives(store),
      replays(store),
      connections(store),
      destinations(store),
      matcher(rules, archives),
      archived(store, streams, clock_in, archives),
      replayer(clock_in, replays, archives, archived,
               [this](ReplayPtr replay, std::vector<std::string> events) {
                 return put_replayed(*this, std::move(replay), std::move(events));
               }),
      timetable(store, clock_in, rules,
                [this](RulePtr rule, SystemTime due) { return fire(*this, std::move(rule), due); }),
      api_client(clock_in, connections, destinations) {
  rules.on_change([this](const std::string& key) {
    matcher.sync_rule(key);
    timetable.sync(key);
  });
  archives.on_change([this](const std::string& key) { matcher.sync_archive(key); });
}

double Core::now() const { return epoch_seconds(clock.now()); }

Place Core::place(const aws::CallContext& context) const {
  Place place{.account = context.principal.account, .region = context.region};
  if (place.account.empty()) place.account = settings.account;
  if (place.region.empty()) place.region = settings.region;
  return place;
}

namespace {

Awaitable<Result<void>> fire(Core& core, RulePtr rule, SystemTime due) {
  EventParts parts;
  parts.id = scheduled_event_id(rule->arn(), due);
  parts.detail_type = "Scheduled Event";
  parts.source = "aws.events";
  parts.place = rule->place;
  parts.time = due;
  parts.resources.push_back(rule->arn());
  parts.detail = "{}";
  auto event = make_event(parts);
  if (!event) co_return std::unexpected(std::move(event.error()));
  auto requests = requests_of(*rule, *event, core.clock.now(), 0, parts.id);
  if (requests.empty()) co_return Result<void>();
  co_return co_await core.submit(std::move(requests));
}

Awaitable<Result<void>> put_replayed(Core& core, ReplayPtr replay, std::vector<std::string> events) {
  const auto bus = find_bus(core, replay->place, replay->bus);
  if (!bus) co_return Result<void>();  // nobody is there to be told
  std::vector<Placed> placed;
  for (auto& text : events) {
    // The envelope is the service's own and begins alike in every event.
    const auto at = text.find(",\"resources\":");
    if (at != std::string::npos)
      text.insert(at, fmt::format(",\"replay-name\":{}", to_json(json::value(replay->name))));
    auto event = read_event(std::move(text));
    if (!event) continue;
    Placed& one = placed.emplace_back();
    one.bus = bus;
    one.event = std::move(*event);
    one.only_rules = replay->filter_arns;
    one.replayed = true;
  }
  co_return co_await put_on_buses(core, std::move(placed));
}

}  // namespace

BusPtr find_bus(const Core& core, const Place& place, std::string_view name_or_arn) {
  Place where = place;
  if (name_or_arn.starts_with("arn:")) {
    const auto name = parse_resource_arn(name_or_arn);
    if (!name || name->kind != "event-bus") return nullptr;
    where = name->place;
  }
  const auto name = bus_name(name_or_arn);
  if (auto found = core.buses.find(place_key(BusRecord::kPrefix, where, name))) return found;
  if (name != kDefaultBus || where.account != place.account) return nullptr;
  auto bus = std::make_shared<BusRecord>();
  bus->place = where;
  bus->name = name;
  return bus;
}

Awaitable<aws::ApiResult<BusPtr>> claim_bus(Core& core, Place place, std::string name_or_arn) {
  auto bus = find_bus(core, place, name_or_arn);
  if (!bus) co_return std::unexpected(bus_missing(bus_name(name_or_arn)));
  if (core.buses.find(bus->key())) co_return bus;
  BusRecord record = *bus;
  record.created = record.modified = core.now();
  auto created = co_await core.buses.create(std::move(record));
  if (created) co_return *created;
  if (created.error().code != ErrorCode::kExists) co_return refuse_internal(created.error());
  bus = find_bus(core, place, name_or_arn);
  co_return bus;
}

std::optional<std::string> encode_token(const std::optional<std::string>& key) {
  return key ? std::optional(base64_encode(*key)) : std::nullopt;
}

std::optional<std::string> decode_token(const std::optional<std::string>& token) {
  return token ? base64_decode(*token) : std::nullopt;
}

std::size_t page_limit(const std::optional<std::int32_t>& limit) {
  constexpr std::size_t kMost = 100;
  return limit && *limit > 0 ? std::min(static_cast<std::size_t>(*limit), kMost) : kMost;
}

std::optional<std::string> some(const std::string& text) { return text.empty() ? std::nullopt : std::optional(text); }

}  // namespace mayfly::events
