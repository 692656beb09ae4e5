// What the service keeps: buses, rules with their targets, archives, replays, connections and API destinations, and
// their names.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "services/events/errors.h"

namespace mayfly::events {

struct Place {
  std::string account;
  std::string region;
  bool operator==(const Place&) const = default;
};

using Tags = std::vector<std::pair<std::string, std::string>>;

inline constexpr std::string_view kDefaultBus = "default";

struct BusRecord {
  static constexpr std::string_view kPrefix = "events/bus/";
  Place place;
  std::string name;
  std::string description;
  double created = 0;
  double modified = 0;
  json::array statements;  // of its resource policy
  Tags tags;

  [[nodiscard]] std::string key() const;
  [[nodiscard]] std::string arn() const;
  [[nodiscard]] json::object document() const;
  static Result<BusRecord> read(const json::object& document);
};

struct RuleRecord {
  static constexpr std::string_view kPrefix = "events/rule/";
  Place place;
  std::string bus;
  std::string name;
  std::string pattern;   // JSON text, or ""
  std::string schedule;  // an expression, or ""
  std::string state = "ENABLED";
  std::string description;
  std::string role_arn;
  Tags tags;
  std::vector<wire::Target> targets;  // in order of their first PutTargets
  double scheduled_since = 0;         // when the schedule was set or enabled: rates count from here

  [[nodiscard]] bool enabled() const { return state == "ENABLED"; }
  [[nodiscard]] std::string key() const;
  [[nodiscard]] std::string arn() const;
  [[nodiscard]] json::object document() const;
  static Result<RuleRecord> read(const json::object& document);
};

struct ArchiveRecord {
  static constexpr std::string_view kPrefix = "events/archive/";
  Place place;
  std::string name;
  std::string generation;  // an archive made again under its name has nothing of the old one
  std::string bus;
  std::string description;
  std::string pattern;
  std::int32_t retention_days = 0;  // 0: for ever
  double created = 0;

  [[nodiscard]] std::string key() const;
  [[nodiscard]] std::string arn() const;
  [[nodiscard]] json::object document() const;
  static Result<ArchiveRecord> read(const json::object& document);
};

struct ReplayRecord {
  static constexpr std::string_view kPrefix = "events/replay/";
  Place place;
  std::string name;
  std::string archive;
  std::string bus;
  std::vector<std::string> filter_arns;
  std::string description;
  std::string state = "STARTING";
  std::string state_reason;
  double event_start = 0;
  double event_end = 0;
  double started = 0;
  double ended = 0;          // 0: not yet
  double last_replayed = 0;  // the time of the last event replayed; 0: none yet
  std::string position;      // behind the last event that was replayed

  [[nodiscard]] std::string key() const;
  [[nodiscard]] std::string arn() const;
  [[nodiscard]] json::object document() const;
  static Result<ReplayRecord> read(const json::object& document);
};

struct ConnectionRecord {
  static constexpr std::string_view kPrefix = "events/connection/";
  Place place;
  std::string name;
  std::string id;      // a UUID, part of the ARN
  std::string secret;  // the last part of the secret's ARN
  std::string description;
  std::string authorization_type;
  std::string state;
  json::object parameters;  // CreateConnectionAuthRequestParameters with its secrets; never shown
  double created = 0;
  double modified = 0;
  double authorized = 0;

  [[nodiscard]] std::string key() const;
  [[nodiscard]] std::string arn() const;
  [[nodiscard]] std::string secret_arn() const;
  [[nodiscard]] json::object document() const;
  static Result<ConnectionRecord> read(const json::object& document);
};

struct DestinationRecord {
  static constexpr std::string_view kPrefix = "events/destination/";
  Place place;
  std::string name;
  std::string id;
  std::string description;
  std::string connection_arn;
  std::string endpoint;
  std::string method;
  std::int32_t rate_limit = 300;  // invocations a second
  double created = 0;
  double modified = 0;

  [[nodiscard]] std::string key() const;
  [[nodiscard]] std::string arn() const;
  [[nodiscard]] json::object document() const;
  static Result<DestinationRecord> read(const json::object& document);
};

// "<prefix><account>/<region>/<name>", and the rules of a bus: "events/rule/<account>/<region>/<bus>/<rule>".
std::string place_key(std::string_view prefix, const Place& place, std::string_view name);
std::string rule_key(const Place& place, std::string_view bus, std::string_view rule);
std::string events_arn(const Place& place, std::string_view resource);
// A rule's ARN does not name the default bus.
std::string rule_arn(const Place& place, std::string_view bus, std::string_view rule);

// A bus by its name or ARN; "" is the default one.
std::string bus_name(std::string_view name_or_arn);

// What an ARN of this service names.
struct ResourceName {
  Place place;
  std::string kind;  // "event-bus", "rule", "archive", "replay", "connection", "api-destination"
  std::string bus;   // of rules
  std::string name;
};
std::optional<ResourceName> parse_resource_arn(std::string_view arn);

Tags tags_of(const std::optional<std::vector<wire::Tag>>& tags);

}  // namespace mayfly::events
