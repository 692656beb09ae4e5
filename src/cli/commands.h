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

// Which messages of a queue: all of what is given must hold.
struct MessageFilter {
  std::string text;                     // a part of the body
  std::vector<std::string> attributes;  // "NAME=VALUE", of message attributes and system attributes
};

struct PeekOptions {
  std::string queue;  // name or ARN
  int limit = 10;
  MessageFilter filter;
};

struct QueueSendOptions {
  std::string queue;
  std::string body;  // text, "@file", "-" for standard input
  std::vector<std::string> attributes;
  std::string group;
  std::string dedupe;
  std::optional<int> delay;
};

struct RedriveOptions {
  std::string queue;
  std::string to;  // "" : where each message came from
  int limit = 0;   // 0: all
  bool dry_run = false;
  MessageFilter filter;
};

int deploy(const Output& out, const ConnectionOptions& connection, const DeployOptions& options);
int invoke(const Output& out, const ConnectionOptions& connection, const InvokeOptions& options);
int list(const Output& out, const ConnectionOptions& connection);
int logs(const Output& out, const ConnectionOptions& connection, const LogsOptions& options);
int remove(const Output& out, const ConnectionOptions& connection, const std::string& name, bool yes);
int explain(const Output& out, const ConnectionOptions& connection, const ExplainOptions& options);
int queue_list(const Output& out, const ConnectionOptions& connection);
int queue_peek(const Output& out, const ConnectionOptions& connection, const PeekOptions& options);
int queue_send(const Output& out, const ConnectionOptions& connection, const QueueSendOptions& options);
int queue_purge(const Output& out, const ConnectionOptions& connection, const std::string& queue, bool yes);
int dlq_list(const Output& out, const ConnectionOptions& connection);
int dlq_show(const Output& out, const ConnectionOptions& connection, const PeekOptions& options);
int dlq_redrive(const Output& out, const ConnectionOptions& connection, const RedriveOptions& options);
int environment(const Output& out, const ConnectionOptions& connection);
int doctor(const Output& out, const std::string& runtime_paths);
int version(const Output& out);
int completion(const std::string& shell, const std::vector<std::string>& commands);

}  // namespace mayfly::cli
