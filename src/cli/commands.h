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
  bool show_logs = true;
};

struct LogsOptions {
  std::string name;
  bool follow = false;
  int lines = 100;
};

struct ExplainOptions {
  std::string principal;  // ARN of a user or a role
  std::string action;     // "lambda:InvokeFunction"
  std::string resource;   // an ARN or "*"
};

struct EventsTailOptions {
  std::string bus = "default";
  std::string pattern;  // JSON; "" : every event
};

struct EventsReplayOptions {
  std::string archive;
  std::string from;                // a time, or how long ago: "2026-01-31T12:00:00Z", "90m"
  std::string to;                  // the same; "" : now
  std::vector<std::string> rules;  // names; none: all rules of the bus
};

int events_tail(const Output& out, const ConnectionOptions& connection, const EventsTailOptions& options);
int events_replay(const Output& out, const ConnectionOptions& connection, const EventsReplayOptions& options);
int deploy(const Output& out, const ConnectionOptions& connection, const DeployOptions& options);
int invoke(const Output& out, const ConnectionOptions& connection, const InvokeOptions& options);
int list(const Output& out, const ConnectionOptions& connection);
int logs(const Output& out, const ConnectionOptions& connection, const LogsOptions& options);
int remove(const Output& out, const ConnectionOptions& connection, const std::string& name, bool yes);
int explain(const Output& out, const ConnectionOptions& connection, const ExplainOptions& options);
int environment(const Output& out, const ConnectionOptions& connection);
int doctor(const Output& out, const std::string& runtime_paths);
int version(const Output& out);
int completion(const std::string& shell, const std::vector<std::string>& commands);

}  // namespace mayfly::cli
