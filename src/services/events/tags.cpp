// Tags of buses and rules.
#include <fmt/core.h>

#include <algorithm>

#include "services/events/core.h"

namespace mayfly::events {
namespace {

constexpr std::size_t kMostTags = 50;

using TagEdit = std::function<aws::ApiResult<void>(Tags&)>;

aws::ApiResult<ResourceName> tagged(const Core& core, const aws::CallContext& context, const std::string& arn) {
  auto name = parse_resource_arn(arn);
  if (!name || (name->kind != "event-bus" && name->kind != "rule"))
    return refuse_validation(
        fmt::format("Parameter {} is not valid. Reason: Provided Arn is not in correct format.", arn));
  if (name->kind == "event-bus") {
    if (!find_bus(core, core.place(context), arn)) return std::unexpected(bus_missing(name->name));
  } else if (!core.rules.find(rule_key(name->place, name->bus, name->name))) {
    return std::unexpected(rule_missing(name->name, name->bus));
  }
  return *name;
}

Awaitable<aws::ApiResult<void>> change_tags(Core& core, const aws::CallContext& context, std::string arn,
                                            TagEdit edit) {
  auto name = tagged(core, context, arn);
  if (!name) co_return std::unexpected(std::move(name.error()));
  if (name->kind == "rule") {
    RuleTable::Edit on_rule = [&edit](RuleRecord& rule) { return edit(rule.tags); };
    auto missing = rule_missing(name->name, name->bus);
    auto changed = co_await core.rules.change(rule_key(name->place, name->bus, name->name), std::move(missing),
                                              std::move(on_rule));
    if (!changed) co_return std::unexpected(std::move(changed.error()));
    co_return aws::ApiResult<void>();
  }
  auto bus = co_await claim_bus(core, core.place(context), arn);
  if (!bus) co_return std::unexpected(std::move(bus.error()));
  BusTable::Edit on_bus = [&edit](BusRecord& record) { return edit(record.tags); };
  auto missing = bus_missing(name->name);
  auto changed = co_await core.buses.change((*bus)->key(), std::move(missing), std::move(on_bus));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return aws::ApiResult<void>();
}

Awaitable<aws::ApiResult<wire::ListTagsForResourceResponse>> list_tags(Core& core, const aws::CallContext& context,
                                                                       wire::ListTagsForResourceRequest request) {
  const auto arn = request.ResourceARN.value_or("");
  auto name = tagged(core, context, arn);
  if (!name) co_return std::unexpected(std::move(name.error()));
  Tags tags;
  if (name->kind == "event-bus") {
    tags = find_bus(core, core.place(context), arn)->tags;
  } else if (const auto rule = core.rules.find(rule_key(name->place, name->bus, name->name))) {
    tags = rule->tags;
  }
  wire::ListTagsForResourceResponse response;
  response.Tags.emplace();
  for (const auto& [key, value] : tags) {
    wire::Tag& tag = response.Tags->emplace_back();
    tag.Key = key;
    tag.Value = value;
  }
  co_return response;
}

Awaitable<aws::ApiResult<wire::TagResourceResponse>> tag_resource(Core& core, const aws::CallContext& context,
                                                                  wire::TagResourceRequest request) {
  const auto added = tags_of(request.Tags);
  TagEdit edit = [&added](Tags& tags) -> aws::ApiResult<void> {
    for (const auto& [key, value] : added) {
      const auto same = std::find_if(tags.begin(), tags.end(), [&](const auto& tag) { return tag.first == key; });
      if (same == tags.end()) {
        tags.emplace_back(key, value);
      } else {
        same->second = value;
      }
    }
    if (tags.size() > kMostTags)
      return refuse(wire::errors::LimitExceededException, "The requested resource exceeds the maximum number allowed.");
    return {};
  };
  auto changed = co_await change_tags(core, context, request.ResourceARN.value_or(""), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return wire::TagResourceResponse();
}

Awaitable<aws::ApiResult<wire::UntagResourceResponse>> untag_resource(Core& core, const aws::CallContext& context,
                                                                      wire::UntagResourceRequest request) {
  const auto keys = request.TagKeys.value_or(std::vector<std::string>());
  TagEdit edit = [&keys](Tags& tags) -> aws::ApiResult<void> {
    std::erase_if(tags, [&](const auto& tag) { return std::find(keys.begin(), keys.end(), tag.first) != keys.end(); });
    return {};
  };
  auto changed = co_await change_tags(core, context, request.ResourceARN.value_or(""), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return wire::UntagResourceResponse();
}

}  // namespace

void bind_tags(aws::Service& service, Core& core) {
  bind<wire::ListTagsForResource>(service, core, list_tags);
  bind<wire::TagResource>(service, core, tag_resource);
  bind<wire::UntagResource>(service, core, untag_resource);
}

}  // namespace mayfly::events
