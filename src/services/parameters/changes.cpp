// PutParameter, DeleteParameter, DeleteParameters.
#include <fmt/core.h>

#include <algorithm>
#include <boost/regex.hpp>

#include "base/encoding.h"
#include "base/ids.h"
#include "base/time_format.h"
#include "services/parameters/core.h"

namespace mayfly::parameters {
namespace {

constexpr std::size_t kStandardBytes = 4'096;
constexpr std::size_t kAdvancedBytes = 8'192;
constexpr std::ptrdiff_t kMostLevels = 15;
constexpr std::size_t kLongestName = 1'011;
constexpr std::string_view kDefaultKey = "alias/aws/ssm";

aws::ApiResult<void> check_name(const std::string& name) {
  const auto lower = to_lower(name.starts_with('/') ? name.substr(1) : name);
  if (lower.starts_with("aws")) {
    return refuse(aws::common_errors::AccessDeniedException,
                  fmt::format("No access to reserved parameter name: {}.", name));
  }
  const bool letters = std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("_.-/").find(c) != std::string_view::npos;
  });
  if (!letters || lower.starts_with("ssm") || name.ends_with('/') || name.find("//") != std::string::npos) {
    return refuse_value(
        "Parameter name: can't be prefixed with \"ssm\" (case-insensitive). If formed as a path, it can consist of "
        "sub-paths divided by slash symbol; each sub-path can be formed as a mix of letters, numbers and the following "
        "3 symbols .-_");
  }
  if (name.find('/') != std::string::npos && !name.starts_with('/')) {
    return refuse_value("Parameter name must be a fully qualified name.");
  }
  if (std::ranges::count(name, '/') > kMostLevels) {
    return refuse(wire::errors::HierarchyLevelLimitExceededException,
                  fmt::format("A hierarchy can have a maximum of {} levels.", kMostLevels));
  }
  if (name.size() > kLongestName) {
    return refuse_value(fmt::format("A parameter's name can have at most {} characters.", kLongestName));
  }
  return {};
}

// What this server would not carry out.
aws::ApiResult<void> check_supported(const wire::PutParameterRequest& request) {
  const auto refuse_setting = [](std::string_view setting, std::string_view why) {
    return refuse_value(fmt::format("{} is not supported: {}", setting, why));
  };
  if (request.Policies && !request.Policies->empty() && *request.Policies != "[]") {
    return refuse_setting("Policies", "parameters neither expire nor notify here.");
  }
  if (request.DataType && *request.DataType != "text") {
    return refuse_setting("DataType " + *request.DataType, "values are not checked against other services.");
  }
  if (request.KeyId && !request.KeyId->empty() && *request.KeyId != kDefaultKey) {
    return refuse_setting("KeyId", "SecureStrings are encrypted with the server's own keys.");
  }
  return {};
}

aws::ApiResult<std::string> tier_of(const wire::PutParameterRequest& request, const Version* before) {
  const auto size = request.Value.value_or("").size();
  const bool was_advanced = before != nullptr && before->tier == "Advanced";
  auto tier = request.Tier.value_or(was_advanced ? "Advanced" : "Standard");
  if (tier == "Intelligent-Tiering") tier = was_advanced || size > kStandardBytes ? "Advanced" : "Standard";
  if (tier == "Standard" && was_advanced) {
    return refuse_value(
        "This parameter uses the advanced-parameter tier. You can't downgrade a parameter from the advanced-parameter "
        "tier to the standard-parameter tier. If necessary, you can delete the advanced parameter and recreate it as a "
        "standard parameter.");
  }
  if (tier == "Standard" && size > kStandardBytes) {
    return refuse_value(fmt::format(
        "Standard tier parameters support a maximum parameter value of {} characters. To create a larger parameter "
        "value, upgrade the parameter to use the advanced-parameter tier.",
        kStandardBytes));
  }
  if (size > kAdvancedBytes) {
    return refuse_value(
        fmt::format("Advanced tier parameters support a maximum parameter value of {} characters.", kAdvancedBytes));
  }
  return tier;
}

// Whether the value matches; an error where the pattern is none, or asks for too much work. Blocks.
Result<bool> matches(const std::string& value, const std::string& pattern) {
  try {
    return boost::regex_match(value, boost::regex(pattern));
  } catch (const std::exception&) {
    return fail(ErrorCode::kInvalid, "the pattern is none, or asks for too much work");
  }
}

