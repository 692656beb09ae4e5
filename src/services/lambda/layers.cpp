// Layers: published once, immutable, shared by functions; permissions of layer versions.
#include <fmt/core.h>

#include <algorithm>
#include <limits>

#include "base/ids.h"
#include "base/time_format.h"
#include "services/lambda/configuration.h"
#include "services/lambda/policy.h"

namespace mayfly::lambda {
namespace {

constexpr std::string_view kGone = "The resource you requested does not exist.";

std::string version_arn(const Place& place, std::string_view name, std::int64_t version) {
  return fmt::format("{}:{}", layer_arn(place, name), version);
}

wire::GetLayerVersionResponse with_link(const Core& core, const aws::CallContext& context,
                                        const LayerVersionRecord& version) {
  auto out = version.info;
  if (out.Content) out.Content->Location = code_link(core, context, version.code_sha);
  return out;
}

wire::LayerVersionsListItem item_of(const LayerVersionRecord& version) {
  wire::LayerVersionsListItem out;
  out.LayerVersionArn = version.info.LayerVersionArn;
  out.Version = version.info.Version;
  out.Description = version.info.Description;
  out.CreatedDate = version.info.CreatedDate;
  out.CompatibleRuntimes = version.info.CompatibleRuntimes;
  out.LicenseInfo = version.info.LicenseInfo;
  out.CompatibleArchitectures = version.info.CompatibleArchitectures;
  return out;
}

bool lists(const std::optional<std::vector<std::string>>& list, const std::optional<std::string>& wanted) {
  return !wanted || (list && std::find(list->begin(), list->end(), *wanted) != list->end());
}

bool matches(const LayerVersionRecord& version, const std::optional<std::string>& runtime,
             const std::optional<std::string>& architecture) {
  return lists(version.info.CompatibleRuntimes, runtime) && lists(version.info.CompatibleArchitectures, architecture);
}

Awaitable<aws::ApiResult<wire::PublishLayerVersionResponse>> publish_layer_version(
    Core& core, const aws::CallContext& context, wire::PublishLayerVersionRequest request) {
  const auto place = core.place(context);
  auto name = parse_layer_name(request.LayerName.value_or(""), place);
  if (!name) co_return std::unexpected(std::move(name.error()));
  if (!request.Content || request.Content->S3Bucket || request.Content->S3Key) {
    co_return refuse_unsupported("S3Bucket", "packages are given inline as ZipFile");
  }
  auto code = co_await store_code(core, request.Content->ZipFile.value_or(""));
  if (!code) co_return std::unexpected(std::move(code.error()));
  LayerVersionRecord version;
  version.code_sha = code->sha_hex;
  auto& content = version.info.Content.emplace();
  content.CodeSha256 = code->sha_base64;
  content.CodeSize = code->bytes;
  version.info.LayerArn = layer_arn(place, name->name);
  version.info.Description = request.Description.value_or("");
  version.info.CreatedDate = iso8601_millis_offset(core.clock.now());
  version.info.CompatibleRuntimes = request.CompatibleRuntimes;
  version.info.LicenseInfo = request.LicenseInfo;
  version.info.CompatibleArchitectures = request.CompatibleArchitectures;
  LayerEdit edit = [version](LayerRecord& layer) -> aws::ApiResult<void> {
    const auto number = ++layer.last_version;
    auto& added = layer.versions[number];
    added = version;
    added.info.Version = number;
    added.info.LayerVersionArn = version_arn(layer.place, layer.name, number);
    return {};
  };
  auto changed = co_await core.tables.change_layer(place, name->name, std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  const auto info = with_link(core, context, (*changed)->versions.rbegin()->second);
  json::object document;
  to_document(info, document);
  wire::PublishLayerVersionResponse out;  // the same members
  from_document(document, out);
  co_return out;
}

struct FoundLayer {
  Place place;
  std::string name;
  LayerPtr layer;
  const LayerVersionRecord* version = nullptr;  // null where that version is not there
};

aws::ApiResult<FoundLayer> find_layer(Core& core, const aws::CallContext& context,
                                      const std::optional<std::string>& text, std::int64_t number) {
  FoundLayer found;
  found.place = core.place(context);
  auto name = parse_layer_name(text.value_or(""), found.place);
  if (!name) return std::unexpected(std::move(name.error()));
  if (number < 1) return refuse_parameter("Layer Version Cannot be less than 1");
  found.name = name->name;
  found.layer = core.tables.layer(found.place, found.name);
  if (!found.layer) return found;
  const auto version = found.layer->versions.find(number);
  if (version != found.layer->versions.end()) found.version = &version->second;
  return found;
}

Awaitable<aws::ApiResult<wire::GetLayerVersionResponse>> get_layer_version(Core& core, const aws::CallContext& context,
                                                                           wire::GetLayerVersionRequest request) {
  auto found = find_layer(core, context, request.LayerName, request.VersionNumber.value_or(0));
  if (!found) co_return std::unexpected(std::move(found.error()));
  if (found->version == nullptr) co_return refuse_missing(std::string(kGone));
  co_return with_link(core, context, *found->version);
}

Awaitable<aws::ApiResult<wire::GetLayerVersionResponse>> get_layer_version_by_arn(
    Core& core, const aws::CallContext& context, wire::GetLayerVersionByArnRequest request) {
  auto name = parse_layer_name(request.Arn.value_or(""), core.place(context));
  if (!name) co_return std::unexpected(std::move(name.error()));
  auto found = find_layer(core, context, request.Arn, name->version);
  if (!found) co_return std::unexpected(std::move(found.error()));
  if (found->version == nullptr) co_return refuse_missing(std::string(kGone));
  co_return with_link(core, context, *found->version);
}

Awaitable<aws::ApiResult<wire::ListLayersResponse>> list_layers(Core& core, const aws::CallContext& context,
                                                                wire::ListLayersRequest request) {
  std::vector<wire::LayersListItem> all;
  for (const auto& layer : core.tables.layers(core.place(context))) {
    for (auto at = layer->versions.rbegin(); at != layer->versions.rend(); ++at) {
      if (!matches(at->second, request.CompatibleRuntime, request.CompatibleArchitecture)) continue;
      wire::LayersListItem item;
      item.LayerName = layer->name;
      item.LayerArn = layer_arn(layer->place, layer->name);
      item.LatestMatchingVersion = item_of(at->second);
      all.push_back(std::move(item));
      break;
    }
  }
  const auto key = [](const wire::LayersListItem& item) { return item.LayerName.value_or(""); };
  auto [page, next] = page_of(std::move(all), key, request.Marker, request.MaxItems);
  wire::ListLayersResponse out;
  out.Layers = std::move(page);
  out.NextMarker = std::move(next);
  co_return out;
}

Awaitable<aws::ApiResult<wire::ListLayerVersionsResponse>> list_layer_versions(Core& core,
                                                                               const aws::CallContext& context,
                                                                               wire::ListLayerVersionsRequest request) {
  const auto place = core.place(context);
  auto name = parse_layer_name(request.LayerName.value_or(""), place);
  if (!name) co_return std::unexpected(std::move(name.error()));
  std::vector<wire::LayerVersionsListItem> all;
  if (const auto layer = core.tables.layer(place, name->name)) {
    for (auto at = layer->versions.rbegin(); at != layer->versions.rend(); ++at) {
      if (matches(at->second, request.CompatibleRuntime, request.CompatibleArchitecture)) {
        all.push_back(item_of(at->second));
      }
    }
  }
  // Newest first: the key ascends where the number descends.
  const auto key = [](const wire::LayerVersionsListItem& item) {
    return fmt::format("{:020}", std::numeric_limits<std::int64_t>::max() - item.Version.value_or(0));
  };
  auto [page, next] = page_of(std::move(all), key, request.Marker, request.MaxItems);
  wire::ListLayerVersionsResponse out;
  out.LayerVersions = std::move(page);
  out.NextMarker = std::move(next);
  co_return out;
}

Awaitable<aws::ApiResult<wire::DeleteLayerVersion::Response>> delete_layer_version(
    Core& core, const aws::CallContext& context, wire::DeleteLayerVersionRequest request) {
  const auto number = request.VersionNumber.value_or(0);
  auto found = find_layer(core, context, request.LayerName, number);
  if (!found) co_return std::unexpected(std::move(found.error()));
  if (found->version == nullptr) co_return wire::DeleteLayerVersion::Response();
  LayerEdit edit = [number](LayerRecord& layer) -> aws::ApiResult<void> {
    layer.versions.erase(number);  // functions that use it keep it, as on AWS
    return {};
  };
  auto changed = co_await core.tables.change_layer(found->place, found->name, std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return wire::DeleteLayerVersion::Response();
}

aws::ApiError version_missing(const Place& place, std::string_view name, std::int64_t number) {
  return refuse_missing(fmt::format("Layer version {} does not exist.", version_arn(place, name, number))).error();
}

std::unexpected<aws::ApiError> refuse_layer_revision() {
  return refuse(wire::errors::PreconditionFailedException,
                "The Revision Id provided does not match the latest Revision Id. Call the GetLayerPolicy API to "
                "retrieve the latest Revision Id");
}

Awaitable<aws::ApiResult<wire::AddLayerVersionPermissionResponse>> add_layer_permission(
    Core& core, const aws::CallContext& context, wire::AddLayerVersionPermissionRequest request) {
  const auto number = request.VersionNumber.value_or(0);
  auto found = find_layer(core, context, request.LayerName, number);
  if (!found) co_return std::unexpected(std::move(found.error()));
  if (found->version == nullptr) co_return std::unexpected(version_missing(found->place, found->name, number));
  auto principal = principal_value(request.Principal.value_or(""));
  if (!principal) co_return std::unexpected(std::move(principal.error()));
  json::object statement;
  statement["Sid"] = request.StatementId.value_or("");
  statement["Effect"] = "Allow";
  statement["Principal"] = std::move(*principal);
  statement["Action"] = request.Action.value_or("");
  statement["Resource"] = version_arn(found->place, found->name, number);
  if (request.OrganizationId) {
    json::object equals;
    equals["aws:PrincipalOrgID"] = *request.OrganizationId;
    json::object condition;
    condition["StringEquals"] = std::move(equals);
    statement["Condition"] = std::move(condition);
  }
  const auto revision = request.RevisionId;
  LayerEdit edit = [statement, revision, number](LayerRecord& layer) -> aws::ApiResult<void> {
    const auto version = layer.versions.find(number);
    if (version == layer.versions.end()) return std::unexpected(version_missing(layer.place, layer.name, number));
    auto& policy = version->second.policy;
    if (revision && *revision != policy.revision) return refuse_layer_revision();
    return add_statement(policy, statement);
  };
  auto changed = co_await core.tables.change_layer(found->place, found->name, std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  wire::AddLayerVersionPermissionResponse out;
  out.Statement = to_json(statement);
  out.RevisionId = (*changed)->versions.at(number).policy.revision;
  co_return out;
}

Awaitable<aws::ApiResult<wire::GetLayerVersionPolicyResponse>> get_layer_policy(
    Core& core, const aws::CallContext& context, wire::GetLayerVersionPolicyRequest request) {
  const auto number = request.VersionNumber.value_or(0);
  auto found = find_layer(core, context, request.LayerName, number);
  if (!found) co_return std::unexpected(std::move(found.error()));
  if (found->version == nullptr) co_return std::unexpected(version_missing(found->place, found->name, number));
  const auto& policy = found->version->policy;
  if (policy.empty()) co_return refuse_missing("No policy is associated with the given resource.");
  wire::GetLayerVersionPolicyResponse out;
  out.Policy = policy.text();
  out.RevisionId = policy.revision;
  co_return out;
}

Awaitable<aws::ApiResult<wire::RemoveLayerVersionPermission::Response>> remove_layer_permission(
    Core& core, const aws::CallContext& context, wire::RemoveLayerVersionPermissionRequest request) {
  const auto number = request.VersionNumber.value_or(0);
  auto found = find_layer(core, context, request.LayerName, number);
  if (!found) co_return std::unexpected(std::move(found.error()));
  if (found->version == nullptr) co_return std::unexpected(version_missing(found->place, found->name, number));
  LayerEdit edit = [request, number](LayerRecord& layer) -> aws::ApiResult<void> {
    const auto version = layer.versions.find(number);
    if (version == layer.versions.end()) return std::unexpected(version_missing(layer.place, layer.name, number));
    auto& policy = version->second.policy;
    if (request.RevisionId && *request.RevisionId != policy.revision) return refuse_layer_revision();
    const auto id = request.StatementId.value_or("");
    if (!remove_statement(policy, id)) {
      return refuse_missing(fmt::format("Statement {} is not found in resource policy.", id));
    }
    return {};
  };
  auto changed = co_await core.tables.change_layer(found->place, found->name, std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return wire::RemoveLayerVersionPermission::Response();
}

}  // namespace

void bind_layers(aws::Service& service, Core& core) {
  bind<wire::PublishLayerVersion>(service, core, publish_layer_version);
  bind<wire::GetLayerVersion>(service, core, get_layer_version);
  bind<wire::GetLayerVersionByArn>(service, core, get_layer_version_by_arn);
  bind<wire::ListLayers>(service, core, list_layers);
  bind<wire::ListLayerVersions>(service, core, list_layer_versions);
  bind<wire::DeleteLayerVersion>(service, core, delete_layer_version);
  bind<wire::AddLayerVersionPermission>(service, core, add_layer_permission);
  bind<wire::GetLayerVersionPolicy>(service, core, get_layer_policy);
  bind<wire::RemoveLayerVersionPermission>(service, core, remove_layer_permission);
}

}  // namespace mayfly::lambda
