// The command line: what a person types. main() gives it the one command that is not a client's, `serve`.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace mayfly::cli {

struct ServeOptions {
  std::optional<std::string> config_file;
  std::map<std::string, std::string> settings;  // by setting name
  int control_fd = -1;                          // the ready line is also written here, as JSON
};

struct Hooks {
  std::function<int(const ServeOptions&)> serve;
  std::function<std::string()> settings_help;
  std::vector<std::string> setting_names;
};

// The process's exit code: 0 done, 1 failed, 2 wrong usage.
int run(int argc, char** argv, const Hooks& hooks);

}  // namespace mayfly::cli
