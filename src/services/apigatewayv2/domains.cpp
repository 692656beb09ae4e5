// Custom domain names, and which API and stage their paths lead to.
#include <fmt/core.h>

#include <algorithm>

#include "services/apigatewayv2/core.h"

namespace mayfly::apigatewayv2 {
namespace {

using Configurations = std::vector<wire::DomainNameConfiguration>;

bool is_domain_name(std::string_view name) {
  if (name.starts_with("*.")) name.remove_prefix(2);
  const auto good = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.'; };
  return name.find('.') != std::string_view::npos && !name.starts_with('.') && !name.ends_with('.') &&
         name.find("..") == std::string_view::npos && std::ranges::all_of(name, good);
}

template <typename Request>
aws::ApiResult<void> check_domain(const Request& request) {
  if (request.MutualTlsAuthentication)
    return refuse_unsupported("MutualTlsAuthentication", "client certificates are not implemented");
  if (request.RoutingMode.value_or("API_MAPPING_ONLY") != "API_MAPPING_ONLY")
    return refuse_unsupported("RoutingMode", "routing rules are not implemented");
  if (!request.DomainNameConfigurations) return {};
  for (const auto& one : *request.DomainNameConfigurations) {
    if (one.EndpointType.value_or("REGIONAL") != "REGIONAL")
      return refuse_unsupported("EndpointType EDGE", "HTTP APIs have regional domain names alone");
    if (one.SecurityPolicy.value_or("TLS_1_2") != "TLS_1_2")
      return refuse_unsupported("SecurityPolicy TLS_1_0", "TLS begins with 1.2");
  }
  return {};
}

void complete(DomainRecord& record) {
  record.domain.ApiMappingSelectionExpression = "$request.basepath";
  record.domain.RoutingMode = "API_MAPPING_ONLY";
  record.domain.DomainNameArn =
      fmt::format("arn:aws:apigateway:{}::/domainnames/{}", record.region, record.domain.DomainName.value_or(""));
  if (!record.domain.DomainNameConfigurations || record.domain.DomainNameConfigurations->empty())
    record.domain.DomainNameConfigurations = Configurations(1);
  for (auto& one : *record.domain.DomainNameConfigurations) {
    one.EndpointType = "REGIONAL";
    one.SecurityPolicy = "TLS_1_2";
    one.DomainNameStatus = "AVAILABLE";
    one.ApiGatewayDomainName = "localhost";
  }
}

aws::ApiResult<DomainPtr> domain_of(const Core& core, const aws::CallContext& context,
                                    const std::optional<std::string>& name) {
  auto found = core.domains.find(domain_key(name.value_or("")));
  if (!found || found->account != context.principal.account || found->region != context.region)
    return refuse(wire::errors::NotFoundException, "Invalid domain name identifier specified");
  return found;
}

Awaitable<aws::ApiResult<DomainPtr>> change_domain(Core& core, const aws::CallContext& context, std::string name,
                                                   DomainEdit edit) {
  const std::optional<std::string> wanted = name;
  auto found = domain_of(core, context, wanted);
  if (!found) co_return std::unexpected(std::move(found.error()));
  auto missing = refuse_missing("domain name").error();
  co_return co_await core.domains.change((*found)->key(), std::move(missing), std::move(edit));
}

Awaitable<aws::ApiResult<wire::CreateDomainNameResponse>> create_domain(Core& core, const aws::CallContext& context,
                                                                        wire::CreateDomainNameRequest request) {
  if (auto checked = check_domain(request); !checked) co_return std::unexpected(std::move(checked.error()));
  if (auto checked = check_tags(request.Tags); !checked) co_return std::unexpected(std::move(checked.error()));
  const auto name = request.DomainName.value_or("");
  if (!is_domain_name(name)) co_return refuse_input("Invalid domain name specified");
  if (core.domains.list(std::string(DomainRecord::kPrefix)).size() >= kMostDomains)
    co_return refuse_limit("DomainNamesPerRegion", kMostDomains);
  DomainRecord record;
  record.account = context.principal.account;
  record.region = context.region;
  merge(record.domain, request, {});
  complete(record);
  auto created = co_await core.domains.create(std::move(record));
  if (!created && created.error().code == ErrorCode::kExists)
    co_return refuse(wire::errors::ConflictException, "The domain name you provided already exists.");
  if (!created) co_return services::refuse_internal(created.error());
  co_return converted<wire::CreateDomainNameResponse>((*created)->domain);
}

Awaitable<aws::ApiResult<wire::GetDomainNameResponse>> get_domain(Core& core, const aws::CallContext& context,
                                                                  wire::GetDomainNameRequest request) {
  auto found = domain_of(core, context, request.DomainName);
  if (!found) co_return std::unexpected(std::move(found.error()));
  co_return converted<wire::GetDomainNameResponse>((*found)->domain);
}

Awaitable<aws::ApiResult<wire::GetDomainNamesResponse>> get_domains(Core& core, const aws::CallContext& context,
                                                                    wire::GetDomainNamesRequest request) {
  std::vector<wire::DomainName> all;
  for (const auto& record : core.domains.list(std::string(DomainRecord::kPrefix))) {
    if (record->account == context.principal.account && record->region == context.region) all.push_back(record->domain);
  }
  wire::GetDomainNamesResponse out;
  const auto key_of = [](const wire::DomainName& one) { return one.DomainName.value_or(""); };
  auto paged = page(out, std::move(all), key_of, request);
  if (!paged) co_return std::unexpected(std::move(paged.error()));
  co_return out;
}

Awaitable<aws::ApiResult<wire::UpdateDomainNameResponse>> update_domain(Core& core, const aws::CallContext& context,
                                                                        wire::UpdateDomainNameRequest request) {
  if (auto checked = check_domain(request); !checked) co_return std::unexpected(std::move(checked.error()));
  DomainEdit edit = [request](DomainRecord& record) -> aws::ApiResult<void> {
    merge(record.domain, request, {"DomainName"});
    complete(record);
    return {};
  };
  auto changed = co_await change_domain(core, context, request.DomainName.value_or(""), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return converted<wire::UpdateDomainNameResponse>((*changed)->domain);
}

Awaitable<aws::ApiResult<wire::DeleteDomainName::Response>> delete_domain(Core& core, const aws::CallContext& context,
                                                                          wire::DeleteDomainNameRequest request) {
  auto found = domain_of(core, context, request.DomainName);
  if (!found) co_return std::unexpected(std::move(found.error()));
  auto erased = co_await core.domains.erase((*found)->key());
  if (!erased) co_return services::refuse_internal(erased.error());
  co_return wire::DeleteDomainName::Response();
}

aws::ApiResult<void> check_mapping(const Core& core, const aws::CallContext& context, const DomainRecord& record,
                                   const wire::ApiMapping& mapping) {
  auto api = core.api(context, mapping.ApiId);
  if (!api) return std::unexpected(std::move(api.error()));
  if (!(*api)->stages.contains(mapping.Stage.value_or(""))) return refuse_input("Invalid stage identifier specified");
  const auto key = mapping.ApiMappingKey.value_or("");
  const bool web_socket = (*api)->is_web_socket();
  if (web_socket && key.find('/') != std::string::npos)
    return refuse_input("API mappings of multiple levels are for HTTP APIs and REST APIs");
  const auto good = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("$-_.+!*'()/").find(c) != std::string_view::npos;
  };
  if (key.starts_with('/') || key.ends_with('/') || key.find("//") != std::string::npos ||
      !std::ranges::all_of(key, good))
    return refuse_input("API mapping key should have at least one character and not start or end with '/'");
  for (const auto& [id, other] : record.mappings) {
    if (id != mapping.ApiMappingId && other.ApiMappingKey.value_or("") == key)
      return refuse(wire::errors::ConflictException, "ApiMapping key already exists for this domain name");
    const std::optional<std::string> other_id = other.ApiId;
    const auto other_api = core.api(context, other_id);
    if (id != mapping.ApiMappingId && other_api && (*other_api)->is_web_socket() != web_socket)
      return refuse_input("WebSocket APIs cannot be mapped to a domain name together with other APIs");
  }
  return {};
}

Awaitable<aws::ApiResult<wire::CreateApiMappingResponse>> create_mapping(Core& core, const aws::CallContext& context,
                                                                         wire::CreateApiMappingRequest request) {
  const auto id = new_id(6);
  DomainEdit edit = [&core, &context, request, id](DomainRecord& record) -> aws::ApiResult<void> {
    if (record.mappings.size() >= kMostMappings) return refuse_limit("ApiMappingsPerDomain", kMostMappings);
    wire::ApiMapping mapping;
    merge(mapping, request, {"DomainName"});
    mapping.ApiMappingId = id;
    mapping.ApiMappingKey = request.ApiMappingKey.value_or("");
    if (auto checked = check_mapping(core, context, record, mapping); !checked) return checked;
    record.mappings[id] = std::move(mapping);
    return {};
  };
  auto changed = co_await change_domain(core, context, request.DomainName.value_or(""), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return converted<wire::CreateApiMappingResponse>((*changed)->mappings.at(id));
}

Awaitable<aws::ApiResult<wire::GetApiMappingResponse>> get_mapping(Core& core, const aws::CallContext& context,
                                                                   wire::GetApiMappingRequest request) {
  auto found = domain_of(core, context, request.DomainName);
  if (!found) co_return std::unexpected(std::move(found.error()));
  const auto mapping = (*found)->mappings.find(request.ApiMappingId.value_or(""));
  if (mapping == (*found)->mappings.end()) co_return refuse_missing("ApiMapping");
  co_return converted<wire::GetApiMappingResponse>(mapping->second);
}

Awaitable<aws::ApiResult<wire::GetApiMappingsResponse>> get_mappings(Core& core, const aws::CallContext& context,
                                                                     wire::GetApiMappingsRequest request) {
  auto found = domain_of(core, context, request.DomainName);
  if (!found) co_return std::unexpected(std::move(found.error()));
  std::vector<wire::ApiMapping> all;
  for (const auto& [id, mapping] : (*found)->mappings) all.push_back(mapping);
  wire::GetApiMappingsResponse out;
  const auto key_of = [](const wire::ApiMapping& one) { return one.ApiMappingId.value_or(""); };
  auto paged = page(out, std::move(all), key_of, request);
  if (!paged) co_return std::unexpected(std::move(paged.error()));
  co_return out;
}

Awaitable<aws::ApiResult<wire::UpdateApiMappingResponse>> update_mapping(Core& core, const aws::CallContext& context,
                                                                         wire::UpdateApiMappingRequest request) {
  const auto id = request.ApiMappingId.value_or("");
  DomainEdit edit = [&core, &context, request, id](DomainRecord& record) -> aws::ApiResult<void> {
    const auto mapping = record.mappings.find(id);
    if (mapping == record.mappings.end()) return refuse_missing("ApiMapping");
    auto copy = mapping->second;
    merge(copy, request, {"DomainName", "ApiMappingId"});
    if (auto checked = check_mapping(core, context, record, copy); !checked) return checked;
    mapping->second = std::move(copy);
    return {};
  };
  auto changed = co_await change_domain(core, context, request.DomainName.value_or(""), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return converted<wire::UpdateApiMappingResponse>((*changed)->mappings.at(id));
}

Awaitable<aws::ApiResult<wire::DeleteApiMapping::Response>> delete_mapping(Core& core, const aws::CallContext& context,
                                                                           wire::DeleteApiMappingRequest request) {
  DomainEdit edit = [id = request.ApiMappingId.value_or("")](DomainRecord& record) -> aws::ApiResult<void> {
    if (record.mappings.erase(id) == 0) return refuse_missing("ApiMapping");
    return {};
  };
  auto changed = co_await change_domain(core, context, request.DomainName.value_or(""), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return wire::DeleteApiMapping::Response();
}

}  // namespace

void bind_domains(aws::Service& service, Core& core) {
  bind<wire::CreateDomainName>(service, core, create_domain);
  bind<wire::GetDomainName>(service, core, get_domain);
  bind<wire::GetDomainNames>(service, core, get_domains);
  bind<wire::UpdateDomainName>(service, core, update_domain);
  bind<wire::DeleteDomainName>(service, core, delete_domain);
  bind<wire::CreateApiMapping>(service, core, create_mapping);
  bind<wire::GetApiMapping>(service, core, get_mapping);
  bind<wire::GetApiMappings>(service, core, get_mappings);
  bind<wire::UpdateApiMapping>(service, core, update_mapping);
  bind<wire::DeleteApiMapping>(service, core, delete_mapping);
}

}  // namespace mayfly::apigatewayv2
