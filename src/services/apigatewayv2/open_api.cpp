// ImportApi, ReimportApi and ExportApi.
#include "services/apigatewayv2/open_api_document.h"

namespace mayfly::apigatewayv2 {
namespace {

aws::ApiResult<OpenApi> read_request(const std::optional<std::string>& body, const std::optional<std::string>& basepath,
                                     const std::optional<bool>& fail_on_warnings) {
  if (basepath.value_or("ignore") != "ignore")
    return refuse_unsupported("basepath " + *basepath, "the base path of a document is ignored");
  auto read = read_open_api(body.value_or(""));
  if (read && fail_on_warnings.value_or(false) && !read->warnings.empty())
    return refuse_input("Warnings found during import: " + read->warnings.front());
  return read;
}

// The roles that a document hands to the gateway: may the caller pass them?
aws::ApiResult<void> check_roles(const aws::CallContext& context, const aws::OperationModel& operation,
                                 const std::optional<std::string>& api_id, const Configuration& configuration) {
  std::vector<std::string> roles;
  const auto add = [&](const std::optional<std::string>& role) {
    if (!role.value_or("").empty()) roles.push_back(*role);
  };
  for (const auto& [id, integration] : configuration.integrations) add(integration.CredentialsArn);
  for (const auto& [id, authorizer] : configuration.authorizers) add(authorizer.AuthorizerCredentialsArn);
  json::object request;
  if (api_id) request["ApiId"] = *api_id;
  return services::check_passed_roles(context, wire::service(), operation, std::move(request), "Roles", roles);
}

void apply(const OpenApi& document, ApiRecord& record) {
  record.api.Name = document.title;
  if (document.description) record.api.Description = document.description;
  if (document.version) record.api.Version = document.version;
  if (!document.tags.empty()) record.api.Tags = document.tags;
  record.now = document.configuration;
}

Awaitable<aws::ApiResult<wire::ImportApiResponse>> import_api(Core& core, const aws::CallContext& context,
                                                              wire::ImportApiRequest request) {
  auto document = read_request(request.Body, request.Basepath, request.FailOnWarnings);
  if (!document) co_return std::unexpected(std::move(document.error()));
  auto allowed = check_roles(context, wire::ImportApi::model(), std::nullopt, document->configuration);
  if (!allowed) co_return std::unexpected(std::move(allowed.error()));
  if (core.apis.list(api_key(context.principal.account, context.region, "")).size() >= kMostApis)
    co_return refuse_limit("ApisPerRegion", kMostApis);
  ApiRecord record;
  record.account = context.principal.account;
  record.region = context.region;
  record.api.ApiId = new_id(10);
  record.api.ProtocolType = "HTTP";
  record.api.ApiKeySelectionExpression = "$request.header.x-api-key";
  record.api.RouteSelectionExpression = "$request.method $request.path";
  record.api.DisableExecuteApiEndpoint = false;
  record.api.IpAddressType = "ipv4";
  record.api.CreatedDate = core.now();
  apply(*document, record);
  auto created = co_await core.apis.create(std::move(record));
  if (!created) co_return services::refuse_internal(created.error());
  auto out = converted<wire::ImportApiResponse>(shown(**created, context));
  if (!document->warnings.empty()) out.Warnings = document->warnings;
  co_return out;
}

Awaitable<aws::ApiResult<wire::ReimportApiResponse>> reimport_api(Core& core, const aws::CallContext& context,
                                                                  wire::ReimportApiRequest request) {
  auto document = read_request(request.Body, request.Basepath, request.FailOnWarnings);
  if (!document) co_return std::unexpected(std::move(document.error()));
  auto allowed = check_roles(context, wire::ReimportApi::model(), request.ApiId, document->configuration);
  if (!allowed) co_return std::unexpected(std::move(allowed.error()));
  ApiEdit edit = [held = *document](ApiRecord& record) -> aws::ApiResult<void> {
    if (record.is_web_socket()) return refuse_input("Only HTTP APIs are imported from documents");
    apply(held, record);
    return {};
  };
  auto changed = co_await change_configuration(core, context, request.ApiId.value_or(""), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  auto out = converted<wire::ReimportApiResponse>(shown(**changed, context));
  if (!document->warnings.empty()) out.Warnings = document->warnings;
  co_return out;
}

Awaitable<aws::ApiResult<wire::ExportApiResponse>> export_api(Core& core, const aws::CallContext& context,
                                                              wire::ExportApiRequest request) {
  auto found = core.api(context, request.ApiId);
  if (!found) co_return std::unexpected(std::move(found.error()));
  const auto& record = **found;
  if (record.is_web_socket()) co_return refuse_input("Only HTTP APIs are exported");
  const Configuration* configuration = &record.now;
  std::shared_ptr<const DeploymentRecord> deployed;
  const auto name = request.StageName.value_or("");
  if (request.StageName) {
    const auto stage = record.stages.find(name);
    if (stage == record.stages.end()) co_return refuse_missing("stage");
    if (!stage->second.AutoDeploy.value_or(false)) {
      deployed = core.deployments.find(deployment_key(record.id(), stage->second.DeploymentId.value_or("")));
      if (!deployed) co_return refuse_input("The stage has no deployment");
      configuration = &deployed->configuration;
    }
  }
  const auto endpoint = shown(record, context).ApiEndpoint.value_or("");
  const auto document =
      write_open_api(record, *configuration, endpoint, name, request.IncludeExtensions.value_or(true));
  wire::ExportApiResponse out;
  // JSON is YAML too.
  out.body = to_json(document);
  co_return out;
}

}  // namespace

void bind_open_api(aws::Service& service, Core& core) {
  bind<wire::ImportApi>(service, core, import_api);
  bind<wire::ReimportApi>(service, core, reimport_api);
  bind<wire::ExportApi>(service, core, export_api);
}

}  // namespace mayfly::apigatewayv2
