#include "app/serve.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <future>
#include <optional>
#include <thread>

#include "app/config.h"
#include "app/delivery_permission.h"
#include "app/front.h"
#include "app/http_apis.h"
#include "app/own_api.h"
#include "app/package_policy.h"
#include "app/privileges.h"
#include "app/secret_services.h"
#include "app/serve_settings.h"
#include "app/test_clock.h"
#include "base/log.h"
#include "cli/connection.h"
#include "cli/output.h"
#include "delivery/delivery.h"
#include "dispatch/dispatcher.h"
#include "dispatch/sandbox_plan.h"
#include "http/server.h"
#include "identity/root_credentials.h"
#include "identity/server_key.h"
#include "observe/log_store.h"
#include "observe/metrics.h"
#include "sandbox/capabilities.h"
#include "sandbox/launcher.h"
#include "sandbox/network_policy.h"
#include "sandbox/runtimes.h"
#include "services/audit/audit.h"
#include "services/events/events.h"
#include "services/iam/iam.h"
#include "services/lambda/lambda.h"
#include "services/lambda/sqs_source.h"
#include "services/scheduler/scheduler.h"
#include "services/sns/sns.h"
#include "services/sqs/sqs.h"
#include "store/embedded/embedded.h"

namespace mayfly::app {
namespace {
namespace fs = std::filesystem;

constexpr std::size_t kBlockingThreads = 4;
constexpr std::size_t kBlockingQueue = 4096;

// Runs a coroutine on a reactor and waits for it, from a thread that is no reactor.
void run_on(Reactor& reactor, Scope& scope, std::string_view name, std::function<Awaitable<void>()> task) {
  std::promise<void> done;
  const auto wrapped = [&task, &done]() -> Awaitable<void> {
    co_await task();
    done.set_value();
  };
  scope.spawn(reactor, name, wrapped);
  done.get_future().wait();
}

// Everything that lives between start and stop, in the order in which it is built.
class World {
 public:
  explicit World(Config config) : config_(std::move(config)) {}

  Result<void> start(sandbox::LauncherProcess launcher, sandbox::Runtimes runtimes);
  // Stops what was started, in reverse order.
  void stop();
  [[nodiscard]] json::object ready() const;
  [[nodiscard]] bool credentials_made() const { return credentials_made_; }

 private:
  Result<void> open_stores();
  Result<void> open_secrets();
  Result<void> start_identities();
  Awaitable<void> serve_instance(http::Request& request, http::ResponseWriter& response);
  Awaitable<void> serve_secrets_address(http::Request& request, http::ResponseWriter& response,
                                        dispatch::FunctionCaller caller);
  [[nodiscard]] std::vector<std::pair<std::string, std::string>> function_credentials(
      const dispatch::Target& target) const;
  Result<void> start_services();
  void make_events();
  void make_scheduler();
  void make_sns();
  [[nodiscard]] std::vector<std::pair<std::string, Authorizer::ResourcePolicies>> resource_policies();
  void decide_deliveries();
  void make_gateway();
  Awaitable<Result<void>> load_services();
  Result<void> listen();
  // What engines go by (schedules, queues, retries): the clock that users may move, or the real one. Reactors, and
  // with them sockets, functions and sandboxes, and signatures are on clock_.
  [[nodiscard]] Clock& time() { return test_clock_ ? static_cast<Clock&>(test_clock_->clock()) : clock_; }

