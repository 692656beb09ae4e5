#include "services/sqs/record.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>

#include "base/encoding.h"
#include "base/json.h"
#include "identity/policy_document.h"
#include "services/sqs/limits.h"

namespace mayfly::sqs {
namespace {

constexpr std::string_view kFifoSuffix = ".fifo";

std::unexpected<aws::ApiError> refuse_attribute(std::string_view name, std::string_view reason) {
  auto text = fmt::format("Invalid value for the parameter {}.", name);
  if (!reason.empty()) text += fmt::format(" Reason: {}", reason);
  return refuse(wire::errors::InvalidAttributeValue, std::move(text));
}

std::unexpected<aws::ApiError> refuse_attribute_name(std::string_view name) {
  return refuse(wire::errors::InvalidAttributeName, fmt::format("Unknown Attribute {}.", name));
}

std::optional<std::int32_t> parse_number(std::string_view text) {
  std::int32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

struct NumberAttribute {
  std::string_view name;
  std::int32_t QueueRecord::* member;
  std::int32_t least;
  std::int32_t most;
};
constexpr NumberAttribute kNumbers[] = {
    {"VisibilityTimeout", &QueueRecord::visibility_timeout, 0, kVisibilitySeconds},
    {"DelaySeconds", &QueueRecord::delay, 0, kDelaySeconds},
    {"ReceiveMessageWaitTimeSeconds", &QueueRecord::wait, 0, kWaitSeconds},
    {"MessageRetentionPeriod", &QueueRecord::retention, kLeastRetentionSeconds, kRetentionSeconds},
    {"MaximumMessageSize", &QueueRecord::max_message_bytes, static_cast<std::int32_t>(kLeastMessageBytes),
     static_cast<std::int32_t>(kMessageBytes)},
};

// "True" is taken, too (recorded).
std::optional<bool> parse_bool(std::string_view text) {
  if (iequals(text, "true")) return true;
  if (iequals(text, "false")) return false;
  return std::nullopt;
}

std::string bool_text(bool value) { return value ? "true" : "false"; }

aws::ApiResult<void> set_bool(bool& out, std::string_view name, std::string_view value) {
  const auto parsed = parse_bool(value);
  if (!parsed) return refuse_attribute(name, "");
  out = *parsed;
  return {};
}

aws::ApiResult<void> set_choice(bool& out, std::string_view name, std::string_view value, std::string_view when_false,
                                std::string_view when_true) {
  if (value != when_false && value != when_true) return refuse_attribute(name, "");
  out = value == when_true;
  return {};
}

aws::ApiResult<void> set_redrive_policy(QueueRecord& record, const std::string& text) {
  if (text.empty()) {
    record.dead_letter_arn.clear();
    record.max_receive_count = 0;
    return {};
  }
  const auto refuse_policy = [&](std::string_view reason) { return refuse_parameter(text, "RedrivePolicy", reason); };
  const auto parsed = parse_json(text);
  if (!parsed || !parsed->is_object()) return refuse_policy("Redrive policy is not a valid JSON map.");
  const auto* target = find(*parsed, "deadLetterTargetArn");
  const auto* count = find(*parsed, "maxReceiveCount");
  if (target == nullptr)
    return refuse_policy("Redrive policy does not contain mandatory attribute: deadLetterTargetArn.");
  if (count == nullptr) return refuse_policy("Redrive policy does not contain mandatory attribute: maxReceiveCount.");
  std::optional<std::int32_t> receives;
  if (const auto* number = count->if_int64(); number != nullptr && *number >= 1 && *number <= kReceiveCount) {
    receives = static_cast<std::int32_t>(*number);
  } else if (count->is_string()) {
    receives = parse_number(std::string_view(count->get_string()));
  }
  if (!receives || *receives < 1 || *receives > kReceiveCount) {
    const auto shown = count->is_string() ? std::string(count->get_string()) : to_json(*count);
    return refuse_policy(
        fmt::format("Invalid value for maxReceiveCount: {}, valid values are from 1 to {} both "
                    "inclusive.",
                    shown, kReceiveCount));
  }
  for (const auto& member : parsed->get_object()) {
    if (member.key() != "deadLetterTargetArn" && member.key() != "maxReceiveCount") {
      return refuse_policy(
          fmt::format("Only following attributes are supported: [deadLetterTargetArn, "
                      "maxReceiveCount]."));
    }
  }
  const std::string arn(get_string(*parsed, "deadLetterTargetArn"));
  if (!arn.starts_with("arn:")) return refuse_policy("Invalid value for deadLetterTargetArn.");
  record.dead_letter_arn = arn;
  record.max_receive_count = *receives;
  return {};
}

aws::ApiResult<void> set_redrive_allow_policy(QueueRecord& record, const std::string& text) {
  if (text.empty()) {
    record.redrive_allow_policy.clear();
    return {};
  }
  const auto refuse_policy = [&](std::string_view reason) {
    return refuse_parameter(text, "RedriveAllowPolicy", reason);
  };
  const auto parsed = parse_json(text);
  if (!parsed || !parsed->is_object())
    return refuse_policy("Amazon SQS can't create the redrive allow policy, as it's in an unsupported format.");
  const auto permission = get_string(*parsed, "redrivePermission");
  const auto* sources = find(*parsed, "sourceQueueArns");
  if (permission != "allowAll" && permission != "denyAll" && permission != "byQueue")
    return refuse_policy("Amazon SQS can't create the redrive allow policy, as it's in an unsupported format.");
  if (permission == "byQueue") {
    if (sources == nullptr || !sources->is_array() || sources->get_array().empty() || sources->get_array().size() > 10)
      return refuse_policy(
          "Amazon SQS can't create the redrive allow policy. When you specify the byQueue permission type, you must "
          "also specify one to 10 sourceQueueArns values.");
    for (const auto& source : sources->get_array()) {
      if (!source.is_string())
        return refuse_policy("Amazon SQS can't create the redrive allow policy, as it's in an unsupported format.");
    }
  } else if (sources != nullptr) {
    return refuse_policy(
        "Amazon SQS can't create the redrive allow policy. When you specify the allowAll or denyAll permission type, "
        "you can't also specify sourceQueueArns values.");
  }
  record.redrive_allow_policy = to_json(*parsed);
  return {};
}

aws::ApiResult<void> set_policy(QueueRecord& record, const std::string& text) {
  if (text.empty()) {
    record.policy.clear();
    return {};
  }
  const auto parsed = parse_json(text);
  // What is stored takes part in every decision about the queue, so it must be a policy.
  const bool good = parsed && parsed->is_object() &&
                    identity::Policy::parse(text, identity::PolicyKind::kResource, identity::Policy::kLongest);
  if (!good) return refuse_attribute("Policy", "");
  record.policy = to_json(*parsed);
  return {};
}

aws::ApiResult<void> set_fifo_attribute(QueueRecord& record, const std::string& name, const std::string& value) {
  if (!record.fifo) return refuse_attribute_name(name);
  if (name == "ContentBasedDeduplication") return set_bool(record.content_dedupe, name, value);
  if (name == "DeduplicationScope") return set_choice(record.dedupe_by_group, name, value, "queue", "messageGroup");
  if (name == "FifoThroughputLimit")
    return set_choice(record.throughput_by_group, name, value, "perQueue", "perMessageGroupId");
  const auto wanted = parse_bool(value);  // FifoQueue
  if (!wanted) return refuse_attribute(name, "");
  if (!*wanted) return refuse_attribute(name, "Modifying queue type is not supported.");
  return {};
}

aws::ApiResult<void> set_attribute(QueueRecord& record, const std::string& name, const std::string& value) {
  for (const auto& number : kNumbers) {
    if (number.name != name) continue;
    const auto parsed = parse_number(value);
    if (!parsed || *parsed < number.least || *parsed > number.most) return refuse_attribute(name, "");
    record.*number.member = *parsed;
    return {};
  }
  if (name == "Policy") return set_policy(record, value);
  if (name == "RedrivePolicy") return set_redrive_policy(record, value);
  if (name == "RedriveAllowPolicy") return set_redrive_allow_policy(record, value);
  if (name == "SqsManagedSseEnabled") return set_bool(record.managed_encryption, name, value);
  if (name == "FifoQueue" || name == "ContentBasedDeduplication" || name == "DeduplicationScope" ||
      name == "FifoThroughputLimit") {
    return set_fifo_attribute(record, name, value);
  }
  if (name == "KmsMasterKeyId") {
    if (value.empty()) return {};
    return refuse_attribute(name, "Encryption with keys of KMS is not supported.");
  }
  if (name == "KmsDataKeyReusePeriodSeconds") {
    if (value == "300") return {};  // the default, which clients send without a key, too
    return refuse_attribute(name, "Encryption with keys of KMS is not supported.");
  }
  return refuse_attribute_name(name);
}

json::object tags_object(const Attributes& tags) {
  json::object out;
  for (const auto& [key, value] : tags) out.emplace(key, value);
  return out;
}

}  // namespace

std::string queue_key(const Place& place, std::string_view name) {
  return fmt::format("{}{}/{}/{}", QueueRecord::kPrefix, place.account, place.region, name);
}

std::string queue_arn(const Place& place, std::string_view name) {
  return fmt::format("arn:aws:sqs:{}:{}:{}", place.region, place.account, name);
}

std::string QueueRecord::arn() const { return queue_arn(place, name); }

store::QueueName QueueRecord::port_name() const {
  return store::QueueName(fmt::format("{}{}/{}/{}/{}", kPortPrefix, place.account, place.region, name, generation));
}

store::QueueSettings QueueRecord::port_settings() const {
  store::QueueSettings settings;
  settings.retention = std::chrono::seconds(retention);
  settings.dedupe_window = fifo ? kDedupeWindow : std::chrono::seconds(0);
  settings.ordered = fifo;
  settings.dedupe_by_group = dedupe_by_group;
  settings.max_leased = kInFlight;
  return settings;
}

std::string QueueRecord::key() const { return queue_key(place, name); }

json::object QueueRecord::document() const {
  json::object out{{"account", place.account},
                   {"region", place.region},
                   {"name", name},
                   {"generation", generation},
                   {"created", created},
                   {"modified", modified},
                   {"fifo", fifo},
                   {"content_dedupe", content_dedupe},
                   {"dedupe_by_group", dedupe_by_group},
                   {"throughput_by_group", throughput_by_group},
                   {"managed_encryption", managed_encryption},
                   {"policy", policy},
                   {"dead_letter_arn", dead_letter_arn},
                   {"max_receive_count", max_receive_count},
                   {"redrive_allow_policy", redrive_allow_policy},
                   {"tags", tags_object(tags)}};
  for (const auto& number : kNumbers) out.emplace(number.name, this->*number.member);
  return out;
}

Result<QueueRecord> QueueRecord::read(const json::object& in) {
  QueueRecord out;
  out.place = {.account = std::string(get_string(in, "account")), .region = std::string(get_string(in, "region"))};
  out.name = get_string(in, "name");
  out.generation = get_string(in, "generation");
  if (out.name.empty() || out.generation.empty()) return fail(ErrorCode::kCorrupt, "the record of a queue has no name");
  out.created = get_int(in, "created");
  out.modified = get_int(in, "modified");
  out.fifo = get_bool(in, "fifo", false);
  out.content_dedupe = get_bool(in, "content_dedupe", false);
  out.dedupe_by_group = get_bool(in, "dedupe_by_group", false);
  out.throughput_by_group = get_bool(in, "throughput_by_group", false);
  out.managed_encryption = get_bool(in, "managed_encryption", true);
  out.policy = get_string(in, "policy");
  out.dead_letter_arn = get_string(in, "dead_letter_arn");
  out.max_receive_count = static_cast<std::int32_t>(get_int(in, "max_receive_count"));
  out.redrive_allow_policy = get_string(in, "redrive_allow_policy");
  for (const auto& number : kNumbers) {
    out.*number.member = static_cast<std::int32_t>(get_int(in, number.name, out.*number.member));
  }
  if (const auto* tags = find(in, "tags"); tags != nullptr && tags->is_object()) {
    for (const auto& tag : tags->get_object()) {
      if (tag.value().is_string()) out.tags.emplace_back(std::string(tag.key()), std::string(tag.value().get_string()));
    }
  }
  return out;
}

aws::ApiResult<void> check_name(std::string_view name, bool fifo) {
  const bool has_suffix = name.ends_with(kFifoSuffix);
  const auto stem = fifo && has_suffix ? name.substr(0, name.size() - kFifoSuffix.size()) : name;
  const bool good = !stem.empty() && name.size() <= kQueueNameLength && std::ranges::all_of(stem, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
  if (fifo && (!good || !has_suffix)) {
    return refuse_value(
        "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, must end with "
        ".fifo suffix and be 1 to 80 in length.");
  }
  if (!good)
    return refuse_value("Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length");
  return {};
}

aws::ApiResult<void> set_attributes(QueueRecord& record, const Attributes& attributes, Purpose purpose) {
  if (purpose == Purpose::kCreate) {
    for (const auto& [name, value] : attributes) {
      if (name != "FifoQueue") continue;
      const auto wanted = parse_bool(value);
      if (!wanted) return refuse_attribute(name, "");
      if (!*wanted) return refuse_attribute_name(name);
      record.fifo = true;
    }
  }
  for (const auto& [name, value] : attributes) {
    if (auto set = set_attribute(record, name, value); !set) return set;
  }
  if (record.throughput_by_group && !record.dedupe_by_group) {
    return refuse_attribute("FifoThroughputLimit",
                            "The perMessageGroupId value is allowed only when the value for DeduplicationScope is "
                            "messageGroup.");
  }
  return {};
}

std::optional<std::string> shown_attribute(const QueueRecord& record, std::string_view name) {
  for (const auto& number : kNumbers) {
    if (number.name == name) return std::to_string(record.*number.member);
  }
  const auto unless_empty = [](const std::string& text) {
    return text.empty() ? std::nullopt : std::optional<std::string>(text);
  };
  if (name == "QueueArn") return record.arn();
  if (name == "CreatedTimestamp") return std::to_string(record.created);
  if (name == "LastModifiedTimestamp") return std::to_string(record.modified);
  if (name == "SqsManagedSseEnabled") return bool_text(record.managed_encryption);
  if (name == "Policy") return unless_empty(record.policy);
  if (name == "RedriveAllowPolicy") return unless_empty(record.redrive_allow_policy);
  if (name == "RedrivePolicy") {
    if (record.dead_letter_arn.empty()) return std::nullopt;
    return to_json(
        json::object{{"deadLetterTargetArn", record.dead_letter_arn}, {"maxReceiveCount", record.max_receive_count}});
  }
  if (!record.fifo) return std::nullopt;
  if (name == "FifoQueue") return bool_text(true);
  if (name == "ContentBasedDeduplication") return bool_text(record.content_dedupe);
  if (name == "DeduplicationScope") return record.dedupe_by_group ? "messageGroup" : "queue";
  if (name == "FifoThroughputLimit") return record.throughput_by_group ? "perMessageGroupId" : "perQueue";
  return std::nullopt;
}

const std::vector<std::string_view>& attribute_names() {
  static const std::vector<std::string_view> names{"QueueArn",
                                                   "ApproximateNumberOfMessages",
                                                   "ApproximateNumberOfMessagesNotVisible",
                                                   "ApproximateNumberOfMessagesDelayed",
                                                   "CreatedTimestamp",
                                                   "LastModifiedTimestamp",
                                                   "VisibilityTimeout",
                                                   "MaximumMessageSize",
                                                   "MessageRetentionPeriod",
                                                   "DelaySeconds",
                                                   "ReceiveMessageWaitTimeSeconds",
                                                   "Policy",
                                                   "RedrivePolicy",
                                                   "RedriveAllowPolicy",
                                                   "KmsMasterKeyId",
                                                   "KmsDataKeyReusePeriodSeconds",
                                                   "SqsManagedSseEnabled",
                                                   "FifoQueue",
                                                   "ContentBasedDeduplication",
                                                   "DeduplicationScope",
                                                   "FifoThroughputLimit"};
  return names;
}

bool allows_redrive(const QueueRecord& dead_letters, std::string_view source_arn) {
  if (dead_letters.redrive_allow_policy.empty()) return true;
  const auto policy = parse_json(dead_letters.redrive_allow_policy);
  if (!policy) return false;
  const auto permission = get_string(*policy, "redrivePermission");
  if (permission != "byQueue") return permission == "allowAll";
  const auto* sources = find(*policy, "sourceQueueArns");
  return sources != nullptr && sources->is_array() &&
         std::ranges::any_of(sources->get_array(), [&](const json::value& source) {
           return source.is_string() && std::string_view(source.get_string()) == source_arn;
         });
}

}  // namespace mayfly::sqs
