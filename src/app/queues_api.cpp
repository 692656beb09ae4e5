#include "app/queues_api.h"

#include <fmt/core.h>

#include <charconv>
#include <map>

#include "app/front.h"
#include "app/own_api.h"
#include "base/encoding.h"
#include "base/json.h"
#include "base/time_format.h"
#include "services/sqs/sqs.h"

namespace mayfly::app {
namespace {

constexpr std::size_t kMostMessages = 100;  // of one answer
constexpr std::size_t kBodyLimit = 1UL * 1024 * 1024;

std::uint64_t number(const std::string& text, std::uint64_t fallback) {
  std::uint64_t value = fallback;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

std::string arn_of(const QueuesApiParts& parts, const std::string& name) {
  if (name.empty() || name.starts_with("arn:")) return name;
  return fmt::format("arn:aws:sqs:{}:{}:{}", parts.region, parts.account, name);
}

Awaitable<void> answer_refusal(http::ResponseWriter& response, Error error) {
  http::Response out;
  out.head.status = 400;
  if (error.code == ErrorCode::kNotFound) out.head.status = 404;
  if (error.code == ErrorCode::kIo || error.code == ErrorCode::kCorrupt) out.head.status = 500;
  out.head.headers.set("Content-Type", "application/json");
  out.body = to_json(json::object{{"message", error.message}});
  std::ignore = co_await response.send(std::move(out));
}

Awaitable<void> list(QueuesApiParts parts, http::ResponseWriter& response) {
  const auto queues = parts.sqs->queues();
  std::map<std::string, json::array> sources;  // by the ARN of the dead-letter queue
  for (const auto& queue : queues) {
    if (!queue.dead_letter_arn.empty()) sources[queue.dead_letter_arn].emplace_back(queue.arn);
  }
  json::array out;
  for (const auto& queue : queues) {
    auto counts = co_await parts.sqs->counts(queue.arn);
    if (!counts) continue;  // deleted meanwhile
    json::object shown{{"Name", queue.name},       {"Arn", queue.arn},           {"Fifo", queue.fifo},
                       {"Visible", counts->ready}, {"InFlight", counts->leased}, {"Delayed", counts->delayed},
                       {"Bytes", counts->bytes}};
    if (counts->oldest_sent_at) {
      const auto age = parts.clock->now() - *counts->oldest_sent_at;
      shown["OldestSeconds"] = std::chrono::duration_cast<std::chrono::seconds>(age).count();
    }
    if (!queue.dead_letter_arn.empty()) {
      shown["DeadLetterQueue"] = queue.dead_letter_arn;
      shown["MaxReceiveCount"] = queue.max_receive_count;
    }
    if (const auto found = sources.find(queue.arn); found != sources.end()) shown["DeadLettersOf"] = found->second;
    out.push_back(std::move(shown));
  }
  json::value body = json::object{{"Queues", std::move(out)}};
  co_await send_json(response, std::move(body));
}

json::object shown_message(const sqs::LyingMessage& lying, SystemTime now) {
  const auto& message = lying.message;
  json::object attributes;
  for (const auto& [name, value] : message.attributes) attributes.emplace(name, value);
  json::object own;
  for (const auto& attribute : message.message_attributes) {
    const auto value = attribute.binary ? base64_encode(attribute.value) : attribute.value;
    own.emplace(attribute.name, json::object{{"DataType", attribute.data_type},
                                             {attribute.binary ? "BinaryValue" : "StringValue", value}});
  }
  std::string state = "visible";
  if (lying.in_flight) {
    state = "in flight";
  } else if (lying.available_at > now) {
    state = "delayed";
  }
  return {{"Sequence", lying.sequence},
          {"MessageId", message.message_id},
          {"State", state},
          {"AvailableAt", iso8601_millis(lying.available_at)},
          {"ReceiveCount", lying.receive_count},
          {"Attributes", std::move(attributes)},
          {"MessageAttributes", std::move(own)},
          {"Body", message.body}};
}

Awaitable<void> messages(QueuesApiParts parts, http::Request& request, http::ResponseWriter& response) {
  const auto query = request.head.query();
  const auto arn = arn_of(parts, query_value(query, "queue"));
  const auto after = number(query_value(query, "after"), 0);
  const auto limit = std::min<std::uint64_t>(number(query_value(query, "limit"), kMostMessages), kMostMessages);
  auto peeked = co_await parts.sqs->peek(arn, after, limit);
  if (!peeked) {
    co_await answer_refusal(response, std::move(peeked.error()));
    co_return;
  }
  json::array out;
  const auto now = parts.clock->now();
  for (const auto& message : *peeked) out.push_back(shown_message(message, now));
  json::value body = json::object{{"Messages", std::move(out)}};
  co_await send_json(response, std::move(body));
}

Awaitable<void> redrive(QueuesApiParts parts, http::Request& request, http::ResponseWriter& response) {
  auto body = co_await request.read_all(kBodyLimit);
  auto parsed = body ? parse_json(*body) : Result<json::value>(std::unexpected(std::move(body.error())));
  if (!parsed) {
    co_await answer_refusal(response, std::move(parsed.error()));
    co_return;
  }
  std::vector<sqs::MessagePosition> positions;
  if (const auto* listed = find(*parsed, "Messages"); listed != nullptr && listed->is_array()) {
    for (const auto& item : listed->get_array()) {
      sqs::MessagePosition position;
      position.sequence = static_cast<std::uint64_t>(get_int(item, "Sequence"));
      position.message_id = get_string(item, "MessageId");
      positions.push_back(std::move(position));
    }
  }
  const auto source = arn_of(parts, std::string(get_string(*parsed, "Queue")));
  const auto destination = arn_of(parts, std::string(get_string(*parsed, "Destination")));
  auto moved = co_await parts.sqs->redrive(source, destination, std::move(positions));
  if (!moved) {
    co_await answer_refusal(response, std::move(moved.error()));
    co_return;
  }
  json::value answer = json::object{{"Moved", *moved}};
  co_await send_json(response, std::move(answer));
}

}  // namespace

Awaitable<bool> handle_queues(QueuesApiParts parts, http::Request& request, http::ResponseWriter& response) {
  const std::string path(request.head.path());
  if (path == "/_mayfly/queues") {
    co_await list(std::move(parts), response);
  } else if (path == "/_mayfly/queues/messages") {
    co_await messages(std::move(parts), request, response);
  } else if (path == "/_mayfly/queues/redrive" && request.head.method == "POST") {
    co_await redrive(std::move(parts), request, response);
  } else {
    co_return false;
  }
  co_return true;
}

}  // namespace mayfly::app
