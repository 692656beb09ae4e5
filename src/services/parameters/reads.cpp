// GetParameter, GetParameters, GetParametersByPath, GetParameterHistory.
#include <fmt/core.h>

#include <algorithm>

#include "base/encoding.h"
#include "services/parameters/core.h"

namespace mayfly::parameters {
namespace {

constexpr int kPathPage = 10;
constexpr int kHistoryPage = 50;

aws::ApiResult<wire::Parameter> shown(const Core& core, const Parameter& parameter, const Version& version,
                                      std::string_view selector, bool decrypted) {
  auto value = value_of(core, parameter, version, decrypted);
  if (!value) return std::unexpected(std::move(value.error()));
  wire::Parameter out;
  out.Name = parameter.name;
  out.Type = parameter.type;
  out.Value = std::move(*value);
  out.Version = version.number;
  if (!selector.empty()) out.Selector = fmt::format(":{}", selector);
  out.LastModifiedDate = version.modified;
  out.ARN = parameter.arn();
  out.DataType = version.data_type;
  return out;
}

aws::ApiResult<wire::Parameter> read(const Core& core, const aws::CallContext& context, const std::string& name,
                                     bool decrypted) {
  const auto named = parse_name(core, context, name);
  const auto found = find(core, named);
  if (!found) return std::unexpected(parameter_missing());
  const auto* version = found->find(named.selector);
  if (version == nullptr) return std::unexpected(version_missing(named.name, named.selector));
  return shown(core, *found, *version, named.selector, decrypted);
}

Awaitable<aws::ApiResult<wire::GetParameterResult>> get_parameter(Core& core, const aws::CallContext& context,
                                                                  wire::GetParameterRequest request) {
  auto parameter = read(core, context, request.Name.value_or(""), request.WithDecryption.value_or(false));
  if (!parameter) co_return std::unexpected(std::move(parameter.error()));
  wire::GetParameterResult out;
  out.Parameter = std::move(*parameter);
  co_return out;
}

Awaitable<aws::ApiResult<wire::GetParametersResult>> get_parameters(Core& core, const aws::CallContext& context,
                                                                    wire::GetParametersRequest request) {
  wire::GetParametersResult out;
  out.Parameters.emplace();
  out.InvalidParameters.emplace();
  for (const auto& name : request.Names.value_or(std::vector<std::string>())) {
    auto parameter = read(core, context, name, request.WithDecryption.value_or(false));
    if (parameter) {
      out.Parameters->push_back(std::move(*parameter));
    } else if (parameter.error().model == &wire::errors::InvalidKeyId) {
      co_return std::unexpected(std::move(parameter.error()));
    } else {
      out.InvalidParameters->push_back(name);
    }
  }
  co_return out;
}

// Filters of a path: Type, KeyId and Label.
aws::ApiResult<const Version*> pick_version(const Parameter& parameter,
                                            const std::vector<wire::ParameterStringFilter>& filters) {
  const auto* version = &parameter.latest();
  for (const auto& filter : filters) {
    const auto key = filter.Key.value_or("");
    const auto values = filter.Values.value_or(std::vector<std::string>());
    const auto named = [&](std::string_view text) { return std::ranges::find(values, text) != values.end(); };
    if (key == "Type") {
      if (!named(parameter.type)) return nullptr;
    } else if (key == "KeyId") {
      if (!parameter.is_secure() || !named("alias/aws/ssm")) return nullptr;
    } else if (key == "Label") {
      const auto labelled = std::ranges::find_if(
          parameter.versions, [&](const Version& one) { return std::ranges::any_of(one.labels, named); });
      if (labelled == parameter.versions.end()) return nullptr;
      version = &*labelled;
    } else {
      return refuse(wire::errors::InvalidFilterKey,
                    fmt::format("The following filter key is not valid: {}. Valid filter keys include: [Type, KeyId, "
                                "Label].",
                                key));
    }
  }
  return version;
}

Awaitable<aws::ApiResult<wire::GetParametersByPathResult>> get_parameters_by_path(
    Core& core, const aws::CallContext& context, wire::GetParametersByPathRequest request) {
  auto path = parse_name(core, context, request.Path.value_or("")).name;
  if (!path.starts_with('/')) {
    co_return refuse_value(
        "The parameter doesn't meet the parameter name requirements. The parameter name must begin with a forward "
        "slash \"/\". It can't be prefixed with \"aws\" or \"ssm\" (case-insensitive). It must use only letters, "
        "numbers, or the following symbols: . (period), - (hyphen), _ (underscore). Special characters are not "
        "allowed. All sub-paths, if specified, must use the forward slash symbol \"/\". Valid example: "
        "/get/parameters2-/by1./path0_.");
  }
  if (!path.ends_with('/')) path += '/';
  const auto filters = request.ParameterFilters.value_or(std::vector<wire::ParameterStringFilter>());
  const auto limit = static_cast<std::size_t>(request.MaxResults.value_or(kPathPage));
  std::string after;
  if (request.NextToken) {
    auto decoded = base64_decode(*request.NextToken);
    if (!decoded) co_return refuse(wire::errors::InvalidNextToken, "The specified token isn't valid.");
    after = std::move(*decoded);
  }
  wire::GetParametersByPathResult out;
  out.Parameters.emplace();
  for (const auto& parameter : core.parameters.list(parameter_key(core.place(context), path))) {
    const bool deeper = parameter->name.find('/', path.size()) != std::string::npos;
    if ((deeper && !request.Recursive.value_or(false)) || parameter->name <= after) continue;
    auto version = pick_version(*parameter, filters);
    if (!version) co_return std::unexpected(std::move(version.error()));
    if (*version == nullptr) continue;
    if (out.Parameters->size() == limit) {
      out.NextToken = base64_encode(*out.Parameters->back().Name);
      break;
    }
    auto one = shown(core, *parameter, **version, "", request.WithDecryption.value_or(false));
    if (!one) co_return std::unexpected(std::move(one.error()));
    out.Parameters->push_back(std::move(*one));
  }
  co_return out;
}

Awaitable<aws::ApiResult<wire::GetParameterHistoryResult>> get_parameter_history(
    Core& core, const aws::CallContext& context, wire::GetParameterHistoryRequest request) {
  const auto found = find(core, parse_name(core, context, request.Name.value_or("")));
  if (!found) co_return std::unexpected(parameter_missing());
  const auto limit = static_cast<std::size_t>(request.MaxResults.value_or(kHistoryPage));
  wire::GetParameterHistoryResult out;
  out.Parameters.emplace();
  for (const auto& version : found->versions) {
    const auto number = std::to_string(version.number);
    if (request.NextToken &&
        std::pair(number.size(), number) <= std::pair(request.NextToken->size(), *request.NextToken))
      continue;
    if (out.Parameters->size() == limit) {
      out.NextToken = std::to_string(*out.Parameters->back().Version);
      break;
    }
    auto value = value_of(core, *found, version, request.WithDecryption.value_or(false));
    if (!value) co_return std::unexpected(std::move(value.error()));
    wire::ParameterHistory entry;
    entry.Name = found->name;
    entry.Type = found->type;
    if (found->is_secure()) entry.KeyId = "alias/aws/ssm";
    entry.LastModifiedDate = version.modified;
    entry.LastModifiedUser = version.user;
    entry.Description = some(version.description);
    entry.Value = std::move(*value);
    entry.AllowedPattern = some(version.allowed_pattern);
    entry.Version = version.number;
    entry.Labels = version.labels;
    entry.Tier = version.tier;
    entry.Policies.emplace();
    entry.DataType = version.data_type;
    out.Parameters->push_back(std::move(entry));
  }
  co_return out;
}

}  // namespace

void bind_reads(aws::Service& service, Core& core) {
  bind<wire::GetParameter>(service, core, get_parameter);
  bind<wire::GetParameters>(service, core, get_parameters);
  bind<wire::GetParametersByPath>(service, core, get_parameters_by_path);
  bind<wire::GetParameterHistory>(service, core, get_parameter_history);
}

}  // namespace mayfly::parameters
