// Tags of functions, by ARN. The other kinds of resource that have tags do not exist here and are answered as missing.
#include <fmt/core.h>

#include <algorithm>

#include "services/lambda/core.h"

namespace mayfly::lambda {
namespace {

aws::ApiResult<Found> find_tagged(Core& core, const aws::CallContext& context,
                                  const std::optional<std::string>& resource) {
  const auto arn = resource.value_or("");
  if (arn.find(":event-source-mapping:") != std::string::npos) {
    return refuse_missing("Event source mapping not found: " + arn);
  }
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
  auto found = find_tagged(core, context, request.Resource);
  if (!found) co_return std::unexpected(std::move(found.error()));
  wire::ListTagsResponse out;
  out.Tags = found->function->tags;
  co_return out;
}

Awaitable<aws::ApiResult<wire::TagResource::Response>> tag_resource(Core& core, const aws::CallContext& context,
                                                                    wire::TagResourceRequest request) {
  auto found = find_tagged(core, context, request.Resource);
  if (!found) co_return std::unexpected(std::move(found.error()));
  FunctionEdit edit = [request](FunctionRecord& function) -> aws::ApiResult<void> {
    for (const auto& [key, value] : request.Tags.value_or(TagList())) {
      const auto existing =
          std::find_if(function.tags.begin(), function.tags.end(), [&](const auto& tag) { return tag.first == key; });
      if (existing != function.tags.end()) {
        existing->second = value;
      } else {
        function.tags.emplace_back(key, value);
      }
    }
    return check_tags(function.tags);
  };
  auto missing = function_missing(found->place, found->name.name, "");
  auto changed = co_await core.tables.change(found->place, found->name.name, std::move(missing), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return wire::TagResource::Response();
}

Awaitable<aws::ApiResult<wire::UntagResource::Response>> untag_resource(Core& core, const aws::CallContext& context,
                                                                        wire::UntagResourceRequest request) {
  auto found = find_tagged(core, context, request.Resource);
  if (!found) co_return std::unexpected(std::move(found.error()));
  FunctionEdit edit = [request](FunctionRecord& function) -> aws::ApiResult<void> {
    const auto keys = request.TagKeys.value_or(std::vector<std::string>());
    std::erase_if(function.tags,
                  [&](const auto& tag) { return std::find(keys.begin(), keys.end(), tag.first) != keys.end(); });
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
