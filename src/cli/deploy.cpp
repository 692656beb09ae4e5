// `mayfly deploy`: a folder or zip file becomes a function, or the new code of one.
#include <fmt/core.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "base/encoding.h"
#include "cli/commands.h"
#include "cli/package.h"
#include "scan/scanner.h"

namespace mayfly::cli {
namespace {

// The role that functions get where nobody named one.
constexpr std::string_view kDefaultRole = "arn:aws:iam::{}:role/mayfly-default";

Result<std::string> choose_runtime(const Connection& connection, const std::string& language) {
  if (language.empty()) {
    return fail(ErrorCode::kInvalid, "cannot tell the runtime from the files",
                "Name it: --runtime python3.11 --handler app.handler");
  }
  if (language == "provided") return std::string("provided.al2023");
  const auto runtimes = send_json(connection, {.target = "/_mayfly/runtimes", .service = "mayfly"});
  if (!runtimes) return std::unexpected(runtimes.error());
  std::string chosen;
  for (const auto& runtime : runtimes->as_object().at("Runtimes").as_array()) {
    const std::string_view name = get_string(runtime, "Name");
    if (name.starts_with(language) && get_bool(runtime, "Exact", false)) chosen = name;
  }
  if (chosen.empty()) {
    return fail(ErrorCode::kUnsupported, fmt::format("the server has no {} interpreter", language),
                "See `mayfly doctor`.");
  }
  return chosen;
}

Result<json::value> wait_settled(const Connection& connection, const std::string& name) {
  constexpr int kTries = 300;
  for (int i = 0; i < kTries; ++i) {
    auto configuration = send_json(connection, {.target = function_path(name, "/configuration")});
    if (!configuration) return configuration;
    const bool pending = get_string(*configuration, "State") == "Pending" ||
                         get_string(*configuration, "LastUpdateStatus") == "InProgress";
    if (!pending) {
      if (get_string(*configuration, "State") == "Failed" ||
          get_string(*configuration, "LastUpdateStatus") == "Failed") {
        return fail(ErrorCode::kInvalid, std::string(get_string(*configuration, "StateReason",
                                                                get_string(*configuration, "LastUpdateStatusReason"))));
      }
      return configuration;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(i < 20 ? 10 : 100));
  }
  return fail(ErrorCode::kTimeout, fmt::format("{} did not become active", name));
}

Result<json::object> settings_of(const DeployOptions& options, const std::string& runtime, const std::string& handler) {
  json::object settings;
  if (!runtime.empty()) settings["Runtime"] = runtime;
  if (!handler.empty()) settings["Handler"] = handler;
  if (options.memory) settings["MemorySize"] = *options.memory;
  if (options.timeout) settings["Timeout"] = *options.timeout;
  if (!options.environment.empty()) {
    json::object variables;
    for (const auto& entry : options.environment) {
      const auto equals = entry.find('=');
      if (equals == std::string::npos || equals == 0) {
        return fail(ErrorCode::kInvalid, fmt::format("--env {}: must be NAME=VALUE", entry));
      }
      variables[entry.substr(0, equals)] = entry.substr(equals + 1);
    }
    settings["Environment"] = json::object{{"Variables", variables}};
  }
  return settings;
}

Result<std::string> make_url(const Connection& connection, const std::string& name) {
  const std::string path = fmt::format("/2021-10-31/functions/{}/url", percent_encode(name, Slash::kEncode));
  auto url = send_json(connection, {.method = "POST", .target = path, .body = R"({"AuthType":"NONE"})"});
  if (!url && url.error().code == ErrorCode::kConflict) url = send_json(connection, {.target = path});
  if (!url) return std::unexpected(url.error());
  const auto permission = send_json(
      connection, {.method = "POST",
                   .target = function_path(name, "/policy"),
                   .body = R"({"StatementId":"FunctionURLAllowPublicAccess","Action":"lambda:InvokeFunctionUrl",)"
                           R"("Principal":"*","FunctionUrlAuthType":"NONE"})"});
  if (!permission && permission.error().code != ErrorCode::kConflict) return std::unexpected(permission.error());
  return std::string(get_string(*url, "FunctionUrl"));
}

Result<json::value> deploy_with(const Output& out, const Connection& connection, const DeployOptions& options,
                                const std::string& name) {
  auto package = read_package(options.path);
  if (!package) return std::unexpected(package.error());
  out.progress(
      fmt::format("packed {} file{}, {} bytes", package->files, package->files == 1 ? "" : "s", package->zip.size()));
  if (const auto report = scan::scan_zip(package->zip, nullptr); report && !report->clean()) {
    constexpr std::size_t kMostShown = 5;
    out.note("warning: " + scan::describe(*report, kMostShown));
  }
  const std::string zip = base64_encode(package->zip);
  const auto existing = send_json(connection, {.target = function_path(name, "/configuration")});
  if (!existing && existing.error().code != ErrorCode::kNotFound) return existing;

  if (existing) {
    auto settings = settings_of(options, options.runtime, options.handler);
    if (!settings) return std::unexpected(settings.error());
    const json::object code{{"ZipFile", zip}};
    if (auto r =
            send_json(connection, {.method = "PUT", .target = function_path(name, "/code"), .body = to_json(code)});
        !r) {
      return r;
    }
    out.progress("uploaded the new code");
    auto settled = wait_settled(connection, name);
    if (!settled || settings->empty()) return settled;
    const Call update{.method = "PUT", .target = function_path(name, "/configuration"), .body = to_json(*settings)};
    if (auto r = send_json(connection, update); !r) return r;
    out.progress("updated the configuration");
    return wait_settled(connection, name);
  }

  std::string runtime = options.runtime;
  if (runtime.empty()) {
    auto chosen = choose_runtime(connection, package->language);
    if (!chosen) return std::unexpected(chosen.error());
    runtime = std::move(*chosen);
  }
  const std::string handler = options.handler.empty() ? package->handler : options.handler;
  if (handler.empty())
    return fail(ErrorCode::kInvalid, "cannot tell the handler from the files", "Name it: --handler app.handler");
  auto settings = settings_of(options, runtime, handler);
  if (!settings) return std::unexpected(settings.error());
  const auto account = send_json(connection, {.target = "/_mayfly/status", .service = "mayfly"});
  if (!account) return account;
  (*settings)["FunctionName"] = name;
  (*settings)["Role"] = fmt::format(kDefaultRole, get_string(*account, "Account"));
  (*settings)["Code"] = json::object{{"ZipFile", zip}};
  if (auto r = send_json(connection, {.method = "POST", .target = "/2015-03-31/functions", .body = to_json(*settings)});
      !r) {
    return r;
  }
  out.progress(fmt::format("created {} ({}, {})", name, runtime, handler));
  return wait_settled(connection, name);
}

std::string name_of(const DeployOptions& options) {
  if (!options.name.empty()) return options.name;
  const auto path = std::filesystem::weakly_canonical(options.path);
  return (std::filesystem::is_directory(path) ? path.filename() : path.stem()).string();
}

}  // namespace

int deploy(const Output& out, const ConnectionOptions& options, const DeployOptions& what) {
  const auto connection = connect(options);
  if (!connection) return out.failure(connection.error());
  const std::string name = name_of(what);
  auto deployed = deploy_with(out, *connection, what, name);
  if (!deployed) return out.failure(deployed.error());
  if (what.url) {
    const auto url = make_url(*connection, name);
    if (!url) return out.failure(url.error());
    deployed->as_object()["FunctionUrl"] = *url;
  }
  if (out.json) {
    out.value(*deployed);
    return 0;
  }
  out.line(fmt::format("{} {}", out.green("deployed"), get_string(*deployed, "FunctionArn")));
  if (what.url) out.line(std::string(get_string(*deployed, "FunctionUrl")));
  out.line(out.dim(fmt::format("try: mayfly invoke {} '{{\"name\": \"world\"}}'", name)));
  return 0;
}

int remove(const Output& out, const ConnectionOptions& options, const std::string& name, bool yes) {
  const auto connection = connect(options);
  if (!connection) return out.failure(connection.error());
  if (!yes && ::isatty(STDIN_FILENO) == 1) {
    fmt::print(stderr, "Delete {} with all its versions? [y/N] ", name);
    const int answer = std::getchar();
    if (answer != 'y' && answer != 'Y') return 1;
  }
  const auto removed = send_json(*connection, {.method = "DELETE", .target = function_path(name, "")});
  if (!removed) return out.failure(removed.error());
  if (out.json) {
    out.value(json::object{{"deleted", name}});
  } else {
    out.line(fmt::format("deleted {}", name));
  }
  return 0;
}

}  // namespace mayfly::cli
