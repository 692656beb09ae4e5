// The commands that only look: list, logs, env, doctor, version, completion.
#include <fmt/core.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <filesystem>
#include <sstream>

#include "base/encoding.h"
#include "base/ids.h"
#include "cli/commands.h"
#include "sandbox/capabilities.h"
#include "sandbox/runtimes.h"

namespace mayfly::cli {

int list(const Output& out, const ConnectionOptions& options) {
  const auto connection = connect(options);
  if (!connection) return out.failure(connection.error());
  json::array functions;
  std::string marker;
  do {
    std::string target = "/2015-03-31/functions?MaxItems=50";
    if (!marker.empty()) target += "&Marker=" + percent_encode(marker, Slash::kEncode);
    const auto page = send_json(*connection, {.target = target});
    if (!page) return out.failure(page.error());
    if (const auto* items = find(*page, "Functions"); items != nullptr && items->is_array()) {
      functions.insert(functions.end(), items->get_array().begin(), items->get_array().end());
    }
    marker = get_string(*page, "NextMarker");
  } while (!marker.empty());
  if (out.json) {
    out.value(functions);
    return 0;
  }
  if (functions.empty()) {
    out.note("no functions yet; `mayfly deploy FOLDER` makes one");
    return 0;
  }
  std::vector<std::vector<std::string>> rows;
  for (const auto& f : functions) {
    rows.push_back({std::string(get_string(f, "FunctionName")), std::string(get_string(f, "Runtime")),
                    std::string(get_string(f, "Handler")), fmt::format("{} MB", get_int(f, "MemorySize")),
                    fmt::format("{} s", get_int(f, "Timeout")), std::string(get_string(f, "LastModified"))});
  }
  out.table({"NAME", "RUNTIME", "HANDLER", "MEMORY", "TIMEOUT", "MODIFIED"}, rows);
  return 0;
}

int logs(const Output& out, const ConnectionOptions& options, const LogsOptions& what) {
  const auto connection = connect(options);
  if (!connection) return out.failure(connection.error());
  const Call call{
      .target = fmt::format("/_mayfly/logs?function={}&limit={}{}", percent_encode(what.name, Slash::kEncode),
                            what.lines, what.follow ? "&follow=1" : ""),
      .service = "mayfly"};
  std::string buffer;
  const auto print = [&](std::string_view data) {
    buffer += data;
    for (auto end = buffer.find('\n'); end != std::string::npos; end = buffer.find('\n')) {
      const std::string text = buffer.substr(0, end);
      buffer.erase(0, end + 1);
      if (text.empty()) continue;  // Sent from time to time to keep the connection.
      if (out.json) {
        out.line(text);
      } else if (const auto line = parse_json(text)) {
        out.line(fmt::format("{} {}", out.dim(get_string(*line, "time")), get_string(*line, "message")));
      }
    }
    return true;
  };
  const auto done = stream(*connection, call, print);
  if (!done) return out.failure(done.error());
  return 0;
}

int environment(const Output& out, const ConnectionOptions& options) {
  const auto connection = connect(options);
  if (!connection) return out.failure(connection.error());
  const std::vector<std::pair<std::string, std::string>> variables = {
      {"AWS_ENDPOINT_URL", connection->endpoint},
      {"AWS_ACCESS_KEY_ID", connection->access_key_id},
      {"AWS_SECRET_ACCESS_KEY", connection->secret_access_key},
      {"AWS_REGION", connection->region},
      {"AWS_DEFAULT_REGION", connection->region},
  };
  if (out.json) {
    json::object value;
    for (const auto& [name, text] : variables) value[name] = text;
    out.value(value);
    return 0;
  }
  for (const auto& [name, text] : variables) {
    std::string quoted;
    for (const char c : text) {
      if (c == '\'') {
        quoted += "'\\''";
      } else {
        quoted += c;
      }
    }
    out.line(fmt::format("export {}='{}'", name, quoted));
  }
  if (::isatty(STDOUT_FILENO) == 1) out.note(out.dim("# use it: eval $(mayfly env)"));
  return 0;
}

int doctor(const Output& out, const std::string& runtime_paths) {
  const auto capabilities = sandbox::probe_capabilities();
  std::vector<std::string> folders;
  std::istringstream split(runtime_paths);
  for (std::string folder; std::getline(split, folder, ':');) folders.push_back(folder);
  const auto scratch = std::filesystem::temp_directory_path() / ("mayfly-doctor-" + random_hex(8));
  const auto runtimes = sandbox::Runtimes::discover(scratch.string(), folders);
  std::filesystem::remove_all(scratch);
  const auto missing = capabilities.missing_required();
  if (out.json) {
    auto value = parse_json(sandbox::to_json_text(capabilities));
    json::array found;
    if (runtimes) {
      for (const auto& r : runtimes->found()) {
        found.push_back(
            json::object{{"Name", r.name}, {"Interpreter", r.interpreter}, {"Version", r.version}, {"Exact", r.exact}});
      }
    }
    json::object all;
    if (value) all["Machine"] = *value;
    all["Runtimes"] = found;
    all["Ready"] = missing.empty();
    out.value(all);
    return missing.empty() ? 0 : 1;
  }
  out.line(out.bold("Machine"));
  for (const auto& c : capabilities.all) {
    const std::string mark = c.present ? out.green("yes") : (c.required ? out.red("NO ") : "no ");
    out.line(fmt::format("  {} {:<22} {}", mark, c.name, c.detail));
    if (!c.present && !c.meaning.empty()) out.line(fmt::format("      {}", c.meaning));
  }
  out.line(out.bold("Runtimes"));
  if (!runtimes) return out.failure(runtimes.error());
  for (const auto& r : runtimes->found()) {
    if (r.interpreter.empty() && !r.exact) continue;
    out.line(fmt::format("  {} {:<22} {} {}", r.exact ? out.green("yes") : "no ", r.name, r.interpreter, r.version));
  }
  if (missing.empty()) {
    out.line(out.green("This machine gives functions every required protection."));
    return 0;
  }
  out.line(out.red("Required and missing; the server refuses to start without sandbox.allow_degraded."));
  return 1;
}

int version(const Output& out) {
  if (out.json) {
    out.value(json::object{{"version", MAYFLY_VERSION}});
  } else {
    out.line(fmt::format("mayfly {}", MAYFLY_VERSION));
  }
  return 0;
}

int completion(const std::string& shell, const std::vector<std::string>& commands) {
  const std::string words = fmt::format("{}", fmt::join(commands, " "));
  const std::string functions =
      "$(mayfly list --json 2>/dev/null | grep -o '\"FunctionName\":\"[^\"]*' | cut -d'\"' -f4)";
  const std::string queues = "$(mayfly queue ls --json 2>/dev/null | grep -o '\"Name\":\"[^\"]*' | cut -d'\"' -f4)";
  if (shell == "bash") {
    fmt::print(
        "_mayfly() {{\n"
        "  local word=${{COMP_WORDS[COMP_CWORD]}}\n"
        "  if [ \"$COMP_CWORD\" = 1 ]; then COMPREPLY=($(compgen -W '{}' -- \"$word\")); return; fi\n"
        "  case ${{COMP_WORDS[1]}} in\n"
        "    invoke|logs|delete) COMPREPLY=($(compgen -W \"{}\" -- \"$word\"));;\n"
        "    queue|dlq) if [ \"$COMP_CWORD\" = 2 ]; then\n"
        "        case ${{COMP_WORDS[1]}} in queue) words='ls peek send purge';; *) words='ls show redrive';; esac\n"
        "        COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
        "      else COMPREPLY=($(compgen -W \"{}\" -- \"$word\")); fi;;\n"
        "    *) COMPREPLY=($(compgen -f -- \"$word\"));;\n"
        "  esac\n"
        "}}\n"
        "complete -F _mayfly mayfly\n",
        words, functions, queues);
  } else if (shell == "zsh") {
    fmt::print(
        "#compdef mayfly\n_mayfly() {{\n  if (( CURRENT == 2 )); then compadd {0}; return; fi\n"
        "  case $words[2] in invoke|logs|delete) compadd {1};;\n"
        "  queue) if (( CURRENT == 3 )); then compadd ls peek send purge; else compadd {2}; fi;;\n"
        "  dlq) if (( CURRENT == 3 )); then compadd ls show redrive; else compadd {2}; fi;;\n"
        "  *) _files;; esac\n}}\ncompdef _mayfly mayfly\n",
        words, functions, queues);
  } else {
    for (const auto& command : commands) fmt::print("complete -c mayfly -n __fish_use_subcommand -a {}\n", command);
    fmt::print("complete -c mayfly -n '__fish_seen_subcommand_from invoke logs delete' -a '({})'\n",
               functions.substr(2, functions.size() - 3));
    fmt::print("complete -c mayfly -n '__fish_seen_subcommand_from queue' -a 'ls peek send purge'\n");
    fmt::print("complete -c mayfly -n '__fish_seen_subcommand_from dlq' -a 'ls show redrive'\n");
    fmt::print("complete -c mayfly -n '__fish_seen_subcommand_from queue dlq' -a '({})'\n",
               queues.substr(2, queues.size() - 3));
  }
  return 0;
}

}  // namespace mayfly::cli
