#include "app/config.h"

#include <fmt/core.h>
#include <fmt/ranges.h>
#include <toml++/toml.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <functional>

#include "app/admission.h"
#include "sandbox/network_policy.h"
#include "vault/master_keys.h"

extern "C" char** environ;  // NOLINT(readability-redundant-declaration): POSIX declares it nowhere.

namespace mayfly::app {
namespace {

struct Setting {
  std::string_view name;
  std::string_view help;
  bool secret;
  std::function<std::string(const Config&)> get;
  std::function<std::string(Config&, const std::string&)> set;  // "" or what is wrong
};

using Check = std::string (*)(const std::string&);

std::string anything(const std::string&) { return {}; }

Setting text(std::string_view name, std::string Config::* member, std::string_view help, Check check = anything) {
  return {name, help, false, [member](const Config& c) { return c.*member; },
          [member, check](Config& c, const std::string& value) {
            std::string wrong = check(value);
            if (wrong.empty()) c.*member = value;
            return wrong;
          }};
}

Setting secret(std::string_view name, std::string Config::* member, std::string_view help) {
  Setting setting = text(name, member, help);
  setting.secret = true;
  return setting;
}

template <typename Number>
Setting number(std::string_view name, Number Config::* member, std::uint64_t low, std::uint64_t high,
               std::string_view help) {
  return {name, help, false, [member](const Config& c) { return std::to_string(c.*member); },
          [member, low, high](Config& c, const std::string& value) -> std::string {
            std::uint64_t parsed = 0;
            const auto [end, ec] = std::from_chars(value.data(), value.data() + value.size(), parsed);
            if (ec != std::errc() || end != value.data() + value.size() || parsed < low || parsed > high) {
              return fmt::format("must be a whole number from {} to {}", low, high);
            }
            c.*member = static_cast<Number>(parsed);
            return {};
          }};
}

Setting flag(std::string_view name, bool Config::* member, std::string_view help) {
  return {name, help, false, [member](const Config& c) { return std::string(c.*member ? "true" : "false"); },
          [member](Config& c, const std::string& value) -> std::string {
            if (value != "true" && value != "false" && value != "1" && value != "0") return "must be true or false";
            c.*member = value == "true" || value == "1";
            return {};
          }};
}

template <std::size_t N>
std::string one_of(const std::string& value, const std::array<std::string_view, N>& allowed) {
  if (std::ranges::find(allowed, value) != allowed.end()) return {};
  return fmt::format("must be one of {}", fmt::join(allowed, ", "));
}

std::string bad_networks(const std::string& value) {
  const auto networks = parse_networks(value);
  return networks ? std::string() : networks.error().message;
}

const std::vector<Setting>& settings() {
  static const std::vector<Setting> table = {
      text("listen", &Config::listen, "Address and port of the API; port 0 takes a free one.",
           [](const std::string& v) {
             return v.rfind(':') == std::string::npos ? std::string("must be ADDRESS:PORT") : std::string();
           }),
      text("data", &Config::data, "Folder of everything that is kept. Default: ~/.mayfly"),
      text("region", &Config::region, "Region in ARNs.",
           [](const std::string& v) {
             const bool ok = !v.empty() && v.size() <= 32 && std::ranges::all_of(v, [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
             });
             return ok ? std::string() : std::string("must be a region name such as us-east-1");
           }),
      text("account", &Config::account, "Account id of the root credentials.",
           [](const std::string& v) {
             const bool ok = v.size() == 12 && std::ranges::all_of(v, [](char c) { return c >= '0' && c <= '9'; });
             return ok ? std::string() : std::string("must be 12 digits");
           }),
      number("reactors", &Config::reactors, 0, 256, "Event-loop threads; 0 is one for each CPU."),
      text("http.allow", &Config::http_allow,
           "Networks from which requests are taken, separated by spaces; empty is all. This machine always is.",
           bad_networks),
      text("http.deny", &Config::http_deny, "Networks from which no request is taken, though http.allow names them.",
           bad_networks),
      number("caller.rate", &Config::caller_rate, 0, 1'000'000,
             "Requests a second to the API from one user or role, with all its keys and sessions; 0 is no limit."),
      number("caller.burst", &Config::caller_burst, 1, 1'000'000, "Requests that such a caller may send at once."),
      text("log.level", &Config::log_level, "debug, info, warn or error.",
           [](const std::string& v) {
             return one_of(v, std::array<std::string_view, 4>{"debug", "info", "warn", "error"});
           }),
      text("log.format", &Config::log_format, "text, json, or auto: text on a terminal, else json.",
           [](const std::string& v) { return one_of(v, std::array<std::string_view, 3>{"auto", "text", "json"}); }),
      text("tls.certificate", &Config::tls_certificate,
           "PEM certificate chain; with tls.key the API is served over TLS."),
      text("tls.key", &Config::tls_key, "PEM private key."),
      number("concurrency", &Config::concurrency, 101, 1'000'000, "Concurrent executions of the account."),
      number("idle_timeout", &Config::idle_timeout, 1, 86'400, "Seconds after which an idle instance is retired."),
      flag("learn_idle", &Config::learn_idle,
           "Learn from a function's pauses when its last idle instance is retired and when one is started in advance."),
      number("drain_timeout", &Config::drain_timeout, 0, 900, "Seconds that running invocations get at a stop."),
      number("memory_budget_mb", &Config::memory_budget_mb, 0, 16'777'216,
             "Sum of the memory sizes of all instances, in MB; 0 is 80 % of the machine's memory."),
      number("ready_memory_mb", &Config::ready_memory_mb, 0, 16'777'216,
             "Memory for sandboxes and runtimes that are kept ready for cold starts, in MB; 0 keeps none."),
      number("snap_start_hours", &Config::snap_start_hours, 1, 8'760,
             "Hours after its last use for which a version with SnapStart keeps an initialised instance."),
      number("code_cache_mb", &Config::code_cache_mb, 0, 65'536,
             "Memory for compiled code of Node.js functions, in MB; 0 keeps none."),
      text("sandbox.network", &Config::network,
           "Outbound network of functions: outbound, none, or IPv4 networks separated by spaces.",
           [](const std::string& v) {
             const auto policy = sandbox::parse_network_policy(v);
             return policy ? std::string() : policy.error().message;
           }),
      flag("sandbox.allow_degraded", &Config::allow_degraded,
           "Run although this machine lacks a required protection (see `mayfly doctor`)."),
      flag("test_clock", &Config::test_clock,
           "Time stands until it is moved by `mayfly clock` (docs/testing-with-time.md). For tests."),
      text("runtimes.paths", &Config::runtime_paths, "Colon-separated folders to look for interpreters in first."),
      flag("runtimes.substitute", &Config::runtime_substitute,
           "Run a runtime whose exact interpreter version is missing with another version of the same language."),
      number("logs.bytes_per_function", &Config::log_bytes_per_function, 65'536, 1ULL << 40,
             "Bound of each function's kept log."),
      flag("iam.require_roles", &Config::require_roles,
           "Refuse functions whose role does not exist in IAM or does not trust Lambda."),
      flag("gateway.allow_link_local", &Config::gateway_link_local,
           "Let HTTP integrations and token issuers be at link-local and cloud metadata addresses."),
      text("scan.policy", &Config::scan_policy,
           "What is done about known vulnerabilities and credentials in a package: off, warn (in the log) or refuse.",
           [](const std::string& v) {
             return v == "off" || v == "warn" || v == "refuse" ? std::string() : std::string("off, warn or refuse");
           }),
      text("scan.osv", &Config::scan_osv,
           "Folder of OSV documents, read at start; without it nothing is known to be vulnerable."),
      number("audit.retention_days", &Config::audit_days, 1, 3650, "How long calls stay in the audit trail."),
      number("audit.megabytes", &Config::audit_megabytes, 1, 1'048'576,
             "Bound of the audit trail; the oldest calls go."),
      text("secrets.master_keys", &Config::master_keys,
           "Where the keys for stored secrets come from: file, file:/PATH, environment:NAME or command:SHELL COMMAND.",
           [](const std::string& v) {
             const auto source = vault::KeySource::parse(v, "");
             return source ? std::string() : source.error().message;
           }),
      secret("root_access_key_id", &Config::root_access_key_id, "Root access key id, in place of the generated one."),
      secret("root_secret_access_key", &Config::root_secret_access_key,
             "Root secret access key, in place of the generated one."),
  };
  return table;
}

std::string environment_name(std::string_view setting) {
  std::string name = "MAYFLY_";
  for (const char c : setting) name += c == '.' ? '_' : static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c);
  return name;
}

const Setting* find_setting(std::string_view name) {
  for (const auto& setting : settings()) {
    if (setting.name == name) return &setting;
  }
  return nullptr;
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, change}));
    }
  }
  return row[b.size()];
}

