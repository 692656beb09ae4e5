#include "services/scheduler/target.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "base/crypto.h"
#include "base/encoding.h"
#include "base/json.h"
#include "base/time_format.h"

namespace mayfly::scheduler {
namespace {

using delivery::Event;

// Where an event goes.
struct Outgoing {
  std::string target_arn;
  Event event;
};
using Outgoings = Result<std::vector<Outgoing>>;

constexpr std::string_view kAttemptNumber = "<aws.scheduler.attempt-number>";
constexpr std::string_view kUniversal = "arn:aws:scheduler:::aws-sdk:";

std::unexpected<Error> not_a_request(std::string why) { return fail(ErrorCode::kInvalid, std::move(why)); }

// Every member of the request must be one that is carried out.
Result<void> only_members(const json::value& request, std::initializer_list<std::string_view> known) {
  if (!request.is_object()) return not_a_request("Input must be a JSON object: the operation's request");
  for (const auto& member : request.get_object()) {
    if (std::ranges::find(known, std::string_view(member.key())) == known.end()) {
      return not_a_request(
          fmt::format("{} is not supported in the input of this target", std::string_view(member.key())));
    }
  }
  return {};
}

Result<std::string> required(const json::value& request, std::string_view name) {
  const auto* value = find(request, name);
  if (value == nullptr || !value->is_string() || value->get_string().empty()) {
    return not_a_request(fmt::format("Input must have {}", name));
  }
  return std::string(value->get_string());
}

void take_attributes(const json::value& request, Event& event) {
  const auto* attributes = find(request, "MessageAttributes");
  if (attributes != nullptr && attributes->is_object()) event.message_attributes = attributes->get_object();
}

// ".../<account>/<name>"
Result<std::string> queue_arn(std::string_view url, const Place& place) {
  const auto slash = url.rfind('/');
  const auto before = slash == std::string_view::npos || slash == 0 ? slash : url.rfind('/', slash - 1);
  if (slash == std::string_view::npos || before == std::string_view::npos || slash + 1 == url.size()) {
    return not_a_request("QueueUrl must end in /<account>/<name>");
  }
  return fmt::format("arn:aws:sqs:{}:{}:{}", place.region, url.substr(before + 1, slash - before - 1),
                     url.substr(slash + 1));
}

Outgoings send_message(const json::value& request, const Place& place) {
  if (auto known = only_members(
          request, {"QueueUrl", "MessageBody", "MessageGroupId", "MessageDeduplicationId", "MessageAttributes"});
      !known) {
    return std::unexpected(std::move(known.error()));
  }
  const auto url = required(request, "QueueUrl");
  const auto body = required(request, "MessageBody");
  if (!url || !body) return std::unexpected(url ? body.error() : url.error());
  auto arn = queue_arn(*url, place);
  if (!arn) return std::unexpected(std::move(arn.error()));
  Outgoing out{.target_arn = std::move(*arn), .event = {}};
  out.event.payload = *body;
  out.event.group_id = get_string(request, "MessageGroupId");
  out.event.dedupe_id = get_string(request, "MessageDeduplicationId");
  take_attributes(request, out.event);
  return std::vector{std::move(out)};
}

Outgoings publish(const json::value& request, const Place&) {
  if (auto known = only_members(
          request, {"TopicArn", "Message", "Subject", "MessageGroupId", "MessageDeduplicationId", "MessageAttributes"});
      !known) {
    return std::unexpected(std::move(known.error()));
  }
  const auto topic = required(request, "TopicArn");
  const auto message = required(request, "Message");
  if (!topic || !message) return std::unexpected(topic ? message.error() : topic.error());
  Outgoing out{.target_arn = *topic, .event = {}};
  out.event.payload = *message;
  out.event.group_id = get_string(request, "MessageGroupId");
  out.event.dedupe_id = get_string(request, "MessageDeduplicationId");
  if (const auto subject = get_string(request, "Subject"); !subject.empty()) out.event.parameters["Subject"] = subject;
  take_attributes(request, out.event);
  return std::vector{std::move(out)};
}

Outgoings invoke(const json::value& request, const Place& place) {
  if (auto known = only_members(request, {"FunctionName", "InvocationType", "Payload", "Qualifier"}); !known) {
    return std::unexpected(std::move(known.error()));
  }
  auto function = required(request, "FunctionName");
  if (!function) return std::unexpected(std::move(function.error()));
  const auto type = get_string(request, "InvocationType", "RequestResponse");
  if (type != "RequestResponse" && type != "Event") {
    return not_a_request(fmt::format("InvocationType {} is not supported in the input of this target", type));
  }
  Outgoing out;
  out.target_arn = function->starts_with("arn:")
                       ? *function
                       : fmt::format("arn:aws:lambda:{}:{}:function:{}", place.region, place.account, *function);
  if (const auto qualifier = get_string(request, "Qualifier"); !qualifier.empty()) {
    out.target_arn += fmt::format(":{}", qualifier);
  }
  const auto* payload = find(request, "Payload");
  if (payload != nullptr) {
    out.event.payload = payload->is_string() ? std::string(payload->get_string()) : to_json(*payload);
  }
  return std::vector{std::move(out)};
}

Result<Outgoing> bus_entry(const json::value& entry, const Place& place) {
  if (auto known = only_members(entry, {"Source", "DetailType", "Detail", "EventBusName"}); !known) {
    return std::unexpected(std::move(known.error()));
  }
  const auto source = required(entry, "Source");
  const auto type = required(entry, "DetailType");
  const auto detail = required(entry, "Detail");
  if (!source || !type || !detail) {
    return std::unexpected(!source ? source.error() : !type ? type.error() : detail.error());
  }
  Outgoing out;
  const auto bus = std::string(get_string(entry, "EventBusName", "default"));
  out.target_arn = bus.starts_with("arn:")
                       ? bus
                       : fmt::format("arn:aws:events:{}:{}:event-bus/{}", place.region, place.account, bus);
  out.event.payload = *detail;
  out.event.parameters["Source"] = *source;
  out.event.parameters["DetailType"] = *type;
  return out;
}

Outgoings put_events(const json::value& request, const Place& place) {
  constexpr std::size_t kMostEntries = 10;
  if (auto known = only_members(request, {"Entries"}); !known) return std::unexpected(std::move(known.error()));
  const auto* entries = find(request, "Entries");
  if (entries == nullptr || !entries->is_array() || entries->get_array().empty() ||
      entries->get_array().size() > kMostEntries) {
    return not_a_request("Input must have Entries, 1 to 10 of them");
  }
  std::vector<Outgoing> out;
  for (const auto& entry : entries->get_array()) {
    auto one = bus_entry(entry, place);
    if (!one) return std::unexpected(std::move(one.error()));
    out.push_back(std::move(*one));
  }
  return out;
}

struct Operation {
  std::string_view name;  // "sqs:sendMessage"
  Outgoings (*expand)(const json::value& request, const Place& place);
};
constexpr std::array<Operation, 4> kOperations{{{.name = "sqs:sendMessage", .expand = send_message},
                                                {.name = "sns:publish", .expand = publish},
                                                {.name = "events:putEvents", .expand = put_events},
                                                {.name = "lambda:invoke", .expand = invoke}}};

const Operation* operation_of(std::string_view arn) {
  if (!arn.starts_with(kUniversal)) return nullptr;
  const auto found = std::ranges::find(kOperations, arn.substr(kUniversal.size()), &Operation::name);
  return found == kOperations.end() ? nullptr : &*found;
}

Outgoings expand_universal(const Operation& operation, std::string_view input, const Place& place) {
  const auto request = parse_json(input);
  if (!request) return not_a_request("Input must be a JSON object: the operation's request");
  return operation.expand(*request, place);
}

// What a target gets that has no input, as EventBridge Scheduler sends it.
std::string default_input(const ScheduleRecord& record, const std::string& id, const std::string& scheduled_time) {
  return to_json(json::object{{"version", "0"},
                              {"id", id},
                              {"detail-type", "Scheduled Event"},
                              {"source", "aws.scheduler"},
                              {"account", record.place.account},
                              {"time", scheduled_time},
                              {"region", record.place.region},
                              {"resources", json::array{text_of(record.shown.Arn)}},
                              {"detail", "{}"}});
}

Outgoings expand(const ScheduleRecord& record, std::string_view input) {
  const auto& target = *record.shown.Target;
  if (const auto* operation = operation_of(text_of(target.Arn))) {
    return expand_universal(*operation, input, record.place);
  }
  Outgoing out{.target_arn = text_of(target.Arn), .event = {}};
  out.event.payload = input;
  if (target.SqsParameters) out.event.group_id = text_of(target.SqsParameters->MessageGroupId);
  if (target.EventBridgeParameters) {
    out.event.parameters["Source"] = text_of(target.EventBridgeParameters->Source);
    out.event.parameters["DetailType"] = text_of(target.EventBridgeParameters->DetailType);
  }
  return std::vector{std::move(out)};
}

aws::ApiResult<void> check_universal(const wire::Target& target, const Place& place, const Supports& supports) {
  const auto arn = text_of(target.Arn);
  const auto name = std::string_view(arn).substr(kUniversal.size());
  const auto colon = name.find(':');
  const auto service = name.substr(0, colon);
  const auto api = colon == std::string_view::npos ? std::string_view() : name.substr(colon + 1);
  constexpr std::array<std::string_view, 25> kReadOnly{"get",
                                                       "describe",
                                                       "list",
                                                       "poll",
                                                       "receive",
                                                       "search",
                                                       "scan",
                                                       "query",
                                                       "select",
                                                       "read",
                                                       "lookup",
                                                       "discover",
                                                       "validate",
                                                       "batchGet",
                                                       "batchDescribe",
                                                       "batchRead",
                                                       "transactGet",
                                                       "adminGet",
                                                       "adminList",
                                                       "testMigration",
                                                       "retrieve",
                                                       "testConnection",
                                                       "translateDocument",
                                                       "isAuthorized",
                                                       "invokeModel"};
  const bool reads = std::ranges::any_of(kReadOnly, [&](std::string_view prefix) { return api.starts_with(prefix); });
  if (api.empty()) return refuse_value("Provided Arn is not in correct format.");
  if (reads) return refuse_value(fmt::format("{} API is not supported", api));
  const auto* operation = operation_of(arn);
  if (operation == nullptr) {
    return refuse_unsupported(fmt::format("The universal target {}:{}", service, api),
                              "this server has sqs:sendMessage, sns:publish, events:putEvents and lambda:invoke");
  }
  if (!target.Input) return refuse_value("You must provide an input to set this target for your schedule");
  const Keywords sample{.schedule_arn = "arn:aws:scheduler:us-east-1:000000000000:schedule/default/sample",
                        .scheduled_time = "2022-03-22T18:59:43Z",
                        .execution_id = "d32c5kddcf5bb8c3",
                        .attempt_number = ""};
  const auto expanded = expand_universal(*operation, filled_in(*target.Input, sample), place);
  if (!expanded) return refuse_value(fmt::format("Invalid Input for the target: {}.", expanded.error().message));
  for (const auto& one : *expanded) {
    if (!supports(one.target_arn)) {
      return refuse_value(fmt::format("{} is not a supported service for a target.", service));
    }
  }
  return {};
}

aws::ApiResult<void> check_parameters(const wire::Target& target, const delivery::Arn& arn) {
  if (target.EcsParameters) return refuse_unsupported("EcsParameters", "this server has no ECS");
  if (target.KinesisParameters) return refuse_unsupported("KinesisParameters", "this server has no Kinesis");
  if (target.SageMakerPipelineParameters) {
    return refuse_unsupported("SageMakerPipelineParameters", "this server has no SageMaker");
  }
  if (arn.service == "events" && !target.EventBridgeParameters) {
    return refuse_value("EventBridgeParameters must be specified for an event bus target.");
  }
  if (target.EventBridgeParameters && arn.service != "events") {
    return refuse_value("EventBridgeParameters is only valid for an event bus target.");
  }
  const bool fifo = arn.service == "sqs" && arn.resource.ends_with(".fifo");
  const bool grouped = target.SqsParameters && target.SqsParameters->MessageGroupId;
  if (fifo && !grouped) return refuse_value("MessageGroupId must be specified for a FIFO queue target.");
  if (target.SqsParameters && arn.service != "sqs") {
    return refuse_value("SqsParameters is only valid for an SQS queue target.");
  }
  if (arn.service == "events" && target.Input) {
    const auto detail = parse_json(*target.Input);
    const bool with_keywords = target.Input->find("<aws.scheduler.") != std::string::npos;
    if (!with_keywords && (!detail || !detail->is_object())) {
      return refuse_value("Input must be a JSON object for an event bus target.");
    }
  }
  return {};
}

}  // namespace

aws::ApiResult<void> check_target(const wire::Target& target, const Place& place, const Supports& supports) {
  const auto text = text_of(target.Arn);
  if (target.Input && target.Input->size() > kInputBytes) {
    return refuse_value(fmt::format("Input must have at most {} bytes.", kInputBytes));
  }
  if (target.DeadLetterConfig && target.DeadLetterConfig->Arn) {
    if (target.DeadLetterConfig->Arn->ends_with(".fifo") || !supports(*target.DeadLetterConfig->Arn)) {
      return refuse_value("DeadLetterConfig must name a standard SQS queue.");
    }
  }
  if (text.starts_with(kUniversal)) {
    if (auto checked = check_parameters(target, {}); !checked) return checked;
    return check_universal(target, place, supports);
  }
  const auto arn = delivery::parse_arn(text);
  if (!arn) return refuse_value("Provided Arn is not in correct format.");
  // Schedules themselves are no targets, whatever registers for their ARNs.
  if (arn->service == "scheduler" || !supports(text)) {
    return refuse_value(fmt::format("{} is not a supported service for a target.", arn->service));
  }
  return check_parameters(target, *arn);
}

std::string filled_in(std::string_view input, const Keywords& keywords) {
  constexpr std::string_view kBegin = "<aws.scheduler.";
  const std::array<std::pair<std::string_view, const std::string*>, 4> all{
      {{"schedule-arn>", &keywords.schedule_arn},
       {"scheduled-time>", &keywords.scheduled_time},
       {"execution-id>", &keywords.execution_id},
       {"attempt-number>", keywords.attempt_number.empty() ? nullptr : &keywords.attempt_number}}};
  std::string out;
  while (true) {
    const auto at = input.find(kBegin);
    out += input.substr(0, at);
    if (at == std::string_view::npos) return out;
    const auto rest = input.substr(at + kBegin.size());
    const auto found = std::ranges::find_if(
        all, [&](const auto& keyword) { return keyword.second != nullptr && rest.starts_with(keyword.first); });
    if (found == all.end()) {
      out += kBegin;
      input = rest;
    } else {
      out += *found->second;
      input = rest.substr(found->first.size());
    }
  }
}

delivery::Handler attempt_handler(const delivery::Targets& targets) {
  return [&targets](delivery::Arn arn, Event event) {
    const auto number = fmt::format("{}", event.attempt);
    for (auto at = event.payload.find(kAttemptNumber); at != std::string::npos;
         at = event.payload.find(kAttemptNumber, at + number.size())) {
      event.payload.replace(at, kAttemptNumber.size(), number);
    }
    auto text = fmt::format("arn:{}:{}:{}:{}:{}", arn.partition, arn.service, arn.region, arn.account, arn.resource);
    return targets.deliver(std::move(text), std::move(event));
  };
}

std::string uuid_of(std::string_view text) {
  auto bytes = sha256(text).substr(0, 16);
  // Version 8 (made by its maker's own rule), variant 1.
  bytes[6] = static_cast<char>((static_cast<unsigned char>(bytes[6]) & 0x0FU) | 0x80U);
  bytes[8] = static_cast<char>((static_cast<unsigned char>(bytes[8]) & 0x3FU) | 0x80U);
  const auto hex = hex_encode(bytes);
  return fmt::format("{}-{}-{}-{}-{}", hex.substr(0, 8), hex.substr(8, 4), hex.substr(12, 4), hex.substr(16, 4),
                     hex.substr(20));
}

Result<std::vector<delivery::Request>> requests_of(const ScheduleRecord& record, SystemTime scheduled,
                                                   const std::string& dedupe_key) {
  const auto& target = *record.shown.Target;
  Keywords keywords;
  keywords.schedule_arn = text_of(record.shown.Arn);
  keywords.scheduled_time = iso8601_millis(scheduled).substr(0, 19) + "Z";
  const auto id = uuid_of(dedupe_key);
  keywords.execution_id = hex_encode(sha256(dedupe_key)).substr(0, 16);
  // Known at each attempt only: left as it is, for attempt_handler().
  const bool by_attempt = target.Input && target.Input->find(kAttemptNumber) != std::string::npos;
  const bool bus = text_of(target.Arn).find(":event-bus/") != std::string::npos;
  const auto input = target.Input ? filled_in(*target.Input, keywords)
                     : bus        ? std::string("{}")
                                  : default_input(record, id, keywords.scheduled_time);
  auto outgoing = expand(record, input);
  if (!outgoing) return std::unexpected(std::move(outgoing.error()));
  delivery::Policy policy;
  constexpr std::int32_t kDefaultRetries = 185;
  std::int32_t retries = kDefaultRetries;
  if (target.RetryPolicy) retries = target.RetryPolicy->MaximumRetryAttempts.value_or(kDefaultRetries);
  policy.max_attempts = static_cast<std::uint32_t>(retries) + 1;
  policy.max_age = max_age_of(record);
  if (target.DeadLetterConfig) {
    policy.dead_letter_arn = text_of(target.DeadLetterConfig->Arn);
    policy.dead_letter_facts = {{"EXECUTION_ID", keywords.execution_id},
                                {"IS_PAYLOAD_TRUNCATED", "false"},
                                {"SCHEDULED_TIME", keywords.scheduled_time}};
  }
  std::vector<delivery::Request> out;
  for (std::size_t i = 0; i < outgoing->size(); ++i) {
    auto& one = (*outgoing)[i];
    auto& request = out.emplace_back();
    request.target_arn = std::move(one.target_arn);
    request.event = std::move(one.event);
    request.event.id = i == 0 ? id : uuid_of(fmt::format("{}#{}", dedupe_key, i));
    request.event.source_arn = text_of(record.shown.Arn);
    request.event.role_arn = text_of(target.RoleArn);
    // A FIFO queue recognises the occurrence, too.
    if (request.event.dedupe_id.empty() && !request.event.group_id.empty()) request.event.dedupe_id = request.event.id;
    if (by_attempt) request.via = kAttemptHandler;
    request.policy = policy;
    request.dedupe_key = i == 0 ? dedupe_key : fmt::format("{}#{}", dedupe_key, i);
  }
  return out;
}

}  // namespace mayfly::scheduler
