// RotateSecret, CancelRotateSecret, and how a rotation goes.
//
// A rotation makes an empty version with the stage AWSPENDING and runs the function four times, with the steps
// createSecret, setSecret, testSecret and finishSecret. The function puts the value and moves AWSCURRENT itself; then
// AWSPENDING is taken away. A step that fails ends the attempt; it is tried again from the first step, as the protocol
// wants every step to bear repetition: five attempts, a minute and then twice as long apart. After that the secret
// waits for its next rotation.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "base/ids.h"
#include "base/time_format.h"
#include "schedule/schedule.h"
#include "services/secrets/core.h"

namespace mayfly::secrets {
namespace {

constexpr std::uint32_t kMostAttempts = 5;
constexpr double kFirstRetry = 60;
constexpr std::array<std::string_view, 4> kSteps{"createSecret", "setSecret", "testSecret", "finishSecret"};

// "3h": the window in which a rotation may begin. It begins at the window's start here.
bool is_duration(std::string_view text) {
  if (!text.ends_with('h')) return false;
  text.remove_suffix(1);
  int hours = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), hours);
  return ec == std::errc() && end == text.data() + text.size() && hours >= 1 && hours <= 24;
}

aws::ApiResult<void> check_rules(const wire::RotationRulesType& rules, double now) {
  if (rules.AutomaticallyAfterDays && rules.ScheduleExpression) {
    return refuse_parameter("You can't specify both AutomaticallyAfterDays and ScheduleExpression in RotationRules.");
  }
  if (rules.Duration && !is_duration(*rules.Duration)) {
    return refuse_parameter("Duration must be a number of hours from 1h to 24h.");
  }
  const auto next = next_rotation(rules, now);
  if (!next) return std::unexpected(next.error());
  return {};
}

// The version of a rotation that begins now.
aws::ApiResult<void> begin(Secret& secret, const std::string& version_id, double now) {
  auto& rotation = secret.rotation;
  if (const auto* pending = secret.staged(kPending);
      pending != nullptr && pending->id != version_id && !pending->has_stage(kCurrent)) {
    if (!rotation.pending.empty()) {
      return refuse_request("A previous rotation isn't complete. That rotation will be reattempted.");
    }
  }
  if (secret.version(version_id) == nullptr) {
    Version version;
    version.id = version_id;
    version.created = now;
    secret.versions.push_back(std::move(version));
  }
  secret.move_stage(kPending, version_id);
  rotation.pending = version_id;
  rotation.attempts = 0;
  rotation.retry_at = now;
  return {};
}

