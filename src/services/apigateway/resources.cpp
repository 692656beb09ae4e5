// Resources: the tree of an API's paths.
#include <fmt/core.h>

#include <algorithm>

#include "base/ids.h"
#include "services/apigateway/core.h"

namespace mayfly::apigateway {
namespace {

constexpr std::size_t kResourceIdLength = 6;

std::string path_below(const std::string& parent, const std::string& part) {
  return parent == "/" ? "/" + part : parent + "/" + part;
}

aws::ApiResult<std::string> add_below(Configuration& configuration, const std::string& parent_id,
                                      const std::string& part) {
  if (auto checked = check_path_part(part); !checked) return std::unexpected(std::move(checked.error()));
  const auto parent = configuration.resources.find(parent_id);
  if (parent == configuration.resources.end()) return refuse_missing("Resource identifier");
  if (configuration.resources.size() >= kMostResources) return refuse_limit("Resources per API", kMostResources);
  if (parent->second.path.value_or("").ends_with("+}"))
    return refuse_input(fmt::format("Cannot create a child of a resource with a greedy path variable: {}",
                                    parent->second.path.value_or("")));
  for (const auto& [id, other] : configuration.resources) {
    if (other.parentId != parent_id) continue;
    if (other.pathPart == part)
      return refuse(wire::errors::ConflictException,
                    fmt::format("Another resource with the same parent already has this name: {}", part));
    const bool both_variables = part.starts_with('{') && other.pathPart->starts_with('{');
    if (both_variables && part.ends_with("+}") == other.pathPart->ends_with("+}"))
      return refuse_input(fmt::format(
          "A sibling ({}) of this resource already has a variable path part -- only one is allowed", *other.pathPart));
  }
  wire::Resource resource;
  resource.id = random_alphanumeric(kResourceIdLength);
  resource.parentId = parent_id;
  resource.pathPart = part;
  resource.path = path_below(parent->second.path.value_or("/"), part);
  auto id = *resource.id;
  configuration.resources[id] = std::move(resource);
  return id;
}

// Methods are told where they are asked for.
wire::Resource listed(wire::Resource resource, const Strings& embed) {
  if (!resource.resourceMethods) return resource;
  if (resource.resourceMethods->empty()) {
    resource.resourceMethods.reset();
  } else if (std::ranges::find(embed, "methods") == embed.end()) {
    for (auto& [name, method] : *resource.resourceMethods) method = wire::Method();
  }
  return resource;
}

Awaitable<aws::ApiResult<wire::Resource>> create_resource(Core& core, const aws::CallContext& context,
                                                          wire::CreateResourceRequest request) {
  auto id = std::make_shared<std::string>();
  ApiEdit edit = [request, id](ApiRecord& record) -> aws::ApiResult<void> {
    auto added = add_below(record.now, request.parentId.value_or(""), request.pathPart.value_or(""));
    if (!added) return std::unexpected(std::move(added.error()));
    *id = std::move(*added);
    return {};
  };
  auto changed = co_await change_api(core, context, request.restApiId.value_or(""), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return (*changed)->now.resources.at(*id);
}

Awaitable<aws::ApiResult<wire::Resource>> get_resource(Core& core, const aws::CallContext& context,
                                                       wire::GetResourceRequest request) {
  auto found = core.api(context, request.restApiId);
  if (!found) co_return std::unexpected(std::move(found.error()));
  const auto resource = (*found)->now.resources.find(request.resourceId.value_or(""));
  if (resource == (*found)->now.resources.end()) co_return refuse_missing("Resource identifier");
  co_return listed(resource->second, request.embed.value_or(Strings()));
}

Awaitable<aws::ApiResult<wire::Resources>> get_resources(Core& core, const aws::CallContext& context,
                                                         wire::GetResourcesRequest request) {
  auto found = core.api(context, request.restApiId);
  if (!found) co_return std::unexpected(std::move(found.error()));
  std::vector<wire::Resource> all;
  for (const auto& [id, resource] : (*found)->now.resources)
    all.push_back(listed(resource, request.embed.value_or(Strings())));
  std::ranges::sort(all, {}, [](const wire::Resource& one) { return one.path.value_or(""); });
  wire::Resources out;
  page(out, std::move(all), [](const wire::Resource& one) { return one.path.value_or(""); }, request);
  co_return out;
}

bool is_below(const Configuration& configuration, const std::string& id, const std::string& top) {
  auto at = configuration.resources.find(id);
  while (at != configuration.resources.end()) {
    if (at->first == top) return true;
    at = configuration.resources.find(at->second.parentId.value_or(""));
  }
  return false;
}

// Paths of everything after parents and names have changed.
void write_paths(Configuration& configuration, const std::string& id) {
  auto& resource = configuration.resources.at(id);
  if (resource.parentId)
    resource.path =
        path_below(configuration.resources.at(*resource.parentId).path.value_or("/"), resource.pathPart.value_or(""));
  for (auto& [other_id, other] : configuration.resources) {
    if (other.parentId == id) write_paths(configuration, other_id);
  }
}

constexpr auto kResourceRules = std::to_array<PatchRule>({{"/parentId"}, {"/pathPart"}});

Awaitable<aws::ApiResult<wire::Resource>> update_resource(Core& core, const aws::CallContext& context,
                                                          wire::UpdateResourceRequest request) {
  const auto id = request.resourceId.value_or("");
  ApiEdit edit = [request, id](ApiRecord& record) -> aws::ApiResult<void> {
    auto found = resource_of(record.now, request.resourceId);
    if (!found) return std::unexpected(std::move(found.error()));
    if (!(*found)->parentId) return refuse_input("The root resource cannot be changed");
    auto copy = **found;
    if (auto patched = patch(copy, request.patchOperations, kResourceRules); !patched) return patched;
    const auto parent = copy.parentId.value_or("");
    if (is_below(record.now, parent, id)) return refuse_input("A resource cannot be moved below itself");
    // As if it were made anew at its place, so that the same rules hold.
    auto held = std::move(**found);
    record.now.resources.erase(id);
    auto added = add_below(record.now, parent, copy.pathPart.value_or(""));
    if (!added) return std::unexpected(std::move(added.error()));
    record.now.resources.erase(*added);
    held.parentId = copy.parentId;
    held.pathPart = copy.pathPart;
    record.now.resources[id] = std::move(held);
    write_paths(record.now, id);
    return {};
  };
  auto changed = co_await change_api(core, context, request.restApiId.value_or(""), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return listed((*changed)->now.resources.at(id), Strings());
}

Awaitable<aws::ApiResult<wire::DeleteResource::Response>> delete_resource(Core& core, const aws::CallContext& context,
                                                                          wire::DeleteResourceRequest request) {
  ApiEdit edit = [request](ApiRecord& record) -> aws::ApiResult<void> {
    auto found = resource_of(record.now, request.resourceId);
    if (!found) return std::unexpected(std::move(found.error()));
    if (!(*found)->parentId) return refuse_input("Root resource cannot be deleted");
    const auto top = *(*found)->id;
    Strings gone;
    for (const auto& [id, resource] : record.now.resources) {
      if (is_below(record.now, id, top)) gone.push_back(id);
    }
    for (const auto& id : gone) record.now.resources.erase(id);
    return {};
  };
  auto changed = co_await change_api(core, context, request.restApiId.value_or(""), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return wire::DeleteResource::Response();
}

}  // namespace

const wire::Resource& root_of(const Configuration& configuration) {
  static const wire::Resource kNone;
  for (const auto& [id, resource] : configuration.resources) {
    if (!resource.parentId) return resource;
  }
  return kNone;
}

aws::ApiResult<void> check_path_part(std::string_view part) {
  constexpr std::string_view kWords =
      "Resource's path part only allow a-zA-Z0-9._-: or a valid greedy path variable and curly braces at the beginning "
      "and the end.";
  auto name = part;
  if (name.starts_with('{') && name.ends_with('}')) {
    name = name.substr(1, name.size() - 2);
    if (name.ends_with('+')) name.remove_suffix(1);
  }
  const auto good = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-' || c == ':' || c == '$' || c == '~' || c == '@' || c == ',';
  };
  if (name.empty() || name == "." || name == ".." || !std::ranges::all_of(name, good))
    return refuse_input(std::string(kWords));
  return {};
}

aws::ApiResult<std::string> resource_at(Configuration& configuration, std::string_view path) {
  auto id = root_of(configuration).id.value_or("");
  if (!path.starts_with('/')) return refuse_input(fmt::format("The path {} does not begin with a slash", path));
  path.remove_prefix(1);
  while (!path.empty()) {
    const auto end = std::min(path.find('/'), path.size());
    const std::string part(path.substr(0, end));
    path.remove_prefix(std::min(end + 1, path.size()));
    if (part.empty()) return refuse_input("A path holds an empty segment");
    const auto child = std::ranges::find_if(configuration.resources, [&](const auto& one) {
      return one.second.parentId == id && one.second.pathPart == part;
    });
    if (child != configuration.resources.end()) {
      id = child->first;
      continue;
    }
    auto added = add_below(configuration, id, part);
    if (!added) return added;
    id = std::move(*added);
  }
  return id;
}

void bind_resources(aws::Service& service, Core& core) {
  bind<wire::CreateResource>(service, core, create_resource);
  bind<wire::GetResource>(service, core, get_resource);
  bind<wire::GetResources>(service, core, get_resources);
  bind<wire::UpdateResource>(service, core, update_resource);
  bind<wire::DeleteResource>(service, core, delete_resource);
}

}  // namespace mayfly::apigateway
