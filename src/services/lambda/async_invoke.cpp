#include "services/lambda/async_invoke.h"

#include <fmt/core.h>

#include "base/crypto.h"
#include "base/encoding.h"
#include "services/lambda/invoke.h"

namespace mayfly::lambda {
namespace {

using delivery::Arn;
using delivery::Attempt;
using delivery::Event;

constexpr std::chrono::seconds kFirstRetry{60};
constexpr std::chrono::seconds kSecondRetry{120};

delivery::Policy policy_for(const FunctionRecord& function, const std::string& qualifier) {
  delivery::Policy out;
  std::int32_t retries = kDefaultRetries;
  std::int32_t age = kDefaultEventAge;
  const auto config = function.event_invoke.find(qualifier.empty() ? std::string(kLatest) : qualifier);
  if (config != function.event_invoke.end()) {
    retries = config->second.MaximumRetryAttempts.value_or(retries);
    age = config->second.MaximumEventAgeInSeconds.value_or(age);
    if (const auto& destinations = config->second.DestinationConfig) {
      if (destinations->OnSuccess) out.on_success_arn = destinations->OnSuccess->Destination.value_or("");
      if (destinations->OnFailure) out.on_failure_arn = destinations->OnFailure->Destination.value_or("");
    }
  }
  out.max_attempts = static_cast<std::uint32_t>(retries) + 1;
  out.max_age = std::chrono::seconds(age);
  out.first_back_off = kFirstRetry;
  out.max_back_off = kSecondRetry;
  out.jitter = false;
  const auto* version = find_version(function, qualifier);
  if (version != nullptr && version->config.DeadLetterConfig) {
    out.dead_letter_arn = version->config.DeadLetterConfig->TargetArn.value_or("");
  }
  out.dead_letter_form = delivery::DeadLetterForm::kFunction;
  return out;
}

delivery::Request request_to(const FunctionRecord& function, const std::string& qualifier) {
  delivery::Request out;
  out.target_arn = function.arn(qualifier);
  out.via = kRunHandler;
  out.policy = policy_for(function, qualifier);
  return out;
}

Attempt refused(std::string code, std::string message, std::uint32_t status) {
  Attempt out;
  out.kind = Attempt::Kind::kRefused;
  out.error_code = std::move(code);
  out.error_message = std::move(message);
  out.status = status;
  return out;
}

Attempt attempt_of(const Error& error) {
  Attempt out;
  out.error_message = error.message;
  if (error.code == ErrorCode::kUnsupported) {
    out.kind = Attempt::Kind::kRetry;
    out.error_code = wire::errors::InvalidRuntimeException.code;
    out.status = 502;
    return out;
  }
  // Nothing that the event or its function did: it is tried until it is too old.
  out.kind = Attempt::Kind::kThrottled;
  const bool throttled = error.code == ErrorCode::kThrottled;
  out.error_code = throttled ? wire::errors::TooManyRequestsException.code : wire::errors::ServiceException.code;
  out.status = throttled ? 429 : 500;
  return out;
}

Attempt attempt_of(dispatch::Outcome outcome) {
  Attempt out;
  out.status = 200;
  out.executed_version = std::move(outcome.executed_version);
  out.function_error = std::move(outcome.function_error);
  out.response = std::move(outcome.payload);
  if (out.function_error.empty()) return out;
  out.kind = Attempt::Kind::kRetry;
  out.error_code = out.function_error;
  const auto error = parse_json(out.response);
  out.error_message = error ? std::string(get_string(*error, "errorMessage")) : std::string();
  return out;
}

Awaitable<Attempt> run(Core& core, Arn arn, Event event) {
  const auto function = named(arn);
  if (!function) co_return refused("InvalidTarget", "not the ARN of a function", 400);
  auto resolved = resolve(core, function->place, function->name, function->qualifier, random_share());
  if (!resolved) {
    auto attempt = refused(std::string(resolved.error().model->code), resolved.error().message, 404);
    // The key may come back; the event waits for it.
    if (resolved.error().model == &wire::errors::KMSAccessDeniedException) attempt.kind = Attempt::Kind::kThrottled;
    co_return attempt;
  }
  dispatch::Invocation invocation;
  invocation.request_id = event.id;
  invocation.invoked_function_arn = resolved->invoked_arn;
  invocation.payload = std::move(event.payload);
  invocation.trace_id = std::move(event.trace_id);
  auto outcome = co_await core.invoker.invoke(std::move(resolved->target), std::move(invocation));
  if (!outcome) co_return attempt_of(outcome.error());
  co_return attempt_of(std::move(*outcome));
}

// Whether an event can wait in the function's own lane.
bool is_acceptable(std::string_view payload) { return payload.size() <= kEventBytes && is_json(payload); }

// An event for a function from a rule, a topic, a schedule or a destination lies in the function's own lane at once,
// with the function's own policy, as if accept() had run. Where it would not be accepted, it takes the ordinary way.
bool shorten(const Core& core, const Arn& arn, delivery::Request& request) {
  const auto target = named(arn);
  if (!target) return false;
  const auto function = core.tables.function(target->place, target->name);
  if (!function || find_version(*function, target->qualifier) == nullptr) return false;
  if (request.event.payload.empty()) request.event.payload = "{}";
  if (!is_acceptable(request.event.payload)) return false;
  auto straight = request_to(*function, target->qualifier);
  straight.delay = request.delay;
  straight.dedupe_key = std::move(request.dedupe_key);
  straight.event.id = std::move(request.event.id);
  straight.event.payload = std::move(request.event.payload);
  straight.event.trace_id = std::move(request.event.trace_id);
  request = std::move(straight);
  return true;
}

// The first hop of an event that somebody else sends: durable in the function's own lane.
Awaitable<Attempt> accept(Core& core, Arn arn, Event event) {
  auto function = named(arn);
  if (!function) co_return refused("InvalidTarget", "not the ARN of a function", 400);
  if (event.payload.empty()) event.payload = "{}";
  if (!is_json(event.payload)) {
    co_return refused(std::string(wire::errors::InvalidRequestContentException.code), "the event is not valid JSON",
                      400);
  }
  AsyncEvent async;
  async.place = std::move(function->place);
  async.name = std::move(function->name);
  async.qualifier = std::move(function->qualifier);
  // The hand-over may be repeated: the same event of the same sender is the same execution.
  const auto digest = hex_encode(sha256(event.payload)).substr(0, 16);
  async.dedupe_key = fmt::format("{}/{}/{}", event.id, event.source_arn, digest);
  if (async.dedupe_key.size() > 200) async.dedupe_key = hex_encode(sha256(async.dedupe_key));
  async.request_id = std::move(event.id);
  async.payload = std::move(event.payload);
  async.trace_id = std::move(event.trace_id);
  auto submitted = co_await submit_event(core, std::move(async));
  Attempt out;
  if (submitted) {
    out.status = 202;
    co_return out;
  }
  const auto& model = *submitted.error().model;
  out.error_code = model.code;
  out.error_message = submitted.error().message;
  out.status = static_cast<std::uint32_t>(model.status);
  out.kind = out.status == 429                       ? Attempt::Kind::kThrottled
             : out.status >= 400 && out.status < 500 ? Attempt::Kind::kRefused
                                                     : Attempt::Kind::kRetry;
  co_return out;
}

// InvokeAsync, the API of 2014 that a few clients still have.
Awaitable<aws::ApiResult<wire::InvokeAsyncResponse>> invoke_async(Core& core, const aws::CallContext& context,
                                                                  wire::InvokeAsyncRequest request) {
  auto found = find_function(core, context, request.FunctionName, std::nullopt);
  if (!found) co_return std::unexpected(std::move(found.error()));
  AsyncEvent event;
  event.place = found->place;
  event.name = found->name.name;
  event.qualifier = found->name.qualifier;
  event.request_id = context.request_id;
  if (request.InvokeArgs) event.payload = std::move(*request.InvokeArgs);
  if (event.payload.empty()) event.payload = "{}";
  if (!is_json(event.payload)) {
    co_return refuse(wire::errors::InvalidRequestContentException,
                     "Could not parse request body into json: the payload is not valid JSON");
  }
  auto submitted = co_await submit_event(core, std::move(event));
  if (!submitted) co_return std::unexpected(std::move(submitted.error()));
  wire::InvokeAsyncResponse out;
  out.Status = 202;
  co_return out;
}

}  // namespace

// "function:name" or "function:name:qualifier".
std::optional<Named> named(const Arn& arn) {
  constexpr std::string_view kKind = "function:";
  if (arn.partition != "aws" || arn.service != "lambda" || !arn.resource.starts_with(kKind)) return std::nullopt;
  const auto rest = std::string_view(arn.resource).substr(kKind.size());
  const auto colon = rest.find(':');
  Named out;
  out.place.account = arn.account;
  out.place.region = arn.region;
  out.name = rest.substr(0, colon);
  if (colon != std::string_view::npos) out.qualifier = rest.substr(colon + 1);
  return out;
}

Awaitable<aws::ApiResult<void>> submit_event(Core& core, AsyncEvent event) {
  if (core.delivery == nullptr) {
    co_return refuse(aws::common_errors::NotImplemented, "Invoke with InvocationType Event is not implemented.");
  }
  if (event.payload.size() > kEventBytes) {
    co_return refuse(kRequestEntityTooLarge,
                     fmt::format("{} byte payload is too large for the Event invocation type (limit {} bytes)",
                                 event.payload.size(), kEventBytes));
  }
  const auto function = core.tables.function(event.place, event.name);
  if (!function || find_version(*function, event.qualifier) == nullptr) {
    const std::string_view shown = event.qualifier.empty() ? kLatest : std::string_view(event.qualifier);
    co_return std::unexpected(function_missing(event.place, event.name, shown));
  }
  auto request = request_to(*function, event.qualifier);
  request.dedupe_key = std::move(event.dedupe_key);
  request.event.id = std::move(event.request_id);
  request.event.payload = std::move(event.payload);
  request.event.trace_id = std::move(event.trace_id);
  auto submitted = co_await core.delivery->submit(std::move(request));
  if (submitted) co_return aws::ApiResult<void>();
  if (submitted.error().code == ErrorCode::kThrottled) {
    auto out = refuse(wire::errors::TooManyRequestsException, "Rate Exceeded.");
    out.error().members["Reason"] = "CallerRateLimitExceeded";
    co_return out;
  }
  co_return refuse_internal(submitted.error());
}

void add_targets(Core& core, delivery::Targets& targets) {
  targets.add("lambda", [&core](Arn arn, Event event) { return accept(core, std::move(arn), std::move(event)); });
  targets.add_shortcut("lambda",
                       [&core](const Arn& arn, delivery::Request& request) { return shorten(core, arn, request); });
  targets.add(std::string(kRunHandler),
              [&core](Arn arn, Event event) { return run(core, std::move(arn), std::move(event)); });
}

void wake_events(Core& core, const FunctionRecord& function) {
  if (core.delivery == nullptr) return;
  const std::string via(kRunHandler);
  core.delivery->wake(function.arn(""), via);
  core.delivery->wake(function.arn(kLatest), via);
  for (const auto& [name, alias] : function.aliases) core.delivery->wake(function.arn(name), via);
  for (const auto& [number, version] : function.versions) {
    core.delivery->wake(function.arn(std::to_string(number)), via);
  }
}

bool can_deliver_to(const Core& core, std::string_view arn) {
  return core.targets != nullptr && core.targets->supports(arn);
}

void bind_async_invoke(aws::Service& service, Core& core) { bind<wire::InvokeAsync>(service, core, invoke_async); }

}  // namespace mayfly::lambda