Awaitable<aws::ApiResult<void>> check_pattern(Core& core, std::string value, std::string pattern, std::string name) {
  if (pattern.empty()) co_return aws::ApiResult<void>();
  std::function<Result<bool>()> job = [value = std::move(value), pattern] { return matches(value, pattern); };
  auto matched = co_await core.pool.run(std::move(job));
  if (!matched && matched.error().code == ErrorCode::kInvalid) {
    co_return refuse(wire::errors::InvalidAllowedPatternException,
                     fmt::format("The pattern {} can't be used.", pattern));
  }
  if (!matched) co_return services::refuse_internal(matched.error());
  if (!*matched) {
    co_return refuse(
        wire::errors::ParameterPatternMismatchException,
        fmt::format("Parameter value, cannot be validated against allowedPattern: {} for {}.", pattern, name));
  }
  co_return aws::ApiResult<void>();
}

aws::ApiResult<void> check_value(const std::string& type, const std::string& value) {
  if (value.find("{{") != std::string::npos) {
    return refuse_value("Parameter value, can't nest another parameter: {{.");
  }
  if (type == "StringList" && (value.starts_with(',') || value.ends_with(',') || value.find(",,") != value.npos)) {
    return refuse_value("A StringList can't have an empty item.");
  }
  return {};
}

// Adds a version; the oldest one goes where there are too many, unless a label holds it.
aws::ApiResult<void> add_version(Parameter& parameter, Version version) {
  if (parameter.versions.size() >= kMostVersions) {
    if (!parameter.versions.front().labels.empty()) {
      return refuse(wire::errors::ParameterMaxVersionLimitExceeded,
                    fmt::format("You attempted to create a new version of {} by calling the PutParameter API with the "
                                "overwrite flag. Version {}, the oldest version, can't be deleted because it has a "
                                "label associated with it. Move the label to another version of the parameter, and try "
                                "again.",
                                parameter.name, parameter.versions.front().number));
    }
    parameter.versions.erase(parameter.versions.begin());
  }
  parameter.last_version = version.number;
  parameter.versions.push_back(std::move(version));
  return {};
}

std::string sealed_value(const Core& core, const Parameter& parameter, const Version& version,
                         const std::string& value) {
  return parameter.is_secure() ? core.vault.seal(parameter.context(version.number), value) : value;
}

std::unexpected<aws::ApiError> refuse_existing() {
  return refuse(wire::errors::ParameterAlreadyExists,
                "The parameter already exists. To overwrite this value, set the overwrite option in the request to "
                "true.");
}

wire::PutParameterResult result_of(const Version& version) {
  wire::PutParameterResult out;
  out.Version = version.number;
  out.Tier = version.tier;
  return out;
}

Awaitable<aws::ApiResult<wire::PutParameterResult>> create(Core& core, Parameter parameter, Version version,
                                                           wire::PutParameterRequest request) {
  if (!request.Type) co_return refuse_value("A parameter type is required when you create a parameter.");
  parameter.type = *request.Type;
  parameter.incarnation = random_hex(8);
  version.number = 1;
  version.value = sealed_value(core, parameter, version, request.Value.value_or(""));
  if (request.Tags) {
    if (auto tagged = set_tags(parameter, *request.Tags); !tagged) co_return std::unexpected(tagged.error());
  }
  const auto out = result_of(version);
  if (auto added = add_version(parameter, std::move(version)); !added) co_return std::unexpected(added.error());
  auto created = co_await core.parameters.create(std::move(parameter));
  if (!created && created.error().code == ErrorCode::kExists) co_return refuse_existing();
  if (!created) co_return services::refuse_internal(created.error());
  co_return out;
}

