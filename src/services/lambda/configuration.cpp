#include "services/lambda/configuration.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <map>

#include "base/crypto.h"
#include "base/encoding.h"
#include "dispatch/sandbox_plan.h"
#include "services/lambda/async_invoke.h"

namespace mayfly::lambda {
namespace {

constexpr std::size_t kEnvironmentBytes = 4096;
constexpr std::size_t kLayersMost = 5;

// Runtimes of the model's list that AWS itself takes no more.
constexpr std::array<std::string_view, 20> kRetired = {
    "dotnetcore1.0", "dotnetcore2.0", "dotnetcore2.1",  "dotnetcore3.1", "dotnet6",    "go1.x",      "java8",
    "nodejs",        "nodejs4.3",     "nodejs4.3-edge", "nodejs6.10",    "nodejs8.10", "nodejs10.x", "nodejs12.x",
    "nodejs14.x",    "provided",      "python2.7",      "python3.6",     "python3.7",  "ruby2.7"};

aws::ApiResult<void> check_environment(const wire::Environment& environment) {
  if (!environment.Variables) return {};
  json::object variables;
  std::string reserved;
  for (const auto& [key, value] : *environment.Variables) {
    variables[key] = value;
    if (!dispatch::is_reserved_variable(key)) continue;
    reserved += reserved.empty() ? key : ", " + key;
  }
  if (!reserved.empty()) {
    return refuse_parameter(
        fmt::format("Lambda was unable to configure your environment variables because the environment variables you "
                    "have provided contains reserved keys that are currently not supported for modification. Reserved "
                    "keys used in this request: {}",
                    reserved));
  }
  const auto text = to_json(variables);
  if (text.size() > kEnvironmentBytes) {
    return refuse_parameter(
        fmt::format("Lambda was unable to configure your environment variables because the environment variables you "
                    "have provided exceeded the 4KB limit. String measured: {}",
                    text));
  }
  return {};
}

aws::ApiResult<void> check_runtime(const Core& core, const std::string& runtime) {
  if (std::find(kRetired.begin(), kRetired.end(), runtime) != kRetired.end()) {
    return refuse_parameter(
        fmt::format("The runtime parameter of {} is no longer supported for creating or updating AWS Lambda functions. "
                    "We recommend you use a supported runtime while creating or updating functions.",
                    runtime));
  }
  if (core.settings.check_runtime) {
    if (auto known = core.settings.check_runtime(runtime); !known) return refuse_parameter(known.error().message);
  }
  return {};
}

aws::ApiResult<void> check_dead_letter(const Core& core, const std::optional<wire::DeadLetterConfig>& config) {
  const auto target = config ? config->TargetArn.value_or("") : std::string();
  if (target.empty()) return {};
  const auto arn = delivery::parse_arn(target);
  if (!arn || (arn->service != "sqs" && arn->service != "sns")) {
    return refuse_parameter(
        fmt::format("The dead letter target {} is invalid: it must be the ARN of an SQS queue or SNS topic.", target));
  }
  if (!can_deliver_to(core, target)) {
    return refuse_unsupported("DeadLetterConfig for " + arn->service, "events cannot be delivered there");
  }
  return {};
}

aws::ApiResult<void> check_unsupported(const Core& core, const Settings& settings) {
  if (*settings.vpc) {
    const auto& vpc = **settings.vpc;
    if ((vpc.SubnetIds && !vpc.SubnetIds->empty()) || (vpc.SecurityGroupIds && !vpc.SecurityGroupIds->empty())) {
      return refuse_unsupported("VpcConfig", "functions are not placed in subnets");
    }
  }
  if (auto ok = check_dead_letter(core, *settings.dead_letter); !ok) return ok;
  if (!settings.kms_key->value_or("").empty()) {
    return refuse_unsupported("KMSKeyArn", "environment variables are not encrypted with customer keys");
  }
  if (*settings.tracing && (*settings.tracing)->Mode.value_or("PassThrough") != "PassThrough") {
    return refuse_unsupported("TracingConfig Mode Active", "traces are not recorded");
  }
  if (*settings.file_systems && !(*settings.file_systems)->empty()) {
    return refuse_unsupported("FileSystemConfigs", "file systems are not mounted");
  }
  if (*settings.image) return refuse_unsupported("ImageConfig", "functions are zip packages");
  if (settings.has_capacity_provider) return refuse_unsupported("CapacityProviderConfig", "there are no providers");
  if (settings.has_durable) return refuse_unsupported("DurableConfig", "durable executions are not implemented");
  return {};
}

// What is given replaces what is there. Levels belong to JSON, where they are INFO unless somebody says otherwise.
void apply_logging(const wire::LoggingConfig& given, wire::FunctionConfiguration& config) {
  if (!config.LoggingConfig) config.LoggingConfig.emplace();
  auto& logging = *config.LoggingConfig;
  if (given.LogGroup) logging.LogGroup = given.LogGroup;
  if (given.LogFormat) logging.LogFormat = given.LogFormat;
  if (!logging.LogFormat) logging.LogFormat = "Text";
  if (logging.LogFormat != "JSON") {
    logging.ApplicationLogLevel.reset();
    logging.SystemLogLevel.reset();
    return;
  }
  if (given.ApplicationLogLevel) logging.ApplicationLogLevel = given.ApplicationLogLevel;
  if (given.SystemLogLevel) logging.SystemLogLevel = given.SystemLogLevel;
  if (!logging.ApplicationLogLevel) logging.ApplicationLogLevel = "INFO";
  if (!logging.SystemLogLevel) logging.SystemLogLevel = "INFO";
}

}  // namespace

aws::ApiResult<void> check_settings(const Core& core, const Settings& settings) {
  if (auto ok = check_unsupported(core, settings); !ok) return ok;
  if (*settings.role && !looks_like_role_arn(**settings.role)) {
    return refuse(aws::common_errors::ValidationException,
                  fmt::format("1 validation error detected: Value '{}' at 'role' failed to satisfy constraint: Member "
                              "must satisfy regular expression pattern: "
                              "arn:(aws[a-zA-Z-]*)?:iam::\\d{{12}}:role/?[a-zA-Z_0-9+=,.@\\-_/]+",
                              **settings.role));
  }
  if (*settings.role && core.settings.role_is_usable && !core.settings.role_is_usable(**settings.role)) {
    return refuse_parameter("The role defined for the function cannot be assumed by Lambda.");
  }
  if (*settings.runtime) {
    if (auto ok = check_runtime(core, **settings.runtime); !ok) return ok;
  }
  if (*settings.environment) return check_environment(**settings.environment);
  return {};
}

aws::ApiResult<ResolvedLayers> resolve_layers(Core& core, const Place& place, const std::vector<std::string>& arns) {
  if (arns.size() > kLayersMost) {
    return refuse_parameter("Cannot reference more than 5 layers.");
  }
  ResolvedLayers out;
  std::map<std::string, std::string> used;  // layer name -> version ARN
  for (const auto& arn : arns) {
    if (!arn.starts_with(fmt::format("arn:aws:lambda:{}:", place.region))) {
      return refuse_parameter(fmt::format(
          "Layers are not in the same region as the function. Layers are expected to be in region {}.", place.region));
    }
    auto name = parse_layer_name(arn, place);
    if (!name) return std::unexpected(std::move(name.error()));
    const auto layer = core.tables.layer(place, name->name);
    const auto missing = fmt::format("Layer version {} does not exist.", arn);
    if (!layer) return refuse_parameter(missing);
    const auto version = layer->versions.find(name->version);
    if (version == layer->versions.end()) return refuse_parameter(missing);
    if (const auto [twin, fresh] = used.emplace(name->name, arn); !fresh) {
      return refuse_parameter(
          fmt::format("Two different versions of the same layer are not allowed to be referenced in the same function. "
                      "{} and {} are versions of the same layer.",
                      twin->second, arn));
    }
    wire::Layer shown_layer;
    shown_layer.Arn = arn;
    if (version->second.info.Content) shown_layer.CodeSize = version->second.info.Content->CodeSize;
    out.shown.push_back(std::move(shown_layer));
    out.shas.push_back(version->second.code_sha);
  }
  return out;
}

aws::ApiResult<void> check_log_levels(const Settings& settings, const std::optional<wire::LoggingConfig>& present) {
  if (!*settings.logging) return {};
  const auto& given = **settings.logging;
  const auto format = given.LogFormat ? given.LogFormat : present ? present->LogFormat : std::nullopt;
  if (format != "JSON" && (given.ApplicationLogLevel || given.SystemLogLevel)) {
    return refuse_parameter("ApplicationLogLevel and SystemLogLevel can be set only where LogFormat is JSON.");
  }
  return {};
}

void apply_settings(const Settings& settings, wire::FunctionConfiguration& config) {
  if (*settings.runtime) config.Runtime = *settings.runtime;
  if (*settings.role) config.Role = *settings.role;
  if (*settings.handler) config.Handler = *settings.handler;
  if (*settings.description) config.Description = *settings.description;
  if (*settings.timeout) config.Timeout = *settings.timeout;
  if (*settings.memory_size) config.MemorySize = *settings.memory_size;
  if (*settings.dead_letter) {
    config.DeadLetterConfig = *settings.dead_letter;
    if (config.DeadLetterConfig->TargetArn.value_or("").empty()) config.DeadLetterConfig.reset();
  }
  if (*settings.ephemeral_storage) config.EphemeralStorage = *settings.ephemeral_storage;
  if (*settings.environment) {
    config.Environment.emplace();
    config.Environment->Variables = (*settings.environment)->Variables;
    if (!config.Environment->Variables) config.Environment->Variables.emplace();
  }
  if (*settings.logging) apply_logging(**settings.logging, config);
  if (*settings.snap_start) {
    // "Off" in $LATEST, which has no snapshot; publish() says what holds for a version.
    auto& snap_start = config.SnapStart.emplace();
    snap_start.ApplyOn = (*settings.snap_start)->ApplyOn.value_or("None");
    snap_start.OptimizationStatus = "Off";
  }
}

void fill_defaults(const std::string& name, const Place& place, wire::FunctionConfiguration& config) {
  config.FunctionName = name;
  config.FunctionArn = function_arn(place, name, "");
  config.PackageType = "Zip";
  if (!config.Description) config.Description = "";
  if (!config.Timeout) config.Timeout = 3;
  if (!config.MemorySize) config.MemorySize = 128;
  if (!config.Version) config.Version = std::string(kLatest);
  if (!config.Architectures) config.Architectures = std::vector<std::string>(1, std::string(host_architecture()));
  if (!config.EphemeralStorage) config.EphemeralStorage.emplace().Size = 512;
  if (!config.TracingConfig) config.TracingConfig.emplace().Mode = "PassThrough";
  if (!config.SnapStart) {
    config.SnapStart.emplace().ApplyOn = "None";
    config.SnapStart->OptimizationStatus = "Off";
  }
  if (!config.LoggingConfig) config.LoggingConfig.emplace().LogFormat = "Text";
  if (!config.LoggingConfig->LogGroup) config.LoggingConfig->LogGroup = "/aws/lambda/" + name;
  config.RuntimeVersionConfig.emplace().RuntimeVersionArn = runtime_version_arn(place, config.Runtime.value_or(""));
  config.State = "Active";
  config.LastUpdateStatus = "Successful";
}

aws::ApiResult<void> check_architectures(const std::optional<std::vector<std::string>>& architectures) {
  if (!architectures) return {};
  if (architectures->size() == 1 && architectures->front() == host_architecture()) return {};
  return refuse_unsupported("Architectures", fmt::format("this machine runs {}", host_architecture()));
}

std::string_view host_architecture() {
#if defined(__aarch64__)
  return "arm64";
#else
  return "x86_64";
#endif
}

std::string runtime_version_arn(const Place& place, const std::string& runtime) {
  return fmt::format("arn:aws:lambda:{}::runtime:{}", place.region, hex_encode(sha256(runtime)));
}

}  // namespace mayfly::lambda
