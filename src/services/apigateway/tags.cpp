// Tags of APIs and stages.
#include <fmt/core.h>

#include <algorithm>

#include "services/apigateway/core.h"
#include "services/tag_pairs.h"

namespace mayfly::apigateway {
namespace {

// "arn:aws:apigateway:us-east-1::/restapis/<id>[/stages/<name>]"
struct Tagged {
  std::string api;
  std::string stage;
};

aws::ApiResult<Tagged> tagged_of(const aws::CallContext& context, const std::string& arn) {
  const auto start = fmt::format("arn:aws:apigateway:{}::/restapis/", context.region);
  if (!arn.starts_with(start)) return refuse_missing("resource identifier");
  const auto rest = arn.substr(start.size());
  const auto slash = std::min(rest.find('/'), rest.size());
  Tagged out{.api = rest.substr(0, slash), .stage = {}};
  if (slash == rest.size()) return out;
  constexpr std::string_view kStages = "/stages/";
  const auto below = rest.substr(slash);
  if (!below.starts_with(kStages)) return refuse_missing("resource identifier");
  out.stage = below.substr(kStages.size());
  return out;
}

using TagEdit = std::function<aws::ApiResult<void>(std::optional<Pairs>&)>;

Awaitable<aws::ApiResult<void>> edit_tags(Core& core, const aws::CallContext& context, std::string arn, TagEdit edit) {
  auto tagged = tagged_of(context, arn);
  if (!tagged) co_return std::unexpected(std::move(tagged.error()));
  ApiEdit change = [edit, name = tagged->stage](ApiRecord& record) -> aws::ApiResult<void> {
    if (name.empty()) return edit(record.api.tags);
    const auto stage = record.stages.find(name);
    if (stage == record.stages.end()) return refuse_missing("stage identifier");
    return edit(stage->second.tags);
  };
  auto changed = co_await change_api(core, context, std::move(tagged->api), std::move(change));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return aws::ApiResult<void>();
}

Awaitable<aws::ApiResult<wire::TagResource::Response>> tag_resource(Core& core, const aws::CallContext& context,
                                                                    wire::TagResourceRequest request) {
  TagEdit edit = [tags = request.tags.value_or(Pairs())](std::optional<Pairs>& present) -> aws::ApiResult<void> {
    services::add_tags(present, tags);
    return check_tags(present);
  };
  auto edited = co_await edit_tags(core, context, request.resourceArn.value_or(""), std::move(edit));
  if (!edited) co_return std::unexpected(std::move(edited.error()));
  co_return wire::TagResource::Response();
}

Awaitable<aws::ApiResult<wire::UntagResource::Response>> untag_resource(Core& core, const aws::CallContext& context,
                                                                        wire::UntagResourceRequest request) {
  TagEdit edit = [keys = request.tagKeys.value_or(Strings())](std::optional<Pairs>& present) -> aws::ApiResult<void> {
    services::remove_tags(present, keys);
    return {};
  };
  auto edited = co_await edit_tags(core, context, request.resourceArn.value_or(""), std::move(edit));
  if (!edited) co_return std::unexpected(std::move(edited.error()));
  co_return wire::UntagResource::Response();
}

Awaitable<aws::ApiResult<wire::Tags>> get_tags(Core& core, const aws::CallContext& context,
                                               wire::GetTagsRequest request) {
  auto tagged = tagged_of(context, request.resourceArn.value_or(""));
  if (!tagged) co_return std::unexpected(std::move(tagged.error()));
  const std::optional<std::string> id = tagged->api;
  auto found = core.api(context, id);
  if (!found) co_return std::unexpected(std::move(found.error()));
  wire::Tags out;
  if (tagged->stage.empty()) {
    out.tags = (*found)->api.tags.value_or(Pairs());
    co_return out;
  }
  const auto stage = (*found)->stages.find(tagged->stage);
  if (stage == (*found)->stages.end()) co_return refuse_missing("stage identifier");
  out.tags = stage->second.tags.value_or(Pairs());
  co_return out;
}

}  // namespace

aws::ApiResult<void> check_tags(const std::optional<Pairs>& tags) {
  if (!tags) return {};
  if (tags->size() > kMostTags) return refuse_limit("Tags per resource", kMostTags);
  if (const auto bad = services::bad_tag(*tags)) return refuse_input(fmt::format("Invalid tag {}", *bad));
  return {};
}

void bind_tags(aws::Service& service, Core& core) {
  bind<wire::TagResource>(service, core, tag_resource);
  bind<wire::UntagResource>(service, core, untag_resource);
  bind<wire::GetTags>(service, core, get_tags);
}

}  // namespace mayfly::apigateway
