// Usage plans: stages, throttles and quotas, the keys that they are for, and what those have used.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "base/ids.h"
#include "services/apigateway/core.h"

namespace mayfly::apigateway {
namespace {

using Form = PatchRule::Form;
using Stages = std::vector<wire::ApiStage>;

aws::ApiError missing_plan() { return refuse_missing("Usage Plan ID").error(); }

aws::ApiResult<void> check_throttle(const std::optional<wire::ThrottleSettings>& throttle) {
  if (!throttle) return {};
  if (throttle->rateLimit.value_or(0) < 0 || throttle->burstLimit.value_or(0) < 0)
    return refuse_input("Usage Plan throttle limits must not be negative");
  return {};
}

aws::ApiResult<void> check_quota(const wire::QuotaSettings& quota) {
  if (quota.limit.value_or(0) < 1) return refuse_input("Usage Plan quota limit must be a positive number");
  const auto period = quota.period.value_or("");
  const auto offset = quota.offset.value_or(0);
  struct Range {
    std::string_view period;
    int last;
    std::string_view words;
  };
  static constexpr std::array<Range, 3> kRanges = {{{"DAY", 0, "zero"},
                                                    {"WEEK", 6, "between zero and six, inclusive,"},
                                                    {"MONTH", 27, "between zero and 27, inclusive,"}}};
  for (const auto& range : kRanges) {
    if (range.period != period) continue;
    if (offset < 0 || offset > range.last)
      return refuse_input(fmt::format("Usage Plan quota offset must be {} in the {} period", range.words, period));
    return {};
  }
  return refuse_input("Usage Plan quota period must be DAY, WEEK or MONTH");
}

// `known` are stages that the plan has had before: they may have gone since.
aws::ApiResult<void> check_plan(const Core& core, const PlanRecord& record, const Stages& known) {
  const auto& plan = record.plan;
  if (plan.name.value_or("").empty()) return refuse_input("Usage Plan name cannot be blank");
  if (plan.productCode) return refuse_unsupported("productCode", "there is no marketplace");
  if (auto checked = check_throttle(plan.throttle); !checked) return checked;
  if (plan.quota) {
    if (auto checked = check_quota(*plan.quota); !checked) return checked;
  }
  for (const auto& stage : plan.apiStages.value_or(Stages())) {
    const auto same = [&](const wire::ApiStage& one) { return one.apiId == stage.apiId && one.stage == stage.stage; };
    const auto api = core.apis.find(api_key(record.account, record.region, stage.apiId.value_or("")));
    if ((!api || !api->stages.contains(stage.stage.value_or(""))) && std::ranges::none_of(known, same))
      return refuse(wire::errors::NotFoundException,
                    fmt::format("API Stage not found: {}:{}", stage.apiId.value_or(""), stage.stage.value_or("")));
    if (!stage.throttle) continue;
    for (const auto& [method, throttle] : *stage.throttle) {
      const std::optional<wire::ThrottleSettings> one = throttle;
      if (auto checked = check_throttle(one); !checked) return checked;
    }
  }
  return check_tags(plan.tags);
}

Awaitable<aws::ApiResult<wire::UsagePlan>> create_plan(Core& core, const aws::CallContext& context,
                                                       wire::CreateUsagePlanRequest request) {
  constexpr std::size_t kPlanIdLength = 6;
  PlanRecord record;
  record.account = context.principal.account;
  record.region = context.region;
  merge(record.plan, request, {});
  record.plan.id = random_alphanumeric(kPlanIdLength);
  if (!record.plan.apiStages) record.plan.apiStages.emplace();
  if (record.plan.quota && !record.plan.quota->offset) record.plan.quota->offset = 0;
  if (auto checked = check_plan(core, record, Stages()); !checked)
    co_return std::unexpected(std::move(checked.error()));
  if (core.plans.list(plan_key(record.account, record.region, "")).size() >= kMostPlans)
    co_return refuse_limit("Usage Plans", kMostPlans);
  auto created = co_await core.plans.create(std::move(record));
  if (!created) co_return services::refuse_internal(created.error());
  co_return (*created)->plan;
}

aws::ApiResult<PlanPtr> plan_of(const Core& core, const aws::CallContext& context,
                                const std::optional<std::string>& id) {
  auto found = core.plans.find(plan_key(context.principal.account, context.region, id.value_or("")));
  if (!found) return std::unexpected(missing_plan());
  return found;
}

Awaitable<aws::ApiResult<wire::UsagePlan>> get_plan(Core& core, const aws::CallContext& context,
                                                    wire::GetUsagePlanRequest request) {
  auto found = plan_of(core, context, request.usagePlanId);
  if (!found) co_return std::unexpected(std::move(found.error()));
  co_return (*found)->plan;
}

Awaitable<aws::ApiResult<wire::UsagePlans>> get_plans(Core& core, const aws::CallContext& context,
                                                      wire::GetUsagePlansRequest request) {
  std::vector<wire::UsagePlan> all;
  for (const auto& record : core.plans.list(plan_key(context.principal.account, context.region, ""))) {
    const bool asked = !request.keyId || std::ranges::find(record->keys, *request.keyId) != record->keys.end();
    if (asked) all.push_back(record->plan);
  }
  wire::UsagePlans out;
  page(out, std::move(all), [](const wire::UsagePlan& one) { return one.id.value_or(""); }, request);
  co_return out;
}

constexpr auto kPlanRules = std::to_array<PatchRule>({
    {"/name"},
    {"/description"},
    {"/productCode"},
    {"/throttle"},
    {"/throttle/rateLimit", Form::kDouble, "throttle.rateLimit"},
    {"/throttle/burstLimit", Form::kInt, "throttle.burstLimit"},
    {"/quota"},
    {"/quota/limit", Form::kInt, "quota.limit"},
    {"/quota/offset", Form::kInt, "quota.offset"},
    {"/quota/period", Form::kText, "quota.period"},
});
constexpr auto kThrottleRules = std::to_array<PatchRule>({{"/rateLimit", Form::kDouble}, {"/burstLimit", Form::kInt}});

wire::ApiStage* stage_named(Stages& stages, std::string_view name) {
  const auto found = std::ranges::find_if(
      stages, [&](const wire::ApiStage& one) { return one.apiId.value_or("") + ":" + one.stage.value_or("") == name; });
  return found == stages.end() ? nullptr : &*found;
}

// "/apiStages" with "api:stage" as its value, and "/apiStages/api:stage/throttle/~1pets~1GET/rateLimit".
aws::ApiResult<void> patch_stages(Stages& stages, const wire::PatchOperation& patch) {
  constexpr std::string_view kStages = "/apiStages";
  constexpr std::string_view kThrottle = "/throttle/";
  const auto path = patch.path.value_or("");
  const auto invalid = [&] { return refuse_input(fmt::format("Invalid patch path {}", path)); };
  if (path == kStages) {
    const auto name = patch.value.value_or("");
    const auto colon = name.find(':');
    if (colon == std::string::npos) return refuse_input("Invalid API stage: it must be api:stage");
    std::erase_if(stages, [&](const wire::ApiStage& one) {
      return one.apiId.value_or("") + ":" + one.stage.value_or("") == name;
    });
    if (patch.op == "remove") return {};
    wire::ApiStage stage;
    stage.apiId = name.substr(0, colon);
    stage.stage = name.substr(colon + 1);
    stages.push_back(std::move(stage));
    return {};
  }
  const auto throttle = path.find(kThrottle);
  if (throttle == std::string::npos || throttle <= kStages.size()) return invalid();
  auto* stage = stage_named(stages, std::string_view(path).substr(kStages.size() + 1, throttle - kStages.size() - 1));
  if (stage == nullptr) return refuse_input("The usage plan has no such API stage");
  const auto rest = path.substr(throttle + kThrottle.size());
  const auto slash = rest.rfind('/');
  if (!stage->throttle) stage->throttle.emplace();
  if (slash == std::string::npos) {
    if (patch.op != "remove") return invalid();
    std::erase_if(*stage->throttle, [&](const auto& one) { return one.first == unescaped(rest); });
    return {};
  }
  const auto method = unescaped(rest.substr(0, slash));
  auto* present = find_pair(stage->throttle, method);
  auto settings = present == nullptr ? wire::ThrottleSettings() : *present;
  auto one = patch;
  one.path = rest.substr(slash);
  const std::optional<Patches> alone = Patches{one};
  if (auto done = apigateway::patch(settings, alone, kThrottleRules); !done) return done;
  set_pair(stage->throttle, method, settings);
  return {};
}

Awaitable<aws::ApiResult<wire::UsagePlan>> update_plan(Core& core, const aws::CallContext& context,
                                                       wire::UpdateUsagePlanRequest request) {
  PlanEdit edit = [request, &core](PlanRecord& record) -> aws::ApiResult<void> {
    if (!record.plan.apiStages) record.plan.apiStages.emplace();
    const auto known = *record.plan.apiStages;
    for (const auto& one : request.patchOperations.value_or(Patches())) {
      if (one.path.value_or("").starts_with("/apiStages")) {
        if (auto done = patch_stages(*record.plan.apiStages, one); !done) return done;
        continue;
      }
      const bool whole = one.path == "/throttle" || one.path == "/quota";
      if (whole && one.op != "remove") return refuse_input(fmt::format("{} can only be removed as a whole", *one.path));
      const std::optional<Patches> alone = Patches{one};
      if (auto done = patch(record.plan, alone, kPlanRules); !done) return done;
    }
    return check_plan(core, record, known);
  };
  auto key = plan_key(context.principal.account, context.region, request.usagePlanId.value_or(""));
  auto missing = missing_plan();
  auto changed = co_await core.plans.change(std::move(key), std::move(missing), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return (*changed)->plan;
}

Awaitable<aws::ApiResult<wire::DeleteUsagePlan::Response>> delete_plan(Core& core, const aws::CallContext& context,
                                                                       wire::DeleteUsagePlanRequest request) {
  auto found = plan_of(core, context, request.usagePlanId);
  if (!found) co_return std::unexpected(std::move(found.error()));
  if (!(*found)->plan.apiStages.value_or(Stages()).empty())
    co_return refuse_input("Cannot delete Usage Plan, because it has API stages associated with it");
  auto erased = co_await core.plans.erase((*found)->key());
  if (!erased) co_return services::refuse_internal(erased.error());
  for (const auto& id : (*found)->keys) {
    auto forgotten = co_await core.usage.forget((*found)->id(), id);
    if (!forgotten) co_return services::refuse_internal(forgotten.error());
  }
  co_return wire::DeleteUsagePlan::Response();
}

wire::UsagePlanKey shown_key(const KeyRecord& record) {
  wire::UsagePlanKey out;
  out.id = record.id();
  out.type = "API_KEY";
  out.name = record.shown.name;
  return out;
}

// Whether another plan opens the same stage to the key.
bool opens_already(const Core& core, const PlanRecord& record, const std::string& key, const wire::ApiStage& stage) {
  for (const auto& other : core.plans.list(plan_key(record.account, record.region, ""))) {
    if (other->id() == record.id() || std::ranges::find(other->keys, key) == other->keys.end()) continue;
    const auto stages = other->plan.apiStages.value_or(Stages());
    const auto same = [&](const wire::ApiStage& one) { return one.apiId == stage.apiId && one.stage == stage.stage; };
    if (std::ranges::any_of(stages, same)) return true;
  }
  return false;
}

Awaitable<aws::ApiResult<wire::UsagePlanKey>> create_plan_key(Core& core, const aws::CallContext& context,
                                                              wire::CreateUsagePlanKeyRequest request) {
  if (request.keyType != "API_KEY") co_return refuse_input("Invalid key type: it must be API_KEY");
  const auto id = request.keyId.value_or("");
  const auto key = core.keys.find(key_key(context.principal.account, context.region, id));
  if (!key) co_return refuse_missing("API Key identifier");
  PlanEdit edit = [id, &core](PlanRecord& record) -> aws::ApiResult<void> {
    for (const auto& stage : record.plan.apiStages.value_or(Stages())) {
      if (!opens_already(core, record, id, stage)) continue;
      return refuse(wire::errors::ConflictException,
                    fmt::format("Usage Plan {} cannot be added because API Key cannot reference multiple Usage Plans "
                                "with the same API stage: {}:{}",
                                record.id(), stage.apiId.value_or(""), stage.stage.value_or("")));
    }
    if (std::ranges::find(record.keys, id) != record.keys.end())
      return refuse(wire::errors::ConflictException, "The API Key is already of this Usage Plan");
    if (record.keys.size() >= kMostKeys) return refuse_limit("Keys of a Usage Plan", kMostKeys);
    record.keys.push_back(id);
    return {};
  };
  auto place = plan_key(context.principal.account, context.region, request.usagePlanId.value_or(""));
  auto missing = missing_plan();
  auto changed = co_await core.plans.change(std::move(place), std::move(missing), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  auto out = shown_key(*key);
  out.value = key->value;
  co_return out;
}

Awaitable<aws::ApiResult<wire::UsagePlanKey>> get_plan_key(Core& core, const aws::CallContext& context,
                                                           wire::GetUsagePlanKeyRequest request) {
  auto found = plan_of(core, context, request.usagePlanId);
  if (!found) co_return std::unexpected(std::move(found.error()));
  const auto id = request.keyId.value_or("");
  const auto key = core.keys.find(key_key(context.principal.account, context.region, id));
  if (!key || std::ranges::find((*found)->keys, id) == (*found)->keys.end())
    co_return refuse_missing("API Key identifier");
  co_return shown_key(*key);
}

Awaitable<aws::ApiResult<wire::UsagePlanKeys>> get_plan_keys(Core& core, const aws::CallContext& context,
                                                             wire::GetUsagePlanKeysRequest request) {
  auto found = plan_of(core, context, request.usagePlanId);
  if (!found) co_return std::unexpected(std::move(found.error()));
  std::vector<wire::UsagePlanKey> all;
  for (const auto& id : (*found)->keys) {
    const auto key = core.keys.find(key_key(context.principal.account, context.region, id));
    if (key && key->shown.name.value_or("").starts_with(request.nameQuery.value_or(""))) all.push_back(shown_key(*key));
  }
  std::ranges::sort(all, {}, [](const wire::UsagePlanKey& one) { return one.id.value_or(""); });
  wire::UsagePlanKeys out;
  page(out, std::move(all), [](const wire::UsagePlanKey& one) { return one.id.value_or(""); }, request);
  co_return out;
}

Awaitable<aws::ApiResult<wire::DeleteUsagePlanKey::Response>> delete_plan_key(Core& core,
                                                                              const aws::CallContext& context,
                                                                              wire::DeleteUsagePlanKeyRequest request) {
  const auto id = request.keyId.value_or("");
  PlanEdit edit = [id](PlanRecord& record) -> aws::ApiResult<void> {
    if (std::erase(record.keys, id) == 0) return refuse_missing("API Key identifier");
    return {};
  };
  auto place = plan_key(context.principal.account, context.region, request.usagePlanId.value_or(""));
  auto missing = missing_plan();
  auto changed = co_await core.plans.change(std::move(place), std::move(missing), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  auto forgotten = co_await core.usage.forget((*changed)->id(), id);
  if (!forgotten) co_return services::refuse_internal(forgotten.error());
  co_return wire::DeleteUsagePlanKey::Response();
}

// "2026-11-25"
std::optional<std::chrono::sys_days> day_of(std::string_view text) {
  constexpr std::size_t kLength = 10;
  if (text.size() != kLength || text[4] != '-' || text[7] != '-') return std::nullopt;
  const auto number = [&](std::size_t at, std::size_t length) -> int {
    int out = -1;
    const auto* start = text.data() + at;
    const auto read = std::from_chars(start, start + length, out);
    return read.ec == std::errc() && read.ptr == start + length ? out : -1;
  };
  const int year = number(0, 4);
  const int month = number(5, 2);
  const int day = number(8, 2);
  if (year < 0 || month < 0 || day < 0) return std::nullopt;
  const std::chrono::year_month_day date(std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day)));
  return date.ok() ? std::optional(std::chrono::sys_days(date)) : std::nullopt;
}

// Of each day what was used on it, and what was left behind it.
std::vector<std::vector<std::int64_t>> used_by_day(const gateway::Usage::Counts& counts,
                                                   const std::optional<gateway::Quota>& quota,
                                                   std::chrono::sys_days first, std::chrono::sys_days last) {
  std::vector<std::vector<std::int64_t>> out;
  for (auto day = first; day <= last; day += std::chrono::days(1)) {
    const auto found = counts.find(day);
    std::int64_t left = 0;
    if (quota) {
      const auto period = gateway::period_of(*quota, day);
      left = quota->limit;
      for (auto at = counts.lower_bound(period.start); at != counts.end() && at->first <= day; ++at) left -= at->second;
    }
    out.push_back({found == counts.end() ? 0 : found->second, std::max<std::int64_t>(left, 0)});
  }
  return out;
}

Awaitable<aws::ApiResult<wire::Usage>> get_usage(Core& core, const aws::CallContext& context,
                                                 wire::GetUsageRequest request) {
  auto found = plan_of(core, context, request.usagePlanId);
  if (!found) co_return std::unexpected(std::move(found.error()));
  const auto first = day_of(request.startDate.value_or(""));
  const auto last = day_of(request.endDate.value_or(""));
  if (!first || !last || *last < *first) co_return refuse_input("Invalid start or end date: they must be yyyy-MM-dd");
  if (*last - *first > gateway::Usage::kKeptDays)
    co_return refuse_limit("days of usage", static_cast<std::size_t>(gateway::Usage::kKeptDays.count()));
  auto ids = (*found)->keys;
  if (request.keyId) std::erase_if(ids, [&](const auto& id) { return id != *request.keyId; });
  std::ranges::sort(ids);
  const auto limit = request.limit ? static_cast<std::size_t>(std::clamp(*request.limit, 1, 1'000)) : 25U;
  auto [page_ids, next] =
      services::page_of(std::move(ids), [](const std::string& id) { return id; }, request.position, limit);
  wire::Usage out;
  out.usagePlanId = request.usagePlanId;
  out.startDate = request.startDate;
  out.endDate = request.endDate;
  out.position = std::move(next);
  out.items.emplace();
  const auto quota = quota_of((*found)->plan);
  for (const auto& id : page_ids)
    out.items->emplace_back(id, used_by_day(core.gateway.usage().counts((*found)->id(), id), quota, *first, *last));
  co_return out;
}

}  // namespace

void bind_plans(aws::Service& service, Core& core) {
  bind<wire::CreateUsagePlan>(service, core, create_plan);
  bind<wire::GetUsagePlan>(service, core, get_plan);
  bind<wire::GetUsagePlans>(service, core, get_plans);
  bind<wire::UpdateUsagePlan>(service, core, update_plan);
  bind<wire::DeleteUsagePlan>(service, core, delete_plan);
  bind<wire::CreateUsagePlanKey>(service, core, create_plan_key);
  bind<wire::GetUsagePlanKey>(service, core, get_plan_key);
  bind<wire::GetUsagePlanKeys>(service, core, get_plan_keys);
  bind<wire::DeleteUsagePlanKey>(service, core, delete_plan_key);
  bind<wire::GetUsage>(service, core, get_usage);
}

}  // namespace mayfly::apigateway