Awaitable<aws::ApiResult<wire::RotateSecretResponse>> rotate_secret(Core& core, const aws::CallContext& context,
                                                                    wire::RotateSecretRequest request) {
  auto found = find_live(core, context, request.SecretId);
  if (!found) co_return std::unexpected(std::move(found.error()));
  const auto secret = *found;
  if (request.ExternalSecretRotationMetadata || request.ExternalSecretRotationRoleArn) {
    co_return refuse_unsupported("Rotation of external secrets");
  }
  const auto function = request.RotationLambdaARN.value_or(secret->rotation.function_arn);
  if (function.empty()) {
    co_return refuse_request("No Lambda rotation function ARN is associated with this secret.");
  }
  const auto now = core.now();
  const bool has_rules = request.RotationRules.has_value();
  if (has_rules) {
    if (auto valid = check_rules(*request.RotationRules, now); !valid) co_return std::unexpected(valid.error());
  }
  if (!core.functions.may_invoke(function, secret->arn())) {
    co_return refuse(aws::common_errors::AccessDeniedException,
                     "Secrets Manager cannot invoke the specified Lambda function. Ensure that the function policy "
                     "grants access to the principal secretsmanager.amazonaws.com.");
  }
  const bool at_once = request.RotateImmediately.value_or(true);
  const auto version_id = new_version_id(request.ClientRequestToken);
  const auto rules = request.RotationRules;
  Edit edit = [=](Secret& record) -> aws::ApiResult<void> {
    record.rotation.enabled = true;
    record.rotation.function_arn = function;
    if (rules) record.rotation.rules = *rules;
    record.changed = now;
    const auto next = next_rotation(record.rotation.rules, now);
    if (!next) return std::unexpected(next.error());
    record.rotation.next = *next;
    return at_once ? begin(record, version_id, now) : aws::ApiResult<void>();
  };
  auto changed = co_await change_live(core, secret->key(), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  core.changed.notify();
  wire::RotateSecretResponse out;
  out.ARN = secret->arn();
  out.Name = secret->name;
  if (at_once) out.VersionId = version_id;
  co_return out;
}

Awaitable<aws::ApiResult<wire::CancelRotateSecretResponse>> cancel_rotate_secret(
    Core& core, const aws::CallContext& context, wire::CancelRotateSecretRequest request) {
  auto found = find_live(core, context, request.SecretId);
  if (!found) co_return std::unexpected(std::move(found.error()));
  Edit edit = [](Secret& record) -> aws::ApiResult<void> {
    if (record.rotation.function_arn.empty()) {
      return refuse_request("You can't cancel rotation for a secret that has no rotation configured.");
    }
    // The version that was pending stays as it is: its value may be in use already.
    record.rotation.enabled = false;
    record.rotation.pending.clear();
    record.rotation.next = 0;
    return {};
  };
  auto changed = co_await change_live(core, (*found)->key(), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  core.changed.notify();
  wire::CancelRotateSecretResponse out;
  out.ARN = (*changed)->arn();
  out.Name = (*changed)->name;
  if (const auto* pending = (*changed)->staged(kPending)) out.VersionId = pending->id;
  co_return out;
}

Awaitable<Result<void>> run_steps(Core& core, SecretPtr secret) {
  const auto& rotation = secret->rotation;
  for (const auto step : kSteps) {
    if (!core.functions.may_invoke(rotation.function_arn, secret->arn())) {
      co_return fail(ErrorCode::kForbidden, "the function's policy does not let Secrets Manager invoke it");
    }
    json::object event;
    event["Step"] = step;
    event["SecretId"] = secret->arn();
    event["ClientRequestToken"] = rotation.pending;
    event["RotationToken"] = uuid4();
    auto text = to_json(event);
    auto ran = co_await core.functions.run(rotation.function_arn, std::move(text));
    if (!ran) co_return fail(ran.error().code, fmt::format("{}: {}", step, ran.error().message));
  }
  co_return Result<void>();
}

// What a rotation leaves behind, if it is still the one that is under way.
aws::ApiResult<void> finish(Secret& secret, const std::string& version_id, bool succeeded, double now) {
  auto& rotation = secret.rotation;
  if (rotation.pending != version_id) return {};
  const auto* version = secret.version(version_id);
  if (succeeded && version != nullptr && version->has_stage(kCurrent)) {
    std::erase(secret.version(version_id)->stages, kPending);
    rotation.pending.clear();
    rotation.attempts = 0;
    rotation.rotated = now;
  } else if (++rotation.attempts >= kMostAttempts) {
    rotation.pending.clear();
  } else {
    rotation.retry_at = now + kFirstRetry * std::pow(2.0, rotation.attempts - 1);
    return {};
  }
  if (rotation.enabled) rotation.next = next_rotation(rotation.rules, now).value_or(0);
  return {};
}

Awaitable<void> rotate(Core& core, SecretPtr secret) {
  const auto key = secret->key();
  const auto version_id = secret->rotation.pending;
  auto ran = co_await run_steps(core, secret);
  const auto after = core.secrets.find(key);
  const auto* version = after ? after->version(version_id) : nullptr;
  if (ran && (version == nullptr || !version->has_stage(kCurrent))) {
    ran = fail(ErrorCode::kConflict, "finishSecret did not move AWSCURRENT to the new version");
  }
  if (ran) {
    log(Level::kInfo, "a secret was rotated", {{"secret", secret->arn()}, {"version", version_id}});
  } else {
    log(Level::kWarn, "a rotation of a secret failed",
        {{"secret", secret->arn()}, {"function", secret->rotation.function_arn}, {"error", ran.error().message}});
  }
  const bool succeeded = ran.has_value();
  const auto now = core.now();
  Edit edit = [=](Secret& record) { return finish(record, version_id, succeeded, now); };
  std::ignore = co_await core.secrets.change(key, secret_missing(), std::move(edit));
}

}  // namespace

aws::ApiResult<double> next_rotation(const wire::RotationRulesType& rules, double from) {
  if (rules.AutomaticallyAfterDays) {
    // The end of that day, as the service counts.
    const double day = std::floor((from + static_cast<double>(*rules.AutomaticallyAfterDays) * kDay) / kDay) * kDay;
    return day + kDay - 1;
  }
  if (!rules.ScheduleExpression) return 0.0;
  auto parsed = schedule::Schedule::parse(*rules.ScheduleExpression, schedule::Dialect::kScheduler);
  if (!parsed || parsed->kind() == schedule::Schedule::Kind::kAt) {
    return refuse_parameter(fmt::format("Invalid schedule expression: {}", *rules.ScheduleExpression));
  }
  const auto now = from_epoch_seconds(from);
  const auto next = parsed->next_after(now, now);
  return next ? epoch_seconds(*next) : 0.0;
}

double due_time(const Secret& secret) {
  const auto earlier = [](double a, double b) { return a == 0 ? b : b == 0 ? a : std::min(a, b); };
  if (secret.deleted != 0) return secret.deleted_at;
  const auto& rotation = secret.rotation;
  if (!rotation.pending.empty()) return rotation.retry_at;
  return rotation.enabled ? earlier(rotation.next, 0) : 0;
}

Awaitable<void> carry_out(Core& core, std::string key) {
  auto secret = core.secrets.find(key);
  const auto now = core.now();
  if (!secret || due_time(*secret) == 0 || due_time(*secret) > now) co_return;
  if (secret->deleted != 0) {
    log(Level::kInfo, "a secret's recovery window has ended", {{"secret", secret->arn()}});
    std::ignore = co_await core.secrets.erase(key);
    co_return;
  }
  if (secret->rotation.pending.empty()) {
    const auto version_id = uuid4();
    Edit edit = [version_id, now](Secret& record) { return begin(record, version_id, now); };
    auto begun = co_await change_live(core, key, std::move(edit));
    if (!begun) co_return;
    secret = *begun;
  }
  co_await rotate(core, secret);
}

void bind_rotation(aws::Service& service, Core& core) {
  bind<wire::RotateSecret>(service, core, rotate_secret);
  bind<wire::CancelRotateSecret>(service, core, cancel_rotate_secret);
}

}  // namespace mayfly::secrets
