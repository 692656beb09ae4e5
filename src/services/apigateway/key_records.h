// API keys and usage plans as they lie in the store. A key's value is sealed there (the record's `value`); in memory it
// is what operations show on request, and the gateway knows its hash alone.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "aws/gen/apigateway.h"
#include "base/error.h"
#include "base/json.h"
#include "gateway/usage.h"

namespace mayfly::apigateway {

namespace wire = aws::apigateway;

struct KeyRecord {
  static constexpr std::string_view kPrefix = "apigateway/key/";
  std::string account;
  std::string region;
  wire::ApiKey shown;  // without its value
  std::string value;   // "" where it did not open: nobody has this key then
  std::string sealed;  // what did not open, written back as it was

  [[nodiscard]] const std::string& id() const { return *shown.id; }
  [[nodiscard]] std::string key() const;
  [[nodiscard]] json::object document() const;
  static Result<KeyRecord> read(const json::object& document);
};
std::string key_key(std::string_view account, std::string_view region, std::string_view id);

struct PlanRecord {
  static constexpr std::string_view kPrefix = "apigateway/plan/";
  std::string account;
  std::string region;
  wire::UsagePlan plan;
  std::vector<std::string> keys;  // by id, in the order in which they came

  [[nodiscard]] const std::string& id() const { return *plan.id; }
  [[nodiscard]] std::string key() const;
  [[nodiscard]] json::object document() const;
  static Result<PlanRecord> read(const json::object& document);
};
std::string plan_key(std::string_view account, std::string_view region, std::string_view id);

// What a key of a plan has used, by day: "apigateway/usage/<plan>/<key>".
inline constexpr std::string_view kUsagePrefix = "apigateway/usage/";
std::string usage_key(std::string_view plan, std::string_view key);
std::string usage_document(const gateway::Usage::Counts& counts);
Result<gateway::Usage::Counted> read_usage(std::string_view key, std::string_view document);

std::optional<gateway::Quota> quota_of(const wire::UsagePlan& plan);
gateway::UsagePlanPtr compiled(const PlanRecord& record);

}  // namespace mayfly::apigateway
