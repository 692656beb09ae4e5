// The server's settings: defaults, then the configuration file (TOML), then MAYFLY_* variables, then flags. Every
// setting is in one table (config.cpp), which the documentation (docs/configuration.md) and `mayfly serve --help` are
// written from.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"

namespace mayfly::app {

struct Config {
  std::string listen = "127.0.0.1:4566";
  std::string data;  // default: $MAYFLY_HOME, else ~/.mayfly
  std::string region = "us-east-1";
  std::string account = "000000000000";
  std::uint32_t reactors = 0;     // 0: one for each CPU
  std::string http_allow;         // networks; "": all
  std::string http_deny;          // networks
  std::uint32_t caller_rate = 0;  // requests a second; 0: no limit
  std::uint32_t caller_burst = 100;
  std::string log_level = "info";
  std::string log_format = "auto";  // auto, text, json
  std::string tls_certificate;
  std::string tls_key;
  std::uint32_t concurrency = 1000;
  std::uint32_t idle_timeout = 300;  // seconds
  bool learn_idle = true;
  std::uint32_t drain_timeout = 30;  // seconds
  std::uint32_t memory_budget_mb = 0;
  std::uint32_t ready_memory_mb = 256;
  std::uint32_t snap_start_hours = 24;
  std::uint32_t code_cache_mb = 64;
  std::string network = "outbound";  // none, outbound, or networks
  bool allow_degraded = false;
  std::string runtime_paths;  // colon-separated folders
  bool runtime_substitute = false;
  std::uint64_t log_bytes_per_function = 64ULL << 20;
  bool test_clock = false;
  std::uint32_t account_unreserved = 100;
  bool require_roles = false;
  bool gateway_link_local = false;
  std::string scan_policy = "warn";  // off, warn, refuse
  std::string scan_osv;
  std::string master_keys = "file";
  std::uint32_t audit_days = 90;
  std::uint64_t audit_megabytes = 1024;
  std::string root_access_key_id;
  std::string root_secret_access_key;
};

struct SettingDoc {
  std::string name;         // "sandbox.network", the key in the file
  std::string environment;  // "MAYFLY_SANDBOX_NETWORK"
  std::string fallback;     // the default as text; "" for a secret
  std::string help;
};

using Values = std::map<std::string, std::string>;  // by setting name

// All violations are reported at once, one a line of the Error's message. Unknown keys are refused with the nearest
// known one.
Result<Config> load_config(const std::optional<std::filesystem::path>& file, const Values& environment,
                           const Values& flags);
std::vector<SettingDoc> setting_docs();
// The MAYFLY_* variables of this process, by variable name.
Values mayfly_environment();

}  // namespace mayfly::app
