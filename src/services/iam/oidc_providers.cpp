// OpenID Connect providers: issuers whose tokens AssumeRoleWithWebIdentity takes. Thumbprints are kept and shown; an
// issuer's certificate is checked against the system's authorities.
#include <algorithm>

#include "services/iam/shown.h"

namespace mayfly::iam {
namespace {

constexpr std::size_t kMostProviders = 100;  // of an account
constexpr std::size_t kMostClients = 100;
constexpr std::size_t kMostThumbprints = 5;
constexpr std::size_t kThumbprint = 40;

using Strings = std::vector<std::string>;
using ProviderEdit = services::RecordTable<OidcProvider>::Edit;

aws::ApiError missing_provider(const std::string& arn) {
  return refuse(wire::errors::NoSuchEntityException, fmt::format("OpenIDConnect Provider not found for arn {}", arn))
      .error();
}

std::string key_of_arn(const aws::CallContext& context, const std::string& arn) {
  const auto start = fmt::format("arn:aws:iam::{}:oidc-provider/", context.principal.account);
  return arn.starts_with(start) ? oidc_provider_key(context.principal.account, arn.substr(start.size()))
                                : std::string(OidcProvider::kPrefix);
}

aws::ApiResult<void> check_thumbprints(const Strings& thumbprints) {
  const auto hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); };
  if (thumbprints.size() > kMostThumbprints)
    return refuse(wire::errors::InvalidInputException, "Thumbprint list must contain fewer than 5 entries.");
  for (const auto& one : thumbprints) {
    if (one.size() != kThumbprint || !std::ranges::all_of(one, hex))
      return refuse(wire::errors::InvalidInputException, "Thumbprint must be 40 hexadecimal characters.");
  }
  return {};
}

// https, or plain HTTP on this machine: keys that come over it elsewhere are anybody's on the way.
bool is_issuer(const std::string& url) {
  const auto is_here = [&](std::string_view start) {
    return url.starts_with(start) &&
           (url.size() == start.size() || url[start.size()] == ':' || url[start.size()] == '/');
  };
  const bool good = url.starts_with("https://") || is_here("http://127.0.0.1") || is_here("http://localhost");
  return good && url.find_first_of("?# \r\n") == std::string::npos && !url.ends_with("://");
}

Awaitable<aws::ApiResult<wire::CreateOpenIDConnectProviderResponse>> create_provider(
    Core& core, const aws::CallContext& context, wire::CreateOpenIDConnectProviderRequest request) {
  OidcProvider provider;
  provider.account = context.principal.account;
  provider.url = request.Url.value_or("");
  provider.client_ids = request.ClientIDList.value_or(Strings());
  provider.thumbprints = request.ThumbprintList.value_or(Strings());
  provider.created = core.now();
  if (!is_issuer(provider.url))
    co_return refuse(wire::errors::InvalidInputException, "Invalid Open ID Connect Provider URL");
  if (provider.client_ids.size() > kMostClients)
    co_return refuse(wire::errors::LimitExceededException,
                     "Cannot exceed quota for ClientIdsPerOpenIdConnectProvider: 100");
  if (auto checked = check_thumbprints(provider.thumbprints); !checked)
    co_return std::unexpected(std::move(checked.error()));
  auto tags = read_tags(request.Tags);
  if (!tags) co_return std::unexpected(std::move(tags.error()));
  provider.tags = std::move(*tags);
  if (core.providers.list(oidc_provider_key(provider.account, "")).size() >= kMostProviders)
    co_return refuse(wire::errors::LimitExceededException,
                     "Cannot exceed quota for OpenIdConnectProvidersPerAccount: 100");
  auto created = co_await core.providers.create(std::move(provider));
  if (!created && created.error().code == ErrorCode::kExists)
    co_return refuse(wire::errors::EntityAlreadyExistsException,
                     fmt::format("Provider with url {} already exists.", request.Url.value_or("")));
  if (!created) co_return refuse_store(created.error());
  wire::CreateOpenIDConnectProviderResponse out;
  out.OpenIDConnectProviderArn = (*created)->arn();
  out.Tags = some_tags((*created)->tags);
  co_return out;
}

Awaitable<aws::ApiResult<wire::GetOpenIDConnectProviderResponse>> get_provider(
    Core& core, const aws::CallContext& context, wire::GetOpenIDConnectProviderRequest request) {
  const auto arn = request.OpenIDConnectProviderArn.value_or("");
  const auto provider = core.providers.find(key_of_arn(context, arn));
  if (!provider) co_return std::unexpected(missing_provider(arn));
  wire::GetOpenIDConnectProviderResponse out;
  out.Url = provider->name();
  out.ClientIDList = provider->client_ids;
  out.ThumbprintList = provider->thumbprints;
  out.CreateDate = provider->created;
  out.Tags = some_tags(provider->tags);
  co_return out;
}

