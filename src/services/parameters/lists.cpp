// DescribeParameters: metadata by filters and pages; never a value.
#include <fmt/core.h>

#include <algorithm>

#include "base/encoding.h"
#include "services/parameters/core.h"

namespace mayfly::parameters {
namespace {

constexpr int kPage = 50;

bool below(std::string_view name, std::string_view path, bool recursive) {
  std::string start(path);
  if (!start.ends_with('/')) start += '/';
  if (!name.starts_with(start)) return false;
  return recursive || name.find('/', start.size()) == std::string_view::npos;
}

bool text_matches(std::string_view text, std::string_view option, const std::vector<std::string>& values) {
  return std::ranges::any_of(values, [&](const std::string& value) {
    if (option == "BeginsWith") return text.starts_with(value);
    if (option == "Contains") return text.find(value) != std::string_view::npos;
    return text == value;
  });
}

// A name with and without its first slash is the same to a filter.
bool name_matches(const std::string& name, std::string_view option, const std::vector<std::string>& values) {
  return text_matches(name, option, values) ||
         (name.starts_with('/') && text_matches(std::string_view(name).substr(1), option, values));
}

aws::ApiResult<void> check_option(std::string_view key, std::string_view option) {
  const bool valid = key == "Path"   ? option == "Recursive" || option == "OneLevel"
                     : key == "Name" ? option == "Equals" || option == "BeginsWith" || option == "Contains"
                                     : option == "Equals" || option == "BeginsWith";
  if (valid) return {};
  return refuse(wire::errors::InvalidFilterOption,
                fmt::format("The following filter option is not valid: {}.", option));
}

aws::ApiResult<bool> matches(const Parameter& parameter, const wire::ParameterStringFilter& filter) {
  const auto key = filter.Key.value_or("");
  const auto values = filter.Values.value_or(std::vector<std::string>());
  const auto option = filter.Option.value_or(key == "Path" ? "OneLevel" : "Equals");
  if (auto valid = check_option(key, option); !valid) return std::unexpected(std::move(valid.error()));
  if (key == "Name") return name_matches(parameter.name, option, values);
  if (key == "Type") return text_matches(parameter.type, option, values);
  if (key == "KeyId") return parameter.is_secure() && text_matches("alias/aws/ssm", option, values);
  if (key == "Tier") return text_matches(parameter.latest().tier, option, values);
  if (key == "DataType") return text_matches(parameter.latest().data_type, option, values);
  if (key == "Path") {
    return std::ranges::any_of(
        values, [&](const std::string& path) { return below(parameter.name, path, option == "Recursive"); });
  }
  if (key.starts_with("tag:")) {
    const auto tag = std::ranges::find(parameter.tags, key.substr(4), &std::pair<std::string, std::string>::first);
    if (tag == parameter.tags.end()) return false;
    return values.empty() || text_matches(tag->second, option, values);
  }
  return refuse(wire::errors::InvalidFilterKey,
                fmt::format("The following filter key is not valid: {}. Valid filter keys include: [Path, Name, Type, "
                            "KeyId, Tier, DataType].",
                            key));
}

// The older form of filters, whose names begin with a value.
std::vector<wire::ParameterStringFilter> filters_of(const wire::DescribeParametersRequest& request) {
  auto out = request.ParameterFilters.value_or(std::vector<wire::ParameterStringFilter>());
  for (const auto& old : request.Filters.value_or(std::vector<wire::ParametersFilter>())) {
    wire::ParameterStringFilter filter;
    filter.Key = old.Key;
    filter.Option = old.Key.value_or("") == "Name" ? "BeginsWith" : "Equals";
    filter.Values = old.Values;
    out.push_back(std::move(filter));
  }
  return out;
}

wire::ParameterMetadata metadata_of(const Parameter& parameter) {
  const auto& latest = parameter.latest();
  wire::ParameterMetadata out;
  out.Name = parameter.name;
  out.ARN = parameter.arn();
  out.Type = parameter.type;
  if (parameter.is_secure()) out.KeyId = "alias/aws/ssm";
  out.LastModifiedDate = latest.modified;
  out.LastModifiedUser = latest.user;
  out.Description = some(latest.description);
  out.AllowedPattern = some(latest.allowed_pattern);
  out.Version = latest.number;
  out.Tier = latest.tier;
  out.Policies.emplace();
  out.DataType = latest.data_type;
  return out;
}

Awaitable<aws::ApiResult<wire::DescribeParametersResult>> describe_parameters(Core& core,
                                                                              const aws::CallContext& context,
                                                                              wire::DescribeParametersRequest request) {
  if (request.Shared.value_or(false)) co_return refuse_value("Shared parameters are not supported.");
  if (request.Filters && request.ParameterFilters) {
    co_return refuse_value("You can use either Filters or ParameterFilters in a single request.");
  }
  const auto filters = filters_of(request);
  const auto limit = static_cast<std::size_t>(request.MaxResults.value_or(kPage));
  std::string after;
  if (request.NextToken) {
    auto decoded = base64_decode(*request.NextToken);
    if (!decoded) co_return refuse(wire::errors::InvalidNextToken, "The specified token isn't valid.");
    after = std::move(*decoded);
  }
  wire::DescribeParametersResult out;
  out.Parameters.emplace();
  for (const auto& parameter : core.parameters.list(parameter_key(core.place(context), ""))) {
    if (!after.empty() && parameter->name <= after) continue;
    bool wanted = true;
    for (const auto& filter : filters) {
      auto matched = matches(*parameter, filter);
      if (!matched) co_return std::unexpected(std::move(matched.error()));
      wanted = wanted && *matched;
    }
    if (!wanted) continue;
    if (out.Parameters->size() == limit) {
      out.NextToken = base64_encode(*out.Parameters->back().Name);
      break;
    }
    out.Parameters->push_back(metadata_of(*parameter));
  }
  co_return out;
}

}  // namespace

void bind_lists(aws::Service& service, Core& core) {
  bind<wire::DescribeParameters>(service, core, describe_parameters);
}

}  // namespace mayfly::parameters
