#include "dispatch/sandbox_plan.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace mayfly::dispatch {
namespace {

using Variables = std::vector<std::pair<std::string, std::string>>;

void put(Variables& variables, const std::string& name, std::string value) {
  const auto found = std::find_if(variables.begin(), variables.end(), [&](const auto& v) { return v.first == name; });
  if (found != variables.end()) {
    found->second = std::move(value);
  } else {
    variables.emplace_back(name, std::move(value));
  }
}

// The platform sets these itself.
constexpr std::array<std::string_view, 22> kReserved = {"_HANDLER",
                                                        "_X_AMZN_TRACE_ID",
                                                        "AWS_DEFAULT_REGION",
                                                        "AWS_REGION",
                                                        "AWS_EXECUTION_ENV",
                                                        "AWS_LAMBDA_FUNCTION_NAME",
                                                        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
                                                        "AWS_LAMBDA_FUNCTION_VERSION",
                                                        "AWS_LAMBDA_INITIALIZATION_TYPE",
                                                        "AWS_LAMBDA_LOG_GROUP_NAME",
                                                        "AWS_LAMBDA_LOG_STREAM_NAME",
                                                        "AWS_ACCESS_KEY",
                                                        "AWS_ACCESS_KEY_ID",
                                                        "AWS_SECRET_KEY",
                                                        "AWS_SECRET_ACCESS_KEY",
                                                        "AWS_SESSION_TOKEN",
                                                        "AWS_LAMBDA_RUNTIME_API",
                                                        "LAMBDA_TASK_ROOT",
                                                        "LAMBDA_RUNTIME_DIR",
                                                        "AWS_LAMBDA_METADATA_API",
                                                        "AWS_LAMBDA_LOG_FORMAT",
                                                        "AWS_LAMBDA_LOG_LEVEL"};

}  // namespace

std::uint32_t cpu_milli(std::uint32_t memory_mb) {
  return std::max<std::uint32_t>(10, static_cast<std::uint32_t>(std::uint64_t{memory_mb} * 1000 / 1769));
}

bool is_reserved_variable(const std::string& name) {
  return std::find(kReserved.begin(), kReserved.end(), name) != kReserved.end();
}

bool is_read_at_start(const std::string& name) {
  constexpr std::array<std::string_view, 12> kPrefixes = {"PYTHON", "NODE_",   "LD_", "LC_",     "LANG",    "GLIBC_",
                                                          "MALLOC", "OPENSSL", "UV_", "LOCPATH", "NLSPATH", "SSL_"};
  return std::ranges::any_of(kPrefixes, [&](std::string_view prefix) { return name.starts_with(prefix); });
}

bool may_keep_code(const Target& target) {
  return target.runtime.starts_with("nodejs") &&
         std::ranges::none_of(target.environment, [](const auto& v) { return is_read_at_start(v.first); });
}

sandbox::SandboxSpec make_spec(const Target& target, const sandbox::RuntimePlan& plan,
                               const DispatcherSettings& settings, const sandbox::SandboxId& id,
                               const std::string& log_stream) {
  sandbox::SandboxSpec spec;
  spec.id = id;
  spec.mounts = plan.mounts;
  spec.mounts.push_back(sandbox::Mount{.source = target.code_directory, .target = "/var/task"});
  spec.opt_layers = target.layer_directories;
  spec.argv = plan.argv;
  spec.runtime_api_port = kRuntimeApiPort;

  // The runtime's defaults first, then the function's own (which may change PATH or LANG), then what is reserved.
  Variables& env = spec.environment;
  put(env, "TZ", ":UTC");
  put(env, "LANG", "en_US.UTF-8");
  for (const auto& [name, value] : plan.environment) put(env, name, value);
  if (!settings.endpoint_url.empty()) put(env, "AWS_ENDPOINT_URL", settings.endpoint_url);
  for (const auto& [name, value] : target.environment) {
    if (!is_reserved_variable(name)) put(env, name, value);
  }
  if (settings.credentials) {
    for (auto& [name, value] : settings.credentials(target)) put(env, name, std::move(value));
  }
  put(env, "_HANDLER", target.handler);
  put(env, "AWS_REGION", target.region);
  put(env, "AWS_DEFAULT_REGION", target.region);
  // Lambda sets the execution environment's name for managed runtimes only.
  if (!target.runtime.starts_with("provided")) put(env, "AWS_EXECUTION_ENV", "AWS_Lambda_" + target.runtime);
  put(env, "AWS_LAMBDA_FUNCTION_NAME", target.function_name);
  put(env, "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", std::to_string(target.memory_mb));
  put(env, "AWS_LAMBDA_FUNCTION_VERSION", target.version);
  put(env, "AWS_LAMBDA_LOG_GROUP_NAME", target.log_group);
  put(env, "AWS_LAMBDA_LOG_STREAM_NAME", log_stream);
  put(env, "AWS_LAMBDA_LOG_FORMAT", target.logs.json ? "JSON" : "Text");
  if (target.logs.json) put(env, "AWS_LAMBDA_LOG_LEVEL", target.logs.application_level);
  put(env, "AWS_LAMBDA_INITIALIZATION_TYPE", target.snap_start ? "snap-start" : "on-demand");
  put(env, "AWS_LAMBDA_RUNTIME_API", "127.0.0.1:" + std::to_string(kRuntimeApiPort));
  put(env, "LAMBDA_TASK_ROOT", "/var/task");
  put(env, "LAMBDA_RUNTIME_DIR", "/var/runtime");

  // What can be made ahead: the sandbox always, a managed runtime in it where the function's variables come early
  // enough.
  spec.ahead = sandbox::Ahead::kSandbox;
  const bool late = std::ranges::any_of(target.environment, [](const auto& v) { return is_read_at_start(v.first); });
  if (!plan.ahead_environment.empty() && !late) {
    spec.ahead = sandbox::Ahead::kRuntime;
    spec.runtime_environment = plan.ahead_environment;
    put(spec.runtime_environment, "AWS_LAMBDA_RUNTIME_API", "127.0.0.1:" + std::to_string(kRuntimeApiPort));
  }

  spec.limits.memory_bytes = std::uint64_t{target.memory_mb} << 20;
  spec.limits.cpu_milli = cpu_milli(target.memory_mb);
  // A small function would otherwise spend its cold start waiting for its quota: initialisation gets a whole CPU.
  spec.limits.start_cpu_milli = 1000;
  spec.limits.tmp_bytes = std::uint64_t{target.ephemeral_storage_mb} << 20;
  auto network = target.network ? sandbox::narrower(settings.network, *target.network) : settings.network;
  spec.network = network.mode;
  spec.allowed_networks = std::move(network.networks);
  return spec;
}

}  // namespace mayfly::dispatch
