// Queues themselves: made, found, listed, changed, emptied, deleted.
#include <fmt/core.h>

#include <algorithm>

#include "base/ids.h"
#include "base/time_format.h"
#include "services/sqs/core.h"
#include "services/sqs/limits.h"

namespace mayfly::sqs {
namespace {

constexpr std::size_t kGenerationBytes = 8;
constexpr int kCreateAttempts = 8;

std::int64_t seconds_now(const Core& core) { return static_cast<std::int64_t>(epoch_seconds(core.clock.now())); }

// What a redrive policy says of other queues.
aws::ApiResult<void> check_dead_letters(const Core& core, const QueueRecord& queue) {
  if (queue.dead_letter_arn.empty()) return {};
  const auto policy = shown_attribute(queue, "RedrivePolicy").value_or("");
  const auto refuse_policy = [&](std::string_view reason) { return refuse_parameter(policy, "RedrivePolicy", reason); };
  const auto target = core.tables.find_arn(queue.dead_letter_arn);
  if (!target) return refuse_policy("Dead letter target does not exist.");
  if (target->place != queue.place) return refuse_policy("Dead letter target owner should be same as the source.");
  if (target->fifo != queue.fifo) return refuse_policy("Dead-letter queue must be same type of queue as the source.");
  if (!allows_redrive(*target, queue.arn())) {
    return refuse_policy("The dead-letter queue's RedriveAllowPolicy does not allow this source queue.");
  }
  return {};
}

// The first attribute of the request that an existing queue has otherwise.
std::optional<std::string> first_difference(const QueueRecord& existing, const QueueRecord& wanted,
                                            const Attributes& given) {
  for (const auto& [name, value] : given) {
    if (shown_attribute(existing, name) != shown_attribute(wanted, name)) return name;
  }
  return std::nullopt;
}

Awaitable<aws::ApiResult<wire::CreateQueueResult>> create_queue(Core& core, const aws::CallContext& context,
                                                                wire::CreateQueueRequest request) {
  if (!request.QueueName || request.QueueName->empty()) co_return refuse_missing("QueueName");
  QueueRecord record;
  record.place = place_of(context);
  record.name = *request.QueueName;
  const auto given = request.Attributes.value_or(Attributes());
  if (auto set = set_attributes(record, given, Purpose::kCreate); !set) co_return std::unexpected(set.error());
  if (auto good = check_name(record.name, record.fifo); !good) co_return std::unexpected(good.error());
  record.tags = request.tags.value_or(Attributes());
  if (record.tags.size() > kQueueTags) {
    co_return refuse_value(fmt::format("Too many tags added for queue {}.", record.name));
  }
  wire::CreateQueueResult out;
  out.QueueUrl = queue_url(context, record);
  for (int attempt = 0; attempt < kCreateAttempts; ++attempt) {
    if (const auto existing = core.tables.find(record.place, record.name)) {
      const auto difference = first_difference(*existing, record, given);
      if (!difference) co_return out;
      co_return refuse(
          wire::errors::QueueNameExists,
          fmt::format("A queue already exists with the same name and a different value for attribute {}", *difference));
    }
    if (auto good = check_dead_letters(core, record); !good) co_return std::unexpected(good.error());
    record.generation = random_hex(kGenerationBytes);
    record.created = record.modified = seconds_now(core);
    auto created = co_await core.tables.create(record);
    if (!created) co_return std::unexpected(std::move(created.error()));
    if (*created) co_return out;
  }
  co_return refuse(wire::errors::RequestThrottled, "Rate exceeded");
}

Awaitable<aws::ApiResult<aws::Empty>> delete_queue(Core& core, const aws::CallContext& context,
                                                   wire::DeleteQueueRequest request) {
  auto queue = find_queue(core, context, request.QueueUrl);
  if (!queue) co_return std::unexpected(std::move(queue.error()));
  auto erased = co_await core.tables.erase((*queue)->place, (*queue)->name);
  if (!erased) co_return std::unexpected(std::move(erased.error()));
  auto forgotten = co_await core.moves.forget((*queue)->place, (*queue)->name);
  if (!forgotten) co_return refuse_store(forgotten.error());
  co_return aws::Empty();
}

Awaitable<aws::ApiResult<wire::GetQueueUrlResult>> get_queue_url(Core& core, const aws::CallContext& context,
                                                                 wire::GetQueueUrlRequest request) {
  if (!request.QueueName || request.QueueName->empty()) co_return refuse_missing("QueueName");
  auto place = place_of(context);
  if (request.QueueOwnerAWSAccountId) place.account = *request.QueueOwnerAWSAccountId;
  const auto queue = core.tables.find(place, *request.QueueName);
  if (!queue) co_return refuse_queue();
  wire::GetQueueUrlResult out;
  out.QueueUrl = queue_url(context, *queue);
  co_return out;
}

struct Page {
  std::optional<std::vector<std::string>> urls;
  std::optional<std::string> next;
};

// `queues` ascend by name.
aws::ApiResult<Page> page_of(const aws::CallContext& context, const std::vector<QueuePtr>& queues,
                             std::optional<std::int32_t> max_results, const std::optional<std::string>& token) {
  const auto limit = check_max_results(max_results);
  if (!limit) return std::unexpected(limit.error());
  std::optional<std::string> after;
  if (token && !token->empty()) {
    after = decode_marker(*token);
    if (!after) return refuse_value("Invalid or expired next token.");
  }
  Page page;
  std::vector<std::string> urls;
  std::string last;
  for (const auto& queue : queues) {
    if (after && queue->name <= *after) continue;
    if (urls.size() == *limit) {
      // Without MaxResults the list ends here: there is no token then (as on AWS).
      if (max_results) page.next = encode_marker(last);
      break;
    }
    urls.push_back(queue_url(context, *queue));
    last = queue->name;
  }
  page.urls = std::move(urls);
  return page;
}

Awaitable<aws::ApiResult<wire::ListQueuesResult>> list_queues(Core& core, const aws::CallContext& context,
                                                              wire::ListQueuesRequest request) {
  const auto queues = core.tables.list(place_of(context), request.QueueNamePrefix.value_or(""));
  auto page = page_of(context, queues, request.MaxResults, request.NextToken);
  if (!page) co_return std::unexpected(std::move(page.error()));
  wire::ListQueuesResult out;
  if (!page->urls->empty()) out.QueueUrls = std::move(page->urls);
  out.NextToken = std::move(page->next);
  co_return out;
}

Awaitable<aws::ApiResult<wire::ListDeadLetterSourceQueuesResult>> list_sources(
    Core& core, const aws::CallContext& context, wire::ListDeadLetterSourceQueuesRequest request) {
  const auto queue = find_queue(core, context, request.QueueUrl);
  if (!queue) co_return std::unexpected(queue.error());
  const auto sources = core.tables.sources_of((*queue)->arn());
  auto page = page_of(context, sources, request.MaxResults, request.NextToken);
  if (!page) co_return std::unexpected(std::move(page.error()));
  wire::ListDeadLetterSourceQueuesResult out;
  out.queueUrls = std::move(page->urls);
  out.NextToken = std::move(page->next);
  co_return out;
}

std::optional<std::string> shown_count(const store::QueueCounts& counts, std::string_view name) {
  if (name == "ApproximateNumberOfMessages") return std::to_string(counts.ready);
  if (name == "ApproximateNumberOfMessagesNotVisible") return std::to_string(counts.leased);
  if (name == "ApproximateNumberOfMessagesDelayed") return std::to_string(counts.delayed);
  return std::nullopt;
}

Awaitable<aws::ApiResult<wire::GetQueueAttributesResult>> get_attributes(Core& core, const aws::CallContext& context,
                                                                         wire::GetQueueAttributesRequest request) {
  const auto queue = find_queue(core, context, request.QueueUrl);
  if (!queue) co_return std::unexpected(queue.error());
  const auto asked = request.AttributeNames.value_or(std::vector<std::string>());
  const bool all = std::ranges::find(asked, "All") != asked.end();
  const auto& names = attribute_names();
  for (const auto& name : asked) {
    if (name != "All" && std::ranges::find(names, name) == names.end()) {
      co_return refuse(wire::errors::InvalidAttributeName, fmt::format("Unknown Attribute {}.", name));
    }
  }
  wire::GetQueueAttributesResult out;
  if (asked.empty()) co_return out;
  auto port_name = (*queue)->port_name();
  auto counts = co_await core.port.counts(std::move(port_name));
  if (!counts) co_return refuse_store(counts.error());
  Attributes shown;
  for (const auto name : names) {
    if (!all && std::ranges::find(asked, name) == asked.end()) continue;
    auto value = shown_count(*counts, name);
    if (!value) value = shown_attribute(**queue, name);
    if (value) shown.emplace_back(std::string(name), std::move(*value));
  }
  if (!shown.empty()) out.Attributes = std::move(shown);
  co_return out;
}

Awaitable<aws::ApiResult<aws::Empty>> change_attributes(Core& core, const aws::CallContext& context,
                                                        wire::SetQueueAttributesRequest request) {
  const auto queue = find_queue(core, context, request.QueueUrl);
  if (!queue) co_return std::unexpected(queue.error());
  if (!request.Attributes || request.Attributes->empty()) co_return refuse_missing("Attributes");
  const auto given = *request.Attributes;
  const auto now = seconds_now(core);
  QueueEdit edit = [&core, given, now](QueueRecord& record) -> aws::ApiResult<void> {
    if (auto set = set_attributes(record, given, Purpose::kChange); !set) return set;
    record.modified = now;
    const bool redrive = std::ranges::any_of(given, [](const auto& item) { return item.first == "RedrivePolicy"; });
    return redrive ? check_dead_letters(core, record) : aws::ApiResult<void>();
  };
  auto changed = co_await core.tables.change((*queue)->place, (*queue)->name, std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return aws::Empty();
}

Awaitable<aws::ApiResult<aws::Empty>> purge_queue(Core& core, const aws::CallContext& context,
                                                  wire::PurgeQueueRequest request) {
  const auto queue = find_queue(core, context, request.QueueUrl);
  if (!queue) co_return std::unexpected(queue.error());
  if (!core.begin_purge(**queue)) {
    co_return refuse(wire::errors::PurgeQueueInProgress,
                     fmt::format("Only one PurgeQueue operation on {} is allowed every {} seconds.", (*queue)->name,
                                 kPurgeInterval.count()));
  }
  auto port_name = (*queue)->port_name();
  auto purged = co_await core.port.purge(std::move(port_name));
  if (!purged) co_return refuse_store(purged.error());
  co_return aws::Empty();
}

}  // namespace

void bind_queues(aws::Service& service, Core& core) {
  bind<wire::CreateQueue>(service, core, create_queue);
  bind<wire::DeleteQueue>(service, core, delete_queue);
  bind<wire::GetQueueUrl>(service, core, get_queue_url);
  bind<wire::ListQueues>(service, core, list_queues);
  bind<wire::ListDeadLetterSourceQueues>(service, core, list_sources);
  bind<wire::GetQueueAttributes>(service, core, get_attributes);
  bind<wire::SetQueueAttributes>(service, core, change_attributes);
  bind<wire::PurgeQueue>(service, core, purge_queue);
}

}  // namespace mayfly::sqs
