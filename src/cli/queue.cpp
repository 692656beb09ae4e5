// `mayfly queue` and `mayfly dlq`: queues as people look at them and put them right.
#include <fmt/core.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>

#include "base/encoding.h"
#include "cli/commands.h"

namespace mayfly::cli {
namespace {

constexpr std::int64_t kPage = 100;

Result<json::value> sqs_call(const Connection& connection, const std::string& operation, const json::object& request) {
  Call call{.method = "POST", .target = "/", .body = to_json(request), .headers = {}, .service = "sqs"};
  call.headers.emplace_back("X-Amz-Target", "AmazonSQS." + operation);
  call.headers.emplace_back("Content-Type", "application/x-amz-json-1.0");
  return send_json(connection, call);
}

Result<json::array> queues_of(const Connection& connection) {
  auto answer = send_json(connection, {.target = "/_mayfly/queues", .service = "mayfly"});
  if (!answer) return std::unexpected(answer.error());
  const auto* queues = find(*answer, "Queues");
  if (queues == nullptr || !queues->is_array()) return json::array();
  return queues->get_array();
}

Result<json::array> page_of(const Connection& connection, const std::string& queue, std::int64_t after,
                            std::int64_t limit) {
  const auto target = fmt::format("/_mayfly/queues/messages?queue={}&after={}&limit={}",
                                  percent_encode(queue, Slash::kEncode), after, limit);
  auto answer = send_json(connection, {.target = target, .service = "mayfly"});
  if (!answer) return std::unexpected(answer.error());
  const auto* messages = find(*answer, "Messages");
  if (messages == nullptr || !messages->is_array()) return json::array();
  return messages->get_array();
}

std::string_view name_in(std::string_view arn) { return arn.substr(arn.rfind(':') + 1); }

std::string age(const json::value& queue) {
  if (find(queue, "OldestSeconds") == nullptr) return "-";
  const auto seconds = get_int(queue, "OldestSeconds");
  if (seconds < 120) return fmt::format("{} s", seconds);
  if (seconds < 7'200) return fmt::format("{} min", seconds / 60);
  if (seconds < 172'800) return fmt::format("{} h", seconds / 3'600);
  return fmt::format("{} days", seconds / 86'400);
}

// Whether a message is one that the options ask for: a part of its body, and attributes of either kind by value.
bool matches(const json::value& message, const MessageFilter& filter) {
  if (!filter.text.empty() && get_string(message, "Body").find(filter.text) == std::string_view::npos) return false;
  for (const auto& wanted : filter.attributes) {
    const auto equals = wanted.find('=');
    const auto name = wanted.substr(0, equals);
    const auto value = equals == std::string::npos ? std::string() : wanted.substr(equals + 1);
    std::string_view actual;
    bool there = false;
    if (const auto* own = find(*find(message, "MessageAttributes"), name)) {
      actual = get_string(*own, "StringValue");
      there = true;
    } else if (const auto* system = find(*find(message, "Attributes"), name)) {
      actual = get_string(*find(message, "Attributes"), name);
      there = system != nullptr;
    }
    if (!there || actual != value) return false;
  }
  return true;
}

// All that match, a page at a time, until `each` says that it has enough.
Result<void> walk(const Connection& connection, const std::string& queue, const MessageFilter& filter,
                  const std::function<bool(const json::value&)>& each) {
  std::int64_t after = 0;
  for (;;) {
    const auto page = page_of(connection, queue, after, kPage);
    if (!page) return std::unexpected(page.error());
    for (const auto& message : *page) {
      after = get_int(message, "Sequence");
      if (matches(message, filter) && !each(message)) return {};
    }
    if (static_cast<std::int64_t>(page->size()) < kPage) return {};
  }
}

void print_message(const Output& out, const json::value& message, bool details) {
  const auto& attributes = *find(message, "Attributes");
  out.line(fmt::format("{}  {}  {}  received {} times", out.bold(get_string(message, "MessageId")),
                       get_string(message, "State"), get_string(message, "AvailableAt"),
                       get_string(attributes, "ApproximateReceiveCount")));
  if (details) {
    for (const auto& item : attributes.get_object()) {
      out.line(out.dim(fmt::format("  {}: {}", std::string_view(item.key()), get_string(attributes, item.key()))));
    }
  }
  for (const auto& item : find(message, "MessageAttributes")->get_object()) {
    const auto binary = get_string(item.value(), "BinaryValue");
    out.line(out.dim(fmt::format("  {} = {}", std::string_view(item.key()),
                                 binary.empty() ? get_string(item.value(), "StringValue") : binary)));
  }
  out.line(get_string(message, "Body"));
}

int show(const Output& out, const ConnectionOptions& options, const PeekOptions& what, bool details) {
  const auto connection = connect(options);
  if (!connection) return out.failure(connection.error());
  json::array found;
  const auto walked = walk(*connection, what.queue, what.filter, [&](const json::value& message) {
    if (static_cast<int>(found.size()) < what.limit) found.push_back(message);
    return static_cast<int>(found.size()) < what.limit;
  });
  if (!walked) return out.failure(walked.error());
  if (out.json) {
    out.value(found);
    return 0;
  }
  if (found.empty()) out.note("no messages");
  for (const auto& message : found) print_message(out, message, details);
  return 0;
}

Result<std::string> text_of(const std::string& given) {
  if (given == "-") return std::string{std::istreambuf_iterator<char>(std::cin), {}};
  if (!given.starts_with('@')) return given;
  std::ifstream file(given.substr(1), std::ios::binary);
  if (!file) return fail_errno(given.substr(1));
  return std::string{std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

int queue_list(const Output& out, const ConnectionOptions& options) {
  const auto connection = connect(options);
  if (!connection) return out.failure(connection.error());
  const auto queues = queues_of(*connection);
  if (!queues) return out.failure(queues.error());
  if (out.json) {
    out.value(*queues);
    return 0;
  }
  if (queues->empty()) {
    out.note("no queues yet; `aws sqs create-queue --queue-name NAME` makes one");
    return 0;
  }
  std::vector<std::vector<std::string>> rows;
  for (const auto& queue : *queues) {
    const auto dead = get_string(queue, "DeadLetterQueue");
    rows.push_back({std::string(get_string(queue, "Name")), std::to_string(get_int(queue, "Visible")),
                    std::to_string(get_int(queue, "InFlight")), std::to_string(get_int(queue, "Delayed")), age(queue),
                    dead.empty() ? "-" : std::string(name_in(dead))});
  }
  out.table({"NAME", "VISIBLE", "IN FLIGHT", "DELAYED", "OLDEST", "DEAD LETTERS TO"}, rows);
  return 0;
}

int queue_peek(const Output& out, const ConnectionOptions& options, const PeekOptions& what) {
  return show(out, options, what, false);
}

int queue_send(const Output& out, const ConnectionOptions& options, const QueueSendOptions& what) {
  const auto connection = connect(options);
  if (!connection) return out.failure(connection.error());
  auto body = text_of(what.body);
  if (!body) return out.failure(body.error());
  json::object request{{"QueueUrl", name_in(what.queue)}, {"MessageBody", *body}};
  json::object attributes;
  for (const auto& attribute : what.attributes) {
    const auto equals = attribute.find('=');
    if (equals == std::string::npos) {
      return out.failure(fail(ErrorCode::kInvalid, attribute + ": an attribute is NAME=VALUE").error());
    }
    attributes[attribute.substr(0, equals)] =
        json::object{{"DataType", "String"}, {"StringValue", attribute.substr(equals + 1)}};
  }
  if (!attributes.empty()) request["MessageAttributes"] = std::move(attributes);
  if (!what.group.empty()) request["MessageGroupId"] = what.group;
  if (!what.dedupe.empty()) request["MessageDeduplicationId"] = what.dedupe;
  if (what.delay) request["DelaySeconds"] = *what.delay;
  const auto sent = sqs_call(*connection, "SendMessage", request);
  if (!sent) return out.failure(sent.error());
  if (out.json) {
    out.value(*sent);
  } else {
    out.line(fmt::format("sent {}", get_string(*sent, "MessageId")));
  }
  return 0;
}

int queue_purge(const Output& out, const ConnectionOptions& options, const std::string& queue, bool yes) {
  const auto connection = connect(options);
  if (!connection) return out.failure(connection.error());
  if (!yes && ::isatty(STDIN_FILENO) == 1) {
    fmt::print(stderr, "Remove every message of {}? [y/N] ", queue);
    const int answer = std::getchar();
    if (answer != 'y' && answer != 'Y') return 1;
  }
  const auto purged = sqs_call(*connection, "PurgeQueue", {{"QueueUrl", name_in(queue)}});
  if (!purged) return out.failure(purged.error());
  if (out.json) {
    out.value(json::object{{"purged", queue}});
  } else {
    out.line(fmt::format("purged {}", queue));
  }
  return 0;
}

int dlq_list(const Output& out, const ConnectionOptions& options) {
  const auto connection = connect(options);
  if (!connection) return out.failure(connection.error());
  const auto queues = queues_of(*connection);
  if (!queues) return out.failure(queues.error());
  json::array found;
  for (const auto& queue : *queues) {
    if (find(queue, "DeadLettersOf") != nullptr) found.push_back(queue);
  }
  if (out.json) {
    out.value(found);
    return 0;
  }
  if (found.empty()) {
    out.note("no dead-letter queues: no queue has a RedrivePolicy");
    return 0;
  }
  std::vector<std::vector<std::string>> rows;
  for (const auto& queue : found) {
    std::string sources;
    for (const auto& source : find(queue, "DeadLettersOf")->get_array()) {
      if (!sources.empty()) sources += ", ";
      sources += name_in(std::string_view(source.get_string()));
    }
    const auto lying = get_int(queue, "Visible") + get_int(queue, "InFlight") + get_int(queue, "Delayed");
    rows.push_back({std::string(get_string(queue, "Name")), std::to_string(lying), age(queue), sources});
  }
  out.table({"NAME", "MESSAGES", "OLDEST", "OF"}, rows);
  return 0;
}

int dlq_show(const Output& out, const ConnectionOptions& options, const PeekOptions& what) {
  return show(out, options, what, true);
}

int dlq_redrive(const Output& out, const ConnectionOptions& options, const RedriveOptions& what) {
  const auto connection = connect(options);
  if (!connection) return out.failure(connection.error());
  // All are found first: what fails again and comes back meanwhile is not taken a second time.
  json::array positions;
  std::vector<std::vector<std::string>> rows;
  const auto walked = walk(*connection, what.queue, what.filter, [&](const json::value& message) {
    positions.push_back(
        json::object{{"Sequence", get_int(message, "Sequence")}, {"MessageId", get_string(message, "MessageId")}});
    const auto source = get_string(*find(message, "Attributes"), "DeadLetterQueueSourceArn");
    const auto target = what.to.empty() ? name_in(source) : std::string_view(what.to);
    rows.push_back({std::string(get_string(message, "MessageId")), target.empty() ? "?" : std::string(target),
                    std::string(get_string(message, "Body").substr(0, 60))});
    return what.limit == 0 || static_cast<int>(positions.size()) < what.limit;
  });
  if (!walked) return out.failure(walked.error());
  if (what.dry_run) {
    if (out.json) {
      out.value(json::object{{"WouldMove", positions.size()}, {"Messages", positions}});
    } else {
      if (!rows.empty()) out.table({"MESSAGE", "TO", "BODY"}, rows);
      out.line(fmt::format("{} messages would be moved", positions.size()));
    }
    return 0;
  }
  std::int64_t moved = 0;
  for (std::size_t at = 0; at < positions.size(); at += kPage) {
    json::array batch;
    for (auto i = at; i < std::min(positions.size(), at + kPage); ++i) batch.push_back(positions[i]);
    const json::object request{{"Queue", what.queue}, {"Destination", what.to}, {"Messages", std::move(batch)}};
    const Call call{.method = "POST",
                    .target = "/_mayfly/queues/redrive",
                    .body = to_json(request),
                    .headers = {},
                    .service = "mayfly"};
    const auto answer = send_json(*connection, call);
    if (!answer) {
      if (moved > 0) out.note(fmt::format("{} messages were moved before this:", moved));
      return out.failure(answer.error());
    }
    moved += get_int(*answer, "Moved");
    out.progress(fmt::format("{} of {}", moved, positions.size()));
  }
  if (out.json) {
    out.value(json::object{{"Moved", moved}});
  } else {
    out.line(fmt::format("moved {} messages", moved));
  }
  return 0;
}

}  // namespace mayfly::cli
