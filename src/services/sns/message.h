// A message that is published: what a request says, checked; and what each kind of subscriber gets of it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/signing_key.h"
#include "services/sns/errors.h"
#include "services/sns/records.h"

namespace mayfly::sns {

inline constexpr std::size_t kMostMessageBytes = 262'144;

struct MessageAttribute {
  std::string type;   // "String", "String.Array", "Number", "Binary"
  std::string value;  // raw bytes of a binary one
  bool binary = false;
};

struct Message {
  std::string id;
  std::string text;
  std::optional<std::string> subject;
  std::map<std::string, MessageAttribute> attributes;
  std::map<std::string, std::string> by_protocol;  // of MessageStructure json; else empty
  std::optional<std::string> group_id;
  std::optional<std::string> dedupe_id;
  std::string sequence;  // of FIFO topics
  SystemTime published;
  std::string trace_id;

  // What subscribers of a protocol get.
  [[nodiscard]] const std::string& body_for(std::string_view protocol) const;
};

using WireAttributes = std::optional<std::vector<std::pair<std::string, wire::MessageAttributeValue>>>;

// Everything of a publish that does not depend on the topic.
aws::ApiResult<Message> read_message(std::string text, std::optional<std::string> subject,
                                     const std::optional<std::string>& structure, const WireAttributes& attributes);
std::size_t size_of(const Message& message);

// What messages are signed with and where its certificate is.
struct Signer {
  const SigningKey* key = nullptr;
  std::string certificate_url;
  std::string endpoint_url;  // links to unsubscribe and confirm begin with it
};

// Signed once for all subscribers of a protocol: nothing of a single subscription is part of what is signed.
struct Signed {
  std::string signature;  // base64
  std::string version;    // "1" SHA1, "2" SHA256
};
Signed sign_notification(const Signer& signer, const TopicRecord& topic, const Message& message, std::string_view body);

// The JSON text that SQS queues and HTTP endpoints get.
std::string notification(const Signer& signer, const Signed& signature, const SubscriptionRecord& subscription,
                         const Message& message, std::string_view body);
// The event that functions get.
std::string lambda_event(const Signer& signer, const Signed& signature, const SubscriptionRecord& subscription,
                         const Message& message, std::string_view body);
// What an HTTP endpoint gets before anything else.
std::string confirmation(const Signer& signer, const TopicRecord& topic, const SubscriptionRecord& subscription,
                         std::string_view message_id, SystemTime now);
// The attributes in the form of SQS: {"name": {"DataType": "String", "StringValue": ".."}}.
json::object queue_attributes(const Message& message);

}  // namespace mayfly::sns
