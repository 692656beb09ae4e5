#include "services/lambda/sqs_source.h"

#include <fmt/core.h>

#include <charconv>

#include "base/encoding.h"
#include "delivery/targets.h"
#include "services/lambda/errors.h"
#include "services/sqs/sqs.h"

namespace mayfly::lambda {
namespace {

constexpr std::chrono::seconds kDefaultVisibility{30};

class SqsSource final : public EventSource {
 public:
  SqsSource(sqs::Sqs& sqs, std::string arn) : sqs_(sqs), arn_(std::move(arn)) {
    if (const auto parsed = delivery::parse_arn(arn_)) region_ = parsed->region;
  }

  Awaitable<Result<std::vector<SourceRecord>>> receive(ReceiveAsk ask) override {
    sqs::ReceiveOptions options;
    options.max_messages = ask.max_records;
    options.max_bytes = ask.max_bytes;
    options.wait = ask.wait;
    auto received = co_await sqs_.receive(arn_, options);
    if (!received) co_return std::unexpected(std::move(received.error()));
    std::vector<SourceRecord> out;
    out.reserve(received->size());
    for (auto& message : *received) {
      SourceRecord record;
      record.text = sqs_record(message, arn_, region_);
      record.id = std::move(message.message_id);
      record.receipt = std::move(message.receipt_handle);
      for (const auto& [name, value] : message.attributes) {
        if (name != "ApproximateReceiveCount") continue;
        std::from_chars(value.data(), value.data() + value.size(), record.receive_count);
      }
      out.push_back(std::move(record));
    }
    co_return out;
  }

  // A message whose handle has run out comes again and is recognised by its id: nothing to do about it here.
  Awaitable<void> done(std::vector<std::string> receipts) override {
    std::ignore = co_await sqs_.remove(arn_, std::move(receipts));
  }
  Awaitable<void> hold(std::vector<std::string> receipts, std::chrono::seconds time) override {
    std::ignore = co_await sqs_.change_visibility(arn_, std::move(receipts), time);
  }
  [[nodiscard]] std::chrono::seconds hold_time() const override {
    const auto queue = sqs_.find(arn_);
    return queue ? queue->visibility_timeout : kDefaultVisibility;
  }

 private:
  sqs::Sqs& sqs_;
  std::string arn_;
  std::string region_;
};

class SqsSources final : public EventSources {
 public:
  explicit SqsSources(sqs::Sqs& sqs) : sqs_(sqs) {}

  [[nodiscard]] aws::ApiResult<void> check(const std::string& arn,
                                           std::chrono::seconds function_timeout) const override {
    const auto queue = sqs_.find(arn);
    if (!queue) {
      return refuse_parameter(
          "Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. SQS Error "
          "Message: The specified queue does not exist.");
    }
    if (queue->visibility_timeout < function_timeout) {
      return refuse_parameter(
          fmt::format("Queue visibility timeout: {} seconds is less than Function timeout: {} seconds",
                      queue->visibility_timeout.count(), function_timeout.count()));
    }
    return {};
  }
  [[nodiscard]] bool is_ordered(const std::string& arn) const override { return arn.ends_with(".fifo"); }
  [[nodiscard]] std::unique_ptr<EventSource> open(const std::string& arn) const override {
    return std::make_unique<SqsSource>(sqs_, arn);
  }

 private:
  sqs::Sqs& sqs_;
};

}  // namespace

std::unique_ptr<EventSources> sqs_sources(sqs::Sqs& sqs) { return std::make_unique<SqsSources>(sqs); }

std::string sqs_record(const sqs::Message& message, const std::string& arn, const std::string& region) {
  json::object attributes;
  for (const auto& [name, value] : message.attributes) attributes[name] = value;
  json::object message_attributes;
  for (const auto& attribute : message.message_attributes) {
    json::object one;
    if (attribute.binary) {
      one["binaryValue"] = base64_encode(attribute.value);
    } else {
      one["stringValue"] = attribute.value;
    }
    one["stringListValues"] = json::array();
    one["binaryListValues"] = json::array();
    one["dataType"] = attribute.data_type;
    message_attributes[attribute.name] = std::move(one);
  }
  json::object out;
  out["messageId"] = message.message_id;
  out["receiptHandle"] = message.receipt_handle;
  out["body"] = message.body;
  out["attributes"] = std::move(attributes);
  out["messageAttributes"] = std::move(message_attributes);
  if (message.md5_of_message_attributes.empty()) {
    out["md5OfMessageAttributes"] = nullptr;
  } else {
    out["md5OfMessageAttributes"] = message.md5_of_message_attributes;
  }
  out["md5OfBody"] = message.md5_of_body;
  out["eventSource"] = "aws:sqs";
  out["eventSourceARN"] = arn;
  out["awsRegion"] = region;
  return to_json(out);
}

}  // namespace mayfly::lambda