std::string nearest(std::string_view name) {
  const auto best =
      std::ranges::min_element(settings(), {}, [&](const Setting& s) { return edit_distance(s.name, name); });
  return std::string(best->name);
}

void flatten(const toml::table& table, const std::string& prefix, Values& values, std::vector<std::string>& problems) {
  for (const auto& [key, node] : table) {
    const std::string name = prefix + std::string(key.str());
    if (const auto* inner = node.as_table()) {
      flatten(*inner, name + ".", values, problems);
    } else if (const auto* string = node.as_string()) {
      values[name] = string->get();
    } else if (const auto* integer = node.as_integer()) {
      values[name] = std::to_string(integer->get());
    } else if (const auto* boolean = node.as_boolean()) {
      values[name] = boolean->get() ? "true" : "false";
    } else {
      problems.push_back(fmt::format("{}: must be a string, a whole number or a boolean", name));
    }
  }
}

void apply(Config& config, const Values& values, std::string_view source, std::vector<std::string>& problems) {
  for (const auto& [name, value] : values) {
    const Setting* setting = find_setting(name);
    if (setting == nullptr) {
      problems.push_back(fmt::format("{} ({}): no such setting; did you mean {}?", name, source, nearest(name)));
      continue;
    }
    const std::string wrong = setting->set(config, value);
    if (!wrong.empty()) problems.push_back(fmt::format("{} ({}): {}", name, source, wrong));
  }
}

}  // namespace