Awaitable<aws::ApiResult<wire::PutParameterResult>> overwrite(Core& core, ParameterPtr before, Version version,
                                                              wire::PutParameterRequest request) {
  if (!request.Overwrite.value_or(false)) co_return refuse_existing();
  if (request.Tags && !request.Tags->empty()) {
    co_return refuse_value(
        "Invalid request: tags and overwrite can't be used together. To create a parameter with tags, please remove "
        "overwrite flag. To update tags for an existing parameter, please use AddTagsToResource or "
        "RemoveTagsFromResource.");
  }
  if (request.Type && *request.Type != before->type) {
    co_return refuse(wire::errors::HierarchyTypeMismatchException,
                     "Parameter Store doesn't support changing a parameter's type. You must create a new, unique "
                     "parameter.");
  }
  if (!request.Description) version.description = before->latest().description;
  const auto value = request.Value.value_or("");
  const std::string incarnation = before->incarnation;
  // The number is part of what the value is bound to, and may change where somebody else was faster.
  Edit edit = [&core, version, value, incarnation](Parameter& record) -> aws::ApiResult<void> {
    if (record.incarnation != incarnation) return std::unexpected(parameter_missing());
    Version next = version;
    next.number = record.last_version + 1;
    next.value = sealed_value(core, record, next, value);
    return add_version(record, std::move(next));
  };
  auto changed = co_await core.parameters.change(before->key(), parameter_missing(), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return result_of((*changed)->latest());
}

Awaitable<aws::ApiResult<wire::PutParameterResult>> put_parameter(Core& core, const aws::CallContext& context,
                                                                  wire::PutParameterRequest request) {
  Parameter parameter;
  const auto named = parse_name(core, context, request.Name.value_or(""));
  parameter.place = named.place;
  parameter.name = named.name;
  if (!named.selector.empty()) co_return refuse_value("A parameter's name can't have a selector here.");
  if (auto valid = check_name(parameter.name); !valid) co_return std::unexpected(std::move(valid.error()));
  if (auto valid = check_supported(request); !valid) co_return std::unexpected(std::move(valid.error()));
  const auto before = core.parameters.find(parameter.key());
  const auto type = before ? before->type : request.Type.value_or("");
  auto valid = check_value(type, request.Value.value_or(""));
  if (!valid) co_return std::unexpected(std::move(valid.error()));
  auto tier = tier_of(request, before ? &before->latest() : nullptr);
  if (!tier) co_return std::unexpected(std::move(tier.error()));
  auto matched =
      co_await check_pattern(core, request.Value.value_or(""), request.AllowedPattern.value_or(""), parameter.name);
  if (!matched) co_return std::unexpected(std::move(matched.error()));
  Version version;
  version.description = request.Description.value_or("");
  version.allowed_pattern = request.AllowedPattern.value_or("");
  version.tier = std::move(*tier);
  version.data_type = "text";
  version.modified = epoch_seconds(core.clock.now());
  version.user = context.principal.arn;
  if (before) co_return co_await overwrite(core, before, std::move(version), std::move(request));
  co_return co_await create(core, std::move(parameter), std::move(version), std::move(request));
}

Awaitable<aws::ApiResult<wire::DeleteParameterResult>> delete_parameter(Core& core, const aws::CallContext& context,
                                                                        wire::DeleteParameterRequest request) {
  const auto found = find(core, parse_name(core, context, request.Name.value_or("")));
  if (!found) co_return std::unexpected(parameter_missing());
  auto erased = co_await core.parameters.erase(found->key());
  if (!erased) co_return services::refuse_internal(erased.error());
  co_return wire::DeleteParameterResult();
}

Awaitable<aws::ApiResult<wire::DeleteParametersResult>> delete_parameters(Core& core, const aws::CallContext& context,
                                                                          wire::DeleteParametersRequest request) {
  wire::DeleteParametersResult out;
  out.DeletedParameters.emplace();
  out.InvalidParameters.emplace();
  for (const auto& name : request.Names.value_or(std::vector<std::string>())) {
    const auto found = find(core, parse_name(core, context, name));
    if (!found) {
      out.InvalidParameters->push_back(name);
      continue;
    }
    auto erased = co_await core.parameters.erase(found->key());
    if (!erased) co_return services::refuse_internal(erased.error());
    out.DeletedParameters->push_back(name);
  }
  co_return out;
}

}  // namespace

void bind_changes(aws::Service& service, Core& core) {
  bind<wire::PutParameter>(service, core, put_parameter);
  bind<wire::DeleteParameter>(service, core, delete_parameter);
  bind<wire::DeleteParameters>(service, core, delete_parameters);
}

}  // namespace mayfly::parameters
