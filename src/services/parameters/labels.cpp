// LabelParameterVersion and UnlabelParameterVersion; tags.
#include <fmt/core.h>

#include <algorithm>

#include "base/encoding.h"
#include "services/parameters/core.h"

namespace mayfly::parameters {
namespace {

constexpr std::size_t kMostLabels = 10;

bool is_label(std::string_view text) {
  const auto lower = to_lower(text);
  if (lower.empty() || lower.starts_with("aws") || lower.starts_with("ssm") || (lower[0] >= '0' && lower[0] <= '9')) {
    return false;
  }
  return std::ranges::all_of(lower, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
  });
}

Version* version_of(Parameter& parameter, std::int64_t number) {
  const auto found = std::ranges::find(parameter.versions, number, &Version::number);
  return found == parameter.versions.end() ? nullptr : &*found;
}

aws::ApiResult<void> put_labels(Parameter& parameter, std::optional<std::int64_t> number,
                                const std::vector<std::string>& labels) {
  const auto wanted = number.value_or(parameter.latest().number);
  if (version_of(parameter, wanted) == nullptr) {
    return std::unexpected(version_missing(parameter.name, std::to_string(wanted)));
  }
  for (const auto& label : labels) {
    for (auto& version : parameter.versions) std::erase(version.labels, label);
    version_of(parameter, wanted)->labels.push_back(label);
  }
  if (version_of(parameter, wanted)->labels.size() <= kMostLabels) return {};
  return refuse(
      wire::errors::ParameterVersionLabelLimitExceeded,
      fmt::format("A parameter version can have maximum {} labels. Move one or more labels to another version "
                  "and try again.",
                  kMostLabels));
}

Awaitable<aws::ApiResult<wire::LabelParameterVersionResult>> label_parameter_version(
    Core& core, const aws::CallContext& context, wire::LabelParameterVersionRequest request) {
  const auto found = find(core, parse_name(core, context, request.Name.value_or("")));
  if (!found) co_return std::unexpected(parameter_missing());
  wire::LabelParameterVersionResult out;
  out.InvalidLabels.emplace();
  std::vector<std::string> labels;
  for (const auto& label : request.Labels.value_or(std::vector<std::string>())) {
    (is_label(label) ? labels : *out.InvalidLabels).push_back(label);
  }
  const auto number = request.ParameterVersion;
  out.ParameterVersion = number.value_or(found->latest().number);
  Edit edit = [number, labels](Parameter& record) { return put_labels(record, number, labels); };
  auto changed = co_await core.parameters.change(found->key(), parameter_missing(), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return out;
}

Awaitable<aws::ApiResult<wire::UnlabelParameterVersionResult>> unlabel_parameter_version(
    Core& core, const aws::CallContext& context, wire::UnlabelParameterVersionRequest request) {
  const auto found = find(core, parse_name(core, context, request.Name.value_or("")));
  if (!found) co_return std::unexpected(parameter_missing());
  const auto number = request.ParameterVersion.value_or(0);
  const auto labels = request.Labels.value_or(std::vector<std::string>());
  const auto* before = found->find(std::to_string(number));
  if (before == nullptr) co_return std::unexpected(version_missing(found->name, std::to_string(number)));
  wire::UnlabelParameterVersionResult out;
  out.RemovedLabels.emplace();
  out.InvalidLabels.emplace();
  for (const auto& label : labels) {
    const bool there = std::ranges::find(before->labels, label) != before->labels.end();
    (there ? *out.RemovedLabels : *out.InvalidLabels).push_back(label);
  }
  Edit edit = [number, labels](Parameter& record) -> aws::ApiResult<void> {
    auto* version = version_of(record, number);
    if (version == nullptr) return std::unexpected(version_missing(record.name, std::to_string(number)));
    for (const auto& label : labels) std::erase(version->labels, label);
    return {};
  };
  auto changed = co_await core.parameters.change(found->key(), parameter_missing(), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return out;
}

aws::ApiResult<ParameterPtr> tagged(const Core& core, const aws::CallContext& context,
                                    const std::optional<std::string>& type, const std::optional<std::string>& id) {
  if (type.value_or("") != "Parameter") {
    return refuse(wire::errors::InvalidResourceType,
                  fmt::format("The resource type {} is not supported by this server.", type.value_or("")));
  }
  auto found = find(core, parse_name(core, context, id.value_or("")));
  if (!found)
    return refuse(wire::errors::InvalidResourceId,
                  "The resource ID isn't valid. Verify that you entered the "
                  "correct ID and try again.");
  return found;
}

Awaitable<aws::ApiResult<wire::AddTagsToResourceResult>> add_tags(Core& core, const aws::CallContext& context,
                                                                  wire::AddTagsToResourceRequest request) {
  auto found = tagged(core, context, request.ResourceType, request.ResourceId);
  if (!found) co_return std::unexpected(std::move(found.error()));
  const auto tags = request.Tags.value_or(std::vector<wire::Tag>());
  Edit edit = [tags](Parameter& record) { return set_tags(record, tags); };
  auto changed = co_await core.parameters.change((*found)->key(), parameter_missing(), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return wire::AddTagsToResourceResult();
}

Awaitable<aws::ApiResult<wire::RemoveTagsFromResourceResult>> remove_tags(Core& core, const aws::CallContext& context,
                                                                          wire::RemoveTagsFromResourceRequest request) {
  auto found = tagged(core, context, request.ResourceType, request.ResourceId);
  if (!found) co_return std::unexpected(std::move(found.error()));
  const auto names = request.TagKeys.value_or(std::vector<std::string>());
  Edit edit = [names](Parameter& record) -> aws::ApiResult<void> {
    std::erase_if(record.tags, [&](const auto& tag) { return std::ranges::find(names, tag.first) != names.end(); });
    return {};
  };
  auto changed = co_await core.parameters.change((*found)->key(), parameter_missing(), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return wire::RemoveTagsFromResourceResult();
}

Awaitable<aws::ApiResult<wire::ListTagsForResourceResult>> list_tags(Core& core, const aws::CallContext& context,
                                                                     wire::ListTagsForResourceRequest request) {
  auto found = tagged(core, context, request.ResourceType, request.ResourceId);
  if (!found) co_return std::unexpected(std::move(found.error()));
  wire::ListTagsForResourceResult out;
  out.TagList.emplace();
  for (const auto& [name, value] : (*found)->tags) {
    wire::Tag tag;
    tag.Key = name;
    tag.Value = value;
    out.TagList->push_back(std::move(tag));
  }
  co_return out;
}

}  // namespace

void bind_labels(aws::Service& service, Core& core) {
  bind<wire::LabelParameterVersion>(service, core, label_parameter_version);
  bind<wire::UnlabelParameterVersion>(service, core, unlabel_parameter_version);
}

void bind_tags(aws::Service& service, Core& core) {
  bind<wire::AddTagsToResource>(service, core, add_tags);
  bind<wire::RemoveTagsFromResource>(service, core, remove_tags);
  bind<wire::ListTagsForResource>(service, core, list_tags);
}

}  // namespace mayfly::parameters
