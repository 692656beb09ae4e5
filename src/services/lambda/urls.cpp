// CreateFunctionUrlConfig and its siblings.
#include <fmt/core.h>

#include "base/ids.h"
#include "base/time_format.h"
#include "services/lambda/core.h"

namespace mayfly::lambda {
namespace {

constexpr std::string_view kGone = "The resource you requested does not exist.";

aws::ApiResult<Found> find_for_url(Core& core, const aws::CallContext& context, const std::optional<std::string>& text,
                                   const std::optional<std::string>& qualifier, std::string_view message) {
  Found found;
  found.place = core.place(context);
  auto name = parse_function_name(text.value_or(""), qualifier, found.place);
  if (!name) return std::unexpected(std::move(name.error()));
  found.name = std::move(*name);
  found.function = core.tables.function(found.place, found.name.name);
  if (!found.function) return refuse_missing(std::string(message));
  return found;
}

// Where clients reach it: the scheme and port of this request, because it came through them.
std::string url_text(const Core& core, const aws::CallContext& context, const std::string& id,
                     const std::string& region) {
  std::string_view host = context.host;
  if (host.empty()) {
    host = core.settings.endpoint_url;
    if (const auto scheme = host.find("://"); scheme != std::string_view::npos) host.remove_prefix(scheme + 3);
  }
  const auto colon = host.rfind(':');
  const bool has_port = colon != std::string_view::npos && host.find(']', colon) == std::string_view::npos;
  const auto port = has_port ? host.substr(colon) : std::string_view();
  return fmt::format("{}://{}.lambda-url.{}.{}{}/", context.tls ? "https" : "http", id, region,
                     core.settings.url_domain, port);
}

template <typename To>
To converted(const wire::FunctionUrlConfig& config) {
  json::object document;
  to_document(config, document);
  To out;
  from_document(document, out);
  return out;
}

Awaitable<aws::ApiResult<wire::CreateFunctionUrlConfigResponse>> create_url(
    Core& core, const aws::CallContext& context, wire::CreateFunctionUrlConfigRequest request) {
  auto found = find_for_url(core, context, request.FunctionName, request.Qualifier, "Function does not exist");
  if (!found) co_return std::unexpected(std::move(found.error()));
  const auto qualifier = found->name.qualifier;
  if (!qualifier.empty() && !found->function->aliases.contains(qualifier)) {
    co_return refuse_missing("Function does not exist");
  }
  UrlRecord url;
  url.id = random_alphanumeric(32);
  url.qualifier = qualifier;
  url.config.FunctionUrl = url_text(core, context, url.id, found->place.region);
  url.config.FunctionArn = found->function->arn(qualifier);
  url.config.AuthType = request.AuthType;
  url.config.Cors = request.Cors;
  url.config.CreationTime = iso8601_millis(core.clock.now());
  url.config.LastModifiedTime = url.config.CreationTime;
  url.config.InvokeMode = request.InvokeMode.value_or("BUFFERED");
  FunctionEdit edit = [url](FunctionRecord& function) -> aws::ApiResult<void> {
    if (function.urls.contains(url.qualifier)) {
      return refuse(wire::errors::ResourceConflictException,
                    fmt::format("Failed to create function url config for [functionArn = {}]. Error message:  "
                                "FunctionUrlConfig exists for this Lambda function",
                                function.arn(url.qualifier)));
    }
    function.urls[url.qualifier] = url;
    return {};
  };
  auto missing = refuse_missing("Function does not exist").error();
  auto changed = co_await core.tables.change(found->place, found->name.name, std::move(missing), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  auto out = converted<wire::CreateFunctionUrlConfigResponse>(url.config);
  if (!request.InvokeMode) out.InvokeMode.reset();  // shown only where it was asked for
  co_return out;
}

Awaitable<aws::ApiResult<wire::UpdateFunctionUrlConfig::Response>> update_url(
    Core& core, const aws::CallContext& context, wire::UpdateFunctionUrlConfigRequest request) {
  auto found = find_for_url(core, context, request.FunctionName, request.Qualifier, "Function does not exist");
  if (!found) co_return std::unexpected(std::move(found.error()));
  const auto qualifier = found->name.qualifier;
  const auto now = iso8601_millis(core.clock.now());
  FunctionEdit edit = [request, qualifier, now](FunctionRecord& function) -> aws::ApiResult<void> {
    const auto url = function.urls.find(qualifier);
    if (url == function.urls.end()) return refuse_missing(std::string(kGone));
    auto& config = url->second.config;
    if (request.AuthType) config.AuthType = request.AuthType;
    if (request.Cors) config.Cors = request.Cors;
    if (request.InvokeMode) config.InvokeMode = request.InvokeMode;
    config.LastModifiedTime = now;
    return {};
  };
  auto missing = refuse_missing("Function does not exist").error();
  auto changed = co_await core.tables.change(found->place, found->name.name, std::move(missing), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  auto out = converted<wire::UpdateFunctionUrlConfig::Response>((*changed)->urls.at(qualifier).config);
  if (!request.InvokeMode) out.InvokeMode.reset();
  co_return out;
}

Awaitable<aws::ApiResult<wire::GetFunctionUrlConfigResponse>> get_url(Core& core, const aws::CallContext& context,
                                                                      wire::GetFunctionUrlConfigRequest request) {
  auto found = find_for_url(core, context, request.FunctionName, request.Qualifier, kGone);
  if (!found) co_return std::unexpected(std::move(found.error()));
  const auto url = found->function->urls.find(found->name.qualifier);
  if (url == found->function->urls.end()) co_return refuse_missing(std::string(kGone));
  co_return converted<wire::GetFunctionUrlConfigResponse>(url->second.config);
}

Awaitable<aws::ApiResult<wire::ListFunctionUrlConfigsResponse>> list_urls(Core& core, const aws::CallContext& context,
                                                                          wire::ListFunctionUrlConfigsRequest request) {
  auto found = find_for_url(core, context, request.FunctionName, std::nullopt, "Function does not exist");
  if (!found) co_return std::unexpected(std::move(found.error()));
  std::vector<wire::FunctionUrlConfig> all;
  for (const auto& [qualifier, url] : found->function->urls) all.push_back(url.config);
  const auto key = [](const wire::FunctionUrlConfig& config) { return config.FunctionArn.value_or(""); };
  auto [page, next] = page_of(std::move(all), key, request.Marker, request.MaxItems);
  wire::ListFunctionUrlConfigsResponse out;
  out.FunctionUrlConfigs = std::move(page);
  out.NextMarker = std::move(next);
  co_return out;
}

Awaitable<aws::ApiResult<wire::DeleteFunctionUrlConfig::Response>> delete_url(
    Core& core, const aws::CallContext& context, wire::DeleteFunctionUrlConfigRequest request) {
  auto found = find_for_url(core, context, request.FunctionName, request.Qualifier, kGone);
  if (!found) co_return std::unexpected(std::move(found.error()));
  const auto qualifier = found->name.qualifier;
  FunctionEdit edit = [qualifier](FunctionRecord& function) -> aws::ApiResult<void> {
    if (function.urls.erase(qualifier) == 0) return refuse_missing(std::string(kGone));
    return {};
  };
  auto missing = refuse_missing(std::string(kGone)).error();
  auto changed = co_await core.tables.change(found->place, found->name.name, std::move(missing), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return wire::DeleteFunctionUrlConfig::Response();
}

}  // namespace

void bind_urls(aws::Service& service, Core& core) {
  bind<wire::CreateFunctionUrlConfig>(service, core, create_url);
  bind<wire::UpdateFunctionUrlConfig>(service, core, update_url);
  bind<wire::GetFunctionUrlConfig>(service, core, get_url);
  bind<wire::ListFunctionUrlConfigs>(service, core, list_urls);
  bind<wire::DeleteFunctionUrlConfig>(service, core, delete_url);
}

}  // namespace mayfly::lambda