Awaitable<aws::ApiResult<wire::ListOpenIDConnectProvidersResponse>> list_providers(
    Core& core, const aws::CallContext& context, wire::ListOpenIDConnectProviders::Request) {
  wire::ListOpenIDConnectProvidersResponse out;
  out.OpenIDConnectProviderList.emplace();
  for (const auto& provider : core.providers.list(oidc_provider_key(context.principal.account, ""))) {
    wire::OpenIDConnectProviderListEntry entry;
    entry.Arn = provider->arn();
    out.OpenIDConnectProviderList->push_back(std::move(entry));
  }
  co_return out;
}

Awaitable<aws::ApiResult<wire::DeleteOpenIDConnectProvider::Response>> delete_provider(
    Core& core, const aws::CallContext& context, wire::DeleteOpenIDConnectProviderRequest request) {
  const auto arn = request.OpenIDConnectProviderArn.value_or("");
  auto erased = co_await core.providers.erase(key_of_arn(context, arn));
  if (!erased) co_return refuse_store(erased.error());
  if (!*erased) co_return std::unexpected(missing_provider(arn));
  co_return wire::DeleteOpenIDConnectProvider::Response();
}

Awaitable<aws::ApiResult<void>> change(Core& core, const aws::CallContext& context, std::optional<std::string> arn,
                                       ProviderEdit edit) {
  auto missing = missing_provider(arn.value_or(""));
  auto key = key_of_arn(context, arn.value_or(""));
  auto changed = co_await core.providers.change(std::move(key), std::move(missing), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return aws::ApiResult<void>();
}

Awaitable<aws::ApiResult<wire::AddClientIDToOpenIDConnectProvider::Response>> add_client(
    Core& core, const aws::CallContext& context, wire::AddClientIDToOpenIDConnectProviderRequest request) {
  ProviderEdit edit = [id = request.ClientID.value_or("")](OidcProvider& provider) -> aws::ApiResult<void> {
    if (std::ranges::find(provider.client_ids, id) != provider.client_ids.end()) return {};
    if (provider.client_ids.size() >= kMostClients)
      return refuse(wire::errors::LimitExceededException,
                    "Cannot exceed quota for ClientIdsPerOpenIdConnectProvider: 100");
    provider.client_ids.push_back(id);
    return {};
  };
  auto changed = co_await change(core, context, request.OpenIDConnectProviderArn, std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return wire::AddClientIDToOpenIDConnectProvider::Response();
}

Awaitable<aws::ApiResult<wire::RemoveClientIDFromOpenIDConnectProvider::Response>> remove_client(
    Core& core, const aws::CallContext& context, wire::RemoveClientIDFromOpenIDConnectProviderRequest request) {
  ProviderEdit edit = [id = request.ClientID.value_or("")](OidcProvider& provider) -> aws::ApiResult<void> {
    std::erase(provider.client_ids, id);
    return {};
  };
  auto changed = co_await change(core, context, request.OpenIDConnectProviderArn, std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return wire::RemoveClientIDFromOpenIDConnectProvider::Response();
}

Awaitable<aws::ApiResult<wire::UpdateOpenIDConnectProviderThumbprint::Response>> update_thumbprint(
    Core& core, const aws::CallContext& context, wire::UpdateOpenIDConnectProviderThumbprintRequest request) {
  const auto thumbprints = request.ThumbprintList.value_or(Strings());
  if (auto checked = check_thumbprints(thumbprints); !checked) co_return std::unexpected(std::move(checked.error()));
  ProviderEdit edit = [thumbprints](OidcProvider& provider) -> aws::ApiResult<void> {
    provider.thumbprints = thumbprints;
    return {};
  };
  auto changed = co_await change(core, context, request.OpenIDConnectProviderArn, std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return wire::UpdateOpenIDConnectProviderThumbprint::Response();
}

Awaitable<aws::ApiResult<wire::TagOpenIDConnectProvider::Response>> tag_provider(
    Core& core, const aws::CallContext& context, wire::TagOpenIDConnectProviderRequest request) {
  auto tags = read_tags(request.Tags);
  if (!tags) co_return std::unexpected(std::move(tags.error()));
  ProviderEdit edit = [tags = *tags](OidcProvider& provider) -> aws::ApiResult<void> {
    constexpr std::size_t kMostTags = 50;
    for (const auto& tag : tags) {
      std::erase_if(provider.tags, [&](const auto& present) { return present.first == tag.first; });
      provider.tags.push_back(tag);
    }
    if (provider.tags.size() > kMostTags)
      return refuse(wire::errors::LimitExceededException, "Cannot exceed quota for TagsPerResource: 50");
    return {};
  };
  auto changed = co_await change(core, context, request.OpenIDConnectProviderArn, std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return wire::TagOpenIDConnectProvider::Response();
}

Awaitable<aws::ApiResult<wire::UntagOpenIDConnectProvider::Response>> untag_provider(
    Core& core, const aws::CallContext& context, wire::UntagOpenIDConnectProviderRequest request) {
  const auto keys = request.TagKeys.value_or(Strings());
  ProviderEdit edit = [keys](OidcProvider& provider) -> aws::ApiResult<void> {
    std::erase_if(provider.tags, [&](const auto& tag) { return std::ranges::find(keys, tag.first) != keys.end(); });
    return {};
  };
  auto changed = co_await change(core, context, request.OpenIDConnectProviderArn, std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return wire::UntagOpenIDConnectProvider::Response();
}

Awaitable<aws::ApiResult<wire::ListOpenIDConnectProviderTagsResponse>> list_tags(
    Core& core, const aws::CallContext& context, wire::ListOpenIDConnectProviderTagsRequest request) {
  const auto arn = request.OpenIDConnectProviderArn.value_or("");
  const auto provider = core.providers.find(key_of_arn(context, arn));
  if (!provider) co_return std::unexpected(missing_provider(arn));
  wire::ListOpenIDConnectProviderTagsResponse out;
  out.Tags = shown_tags(provider->tags);
  out.IsTruncated = false;
  co_return out;
}

Strings strings_of(const json::object& document, std::string_view name) {
  Strings out;
  const auto* list = document.if_contains(name);
  if (list == nullptr || !list->is_array()) return out;
  for (const auto& one : list->get_array()) {
    if (one.is_string()) out.emplace_back(one.get_string());
  }
  return out;
}

json::array array_of(const Strings& list) {
  json::array out;
  for (const auto& one : list) out.emplace_back(one);
  return out;
}

}  // namespace

std::string oidc_provider_key(std::string_view account, std::string_view name) {
  return fmt::format("{}{}/{}", OidcProvider::kPrefix, account, name);
}
std::string OidcProvider::name() const { return url.substr(url.find("://") + 3); }
std::string OidcProvider::arn() const { return fmt::format("arn:aws:iam::{}:oidc-provider/{}", account, name()); }
std::string OidcProvider::key() const { return oidc_provider_key(account, name()); }

json::object OidcProvider::document() const {
  json::object out;
  out["account"] = account;
  out["url"] = url;
  out["clients"] = array_of(client_ids);
  out["thumbprints"] = array_of(thumbprints);
  out["created"] = created;
  json::object all_tags;
  for (const auto& [tag, value] : tags) all_tags[tag] = value;
  out["tags"] = std::move(all_tags);
  return out;
}

Result<OidcProvider> OidcProvider::read(const json::object& document) {
  OidcProvider out;
  const json::value whole(document);
  out.account = get_string(whole, "account");
  out.url = get_string(whole, "url");
  if (out.url.find("://") == std::string::npos) return fail(ErrorCode::kCorrupt, "the provider has no URL");
  out.client_ids = strings_of(document, "clients");
  out.thumbprints = strings_of(document, "thumbprints");
  if (const auto* created = document.if_contains("created"); created != nullptr && created->is_double())
    out.created = created->get_double();
  if (const auto* tags = document.if_contains("tags"); tags != nullptr && tags->is_object()) {
    for (const auto& [tag, value] : tags->get_object()) {
      if (value.is_string()) out.tags.emplace_back(std::string(tag), std::string(value.get_string()));
    }
  }
  return out;
}

void bind_oidc_providers(aws::Service& service, Core& core) {
  bind<wire::CreateOpenIDConnectProvider>(service, core, create_provider);
  bind<wire::GetOpenIDConnectProvider>(service, core, get_provider);
  bind<wire::ListOpenIDConnectProviders>(service, core, list_providers);
  bind<wire::DeleteOpenIDConnectProvider>(service, core, delete_provider);
  bind<wire::AddClientIDToOpenIDConnectProvider>(service, core, add_client);
  bind<wire::RemoveClientIDFromOpenIDConnectProvider>(service, core, remove_client);
  bind<wire::UpdateOpenIDConnectProviderThumbprint>(service, core, update_thumbprint);
  bind<wire::TagOpenIDConnectProvider>(service, core, tag_provider);
  bind<wire::UntagOpenIDConnectProvider>(service, core, untag_provider);
  bind<wire::ListOpenIDConnectProviderTags>(service, core, list_tags);
}

}  // namespace mayfly::iam
