// Aliases: names for versions, with a share of the calls sent to a second version.
#include <fmt/core.h>

#include "base/ids.h"
#include "services/lambda/core.h"

namespace mayfly::lambda {
namespace {

using wire::AliasConfiguration;

aws::ApiError alias_missing(const FunctionRecord& function, const std::string& name) {
  return refuse_missing("Cannot find alias arn: " + function.arn(name)).error();
}

aws::ApiResult<void> check_routing(const FunctionRecord& function, const AliasConfiguration& alias) {
  const auto main = alias.FunctionVersion.value_or("");
  if (find_version(function, main) == nullptr)
    return std::unexpected(function_missing(function.place, function.name, main));
  if (!alias.RoutingConfig || !alias.RoutingConfig->AdditionalVersionWeights) return {};
  const auto& weights = *alias.RoutingConfig->AdditionalVersionWeights;
  if (weights.size() > 1)
    return refuse_parameter("Number of items in AdditionalVersionWeights cannot be greater than 1");
  for (const auto& [version, weight] : weights) {
    if (main == kLatest || !is_version_number(version)) {
      return refuse_parameter("$LATEST is not supported for an alias pointing to more than 1 version");
    }
    if (version == main) {
      return refuse_parameter(
          fmt::format("Invalid function version {}. Function version {} is already included in routing configuration.",
                      main, main));
    }
    if (weight < 0 || weight > 1) return refuse_parameter("A weight must lie between 0.0 and 1.0.");
    if (find_version(function, version) == nullptr) {
      return std::unexpected(function_missing(function.place, function.name, version));
    }
  }
  return {};
}

void set_routing(AliasConfiguration& alias, const std::optional<wire::AliasRoutingConfiguration>& routing) {
  if (!routing) return;
  alias.RoutingConfig.reset();
  if (routing->AdditionalVersionWeights && !routing->AdditionalVersionWeights->empty()) alias.RoutingConfig = routing;
}

Awaitable<aws::ApiResult<AliasConfiguration>> create_alias(Core& core, const aws::CallContext& context,
                                                           wire::CreateAliasRequest request) {
  auto found = find_function(core, context, request.FunctionName, std::nullopt);
  if (!found) co_return std::unexpected(std::move(found.error()));
  const auto name = request.Name.value_or("");
  FunctionEdit edit = [request, name](FunctionRecord& function) -> aws::ApiResult<void> {
    if (function.aliases.contains(name)) {
      return refuse(wire::errors::ResourceConflictException, "Alias already exists: " + function.arn(name));
    }
    AliasConfiguration alias;
    alias.AliasArn = function.arn(name);
    alias.Name = name;
    alias.FunctionVersion = request.FunctionVersion;
    alias.Description = request.Description.value_or("");
    alias.RevisionId = uuid4();
    set_routing(alias, request.RoutingConfig);
    if (auto ok = check_routing(function, alias); !ok) return ok;
    function.aliases[name] = std::move(alias);
    return {};
  };
  auto missing = function_missing(found->place, found->name.name, "");
  auto changed = co_await core.tables.change(found->place, found->name.name, std::move(missing), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return (*changed)->aliases.at(name);
}

Awaitable<aws::ApiResult<AliasConfiguration>> update_alias(Core& core, const aws::CallContext& context,
                                                           wire::UpdateAliasRequest request) {
  auto found = find_function(core, context, request.FunctionName, std::nullopt);
  if (!found) co_return std::unexpected(std::move(found.error()));
  const auto name = request.Name.value_or("");
  FunctionEdit edit = [request, name](FunctionRecord& function) -> aws::ApiResult<void> {
    const auto existing = function.aliases.find(name);
    if (existing == function.aliases.end()) {
      return refuse_missing("Alias not found: " + function.arn(name));
    }
    auto alias = existing->second;
    if (request.RevisionId && alias.RevisionId != request.RevisionId) return refuse_revision();
    if (request.FunctionVersion) alias.FunctionVersion = request.FunctionVersion;
    if (request.Description) alias.Description = request.Description;
    set_routing(alias, request.RoutingConfig);
    if (auto ok = check_routing(function, alias); !ok) return ok;
    alias.RevisionId = uuid4();
    existing->second = std::move(alias);
    return {};
  };
  auto missing = function_missing(found->place, found->name.name, "");
  auto changed = co_await core.tables.change(found->place, found->name.name, std::move(missing), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return (*changed)->aliases.at(name);
}

Awaitable<aws::ApiResult<AliasConfiguration>> get_alias(Core& core, const aws::CallContext& context,
                                                        wire::GetAliasRequest request) {
  auto found = find_function(core, context, request.FunctionName, std::nullopt);
  if (!found) co_return std::unexpected(std::move(found.error()));
  const auto alias = found->function->aliases.find(request.Name.value_or(""));
  if (alias == found->function->aliases.end()) {
    co_return std::unexpected(alias_missing(*found->function, request.Name.value_or("")));
  }
  co_return alias->second;
}

Awaitable<aws::ApiResult<wire::ListAliasesResponse>> list_aliases(Core& core, const aws::CallContext& context,
                                                                  wire::ListAliasesRequest request) {
  auto found = find_function(core, context, request.FunctionName, std::nullopt);
  if (!found) co_return std::unexpected(std::move(found.error()));
  std::vector<AliasConfiguration> all;
  for (const auto& [name, alias] : found->function->aliases) {
    if (!request.FunctionVersion || alias.FunctionVersion == request.FunctionVersion) all.push_back(alias);
  }
  const auto key = [](const AliasConfiguration& alias) { return alias.Name.value_or(""); };
  auto [page, next] = page_of(std::move(all), key, request.Marker, request.MaxItems);
  wire::ListAliasesResponse out;
  out.Aliases = std::move(page);
  out.NextMarker = std::move(next);
  co_return out;
}

Awaitable<aws::ApiResult<wire::DeleteAlias::Response>> delete_alias(Core& core, const aws::CallContext& context,
                                                                    wire::DeleteAliasRequest request) {
  auto found = find_function(core, context, request.FunctionName, std::nullopt);
  if (!found) co_return std::unexpected(std::move(found.error()));
  const auto name = request.Name.value_or("");
  // Deleting what is not there is success, as on AWS.
  if (!found->function->aliases.contains(name)) co_return wire::DeleteAlias::Response();
  FunctionEdit edit = [name](FunctionRecord& function) -> aws::ApiResult<void> {
    function.aliases.erase(name);
    function.event_invoke.erase(name);
    function.provisioned.erase(name);
    function.policies.erase(name);  // a URL of the alias stays and answers 403, as on AWS
    return {};
  };
  auto missing = function_missing(found->place, found->name.name, "");
  auto changed = co_await core.tables.change(found->place, found->name.name, std::move(missing), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return wire::DeleteAlias::Response();
}

}  // namespace

void bind_aliases(aws::Service& service, Core& core) {
  bind<wire::CreateAlias>(service, core, create_alias);
  bind<wire::UpdateAlias>(service, core, update_alias);
  bind<wire::GetAlias>(service, core, get_alias);
  bind<wire::ListAliases>(service, core, list_aliases);
  bind<wire::DeleteAlias>(service, core, delete_alias);
}

}  // namespace mayfly::lambda
