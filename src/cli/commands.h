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

struct ScanOptions {
  std::string what;  // a folder or zip file, or the name of a function
  std::string osv;   // a folder of OSV documents; "" : none
  std::string sbom;  // where the bill of materials is written; "" : nowhere
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
// Returns 1 where something was found.
int scan_package(const Output& out, const ConnectionOptions& connection, const ScanOptions& options);
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
struct ScheduleOptions {
  std::string name;
  std::string group;  // "" : all of them, or the default one
};
int list_schedules(const Output& out, const ConnectionOptions& connection, const ScheduleOptions& options);
int show_schedule(const Output& out, const ConnectionOptions& connection, const ScheduleOptions& options);
int run_schedule(const Output& out, const ConnectionOptions& connection, const ScheduleOptions& options);
struct AuditOptions {
  std::string event;     // "CreateFunction"
  std::string service;   // "lambda"
  std::string user;      // of the ARN its last part, or the whole
  std::string resource;  // a name or an ARN in the request or the answer
  std::string from;      // "2026-01-31T12:00:00Z"
  bool errors = false;
  bool denied = false;
  bool follow = false;
  int limit = 100;
};
int audit(const Output& out, const ConnectionOptions& connection, const AuditOptions& options);
struct SecretOptions {
  std::string name;
  std::string description;
  std::string stage;  // "" : AWSCURRENT
  bool now = false;   // delete without a recovery window
  bool yes = false;
};
struct ParameterOptions {
  std::string name;  // of ls: a path, or ""
  std::string type = "SecureString";
  bool yes = false;
};
struct KeyOptions {
  bool rotate = false;  // make a new key first; else read them again from where they come
  bool forget = false;  // afterwards take the old ones away
};
int secret_set(const Output& out, const ConnectionOptions& connection, const SecretOptions& options);
int secret_get(const Output& out, const ConnectionOptions& connection, const SecretOptions& options);
int secret_list(const Output& out, const ConnectionOptions& connection);
int secret_remove(const Output& out, const ConnectionOptions& connection, const SecretOptions& options);
int secret_keys(const Output& out, const ConnectionOptions& connection);
int secret_rewrap(const Output& out, const ConnectionOptions& connection, const KeyOptions& options);
int parameter_set(const Output& out, const ConnectionOptions& connection, const ParameterOptions& options);
int parameter_get(const Output& out, const ConnectionOptions& connection, const ParameterOptions& options);
int parameter_list(const Output& out, const ConnectionOptions& connection, const ParameterOptions& options);
int parameter_remove(const Output& out, const ConnectionOptions& connection, const ParameterOptions& options);
// The clock of a server with --test-clock. "1h30m", "45s", "2d".
int show_clock(const Output& out, const ConnectionOptions& connection);
int advance_clock(const Output& out, const ConnectionOptions& connection, const std::string& by);
int set_clock(const Output& out, const ConnectionOptions& connection, const std::string& to);
int version(const Output& out);
int completion(const std::string& shell, const std::vector<std::string>& commands);

}  // namespace mayfly::cli
