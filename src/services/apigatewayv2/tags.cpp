// Tags of APIs, stages and domain names.
#include <fmt/core.h>

#include <algorithm>

#include "services/apigatewayv2/core.h"
#include "services/tag_pairs.h"

namespace mayfly::apigatewayv2 {
namespace {

using gateway::Pairs;

// "arn:aws:apigateway:us-east-1::/apis/<id>[/stages/<name>]" or ".../domainnames/<name>"
struct Tagged {
  std::string api;
  std::string stage;
  std::string domain;
};

aws::ApiResult<Tagged> tagged_of(const aws::CallContext& context, const std::string& arn) {
  const auto start = fmt::format("arn:aws:apigateway:{}::/", context.region);
  const auto invalid = [] { return refuse(wire::errors::NotFoundException, "Invalid resource identifier specified"); };
  if (!arn.starts_with(start)) return invalid();
  const auto path = arn.substr(start.size());
  constexpr std::string_view kApis = "apis/";
  constexpr std::string_view kDomains = "domainnames/";
  constexpr std::string_view kStages = "/stages/";
  Tagged out;
  if (path.starts_with(kDomains)) {
    out.domain = path.substr(kDomains.size());
    return out;
  }
  if (!path.starts_with(kApis)) return invalid();
  const auto rest = path.substr(kApis.size());
  const auto stage = rest.find(kStages);
  out.api = rest.substr(0, std::min(stage, rest.find('/')));
  if (stage != std::string::npos) out.stage = rest.substr(stage + kStages.size());
  if (stage == std::string::npos && rest.find('/') != std::string::npos) return invalid();
  return out;
}

using TagEdit = std::function<aws::ApiResult<void>(std::optional<Pairs>&)>;

Awaitable<aws::ApiResult<void>> edit_tags(Core& core, const aws::CallContext& context, std::string arn, TagEdit edit) {
  auto tagged = tagged_of(context, arn);
  if (!tagged) co_return std::unexpected(std::move(tagged.error()));
  if (!tagged->domain.empty()) {
    const auto record = core.domains.find(domain_key(tagged->domain));
    if (!record || record->account != context.principal.account || record->region != context.region)
      co_return refuse_missing("domain name");
    DomainEdit change = [edit](DomainRecord& domain) { return edit(domain.domain.Tags); };
    auto missing = refuse_missing("domain name").error();
    auto changed = co_await core.domains.change(record->key(), std::move(missing), std::move(change));
    if (!changed) co_return std::unexpected(std::move(changed.error()));
    co_return aws::ApiResult<void>();
  }
  ApiEdit change = [edit, name = tagged->stage](ApiRecord& record) -> aws::ApiResult<void> {
    if (name.empty()) return edit(record.api.Tags);
    const auto stage = record.stages.find(name);
    if (stage == record.stages.end()) return refuse_missing("stage");
    return edit(stage->second.Tags);
  };
  auto changed = co_await change_api(core, context, std::move(tagged->api), std::move(change));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return aws::ApiResult<void>();
}

Awaitable<aws::ApiResult<wire::TagResource::Response>> tag_resource(Core& core, const aws::CallContext& context,
                                                                    wire::TagResourceRequest request) {
  TagEdit edit = [tags = request.Tags.value_or(Pairs())](std::optional<Pairs>& present) -> aws::ApiResult<void> {
    services::add_tags(present, tags);
    return check_tags(present);
  };
  auto edited = co_await edit_tags(core, context, request.ResourceArn.value_or(""), std::move(edit));
  if (!edited) co_return std::unexpected(std::move(edited.error()));
  co_return wire::TagResource::Response();
}

Awaitable<aws::ApiResult<wire::UntagResource::Response>> untag_resource(Core& core, const aws::CallContext& context,
                                                                        wire::UntagResourceRequest request) {
  const auto keys = request.TagKeys.value_or(std::vector<std::string>());
  TagEdit edit = [keys](std::optional<Pairs>& present) -> aws::ApiResult<void> {
    services::remove_tags(present, keys);
    return {};
  };
  auto edited = co_await edit_tags(core, context, request.ResourceArn.value_or(""), std::move(edit));
  if (!edited) co_return std::unexpected(std::move(edited.error()));
  co_return wire::UntagResource::Response();
}

Awaitable<aws::ApiResult<wire::GetTagsResponse>> get_tags(Core& core, const aws::CallContext& context,
                                                          wire::GetTagsRequest request) {
  auto tagged = tagged_of(context, request.ResourceArn.value_or(""));
  if (!tagged) co_return std::unexpected(std::move(tagged.error()));
  wire::GetTagsResponse out;
  if (!tagged->domain.empty()) {
    const auto record = core.domains.find(domain_key(tagged->domain));
    if (!record || record->account != context.principal.account || record->region != context.region)
      co_return refuse_missing("domain name");
    out.Tags = record->domain.Tags.value_or(Pairs());
    co_return out;
  }
  const std::optional<std::string> id = tagged->api;
  auto found = core.api(context, id);
  if (!found) co_return std::unexpected(std::move(found.error()));
  if (tagged->stage.empty()) {
    out.Tags = (*found)->api.Tags.value_or(Pairs());
    co_return out;
  }
  const auto stage = (*found)->stages.find(tagged->stage);
  if (stage == (*found)->stages.end()) co_return refuse_missing("stage");
  out.Tags = stage->second.Tags.value_or(Pairs());
  co_return out;
}

}  // namespace

aws::ApiResult<void> check_tags(const std::optional<Pairs>& tags) {
  if (!tags) return {};
  if (tags->size() > kMostTags) return refuse_limit("TagsPerResource", kMostTags);
  if (const auto bad = services::bad_tag(*tags)) return refuse_input(fmt::format("Invalid tag {}", *bad));
  return {};
}

void bind_tags(aws::Service& service, Core& core) {
  bind<wire::TagResource>(service, core, tag_resource);
  bind<wire::UntagResource>(service, core, untag_resource);
  bind<wire::GetTags>(service, core, get_tags);
}

}  // namespace mayfly::apigatewayv2
