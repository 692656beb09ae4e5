// ImportRestApi and PutRestApi.
#include <fmt/core.h>

#include "services/apigateway/compile.h"
#include "services/apigateway/core.h"
#include "services/apigateway/open_api.h"

namespace mayfly::apigateway {
namespace {

constexpr std::size_t kLongestDocument = 6UL * 1024 * 1024;

aws::ApiResult<std::string> checked_body(const std::optional<std::string>& body) {
  if (body.value_or("").size() <= kLongestDocument && !parse_json(body.value_or("")))
    return refuse_input("Invalid OpenAPI input.");
  if (body->size() > kLongestDocument) return refuse_limit("bytes of an imported document", kLongestDocument);
  return *body;
}

// Query parameters of an import; the others of AWS change what is kept of a document in ways that are not here.
aws::ApiResult<std::optional<std::string>> endpoint_type(const std::optional<Pairs>& parameters) {
  std::optional<std::string> type;
  for (const auto& [name, value] : parameters.value_or(Pairs())) {
    if (name == "endpointConfigurationTypes") {
      if (value != "EDGE" && value != "REGIONAL")
        return refuse_unsupported("endpointConfigurationTypes " + value, "there are no VPC endpoints");
      type = value;
    } else if (name == "basepath" && value != "ignore") {
      return refuse_unsupported("basepath " + value, "the base path of a document is ignored");
    } else if (name == "ignore" && value != "documentation") {
      return refuse_unsupported("ignore " + value, "documentation alone is left out");
    }
  }
  return type;
}

aws::ApiResult<OpenApi> read_request(const std::optional<std::string>& body, Configuration base,
                                     bool fail_on_warnings) {
  auto text = checked_body(body);
  if (!text) return std::unexpected(std::move(text.error()));
  auto read = read_open_api(*text, std::move(base));
  if (read && fail_on_warnings && !read->warnings.empty())
    return refuse_input("Warnings found during import: " + read->warnings.front());
  return read;
}

aws::ApiResult<void> take(const OpenApi& document, ApiRecord& record) {
  if (document.own_address_disabled) record.api.disableExecuteApiEndpoint = document.own_address_disabled;
  if (document.configuration.policy) {
    if (auto checked = check_policy(record, *document.configuration.policy); !checked) return checked;
  }
  record.now = document.configuration;
  return {};
}

void describe(const OpenApi& document, ApiRecord& record) {
  record.api.name = document.title;
  if (document.description) record.api.description = document.description;
  if (document.version) record.api.version = document.version;
}

Awaitable<aws::ApiResult<wire::RestApi>> import_api(Core& core, const aws::CallContext& context,
                                                    wire::ImportRestApiRequest request) {
  auto type = endpoint_type(request.parameters);
  if (!type) co_return std::unexpected(std::move(type.error()));
  if (core.apis.list(api_key(context.principal.account, context.region, "")).size() >= kMostApis)
    co_return refuse_limit("RestApis", kMostApis);
  ApiRecord record = new_api(context, core.now());
  auto document = read_request(request.body, record.now, request.failOnWarnings.value_or(false));
  if (!document) co_return std::unexpected(std::move(document.error()));
  const json::object about;
  if (auto allowed = check_roles(context, wire::ImportRestApi::model(), about, roles_of(document->configuration));
      !allowed)
    co_return std::unexpected(std::move(allowed.error()));
  describe(*document, record);
  if (*type) record.api.endpointConfiguration->types = Strings{**type};
  if (auto taken = take(*document, record); !taken) co_return std::unexpected(std::move(taken.error()));
  auto created = co_await core.apis.create(std::move(record));
  if (!created) co_return services::refuse_internal(created.error());
  auto out = shown(**created);
  if (!document->warnings.empty()) out.warnings = document->warnings;
  co_return out;
}

Awaitable<aws::ApiResult<wire::RestApi>> put_api(Core& core, const aws::CallContext& context,
                                                 wire::PutRestApiRequest request) {
  auto type = endpoint_type(request.parameters);
  if (!type) co_return std::unexpected(std::move(type.error()));
  const bool overwrites = request.mode.value_or("merge") == "overwrite";
  const bool strict = request.failOnWarnings.value_or(false);
  // What is no document is one of no API.
  if (const auto body = checked_body(request.body); !body) co_return std::unexpected(body.error());
  auto found = core.api(context, request.restApiId);
  if (!found) co_return std::unexpected(std::move(found.error()));
  json::object about;
  about["restApiId"] = request.restApiId.value_or("");
  auto warnings = std::make_shared<Strings>();
  ApiEdit edit = [request, overwrites, strict, type = *type, warnings, about,
                  &context](ApiRecord& record) -> aws::ApiResult<void> {
    Configuration base = record.now;
    if (overwrites) {
      base = Configuration();
      auto root = root_of(record.now);
      root.resourceMethods.reset();
      base.resources[root.id.value_or("")] = root;
    }
    auto document = read_request(request.body, std::move(base), strict);
    if (!document) return std::unexpected(std::move(document.error()));
    const auto roles = roles_of(document->configuration);
    if (auto allowed = check_roles(context, wire::PutRestApi::model(), about, roles); !allowed) return allowed;
    if (overwrites) describe(*document, record);
    if (type) record.api.endpointConfiguration->types = Strings{*type};
    *warnings = document->warnings;
    return take(*document, record);
  };
  auto changed = co_await change_api(core, context, request.restApiId.value_or(""), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  auto out = shown(**changed);
  if (!warnings->empty()) out.warnings = *warnings;
  co_return out;
}

}  // namespace

void bind_imports(aws::Service& service, Core& core) {
  bind<wire::ImportRestApi>(service, core, import_api);
  bind<wire::PutRestApi>(service, core, put_api);
}

}  // namespace mayfly::apigateway
