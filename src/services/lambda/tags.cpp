// Tags of functions and event source mappings, by ARN. The other kinds of resource that have tags do not exist here and
// are answered as missing.
#include <fmt/core.h>

#include <algorithm>

#include "services/lambda/core.h"

namespace mayfly::lambda {
namespace {

void set_tags(TagList& tags, const TagList& more) {
  for (const auto& [key, value] : more) {
    const auto existing = std::find_if(tags.begin(), tags.end(), [&](const auto& tag) { return tag.first == key; });
    if (existing != tags.end()) {
      existing->second = value;
    } else {
      tags.emplace_back(key, value);
    }
  }
}

void drop_tags(TagList& tags, const std::vector<std::string>& keys) {
  std::erase_if(tags, [&](const auto& tag) { return std::find(keys.begin(), keys.end(), tag.first) != keys.end(); });
}

constexpr std::string_view kMapping = ":event-source-mapping:";
bool names_mapping(const std::optional<std::string>& resource) {
  return resource.value_or("").find(kMapping) != std::string::npos;
}
aws::ApiResult<MappingPtr> find_mapping(Core& core, const aws::CallContext& context,
                                        const std::optional<std::string>& resource) {
  const auto arn = resource.value_or("");
  auto found = core.mappings.table.find(core.place(context), arn.substr(arn.find(kMapping) + kMapping.size()));
  if (!found) return refuse_missing("Event source mapping not found: " + arn);
  return found;
}

// Where the resource is no mapping.
aws::ApiResult<Found> find_tagged(Core& core, const aws::CallContext& context,
                                  const std::optional<std::string>& resource) {
  const auto arn = resource.value_or("");
  if (arn.find(":capacity-provider:") != std::string::npos)
    return refuse_missing("Capacity provider not found: " + arn);
  if (arn.find(":code-signing-config:") != std::string::npos) {
    return refuse_missing("The Lambda code signing configuration " + arn + " can not be found.");
  }
  const auto place = core.place(context);
  auto name = parse_function_name(arn, std::nullopt, place);
  if (!name) return std::unexpected(std::move(name.error()));
  if (!name->qualifier.empty()) {
    return refuse_parameter("Tags on function aliases and versions are not supported. Please specify a function ARN.");
  }
  return find_function(core, context, resource, std::nullopt);
}

Awaitable<aws::ApiResult<wire::ListTagsResponse>> list_tags(Core& core, const aws::CallContext& context,
                                                            wire::ListTagsRequest request) {
  wire::ListTagsResponse out;
  if (names_mapping(request.Resource)) {
    auto mapping = find_mapping(core, context, request.Resource);
    if (!mapping) co_return std::unexpected(std::move(mapping.error()));
    out.Tags = (*mapping)->tags;
    co_return out;
  }
  auto found = find_tagged(core, context, request.Resource);
  if (!found) co_return std::unexpected(std::move(found.error()));
  out.Tags = found->function->tags;
  co_return out;
}

Awaitable<aws::ApiResult<wire::TagResource::Response>> tag_resource(Core& core, const aws::CallContext& context,
                                                                    wire::TagResourceRequest request) {
  if (names_mapping(request.Resource)) {
    auto mapping = find_mapping(core, context, request.Resource);
    if (!mapping) co_return std::unexpected(std::move(mapping.error()));
    MappingEdit change = [request](MappingRecord& record) -> aws::ApiResult<void> {
      set_tags(record.tags, request.Tags.value_or(TagList()));
      return check_tags(record.tags);
    };
    auto tagged = co_await core.mappings.table.change((*mapping)->place, (*mapping)->uuid, std::move(change));
    if (!tagged) co_return std::unexpected(std::move(tagged.error()));
    co_return wire::TagResource::Response();
  }
  auto found = find_tagged(core, context, request.Resource);
  if (!found) co_return std::unexpected(std::move(found.error()));
  FunctionEdit edit = [request](FunctionRecord& function) -> aws::ApiResult<void> {
    set_tags(function.tags, request.Tags.value_or(TagList()));
    return check_tags(function.tags);
  };
  auto missing = function_missing(found->place, found->name.name, "");
  auto changed = co_await core.tables.change(found->place, found->name.name, std::move(missing), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return wire::TagResource::Response();
}

Awaitable<aws::ApiResult<wire::UntagResource::Response>> untag_resource(Core& core, const aws::CallContext& context,
                                                                        wire::UntagResourceRequest request) {
  const auto keys = request.TagKeys.value_or(std::vector<std::string>());
  if (names_mapping(request.Resource)) {
    auto mapping = find_mapping(core, context, request.Resource);
    if (!mapping) co_return std::unexpected(std::move(mapping.error()));
    MappingEdit change = [keys](MappingRecord& record) -> aws::ApiResult<void> {
      drop_tags(record.tags, keys);
      return {};
    };
    auto untagged = co_await core.mappings.table.change((*mapping)->place, (*mapping)->uuid, std::move(change));
    if (!untagged) co_return std::unexpected(std::move(untagged.error()));
    co_return wire::UntagResource::Response();
  }
  auto found = find_tagged(core, context, request.Resource);
  if (!found) co_return std::unexpected(std::move(found.error()));
  FunctionEdit edit = [keys](FunctionRecord& function) -> aws::ApiResult<void> {
    drop_tags(function.tags, keys);
    return {};
  };
  auto missing = function_missing(found->place, found->name.name, "");
  auto changed = co_await core.tables.change(found->place, found->name.name, std::move(missing), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return wire::UntagResource::Response();
}

}  // namespace

void bind_tags(aws::Service& service, Core& core) {
  bind<wire::ListTags>(service, core, list_tags);
  bind<wire::TagResource>(service, core, tag_resource);
  bind<wire::UntagResource>(service, core, untag_resource);
}

}  // namespace mayfly::lambda
