// What may stand in a function's configuration: checks shared by CreateFunction and UpdateFunctionConfiguration, and
// the defaults that AWS fills in. What this server would not carry out is refused by name.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "services/lambda/core.h"

namespace mayfly::lambda {

// The settings that both requests have. Pointers, because the requests are different types with equal members.
struct Settings {
  const std::optional<std::string>* runtime;
  const std::optional<std::string>* role;
  const std::optional<std::string>* handler;
  const std::optional<std::string>* description;
  const std::optional<std::int32_t>* timeout;
  const std::optional<std::int32_t>* memory_size;
  const std::optional<wire::VpcConfig>* vpc;
  const std::optional<wire::DeadLetterConfig>* dead_letter;
  const std::optional<wire::Environment>* environment;
  const std::optional<std::string>* kms_key;
  const std::optional<wire::TracingConfig>* tracing;
  const std::optional<std::vector<std::string>>* layers;
  const std::optional<std::vector<wire::FileSystemConfig>>* file_systems;
  const std::optional<wire::ImageConfig>* image;
  const std::optional<wire::EphemeralStorage>* ephemeral_storage;
  const std::optional<wire::SnapStart>* snap_start;
  const std::optional<wire::LoggingConfig>* logging;
  bool has_capacity_provider;
  bool has_durable;
};

template <typename Request>
Settings settings_of(const Request& request) {
  return {.runtime = &request.Runtime,
          .role = &request.Role,
          .handler = &request.Handler,
          .description = &request.Description,
          .timeout = &request.Timeout,
          .memory_size = &request.MemorySize,
          .vpc = &request.VpcConfig,
          .dead_letter = &request.DeadLetterConfig,
          .environment = &request.Environment,
          .kms_key = &request.KMSKeyArn,
          .tracing = &request.TracingConfig,
          .layers = &request.Layers,
          .file_systems = &request.FileSystemConfigs,
          .image = &request.ImageConfig,
          .ephemeral_storage = &request.EphemeralStorage,
          .snap_start = &request.SnapStart,
          .logging = &request.LoggingConfig,
          .has_capacity_provider = request.CapacityProviderConfig.has_value(),
          .has_durable = request.DurableConfig.has_value()};
}

aws::ApiResult<void> check_settings(const Core& core, const Settings& settings);
// Levels are for JSON: refused where neither the request nor, for an update, what is there says so.
aws::ApiResult<void> check_log_levels(const Settings& settings, const std::optional<wire::LoggingConfig>& present);
// Layer versions as a configuration shows them, and their packages, lowest first.
struct ResolvedLayers {
  std::vector<wire::Layer> shown;
  std::vector<std::string> shas;
};
aws::ApiResult<ResolvedLayers> resolve_layers(Core& core, const Place& place, const std::vector<std::string>& arns);
// Puts what is given into the configuration; what is not given stays.
void apply_settings(const Settings& settings, wire::FunctionConfiguration& config);
// AWS's defaults for whatever has not been set.
void fill_defaults(const std::string& name, const Place& place, wire::FunctionConfiguration& config);
aws::ApiResult<void> check_architectures(const std::optional<std::vector<std::string>>& architectures);
std::string_view host_architecture();
std::string runtime_version_arn(const Place& place, const std::string& runtime);

}  // namespace mayfly::lambda
