// The grammar of the command line. The only unit that sees CLI11, whose headers are large.
#include "cli/cli.h"

#include <CLI/CLI.hpp>
#include <cstdio>

#include "cli/commands.h"

namespace mayfly::cli {
namespace {

std::vector<std::string> command_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const auto* sub : app.get_subcommands([](const CLI::App*) { return true; })) names.push_back(sub->get_name());
  return names;
}

void add_serve(CLI::App& app, ServeOptions& options, std::map<std::string, std::string>& flags, const Hooks& hooks) {
  auto* serve = app.add_subcommand("serve", "Start the server");
  serve->add_option("--config", options.config_file, "Configuration file (TOML)")->envname("MAYFLY_CONFIG");
  for (const auto& name : hooks.setting_names) {
    if (name.find('.') != std::string::npos || name.starts_with("root_")) continue;  // No secret on a command line.
    std::string flag = "--" + name;
    std::ranges::replace(flag, '_', '-');
    if (name == "test_clock") {
      serve->add_flag_callback(flag, [&options] { options.settings["test_clock"] = "true"; }, "See the settings below");
      continue;
    }
    serve->add_option(flag, flags[name], "See the settings below");
  }
  serve
      ->add_option_function<std::vector<std::string>>(
          "--set",
          [&options](const std::vector<std::string>& entries) {
            for (const auto& entry : entries) {
              const auto equals = entry.find('=');
              if (equals == std::string::npos) throw CLI::ValidationError("--set", entry + ": must be NAME=VALUE");
              options.settings[entry.substr(0, equals)] = entry.substr(equals + 1);
            }
          },
          "Any setting, as NAME=VALUE")
      ->take_all();
  serve->add_option("--control-fd", options.control_fd,
                    "Write one line of JSON here when ready (for tests and supervisors)");
  serve->footer(hooks.settings_help());
}

// `queue` and `dlq`, with what their subcommands read. run() answers nullopt where none of them was typed.
class QueueCommands {
 public:
  using Client = std::function<CLI::App*(CLI::App*)>;
  QueueCommands(CLI::App& app, const Client& client) {
    queue_ = app.add_subcommand("queue", "Look at queues, send, purge")->require_subcommand(1)->fallthrough();
    list_ = client(queue_->add_subcommand("ls", "List the queues with their counts"));
    peek_ = client(queue_->add_subcommand("peek", "Show messages where they lie; changes nothing"));
    add_peek(peek_, peek_options_);
    send_ = client(queue_->add_subcommand("send", "Send one message"));
    send_->add_option("queue", send_options_.queue, "Name or ARN")->required();
    send_->add_option("body", send_options_.body, "Text, @FILE, or - for standard input")->required();
    send_->add_option("--attribute", send_options_.attributes, "NAME=VALUE; may be repeated")->take_all();
    send_->add_option("--group", send_options_.group, "MessageGroupId");
    send_->add_option("--dedupe", send_options_.dedupe, "MessageDeduplicationId");
    send_->add_option("--delay", send_options_.delay, "Seconds, at most 900");
    purge_ = client(queue_->add_subcommand("purge", "Remove every message"));
    purge_->add_option("queue", purged_, "Name or ARN")->required();
    purge_->add_flag("-y,--yes", yes_, "Do not ask");
    dlq_ = app.add_subcommand("dlq", "Look at dead letters and send them back")->require_subcommand(1)->fallthrough();
    dlq_list_ = client(dlq_->add_subcommand("ls", "List the dead-letter queues and whose they are"));
    show_ = client(dlq_->add_subcommand("show", "Show dead letters with all attributes; changes nothing"));
    add_peek(show_, show_options_);
    redrive_ = client(dlq_->add_subcommand("redrive", "Move dead letters back to where they came from"));
    redrive_->add_option("queue", redrive_options_.queue, "Name or ARN of the dead-letter queue")->required();
    redrive_->add_option("--to", redrive_options_.to, "Another queue, by name or ARN");
    redrive_->add_option("-n,--limit", redrive_options_.limit, "How many at most; default: all")
        ->check(CLI::PositiveNumber);
    redrive_->add_flag("--dry-run", redrive_options_.dry_run, "Say what would be moved, and change nothing");
    add_filter(redrive_, redrive_options_.filter);
  }
  [[nodiscard]] std::optional<int> run(const Output& out, const ConnectionOptions& connection) const {
    if (*queue_ && *list_) return queue_list(out, connection);
    if (*queue_ && *peek_) return queue_peek(out, connection, peek_options_);
    if (*queue_ && *send_) return queue_send(out, connection, send_options_);
    if (*queue_ && *purge_) return queue_purge(out, connection, purged_, yes_);
    if (*dlq_ && *dlq_list_) return dlq_list(out, connection);
    if (*dlq_ && *show_) return dlq_show(out, connection, show_options_);
    if (*dlq_ && *redrive_) return dlq_redrive(out, connection, redrive_options_);
    return std::nullopt;
  }

