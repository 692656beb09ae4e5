#include "services/events/records.h"

#include <fmt/core.h>

#include "delivery/targets.h"

namespace mayfly::events {
namespace {

// Reads and writes members of one document in the same breath, so that the two cannot drift apart.
class Writer {
 public:
  void operator()(std::string_view key, const std::string& value) {
    if (!value.empty()) out[key] = value;
  }
  void operator()(std::string_view key, double value) { out[key] = value; }
  void operator()(std::string_view key, std::int32_t value) { out[key] = value; }
  void operator()(std::string_view key, const json::array& value) { out[key] = value; }
  void operator()(std::string_view key, const json::object& value) { out[key] = value; }
  void operator()(std::string_view key, const std::vector<std::string>& value) {
    json::array array;
    for (const auto& text : value) array.emplace_back(text);
    out[key] = std::move(array);
  }
  void operator()(std::string_view key, const Tags& value) {
    json::object tags;
    for (const auto& [name, text] : value) tags[name] = text;
    out[key] = std::move(tags);
  }
  json::object out;
};

class Reader {
 public:
  explicit Reader(const json::object& document) : in(document) {}
  void operator()(std::string_view key, std::string& value) {
    if (const auto* found = in.if_contains(key); found != nullptr && found->is_string()) value = found->get_string();
  }
  void operator()(std::string_view key, double& value) {
    if (const auto* found = in.if_contains(key); found != nullptr && found->is_number())
      value = found->to_number<double>();
  }
  void operator()(std::string_view key, std::int32_t& value) {
    if (const auto* found = in.if_contains(key); found != nullptr && found->is_int64())
      value = static_cast<std::int32_t>(found->get_int64());
  }
  void operator()(std::string_view key, json::array& value) {
    if (const auto* found = in.if_contains(key); found != nullptr && found->is_array()) value = found->get_array();
  }
  void operator()(std::string_view key, json::object& value) {
    if (const auto* found = in.if_contains(key); found != nullptr && found->is_object()) value = found->get_object();
  }
  void operator()(std::string_view key, std::vector<std::string>& value) {
    const auto* found = in.if_contains(key);
    if (found == nullptr || !found->is_array()) return;
    for (const auto& text : found->get_array()) {
      if (text.is_string()) value.emplace_back(text.get_string());
    }
  }
  void operator()(std::string_view key, Tags& value) {
    const auto* found = in.if_contains(key);
    if (found == nullptr || !found->is_object()) return;
    for (const auto& tag : found->get_object()) {
      if (tag.value().is_string()) value.emplace_back(tag.key(), tag.value().get_string());
    }
  }
  const json::object& in;
};

template <typename Record, typename Fields>
void place_fields(Record& record, Fields& fields) {
  fields("Account", record.place.account);
  fields("Region", record.place.region);
  fields("Name", record.name);
}

template <typename Record, typename Fields>
void bus_fields(Record& record, Fields& fields) {
  place_fields(record, fields);
  fields("Description", record.description);
  fields("Created", record.created);
  fields("Modified", record.modified);
  fields("Statements", record.statements);
  fields("Tags", record.tags);
}

template <typename Record, typename Fields>
void rule_fields(Record& record, Fields& fields) {
  place_fields(record, fields);
  fields("Bus", record.bus);
  fields("Pattern", record.pattern);
  fields("Schedule", record.schedule);
  fields("State", record.state);
  fields("Description", record.description);
  fields("RoleArn", record.role_arn);
  fields("Tags", record.tags);
  fields("ScheduledSince", record.scheduled_since);
}

template <typename Record, typename Fields>
void archive_fields(Record& record, Fields& fields) {
  place_fields(record, fields);
  fields("Generation", record.generation);
  fields("Bus", record.bus);
  fields("Description", record.description);
  fields("Pattern", record.pattern);
  fields("RetentionDays", record.retention_days);
  fields("Created", record.created);
}

template <typename Record, typename Fields>
void replay_fields(Record& record, Fields& fields) {
  place_fields(record, fields);
  fields("Archive", record.archive);
  fields("Bus", record.bus);
  fields("FilterArns", record.filter_arns);
  fields("Description", record.description);
  fields("State", record.state);
  fields("StateReason", record.state_reason);
  fields("EventStart", record.event_start);
  fields("EventEnd", record.event_end);
  fields("Started", record.started);
  fields("Ended", record.ended);
  fields("LastReplayed", record.last_replayed);
  fields("Position", record.position);
}

template <typename Record, typename Fields>
void connection_fields(Record& record, Fields& fields) {
  place_fields(record, fields);
  fields("Id", record.id);
  fields("Secret", record.secret);
  fields("Description", record.description);
  fields("AuthorizationType", record.authorization_type);
  fields("State", record.state);
  fields("Parameters", record.parameters);
  fields("Created", record.created);
  fields("Modified", record.modified);
  fields("Authorized", record.authorized);
}

template <typename Record, typename Fields>
void destination_fields(Record& record, Fields& fields) {
  place_fields(record, fields);
  fields("Id", record.id);
  fields("Description", record.description);
  fields("ConnectionArn", record.connection_arn);
  fields("Endpoint", record.endpoint);
  fields("Method", record.method);
  fields("RateLimit", record.rate_limit);
  fields("Created", record.created);
  fields("Modified", record.modified);
}

}  // namespace

std::string place_key(std::string_view prefix, const Place& place, std::string_view name) {
  return fmt::format("{}{}/{}/{}", prefix, place.account, place.region, name);
}

std::string rule_key(const Place& place, std::string_view bus, std::string_view rule) {
  return fmt::format("{}{}/{}/{}/{}", RuleRecord::kPrefix, place.account, place.region, bus, rule);
}

std::string events_arn(const Place& place, std::string_view resource) {
  return fmt::format("arn:aws:events:{}:{}:{}", place.region, place.account, resource);
}

std::string rule_arn(const Place& place, std::string_view bus, std::string_view rule) {
  if (bus == kDefaultBus) return events_arn(place, fmt::format("rule/{}", rule));
  return events_arn(place, fmt::format("rule/{}/{}", bus, rule));
}

std::string bus_name(std::string_view name_or_arn) {
  if (name_or_arn.empty()) return std::string(kDefaultBus);
  if (!name_or_arn.starts_with("arn:")) return std::string(name_or_arn);
  const auto slash = name_or_arn.find('/');
  return std::string(name_or_arn.substr(slash == std::string_view::npos ? name_or_arn.size() : slash + 1));
}

std::optional<ResourceName> parse_resource_arn(std::string_view arn) {
  const auto parsed = delivery::parse_arn(arn);
  if (!parsed || parsed->service != "events") return std::nullopt;
  ResourceName name;
  name.place = Place{.account = parsed->account, .region = parsed->region};
  const std::string_view resource = parsed->resource;
  const auto slash = resource.find('/');
  if (slash == std::string_view::npos || slash + 1 == resource.size()) return std::nullopt;
  name.kind = resource.substr(0, slash);
  const auto rest = resource.substr(slash + 1);
  const auto second = rest.find('/');
  if (name.kind == "rule") {
    name.bus = second == std::string_view::npos ? kDefaultBus : rest.substr(0, second);
    name.name = second == std::string_view::npos ? rest : rest.substr(second + 1);
  } else if (name.kind == "connection" || name.kind == "api-destination") {
    name.name = rest.substr(0, second);
  } else {
    name.name = rest;
  }
  return name;
}

Tags tags_of(const std::optional<std::vector<wire::Tag>>& tags) {
  Tags out;
  if (!tags) return out;
  for (const auto& tag : *tags) out.emplace_back(tag.Key.value_or(""), tag.Value.value_or(""));
  return out;
}

std::string BusRecord::key() const { return place_key(kPrefix, place, name); }
std::string BusRecord::arn() const { return events_arn(place, "event-bus/" + name); }
json::object BusRecord::document() const {
  Writer fields;
  bus_fields(*this, fields);
  return std::move(fields.out);
}
Result<BusRecord> BusRecord::read(const json::object& document) {
  BusRecord record;
  Reader fields(document);
  bus_fields(record, fields);
  return record;
}

std::string RuleRecord::key() const { return rule_key(place, bus, name); }
std::string RuleRecord::arn() const { return rule_arn(place, bus, name); }
json::object RuleRecord::document() const {
  Writer fields;
  rule_fields(*this, fields);
  json::array all;
  for (const auto& target : targets) {
    json::object out;
    to_document(target, out);
    all.emplace_back(std::move(out));
  }
  fields.out["Targets"] = std::move(all);
  return std::move(fields.out);
}
Result<RuleRecord> RuleRecord::read(const json::object& document) {
  RuleRecord record;
  Reader fields(document);
  rule_fields(record, fields);
  json::array all;
  fields("Targets", all);
  for (const auto& item : all) {
    if (!item.is_object()) return fail(ErrorCode::kCorrupt, "a target is no document");
    wire::Target target;
    from_document(item.get_object(), target);
    record.targets.push_back(std::move(target));
  }
  return record;
}

std::string ArchiveRecord::key() const { return place_key(kPrefix, place, name); }
std::string ArchiveRecord::arn() const { return events_arn(place, "archive/" + name); }
json::object ArchiveRecord::document() const {
  Writer fields;
  archive_fields(*this, fields);
  return std::move(fields.out);
}
Result<ArchiveRecord> ArchiveRecord::read(const json::object& document) {
  ArchiveRecord record;
  Reader fields(document);
  archive_fields(record, fields);
  return record;
}

std::string ReplayRecord::key() const { return place_key(kPrefix, place, name); }
std::string ReplayRecord::arn() const { return events_arn(place, "replay/" + name); }
json::object ReplayRecord::document() const {
  Writer fields;
  replay_fields(*this, fields);
  return std::move(fields.out);
}
Result<ReplayRecord> ReplayRecord::read(const json::object& document) {
  ReplayRecord record;
  Reader fields(document);
  replay_fields(record, fields);
  return record;
}

std::string ConnectionRecord::key() const { return place_key(kPrefix, place, name); }
std::string ConnectionRecord::arn() const { return events_arn(place, fmt::format("connection/{}/{}", name, id)); }
std::string ConnectionRecord::secret_arn() const {
  return fmt::format("arn:aws:secretsmanager:{}:{}:secret:events!connection/{}/{}", place.region, place.account, name,
                     secret);
}
json::object ConnectionRecord::document() const {
  Writer fields;
  connection_fields(*this, fields);
  return std::move(fields.out);
}
Result<ConnectionRecord> ConnectionRecord::read(const json::object& document) {
  ConnectionRecord record;
  Reader fields(document);
  connection_fields(record, fields);
  return record;
}

std::string DestinationRecord::key() const { return place_key(kPrefix, place, name); }
std::string DestinationRecord::arn() const { return events_arn(place, fmt::format("api-destination/{}/{}", name, id)); }
json::object DestinationRecord::document() const {
  Writer fields;
  destination_fields(*this, fields);
  return std::move(fields.out);
}
Result<DestinationRecord> DestinationRecord::read(const json::object& document) {
  DestinationRecord record;
  Reader fields(document);
  destination_fields(record, fields);
  return record;
}

}  // namespace mayfly::events
