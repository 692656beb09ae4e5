// Small readings of the configuration that the server needs when it starts.
#pragma once

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include "app/config.h"
#include "app/front.h"
#include "base/log.h"
#include "dispatch/dispatcher.h"
#include "sandbox/network_policy.h"

namespace mayfly::app {

inline Level level_of(const std::string& name) {
  if (name == "debug") return Level::kDebug;
  if (name == "warn") return Level::kWarn;
  if (name == "error") return Level::kError;
  return Level::kInfo;
}

inline LogFormat format_of(const std::string& name) {
  if (name == "auto") return ::isatty(STDERR_FILENO) == 1 ? LogFormat::kText : LogFormat::kJson;
  return name == "text" ? LogFormat::kText : LogFormat::kJson;
}

// The text was checked when the configuration was read.
inline Networks checked_networks(const std::string& text) {
  auto networks = parse_networks(text);
  MAYFLY_ASSERT(networks);
  return std::move(*networks);
}

inline FrontSettings front_settings(const Config& config) {
  FrontSettings settings;
  settings.admission.allow = checked_networks(config.http_allow);
  settings.admission.deny = checked_networks(config.http_deny);
  settings.admission.callers = {.rate = static_cast<double>(config.caller_rate),
                                .burst = static_cast<double>(config.caller_burst)};
  return settings;
}

// The text was checked when the configuration was read.
inline sandbox::NetworkPolicy network_of(const Config& config) {
  return sandbox::parse_network_policy(config.network).value();
}

// What the configuration alone decides.
inline dispatch::DispatcherSettings dispatcher_settings_of(const Config& config) {
  dispatch::DispatcherSettings settings;
  settings.account_concurrency = config.concurrency;
  settings.idle_timeout = std::chrono::seconds(config.idle_timeout);
  settings.learn_idle = config.learn_idle;
  settings.memory_budget_mb = config.memory_budget_mb;
  settings.code_cache_mb = config.code_cache_mb;
  settings.snapshot_keep = std::chrono::hours(config.snap_start_hours);
  settings.network = network_of(config);
  return settings;
}

inline std::vector<std::string> split_paths(const std::string& text) {
  std::vector<std::string> paths;
  std::istringstream in(text);
  for (std::string path; std::getline(in, path, ':');) {
    if (!path.empty()) paths.push_back(path);
  }
  return paths;
}

inline Result<void> make_private_folder(const std::filesystem::path& path) {
  std::error_code ec;
  std::filesystem::create_directories(path, ec);
  if (ec) return std::unexpected(errno_error(ec.value(), path.string()));
  if (::chmod(path.c_str(), 0700) != 0) return fail_errno(path.string());
  return {};
}

}  // namespace mayfly::app
