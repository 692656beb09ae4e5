#include "app/secret_services.h"

#include <fmt/core.h>

#include "app/secret_rights.h"
#include "base/ids.h"
#include "base/log.h"

namespace mayfly::app {
namespace {

// Which parts of which records hold credentials that people gave.
std::vector<vault::SealedPart> sealed_parts() {
  return {
      {.prefix = "lambda/function/", .path = "latest.config.Environment"},
      {.prefix = "lambda/function/", .path = "versions.*.config.Environment"},
      // Hashes of a configuration, by which a short value of a variable could be guessed.
      {.prefix = "lambda/function/", .path = "latest.content"},
      {.prefix = "lambda/function/", .path = "versions.*.content"},
      {.prefix = "events/connection/", .path = "Parameters"},
      {.prefix = "apigateway/key/", .path = "value"},
      {.prefix = "sns/signing-key", .path = "privateKey"},
  };
}

// Runs a function to its end, now and once.
Awaitable<Result<void>> run_function(delivery::Targets& targets, std::string arn, std::string payload) {
  delivery::Event event;
  event.id = uuid4();
  event.payload = std::move(payload);
  const std::string handler = "lambda-run";
  auto attempt = co_await targets.deliver_via(handler, std::move(arn), std::move(event));
  if (attempt.kind == delivery::Attempt::Kind::kDone) co_return Result<void>();
  co_return fail(ErrorCode::kIo, fmt::format("{} {}", attempt.error_code, attempt.error_message));
}

}  // namespace

SecretServices::SecretServices(const Config& config, store::KeyValue& store, Clock& clock, vault::KeySource source,
                               vault::MasterKeys keys)
    : account_(config.account),
      region_(config.region),
      store_(store),
      clock_(clock),
      source_(std::move(source)),
      vault_(std::move(keys)),
      records_(store, vault_, sealed_parts()) {}

Result<std::unique_ptr<SecretServices>> SecretServices::open(const Config& config, store::KeyValue& store,
                                                             Clock& clock) {
  auto source = vault::KeySource::parse(config.master_keys, config.data);
  if (!source) return std::unexpected(source.error());
  auto keys = source->load(clock);
  if (!keys) return std::unexpected(keys.error());
  return std::unique_ptr<SecretServices>(
      new SecretServices(config, store, clock, std::move(*source), std::move(*keys)));
}

Awaitable<Result<void>> SecretServices::seal_old_records() {
  auto sealed = co_await records_.seal_all();
  if (!sealed) co_return std::unexpected(std::move(sealed.error()));
  if (*sealed != 0) log(Level::kInfo, "records of an earlier version have been encrypted", {{"records", *sealed}});
  co_return Result<void>();
}

bool SecretServices::may_invoke(const std::string& function_arn, const std::string& secret_arn) const {
  auto* front = front_.load();
  if (front == nullptr) return false;
  identity::Question question;
  question.caller.kind = identity::Caller::Kind::kService;
  question.caller.service = "secretsmanager.amazonaws.com";
  question.context.set("aws:SourceArn", secret_arn);
  question.context.set("aws:SourceAccount", account_);
  question.action = "lambda:InvokeFunction";
  question.resource = function_arn;
  question.resource_account = account_;
  return front->authorizer().allows_by_resource(std::move(question));
}

void SecretServices::make(BlockingPool& pool, Clock& time, delivery::Targets& targets) {
  secrets::RotationFunctions functions;
  functions.may_invoke = [this](const std::string& function_arn, const std::string& secret_arn) {
    return may_invoke(function_arn, secret_arn);
  };
  functions.run = [&targets](std::string arn, std::string event) {
    return run_function(targets, std::move(arn), std::move(event));
  };
  secrets_ = std::make_unique<secrets::Secrets>(store_, vault_, time, std::move(functions),
                                                secrets::SecretsSettings{.account = account_, .region = region_});
  parameters_ = std::make_unique<parameters::Parameters>(
      store_, vault_, pool, time, parameters::ParametersSettings{.account = account_, .region = region_});
}

events::ConnectionSecrets SecretServices::connection_secrets() {
  events::ConnectionSecrets out;
  out.put = [this](std::string arn, std::string value) {
    return secrets_->put_owned("events", std::move(arn), std::move(value));
  };
  out.remove = [this](std::string arn) { return secrets_->remove_owned("events", std::move(arn)); };
  return out;
}

Awaitable<Result<void>> SecretServices::load() {
  auto loaded = co_await secrets_->load();
  if (loaded) loaded = co_await parameters_->load();
  co_return loaded;
}

void SecretServices::serve_at(Front& front, Reactor& reactor) {
  front.add_service("secretsmanager", secrets_->service());
  front.add_service("ssm", parameters_->service());
  add_secret_rights(front.authorizer(), *secrets_, *parameters_);
  front_ = &front;
  secrets_->start(reactor);
}

void SecretServices::stop() {
  if (secrets_) secrets_->stop();
}

Awaitable<void> SecretServices::join() {
  if (secrets_) co_await secrets_->join();
}

OwnKeys SecretServices::own_keys(BlockingPool& pool) {
  return {.vault = &vault_, .source = &source_, .records = &store_, .pool = &pool, .clock = &clock_};
}

}  // namespace mayfly::app