std::vector<SettingDoc> setting_docs() {
  const Config defaults;
  std::vector<SettingDoc> docs;
  for (const auto& s : settings()) {
    docs.push_back({.name = std::string(s.name),
                    .environment = environment_name(s.name),
                    .fallback = s.secret ? std::string() : s.get(defaults),
                    .help = std::string(s.help)});
  }
  return docs;
}

Values mayfly_environment() {
  Values values;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view line(*entry);
    const auto equals = line.find('=');
    if (!line.starts_with("MAYFLY_") || equals == std::string_view::npos) continue;
    values[std::string(line.substr(0, equals))] = std::string(line.substr(equals + 1));
  }
  return values;
}

Result<Config> load_config(const std::optional<std::filesystem::path>& file, const Values& environment,
                           const Values& flags) {
  Config config;
  std::vector<std::string> problems;
  if (file) {
    Values values;
    try {
      flatten(toml::parse_file(file->string()), "", values, problems);
    } catch (const toml::parse_error& e) {
      return fail(ErrorCode::kInvalid, fmt::format("{}:{}: {}", file->string(), e.source().begin.line, e.description()),
                  "The file is TOML; docs/configuration.md lists every setting.");
    }
    apply(config, values, file->string(), problems);
  }
  Values from_environment;
  for (const auto& [variable, value] : environment) {
    // These four are read by the command line and the build, not by the server.
    if (variable == "MAYFLY_CONFIG" || variable == "MAYFLY_HOME" || variable == "MAYFLY_ENDPOINT" ||
        variable == "MAYFLY_CONFORMANCE_DIR") {
      continue;
    }
    const auto known =
        std::ranges::find_if(settings(), [&](const Setting& s) { return environment_name(s.name) == variable; });
    if (known == settings().end()) {
      problems.push_back(fmt::format("{} (environment): no such setting", variable));
    } else {
      from_environment[std::string(known->name)] = value;
    }
  }
  apply(config, from_environment, "environment", problems);
  apply(config, flags, "command line", problems);
  if (config.tls_certificate.empty() != config.tls_key.empty()) {
    problems.emplace_back("tls.certificate, tls.key: set both or neither");
  }
  if (config.root_access_key_id.empty() != config.root_secret_access_key.empty()) {
    problems.emplace_back("root_access_key_id, root_secret_access_key: set both or neither");
  }
  if (config.data.empty()) {
    const auto home = environment.find("MAYFLY_HOME");
    const char* user_home = ::getenv("HOME");  // NOLINT(concurrency-mt-unsafe): before any thread exists.
    config.data = home != environment.end()
                      ? home->second
                      : (user_home != nullptr ? std::string(user_home) : std::string("/var/lib")) + "/.mayfly";
  }
  if (!problems.empty()) {
    return fail(ErrorCode::kInvalid, fmt::format("{}", fmt::join(problems, "\n")),
                "docs/configuration.md lists every setting.");
  }
  return config;
}

std::string settings_help() {
  std::string text = "Settings, as TOML in the file, NAME=VALUE with --set, or environment variables:\n";
  for (const auto& setting : setting_docs()) {
    text +=
        fmt::format("  {:<24} {}{}\n  {:<24} {}\n", setting.name, setting.help,
                    setting.fallback.empty() ? "" : fmt::format(" [{}]", setting.fallback), "", setting.environment);
  }
  return text;
}

}  // namespace mayfly::app
