// The ends of receives: DeleteMessage, ChangeMessageVisibility, and their batches.
#include <fmt/core.h>

#include <algorithm>

#include "base/time_format.h"
#include "services/sqs/core.h"
#include "services/sqs/limits.h"

namespace mayfly::sqs {
namespace {

std::unexpected<aws::ApiError> refuse_receipt(std::string_view handle) {
  return refuse(wire::errors::ReceiptHandleIsInvalid,
                fmt::format("The input receipt handle \"{}\" is not a valid receipt handle.", handle));
}

// What a deletion's end means to the client. A standard queue takes an old handle without deleting what somebody else
// has received since; a FIFO queue refuses it.
aws::ApiResult<void> deleted(const QueueRecord& queue, const std::string& handle, const Result<void>& result) {
  if (result) return {};
  switch (result.error().code) {
    case ErrorCode::kInvalid:
      return refuse_receipt(handle);
    case ErrorCode::kNotFound:
      if (!queue.fifo) return {};
      return refuse_parameter(handle, "ReceiptHandle", "The receipt handle has expired.");
    default:
      return refuse_store(result.error());
  }
}

aws::ApiResult<void> changed(const std::string& handle, const Result<void>& result) {
  if (result) return {};
  switch (result.error().code) {
    case ErrorCode::kInvalid:
      return refuse_receipt(handle);
    case ErrorCode::kNotFound:
      return refuse_parameter(handle, "ReceiptHandle",
                              "Message does not exist or is not available for visibility timeout change.");
    default:
      return refuse_store(result.error());
  }
}

aws::ApiResult<std::chrono::seconds> check_timeout(const Core& core, std::optional<std::int32_t> timeout,
                                                   const Receipt& receipt) {
  if (!timeout) return refuse_missing("VisibilityTimeout");
  if (*timeout < 0 || *timeout > kVisibilitySeconds) {
    return refuse_parameter(std::to_string(*timeout), "VisibilityTimeout",
                            fmt::format("Must be between 0 and {}, if provided.", kVisibilitySeconds));
  }
  const auto since = epoch_seconds(core.clock.now()) - static_cast<double>(receipt.received);
  if (since + *timeout > static_cast<double>(kVisibilitySeconds) + 1) {
    return refuse_parameter(
        std::to_string(*timeout), "VisibilityTimeout",
        fmt::format("Total VisibilityTimeout for the message is beyond the limit [{} seconds].", kVisibilitySeconds));
  }
  return std::chrono::seconds(*timeout);
}

Awaitable<aws::ApiResult<aws::Empty>> delete_message(Core& core, const aws::CallContext& context,
                                                     wire::DeleteMessageRequest request) {
  const auto queue = find_queue(core, context, request.QueueUrl);
  if (!queue) co_return std::unexpected(queue.error());
  auto receipt = check_receipt(**queue, request.ReceiptHandle);
  if (!receipt) co_return std::unexpected(std::move(receipt.error()));
  auto ended = co_await core.port.acknowledge((*queue)->port_name(), std::move(receipt->token));
  auto result = deleted(**queue, *request.ReceiptHandle, ended);
  if (!result) co_return std::unexpected(std::move(result.error()));
  co_return aws::Empty();
}

Awaitable<aws::ApiResult<aws::Empty>> change_visibility(Core& core, const aws::CallContext& context,
                                                        wire::ChangeMessageVisibilityRequest request) {
  const auto queue = find_queue(core, context, request.QueueUrl);
  if (!queue) co_return std::unexpected(queue.error());
  auto receipt = check_receipt(**queue, request.ReceiptHandle);
  if (!receipt) co_return std::unexpected(std::move(receipt.error()));
  const auto timeout = check_timeout(core, request.VisibilityTimeout, *receipt);
  if (!timeout) co_return std::unexpected(timeout.error());
  auto extended = co_await core.port.extend((*queue)->port_name(), std::move(receipt->token), *timeout);
  auto result = changed(*request.ReceiptHandle, extended);
  if (!result) co_return std::unexpected(std::move(result.error()));
  co_return aws::Empty();
}

template <typename Entry>
aws::ApiResult<void> check_entries(const std::vector<Entry>& entries, std::string_view name) {
  std::vector<std::string_view> ids;
  for (const auto& entry : entries) ids.emplace_back(entry.Id ? std::string_view(*entry.Id) : std::string_view());
  return check_batch(ids, name);
}

Awaitable<aws::ApiResult<wire::DeleteMessageBatchResult>> delete_batch(Core& core, const aws::CallContext& context,
                                                                       wire::DeleteMessageBatchRequest request) {
  const auto queue = find_queue(core, context, request.QueueUrl);
  if (!queue) co_return std::unexpected(queue.error());
  const auto entries = std::move(request.Entries).value_or(std::vector<wire::DeleteMessageBatchRequestEntry>());
  if (auto good = check_entries(entries, "DeleteMessageBatchRequestEntry"); !good) {
    co_return std::unexpected(std::move(good.error()));
  }
  std::vector<wire::BatchResultErrorEntry> failed;
  std::vector<const wire::DeleteMessageBatchRequestEntry*> asked;  // beside tokens
  std::vector<store::LeaseToken> tokens;
  for (const auto& entry : entries) {
    auto receipt = check_receipt(**queue, entry.ReceiptHandle);
    if (!receipt) {
      failed.push_back(batch_error(*entry.Id, receipt.error()));
      continue;
    }
    asked.push_back(&entry);
    tokens.push_back(std::move(receipt->token));
  }
  auto ended = co_await core.port.acknowledge_all((*queue)->port_name(), std::move(tokens));
  std::vector<wire::DeleteMessageBatchResultEntry> done;
  for (std::size_t i = 0; i < asked.size(); ++i) {
    const auto result = deleted(**queue, *asked[i]->ReceiptHandle, ended[i]);
    if (!result) {
      failed.push_back(batch_error(*asked[i]->Id, result.error()));
      continue;
    }
    done.emplace_back().Id = asked[i]->Id;
  }
  wire::DeleteMessageBatchResult out;
  if (!done.empty()) out.Successful = std::move(done);
  if (!failed.empty()) out.Failed = std::move(failed);
  co_return out;
}

Awaitable<aws::ApiResult<wire::ChangeMessageVisibilityBatchResult>> change_visibility_batch(
    Core& core, const aws::CallContext& context, wire::ChangeMessageVisibilityBatchRequest request) {
  const auto queue = find_queue(core, context, request.QueueUrl);
  if (!queue) co_return std::unexpected(queue.error());
  const auto entries =
      std::move(request.Entries).value_or(std::vector<wire::ChangeMessageVisibilityBatchRequestEntry>());
  if (auto good = check_entries(entries, "ChangeMessageVisibilityBatchRequestEntry"); !good) {
    co_return std::unexpected(std::move(good.error()));
  }
  std::vector<wire::BatchResultErrorEntry> failed;
  std::vector<const wire::ChangeMessageVisibilityBatchRequestEntry*> asked;  // beside tokens and durations
  std::vector<store::LeaseToken> tokens;
  std::vector<std::chrono::microseconds> durations;
  for (const auto& entry : entries) {
    auto receipt = check_receipt(**queue, entry.ReceiptHandle);
    const auto timeout = receipt ? check_timeout(core, entry.VisibilityTimeout, *receipt)
                                 : aws::ApiResult<std::chrono::seconds>(std::unexpected(receipt.error()));
    if (!timeout) {
      failed.push_back(batch_error(*entry.Id, timeout.error()));
      continue;
    }
    asked.push_back(&entry);
    tokens.push_back(std::move(receipt->token));
    durations.emplace_back(*timeout);
  }
  auto extended = co_await extend_all(core.port, (*queue)->port_name(), std::move(tokens), std::move(durations));
  std::vector<wire::ChangeMessageVisibilityBatchResultEntry> done;
  for (std::size_t i = 0; i < asked.size(); ++i) {
    const auto result = changed(*asked[i]->ReceiptHandle, extended[i]);
    if (!result) {
      failed.push_back(batch_error(*asked[i]->Id, result.error()));
      continue;
    }
    done.emplace_back().Id = asked[i]->Id;
  }
  wire::ChangeMessageVisibilityBatchResult out;
  if (!done.empty()) out.Successful = std::move(done);
  if (!failed.empty()) out.Failed = std::move(failed);
  co_return out;
}

}  // namespace

aws::ApiResult<Receipt> check_receipt(const QueueRecord& queue, const std::optional<std::string>& handle) {
  if (!handle || handle->empty()) return refuse_missing("ReceiptHandle");
  auto receipt = parse_receipt(*handle);
  if (!receipt || receipt->generation != queue.generation) return refuse_receipt(*handle);
  return std::move(*receipt);
}

Awaitable<std::vector<Result<void>>> extend_all(store::Queue& port, store::QueueName name,
                                                std::vector<store::LeaseToken> tokens,
                                                std::vector<std::chrono::microseconds> durations) {
  std::vector<Result<void>> results(tokens.size());
  if (tokens.size() == 1) {
    results[0] = co_await port.extend(std::move(name), std::move(tokens[0]), durations[0]);
    co_return results;
  }
  Scope scope("visibility timeouts");
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    // References to this frame, which waits for all of them.
    const auto one = [&port, &name, &tokens, &durations, &results, i]() -> Awaitable<void> {
      results[i] = co_await port.extend(name, std::move(tokens[i]), durations[i]);
    };
    const bool started = scope.spawn(Reactor::current(), "visibility timeout", one);
    MAYFLY_ASSERT(started);
  }
  co_await scope.join();
  co_return results;
}

void bind_delete(aws::Service& service, Core& core) {
  bind<wire::DeleteMessage>(service, core, delete_message);
  bind<wire::DeleteMessageBatch>(service, core, delete_batch);
  bind<wire::ChangeMessageVisibility>(service, core, change_visibility);
  bind<wire::ChangeMessageVisibilityBatch>(service, core, change_visibility_batch);
}

}  // namespace mayfly::sqs
