// Rules: put, describe, list, enable, disable, delete.
#include <fmt/core.h>

#include "schedule/schedule.h"
#include "services/events/core.h"

namespace mayfly::events {
namespace {

constexpr std::size_t kMostRules = 2'000;  // of one bus

aws::ApiResult<void> check_rule(const wire::PutRuleRequest& request, const std::string& bus) {
  const auto pattern = request.EventPattern.value_or("");
  const auto expression = request.ScheduleExpression.value_or("");
  if (pattern.empty() && expression.empty())
    return refuse_validation("Parameter(s) EventPattern or ScheduleExpression must be specified.");
  if (!pattern.empty()) {
    if (const auto parsed = pattern::Pattern::parse(pattern); !parsed)
      return refuse(wire::errors::InvalidEventPatternException,
                    "Event pattern is not valid. Reason: " + parsed.error().message);
  }
  if (!expression.empty()) {
    if (bus != kDefaultBus) return refuse_validation("ScheduleExpression is supported only on the default event bus.");
    if (const auto parsed = schedule::Schedule::parse(expression, schedule::Dialect::kRule); !parsed)
      return refuse_validation(parsed.error().message);
  }
  if (request.State == "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS")
    return refuse_unsupported("State ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS", "there is no CloudTrail");
  return {};
}

// What a request sets of a rule; targets and tags stay.
void set_rule(RuleRecord& rule, const wire::PutRuleRequest& request, double now) {
  const auto expression = request.ScheduleExpression.value_or("");
  const auto state = request.State.value_or("ENABLED");
  const bool was_running = rule.enabled() && rule.schedule == expression && rule.scheduled_since != 0;
  if (!expression.empty() && state == "ENABLED" && !was_running) rule.scheduled_since = now;
  rule.pattern = request.EventPattern.value_or("");
  rule.schedule = expression;
  rule.state = state;
  rule.description = request.Description.value_or("");
  rule.role_arn = request.RoleArn.value_or("");
}

Awaitable<aws::ApiResult<RulePtr>> create_rule(Core& core, const wire::PutRuleRequest& request, BusPtr bus) {
  RuleRecord rule;
  rule.place = bus->place;
  rule.bus = bus->name;
  rule.name = request.Name.value_or("");
  rule.tags = tags_of(request.Tags);
  set_rule(rule, request, core.now());
  if (core.rules.list(rule_key(bus->place, bus->name, "")).size() >= kMostRules)
    co_return refuse(wire::errors::LimitExceededException,
                     "The requested resource exceeds the maximum number allowed.");
  auto created = co_await core.rules.create(std::move(rule));
  if (created) co_return *created;
  if (created.error().code == ErrorCode::kExists)
    co_return refuse(wire::errors::ConcurrentModificationException,
                     fmt::format("Rule {} on EventBus {} was modified concurrently.", *request.Name, bus->name));
  co_return refuse_internal(created.error());
}

Awaitable<aws::ApiResult<wire::PutRuleResponse>> put_rule(Core& core, const aws::CallContext& context,
                                                          wire::PutRuleRequest request) {
  const auto name = request.EventBusName.value_or("");
  const auto bus = find_bus(core, core.place(context), name);
  if (!bus) co_return std::unexpected(bus_missing(bus_name(name)));
  auto checked = check_rule(request, bus->name);
  if (!checked) co_return std::unexpected(std::move(checked.error()));
  const auto key = rule_key(bus->place, bus->name, request.Name.value_or(""));
  wire::PutRuleResponse response;
  response.RuleArn = rule_arn(bus->place, bus->name, request.Name.value_or(""));
  if (!core.rules.find(key)) {
    auto created = co_await create_rule(core, request, bus);
    if (!created) co_return std::unexpected(std::move(created.error()));
    co_return response;
  }
  RuleTable::Edit edit = [&request, &core](RuleRecord& rule) -> aws::ApiResult<void> {
    set_rule(rule, request, core.now());
    return {};
  };
  auto missing = rule_missing(request.Name.value_or(""), bus->name);
  auto changed = co_await core.rules.change(key, std::move(missing), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return response;
}

Awaitable<aws::ApiResult<aws::Empty>> delete_rule(Core& core, const aws::CallContext& context,
                                                  wire::DeleteRuleRequest request) {
  const auto bus = find_bus(core, core.place(context), request.EventBusName.value_or(""));
  if (!bus) co_return std::unexpected(bus_missing(bus_name(request.EventBusName.value_or(""))));
  const auto key = rule_key(bus->place, bus->name, request.Name.value_or(""));
  const auto rule = core.rules.find(key);
  if (rule && !rule->targets.empty()) co_return refuse_validation("Rule can't be deleted since it has targets.");
  auto erased = co_await core.rules.erase(key);
  if (!erased) co_return refuse_internal(erased.error());
  if (rule && !rule->schedule.empty()) co_await core.timetable.forget(key);
  co_return aws::Empty();
}

Awaitable<aws::ApiResult<wire::DescribeRuleResponse>> describe_rule(Core& core, const aws::CallContext& context,
                                                                    wire::DescribeRuleRequest request) {
  const auto bus = find_bus(core, core.place(context), request.EventBusName.value_or(""));
  if (!bus) co_return std::unexpected(bus_missing(bus_name(request.EventBusName.value_or(""))));
  const auto rule = core.rules.find(rule_key(bus->place, bus->name, request.Name.value_or("")));
  if (!rule) co_return std::unexpected(rule_missing(request.Name.value_or(""), bus->name));
  wire::DescribeRuleResponse response;
  response.Name = rule->name;
  response.Arn = rule->arn();
  response.EventPattern = some(rule->pattern);
  response.ScheduleExpression = some(rule->schedule);
  response.State = rule->state;
  response.Description = some(rule->description);
  response.RoleArn = some(rule->role_arn);
  response.EventBusName = rule->bus;
  response.CreatedBy = rule->place.account;
  co_return response;
}

Awaitable<aws::ApiResult<wire::ListRulesResponse>> list_rules(Core& core, const aws::CallContext& context,
                                                              wire::ListRulesRequest request) {
  const auto bus = find_bus(core, core.place(context), request.EventBusName.value_or(""));
  if (!bus) co_return std::unexpected(bus_missing(bus_name(request.EventBusName.value_or(""))));
  auto all = core.rules.list(rule_key(bus->place, bus->name, request.NamePrefix.value_or("")));
  const auto name_of = [](const RulePtr& rule) { return rule->name; };
  auto [page, next] =
      services::page_of(std::move(all), name_of, decode_token(request.NextToken), page_limit(request.Limit));
  wire::ListRulesResponse response;
  response.Rules.emplace();
  for (const auto& rule : page) {
    wire::Rule& shown = response.Rules->emplace_back();
    shown.Name = rule->name;
    shown.Arn = rule->arn();
    shown.EventPattern = some(rule->pattern);
    shown.ScheduleExpression = some(rule->schedule);
    shown.State = rule->state;
    shown.Description = some(rule->description);
    shown.RoleArn = some(rule->role_arn);
    shown.EventBusName = rule->bus;
  }
  response.NextToken = encode_token(next);
  co_return response;
}

Awaitable<aws::ApiResult<void>> set_state(Core& core, Place place, std::string bus_text, std::string name,
                                          std::string state) {
  const auto bus = find_bus(core, place, bus_text);
  if (!bus) co_return std::unexpected(bus_missing(bus_name(bus_text)));
  RuleTable::Edit edit = [&state, &core](RuleRecord& rule) -> aws::ApiResult<void> {
    if (!rule.enabled() && state == "ENABLED" && !rule.schedule.empty()) rule.scheduled_since = core.now();
    rule.state = state;
    return {};
  };
  auto missing = rule_missing(name, bus->name);
  auto changed = co_await core.rules.change(rule_key(bus->place, bus->name, name), std::move(missing), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return aws::ApiResult<void>();
}

Awaitable<aws::ApiResult<aws::Empty>> enable_rule(Core& core, const aws::CallContext& context,
                                                  wire::EnableRuleRequest request) {
  auto set = co_await set_state(core, core.place(context), request.EventBusName.value_or(""), request.Name.value_or(""),
                                "ENABLED");
  if (!set) co_return std::unexpected(std::move(set.error()));
  co_return aws::Empty();
}

Awaitable<aws::ApiResult<aws::Empty>> disable_rule(Core& core, const aws::CallContext& context,
                                                   wire::DisableRuleRequest request) {
  auto set = co_await set_state(core, core.place(context), request.EventBusName.value_or(""), request.Name.value_or(""),
                                "DISABLED");
  if (!set) co_return std::unexpected(std::move(set.error()));
  co_return aws::Empty();
}

}  // namespace

void bind_rules(aws::Service& service, Core& core) {
  bind<wire::PutRule>(service, core, put_rule);
  bind<wire::DeleteRule>(service, core, delete_rule);
  bind<wire::DescribeRule>(service, core, describe_rule);
  bind<wire::ListRules>(service, core, list_rules);
  bind<wire::EnableRule>(service, core, enable_rule);
  bind<wire::DisableRule>(service, core, disable_rule);
}

}  // namespace mayfly::events
