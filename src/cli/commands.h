// One function for each command. Each returns the process's exit code and prints through `out`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/connection.h"
#include "cli/output.h"

namespace mayfly::cli {

struct DeployOptions {
  std::string path;
  std::string name;     // "" : the folder's or file's name
  std::string runtime;  // "" : guessed
  std::string handler;  // "" : guessed
  std::optional<int> memory;
  std::optional<int> timeout;
  std::vector<std::string> environment;  // "KEY=VALUE"
  bool url = false;                      // make a public function URL, too
};

struct InvokeOptions {
  std::string name;
  std::string payload;  // text, "@file", "-" for standard input, "" for {}
  std::string qualifier;
  std::string replay;  // a file with recorded invocations, one JSON document a line
  bool show_logs = true;
};

struct LogsOptions {
  std::string name;
  bool follow = false;
  int lines = 100;
};

int deploy(const Output& out, const ConnectionOptions& connection, const DeployOptions& options);
int invoke(const Output& out, const ConnectionOptions& connection, const InvokeOptions& options);
struct DeliveriesOptions {
  std::string target;  // "" : all lanes
  std::string via;
  int limit = 100;
};

int deliveries(const Output& out, const ConnectionOptions& connection, const DeliveriesOptions& options);
int replay(const Output& out, const ConnectionOptions& connection, const InvokeOptions& options);
int list(const Output& out, const ConnectionOptions& connection);
int logs(const Output& out, const ConnectionOptions& connection, const LogsOptions& options);
int remove(const Output& out, const ConnectionOptions& connection, const std::string& name, bool yes);
int environment(const Output& out, const ConnectionOptions& connection);
int doctor(const Output& out, const std::string& runtime_paths);
int version(const Output& out);
int completion(const std::string& shell, const std::vector<std::string>& commands);

}  // namespace mayfly::cli