  Config config_;
  RealClock clock_;
  std::unique_ptr<TestClock> test_clock_;
  bool credentials_made_ = false;
  identity::RootCredentials root_;
  std::string capabilities_json_;
  std::optional<sandbox::Runtimes> runtimes_;
  std::unique_ptr<store::Embedded> store_;
  std::unique_ptr<observe::LogStore> logs_;
  observe::Metrics metrics_;
  std::unique_ptr<Reactors> reactors_;
  std::optional<Scope> scope_;
  std::unique_ptr<BlockingPool> pool_;
  std::unique_ptr<sandbox::Launcher> launcher_;
  std::unique_ptr<dispatch::Dispatcher> dispatcher_;
  std::unique_ptr<lambda::DispatcherInvoker> invoker_;
  std::unique_ptr<DeliveryPermission> permission_;
  delivery::Targets targets_;
  std::unique_ptr<delivery::Delivery> delivery_;
  std::unique_ptr<SecretServices> secrets_;
  std::unique_ptr<audit::Audit> audit_;
  std::unique_ptr<iam::Iam> iam_;
  std::unique_ptr<lambda::Lambda> lambda_;
  std::unique_ptr<events::Events> events_;
  std::unique_ptr<scheduler::Scheduler> scheduler_;
  std::unique_ptr<sqs::Sqs> sqs_;
  std::unique_ptr<sns::Sns> sns_;
  std::unique_ptr<HttpApis> http_apis_;
  std::unique_ptr<OwnApi> own_api_;
  std::unique_ptr<Front> front_;
  std::atomic<Front*> platform_{nullptr};  // read by instances, which may start before the server listens
  std::unique_ptr<http::Server> server_;
  std::string endpoint_;
  std::uint16_t port_ = 0;
};

Result<void> World::open_stores() {
  auto store = store::Embedded::open(fs::path(config_.data) / "store", time());
  if (!store) return std::unexpected(store.error());
  store_ = std::move(*store);
  const auto& report = store_->recovery();
  if (!report.was_clean) {
    log(Level::kWarn, "the store was not closed by the last server; it has been repaired",
        {{"records", report.keys}, {"temporary_files_removed", report.temporary_files_removed}});
  }
  auto logs = observe::LogStore::open(fs::path(config_.data) / "logs", config_.log_bytes_per_function);
  if (!logs) return std::unexpected(logs.error());
  logs_ = std::move(*logs);
  return {};
}

Result<void> World::open_secrets() {
  auto opened = SecretServices::open(config_, store_->key_value(), clock_);
  if (!opened) return std::unexpected(opened.error());
  secrets_ = std::move(*opened);
  Result<void> sealed;
  run_on(reactors_->at(0), *scope_, "seal",
         [&]() -> Awaitable<void> { sealed = co_await secrets_->seal_old_records(); });
  const audit::TrailSettings settings{.retention = std::chrono::days(config_.audit_days),
                                      .most_bytes = config_.audit_megabytes << 20};
  audit_ = std::make_unique<audit::Audit>(store_->stream(), time(), settings);
  audit_->trail().start(reactors_->at(0));
  return sealed;
}

Result<void> World::start_identities() {
  auto key = identity::ServerKey::load_or_make(config_.data);
  if (!key) return std::unexpected(key.error());
  iam::IamSettings settings;
  settings.account = config_.account;
  settings.root.secret_access_key = root_.secret_access_key;
  settings.root.principal = {.account = config_.account,
                             .arn = fmt::format("arn:aws:iam::{}:root", config_.account),
                             .access_key_id = root_.access_key_id};
  iam_ = std::make_unique<iam::Iam>(store_->key_value(), clock_, std::move(*key), std::move(settings));
  Result<void> loaded;
  run_on(reactors_->at(0), *scope_, "load", [&]() -> Awaitable<void> { loaded = co_await iam_->load(); });
  return loaded;
}

// Clients try again: instances may start before the server listens.
Awaitable<void> not_yet(http::ResponseWriter& response) {
  http::Response starting;
  starting.head.status = 503;
  [[maybe_unused]] const auto sent = co_await response.send(std::move(starting));
}

Awaitable<void> World::serve_instance(http::Request& request, http::ResponseWriter& response) {
  auto* front = platform_.load();
  return front == nullptr ? not_yet(response) : front->handle_from_instance(request, response);
}

Awaitable<void> World::serve_secrets_address(http::Request& request, http::ResponseWriter& response,
                                             dispatch::FunctionCaller caller) {
  auto* front = platform_.load();
  return front == nullptr ? not_yet(response) : front->handle_secrets_address(request, response, std::move(caller));
}

std::vector<std::pair<std::string, std::string>> World::function_credentials(const dispatch::Target& target) const {
  // Twice as long as an instance may live.
  constexpr std::chrono::hours kLifetime{12};
  const auto given = iam_->role_credentials(target.role, target.function_name, kLifetime);
  return {{"AWS_ACCESS_KEY_ID", given.access_key_id},
          {"AWS_SECRET_ACCESS_KEY", given.secret_access_key},
          {"AWS_SESSION_TOKEN", given.session_token}};
}

Result<void> World::start_services() {
  dispatch::DispatcherSettings settings = dispatcher_settings_of(config_);
  // Where the machine has no NAT to give, functions have the loopback only; said at start and by `mayfly doctor`.
  const auto machine = sandbox::capabilities_from_json(capabilities_json_);
  if (!machine || !machine->has("network.nat"))
    settings.network = {.mode = sandbox::NetworkMode::kLoopback, .networks = {}};
  settings.credentials = [this](const dispatch::Target& target) { return function_credentials(target); };
  settings.secrets = [this](http::Request& request, http::ResponseWriter& response, dispatch::FunctionCaller caller) {
    return serve_secrets_address(request, response, std::move(caller));
  };
  settings.endpoint_url = fmt::format("http://127.0.0.1:{}", dispatch::kRuntimeApiPort);
  settings.platform = [this](http::Request& request, http::ResponseWriter& response) {
    return serve_instance(request, response);
  };
  dispatcher_ =
      std::make_unique<dispatch::Dispatcher>(*reactors_, clock_, *launcher_, *runtimes_, *logs_, metrics_, settings);
  invoker_ = std::make_unique<lambda::DispatcherInvoker>(*dispatcher_);
  lambda::LambdaSettings lambda_settings;
  lambda_settings.account = config_.account;
  lambda_settings.region = config_.region;
  lambda_settings.code_directory = (fs::path(config_.data) / "code").string();
  lambda_settings.account_concurrency = config_.concurrency;
  if (config_.require_roles) {
    lambda_settings.role_is_usable = [this](const std::string& role) {
      return iam_->role_trusts(role, "lambda.amazonaws.com");
    };
  }
  auto inspect = package_policy(config_.scan_policy, config_.scan_osv);
  if (!inspect) return std::unexpected(std::move(inspect.error()));
  lambda_settings.inspect_package = std::move(*inspect);
  lambda_settings.check_runtime = [this](const std::string& runtime) -> Result<void> {
    const auto plan = runtimes_->plan(runtime, "");
    if (!plan) return std::unexpected(plan.error());
    return {};
  };
  lambda_ = std::make_unique<lambda::Lambda>(secrets_->records(), store_->blob(), *pool_, time(), *invoker_,
                                             std::move(lambda_settings));
  delivery_ =
      std::make_unique<delivery::Delivery>(store_->queue(), targets_, *reactors_, time(), delivery::DeliverySettings{});
  delivery_->report_to(metrics_);
  lambda_->deliver_through(targets_, *delivery_);
  sqs_ = std::make_unique<sqs::Sqs>(store_->key_value(), store_->queue(), time(),
                                    sqs::SqsSettings{.account = config_.account, .region = config_.region});
  sqs_->add_to(targets_);
  lambda_->read_from("sqs", lambda::sqs_sources(*sqs_), *reactors_);
  make_events();
  make_scheduler();
  make_sns();
  secrets_->make(*pool_, time(), targets_);
  if (test_clock_) test_clock_->wait_for([this](SystemTime now) { return secrets_->is_settled(now); });
  decide_deliveries();
  make_gateway();
  Result<void> loaded;
  run_on(reactors_->at(0), *scope_, "load", [&]() -> Awaitable<void> { loaded = co_await load_services(); });
  return loaded;
}

void World::make_events() {
  const events::EventsSettings settings{
      .account = config_.account, .region = config_.region, .secrets = secrets_->connection_secrets()};
  const events::Submit submit = [this](std::vector<delivery::Request> requests) {
    return delivery_->submit_all(std::move(requests));
  };
  events_ = std::make_unique<events::Events>(secrets_->records(), store_->stream(), time(), submit, targets_, settings);
  targets_.add("events", events_->target_handler());
  if (test_clock_) test_clock_->wait_for([this](SystemTime now) { return events_->is_settled(now); });
}

void World::make_scheduler() {
  scheduler::SchedulerSettings settings;
  settings.account = config_.account;
  settings.region = config_.region;
  const auto submit = [this](std::vector<delivery::Request> requests) {
    return delivery_->submit_all(std::move(requests));
  };
  scheduler::Scheduler::add_to(targets_);
  const auto supports = [this](std::string_view arn) { return targets_.supports(arn); };
  scheduler_ = std::make_unique<scheduler::Scheduler>(store_->key_value(), submit, supports, time(), settings);
  if (test_clock_) {
    test_clock_->wait_for([this](SystemTime now) { return scheduler_->is_settled(now); });
    test_clock_->wait_for([this](SystemTime) { return delivery_->is_quiet(); });
  }
}

void World::make_sns() {
  sns::SnsSettings settings;
  settings.account = config_.account;
  settings.region = config_.region;
  const sns::Sns::Submit submit = [this](std::vector<delivery::Request> requests) {
    return delivery_->submit_all(std::move(requests));
  };
  const sns::Sns::Deliver deliver = [this](std::string arn, delivery::Event event) {
    return targets_.deliver(std::move(arn), std::move(event));
  };
  sns_ = std::make_unique<sns::Sns>(secrets_->records(), store_->queue(), submit, deliver, *pool_, time(),
                                    std::move(settings));
  sns_->add_to(targets_);
}

// By the service's name in ARNs.
std::vector<std::pair<std::string, Authorizer::ResourcePolicies>> World::resource_policies() {
  return {{"lambda", [this](std::string_view arn) { return lambda_->resource_policy(arn); }},
          {"sqs", [this](std::string_view arn) { return sqs_->resource_policy(arn); }},
          {"sns", [this](std::string_view arn) { return sns_->resource_policy(arn); }},
          {"events", [this](std::string_view arn) { return events_->resource_policy(arn); }},
          {"execute-api", [this](std::string_view arn) { return http_apis_->resource_policy(arn); }}};
}

void World::decide_deliveries() {
  permission_ = std::make_unique<DeliveryPermission>(*iam_, clock_);
  for (auto& [service, policies] : resource_policies()) permission_->add_resource_policies(service, policies);
  permission_->add_existence("lambda", [this](std::string_view arn) { return lambda_->has(arn); });
  permission_->add_existence("sqs", [this](std::string_view arn) { return sqs_->find(arn).has_value(); });
  permission_->add_existence("sns", [this](std::string_view arn) { return sns_->resource_policy(arn).has_value(); });
  targets_.set_permission(
      [this](const delivery::Arn& target, const delivery::Event& event) { return permission_->check(target, event); });
}

void World::make_gateway() {
  const GatewayParts parts{
      .clock = clock_,
      .lambda = *lambda_,
      .logs = *logs_,
      .front = platform_,
      .link_local = config_.gateway_link_local ? gateway::LinkLocal::kAllowed : gateway::LinkLocal::kRefused};
  http_apis_ = std::make_unique<HttpApis>(parts, store_->key_value(), secrets_->records(), time());
  iam_->verify_tokens_by(http_apis_->gateway().issuers());
}

// Delivery starts when every target is there, and whoever hands events over to it starts after it.
Awaitable<Result<void>> World::load_services() {
  auto loaded = co_await lambda_->load();
  if (loaded) loaded = co_await events_->load();
  if (loaded) loaded = co_await scheduler_->load();
  if (loaded) loaded = co_await sqs_->load();
  if (loaded) loaded = co_await sns_->load();
  if (loaded) loaded = co_await http_apis_->load();
  if (loaded) loaded = co_await secrets_->load();
  if (loaded) co_await events_->show_secrets();
  if (loaded) loaded = co_await delivery_->start();
  if (loaded) events_->start(reactors_->at(0));
  if (loaded) lambda_->start_mappings();
  if (loaded) lambda_->start_janitor(reactors_->at(0));
  if (loaded) scheduler_->start(reactors_->at(0));
  if (loaded) http_apis_->start(reactors_->at(0));
  co_return loaded;
}

Result<void> World::listen() {
  OwnApiParts parts{.clock = &clock_,
                    .pool = pool_.get(),
                    .dispatcher = dispatcher_.get(),
                    .logs = logs_.get(),
                    .metrics = &metrics_,
                    .events = events_.get(),
                    .runtimes = &*runtimes_,
                    .delivery = delivery_.get(),
                    .scheduler = scheduler_.get(),
                    .test_clock = test_clock_.get(),
                    .sqs = sqs_.get(),
                    .keys = secrets_->own_keys(*pool_),
                    .trail = &audit_->trail(),
                    .account = config_.account,
                    .region = config_.region,
                    .capabilities_json = capabilities_json_};
  own_api_ = std::make_unique<OwnApi>(std::move(parts));
  front_ = std::make_unique<Front>(clock_, front_settings(config_), *own_api_, *lambda_, *iam_);
  front_->add_service("iam", iam_->iam_service());
  front_->add_service("sts", iam_->sts_service());
  for (auto& [service, policies] : resource_policies()) front_->add_resource_policies(service, policies);
  front_->add_service("lambda", lambda_->service());
  front_->add_service("events", events_->service());
  front_->add_service("scheduler", scheduler_->service());
  front_->add_service("sqs", sqs_->service());
  front_->add_service("sns", sns_->service());
  http_apis_->serve_at(*front_);
  secrets_->serve_at(*front_, reactors_->at(0));
  front_->add_service("cloudtrail", audit_->service());
  front_->audit_with(*audit_);
  front_->add_open_door(
      {.is_for = &sns::Sns::is_open, .serve = [this](http::Request& request, http::ResponseWriter& response) {
         return sns_->serve_open(request, response);
       }});
  platform_ = front_.get();
  server_ = std::make_unique<http::Server>(
      *reactors_, http::ServerLimits{},
      [this](http::Request& request, http::ResponseWriter& response) { return front_->handle(request, response); });
  std::optional<http::TlsFiles> tls;
  if (!config_.tls_key.empty()) {
    tls = http::TlsFiles{.certificate_chain_path = config_.tls_certificate, .private_key_path = config_.tls_key};
  }
  const auto port = server_->listen(config_.listen, tls);
  if (!port) return std::unexpected(port.error());
  port_ = *port;
  std::string host = config_.listen.substr(0, config_.listen.rfind(':'));
  if (host == "0.0.0.0" || host == "[::]" || host.empty()) host = "127.0.0.1";
  endpoint_ = fmt::format("{}://{}:{}", tls ? "https" : "http", host, port_);
  sns_->set_endpoint(endpoint_);
  return {};
}

Result<void> World::start(sandbox::LauncherProcess launcher, sandbox::Runtimes runtimes) {
  capabilities_json_ = launcher.capabilities_json;
  runtimes_ = std::move(runtimes);
  if (config_.root_access_key_id.empty()) {
    auto root = identity::load_or_make_root_credentials(config_.data, credentials_made_);
    if (!root) return std::unexpected(root.error());
    root_ = std::move(*root);
  } else {
    root_ = {.access_key_id = config_.root_access_key_id, .secret_access_key = config_.root_secret_access_key};
  }
  if (config_.test_clock) {
    test_clock_ = std::make_unique<TestClock>(fs::path(config_.data) / "test-clock", clock_.now());
    log(Level::kWarn, "this server's time stands until it is moved: it was started with --test-clock");
  }
  if (auto opened = open_stores(); !opened) return opened;
  const std::size_t count =
      config_.reactors != 0 ? config_.reactors : std::max(1U, std::thread::hardware_concurrency());
  reactors_ = std::make_unique<Reactors>(clock_, count);
  scope_.emplace("server");
  pool_ = std::make_unique<BlockingPool>(kBlockingThreads, kBlockingQueue);
  launcher_ = sandbox::connect_launcher(reactors_->at(0), std::move(launcher));
  reactors_->start();
  if (auto opened = open_secrets(); !opened) return opened;
  if (auto started = start_identities(); !started) return started;
  if (auto started = start_services(); !started) return started;
  return listen();
}

void World::stop() {
  const auto bound = std::chrono::seconds(config_.drain_timeout);
  const auto drained = clock_.steady_now() + bound;
  if (own_api_) own_api_->stop();
  if (sqs_) sqs_->interrupt();  // long polls do not hold up the drain
  if (server_ && !server_->drain_blocking(bound)) log(Level::kWarn, "connections were cut at the end of the drain");
  // While functions still run: what clients said last, and that they have gone.
  const auto rest = std::max(drained - clock_.steady_now(), std::chrono::nanoseconds(0));
  if (http_apis_ && !http_apis_->gateway().drain_blocking(rest))
    log(Level::kWarn, "messages of WebSockets were cut at the end of the drain");
  if (events_) run_on(reactors_->at(0), *scope_, "events", [&] { return events_->stop(); });
  if (scheduler_) run_on(reactors_->at(0), *scope_, "scheduler", [&] { return scheduler_->stop(); });
  if (secrets_) secrets_->stop();
  if (delivery_) run_on(reactors_->at(0), *scope_, "delivery", [&] { return delivery_->stop(bound); });
  if (lambda_) run_on(reactors_->at(0), *scope_, "lambda", [&] { return lambda_->stop(); });
  if (sqs_) run_on(reactors_->at(0), *scope_, "queues", [&] { return sqs_->stop(); });
  if (dispatcher_) run_on(reactors_->at(0), *scope_, "stop", [&] { return dispatcher_->stop(bound); });
  // What the dispatcher has cut off gives its events back.
  if (lambda_) run_on(reactors_->at(0), *scope_, "batches", [&] { return lambda_->join(); });
  if (secrets_) run_on(reactors_->at(0), *scope_, "rotations", [&] { return secrets_->join(); });
  if (delivery_) run_on(reactors_->at(0), *scope_, "attempts", [&] { return delivery_->join(); });
  if (http_apis_) run_on(reactors_->at(0), *scope_, "gateway", [&] { return http_apis_->stop(); });
  if (launcher_) run_on(reactors_->at(0), *scope_, "launcher", [&] { return launcher_->shutdown(); });
  server_.reset();
  if (audit_) run_on(reactors_->at(0), *scope_, "audit", [&] { return audit_->trail().stop(); });
  if (scope_) {
    scope_->stop();
    scope_->join_blocking(std::chrono::seconds(5));
  }
  pool_.reset();
  if (reactors_) reactors_->stop();
  http_apis_.reset();
  events_.reset();
  scheduler_.reset();
  sns_.reset();
  lambda_.reset();
  delivery_.reset();
  sqs_.reset();
  dispatcher_.reset();
  launcher_.reset();
  secrets_.reset();
  audit_.reset();
  logs_.reset();
  store_.reset();
  // Last: what the store's threads were about to wake belongs to a reactor.
  reactors_.reset();
  scope_.reset();
}

json::object World::ready() const {
  return {{"endpoint", endpoint_},
          {"port", port_},
          {"region", config_.region},
          {"account", config_.account},
          {"pid", ::getpid()}};
}

Result<void> write_server_file(const Config& config, const json::object& ready) {
  const fs::path path = fs::path(config.data) / cli::kServerFile;
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!fd) return fail_errno(path.string());
  const std::string text = to_json(ready) + "\n";
  if (::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    return fail_errno(path.string());
  return {};
}

void say_ready(const Config& config, const World& world, const cli::ServeOptions& options) {
  const json::object ready = world.ready();
  const std::string endpoint(get_string(ready, "endpoint"));
  if (world.credentials_made()) {
    fmt::print("Root credentials are in {}/{} (readable by you only). Use them: eval $(mayfly env)\n", config.data,
               identity::kCredentialsFile);
  }
  fmt::print("mayfly {} is ready at {}, data in {}\n", MAYFLY_VERSION, endpoint, config.data);
  std::fflush(stdout);
  if (options.control_fd >= 0) {
    UniqueFd control(options.control_fd);
    const std::string text = to_json(ready) + "\n";
    [[maybe_unused]] const ssize_t written = ::write(control.get(), text.data(), text.size());
  }
}

sigset_t stop_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  return signals;
}

int serve_configured(const Config& config, const cli::ServeOptions& options, const cli::Output& out) {
  static RealClock log_clock;
  configure_log(level_of(config.log_level), format_of(config.log_format), log_clock);
  if (const auto made = make_private_folder(config.data); !made) return out.failure(made.error());
  auto runtimes =
      sandbox::Runtimes::discover((fs::path(config.data) / "runtime").string(), split_paths(config.runtime_paths));
  if (!runtimes) return out.failure(runtimes.error());
  runtimes->allow_substitutes(config.runtime_substitute);

  if (const auto raised = raise_open_file_limit(); !raised) return out.failure(raised.error());
  sandbox::LauncherSettings settings;
  settings.state_directory = (fs::path(config.data) / "sandboxes").string();
  settings.allow_degraded = config.allow_degraded;
  settings.ready_memory_mb = config.ready_memory_mb;
  settings.network = network_of(config);
  auto launcher = sandbox::fork_launcher(settings);
  if (!launcher) return out.failure(launcher.error());
  if (const auto machine = sandbox::capabilities_from_json(launcher->capabilities_json)) {
    for (const auto& capability : machine->all) {
      if (capability.present) continue;
      log(capability.required ? Level::kWarn : Level::kInfo, "this machine lacks a capability",
          {{"capability", capability.name}, {"detail", capability.detail}, {"meaning", capability.meaning}});
    }
  }

  // Blocked before any thread exists, so that every thread inherits it and only sigwait() below sees them.
  const sigset_t signals = stop_signals();
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  if (const auto dropped = drop_privileges(); !dropped) return out.failure(dropped.error());

  World world(config);
  if (const auto started = world.start(std::move(*launcher), std::move(*runtimes)); !started) {
    const int code = out.failure(started.error());
    world.stop();
    return code;
  }
  if (const auto written = write_server_file(config, world.ready()); !written) {
    log(Level::kWarn, "the command line will not find this server by itself", {{"error", written.error().message}});
  }
  say_ready(config, world, options);
  int signal = 0;
  ::sigwait(&signals, &signal);
  log(Level::kInfo, "stopping", {{"signal", signal}});
  world.stop();
  return 0;
}

}  // namespace

int serve(const cli::ServeOptions& options) {
  const cli::Output out = cli::make_output(false);
  std::optional<fs::path> file;
  if (options.config_file) file = *options.config_file;
  const auto config = load_config(file, mayfly_environment(), options.settings);
  if (!config) {
    std::ignore = out.failure(config.error());
    return 2;
  }
  return serve_configured(*config, options, out);
}

}  // namespace mayfly::app
