// Provisioned concurrency: how many initialised instances are kept of an alias or a published version. The record holds
// the wish, Tables passes it to dispatch, and the state is what dispatch has of it at the moment of asking.
#include <fmt/core.h>

#include <algorithm>

#include "base/time_format.h"
#include "services/lambda/core.h"

namespace mayfly::lambda {
namespace {

constexpr std::string_view kUnpublished = "The function resource provided must be an alias or a published version.";

struct Published {
  Place place;
  std::string function;
  std::string qualifier;
  FunctionPtr record;
};

// The function, and that the qualifier is an alias or a published version of it.
aws::ApiResult<Published> find_published(Core& core, const aws::CallContext& context,
                                         const std::optional<std::string>& text,
                                         const std::optional<std::string>& qualifier, std::string_view latest_refusal) {
  Published out;
  out.place = core.place(context);
  const auto name = parse_function_name(text.value_or(""), qualifier, out.place);
  if (!name) return std::unexpected(name.error());
  if (name->qualifier.empty() || name->qualifier == kLatest) return refuse_parameter(std::string(latest_refusal));
  out.function = name->name;
  out.qualifier = name->qualifier;
  out.record = core.tables.function(out.place, name->name);
  if (out.record && find_version(*out.record, name->qualifier) != nullptr) return out;
  if (is_version_number(name->qualifier)) {
    return std::unexpected(function_missing(out.place, name->name, name->qualifier));
  }
  return refuse_missing("Cannot find alias arn: " + function_arn(out.place, name->name, name->qualifier));
}

std::string version_of(const FunctionRecord& function, const std::string& qualifier) {
  const auto alias = function.aliases.find(qualifier);
  return alias == function.aliases.end() ? qualifier : alias->second.FunctionVersion.value_or("");
}

template <typename Shown>
void show(Core& core, const FunctionRecord& function, const std::string& qualifier, const ProvisionedRecord& config,
          Shown& out) {
  out.RequestedProvisionedConcurrentExecutions = config.count;
  out.LastModified = config.last_modified;
  dispatch::ProvisionedState state;
  const auto target = core.tables.target(function.place, function.name, version_of(function, qualifier));
  if (target) state = core.invoker.provisioned(*target);
  const auto at_most = static_cast<std::uint32_t>(config.count);
  out.AllocatedProvisionedConcurrentExecutions = static_cast<std::int32_t>(std::min(state.allocated, at_most));
  out.AvailableProvisionedConcurrentExecutions = static_cast<std::int32_t>(std::min(state.available, at_most));
  if (state.allocated >= at_most) {
    out.Status = "READY";
  } else {
    out.Status = state.failed ? "FAILED" : "IN_PROGRESS";
    if (state.failed) out.StatusReason = "FUNCTION_ERROR_INIT_FAILURE";
  }
}

Awaitable<aws::ApiResult<wire::GetProvisionedConcurrencyConfigResponse>> get_provisioned(
    Core& core, const aws::CallContext& context, wire::GetProvisionedConcurrencyConfigRequest request) {
  auto named = find_published(core, context, request.FunctionName, request.Qualifier, kUnpublished);
  if (!named) co_return std::unexpected(std::move(named.error()));
  const auto config = named->record->provisioned.find(named->qualifier);
  if (config == named->record->provisioned.end()) {
    co_return refuse(wire::errors::ProvisionedConcurrencyConfigNotFoundException,
                     "No Provisioned Concurrency Config found for this function");
  }
  wire::GetProvisionedConcurrencyConfigResponse out;
  show(core, *named->record, named->qualifier, config->second, out);
  co_return out;
}

Awaitable<aws::ApiResult<wire::DeleteProvisionedConcurrencyConfig::Response>> delete_provisioned(
    Core& core, const aws::CallContext& context, wire::DeleteProvisionedConcurrencyConfigRequest request) {
  auto named = find_published(core, context, request.FunctionName, request.Qualifier, kUnpublished);
  if (!named) co_return std::unexpected(std::move(named.error()));
  if (named->record->provisioned.contains(named->qualifier)) {
    FunctionEdit edit = [qualifier = named->qualifier](FunctionRecord& function) -> aws::ApiResult<void> {
      function.provisioned.erase(qualifier);
      return {};
    };
    auto missing = function_missing(named->place, named->function, "");
    auto changed = co_await core.tables.change(named->place, named->function, std::move(missing), std::move(edit));
    if (!changed) co_return std::unexpected(std::move(changed.error()));
  }
  co_return wire::DeleteProvisionedConcurrencyConfig::Response();
}

// What stands against it in the record as it is.
aws::ApiResult<void> check_put(const FunctionRecord& function, const std::string& qualifier, std::int32_t count) {
  const auto* version = find_version(function, qualifier);
  if (version != nullptr && version->config.SnapStart && version->config.SnapStart->ApplyOn == "PublishedVersions") {
    return refuse_parameter("Provisioned Concurrency is not supported for functions enabled with SnapStart.");
  }
  const auto alias = function.aliases.find(qualifier);
  if (alias != function.aliases.end()) {
    const auto& routing = alias->second.RoutingConfig;
    if (routing && routing->AdditionalVersionWeights && !routing->AdditionalVersionWeights->empty()) {
      return refuse_unsupported("Provisioned concurrency of an alias with weights",
                                "which version an invocation runs is chosen for each invocation");
    }
    if (function.provisioned.contains(version_of(function, qualifier))) {
      return refuse(wire::errors::ResourceConflictException,
                    "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version");
    }
  } else {
    for (const auto& [other, config] : function.provisioned) {
      if (other != qualifier && version_of(function, other) == qualifier) {
        return refuse(wire::errors::ResourceConflictException, "Version is pointed by a Provisioned Concurrency alias");
      }
    }
  }
  if (function.reserved_concurrency && count > *function.reserved_concurrency) {
    return refuse_parameter(
        "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function");
  }
  return {};
}

Awaitable<aws::ApiResult<wire::PutProvisionedConcurrencyConfigResponse>> put_provisioned(
    Core& core, const aws::CallContext& context, wire::PutProvisionedConcurrencyConfigRequest request) {
  auto named = find_published(core, context, request.FunctionName, request.Qualifier,
                              "Provisioned Concurrency Configs cannot be applied to unpublished function versions.");
  if (!named) co_return std::unexpected(std::move(named.error()));
  ProvisionedRecord config;
  config.count = request.ProvisionedConcurrentExecutions.value_or(0);
  config.last_modified = iso8601_millis_offset(core.clock.now());
  if (config.count > static_cast<std::int32_t>(core.settings.account_concurrency)) {
    co_return refuse_parameter(fmt::format(
        "Specified ConcurrentExecutions for function is greater than account's unreserved concurrency [{}].",
        core.settings.account_concurrency));
  }
  FunctionEdit edit = [qualifier = named->qualifier, config](FunctionRecord& function) -> aws::ApiResult<void> {
    if (auto checked = check_put(function, qualifier, config.count); !checked) return checked;
    function.provisioned[qualifier] = config;
    return {};
  };
  auto missing = function_missing(named->place, named->function, "");
  auto changed = co_await core.tables.change(named->place, named->function, std::move(missing), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  // As on AWS the first answer is of what has been asked for; how far it is, Get tells.
  wire::PutProvisionedConcurrencyConfigResponse out;
  out.RequestedProvisionedConcurrentExecutions = config.count;
  out.AllocatedProvisionedConcurrentExecutions = 0;
  out.AvailableProvisionedConcurrentExecutions = 0;
  out.Status = "IN_PROGRESS";
  out.LastModified = config.last_modified;
  co_return out;
}

Awaitable<aws::ApiResult<wire::ListProvisionedConcurrencyConfigsResponse>> list_provisioned(
    Core& core, const aws::CallContext& context, wire::ListProvisionedConcurrencyConfigsRequest request) {
  auto found = find_function(core, context, request.FunctionName, std::nullopt);
  if (!found) co_return std::unexpected(std::move(found.error()));
  wire::ListProvisionedConcurrencyConfigsResponse out;
  auto& list = out.ProvisionedConcurrencyConfigs.emplace();
  for (const auto& [qualifier, config] : found->function->provisioned) {
    auto& item = list.emplace_back();
    item.FunctionArn = found->function->arn(qualifier);
    show(core, *found->function, qualifier, config, item);
  }
  co_return out;
}

}  // namespace

void bind_provisioned(aws::Service& service, Core& core) {
  bind<wire::GetProvisionedConcurrencyConfig>(service, core, get_provisioned);
  bind<wire::DeleteProvisionedConcurrencyConfig>(service, core, delete_provisioned);
  bind<wire::PutProvisionedConcurrencyConfig>(service, core, put_provisioned);
  bind<wire::ListProvisionedConcurrencyConfigs>(service, core, list_provisioned);
}

}  // namespace mayfly::lambda
