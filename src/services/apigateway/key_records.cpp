#include "services/apigateway/key_records.h"

#include <fmt/core.h>

#include <charconv>

#include "gateway/plan_parts.h"
#include "vault/sealed_records.h"

namespace mayfly::apigateway {
namespace {

std::optional<RateLimits> limits_of(const wire::ThrottleSettings& throttle) {
  return gateway::limits_from(throttle.rateLimit, throttle.burstLimit);
}

}  // namespace

std::string key_key(std::string_view account, std::string_view region, std::string_view id) {
  return fmt::format("{}{}/{}/{}", KeyRecord::kPrefix, account, region, id);
}
std::string plan_key(std::string_view account, std::string_view region, std::string_view id) {
  return fmt::format("{}{}/{}/{}", PlanRecord::kPrefix, account, region, id);
}
std::string usage_key(std::string_view plan, std::string_view key) {
  return fmt::format("{}{}/{}", kUsagePrefix, plan, key);
}

std::string KeyRecord::key() const { return key_key(account, region, id()); }

json::object KeyRecord::document() const {
  json::object out;
  out["account"] = account;
  out["region"] = region;
  json::object described;
  to_document(shown, described);
  out["key"] = std::move(described);
  if (sealed.empty()) {
    out["value"] = value;
  } else {
    out["value"] = vault::locked_part(sealed);
  }
  return out;
}

Result<KeyRecord> KeyRecord::read(const json::object& document) {
  KeyRecord out;
  out.account = get_string(document, "account");
  out.region = get_string(document, "region");
  if (const auto* key = find(document, "key"); key != nullptr && key->is_object())
    from_document(key->get_object(), out.shown);
  if (!out.shown.id) return fail(ErrorCode::kCorrupt, "the API key has no id");
  out.value = get_string(document, "value");
  if (const auto* value = find(document, "value")) out.sealed = vault::locked(*value).value_or("");
  return out;
}

std::string PlanRecord::key() const { return plan_key(account, region, id()); }

json::object PlanRecord::document() const {
  json::object out;
  out["account"] = account;
  out["region"] = region;
  json::object described;
  to_document(plan, described);
  out["plan"] = std::move(described);
  json::array ids;
  for (const auto& id : keys) ids.emplace_back(id);
  out["keys"] = std::move(ids);
  return out;
}

Result<PlanRecord> PlanRecord::read(const json::object& document) {
  PlanRecord out;
  out.account = get_string(document, "account");
  out.region = get_string(document, "region");
  if (const auto* plan = find(document, "plan"); plan != nullptr && plan->is_object())
    from_document(plan->get_object(), out.plan);
  if (!out.plan.id) return fail(ErrorCode::kCorrupt, "the usage plan has no id");
  if (const auto* ids = find(document, "keys"); ids != nullptr && ids->is_array()) {
    for (const auto& id : ids->get_array()) {
      if (id.is_string()) out.keys.emplace_back(id.get_string());
    }
  }
  return out;
}

std::string usage_document(const gateway::Usage::Counts& counts) {
  json::object days;
  for (const auto& [day, used] : counts) days[std::to_string(day.time_since_epoch().count())] = used;
  return to_json(days);
}

Result<gateway::Usage::Counted> read_usage(std::string_view key, std::string_view document) {
  gateway::Usage::Counted out;
  const auto name = key.substr(std::min(kUsagePrefix.size(), key.size()));
  const auto slash = name.find('/');
  const auto parsed = parse_json(document);
  if (slash == std::string_view::npos || !parsed || !parsed->is_object())
    return fail(ErrorCode::kCorrupt, "the usage of an API key is no document");
  out.plan = name.substr(0, slash);
  out.key = name.substr(slash + 1);
  for (const auto& [day, used] : parsed->get_object()) {
    int number = 0;
    const std::string_view text(day);
    std::from_chars(text.data(), text.data() + text.size(), number);
    if (used.is_int64()) out.days[std::chrono::sys_days(std::chrono::days(number))] = used.get_int64();
  }
  return out;
}

std::optional<gateway::Quota> quota_of(const wire::UsagePlan& plan) {
  using Period = gateway::Quota::Period;
  if (!plan.quota || !plan.quota->limit) return std::nullopt;
  gateway::Quota out;
  out.limit = *plan.quota->limit;
  out.offset = plan.quota->offset.value_or(0);
  const auto period = plan.quota->period.value_or("DAY");
  out.period = period == "WEEK" ? Period::kWeek : period == "MONTH" ? Period::kMonth : Period::kDay;
  return out;
}

gateway::UsagePlanPtr compiled(const PlanRecord& record) {
  auto out = std::make_shared<gateway::UsagePlan>();
  out->id = record.id();
  if (record.plan.throttle) out->limits = limits_of(*record.plan.throttle);
  out->quota = quota_of(record.plan);
  if (record.plan.apiStages) {
    for (const auto& stage : *record.plan.apiStages) {
      auto& methods = out->stages[stage.apiId.value_or("") + "/" + stage.stage.value_or("")];
      if (!stage.throttle) continue;
      for (const auto& [method, throttle] : *stage.throttle) {
        if (const auto limits = limits_of(throttle)) methods[method] = *limits;
      }
    }
  }
  out->keys.insert(record.keys.begin(), record.keys.end());
  return out;
}

}  // namespace mayfly::apigateway
