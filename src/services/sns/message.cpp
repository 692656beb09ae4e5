#include "services/sns/message.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/encoding.h"
#include "base/time_format.h"

namespace mayfly::sns {
namespace {

std::unexpected<aws::ApiError> bad_value(std::string message) {
  return refuse(wire::errors::InvalidParameterValueException, std::move(message));
}

aws::ApiResult<void> check_attribute_name(std::string_view name) {
  constexpr std::size_t kLongest = 256;
  if (name.size() > kLongest) return bad_value("Length of message attribute name must be less than 256 bytes.");
  for (const char c : name) {
    const bool good =
        (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_' || c == '.';
    if (!good) {
      return bad_value(
          fmt::format("Invalid non-alphanumeric character '#x{:X}' was found in the message attribute name. Can only "
                      "include alphanumeric characters, hyphens, underscores, or dots.",
                      static_cast<unsigned>(static_cast<unsigned char>(c))));
    }
  }
  if (name.starts_with('.')) return bad_value("Invalid message attribute name starting with character '.' was found.");
  if (name.ends_with('.')) return bad_value("Invalid message attribute name ending with character '.' was found.");
  if (name.contains("..")) return bad_value("Message attribute name can not have successive '.' character.");
  return {};
}

aws::ApiResult<MessageAttribute> read_attribute(const std::string& name, const wire::MessageAttributeValue& given) {
  const auto type = given.DataType.value_or("");
  const auto prefix = type.substr(0, type.find('.'));
  if (prefix != "String" && prefix != "Number" && prefix != "Binary") {
    return bad_value(
        fmt::format("The message attribute '{}' has an invalid message attribute type, the set of supported type "
                    "prefixes is Binary, Number, and String.",
                    name));
  }
  const bool binary = prefix == "Binary";
  const auto& mine = binary ? given.BinaryValue : given.StringValue;
  const auto& other = binary ? given.StringValue : given.BinaryValue;
  if (!mine && other) {
    return bad_value(fmt::format("The message attribute '{}' with type '{}' must use field '{}'.", name, type,
                                 binary ? "Binary" : "String"));
  }
  if (!mine || mine->empty()) {
    return bad_value(
        fmt::format("The message attribute '{}' must contain non-empty message attribute value for message attribute "
                    "type '{}'.",
                    name, type));
  }
  return MessageAttribute{.type = type, .value = *mine, .binary = binary};
}

std::string unsubscribe_url(const Signer& signer, const SubscriptionRecord& subscription) {
  return fmt::format("{}/?Action=Unsubscribe&SubscriptionArn={}", signer.endpoint_url, subscription.arn());
}

Signed sign_text(const Signer& signer, const TopicRecord& topic, std::string_view text) {
  const bool newer = topic.attribute("SignatureVersion", "1") == "2";
  const auto hash = newer ? SigningKey::Hash::kSha256 : SigningKey::Hash::kSha1;
  return {.signature = base64_encode(signer.key->sign(hash, text)), .version = newer ? "2" : "1"};
}

json::object shown_attributes(const Message& message) {
  json::object out;
  for (const auto& [name, attribute] : message.attributes) {
    out[name] =
        json::object{{"Type", attribute.type},
                     {"Value", json::string(attribute.binary ? base64_encode(attribute.value) : attribute.value)}};
  }
  return out;
}

}  // namespace

const std::string& Message::body_for(std::string_view protocol) const {
  if (by_protocol.empty()) return text;
  const auto found = by_protocol.find(std::string(protocol));
  return found == by_protocol.end() ? by_protocol.at("default") : found->second;
}

aws::ApiResult<Message> read_message(std::string text, std::optional<std::string> subject,
                                     const std::optional<std::string>& structure, const WireAttributes& attributes) {
  Message out;
  if (text.empty()) return refuse_parameter("Empty message");
  if (subject) {
    constexpr std::size_t kLongestSubject = 100;
    const bool plain = std::ranges::all_of(*subject, [](char c) {
      return static_cast<unsigned char>(c) >= 0x20 && static_cast<unsigned char>(c) != 0x7F;
    });
    if (subject->empty() || subject->size() > kLongestSubject || !plain) return refuse_parameter("Subject");
  }
  if (structure && *structure == "json") {
    const auto parsed = parse_json(text);
    const auto* object = parsed ? parsed->if_object() : nullptr;
    if (object == nullptr) return refuse_parameter("Message Structure - JSON message body failed to parse");
    for (const auto& entry : *object) {
      if (entry.value().is_string()) out.by_protocol[entry.key()] = std::string(entry.value().get_string());
    }
    if (!out.by_protocol.contains("default")) {
      return refuse_parameter("Message Structure - No default entry in JSON message body");
    }
  } else if (structure && !structure->empty()) {
    return refuse_parameter("MessageStructure");
  }
  if (attributes) {
    for (const auto& [name, given] : *attributes) {
      if (auto good = check_attribute_name(name); !good) return std::unexpected(std::move(good.error()));
      auto attribute = read_attribute(name, given);
      if (!attribute) return std::unexpected(std::move(attribute.error()));
      out.attributes.insert_or_assign(name, std::move(*attribute));
    }
  }
  out.text = std::move(text);
  out.subject = std::move(subject);
  if (size_of(out) > kMostMessageBytes) return refuse_parameter("Message too long");
  return out;
}

std::size_t size_of(const Message& message) {
  std::size_t size = message.text.size();
  for (const auto& [name, attribute] : message.attributes) {
    size += name.size() + attribute.type.size() + attribute.value.size();
  }
  return size;
}

Signed sign_notification(const Signer& signer, const TopicRecord& topic, const Message& message,
                         std::string_view body) {
  std::string text = fmt::format("Message\n{}\nMessageId\n{}\n", body, message.id);
  if (message.subject) text += fmt::format("Subject\n{}\n", *message.subject);
  text +=
      fmt::format("Timestamp\n{}\nTopicArn\n{}\nType\nNotification\n", iso8601_millis(message.published), topic.arn());
  return sign_text(signer, topic, text);
}

std::string notification(const Signer& signer, const Signed& signature, const SubscriptionRecord& subscription,
                         const Message& message, std::string_view body) {
  json::object out{{"Type", "Notification"}, {"MessageId", message.id}};
  if (!message.sequence.empty()) out["SequenceNumber"] = message.sequence;
  out["TopicArn"] = subscription.topic_arn();
  if (message.subject) out["Subject"] = *message.subject;
  out["Message"] = json::string(body);
  out["Timestamp"] = iso8601_millis(message.published);
  // FIFO topics' messages are not signed.
  if (message.sequence.empty()) {
    out["SignatureVersion"] = signature.version;
    out["Signature"] = signature.signature;
    out["SigningCertURL"] = signer.certificate_url;
  }
  out["UnsubscribeURL"] = unsubscribe_url(signer, subscription);
  if (!message.attributes.empty()) out["MessageAttributes"] = shown_attributes(message);
  return to_json(out);
}

std::string lambda_event(const Signer& signer, const Signed& signature, const SubscriptionRecord& subscription,
                         const Message& message, std::string_view body) {
  json::object sns{{"Type", "Notification"}, {"MessageId", message.id}, {"TopicArn", subscription.topic_arn()}};
  if (message.subject) {
    sns["Subject"] = *message.subject;
  } else {
    sns["Subject"] = nullptr;
  }
  sns["Message"] = json::string(body);
  sns["Timestamp"] = iso8601_millis(message.published);
  sns["SignatureVersion"] = signature.version;
  sns["Signature"] = signature.signature;
  sns["SigningCertUrl"] = signer.certificate_url;
  sns["UnsubscribeUrl"] = unsubscribe_url(signer, subscription);
  sns["MessageAttributes"] = shown_attributes(message);
  json::object record{{"EventSource", "aws:sns"},
                      {"EventVersion", "1.0"},
                      {"EventSubscriptionArn", subscription.arn()},
                      {"Sns", std::move(sns)}};
  json::array records;
  records.push_back(std::move(record));
  return to_json(json::object{{"Records", std::move(records)}});
}

std::string confirmation(const Signer& signer, const TopicRecord& topic, const SubscriptionRecord& subscription,
                         std::string_view message_id, SystemTime now) {
  const auto url = fmt::format("{}/?Action=ConfirmSubscription&TopicArn={}&Token={}", signer.endpoint_url, topic.arn(),
                               subscription.token);
  const auto text = fmt::format(
      "You have chosen to subscribe to the topic {}.\nTo confirm the subscription, visit the SubscribeURL included in "
      "this message.",
      topic.arn());
  const auto to_sign = fmt::format(
      "Message\n{}\nMessageId\n{}\nSubscribeURL\n{}\nTimestamp\n{}\nToken\n{}\nTopicArn\n{}\nType\n"
      "SubscriptionConfirmation\n",
      text, message_id, url, iso8601_millis(now), subscription.token, topic.arn());
  const auto made = sign_text(signer, topic, to_sign);
  return to_json(json::object{{"Type", "SubscriptionConfirmation"},
                              {"MessageId", json::string(message_id)},
                              {"Token", subscription.token},
                              {"TopicArn", topic.arn()},
                              {"Message", text},
                              {"SubscribeURL", url},
                              {"Timestamp", iso8601_millis(now)},
                              {"SignatureVersion", made.version},
                              {"Signature", made.signature},
                              {"SigningCertURL", signer.certificate_url}});
}

json::object queue_attributes(const Message& message) {
  json::object out;
  for (const auto& [name, attribute] : message.attributes) {
    json::object value{{"DataType", attribute.type}};
    // The value of a binary attribute is base64 here, as it is on the wire.
    if (attribute.binary) {
      value["BinaryValue"] = base64_encode(attribute.value);
    } else {
      value["StringValue"] = attribute.value;
    }
    out[name] = std::move(value);
  }
  return out;
}

}  // namespace mayfly::sns