 private:
  static void add_filter(CLI::App* command, MessageFilter& filter) {
    command->add_option("--filter", filter.text, "Only messages whose body holds this text");
    command->add_option("--attribute", filter.attributes, "Only messages with this attribute, NAME=VALUE")->take_all();
  }
  static void add_peek(CLI::App* command, PeekOptions& options) {
    command->add_option("queue", options.queue, "Name or ARN")->required();
    command->add_option("-n,--limit", options.limit, "How many at most")->check(CLI::PositiveNumber);
    add_filter(command, options.filter);
  }

  CLI::App* queue_;
  CLI::App* list_;
  CLI::App* peek_;
  CLI::App* send_;
  CLI::App* purge_;
  CLI::App* dlq_;
  CLI::App* dlq_list_;
  CLI::App* show_;
  CLI::App* redrive_;
  PeekOptions peek_options_;
  PeekOptions show_options_;
  QueueSendOptions send_options_;
  RedriveOptions redrive_options_;
  std::string purged_;
  bool yes_ = false;
};

// `secret` and `parameter`, in the same way.
class SecretCommands {
 public:
  SecretCommands(CLI::App& app, const QueueCommands::Client& client) {
    secret_ = app.add_subcommand("secret", "Keep secrets, and the keys that encrypt them")->require_subcommand(1);
    secret_->fallthrough();
    set_ =
        client(secret_->add_subcommand("set", "Make or change one; its value comes from standard input or a prompt"));
    set_->add_option("--description", secret_options_.description, "Of a new one");
    get_ = client(secret_->add_subcommand("get", "Print its value"));
    get_->add_option("--stage", secret_options_.stage, "Such as AWSPREVIOUS; default: AWSCURRENT");
    list_ = client(secret_->add_subcommand("ls", "List them, without values"));
    remove_ = client(secret_->add_subcommand("rm", "Delete one, in 30 days"));
    remove_->add_flag("--now", secret_options_.now, "At once and for good");
    remove_->add_flag("-y,--yes", secret_options_.yes, "Do not ask");
    for (auto* sub : {set_, get_, remove_}) sub->add_option("name", secret_options_.name, "Name or ARN")->required();
    keys_ = client(secret_->add_subcommand("keys", "Show the master keys and how much is under each"));
    rotate_ = client(secret_->add_subcommand("rotate-key", "Make a new master key and move everything to it"));
    rewrap_ = client(secret_->add_subcommand("rewrap", "Read the master keys again and move everything to the first"));
    for (auto* sub : {rotate_, rewrap_})
      sub->add_flag("--forget", key_options_.forget, "Take the old keys away after it");

    parameter_ = app.add_subcommand("parameter", "Keep parameters")->require_subcommand(1)->fallthrough();
    put_ = client(parameter_->add_subcommand("set", "Make or change one; value from standard input or a prompt"));
    put_->add_option("--type", parameter_options_.type, "Default: SecureString")
        ->check(CLI::IsMember({"String", "StringList", "SecureString"}));
    read_ = client(parameter_->add_subcommand("get", "Print its value; NAME:VERSION and NAME:LABEL, too"));
    listed_ = client(parameter_->add_subcommand("ls", "List them, without values"));
    listed_->add_option("path", parameter_options_.name, "Only below this path");
    erase_ = client(parameter_->add_subcommand("rm", "Delete one with its history"));
    erase_->add_flag("-y,--yes", parameter_options_.yes, "Do not ask");
    for (auto* sub : {put_, read_, erase_}) sub->add_option("name", parameter_options_.name, "Name or ARN")->required();
  }
  [[nodiscard]] std::optional<int> run(const Output& out, const ConnectionOptions& connection) {
    if (*set_) return secret_set(out, connection, secret_options_);
    if (*get_) return secret_get(out, connection, secret_options_);
    if (*list_) return secret_list(out, connection);
    if (*remove_) return secret_remove(out, connection, secret_options_);
    if (*keys_) return secret_keys(out, connection);
    key_options_.rotate = static_cast<bool>(*rotate_);
    if (*rotate_ || *rewrap_) return secret_rewrap(out, connection, key_options_);
    if (*put_) return parameter_set(out, connection, parameter_options_);
    if (*read_) return parameter_get(out, connection, parameter_options_);
    if (*listed_) return parameter_list(out, connection, parameter_options_);
    if (*erase_) return parameter_remove(out, connection, parameter_options_);
    return std::nullopt;
  }

