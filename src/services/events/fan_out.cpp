#include "services/events/fan_out.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>

#include "base/ids.h"
#include "services/events/input.h"

namespace mayfly::events {
namespace {

constexpr std::int32_t kRetryAttempts = 185;
constexpr std::int32_t kEventAge = 86'400;

delivery::Policy policy_of(const wire::Target& target) {
  delivery::Policy policy;
  const auto retry = target.RetryPolicy.value_or(wire::RetryPolicy());
  policy.max_attempts = static_cast<std::uint32_t>(retry.MaximumRetryAttempts.value_or(kRetryAttempts)) + 1;
  policy.max_age = std::chrono::seconds(retry.MaximumEventAgeInSeconds.value_or(kEventAge));
  if (target.DeadLetterConfig) policy.dead_letter_arn = target.DeadLetterConfig->Arn.value_or("");
  return policy;
}

bool goes_to(const Placed& placed, const RuleRecord& rule) {
  return placed.only_rules.empty() ||
         std::find(placed.only_rules.begin(), placed.only_rules.end(), rule.arn()) != placed.only_rules.end();
}

// What each archive is to keep, in the order of the events.
std::map<ArchivePtr, std::vector<std::string>> archiving(const Core& core, const std::vector<Placed>& events) {
  std::map<ArchivePtr, std::vector<std::string>> out;
  for (const auto& placed : events) {
    if (placed.replayed) continue;
    for (auto& archive : core.matcher.archives_for(placed.bus->key(), placed.event.document))
      out[std::move(archive)].push_back(core.archived.record_of(placed.event));
  }
  return out;
}

}  // namespace

std::vector<delivery::Request> requests_of(const RuleRecord& rule, const BusEvent& event, SystemTime ingested,
                                           std::uint32_t hops, const std::string& dedupe) {
  const InputContext context{.rule_arn = rule.arn(), .rule_name = rule.name, .ingested = ingested};
  std::vector<delivery::Request> requests;
  for (const auto& target : rule.targets) {
    delivery::Request request;
    request.target_arn = target.Arn.value_or("");
    request.policy = policy_of(target);
    request.event.id = uuid4();
    request.event.payload = target_input(target, event, context);
    request.event.source_arn = context.rule_arn;
    request.event.role_arn = target.RoleArn.value_or(rule.role_arn);
    if (target.SqsParameters) {
      request.event.group_id = target.SqsParameters->MessageGroupId.value_or("");
      request.event.dedupe_id = request.event.id;
    }
    request.event.parameters["Hops"] = static_cast<std::int64_t>(hops) + 1;
    if (target.HttpParameters) {
      json::object http;
      to_document(*target.HttpParameters, http);
      request.event.parameters["HttpParameters"] = std::move(http);
    }
    if (!dedupe.empty()) request.dedupe_key = fmt::format("{}/{}", dedupe, target.Id.value_or(""));
    requests.push_back(std::move(request));
  }
  return requests;
}

Awaitable<Result<void>> put_on_buses(Core& core, std::vector<Placed> events) {
  const SystemTime ingested = core.clock.now();
  std::vector<delivery::Request> requests;
  std::vector<FollowedEvent> followed;
  for (const auto& placed : events) {
    FollowedEvent& seen = followed.emplace_back();
    seen.bus_arn = placed.bus->arn();
    seen.text = placed.event.text;
    for (const auto& rule : core.matcher.rules_for(placed.bus->key(), placed.event.document)) {
      if (!goes_to(placed, *rule)) continue;
      seen.rules.push_back(rule->name);
      for (auto& request : requests_of(*rule, placed.event, ingested, placed.hops, ""))
        requests.push_back(std::move(request));
    }
  }
  if (!requests.empty()) {
    auto submitted = co_await core.submit(std::move(requests));
    if (!submitted) co_return std::unexpected(std::move(submitted.error()));
  }
  for (auto& [archive, records] : archiving(core, events)) {
    auto archived = co_await core.archived.add(archive, std::move(records));
    if (!archived) co_return std::unexpected(std::move(archived.error()));
  }
  const std::lock_guard lock(core.following);
  for (std::size_t i = 0; i < events.size(); ++i) {
    const auto key = events[i].bus->key();
    core.followers.publish(followed[i], [&key](const std::string& topic) { return topic == key; });
  }
  co_return Result<void>();
}

}  // namespace mayfly::events
