// CreateFunction, UpdateFunctionCode, UpdateFunctionConfiguration, GetFunction, GetFunctionConfiguration,
// ListFunctions, DeleteFunction, GetFunctionCodeSigningConfig, recursion and runtime management.
//
// Code is checked, unpacked and stored before the record is written, so a function is runnable when it is acknowledged.
// The answers still say Pending and InProgress, as AWS's do: clients wait for the states that a next read shows.
#include <fmt/core.h>

#include "base/ids.h"
#include "base/time_format.h"
#include "services/lambda/configuration.h"

namespace mayfly::lambda {

// Defined in versions.cpp.
VersionRecord publish(FunctionRecord& function, const std::optional<std::string>& description, const Clock& clock);

namespace {

using wire::FunctionConfiguration;

template <typename Code>
aws::ApiResult<void> check_code_source(const Code& code) {
  if (code.ImageUri) return refuse_unsupported("ImageUri", "functions are zip packages, not container images");
  if (code.S3Bucket || code.S3Key || code.S3ObjectVersion) {
    return refuse_unsupported("S3Bucket", "packages are given inline as ZipFile");
  }
  if (code.SourceKMSKeyArn) return refuse_unsupported("SourceKMSKeyArn", "packages are not encrypted");
  if (!code.ZipFile) return refuse_parameter("Please provide a source for function code.");
  return {};
}

void set_code(VersionRecord& version, const StoredCode& code) {
  version.code_sha = code.sha_hex;
  version.config.CodeSha256 = code.sha_base64;
  version.config.CodeSize = code.bytes;
}

void touch(FunctionRecord& function, const Clock& clock) {
  function.latest.config.RevisionId = uuid4();
  function.latest.config.LastModified = iso8601_millis_offset(clock.now());
  function.latest.content = content_of(function, function.latest);
}

void show_pending(FunctionConfiguration& config) {
  config.State = "Pending";
  config.StateReason = "The function is being created.";
  config.StateReasonCode = "Creating";
  config.LastUpdateStatus.reset();
}

void show_in_progress(FunctionConfiguration& config) {
  config.LastUpdateStatus = "InProgress";
  config.LastUpdateStatusReason = "The function is being created.";
  config.LastUpdateStatusReasonCode = "Creating";
}

aws::ApiResult<void> check_create(const Core& core, const wire::CreateFunctionRequest& request) {
  if (request.PackageType.value_or("Zip") != "Zip") {
    return refuse_unsupported("PackageType Image", "functions are zip packages");
  }
  if (!request.Code) return refuse_parameter("Please provide a source for function code.");
  if (auto ok = check_code_source(*request.Code); !ok) return ok;
  if (!request.Runtime) return refuse_parameter("Runtime is mandatory for functions created with deployment packages.");
  if (!request.Handler) return refuse_parameter("Handler is mandatory for functions created with deployment packages.");
  if (auto ok = check_architectures(request.Architectures); !ok) return ok;
  if (request.CodeSigningConfigArn) return refuse_unsupported("CodeSigningConfigArn", "code is not verified");
  if (request.PublishTo) return refuse_unsupported("PublishTo", "only numbered versions are published");
  if (request.TenancyConfig) return refuse_unsupported("TenancyConfig", "instances are not kept apart by tenant");
  if (request.Tags) {
    if (auto ok = check_tags(*request.Tags); !ok) return ok;
  }
  if (auto ok = check_log_levels(settings_of(request), std::nullopt); !ok) return ok;
  return check_settings(core, settings_of(request));
}

Awaitable<aws::ApiResult<FunctionConfiguration>> create_function(Core& core, const aws::CallContext& context,
                                                                 wire::CreateFunctionRequest request) {
  const auto place = core.place(context);
  auto name = parse_function_name(request.FunctionName.value_or(""), std::nullopt, place);
  if (!name) co_return std::unexpected(std::move(name.error()));
  if (auto ok = check_create(core, request); !ok) co_return std::unexpected(std::move(ok.error()));
  if (core.tables.function(place, name->name)) {
    co_return refuse(wire::errors::ResourceConflictException, "Function already exist: " + name->name);
  }
  FunctionRecord record;
  record.place = place;
  record.name = name->name;
  record.incarnation = uuid4();
  if (request.Tags) record.tags = *request.Tags;
  auto& config = record.latest.config;
  apply_settings(settings_of(request), config);
  fill_defaults(record.name, place, config);
  if (request.Layers && !request.Layers->empty()) {
    auto layers = resolve_layers(core, place, *request.Layers);
    if (!layers) co_return std::unexpected(std::move(layers.error()));
    config.Layers = std::move(layers->shown);
    record.latest.layer_shas = std::move(layers->shas);
  }
  auto code = co_await store_code(core, std::move(*request.Code->ZipFile));
  if (!code) co_return std::unexpected(std::move(code.error()));
  set_code(record.latest, *code);
  touch(record, core.clock);
  const bool publish_now = request.Publish.value_or(false);
  if (publish_now) publish(record, std::nullopt, core.clock);
  auto created = co_await core.tables.create(std::move(record));
  if (!created) co_return std::unexpected(std::move(created.error()));
  const auto& function = **created;
  if (const auto target = core.tables.target(function.place, function.name, std::string(kLatest))) {
    core.invoker.expect(*target);
  }
  auto answer = publish_now ? shown(function, function.versions.at(1), "1") : shown(function, function.latest, "");
  show_pending(answer);
  // AWS changes the revision once more when the function becomes active; so the first one is of no use, as there.
  if (!publish_now) answer.RevisionId = uuid4();
  co_return answer;
}

Awaitable<aws::ApiResult<FunctionConfiguration>> update_function_code(Core& core, const aws::CallContext& context,
                                                                      wire::UpdateFunctionCodeRequest request) {
  auto found = find_function(core, context, request.FunctionName, std::nullopt);
  if (!found) co_return std::unexpected(std::move(found.error()));
  const auto revision = request.RevisionId;
  if (revision && found->function->latest.config.RevisionId != revision) co_return refuse_revision();
  if (auto ok = check_code_source(request); !ok) co_return std::unexpected(std::move(ok.error()));
  if (auto ok = check_architectures(request.Architectures); !ok) co_return std::unexpected(std::move(ok.error()));
  if (request.PublishTo) co_return refuse_unsupported("PublishTo", "only numbered versions are published");
  auto code = co_await store_code(core, std::move(*request.ZipFile));
  if (!code) co_return std::unexpected(std::move(code.error()));
  if (request.DryRun.value_or(false)) {
    auto copy = found->function->latest;
    set_code(copy, *code);
    co_return shown(*found->function, copy, "");
  }
  const bool publish_now = request.Publish.value_or(false);
  const auto stored = *code;
  Clock& clock = core.clock;
  FunctionEdit edit = [stored, publish_now, revision, &clock](FunctionRecord& function) -> aws::ApiResult<void> {
    if (revision && function.latest.config.RevisionId != revision) return refuse_revision();
    set_code(function.latest, stored);
    touch(function, clock);
    if (publish_now) publish(function, std::nullopt, clock);
    return {};
  };
  auto missing = function_missing(found->place, found->name.name, "");
  auto changed = co_await core.tables.change(found->place, found->name.name, std::move(missing), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  const auto& function = **changed;
  if (publish_now && !function.versions.empty()) {
    const auto& newest = *function.versions.rbegin();
    co_return shown_now(core, function, newest.second, std::to_string(newest.first));
  }
  auto answer = shown(function, function.latest, "");
  show_in_progress(answer);
  answer.RevisionId = uuid4();
  co_return answer;
}

Awaitable<aws::ApiResult<FunctionConfiguration>> update_function_configuration(
    Core& core, const aws::CallContext& context, wire::UpdateFunctionConfigurationRequest request) {
  auto found = find_function(core, context, request.FunctionName, std::nullopt);
  if (!found) co_return std::unexpected(std::move(found.error()));
  const auto revision = request.RevisionId;
  if (revision && found->function->latest.config.RevisionId != revision) co_return refuse_revision();
  if (auto ok = check_settings(core, settings_of(request)); !ok) co_return std::unexpected(std::move(ok.error()));
  std::optional<ResolvedLayers> layers;
  if (request.Layers) {
    auto resolved = resolve_layers(core, found->place, *request.Layers);
    if (!resolved) co_return std::unexpected(std::move(resolved.error()));
    layers = std::move(*resolved);
  }
  Clock& clock = core.clock;
  FunctionEdit edit = [request, layers, revision, &clock](FunctionRecord& function) -> aws::ApiResult<void> {
    auto& config = function.latest.config;
    if (revision && config.RevisionId != revision) return refuse_revision();
    if (auto ok = check_log_levels(settings_of(request), config.LoggingConfig); !ok) return ok;
    apply_settings(settings_of(request), config);
    if (layers) {
      function.latest.layer_shas = layers->shas;
      config.Layers.reset();
      if (!layers->shown.empty()) config.Layers = layers->shown;
    }
    fill_defaults(function.name, function.place, config);
    touch(function, clock);
    return {};
  };
  auto missing = function_missing(found->place, found->name.name, "");
  auto changed = co_await core.tables.change(found->place, found->name.name, std::move(missing), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  auto answer = shown(**changed, (*changed)->latest, "");
  show_in_progress(answer);
  answer.RevisionId = uuid4();
  co_return answer;
}

Awaitable<aws::ApiResult<wire::GetFunctionResponse>> get_function(Core& core, const aws::CallContext& context,
                                                                  wire::GetFunctionRequest request) {
  auto found = find_function(core, context, request.FunctionName, request.Qualifier);
  if (!found) co_return std::unexpected(std::move(found.error()));
  const auto& function = *found->function;
  const auto& qualifier = found->name.qualifier;
  const auto* version = find_version(function, qualifier);
  if (version == nullptr) co_return std::unexpected(function_missing(found->place, function.name, qualifier));
  wire::GetFunctionResponse out;
  out.Configuration = shown_now(core, function, *version, qualifier);
  auto& code = out.Code.emplace();
  code.RepositoryType = "S3";
  code.Location = code_link(core, context, version->code_sha);
  if (!function.tags.empty()) out.Tags = function.tags;
  if (function.reserved_concurrency) {
    out.Concurrency.emplace().ReservedConcurrentExecutions = function.reserved_concurrency;
  }
  co_return out;
}

Awaitable<aws::ApiResult<FunctionConfiguration>> get_function_configuration(
    Core& core, const aws::CallContext& context, wire::GetFunctionConfigurationRequest request) {
  auto found = find_function(core, context, request.FunctionName, request.Qualifier);
  if (!found) co_return std::unexpected(std::move(found.error()));
  const auto& qualifier = found->name.qualifier;
  const auto* version = find_version(*found->function, qualifier);
  if (version == nullptr) co_return std::unexpected(function_missing(found->place, found->name.name, qualifier));
  co_return shown_now(core, *found->function, *version, qualifier);
}

Awaitable<aws::ApiResult<wire::ListFunctionsResponse>> list_functions(Core& core, const aws::CallContext& context,
                                                                      wire::ListFunctionsRequest request) {
  struct Item {
    std::string key;
    FunctionConfiguration config;
  };
  const bool all = request.FunctionVersion.has_value();
  std::vector<Item> items;
  for (const auto& function : core.tables.functions(core.place(context))) {
    const auto latest = all ? std::string(kLatest) : std::string();
    items.push_back({.key = function->name, .config = listed(*function, function->latest, latest)});
    if (!all) continue;
    for (const auto& [id, version] : function->versions) {
      items.push_back({.key = fmt::format("{}:{:020}", function->name, id),
                       .config = listed(*function, version, std::to_string(id))});
    }
  }
  std::sort(items.begin(), items.end(), [](const Item& a, const Item& b) { return a.key < b.key; });
  auto [page, next] =
      page_of(std::move(items), [](const Item& item) { return item.key; }, request.Marker, request.MaxItems);
  wire::ListFunctionsResponse out;
  out.Functions.emplace();
  for (auto& item : page) out.Functions->push_back(std::move(item.config));
  out.NextMarker = std::move(next);
  co_return out;
}

aws::ApiResult<void> erase_version(FunctionRecord& function, const std::string& qualifier) {
  const auto* version = find_version(function, qualifier);
  if (version == nullptr) return {};  // AWS answers 204 for a version that is gone
  for (const auto& [name, alias] : function.aliases) {
    bool used = alias.FunctionVersion == qualifier;
    if (alias.RoutingConfig && alias.RoutingConfig->AdditionalVersionWeights) {
      for (const auto& [other, weight] : *alias.RoutingConfig->AdditionalVersionWeights) used |= other == qualifier;
    }
    if (used) {
      return refuse(wire::errors::ResourceConflictException,
                    fmt::format("Version {} of function {} is used by alias {} and cannot be deleted.", qualifier,
                                function.name, name));
    }
  }
  std::erase_if(function.versions, [&](const auto& item) { return std::to_string(item.first) == qualifier; });
  function.provisioned.erase(qualifier);
  function.policies.erase(qualifier);
  function.event_invoke.erase(qualifier);
  return {};
}

Awaitable<aws::ApiResult<wire::DeleteFunctionResponse>> delete_function(Core& core, const aws::CallContext& context,
                                                                        wire::DeleteFunctionRequest request) {
  const auto place = core.place(context);
  auto name = parse_function_name(request.FunctionName.value_or(""), request.Qualifier, place);
  if (!name) co_return std::unexpected(std::move(name.error()));
  const auto qualifier = name->qualifier;
  if (qualifier == kLatest) {
    co_return refuse_parameter("$LATEST version cannot be deleted without deleting the function.");
  }
  if (!qualifier.empty() && !is_version_number(qualifier)) {
    co_return refuse_parameter("Deletion of aliases is not currently supported.");
  }
  auto missing = function_missing(place, name->name, qualifier);
  if (qualifier.empty()) {
    auto erased = co_await core.tables.erase(place, name->name, std::move(missing));
    if (!erased) co_return std::unexpected(std::move(erased.error()));
  } else {
    FunctionEdit edit = [qualifier](FunctionRecord& function) { return erase_version(function, qualifier); };
    auto changed = co_await core.tables.change(place, name->name, std::move(missing), std::move(edit));
    if (!changed) co_return std::unexpected(std::move(changed.error()));
  }
  wire::DeleteFunctionResponse out;
  out.StatusCode = 204;
  co_return out;
}

Awaitable<aws::ApiResult<wire::GetFunctionCodeSigningConfigResponse>> get_code_signing(
    Core& core, const aws::CallContext& context, wire::GetFunctionCodeSigningConfigRequest request) {
  auto found = find_function(core, context, request.FunctionName, std::nullopt);
  if (!found) co_return std::unexpected(std::move(found.error()));
  wire::GetFunctionCodeSigningConfigResponse out;
  out.CodeSigningConfigArn = "";
  out.FunctionName = found->name.name;
  co_return out;
}

Awaitable<aws::ApiResult<wire::GetFunctionRecursionConfigResponse>> get_recursion(
    Core& core, const aws::CallContext& context, wire::GetFunctionRecursionConfigRequest request) {
  auto found = find_function(core, context, request.FunctionName, std::nullopt);
  if (!found) co_return std::unexpected(std::move(found.error()));
  wire::GetFunctionRecursionConfigResponse out;
  out.RecursiveLoop = found->function->recursive_loop;
  co_return out;
}

Awaitable<aws::ApiResult<wire::PutFunctionRecursionConfigResponse>> put_recursion(
    Core& core, const aws::CallContext& context, wire::PutFunctionRecursionConfigRequest request) {
  auto found = find_function(core, context, request.FunctionName, std::nullopt);
  if (!found) co_return std::unexpected(std::move(found.error()));
  const auto wanted = request.RecursiveLoop.value_or("Terminate");
  FunctionEdit edit = [wanted](FunctionRecord& function) -> aws::ApiResult<void> {
    function.recursive_loop = wanted;
    return {};
  };
  auto missing = function_missing(found->place, found->name.name, "");
  auto changed = co_await core.tables.change(found->place, found->name.name, std::move(missing), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  wire::PutFunctionRecursionConfigResponse out;
  out.RecursiveLoop = wanted;
  co_return out;
}

}  // namespace

void bind_functions(aws::Service& service, Core& core) {
  bind<wire::CreateFunction>(service, core, create_function);
  bind<wire::UpdateFunctionCode>(service, core, update_function_code);
  bind<wire::UpdateFunctionConfiguration>(service, core, update_function_configuration);
  bind<wire::GetFunction>(service, core, get_function);
  bind<wire::GetFunctionConfiguration>(service, core, get_function_configuration);
  bind<wire::ListFunctions>(service, core, list_functions);
  bind<wire::DeleteFunction>(service, core, delete_function);
  bind<wire::GetFunctionCodeSigningConfig>(service, core, get_code_signing);
  bind<wire::GetFunctionRecursionConfig>(service, core, get_recursion);
  bind<wire::PutFunctionRecursionConfig>(service, core, put_recursion);
}

}  // namespace mayfly::lambda