 private:
  CLI::App* secret_;
  CLI::App* set_;
  CLI::App* get_;
  CLI::App* list_;
  CLI::App* remove_;
  CLI::App* keys_;
  CLI::App* rotate_;
  CLI::App* rewrap_;
  CLI::App* parameter_;
  CLI::App* put_;
  CLI::App* read_;
  CLI::App* listed_;
  CLI::App* erase_;
  SecretOptions secret_options_;
  KeyOptions key_options_;
  ParameterOptions parameter_options_;
};

}  // namespace

int run(int argc, char** argv, const Hooks& hooks) {
  CLI::App app{"Mayfly: a serverless cloud in one binary. Functions run in real sandboxes and speak the AWS APIs.",
               "mayfly"};
  app.require_subcommand(1);
  app.footer(
      "First steps:\n  mayfly serve &\n  mayfly deploy examples/hello-python\n  mayfly invoke hello-python '{\"name\": "
      "\"you\"}'\n"
      "Ordinary AWS clients: eval $(mayfly env); aws lambda list-functions");
  bool as_json = false;
  ConnectionOptions connection;
  app.add_flag("--json", as_json, "Print JSON, for programs");
  app.fallthrough();  // The common flags may also follow the command.

  ServeOptions serve_options;
  std::map<std::string, std::string> flags;
  add_serve(app, serve_options, flags, hooks);

  const auto client = [&](CLI::App* sub) {
    sub->add_option("--endpoint", connection.endpoint, "The server, http://HOST:PORT");
    sub->add_option("--data", connection.data, "The server's data folder, for its credentials");
    return sub;
  };

  DeployOptions deploy_options;
  auto* deploy_command = client(app.add_subcommand("deploy", "Make or update a function from a folder or zip file"));
  deploy_command->add_option("path", deploy_options.path, "Folder or zip file")->required()->check(CLI::ExistingPath);
  deploy_command->add_option("--name", deploy_options.name, "Name of the function; default: the folder's");
  deploy_command->add_option("--runtime", deploy_options.runtime,
                             "python3.11, nodejs20.x, provided.al2023; default: guessed");
  deploy_command->add_option("--handler", deploy_options.handler, "Such as app.handler; default: guessed");
  deploy_command->add_option("--memory", deploy_options.memory, "MB; CPU grows with it");
  deploy_command->add_option("--timeout", deploy_options.timeout, "Seconds, at most 900");
  deploy_command->add_option("--env", deploy_options.environment, "NAME=VALUE; may be repeated")->take_all();
  deploy_command->add_flag("--url", deploy_options.url, "Give it a public function URL");

  InvokeOptions invoke_options;
  bool quiet = false;
  auto* invoke_command = client(app.add_subcommand("invoke", "Run a function once and show its result"));
  invoke_command->add_option("function", invoke_options.name, "Name or ARN")->required();
  invoke_command->add_option("payload", invoke_options.payload, "JSON, @FILE, or - for standard input; default: {}");
  invoke_command->add_option("--qualifier", invoke_options.qualifier, "Version or alias");
  invoke_command
      ->add_option("--replay", invoke_options.replay,
                   "File with recorded invocations, one JSON document a line: runs each and compares")
      ->check(CLI::ExistingFile);
  invoke_command->add_flag("--no-log", quiet, "Do not show the end of its log");

  DeliveriesOptions deliveries_options;
  auto* deliveries_command =
      client(app.add_subcommand("deliveries", "Show what waits for asynchronous delivery, and how its targets fare"));
  deliveries_command->add_option("target", deliveries_options.target, "ARN: show the events that wait for it");
  deliveries_command->add_option("--via", deliveries_options.via, "Of the lane, where the list of lanes shows one");
  deliveries_command->add_option("-n,--limit", deliveries_options.limit, "How many events")->check(CLI::Range(1, 1000));

  auto* list_command = client(app.add_subcommand("list", "List the functions"));

  LogsOptions logs_options;
  auto* logs_command = client(app.add_subcommand("logs", "Show a function's log"));
  logs_command->add_option("function", logs_options.name, "Name")->required();
  logs_command->add_flag("-f,--follow", logs_options.follow, "Go on with new lines as they come");
  logs_command->add_option("-n,--lines", logs_options.lines, "How many lines of the past")->check(CLI::Range(0, 10000));

  EventsTailOptions tail_options;
  EventsReplayOptions replay_options;
  auto* events_command = app.add_subcommand("events", "Follow buses, replay archives");
  events_command->require_subcommand(1);
  auto* tail_command = client(events_command->add_subcommand("tail", "Show the events that are put on a bus"));
  tail_command->add_option("--bus", tail_options.bus, "Name of the bus");
  tail_command->add_option("--pattern", tail_options.pattern, "Only events that this event pattern matches");
  auto* replay_command = client(events_command->add_subcommand("replay", "Put an archive's events on its bus again"));
  replay_command->add_option("archive", replay_options.archive, "Name of the archive")->required();
  replay_command->add_option("--from", replay_options.from, "A time or how long ago: 2026-01-31T12:00:00Z, 90m, 2h, 1d")
      ->required();
  replay_command->add_option("--to", replay_options.to, "The same; default: now");
  replay_command->add_option("--rule", replay_options.rules, "Only to this rule; may be repeated")->take_all();

  std::string delete_name;
  bool yes = false;
  auto* delete_command = client(app.add_subcommand("delete", "Delete a function with its versions and aliases"));
  delete_command->add_option("function", delete_name, "Name")->required();
  delete_command->add_flag("-y,--yes", yes, "Do not ask");

  ScanOptions scan_options;
  auto* scan_command =
      client(app.add_subcommand("scan", "Look through a package: dependencies, vulnerabilities, credentials"));
  scan_command->add_option("package", scan_options.what, "Folder, zip file, or the name of a function")->required();
  scan_command->add_option("--osv", scan_options.osv, "Folder of OSV documents to look vulnerabilities up in")
      ->check(CLI::ExistingDirectory);
  scan_command->add_option("--sbom", scan_options.sbom, "Write a CycloneDX bill of materials to this file");

  ExplainOptions explain_options;
  auto* iam_command = app.add_subcommand("iam", "Look at who may do what");
  iam_command->require_subcommand(1);
  auto* explain_command =
      client(iam_command->add_subcommand("explain", "Say what would be decided and which statement decides"));
  explain_command->add_option("principal", explain_options.principal, "ARN of a user or a role")->required();
  explain_command->add_option("action", explain_options.action, "Such as lambda:InvokeFunction")->required();
  explain_command->add_option("resource", explain_options.resource, "An ARN; default: *")->default_val("*");
  ScheduleOptions schedule_options;
  auto* schedule_command = app.add_subcommand("schedule", "Look at schedules, or run one now");
  schedule_command->require_subcommand(1);
  auto* schedule_ls = client(schedule_command->add_subcommand("ls", "List the schedules with their next times"));
  auto* schedule_show = client(schedule_command->add_subcommand("show", "Show one with its next five times"));
  auto* schedule_run = client(schedule_command->add_subcommand("run-now", "Run one now, besides its plan"));
  for (auto* sub : {schedule_ls, schedule_show, schedule_run}) {
    sub->add_option("--group", schedule_options.group, "Its group; default: default, and for ls all");
    if (sub != schedule_ls) sub->add_option("name", schedule_options.name, "Name")->required();
  }

  std::string clock_by;
  std::string clock_to;
  auto* clock_command = app.add_subcommand("clock", "Move the time of a server with --test-clock");
  clock_command->require_subcommand(1);
  auto* clock_show = client(clock_command->add_subcommand("show", "Show its time"));
  auto* clock_advance = client(clock_command->add_subcommand("advance", "Move it by a duration"));
  clock_advance->add_option("by", clock_by, "Such as 45s, 1h30m or 2d")->required();
  auto* clock_set = client(clock_command->add_subcommand("set", "Move it to a time, which is not in its past"));
  clock_set->add_option("to", clock_to, "Such as 2026-01-31T23:59:59Z")->required();

  AuditOptions audit_options;
  auto* audit_command = client(app.add_subcommand("audit", "Show who did what, and who was refused"));
  audit_command->add_option("--event", audit_options.event, "Only this operation, such as CreateFunction");
  audit_command->add_option("--service", audit_options.service, "Only this service, such as lambda");
  audit_command->add_option("--user", audit_options.user, "Only this user or session: its name or its ARN");
  audit_command->add_option("--resource", audit_options.resource, "Only what names this resource");
  audit_command->add_option("--from", audit_options.from, "Only since this time, such as 2026-01-31T12:00:00Z");
  audit_command->add_flag("--errors", audit_options.errors, "Only what failed");
  audit_command->add_flag("--denied", audit_options.denied, "Only what was refused for want of a right");
  audit_command->add_flag("-f,--follow", audit_options.follow, "Go on with what comes from now on");
  audit_command->add_option("-n,--limit", audit_options.limit, "How many at most")->check(CLI::Range(1, 100'000));

  const QueueCommands queue_commands(app, client);
  SecretCommands secret_commands(app, client);
  auto* env_command =
      client(app.add_subcommand("env", "Print the variables for ordinary AWS clients: eval $(mayfly env)"));
  std::string runtime_paths;
  auto* doctor_command = app.add_subcommand("doctor", "Say what this machine offers and what each lack means");
  doctor_command->add_option("--runtime-paths", runtime_paths,
                             "Colon-separated folders to look for interpreters in first");
  auto* version_command = app.add_subcommand("version", "Print the version");
  std::string shell;
  auto* completion_command =
      app.add_subcommand("completion", "Print a completion script: source <(mayfly completion bash)");
  completion_command->add_option("shell", shell)->required()->check(CLI::IsMember({"bash", "zsh", "fish"}));

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  }
  const Output out = make_output(as_json);
  if (app.got_subcommand("serve")) {
    for (const auto& [name, value] : flags) {
      if (!value.empty()) serve_options.settings.insert_or_assign(name, value);
    }
    return hooks.serve(serve_options);
  }
  invoke_options.show_logs = !quiet;
  if (*deploy_command) return deploy(out, connection, deploy_options);
  if (*invoke_command && !invoke_options.replay.empty()) return replay(out, connection, invoke_options);
  if (*invoke_command) return invoke(out, connection, invoke_options);
  if (*deliveries_command) return deliveries(out, connection, deliveries_options);
  if (*list_command) return list(out, connection);
  if (*logs_command) return logs(out, connection, logs_options);
  if (*tail_command) return events_tail(out, connection, tail_options);
  if (*replay_command) return events_replay(out, connection, replay_options);
  if (*delete_command) return remove(out, connection, delete_name, yes);
  if (*scan_command) return scan_package(out, connection, scan_options);
  if (*explain_command) return explain(out, connection, explain_options);
  if (*schedule_ls) return list_schedules(out, connection, schedule_options);
  if (*schedule_show) return show_schedule(out, connection, schedule_options);
  if (*schedule_run) return run_schedule(out, connection, schedule_options);
  if (*clock_show) return show_clock(out, connection);
  if (*clock_advance) return advance_clock(out, connection, clock_by);
  if (*clock_set) return set_clock(out, connection, clock_to);
  if (const auto code = queue_commands.run(out, connection)) return *code;
  if (*audit_command) return audit(out, connection, audit_options);
  if (const auto code = secret_commands.run(out, connection)) return *code;
  if (*env_command) return environment(out, connection);
  if (*doctor_command) return doctor(out, runtime_paths);
  if (*version_command) return version(out);
  if (*completion_command) return completion(shell, command_names(app));
  return 2;
}

}  // namespace mayfly::cli
