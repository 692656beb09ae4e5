#include "delivery/records.h"

#include <array>

#include "base/crypto.h"
#include "base/encoding.h"
#include "base/json.h"
#include "base/time_format.h"

namespace mayfly::delivery {
namespace {

constexpr std::size_t kErrorMessageBytes = 1024;
constexpr std::size_t kMaxAttributes = 10;  // of a queue's message
constexpr std::chrono::seconds kLetterAge{14UL * 86'400};

json::object attribute(std::string_view type, std::string value) {
  json::object out;
  out["DataType"] = type;
  // Queues refuse an attribute without a value.
  out["StringValue"] = value.empty() ? "-" : std::move(value);
  return out;
}

json::object text_attribute(std::string value) { return attribute("String", std::move(value)); }

// Cut at a character's border.
std::string cut(const std::string& text, std::size_t bytes) {
  if (text.size() <= bytes) return text;
  while (bytes > 0 && (static_cast<unsigned char>(text[bytes]) & 0xC0U) == 0x80U) --bytes;
  return text.substr(0, bytes);
}

// Services' own error codes in those that EventBridge documents for the dead letters of its rules.
std::string rule_error_code(std::string_view code) {
  using Names = std::pair<std::string_view, std::string_view>;
  constexpr std::array<Names, 14> kCodes{{
      {"ResourceNotFoundException", "NO_RESOURCE"},
      {"AWS.SimpleQueueService.NonExistentQueue", "NO_RESOURCE"},
      {"NotFound", "NO_RESOURCE"},
      {"InvalidTarget", "NO_RESOURCE"},
      {"AccessDeniedException", "NO_PERMISSIONS"},
      {"AccessDenied", "NO_PERMISSIONS"},
      {"TooManyRequestsException", "THROTTLING"},
      {"EventAgeExceeded", "THROTTLING"},  // nothing was attempted but throttles
      {"ValidationException", "INVALID_PARAMETER"},
      {"InvalidParameterValue", "INVALID_PARAMETER"},
      {"InvalidMessageContents", "INVALID_PARAMETER"},
      {"InvalidRequestContentException", "INVALID_JSON"},
      {"ServiceException", "INTERNAL_ERROR"},
      {"InternalFailure", "INTERNAL_ERROR"},
  }};
  for (const auto& [theirs, rules] : kCodes) {
    if (theirs == code) return std::string(rules);
  }
  return std::string(code);
}

json::object letter_attributes(const Parcel& parcel, const Progress& progress, Ending ending) {
  const auto& last = progress.last;
  auto code = last.error_code;
  auto message = last.error_message;
  if (ending == Ending::kAgeExceeded && code.empty()) {
    code = "EventAgeExceeded";
    message = "the event was too old before its target took it";
  }
  json::object out;
  switch (parcel.policy.dead_letter_form) {
    case DeadLetterForm::kFunction:
      out["RequestID"] = text_attribute(parcel.event.id);
      out["ErrorCode"] = attribute("Number", std::to_string(last.status));
      out["ErrorMessage"] = text_attribute(cut(message, kErrorMessageBytes));
      break;
    case DeadLetterForm::kSubscription:
      out["RequestID"] = text_attribute(parcel.event.id);
      out["ErrorCode"] = text_attribute(code);
      out["ErrorMessage"] = text_attribute(cut(message, kErrorMessageBytes));
      break;
    case DeadLetterForm::kRule: {
      const bool schedule = parcel.event.source_arn.find(":scheduler:") != std::string::npos;
      if (!parcel.event.source_arn.empty()) {
        out[schedule ? "SCHEDULE_ARN" : "RULE_ARN"] = text_attribute(parcel.event.source_arn);
      }
      out["TARGET_ARN"] = text_attribute(parcel.target);
      out["ERROR_CODE"] = text_attribute(schedule ? code : rule_error_code(code));
      out["ERROR_MESSAGE"] = text_attribute(cut(message, kErrorMessageBytes));
      const auto retries = progress.attempts == 0 ? 0 : progress.attempts - 1;
      out["RETRY_ATTEMPTS"] = attribute("Number", std::to_string(retries));
      if (ending == Ending::kRetriesExhausted) {
        out["EXHAUSTED_RETRY_CONDITION"] = text_attribute("MaximumRetryAttempts");
      } else if (ending == Ending::kAgeExceeded) {
        out["EXHAUSTED_RETRY_CONDITION"] = text_attribute("MaximumEventAgeInSeconds");
      }
      break;
    }
  }
  for (const auto& [name, value] : parcel.policy.dead_letter_facts) out[name] = text_attribute(value);
  for (const auto& [name, value] : parcel.event.message_attributes) {
    if (out.size() < kMaxAttributes) out.emplace(name, value);
  }
  return out;
}

// Followers are tried until their age runs out: what was accepted is not lost because a dead-letter queue is away.
Request follower(const Parcel& parcel, const std::string& target, std::string_view purpose) {
  Request out;
  out.target_arn = target;
  out.event.id = derived_id(parcel.event.id, purpose);
  // A function hands on what it was given itself; a rule, a schedule and a topic send their dead letters themselves.
  const bool by_function = parcel.policy.dead_letter_form == DeadLetterForm::kFunction;
  out.event.source_arn = by_function ? parcel.target : parcel.event.source_arn;
  out.event.role_arn = parcel.event.role_arn;
  out.event.trace_id = parcel.event.trace_id;
  out.event.group_id = parcel.event.group_id;
  if (target.ends_with(".fifo")) {
    if (out.event.group_id.empty()) out.event.group_id = "dead-letters";
    out.event.dedupe_id = out.event.id;
  }
  out.policy.max_attempts = 0;
  out.policy.max_age = kLetterAge;
  out.dedupe_key = out.event.id;
  return out;
}

std::string with_latest(const std::string& arn) {
  // arn:aws:lambda:region:account:function:name has six colons; a qualifier is behind a seventh.
  std::size_t colons = 0;
  for (const char c : arn) colons += c == ':' ? 1 : 0;
  return colons == 6 ? arn + ":$LATEST" : arn;
}

Request destination(const Parcel& parcel, const Progress& progress, Ending ending, SystemTime now,
                    const std::string& target) {
  const bool success = ending == Ending::kSuccess;
  auto out = follower(parcel, target, success ? "success" : "failure");
  out.event.payload = destination_record(parcel, progress, ending, now);
  const auto arn = parse_arn(target);
  if (arn && arn->service == "events") {
    out.event.parameters["Source"] = "lambda";
    out.event.parameters["DetailType"] =
        success ? "Lambda Function Invocation Result - Success" : "Lambda Function Invocation Result - Failure";
    json::array resources;
    resources.emplace_back(with_latest(parcel.target));
    resources.emplace_back(target);
    out.event.parameters["Resources"] = std::move(resources);
  }
  return out;
}

json::value payload_value(const std::string& text) {
  if (text.empty()) return nullptr;
  auto parsed = parse_json(text);
  if (!parsed) return json::value(json::string(text));
  return std::move(*parsed);
}

}  // namespace

std::string derived_id(const std::string& id, std::string_view purpose) {
  std::string text = id;
  text += '/';
  text += purpose;
  auto digits = hex_encode(sha256(text)).substr(0, 32);
  digits[12] = '8';  // a UUID of the version that is free for own schemes
  digits[16] = 'a';
  for (const std::size_t at : {20UL, 16UL, 12UL, 8UL}) digits.insert(at, 1, '-');
  return digits;
}

std::string destination_record(const Parcel& parcel, const Progress& progress, Ending ending, SystemTime now) {
  const auto& last = progress.last;
  json::object context;
  context["requestId"] = parcel.event.id;
  context["functionArn"] = with_latest(parcel.target);
  context["condition"] = ending == Ending::kSuccess       ? "Success"
                         : ending == Ending::kAgeExceeded ? "EventAgeExceeded"
                                                          : "RetriesExhausted";
  context["approximateInvokeCount"] = progress.attempts;
  json::object out;
  out["version"] = "1.0";
  out["timestamp"] = iso8601_millis(now);
  out["requestContext"] = std::move(context);
  out["requestPayload"] = payload_value(parcel.event.payload);
  if (progress.attempts > 0) {
    json::object response;
    response["statusCode"] = last.status;
    response["executedVersion"] = last.executed_version.empty() ? "$LATEST" : last.executed_version;
    if (!last.function_error.empty()) response["functionError"] = last.function_error;
    out["responseContext"] = std::move(response);
    out["responsePayload"] = payload_value(last.response);
  }
  return to_json(out);
}

std::vector<Request> followers(const Parcel& parcel, const Progress& progress, Ending ending, SystemTime now) {
  std::vector<Request> out;
  if (ending == Ending::kSuccess) {
    const auto& target = parcel.policy.on_success_arn;
    if (!target.empty()) out.push_back(destination(parcel, progress, ending, now, target));
    return out;
  }
  if (!parcel.policy.dead_letter_arn.empty()) {
    auto letter = follower(parcel, parcel.policy.dead_letter_arn, "dead-letter");
    letter.event.payload = parcel.event.payload;
    letter.event.message_attributes = letter_attributes(parcel, progress, ending);
    out.push_back(std::move(letter));
  }
  const auto& target = parcel.policy.on_failure_arn;
  if (!target.empty()) out.push_back(destination(parcel, progress, ending, now, target));
  return out;
}

}  // namespace mayfly::delivery
