// The targets of rules: put, remove, list, and the rules of a target.
#include <fmt/core.h>

#include <algorithm>

#include "services/events/core.h"
#include "services/events/input.h"

namespace mayfly::events {
namespace {

constexpr std::size_t kMostTargets = 5;  // of one rule

// Parameters of targets that this server does not deliver to.
aws::ApiResult<void> check_parameters(const wire::Target& target) {
  const auto refused = [&](bool given, std::string_view name) { return given ? name : std::string_view(); };
  for (const auto name : {refused(target.KinesisParameters.has_value(), "KinesisParameters"),
                          refused(target.RunCommandParameters.has_value(), "RunCommandParameters"),
                          refused(target.EcsParameters.has_value(), "EcsParameters"),
                          refused(target.BatchParameters.has_value(), "BatchParameters"),
                          refused(target.RedshiftDataParameters.has_value(), "RedshiftDataParameters"),
                          refused(target.SageMakerPipelineParameters.has_value(), "SageMakerPipelineParameters"),
                          refused(target.AppSyncParameters.has_value(), "AppSyncParameters")}) {
    if (!name.empty()) return refuse_unsupported(name, "events are not delivered to such targets");
  }
  return {};
}

aws::ApiResult<void> check_target(const Core& core, const wire::Target& target) {
  const auto id = target.Id.value_or("");
  const auto arn = target.Arn.value_or("");
  const auto parsed = delivery::parse_arn(arn);
  if (!parsed)
    return refuse_validation(
        fmt::format("Parameter {} is not valid. Reason: Provided Arn is not in correct format.", arn));
  if (auto checked = check_parameters(target); !checked) return checked;
  if (!core.targets.supports(arn))
    return refuse_validation(
        fmt::format("Parameter {} is not valid. Reason: events are not delivered to targets of the service {}.", arn,
                    parsed->service));
  const bool destination = parsed->service == "events" && parsed->resource.starts_with("api-destination/");
  if (target.HttpParameters && !destination)
    return refuse_unsupported("HttpParameters", "they are for API destinations");
  if (parsed->service == "events" && !destination && !parsed->resource.starts_with("event-bus/"))
    return refuse_validation(
        fmt::format("Parameter {} is not valid. Reason: it is neither a bus nor an API destination.", arn));
  const bool fifo = parsed->service == "sqs" && parsed->resource.ends_with(".fifo");
  if (fifo && !(target.SqsParameters && target.SqsParameters->MessageGroupId))
    return refuse_validation(fmt::format("Parameter(s) MessageGroupId must be specified for target: {}.", id));
  if (parsed->service != "sqs" && target.SqsParameters)
    return refuse_unsupported("SqsParameters", "they are for queues");
  if (target.DeadLetterConfig && target.DeadLetterConfig->Arn) {
    const auto dead = delivery::parse_arn(*target.DeadLetterConfig->Arn);
    if (!dead || dead->service != "sqs" || dead->resource.ends_with(".fifo"))
      return refuse_validation(fmt::format("Parameter {} is not valid. Reason: dead letters go to standard queues.",
                                           *target.DeadLetterConfig->Arn));
  }
  return check_input(target);
}

Awaitable<aws::ApiResult<wire::PutTargetsResponse>> put_targets(Core& core, const aws::CallContext& context,
                                                                wire::PutTargetsRequest request) {
  const auto bus = find_bus(core, core.place(context), request.EventBusName.value_or(""));
  if (!bus) co_return std::unexpected(bus_missing(bus_name(request.EventBusName.value_or(""))));
  const auto name = request.Rule.value_or("");
  const auto targets = request.Targets.value_or(std::vector<wire::Target>());
  const auto key = rule_key(bus->place, bus->name, name);
  if (!core.rules.find(key)) co_return std::unexpected(rule_missing(name, bus->name));
  for (const auto& target : targets) {
    auto checked = check_target(core, target);
    if (!checked) co_return std::unexpected(std::move(checked.error()));
  }
  RuleTable::Edit edit = [&targets](RuleRecord& rule) -> aws::ApiResult<void> {
    for (const auto& target : targets) {
      const auto same =
          std::find_if(rule.targets.begin(), rule.targets.end(), [&](const auto& one) { return one.Id == target.Id; });
      if (same == rule.targets.end()) {
        rule.targets.push_back(target);
      } else {
        *same = target;
      }
    }
    if (rule.targets.size() > kMostTargets)
      return refuse(wire::errors::LimitExceededException, "The requested resource exceeds the maximum number allowed.");
    return {};
  };
  auto missing = rule_missing(name, bus->name);
  auto changed = co_await core.rules.change(key, std::move(missing), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  wire::PutTargetsResponse response;
  response.FailedEntryCount = 0;
  response.FailedEntries.emplace();
  co_return response;
}

Awaitable<aws::ApiResult<wire::RemoveTargetsResponse>> remove_targets(Core& core, const aws::CallContext& context,
                                                                      wire::RemoveTargetsRequest request) {
  const auto bus = find_bus(core, core.place(context), request.EventBusName.value_or(""));
  if (!bus) co_return std::unexpected(bus_missing(bus_name(request.EventBusName.value_or(""))));
  const auto name = request.Rule.value_or("");
  const auto ids = request.Ids.value_or(std::vector<std::string>());
  std::vector<wire::RemoveTargetsResultEntry> failed;
  RuleTable::Edit edit = [&ids, &failed](RuleRecord& rule) -> aws::ApiResult<void> {
    failed.clear();
    for (const auto& id : ids) {
      if (std::erase_if(rule.targets, [&](const auto& one) { return one.Id == id; }) > 0) continue;
      wire::RemoveTargetsResultEntry& entry = failed.emplace_back();
      entry.TargetId = id;
      entry.ErrorCode = wire::errors::ResourceNotFoundException.code;
      entry.ErrorMessage =
          fmt::format("Rule {} on EventBus {} does not have a target with the Id {}.", rule.name, rule.bus, id);
    }
    return {};
  };
  auto missing = rule_missing(name, bus->name);
  auto changed = co_await core.rules.change(rule_key(bus->place, bus->name, name), std::move(missing), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  wire::RemoveTargetsResponse response;
  response.FailedEntryCount = static_cast<std::int32_t>(failed.size());
  response.FailedEntries = std::move(failed);
  co_return response;
}

Awaitable<aws::ApiResult<wire::ListTargetsByRuleResponse>> list_targets(Core& core, const aws::CallContext& context,
                                                                        wire::ListTargetsByRuleRequest request) {
  const auto bus = find_bus(core, core.place(context), request.EventBusName.value_or(""));
  if (!bus) co_return std::unexpected(bus_missing(bus_name(request.EventBusName.value_or(""))));
  const auto rule = core.rules.find(rule_key(bus->place, bus->name, request.Rule.value_or("")));
  if (!rule) co_return std::unexpected(rule_missing(request.Rule.value_or(""), bus->name));
  auto all = rule->targets;
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.Id.value_or("") < b.Id.value_or(""); });
  const auto id_of = [](const wire::Target& target) { return target.Id.value_or(""); };
  auto [page, next] =
      services::page_of(std::move(all), id_of, decode_token(request.NextToken), page_limit(request.Limit));
  wire::ListTargetsByRuleResponse response;
  response.Targets = std::move(page);
  response.NextToken = encode_token(next);
  co_return response;
}

Awaitable<aws::ApiResult<wire::ListRuleNamesByTargetResponse>> list_rule_names(
    Core& core, const aws::CallContext& context, wire::ListRuleNamesByTargetRequest request) {
  const auto bus = find_bus(core, core.place(context), request.EventBusName.value_or(""));
  if (!bus) co_return std::unexpected(bus_missing(bus_name(request.EventBusName.value_or(""))));
  std::vector<std::string> all;
  for (const auto& rule : core.rules.list(rule_key(bus->place, bus->name, ""))) {
    const bool has = std::any_of(rule->targets.begin(), rule->targets.end(),
                                 [&](const auto& one) { return one.Arn == request.TargetArn; });
    if (has) all.push_back(rule->name);
  }
  const auto itself = [](const std::string& name) { return name; };
  auto [page, next] =
      services::page_of(std::move(all), itself, decode_token(request.NextToken), page_limit(request.Limit));
  wire::ListRuleNamesByTargetResponse response;
  response.RuleNames = std::move(page);
  response.NextToken = encode_token(next);
  co_return response;
}

}  // namespace

void bind_rule_targets(aws::Service& service, Core& core) {
  bind<wire::PutTargets>(service, core, put_targets);
  bind<wire::RemoveTargets>(service, core, remove_targets);
  bind<wire::ListTargetsByRule>(service, core, list_targets);
  bind<wire::ListRuleNamesByTarget>(service, core, list_rule_names);
}

}  // namespace mayfly::events
